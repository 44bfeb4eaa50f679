//! Reads a bundle from a directory.
