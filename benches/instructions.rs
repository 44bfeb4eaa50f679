//! Decides a number of times and stops, so that a tool that counts instructions can count those of one decision:
//! `benches/instructions.sh` runs it twice and divides the difference.
//! Never looks at a clock.

#[path = "bundles.rs"]
mod bundles;
#[path = "refund.rs"]
mod refund;

use std::hint::black_box;
use std::process::ExitCode;

use bundles::Beside;
use refund::{decide, permitting};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let beside = match arguments.next().as_deref() {
        Some("shipped") => Beside::default(),
        Some("1000-policies") => Beside { policies: 1_000, ..Beside::default() },
        _ => return usage(),
    };
    let Some(rounds) = arguments.next().and_then(|rounds| rounds.parse::<u32>().ok()) else {
        return usage();
    };
    let (pdp, request) = permitting(&beside.files(), "support-bot");
    for _ in 0..rounds {
        black_box(decide(&pdp, black_box(&request)));
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions shipped|1000-policies ROUNDS");
    ExitCode::from(2)
}
