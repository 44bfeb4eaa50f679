//! Searches: who may, what with, and what about it. Each result would be permitted now, by the same path as any step.
//! Never answers without a record, never spends, and never finds what its caller does not enforce.

mod offers;
mod open;
mod page;
mod told;
mod tools;
mod walk;

use super::establish::{Refused, establish};
use super::{Ask, Current, Error, InForce, Occasion, Pdp, Request, Unclear};
use crate::access::{DecisionId, DenyReason, Question, Revision};
use crate::audit::{AuditError, AuditSink, Receipt, SearchKind};
use crate::catalog::server_of;
use crate::mcp::{self, Mapped};
use crate::policy::Snapshot;
use crate::value::Uid;
pub use offers::{Offers, Thing, Usable};
pub(super) use open::call_of;
pub use page::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, PAGE_TOKEN_BYTES_MAX, Page, PageFault};
use page::{Place, Start};
pub(super) use told::{Parties, Tally};
pub use tools::{Listed, ListedTools, ToolList, ToolListFault};
use walk::Going;
pub(super) use walk::enforces;

/// How many questions one page may cost. A page that reaches it is shorter than its limit, and says where to go on.
pub const PAGE_QUESTIONS_MAX: usize = 10_000;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// Those of this type who may. The principal of the request is left out; the actor, if one is named, is the same for all.
    Subjects {
        /// The entity type.
        kind: String,
    },
    /// The entities of this type that it may be done to.
    Resources {
        /// The entity type.
        kind: String,
        /// Only those of this server of the catalog. A token is shown to one server, so that it has to be named then.
        server: Option<String>,
    },
    /// What may be done.
    Actions,
}

/// A search. Its request holds the question, of which the part that is looked for is not read; or a message of MCP that comes to
/// one.
#[derive(Debug, Clone)]
pub struct Search {
    /// Who asks, and the rest of the question.
    pub request: Request,
    /// What is looked for.
    pub sought: Sought,
    /// Which part of the results.
    pub page: Page,
}

