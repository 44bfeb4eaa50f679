//! The tools of a server that a party may call: a list for its agent, with everything else left out.
//! Never shows a tool that the catalog does not have, or has otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::open::call_of;
use super::{Parties, Tally, Unsettled};
use crate::access::{DecisionId, DenyReason, Question, Revision};
use crate::audit::{AuditSink, SearchKind};
use crate::catalog::Server;
use crate::json::{self, JsonError};
use crate::pdp::establish::{Refused, establish};
use crate::pdp::{Ask, InForce, Occasion, Pdp, Request};
use crate::policy::{Memory, Round};
use crate::value::{Uid, Value};

/// How much a list of tools may hold.
const LIST: json::Limits = json::Limits { bytes_max: 4 << 20, depth_max: 64, nodes_max: 1 << 18 };

/// Which tools of a server may be called?
#[derive(Debug, Clone)]
pub struct ToolList {
    /// Who asks. Its question is not read.
    pub request: Request,
    /// The server, by its id in the catalog.
    pub server: String,
    /// What the server answered to `tools/list`; none for the tools of the catalog.
    pub listed: Option<Vec<u8>>,
}

/// Why there is no list to choose from. Safe to show.
#[derive(Debug, thiserror::Error)]
pub enum ToolListFault {
    /// It is no JSON, or too much.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// It is something else.
    #[error("is not a result of `tools/list`: it needs a member `tools`, an array of objects with a `name`")]
    NotAList,
}

/// The tools that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTools {
    /// The search's id.
    pub id: DecisionId,
    /// The snapshot that it was made on.
    pub revision: Revision,
    /// The tools.
    pub listed: Listed,
    /// Why nothing was looked at, with words that are safe to show.
    pub refused: Option<(DenyReason, String)>,
    /// The state of tasks and revocations that it knows; none where there is none.
    pub state: Option<u64>,
}

/// What becomes of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The tools that may be called, in the order of the list.
    pub names: Vec<String>,
    /// The result with those alone, each as it was; none where no list was sent.
    pub result: Option<Vec<u8>>,
    /// Tools that the catalog does not have.
    pub unknown: Vec<String>,
    /// Tools that are not the ones that were reviewed.
    pub drifted: Vec<String>,
}

/// One tool of a list.
struct Item<'l> {
    name: String,
    definition: Value,
    text: &'l RawValue,
}

/// The result of `tools/list`, taken apart.
struct Result<'l> {
    members: BTreeMap<String, &'l RawValue>,
    items: Vec<Item<'l>>,
}

impl<S: AuditSink> Pdp<S> {
    /// Finds the tools of a server that may be called, and records the search. A tool is listed unless it is certain that no
    /// arguments would be permitted.
    ///
    /// # Errors
    /// [`ToolListFault`] when the list cannot be read.
    pub fn list_tools(
        &self,
        list: &ToolList,
        occasion: Occasion<'_>,
    ) -> std::result::Result<Unsettled<ListedTools>, ToolListFault> {
        let sent = list.listed.as_deref().map(read).transpose()?;
        let in_force = self.in_force.load_full();
        let InForce { snapshot, trust } = &*in_force;
        let question = Question::new(Uid::new("Action", "tools/call"), Uid::new("Server", &list.server));
        let request = Request {
            ask: Ask::Access(question.clone()),
            preview: true,
            explain: false,
            ..list.request.clone()
        };
        let server = snapshot.catalog().server(&list.server);
        let standing = match server {
            Some(server) => {
                establish(self, snapshot, trust, &request, occasion.now).map(|standing| (server, standing))
            }
            None => Err(Refused::because(DenyReason::UnknownTool, "the catalog does not have the server")),
        };
        let mut evaluated = 0;
        let (listed, parties, refused) = match standing {
            Err(Refused { reason, words, principal, task, .. }) => {
                let principal = principal.map(|principal| *principal);
                let parties = Parties { principal, task: task.map(|task| task.name) };
                (nothing_of(sent.as_ref()), parties, Some((reason, words)))
            }
            Ok((server, standing)) => {
                let mut memory = Memory::default();
                let mut round = Round::remembering(snapshot, &mut memory);
                let listed = choose(server, sent.as_ref(), |tool| {
                    evaluated += 1;
                    let call = call_of(tool, &question);
                    self.would_call(&mut round, &request, &standing, call, occasion.now)
                });
                (listed, Parties::of(Some(&standing)), None)
            }
        };
        let tally = Tally {
            kind: SearchKind::Tools,
            sought: "Tool",
            server: Some(&list.server),
            evaluated,
            found: listed.names.len(),
            more: false,
            reason: refused.as_ref().map(|(reason, _)| *reason),
        };
        let receipt = self.tell(snapshot, &request, &occasion, &parties, tally);
        let (revision, state) = (snapshot.revision().clone(), self.state());
        Ok(Unsettled::new(ListedTools { id: occasion.id, revision, listed, refused, state }, receipt))
    }
}

