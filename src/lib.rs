//! Palisade decides each step of an AI agent at the moment of use.

pub mod audit;
pub mod policy;
pub mod catalog;
pub mod access;
pub mod identity;
pub mod json;
pub mod diagnostic;
pub mod value;
