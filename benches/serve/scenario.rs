//! The scenarios: each starts its own servers and returns its findings.
//! Never one that leaves out what it could not measure.

mod effect;
mod http;
mod memory;
mod peers;
mod reload;
mod treetop;
mod wire;

use crate::bench::{Bench, Finding};
use crate::options::Scenario;
use crate::rows::Row;
use crate::trouble::Outcome;

/// Runs one.
pub fn run(scenario: Scenario, bench: &Bench) -> Vec<Finding> {
    match scenario {
        Scenario::Unary => wire::unary(bench),
        Scenario::Unix => wire::unix(bench),
        Scenario::Stream => wire::stream(bench),
        Scenario::Open => findings("given rate", wire::open(bench)),
        Scenario::Reload => findings("reload each second", reload::run(bench)),
        Scenario::Effect => effect::run(bench),
        Scenario::Memory => memory::run(bench),
        Scenario::Floor => wire::floor(bench),
        Scenario::Http => http::run(bench),
        Scenario::Peers => peers::run(bench),
        Scenario::Treetop => treetop::run(bench),
    }
}

/// Rows, or the reason why there are none.
fn findings(conditions: &str, rows: Outcome<Vec<Row>>) -> Vec<Finding> {
    match rows {
        Ok(rows) => rows.into_iter().map(Finding::Row).collect(),
        Err(trouble) => vec![Finding::Failed { conditions: conditions.to_owned(), trouble }],
    }
}
