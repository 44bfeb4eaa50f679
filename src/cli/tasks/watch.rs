//! `palisade tasks watch`: what ends tasks, as it happens, one line an event.
//! Never skips in silence: after a lost connection it goes on behind the last event that it printed, or says that it cannot.

use std::io::{self, ErrorKind, Write as _};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::{Format, client, document, paper};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::remote::{Dialled, Server};

/// How long to wait before the first attempt to connect again; each further wait is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A server gives a sign of life every ten seconds; after this long without one the connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a line that is under way may take when the command is interrupted.
const LINE_MAX: Duration = Duration::from_millis(500);

/// From where, and how long.
#[derive(Debug, Args)]
#[command(after_help = "\
It goes on until it is interrupted (Ctrl-C), or until nobody reads its output any more. When the connection is lost it connects
again, behind the last event that it has printed, and says so on standard error.

Exit codes: 0 it was ended · 2 usage or I/O error, or events since --after are no longer known

Examples:
  palisade tasks watch
  palisade tasks watch --format json | jq -r 'select(.event == \"ended\") | .task.id'
  palisade tasks watch --after \"$PLACE\" --count 1")]
pub(super) struct Options {
    /// Go on behind an event: its `resume_token` [default: from now on]
    #[arg(long, value_name = "TOKEN")]
    after: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How to print the events.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(options: &Options) -> Result<Exit, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let mut follower = Follower {
        options,
        place: options.after.clone().unwrap_or_default(),
        left: options.count,
        writing: None,
        ever: false,
        heard: false,
    };
    let ended = runtime.block_on(async {
        let interrupted = signal(SignalKind::interrupt());
        let mut interrupted = interrupted.map_err(|error| format!("no signals: {error}"))?;
        tokio::select! {
            ended = follower.follow() => ended,
            _ = interrupted.recv() => {
                // A line that was printed counts, but nobody has to read it.
                let _ = timeout(LINE_MAX, follower.written()).await;
                Ok(())
            }
        }
    });
    // A reader that neither reads nor goes away must not keep the command.
    runtime.shutdown_background();
    if !follower.place.is_empty() {
        anstream::eprintln!("go on behind the last event with --after '{}'", follower.place);
    }
    ended.map(|()| Exit::Ok)
}

/// Where somebody who follows stands.
struct Follower<'a> {
    options: &'a Options,
    /// Behind which event to go on; empty when none is known.
    place: String,
    /// The line that is being printed, and the place behind it.
    writing: Option<(JoinHandle<io::Result<()>>, String)>,
    /// How many events are left to print; none for all.
    left: Option<u64>,
    /// Whether the server was ever heard.
    ever: bool,
    /// Whether it was heard since the last connection.
    heard: bool,
}

/// How a connection ended.
enum Parted {
    /// All was printed that was asked for, or that somebody reads.
    Done,
    /// It may be better the next time.
    Lost(String),
    /// It will not.
    Refused(String),
}

impl Follower<'_> {
    async fn follow(&mut self) -> Result<(), String> {
        let mut backoff = BACKOFF_FIRST;
        loop {
            self.heard = false;
            match self.once().await {
                Parted::Done => return Ok(()),
                Parted::Refused(words) => return Err(words),
                // Whoever never answered may not be there at all: that is for people to see at once.
                Parted::Lost(words) if !self.ever => return Err(words),
                Parted::Lost(words) => {
                    if self.heard {
                        backoff = BACKOFF_FIRST;
                    }
                    let gap = if self.place.is_empty() { "; what happens until then is missed" } else { "" };
                    let ms = backoff.as_millis();
                    anstream::eprintln!("connection lost: {words}; connecting again in {ms} ms{gap}");
                    sleep(backoff).await;
                    backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// One connection, to its end.
    async fn once(&mut self) -> Parted {
        let server = match self.options.server.dial("").await {
            Ok(server) => server,
            Err(words) => return Parted::Lost(words),
        };
        let request = server.message(v1::WatchRequest { resume_token: self.place.clone() });
        let silent = || Parted::Lost(format!("nothing was heard for {} s", SILENCE_MAX.as_secs()));
        let mut client = client(&server);
        let mut events = match timeout(SILENCE_MAX, client.watch(request)).await {
            Ok(Ok(events)) => events.into_inner(),
            Ok(Err(status)) => return parted(&server, &status),
            Err(_) => return silent(),
        };
        loop {
            match timeout(SILENCE_MAX, events.message()).await {
                Ok(Ok(Some(message))) => {
                    if let Some(parted) = self.take(message).await {
                        return parted;
                    }
                }
                Ok(Ok(None)) => return Parted::Lost("the server ended the stream".into()),
                Ok(Err(status)) => return parted(&server, &status),
                Err(_) => return silent(),
            }
        }
    }

    /// Prints an event, and only then stands behind it.
    async fn take(&mut self, message: v1::WatchResponse) -> Option<Parted> {
        let v1::WatchResponse { resume_token, state_revision, event } = message;
        if self.ever && !self.heard {
            anstream::eprintln!("connected again");
        }
        (self.ever, self.heard) = (true, true);
        let is_event = event.is_some();
        if let Some(event) = event {
            let line = match self.options.format {
                Format::Table => paper::event(&event),
                Format::Json => document::event(&event, &resume_token, state_revision).to_string(),
            };
            self.writing = Some((spawn_blocking(move || write(&line)), resume_token));
            match self.written().await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Some(Parted::Done),
                Err(error) => {
                    return Some(Parted::Refused(format!("cannot write to standard output: {error}")));
                }
            }
        } else if !resume_token.is_empty() {
            self.place = resume_token;
        }
        if is_event && let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            return (*left == 0).then_some(Parted::Done);
        }
        None
    }
}

impl Follower<'_> {
    /// Waits until the line under way is written, and stands behind its event.
    async fn written(&mut self) -> io::Result<()> {
        let Some((line, _)) = &mut self.writing else { return Ok(()) };
        let ended = line.await;
        if let Some((_, place)) = self.writing.take()
            && matches!(ended, Ok(Ok(())))
            && !place.is_empty()
        {
            self.place = place;
        }
        ended.map_err(io::Error::other)?
    }
}

fn write(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn parted(server: &Dialled, status: &Status) -> Parted {
    let words = server.words(status);
    if server.broken(status).is_some() {
        return Parted::Lost(words);
    }
    match status.code() {
        Code::OutOfRange => Parted::Refused(format!(
            "events behind that place are no longer known: {}; watch anew without --after, and look at the tasks that you \
             hold with `palisade tasks show`",
            status.message()
        )),
        Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unimplemented => Parted::Refused(words),
        _ => Parted::Lost(words),
    }
}
