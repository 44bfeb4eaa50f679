//! What every store must do, and both against a third telling of the rules.

mod conformance;
mod replay;
