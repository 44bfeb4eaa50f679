//! `x-authzen-mapping`: how an enforcement point asks about a call of a tool (AuthZEN COAZ-MCP binding), looked at for its
//! form. Never evaluates: expressions are the enforcement point's, and what a mapping declares is believed by nobody here.

use crate::diagnostic::Level;
use crate::value::{Members, Value};

const MEMBER: &str = "x-authzen-mapping";
/// Its name in the drafts from February to July 2026.
const OLD_MEMBER: &str = "x-coaz-mapping";
/// The expression that names the subject of the token.
const TOKEN_SUBJECT: &str = "$token.sub";

const HELP: &str = "a mapping is `{\"evaluation\": {…}}` or `{\"evaluations\": {…}}` with a template of that request inside; correct \
                    it with the server's author";
const MIGRATE: &str = "enforcement points of today pass over it: rename it to `x-authzen-mapping`, wrap its content in \
                       `{\"evaluation\": {…}}`, turn each list of one item into the item, and put a `$` before each \
                       expression, for every other string is a literal now; drop `coaz`";
const ANCHOR: &str =
    "leave `subject` out, or write `\"id\": \"$token.sub\"`: then it is held against the token";

const PROTOCOL_HELP: &str = "take it out: the enforcement point alone says this, and a mapping is written by the party \
                             that is being authorized";
const OPEN_CONTEXT_HELP: &str = "write the context as an object with an expression for each member, so that it is seen which \
                                 members it has";
/// Members of a context that are between an enforcement point and its PDP.
const PROTOCOL: [&str; 4] =
    ["supported_mandatory_extensions", "supported_obligations", "approval", "palisade"];

type Object = Members;

