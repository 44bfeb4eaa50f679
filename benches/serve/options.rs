//! What the command line says.
//! Never read from the environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::load::Length;

/// Drives the real server over gRPC, alternately with a bare echo of the same messages, and prints the ratios.
/// docs/benchmarking.md says what each scenario measures.
#[derive(Debug, Parser)]
#[command(name = "serve", bin_name = "cargo bench --bench serve --")]
pub struct Options {
    /// Only these scenarios [default: all, `peers` when --cerbos is given, `treetop` when --treetop is].
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    pub only: Vec<Scenario>,
    /// Short rounds and small bundles: shows that it works, and nothing else.
    #[arg(long)]
    pub quick: bool,
    /// How often both sides have their turn [default: 5, quick 2].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// How long one turn is recorded, in seconds [default: 3, quick 0.3; `reload` takes four times as long].
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Calls a second of the scenario `open`.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Worker threads of the server, and of the echo alike [default: as many as there are cores].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: Option<u32>,
    /// The server to be measured [default: the one that cargo built with this].
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub palisade: Option<PathBuf>,
    /// Where the table goes; the figures of each round go to a .json beside it [default: target/bench/serve.md].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Joins the table with criterion's medians in one file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The Cerbos binary for the scenario `peers`.
    #[arg(long, value_name = "FILE")]
    pub cerbos: Option<PathBuf>,
    /// The binary of benches/peers/treetop for the scenario `treetop`.
    #[arg(long, value_name = "FILE")]
    pub treetop: Option<PathBuf>,
    /// Cargo says this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    /// What this binary does for itself.
    #[command(subcommand)]
    pub part: Option<Part>,
}

/// What this binary does for itself.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// The floor: answers everything with one answer.
    #[command(hide = true)]
    Echo {
        /// `127.0.0.1:0` or `unix:/path`.
        #[arg(long)]
        listen: String,
        /// An encoded `AuthorizeResponse`.
        #[arg(long)]
        answer: PathBuf,
    },
    /// A floor over HTTP: answers everything with one answer, or with what it was asked.
    #[command(hide = true)]
    Plain {
        /// JSON.
        #[arg(long)]
        answer: Option<String>,
    },
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Single calls over TCP, closed loop, concurrency 1, 16 and 64 (B4, B5).
    Unary,
    /// The same over a Unix socket.
    Unix,
    /// One stream, windows of 1, 16 and 64 (B6).
    Stream,
    /// Single calls at a given rate, latency from the intended instant.
    Open,
    /// 1,000 policies, a quarter of the peak, with and without a reload each second (B7).
    Reload,
    /// 10,000 policies: from a changed file to its effect, and the cold start (B8).
    Effect,
    /// Resident memory, idle and with 10,000 policies (B10).
    Memory,
    /// What a Unix socket alone gives: the echo over both.
    Floor,
    /// AuthZEN's evaluation over HTTP/1.1, beside plain axum servers.
    Http,
    /// Cerbos with an equivalent policy, over gRPC (B5) and AuthZEN.
    Peers,
    /// Treetop's engine behind HTTP, with 10 and 1,000 policies (B11).
    Treetop,
}

/// How much trouble is taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Effort {
    /// Turns of both sides.
    pub rounds: u32,
    /// Seconds of a turn that are not recorded.
    pub settle_s: f64,
    /// Seconds of a turn that are.
    pub measured_s: f64,
    /// Policies of the scenario `reload`.
    pub policies_reload: usize,
    /// Policies of the scenarios `effect` and `memory`.
    pub policies_many: usize,
}

impl Effort {
    /// A turn.
    pub fn length(&self) -> Length {
        Length {
            settle: Duration::from_secs_f64(self.settle_s),
            measured: Duration::from_secs_f64(self.measured_s),
        }
    }
}

impl Options {
    /// How much trouble is taken.
    pub fn effort(&self) -> Effort {
        let (rounds, settle_s, measured_s, policies_reload, policies_many) =
            if self.quick { (2, 0.1, 0.3, 200, 500) } else { (5, 0.5, 3.0, 1_000, 10_000) };
        Effort {
            rounds: self.rounds.unwrap_or(rounds),
            settle_s,
            measured_s: self.seconds.map_or(measured_s, |seconds| seconds.as_secs_f64()),
            policies_reload,
            policies_many,
        }
    }

    /// The scenarios to run, in the order of their declaration.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let wanted = |scenario: &Scenario| match self.only.as_slice() {
            [] => {
                (*scenario != Scenario::Peers || self.cerbos.is_some())
                    && (*scenario != Scenario::Treetop || self.treetop.is_some())
            }
            only => only.contains(scenario),
        };
        Scenario::value_variants().iter().copied().filter(wanted).collect()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give a positive number of seconds".to_owned())
}

/// The server runs in a folder of its own.
fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}
