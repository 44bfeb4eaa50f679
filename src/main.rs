//! Runs one command and returns its exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    palisade::cli::run(palisade::cli::Arguments::parse())
}
