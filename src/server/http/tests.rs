//! HTTP over real connections.
//! Never sleeps.