/// Something wrong with a mapping: how bad, what, and what to do.
pub(super) type Fault = (Level, String, &'static str);

/// What is wrong with the mapping of a tool, if it has one.
pub(super) fn faults(definition: &Object, schema: &Value) -> Vec<Fault> {
    let mut look = Look { faults: Vec::new() };
    let schema = object(schema);
    if definition.contains_key(OLD_MEMBER) || schema.is_some_and(|schema| schema.contains_key(OLD_MEMBER)) {
        look.faults.push((Level::Warning, format!("`{OLD_MEMBER}` is the old name of a mapping"), MIGRATE));
    }
    if definition.contains_key(MEMBER) {
        look.error(&format!("`{MEMBER}` stands beside the `inputSchema`, and belongs into it"));
    }
    if let Some(mapping) = schema.and_then(|schema| schema.get(MEMBER)) {
        look.mapping(mapping);
    }
    look.faults
}

struct Look {
    faults: Vec<Fault>,
}

impl Look {
    fn error(&mut self, message: &str) {
        self.faults.push((Level::Error, message.to_owned(), HELP));
    }

    fn mapping(&mut self, mapping: &Value) {
        let envelope = object(mapping).filter(|members| members.len() == 1).and_then(Members::first);
        match envelope {
            Some((name, Value::Record(body))) if name == "evaluation" => self.evaluation(body),
            Some((name, Value::Record(body))) if name == "evaluations" => self.evaluations(body),
            Some((name, _)) if name == "evaluation" || name == "evaluations" => {
                self.error(&format!("`{name}` of the mapping is no object"));
            }
            Some((name, _)) => {
                self.error(&format!("the mapping has the envelope `{name}`, which is neither of the two"));
            }
            None => self.error("the mapping is no object with exactly one member"),
        }
    }

    fn evaluation(&mut self, body: &Object) {
        let at = "evaluation";
        self.known(at, body, &["subject", "action", "resource", "context"]);
        self.subject(at, body);
        self.action(at, body.get("action"));
        self.resource(at, body.get("resource"));
        self.context(at, body.get("context"));
    }

    fn evaluations(&mut self, body: &Object) {
        let at = "evaluations";
        self.known(at, body, &["subject", "action", "resource", "context", "options", "evaluations"]);
        self.subject(at, body);
        self.options(body.get("options"));
        // What every entry replaces is never looked at by anybody.
        self.context(at, body.get("context"));
        let entries = match body.get("evaluations") {
            Some(Value::Set(entries)) if !entries.is_empty() => entries,
            Some(_) | None => {
                return self.error(
                    "`evaluations.evaluations` is no list of entries: an expression makes no entries",
                );
            }
        };
        for (number, entry) in entries.iter().enumerate() {
            let at = format!("evaluations.evaluations[{number}]");
            let Some(entry) = object(entry) else {
                self.error(&format!("`{at}` is no object"));
                continue;
            };
            if entry.contains_key("subject") {
                self.error(&format!("`{at}` has a `subject`: all entries have that of the mapping"));
            }
            self.known(&at, entry, &["subject", "action", "resource", "context"]);
            self.action(&at, entry.get("action").or_else(|| body.get("action")));
            self.resource(&at, entry.get("resource").or_else(|| body.get("resource")));
            self.context(&at, entry.get("context"));
        }
    }

    /// A tool's call needs all its entries permitted.
    fn options(&mut self, options: Option<&Value>) {
        let Some(options) = options else { return };
        let semantic = object(options).map(|options| options.get("evaluations_semantic"));
        match semantic {
            Some(None) => {}
            Some(Some(Value::String(name))) if name == "execute_all" || name == "deny_on_first_deny" => {}
            Some(Some(Value::String(name))) if name == "permit_on_first_permit" => {
                self.error("`evaluations.options` asks for `permit_on_first_permit`: one permit would stand for all entries");
            }
            Some(Some(_)) => {
                self.error("`evaluations.options.evaluations_semantic` is none of the semantics");
            }
            None => self.error("`evaluations.options` is no object"),
        }
    }

    fn subject(&mut self, at: &str, body: &Object) {
        let at = format!("{at}.subject");
        let Some(subject) = self.parts(&at, body.get("subject")) else { return };
        self.known(&at, subject, &["type", "id", "properties"]);
        for name in ["type", "id"] {
            if let Some(value) = subject.get(name) {
                self.text(&format!("{at}.{name}"), Some(value));
            }
        }
        self.record(&format!("{at}.properties"), subject.get("properties"));
        if let Some(Value::String(id)) = subject.get("id")
            && id != TOKEN_SUBJECT
        {
            let message = format!("`{at}.id` is `{id}`: the tool's author says who asks, not the token");
            self.faults.push((Level::Warning, message, ANCHOR));
        }
    }

    fn action(&mut self, at: &str, action: Option<&Value>) {
        let at = format!("{at}.action");
        if action.is_none() {
            self.error(&format!("`{at}` is missing"));
        }
        let Some(action) = self.parts(&at, action) else { return };
        self.known(&at, action, &["name", "properties"]);
        self.text(&format!("{at}.name"), action.get("name"));
        self.record(&format!("{at}.properties"), action.get("properties"));
    }

    fn resource(&mut self, at: &str, resource: Option<&Value>) {
        let at = format!("{at}.resource");
        if resource.is_none() {
            self.error(&format!("`{at}` is missing"));
        }
        let Some(resource) = self.parts(&at, resource) else { return };
        self.known(&at, resource, &["type", "id", "properties"]);
        self.text(&format!("{at}.type"), resource.get("type"));
        self.text(&format!("{at}.id"), resource.get("id"));
        self.record(&format!("{at}.properties"), resource.get("properties"));
    }

    /// The circumstances, without what only an enforcement point may say.
    fn context(&mut self, at: &str, context: Option<&Value>) {
        let at = format!("{at}.context");
        self.record(&at, context);
        match context {
            Some(Value::Record(members)) => {
                for name in PROTOCOL.into_iter().filter(|name| members.contains_key(*name)) {
                    let message =
                        format!("`{at}.{name}` is protocol between the enforcement point and its PDP");
                    self.faults.push((Level::Error, message, PROTOCOL_HELP));
                }
            }
            Some(Value::String(text)) if is_expression(text) => {
                let message =
                    format!("`{at}` is one expression: whoever calls the tool can say anything in it");
                self.faults.push((Level::Warning, message, OPEN_CONTEXT_HELP));
            }
            Some(_) | None => {}
        }
    }

    /// The members of an object; nothing when it is absent or an expression that makes it.
    fn parts<'v>(&mut self, at: &str, value: Option<&'v Value>) -> Option<&'v Object> {
        match value? {
            Value::Record(members) => Some(members),
            Value::String(text) if is_expression(text) => {
                self.leaf(at, text);
                None
            }
            _ => {
                self.error(&format!("`{at}` is neither an object nor an expression"));
                None
            }
        }
    }

    /// An object whose members are anybody's, and its expressions.
    fn record(&mut self, at: &str, value: Option<&Value>) {
        if let Some(members) = self.parts(at, value) {
            self.members(at, members);
        }
    }

    fn members(&mut self, at: &str, members: &Object) {
        for (name, value) in members {
            self.leaves(&format!("{at}.{name}"), value);
        }
    }

    fn leaves(&mut self, at: &str, value: &Value) {
        match value {
            Value::String(text) => self.leaf(at, text),
            Value::Set(items) => {
                for item in items {
                    self.leaves(at, item);
                }
            }
            Value::Record(members) => self.members(at, members),
            Value::Null
            | Value::Bool(_)
            | Value::Long(_)
            | Value::Number(_)
            | Value::Entity(_)
            | Value::Extension(..) => {}
        }
    }

    fn leaf(&mut self, at: &str, text: &str) {
        if is_expression(text) && text.len() == 1 {
            self.error(&format!("`{at}` is an empty expression; write `$$` for a text that begins with `$`"));
        }
    }

    /// A text that must be there.
    fn text(&mut self, at: &str, value: Option<&Value>) {
        match value {
            Some(Value::String(text)) if !text.is_empty() => self.leaf(at, text),
            Some(_) => self.error(&format!("`{at}` is no text")),
            None => self.error(&format!("`{at}` is missing")),
        }
    }

    fn known(&mut self, at: &str, members: &Object, known: &[&str]) {
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("`{at}` has the member `{name}`, which no request has");
            self.faults.push((Level::Warning, message, HELP));
        }
    }
}

/// `$…`; `$$…` is a text that begins with `$`.
fn is_expression(text: &str) -> bool {
    text.starts_with('$') && !text.starts_with("$$")
}

fn object(value: &Value) -> Option<&Object> {
    match value {
        Value::Record(members) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
