//! The command line: one file a command.
//! Never decides what a thing means: it parses arguments, calls the library, prints, and returns an exit code.

mod authorize;
mod bundle;
mod check;
mod drift;
mod junit;
mod paint;
mod reach;
mod remote;
mod secret;
mod serve;
mod tasks;
mod test;
mod token;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::server::stack;

/// Palisade decides each step of an AI agent at the moment of use.
///
/// A gateway or an MCP server asks before each step; Palisade evaluates Cedar policies, writes the evidence, and
/// answers. Without a command it serves the bundle in the current directory on loopback.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, about, long_about, after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Exit codes: 0 ok · 1 findings, a failed test, or a deny · 2 usage or I/O error

A first session, in a checkout:
  palisade check                 validate the bundle in the current directory
  palisade test                  run its policy tests
  palisade serve                 serve it on 127.0.0.1:8180
  palisade authorize --human ana --agent support-bot --tool crm/lookup_customer --args '{\"customer_id\":\"c-1\"}'";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve decisions over gRPC and HTTP, with hot reload, an audit journal and an admin port.
    Serve(serve::Options),
    /// Validate a bundle: schema, policies, entities, catalog. Reports every finding at once.
    Check(check::Options),
    /// Run the `*_test.yaml` policy tests of a bundle.
    Test(test::Options),
    /// Ask one question, of a running server or of a bundle, and explain the answer.
    Authorize(Box<authorize::Options>),
    /// Show all that a party can reach now, by which policies, and under which further conditions.
    Reach(Box<reach::Options>),
    /// Start, show, end, revoke and watch tasks: authority that is lent to an agent for one purpose.
    Tasks(Box<tasks::Options>),
    /// Ask a running server which live tasks a new bundle would end.
    Drift(drift::Options),
    /// Look at a token as the server would.
    Token(token::Options),
    /// Print the version.
    Version,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; colours on a terminal only.
    Human,
    /// One JSON document.
    Json,
}

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Nothing to complain about.
    Ok,
    /// Findings, failed tests, or a deny.
    Findings,
    /// Wrong usage, or something could not be read or reached.
    Trouble,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => Self::SUCCESS,
            Exit::Findings => Self::from(1),
            Exit::Trouble => Self::from(2),
        }
    }
}

impl Arguments {
    /// What was typed.
    ///
    /// # Errors
    /// How the process is to end when it is not understood, or asks for help; then that is printed. A token that was typed is
    /// not shown again.
    pub fn typed() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() && std::env::args().any(|word| secret::holds_a_token(&word)) {
                let words = "a token stands on the command line, where others can see it, and not in its place; put it into a file and \
                             name that (`--help` says how)";
                return trouble(words).into();
            }
            // Nobody is left to be told.
            let _unread = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        })
    }
}

/// Runs one command.
pub fn run(arguments: Arguments) -> ExitCode {
    // Compiling, testing and explaining recurse as deep as a policy does.
    match stack::deep(|| obey(arguments)) {
        Ok(exit) => exit,
        Err(error) => trouble(format!("no thread could be made: {error}")),
    }
    .into()
}

fn obey(arguments: Arguments) -> Exit {
    match arguments.command {
        None => serve::run(serve::Options::default()),
        Some(Command::Serve(options)) => serve::run(options),
        Some(Command::Check(options)) => check::run(&options),
        Some(Command::Test(options)) => test::run(&options),
        Some(Command::Authorize(options)) => authorize::run(&options),
        Some(Command::Reach(options)) => reach::run(&options),
        Some(Command::Tasks(options)) => tasks::run(&options),
        Some(Command::Drift(options)) => drift::run(&options),
        Some(Command::Token(options)) => token::run(&options),
        Some(Command::Version) => {
            anstream::println!("palisade {}", env!("CARGO_PKG_VERSION"));
            Exit::Ok
        }
    }
}

/// Says on standard error what went wrong and what to do.
fn trouble(words: impl std::fmt::Display) -> Exit {
    anstream::eprintln!("error: {words}");
    Exit::Trouble
}