/// Chooses from what was sent, or from the catalog.
fn choose(
    server: &Server,
    sent: Option<&Result<'_>>,
    mut may_be_called: impl FnMut(&crate::catalog::Tool) -> bool,
) -> Listed {
    let Some(sent) = sent else {
        let tools = server.tools.values().filter(|tool| may_be_called(tool));
        return Listed { names: tools.map(|tool| tool.name.clone()).collect(), ..Listed::default() };
    };
    let mut listed = Listed::default();
    let mut chosen = Vec::new();
    for Item { name, definition, text } in &sent.items {
        match server.tools.get(name) {
            None => listed.unknown.push(name.clone()),
            Some(tool) if !tool.is_pinned_by(definition) => listed.drifted.push(name.clone()),
            Some(tool) if may_be_called(tool) => {
                listed.names.push(name.clone());
                chosen.push(*text);
            }
            Some(_) => {}
        }
    }
    Listed { result: written(sent, &chosen), ..listed }
}

/// An empty list, where nothing could be looked at.
fn nothing_of(sent: Option<&Result<'_>>) -> Listed {
    Listed { result: sent.and_then(|sent| written(sent, &[])), ..Listed::default() }
}

/// The result with these tools alone.
fn written(sent: &Result<'_>, tools: &[&RawValue]) -> Option<Vec<u8>> {
    let tools = serde_json::value::to_raw_value(tools).ok()?;
    let mut members = sent.members.clone();
    members.insert("tools".to_owned(), &tools);
    serde_json::to_vec(&members).ok()
}

fn read(bytes: &[u8]) -> std::result::Result<Result<'_>, ToolListFault> {
    // Strict first: what comes after would keep the last of two members.
    let whole = json::parse(bytes, LIST)?;
    let definitions = match whole {
        Value::Record(mut members) => match members.remove("tools") {
            Some(Value::Set(items)) => items,
            Some(_) | None => return Err(ToolListFault::NotAList),
        },
        _ => return Err(ToolListFault::NotAList),
    };
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(bytes).map_err(|_| ToolListFault::NotAList)?;
    let texts = members.get("tools").ok_or(ToolListFault::NotAList)?;
    let texts: Vec<&RawValue> = serde_json::from_str(texts.get()).map_err(|_| ToolListFault::NotAList)?;
    if texts.len() != definitions.len() {
        return Err(ToolListFault::NotAList);
    }
    let mut seen = BTreeSet::new();
    let item = |(definition, text): (Value, _)| {
        let Value::Record(members) = &definition else { return Err(ToolListFault::NotAList) };
        let Some(Value::String(name)) = members.get("name") else { return Err(ToolListFault::NotAList) };
        let name = name.to_string();
        // Of two tools of one name nobody knows which is called.
        if seen.insert(name.clone()) {
            Ok(Item { name, definition, text })
        } else {
            Err(ToolListFault::NotAList)
        }
    };
    let items = definitions.into_iter().zip(texts).map(item).collect::<std::result::Result<_, _>>()?;
    Ok(Result { members, items })
}
