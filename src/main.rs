//! Runs one command and returns its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match palisade::cli::Arguments::typed() {
        Ok(arguments) => palisade::cli::run(arguments),
        Err(ended) => ended,
    }
}
