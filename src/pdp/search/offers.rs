//! What a server lists of tools, resources or prompts, thing by thing: may it be used?
//! Never yes about a tool that the catalog does not have or has otherwise, nor about a name that could mean two things.

use super::open::call_of;
use super::{Parties, Tally, Unsettled};
use crate::access::{DecisionId, DenyReason, Question, Revision};
use crate::audit::{AuditSink, SearchKind};
use crate::catalog::Server;
use crate::mcp::Offered;
use crate::pdp::establish::{Established, Refused, establish};
use crate::pdp::{Ask, Current, InForce, Occasion, Pdp, Request};
use crate::policy::{Memory, Round};
use crate::value::{Uid, Value};

/// What a server offers, and who asks for it.
#[derive(Debug, Clone)]
pub struct Offers {
    /// Who asks. Its question is not read.
    pub request: Request,
    /// The server, by its id in the catalog.
    pub server: String,
    /// Which of its lists it is.
    pub offered: Offered,
    /// What is on it.
    pub things: Vec<Thing>,
}

/// One thing on a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// As the server itself calls it.
    pub name: String,
    /// The whole item, as the server itself lists it. Read for tools only: they must be the reviewed ones.
    pub definition: Value,
}

/// Which of the things may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// The search's id.
    pub id: DecisionId,
    /// The snapshot that it was made on.
    pub revision: Revision,
    /// For each thing, in their order.
    pub usable: Vec<bool>,
    /// Why nothing was looked at, with words that are safe to show.
    pub refused: Option<(DenyReason, String)>,
}

impl<S: AuditSink> Pdp<S> {
    /// Finds out which of the things may be used, on what was in force when the list was read, and records it as a search. A
    /// tool may be used unless it is certain that no arguments would be permitted.
    pub fn usable_at(
        &self,
        Current { in_force, .. }: &Current,
        offers: &Offers,
        occasion: Occasion<'_>,
    ) -> Unsettled<Usable> {
        let InForce { snapshot, trust } = &**in_force;
        let Offers { request, server, offered, things } = offers;
        let use_of = Uid::new("Action", offered.use_of());
        let question = Question::new(use_of, Uid::new("Server", server));
        let request =
            Request { ask: Ask::Access(question), preview: true, explain: false, ..request.clone() };
        let standing = match snapshot.catalog().server(server) {
            Some(server) => {
                establish(self, snapshot, trust, &request, occasion.now).map(|standing| (server, standing))
            }
            None => Err(Refused::because(DenyReason::UnknownTool, "the catalog does not have the server")),
        };
        let (usable, parties, refused) = match standing {
            Err(Refused { reason, words, principal, task, .. }) => {
                let principal = principal.map(|principal| *principal);
                let parties = Parties { principal, task: task.map(|task| task.name) };
                (vec![false; things.len()], parties, Some((reason, words)))
            }
            Ok((server, standing)) => {
                let mut memory = Memory::default();
                let mut round = Round::remembering(snapshot, &mut memory);
                let may = |thing| {
                    self.may_use(&mut round, &request, (server, *offered, thing), &standing, &occasion)
                };
                (things.iter().map(may).collect(), Parties::of(Some(&standing)), None)
            }
        };
        let kind = match offered {
            Offered::Tools => SearchKind::Tools,
            Offered::Resources | Offered::Templates | Offered::Prompts => SearchKind::Resources,
        };
        let tally = Tally {
            kind,
            sought: offered.kind(),
            server: Some(server),
            evaluated: if refused.is_none() { things.len() } else { 0 },
            found: usable.iter().filter(|usable| **usable).count(),
            more: false,
            reason: refused.as_ref().map(|(reason, _)| *reason),
        };
        let receipt = self.tell(snapshot, &request, &occasion, &parties, tally);
        let revision = snapshot.revision().clone();
        Unsettled::new(Usable { id: occasion.id, revision, usable, refused }, receipt)
    }

    fn may_use(
        &self,
        round: &mut Round<'_, '_>,
        request: &Request,
        (server, offered, thing): (&Server, Offered, &Thing),
        standing: &Established,
        occasion: &Occasion<'_>,
    ) -> bool {
        let Thing { name, definition } = thing;
        match offered {
            Offered::Tools => {
                let tool = server.tools.get(name).filter(|tool| tool.is_pinned_by(definition));
                let Some((tool, Ask::Access(question))) = tool.map(|tool| (tool, &request.ask)) else {
                    return false;
                };
                let (question, blanks) = call_of(tool, question);
                !self.possible(round, request, standing, (&question, &blanks), occasion.now).is_never()
            }
            Offered::Resources | Offered::Templates | Offered::Prompts => {
                let Some(question) = offered.question(server, name, &self.limits) else { return false };
                let request = Request { ask: Ask::Access(question), ..request.clone() };
                self.would(round, &request, standing, occasion.now)
            }
        }
    }
}
