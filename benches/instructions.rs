//! Decides a number of times and stops, so that a tool that counts instructions can count those of one decision:
//! `benches/instructions.sh` runs it twice and divides the difference.
//! Never looks at a clock.

#![expect(clippy::expect_used, reason = "a benchmark without its task has nothing to count")]

#[path = "bundles.rs"]
mod bundles;
#[path = "lent.rs"]
mod lent;
#[path = "refund.rs"]
mod refund;

use std::hint::black_box;
use std::process::ExitCode;

use bundles::Beside;
use refund::decide;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let shipped = Beside::default();
    let scenario = arguments.next();
    let (beside, is_lent) = match scenario.as_deref() {
        Some("shipped") => (shipped, false),
        Some("1000-policies") => (Beside { policies: 1_000, ..shipped }, false),
        Some("task") => (shipped, true),
        _ => return usage(),
    };
    let Some(rounds) = arguments.next().and_then(|rounds| rounds.parse::<u32>().ok()) else {
        return usage();
    };
    let files = beside.files();
    let (pdp, request) =
        if is_lent { lent::permitting(&files) } else { refund::permitting(&files, "support-bot") };
    for _ in 0..rounds {
        black_box(decide(&pdp, black_box(&request)));
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions shipped|1000-policies|task ROUNDS");
    ExitCode::from(2)
}
