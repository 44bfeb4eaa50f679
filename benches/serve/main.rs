//! Drives the real server over gRPC, beside a bare echo of the same messages, and prints the ratios.
//! Never asserts a time: it exits with an error only when something could not be measured.

mod bench;
mod bundle;
mod call;
mod cerbos;
mod child;
mod codec;
mod criterion;
mod echo;
mod load;
mod options;
mod place;
mod plain;
mod post;
mod procfs;
mod question;
#[path = "../quiet.rs"]
mod quiet;
mod report;
mod rows;
mod running;
mod scenario;
mod tally;
mod trouble;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use prost::Message as _;

use bench::Bench;
use options::{Options, Part};
use place::Place;
use procfs::Others;
use report::Report;
use running::Listen;
use trouble::{Attempt as _, Outcome};

/// The program's, so that the floors have no other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut options = Options::parse();
    let ended = match options.part.take() {
        Some(Part::Echo { listen, answer }) => {
            echo::serve(&listen, &answer).to("the echo ended").map(|()| ExitCode::SUCCESS)
        }
        Some(Part::Plain { answer }) => {
            plain::serve(answer.as_deref()).to("the plain server ended").map(|()| ExitCode::SUCCESS)
        }
        None => measure(options),
    };
    ended.unwrap_or_else(|trouble| {
        eprintln!("error: {trouble}");
        ExitCode::FAILURE
    })
}

fn measure(options: Options) -> Outcome<ExitCode> {
    let folder = build_folder();
    let out = options.out.clone().unwrap_or_else(|| folder.join("bench/serve.md"));
    let joined = options.report.clone();
    let bench = Bench::new(options)?;
    let others = Others::from_now()?;
    let answer_bytes = answer_bytes(&bench)?;
    let Options { quick, workers, .. } = bench.options;
    let mut report = Report::new(bench.effort, quick, workers, Some(answer_bytes));
    for scenario in bench.options.scenarios() {
        eprintln!("{} …", format!("{scenario:?}").to_lowercase());
        report.add(scenario, scenario::run(scenario, &bench));
    }
    report.close(&others)?;
    println!("{}", report.markdown());
    let json = report.write(&out)?;
    eprintln!("written to {} and {}", out.display(), json.display());
    if let Some(path) = joined {
        let medians = criterion::markdown(&folder.join("criterion"));
        let serve = report.markdown();
        report::write(&path, &format!("# In process\n\n{medians}\n# Over gRPC\n\n{serve}"))?;
        eprintln!("joined with criterion's medians in {}", path.display());
    }
    Ok(match report.failures() {
        0 => ExitCode::SUCCESS,
        failures => {
            eprintln!("error: {failures} parts could not be measured; the table says why");
            ExitCode::FAILURE
        }
    })
}

/// How long the real answer is; also the first sign of life.
fn answer_bytes(bench: &Bench) -> Outcome<usize> {
    let place = Place::shipped()?;
    let server = bench.palisade(&place, &Listen::Tcp)?;
    Ok(bench.ask_once(&server)?.encoded_len())
}

/// Cargo's folder for everything that it builds, which holds the one for temporary files.
fn build_folder() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary).to_owned()
}
