//! How fast commits become durable: one after the other, and many at once.
//! Never asserts a time: it reports medians. `cargo bench --bench state` runs it; the disk decides.

fn main() {}
