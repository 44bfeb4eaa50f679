//! Understands a test file: its form becomes cases, each with its own question, facts and wanted answer.
//! Never guesses, and never stops at the first finding: an unknown key, reason, party or entity is one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::form::{AskForm, CaseForm, Expect, McpForm, PartyForm, SuiteForm, TableForm, Text};
use super::{Case, Expected, Suite};
use crate::access::{DenyReason, Facts, Question, Timestamp};
use crate::diagnostic::{Diagnostic, File};
use crate::pdp::Ask;
use crate::value::{Members, Uid};
use crate::{json, mcp};

/// The instant of a case that names none: 2026-01-01T00:00:00Z.
const NOW_DEFAULT: Timestamp = Timestamp(1_767_225_600_000);

/// What follows from the other keys of a case, and so is not written as a fact.
const NOT_A_FACT: [&str; 5] = ["now", "session", "actor", "requester", "actor_depth"];

const HELP: &str = "docs/policy-tests.md describes every key of a policy test";

/// Understands one test file.
///
/// # Errors
/// Every finding about the file; when it is not even of the right form, the first.
pub fn parse(file: &File) -> Result<Suite, Vec<Diagnostic>> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let form: SuiteForm = serde_saphyr::from_str_with_options(&file.text, options)
        .map_err(|error| vec![malformed(file, &error)])?;
    let mut reader = Reader { file, findings: Vec::new(), names: BTreeSet::new() };
    let agentless = form.agentless;
    let cases = reader.suite(form);
    if cases.is_empty() && reader.findings.is_empty() {
        let empty =
            Diagnostic::error("suite::empty", "the file has neither cases nor tables, so it tests nothing");
        reader.findings.push(empty.in_file(file).help(HELP));
    }
    if reader.findings.is_empty() {
        Ok(Suite { file: file.clone(), agentless, cases })
    } else {
        Err(reader.findings)
    }
}

