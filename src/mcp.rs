//! Turns a message of the Model Context Protocol into the questions that a policy can answer.
//! Never decides, except that what cannot be understood in one way only is denied.

mod headers;
mod message;
pub mod method;
mod offered;
mod redaction;
mod target;

use std::collections::BTreeSet;

pub use message::{Limits, Message, Params};
pub use offered::Offered;
pub use redaction::Redaction;

use crate::access::{DenyReason, Entity, Question};
use crate::catalog::{Catalog, Server};
use crate::value::{Uid, format_smolstr};
use headers::Headers;
use message::Parameters;
use method::Direction;

/// What a message comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped<'m> {
    /// The protocol lets it pass: permitted, and no policy is asked.
    Pass,
    /// The agent's side asks the server: the parties are those that the caller named.
    Ask(Step<'m>),
    /// The server asks the agent's side: the server is the principal, whoever the caller named.
    AskBack(Callback),
    /// Denied before any policy.
    Deny(Refusal<'m>),
}

/// Something that the agent's side wants of a server. Every question must be permitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'m> {
    /// The question; there is always one.
    pub question: Question,
    /// Further questions of the same message: the resources of a subscription.
    pub also: Vec<Question>,
    /// The ids of the data classes of all that the questions are about, for the record; empty for a server or a task.
    pub data_classes: BTreeSet<String>,
    /// The bytes of `params.arguments` of a tool call as they were sent, for the digest.
    pub arguments: Option<&'m [u8]>,
    /// The members of the question's context that are not known, because the arguments did not come along.
    pub blanks: BTreeSet<String>,
}

impl Step<'_> {
    /// All questions, the principal one first. Never empty.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        std::iter::once(&self.question).chain(&self.also)
    }
}

/// Something that a server wants of the agent's side, on its own authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Cedar's principal: the server.
    pub principal: Uid,
    /// The action: the method.
    pub action: Uid,
}

impl Callback {
    /// The question, with the party that would answer (the agent, or the human when no agent acts) as the resource.
    pub fn question(&self, client: Uid) -> Question {
        Question::new(self.action.clone(), client)
    }
}

/// Why a message is denied, and as much of it as was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal<'m> {
    /// The reason.
    pub reason: DenyReason,
    /// Safe words: names of members and of the catalog, bounded and escaped; never a value.
    pub words: String,
    /// The step that it would have been, when that much was understood.
    pub about: Option<Box<About>>,
    /// As in [`Step::arguments`].
    pub arguments: Option<&'m [u8]>,
}

/// The step that a denied message would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The action.
    pub action: Uid,
    /// What it would have been done to.
    pub resource: Uid,
}

impl Refusal<'_> {
    fn new(reason: DenyReason, words: impl Into<String>) -> Self {
        Self { reason, words: words.into(), about: None, arguments: None }
    }

    fn invalid(words: impl Into<String>) -> Self {
        Self::new(DenyReason::InvalidInput, words)
    }

    fn about(self, action: Uid, resource: Uid) -> Self {
        Self { about: Some(Box::new(About { action, resource })), ..self }
    }
}

/// Maps a message to what must be permitted before it may go on. Total: any bytes have an answer.
///
/// The member `params.requestState`, `params.inputResponses` and what a client says of itself in `_meta` are written
/// by whoever sends the message; nothing here reads them.
pub fn map<'m>(message: &'m Message, catalog: &Catalog, limits: &Limits) -> Mapped<'m> {
    understand(message, catalog, limits).unwrap_or_else(Mapped::Deny)
}

/// What the catalog names of the resources and prompts of all servers: each as the entity that a message about it would be
/// about. A resource whose URI ends in `*` stands for all that begin so.
pub fn named(catalog: &Catalog) -> impl Iterator<Item = Entity> {
    catalog.servers().flat_map(|server| {
        let uid = |kind: &str, name: &str| Uid::new(kind, format_smolstr!("{}/{name}", server.id));
        let resources =
            server.resource_names().map(move |name| (uid("Resource", name), server.resource_classes(name)));
        let prompts =
            server.prompt_names().map(move |name| (uid("Prompt", name), server.prompt_classes(name)));
        resources.chain(prompts).map(|(uid, classes)| target::entity(server, uid, Some(&classes)))
    })
}

fn understand<'m>(
    message: &'m Message,
    catalog: &Catalog,
    limits: &Limits,
) -> Result<Mapped<'m>, Refusal<'m>> {
    let version = message.version()?;
    let method = message.method(version, limits)?;
    let params = Parameters::read(message, version, limits)?;
    let headers = Headers::read(&message.headers, version, limits)?;
    headers.agree(method, &message.method, &params)?;
    match method.direction() {
        Direction::Either => Ok(Mapped::Pass),
        Direction::FromServer => {
            let principal = server(catalog, &message.server)?.uid();
            Ok(Mapped::AskBack(Callback { principal, action: action(method.name) }))
        }
        Direction::FromClient => {
            let server = server(catalog, &message.server)?;
            let asked = target::Asked { method, server, message, params: &params, headers: &headers, limits };
            asked.step().map(Mapped::Ask)
        }
    }
}

fn server<'c>(catalog: &'c Catalog, id: &str) -> Result<&'c Server, Refusal<'static>> {
    catalog.server(id).ok_or_else(|| {
        Refusal::new(DenyReason::UnknownTool, format!("server `{}` is not in the catalog", shown(id)))
    })
}

fn action(name: &str) -> Uid {
    Uid::new("Action", name)
}

/// How much of a name that was sent is repeated in words.
const SHOWN_CHARS_MAX: usize = 64;

/// A name that was sent, fit for words: escaped and cut.
fn shown(name: &str) -> String {
    let mut escaped = name.escape_debug().filter(|c| *c != '`');
    let mut text: String = escaped.by_ref().take(SHOWN_CHARS_MAX).collect();
    if escaped.next().is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
