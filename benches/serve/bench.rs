//! What all scenarios share: the clients' runtime, the effort, both sides, and the rounds.
//! Never measures one side without the other where there are two.

use std::path::Path;

use palisade::api::proto::v1;
use prost::Message as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use crate::call;
use crate::echo;
use crate::load;
use crate::options::{Effort, Options};
use crate::place::Place;
use crate::post::Post;
use crate::question::{self, Authorize};
use crate::quiet::{Processors, quietest};
use crate::rows::{Pair, Row};
use crate::running::{Listen, Running};
use crate::tally::Slot;
use crate::trouble::{Attempt as _, Outcome, Trouble};

/// Where AuthZEN is asked.
const EVALUATION: &str = "/access/v1/evaluation";
/// How AuthZEN's permit begins.
pub const PERMITTED: &[u8] = br#"{"decision":true"#;
/// More calls at once than this share so many connections.
const CONNECTIONS_MAX: usize = 4;

/// What a scenario has found.
pub enum Finding {
    /// Figures.
    Row(Row),
    /// None, and why.
    Failed {
        /// Under which conditions.
        conditions: String,
        /// Why.
        trouble: Trouble,
    },
}

/// A turn of each side, and what a hypervisor took away meanwhile.
struct Round {
    ours: Slot,
    theirs: Slot,
    stolen: f64,
}

/// What all scenarios share.
pub struct Bench {
    /// What was asked for.
    pub options: Options,
    /// How much trouble is taken.
    pub effort: Effort,
    /// The clients' runtime.
    pub runtime: Runtime,
    /// For sockets, whose paths must be short, and for the answer that the echo gives.
    scratch: TempDir,
}

impl Bench {
    /// Before anything is started.
    pub fn new(options: Options) -> Outcome<Self> {
        let effort = options.effort();
        let scratch = tempfile::tempdir().to("cannot make a temporary directory")?;
        Ok(Self { options, effort, runtime: load::runtime()?, scratch })
    }

    /// Serves a bundle.
    pub fn palisade(&self, place: &Place, listen: &Listen) -> Outcome<Running> {
        place.serve(listen, &self.options)
    }

    /// Serves the answer that a running server gives.
    pub fn echo_of(&self, server: &Running, listen: &Listen) -> Outcome<Running> {
        let answer = self.ask_once(server)?;
        self.echo(&answer, listen)
    }

    /// Serves an answer.
    pub fn echo(&self, answer: &v1::AuthorizeResponse, listen: &Listen) -> Outcome<Running> {
        let path = self.scratch.path().join("answer");
        std::fs::write(&path, answer.encode_to_vec()).to("cannot write the echo's answer")?;
        echo::start(listen, &path, self.options.workers)
    }

    /// The answer to the question.
    pub fn ask_once(&self, server: &Running) -> Outcome<v1::AuthorizeResponse> {
        let mut call = question::authorize(self.connect(server)?)?;
        self.runtime.block_on(call.make()).map_err(Trouble::Call)
    }

    /// Where a socket may be made.
    pub fn socket(&self, name: &str) -> Listen {
        Listen::Unix(self.scratch().join(name))
    }

    /// A directory for anything small.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// One connection.
    pub fn connect(&self, server: &Running) -> Outcome<Channel> {
        self.runtime.block_on(call::connect(&server.uri))
    }

    /// The question over as many connections as so many calls at once use.
    pub fn calls(&self, server: &Running, concurrency: usize) -> Outcome<Vec<Authorize>> {
        let connections = 0..connections(concurrency);
        connections.map(|_| question::authorize(self.connect(server)?)).collect()
    }

    /// The question over HTTP, on as many connections as calls at once: one has one request under way.
    pub fn posts(&self, server: &Running, concurrency: usize) -> Outcome<Vec<Post>> {
        self.posts_to(&server.uri, &question::evaluation(), PERMITTED, concurrency)
    }

    /// The same to another server, with its own question.
    pub fn posts_to(
        &self,
        uri: &str,
        body: &str,
        permitted: &'static [u8],
        concurrency: usize,
    ) -> Outcome<Vec<Post>> {
        let token = question::bearer();
        let post = || Post::connect(uri, EVALUATION, &token, body, permitted);
        (0..concurrency).map(|_| self.runtime.block_on(post())).collect()
    }

    /// Both sides in turn, the first to begin changing from round to round. `slot` measures the first side when it is
    /// told `true`.
    pub fn rounds(&self, mut slot: impl FnMut(bool) -> Outcome<Slot>) -> Outcome<Pair> {
        let mut ours_first = false;
        let round = || {
            ours_first = !ours_first;
            let processors = Processors::now();
            let [first, second] = [slot(ours_first)?, slot(!ours_first)?];
            let stolen = processors.stolen_since();
            let (ours, theirs) = if ours_first { (first, second) } else { (second, first) };
            Ok(Round { ours, theirs, stolen })
        };
        let mut pair = Pair { ours: vec![], theirs: vec![], stolen: vec![] };
        let wanted = usize::try_from(self.effort.rounds).unwrap_or(usize::MAX);
        for Round { ours, theirs, stolen } in quietest(wanted, |round: &Round| round.stolen, round)? {
            pair.ours.push(ours);
            pair.theirs.push(theirs);
            pair.stolen.push(stolen);
        }
        Ok(pair)
    }
}

/// How many connections so many calls at once use.
pub fn connections(concurrency: usize) -> usize {
    concurrency.clamp(1, CONNECTIONS_MAX)
}