impl Search {
    /// The server that it names itself. What it finds elsewhere is looked at one by one.
    pub fn server(&self) -> Option<&str> {
        match (&self.sought, &self.request.ask) {
            (Sought::Resources { server, .. }, _) => server.as_deref(),
            (Sought::Subjects { .. } | Sought::Actions, Ask::Access(question)) => {
                server_of(&question.resource)
            }
            (Sought::Subjects { .. } | Sought::Actions, Ask::Mcp(message)) => Some(&message.server),
            (Sought::Subjects { .. } | Sought::Actions, Ask::Task(_) | Ask::Unclear(_)) => None,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The search's id.
    pub id: DecisionId,
    /// The snapshot that it was made on.
    pub revision: Revision,
    /// The one that its first page was made on.
    pub begun: Revision,
    /// In the order of their ids.
    pub results: Vec<Uid>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
    /// Why nothing was looked at, with words that are safe to show.
    pub refused: Option<(DenyReason, String)>,
    /// The state of tasks and revocations that it knows; none where there is none.
    pub state: Option<u64>,
}

/// Something found whose record is being settled: it cannot be read before that.
#[derive(Debug)]
#[must_use = "what was found is not given until its record is settled"]
pub struct Unsettled<T> {
    found: T,
    receipt: Result<Receipt, AuditError>,
}

impl<T> Unsettled<T> {
    pub(super) fn new(found: T, receipt: Result<Receipt, AuditError>) -> Self {
        Self { found, receipt }
    }

    /// What was found, against the receipt of its record.
    ///
    /// # Errors
    /// [`Error::AuditUnavailable`] when the record was not written: then nothing was found.
    pub fn settle(self) -> Result<T, Error> {
        match self.receipt {
            Ok(_written) => Ok(self.found),
            Err(error) => Err(Error::AuditUnavailable(error)),
        }
    }
}

impl<S: AuditSink> Pdp<S> {
    /// Finds one page of what is looked for, and records the search.
    ///
    /// # Errors
    /// [`PageFault`] when it does not go on from this page's token.
    pub fn search(&self, search: &Search, occasion: Occasion<'_>) -> Result<Unsettled<Found>, PageFault> {
        self.search_at(&self.current(), search, occasion)
    }

    /// The same on what was in force when the search was read.
    ///
    /// # Errors
    /// As [`Pdp::search`].
    pub fn search_at(
        &self,
        Current { in_force, .. }: &Current,
        search: &Search,
        occasion: Occasion<'_>,
    ) -> Result<Unsettled<Found>, PageFault> {
        let InForce { snapshot, trust } = &**in_force;
        // Nothing is spent and nothing is bound by what is only looked for.
        let mut request = Request { preview: true, explain: false, ..search.request.clone() };
        let caller = request.caller.clone();
        let ask = std::mem::replace(&mut request.ask, Ask::Unclear(Unclear::default()));
        request.ask = question_in(snapshot, ask, &self.limits);
        let standing = match (&search.sought, &mut request.ask) {
            (_, Ask::Mcp(_) | Ask::Task(_)) => {
                Err(Refused::because(DenyReason::InvalidInput, "a search is for a question"))
            }
            (_, Ask::Unclear(unclear)) => Err(Refused::because(DenyReason::InvalidInput, &*unclear.words)),
            (Sought::Subjects { .. }, Ask::Access(_)) => no_tokens(&request).map(|()| None),
            (Sought::Resources { kind, server }, Ask::Access(question)) => {
                question.resource =
                    Uid::new(kind, server.as_ref().map_or(String::new(), |id| home(kind, id)));
                establish(self, snapshot, trust, &request, occasion.now).map(Some)
            }
            (Sought::Actions, Ask::Access(_)) => {
                establish(self, snapshot, trust, &request, occasion.now).map(Some)
            }
        };
        let (parties, refused, standing) = match standing {
            Ok(standing) => (Parties::of(standing.as_ref()), None, Some(standing)),
            Err(refused) => {
                let principal = refused.principal.map(|principal| *principal);
                let task = refused.task.map(|task| task.name);
                (Parties { principal, task }, Some((refused.reason, refused.words)), None)
            }
        };
        let digest = self.digest_of(&request, &search.sought, &parties);
        let Start { after, limit, begun } =
            search.page.place(&self.digest_key, &caller.name, digest, snapshot.revision())?;
        let mut going =
            Going { after, limit: limit as usize, evaluated: 0, results: Vec::new(), more: false };
        if let Some(established) = &standing {
            self.go_through(
                &mut going,
                in_force,
                &mut request,
                &search.sought,
                established.as_ref(),
                &occasion,
            );
        }
        let Going { after, evaluated, results, more, .. } = going;
        let (kind, sought, server) = search.sought.told();
        let reason = refused.as_ref().map(|(reason, _)| *reason);
        let tally = Tally { kind, sought, server, evaluated, found: results.len(), more, reason };
        let receipt = self.tell(snapshot, &search.request, &occasion, &parties, tally);
        let place =
            after.filter(|_| more).map(|after| Place { after, limit, search: digest, begun: begun.clone() });
        let seal = |place: Place| place.seal(&self.digest_key, &caller.name).ok_or(PageFault::Unsealed);
        let next = place.map(seal).transpose()?;
        let revision = snapshot.revision().clone();
        let state = self.state();
        Ok(Unsettled::new(Found { id: occasion.id, revision, begun, results, next, refused, state }, receipt))
    }
}

impl Sought {
    fn told(&self) -> (SearchKind, &str, Option<&str>) {
        match self {
            Self::Subjects { kind } => (SearchKind::Subjects, kind, None),
            Self::Resources { kind, server } => (SearchKind::Resources, kind, server.as_deref()),
            Self::Actions => (SearchKind::Actions, "", None),
        }
    }
}

/// The question that a message comes to, when it is one; anything else as it is.
fn question_in(snapshot: &Snapshot, ask: Ask, limits: &mcp::Limits) -> Ask {
    let Ask::Mcp(message) = &ask else { return ask };
    let words = match mcp::map(message, snapshot.catalog(), limits) {
        Mapped::Ask(step) if step.also.is_empty() => return Ask::Access(step.question),
        Mapped::Deny(refusal) => refusal.words,
        Mapped::Ask(_) | Mapped::Pass | Mapped::AskBack(_) => "a search is for one question".to_owned(),
    };
    Ask::Unclear(Unclear { words, ..Unclear::default() })
}

/// An id of this type that stands on the server.
fn home(kind: &str, server: &str) -> String {
    if kind == "Server" { server.to_owned() } else { format!("{server}/") }
}

/// A search for subjects asserts each of them: there is nothing that a token could show.
fn no_tokens(request: &Request) -> Result<(), Refused> {
    if request.credentials.is_empty() {
        return Ok(());
    }
    let words = "a search for subjects takes no token: a token names its subject";
    Err(Refused::because(DenyReason::InvalidInput, words))
}

/// The request of a question that is not asked yet.
pub(super) fn question_of(request: &Request) -> Option<&Question> {
    match &request.ask {
        Ask::Access(question) => Some(question),
        Ask::Mcp(_) | Ask::Task(_) | Ask::Unclear(_) => None,
    }
}