fn malformed(file: &File, error: &serde_saphyr::Error) -> Diagnostic {
    let message = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` stands twice")
        }
        other => other.to_string().lines().next().unwrap_or("it cannot be read as YAML").to_owned(),
    };
    let finding = Diagnostic::error("suite::form", message).help(HELP);
    match error.location() {
        Some(location) => finding.at(file, span(file, location), "here"),
        None => finding.in_file(file),
    }
}

/// The byte range of a place that the YAML reader names.
fn span(file: &File, location: Location) -> Range<usize> {
    let (line, column) = (offset(location.line()), offset(location.column()));
    let before: usize = file.text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = file.text.get(before..).unwrap_or_default();
    let start = before + rest.chars().take(column).map(char::len_utf8).sum::<usize>();
    let first_line = file.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let chars = usize::try_from(location.span().len()).unwrap_or(usize::MAX);
    let len: usize = first_line.trim_end().chars().take(chars.max(1)).map(char::len_utf8).sum();
    start..start + len
}

/// From a number that counts from 1 to one that counts from 0.
fn offset(number: u64) -> usize {
    usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// A table's row: who asks.
struct Party {
    name: String,
    facts: Facts,
}

struct Reader<'a> {
    file: &'a File,
    findings: Vec<Diagnostic>,
    /// The names of the cases so far: a name in a report stands for one case.
    names: BTreeSet<String>,
}

impl Reader<'_> {
    fn refuse(&mut self, place: Location, words: impl Into<String>) {
        let finding = Diagnostic::error("suite::case", words).at(self.file, span(self.file, place), "here");
        self.findings.push(finding.help(HELP));
    }

    fn suite(&mut self, form: SuiteForm) -> Vec<Case> {
        let SuiteForm { now, agentless: _, cases, tables } = form;
        let now = self.instant(now.as_ref(), NOW_DEFAULT);
        let mut all: Vec<Case> = cases.into_iter().filter_map(|case| self.single(case, now)).collect();
        for table in tables {
            all.extend(self.crossed(table, now));
        }
        all
    }

    fn single(&mut self, form: CaseForm, now: Timestamp) -> Option<Case> {
        let CaseForm { name, principal, actor, earlier_actors, session, mcp, action, resource, .. } = form;
        self.named(&name, name.value.clone());
        let permit = form.expect == Expect::Permit;
        let reason = form.reason.as_ref().and_then(|reason| self.reason(reason, permit));
        let now = self.instant(form.now.as_ref(), now);
        let established = self.established(form.facts);
        let facts = self.facts(&principal, actor.as_ref(), &earlier_actors, established, now);
        let ask = self.ask(&name, mcp, action, resource, form.context);
        let ids = |ids: Vec<Text>| ids.into_iter().map(|id| id.value).collect();
        let (determining, obligations) = (form.determining.map(ids), form.obligations.map(ids));
        Some(Case {
            place: span(self.file, name.referenced),
            name: name.value,
            ask: ask?,
            facts: Facts { session, ..facts? },
            expected: Expected { permit, reason, determining, obligations },
        })
    }

    fn named(&mut self, place: &Text, name: String) {
        if name.trim().is_empty() {
            self.refuse(place.referenced, "the name is empty");
        } else if !self.names.insert(name) {
            self.refuse(place.referenced, format!("the name `{}` is used twice in this file", place.value));
        }
    }

    fn reason(&mut self, text: &Text, permit: bool) -> Option<DenyReason> {
        if permit {
            self.refuse(text.referenced, "a permit has no `reason`");
            return None;
        }
        let reason = DenyReason::ALL.into_iter().find(|reason| reason.name() == text.value);
        if reason.is_none() {
            let names: Vec<_> = DenyReason::ALL.iter().map(|reason| reason.name()).collect();
            let words = format!("`{}` is not a deny reason; they are {}", text.value, names.join(", "));
            self.refuse(text.referenced, words);
        }
        reason
    }

    /// Every ask for every party; what the table does not permit must be denied.
    fn crossed(&mut self, form: TableForm, now: Timestamp) -> Vec<Case> {
        let TableForm { name, parties, asks, permit, facts, now: own } = form;
        if parties.is_empty() || asks.is_empty() {
            self.refuse(name.referenced, format!("the table `{}` has no parties, or no asks", name.value));
        }
        let now = self.instant(own.as_ref(), now);
        self.known_names(&parties, &asks, &permit);
        let established = self.established(facts);
        let parties: Vec<Party> =
            parties.into_iter().filter_map(|party| self.party(party, &established, now)).collect();
        let mut cells = Vec::new();
        for AskForm { name: ask, mcp, action, resource, context } in asks {
            let Some(question) = self.ask(&ask, mcp, action, resource, context) else { continue };
            let allowed = permit.get(&ask.value).map(|names| names.value.as_slice()).unwrap_or_default();
            for party in &parties {
                let cell = format!("{}: {} × {}", name.value, ask.value, party.name);
                self.named(&ask, cell.clone());
                let permit = allowed.iter().any(|allowed| allowed.value == party.name);
                cells.push(Case {
                    place: span(self.file, ask.referenced),
                    name: cell,
                    ask: question.clone(),
                    facts: party.facts.clone(),
                    expected: Expected { permit, reason: None, determining: None, obligations: None },
                });
            }
        }
        cells
    }

    /// Whoever and whatever `permit` names must stand in the table, once.
    fn known_names(
        &mut self,
        parties: &[PartyForm],
        asks: &[AskForm],
        permit: &BTreeMap<String, Spanned<Vec<Text>>>,
    ) {
        for (kind, names) in [
            ("party", parties.iter().map(|party| &party.name).collect::<Vec<_>>()),
            ("ask", asks.iter().map(|ask| &ask.name).collect()),
        ] {
            let mut met = BTreeSet::new();
            for name in names {
                if !met.insert(&name.value) {
                    self.refuse(
                        name.referenced,
                        format!("the {kind} `{}` stands twice in the table", name.value),
                    );
                }
            }
        }
        for (ask, allowed) in permit {
            if !asks.iter().any(|known| known.name.value == *ask) {
                let words = format!("`permit` names the ask `{ask}`, which the table does not have");
                self.refuse(allowed.referenced, words);
            }
            for name in &allowed.value {
                if !parties.iter().any(|party| party.name.value == name.value) {
                    let words =
                        format!("`permit` names the party `{}`, which the table does not have", name.value);
                    self.refuse(name.referenced, words);
                }
            }
        }
    }

    fn party(&mut self, form: PartyForm, established: &Members, now: Timestamp) -> Option<Party> {
        let PartyForm { name, principal, actor, earlier_actors } = form;
        let facts = self.facts(&principal, actor.as_ref(), &earlier_actors, established.clone(), now)?;
        Some(Party { name: name.value, facts })
    }

    fn established(&mut self, facts: BTreeMap<String, Spanned<Json>>) -> Members {
        for (name, value) in &facts {
            if NOT_A_FACT.contains(&name.as_str()) {
                let words =
                    format!("`{name}` is not written as a fact: it follows from the other keys of the case");
                self.refuse(value.referenced, words);
            }
        }
        self.values(facts)
    }

    fn facts(
        &mut self,
        principal: &Text,
        actor: Option<&Text>,
        earlier: &[Text],
        established: Members,
        now: Timestamp,
    ) -> Option<Facts> {
        if let (None, Some(first)) = (actor, earlier.first()) {
            self.refuse(first.referenced, "`earlier_actors` needs an `actor`, who acts for them");
        }
        let named = actor.map(|actor| self.uid(actor));
        for actor in earlier {
            self.uid(actor);
        }
        let depth = usize::from(actor.is_some()) + earlier.len();
        Some(Facts {
            principal: self.uid(principal)?,
            actor: named.flatten(),
            actor_depth: i64::try_from(depth).unwrap_or(i64::MAX),
            session: None,
            described: None,
            token: None,
            task: None,
            established,
            now,
        })
    }

    fn ask(
        &mut self,
        name: &Text,
        message: Option<McpForm>,
        action: Option<Text>,
        resource: Option<Text>,
        context: BTreeMap<String, Spanned<Json>>,
    ) -> Option<Ask> {
        match (message, action, resource) {
            (Some(form), None, None) if context.is_empty() => Some(Ask::Mcp(message_of(form))),
            (None, Some(action), Some(resource)) => {
                let (action, resource) = (self.uid(&action), self.uid(&resource));
                let context = self.values(context);
                Some(Ask::Access(Question { context, ..Question::new(action?, resource?) }))
            }
            (Some(_) | None, _, _) => {
                let words = "give either `mcp`, or `action` and `resource` (and `context`)";
                self.refuse(name.referenced, format!("`{}`: {words}", name.value));
                None
            }
        }
    }

    fn values(&mut self, members: BTreeMap<String, Spanned<Json>>) -> Members {
        let mut values = Members::new();
        for (name, json) in members {
            match json::parse(json.value.to_string().as_bytes(), json::Limits::default()) {
                Ok(value) => {
                    values.insert(name.into(), value);
                }
                Err(error) => self.refuse(json.referenced, format!("`{name}`: {error}")),
            }
        }
        values
    }

    /// `Human::"ana"`, as a policy writes it.
    fn uid(&mut self, text: &Text) -> Option<Uid> {
        let uid = text.value.parse().ok();
        if uid.is_none() {
            self.refuse(text.referenced, format!("`{}` is not an entity; write `Type::\"id\"`", text.value));
        }
        uid
    }

    fn instant(&mut self, text: Option<&Text>, otherwise: Timestamp) -> Timestamp {
        let Some(text) = text else { return otherwise };
        let parsed = OffsetDateTime::parse(&text.value, &Rfc3339).ok();
        let ms = parsed.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok());
        if ms.is_none() {
            let words =
                format!("`{}` is not an instant; write RFC 3339, as in 2026-11-21T10:00:00Z", text.value);
            self.refuse(text.referenced, words);
        }
        ms.map_or(otherwise, Timestamp)
    }
}

fn message_of(form: McpForm) -> mcp::Message {
    let McpForm { server, method, params, protocol_version, headers, tool_definition } = form;
    let bytes = |json: Json| json.to_string().into_bytes();
    mcp::Message {
        server,
        method,
        params: params.map(bytes).unwrap_or_default().into(),
        protocol_version,
        headers,
        tool_definition: tool_definition.map(bytes),
        arguments_unseen: false,
    }
}
