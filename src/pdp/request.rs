//! What is asked of the PDP, and what the shell gives to each decision.
//! Never believed: establishing who asks, and under which task, is the PDP's own.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::TaskAsk;
use crate::access::{DecisionId, ObligationType, Question, Timestamp};
use crate::audit::Face;
use crate::identity::{Caller, Claim, Credentials};
use crate::mcp;
use crate::value::Uid;

/// What a PEP asks. Nothing in it is believed yet.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it came in.
    pub face: Face,
    /// The PEP, as its transport authenticated it.
    pub caller: Arc<Caller>,
    /// The caller's own id for the request; may be empty.
    pub request_id: String,
    /// Who is said to ask.
    pub claim: Option<Claim>,
    /// Who is shown to ask.
    pub credentials: Credentials,
    /// What is asked.
    pub ask: Ask,
    /// The session.
    pub session: Option<String>,
    /// The task; recorded, grants nothing.
    pub task: Option<String>,
    /// The task's purpose; recorded, grants nothing.
    pub purpose: Option<String>,
    /// The agent's own words; recorded, never decided on.
    pub intent: Option<String>,
    /// Whether the answer is all that is wanted: nothing is spent for it, and no step follows.
    pub preview: bool,
    /// The state that the answer is to know at least; 0 asks for nothing.
    pub min_state: u64,
    /// The obligations that the caller says it fulfils; none unless it opted in.
    pub understands: BTreeSet<ObligationType>,
    /// Whether the answer explains itself. The face has checked that the caller may have that.
    pub explain: bool,
    /// The W3C trace id.
    pub trace_id: Option<String>,
}

impl Request {
    /// What the library's own user asks: nobody is named yet, and nothing else is said. A face of the server says each member
    /// itself.
    pub fn new(caller: Arc<Caller>, ask: Ask) -> Self {
        Self {
            face: Face::Embedded,
            caller,
            request_id: String::new(),
            claim: None,
            credentials: Credentials::default(),
            ask,
            session: None,
            task: None,
            purpose: None,
            intent: None,
            preview: false,
            min_state: 0,
            understands: BTreeSet::new(),
            explain: false,
            trace_id: None,
        }
    }
}

/// The question, in terms of the schema or as a message of a protocol.
#[derive(Debug, Clone)]
pub enum Ask {
    /// In terms of the Cedar schema.
    Access(Question),
    /// A message of the Model Context Protocol.
    Mcp(mcp::Message),
    /// About a task itself.
    Task(TaskAsk),
    /// What a face understood, and could not put in one way only: denied as `InvalidInput`, whoever asks.
    Unclear(Unclear),
}

/// A request that is denied for what it says, before it is looked at who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unclear {
    /// Safe words: names of members, never a value.
    pub words: String,
    /// The action that it names, as far as it does.
    pub action: Option<Uid>,
    /// The resource that it names, as far as it does.
    pub resource: Option<Uid>,
}

/// What the shell gives to each decision.
pub struct Occasion<'a> {
    /// The decision's id, fresh.
    pub id: DecisionId,
    /// The instant of the decision.
    pub now: Timestamp,
    /// Microseconds since the request arrived.
    pub elapsed_us: &'a dyn Fn() -> u64,
}
