//! `palisade serve`: the configuration, then the server until it is stopped.
//! Never serves a bundle with an error in it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, trouble};
use crate::diagnostic::chain;
use crate::server::config::{self, Environment, Overrides};
use crate::server::listen::Address;
use crate::server::reload::StartError;
use crate::server::{Announce, ServeError};

/// Where to find things, and where to listen. Options win over the configuration file.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
The configuration is `palisade.yaml` in the current directory if there is one; every key has a default.
SIGHUP looks at the bundle at once; SIGTERM and SIGINT drain and stop. Port 0 takes a free port.
On standard output: one line per address (`grpc listening on 127.0.0.1:8180`), then `ready`. Logs go to standard error.")]
pub(super) struct Options {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The bundle directory: schemas/, policies/, entities/, tools/ [default: the current directory].
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// A gRPC address, IP:PORT or unix:PATH; give it again for more [default: 127.0.0.1:8180].
    #[arg(long, value_name = "ADDR")]
    grpc: Vec<Address>,
    /// The HTTP address of AuthZEN, task keys and OAuth endpoints [default: 127.0.0.1:8181].
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// The address of health, metrics and administration [default: 127.0.0.1:8182].
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The data directory: audit journal, keys, the operator's token [default: data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(options: Options) -> Exit {
    let Options { config, bundle, grpc, http, admin, data } = options;
    // The people and tools of the first question are those of the shipped bundle.
    let mut hint = config.is_none() && bundle.is_none();
    let overrides = Overrides { bundle, data, grpc, http, admin };
    let settings = match config::load(config.as_deref(), overrides, Environment::read()) {
        Ok(settings) => settings,
        Err(error) => return trouble(chain(&error)),
    };
    match crate::server::serve(settings, |news| announce(&news, &mut hint)) {
        Ok(()) => Exit::Ok,
        Err(ServeError::Start(StartError::Refused(findings))) => {
            super::paint::findings(&findings);
            anstream::eprintln!("error: the bundle is refused; `palisade check` shows the same");
            Exit::Findings
        }
        Err(error) => trouble(chain(&error)),
    }
}

fn announce(news: &Announce, hint: &mut bool) {
    match news {
        Announce::Grpc(address) => {
            anstream::println!("grpc listening on {address}");
            // Once, for the first address.
            if !std::mem::take(hint) {
                return;
            }
            let program = std::env::args().next().unwrap_or_else(|| "palisade".into());
            anstream::eprintln!(
                "ask a first question:  {program} authorize --grpc {address} --human ana --agent support-bot \
                 --tool crm/lookup_customer --args '{{\"customer_id\":\"c-1\"}}'"
            );
        }
        Announce::Http(address) => anstream::println!("http listening on {address}"),
        Announce::Admin(address) => anstream::println!("admin listening on {address}"),
        Announce::Ready => anstream::println!("ready"),
    }
}
