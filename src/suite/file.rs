//! The form of a test file, and how it becomes cases.
//! Never guesses: an unknown key, reason or party is a finding.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value as Json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Case, Expected, Suite};
use crate::access::{DenyReason, Facts, Question, Timestamp};
use crate::diagnostic::{Diagnostic, File};
use crate::pdp::Ask;
use crate::value::{Uid, Value};
use crate::{json, mcp};

/// The instant of a case that names none: 2026-01-01T00:00:00Z.
const NOW_DEFAULT: Timestamp = Timestamp(1_767_225_600_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteForm {
    now: Option<String>,
    #[serde(default)]
    cases: Vec<CaseForm>,
    #[serde(default)]
    tables: Vec<TableForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseForm {
    name: String,
    principal: String,
    actor: Option<String>,
    #[serde(default)]
    earlier_actors: Vec<String>,
    session: Option<String>,
    mcp: Option<McpForm>,
    action: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, Json>,
    #[serde(default)]
    facts: BTreeMap<String, Json>,
    now: Option<String>,
    expect: Expect,
    reason: Option<String>,
    determining: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableForm {
    name: String,
    parties: Vec<PartyForm>,
    asks: Vec<AskForm>,
    /// By the name of the ask: the parties that may. Everybody else may not.
    permit: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    facts: BTreeMap<String, Json>,
    now: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyForm {
    name: String,
    principal: String,
    actor: Option<String>,
    #[serde(default)]
    earlier_actors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskForm {
    name: String,
    mcp: Option<McpForm>,
    action: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, Json>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct McpForm {
    server: String,
    method: String,
    params: Option<Json>,
    protocol_version: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    tool_definition: Option<Json>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Permit,
    Deny,
}

/// Understands one test file.
///
/// # Errors
/// One finding that says where and what.
pub fn parse(file: &File) -> Result<Suite, Box<Diagnostic>> {
    let form: SuiteForm = serde_saphyr::from_str(&file.text).map_err(|error| {
        let finding = Diagnostic::error("suite::form", first_line(&error.to_string()));
        let at = error.location().map(|location| {
            let (line, column) = (location.line(), location.column());
            offset(&file.text, usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1))
        });
        let finding = match at {
            Some(at) => finding.at(file, at..at + 1, "here"),
            None => finding.in_file(file),
        };
        Box::new(finding.help("the form of a policy test is described in docs/policy-tests.md"))
    })?;
    let problem = |words: String| {
        Box::new(
            Diagnostic::error("suite::case", words)
                .in_file(file)
                .help("the form of a policy test is described in docs/policy-tests.md"),
        )
    };
    let cases = cases(form).map_err(problem)?;
    if cases.is_empty() {
        return Err(problem("the file has neither cases nor tables, so it tests nothing".into()));
    }
    Ok(Suite { file: file.clone(), cases })
}

fn cases(form: SuiteForm) -> Result<Vec<Case>, String> {
    let SuiteForm { now, cases, tables } = form;
    let now = now.as_deref().map(instant).transpose()?.unwrap_or(NOW_DEFAULT);
    let mut all = Vec::new();
    for case in cases {
        let name = case.name.clone();
        all.push(single(case, now).map_err(|problem| format!("case `{name}`: {problem}"))?);
    }
    for table in tables {
        let name = table.name.clone();
        all.extend(crossed(table, now).map_err(|problem| format!("table `{name}`: {problem}"))?);
    }
    Ok(all)
}

fn single(case: CaseForm, now: Timestamp) -> Result<Case, String> {
    let permit = case.expect == Expect::Permit;
    if permit && case.reason.is_some() {
        return Err("a permit has no `reason`".into());
    }
    let reason = case.reason.map(|name| {
        DenyReason::ALL.into_iter().find(|reason| reason.name() == name).ok_or_else(|| {
            let names: Vec<_> = DenyReason::ALL.iter().map(|reason| reason.name()).collect();
            format!("`{name}` is no deny reason; they are {}", names.join(", "))
        })
    });
    let now = case.now.as_deref().map(instant).transpose()?.unwrap_or(now);
    let mut facts = facts(&case.principal, case.actor.as_deref(), &case.earlier_actors, case.facts, now)?;
    facts.session = case.session;
    Ok(Case {
        name: case.name,
        ask: ask(case.mcp, case.action, case.resource, case.context)?,
        facts,
        expected: Expected { permit, reason: reason.transpose()?, determining: case.determining },
    })
}

/// Every ask for every party; what the table does not permit must be denied.
fn crossed(table: TableForm, now: Timestamp) -> Result<Vec<Case>, String> {
    let TableForm { name, parties, asks, permit, facts: established, now: own } = table;
    let now = own.as_deref().map(instant).transpose()?.unwrap_or(now);
    for (ask, allowed) in &permit {
        if !asks.iter().any(|known| known.name == *ask) {
            return Err(format!("`permit` names the ask `{ask}`, which the table does not have"));
        }
        if let Some(stranger) = allowed.iter().find(|name| !parties.iter().any(|party| party.name == **name))
        {
            return Err(format!("`permit` names the party `{stranger}`, which the table does not have"));
        }
    }
    let mut cells = Vec::new();
    for form in asks {
        let allowed = permit.get(&form.name).cloned().unwrap_or_default();
        let question = ask(form.mcp, form.action, form.resource, form.context)?;
        for party in &parties {
            let actor = party.actor.as_deref();
            cells.push(Case {
                name: format!("{name}: {} × {}", form.name, party.name),
                ask: question.clone(),
                facts: facts(&party.principal, actor, &party.earlier_actors, established.clone(), now)?,
                expected: Expected { permit: allowed.contains(&party.name), reason: None, determining: None },
            });
        }
    }
    Ok(cells)
}

fn facts(
    principal: &str,
    actor: Option<&str>,
    earlier: &[String],
    established: BTreeMap<String, Json>,
    now: Timestamp,
) -> Result<Facts, String> {
    let established = values(established)?;
    let actor = actor.map(uid).transpose()?;
    for text in earlier {
        uid(text)?;
    }
    let depth = i64::from(actor.is_some()) + i64::try_from(earlier.len()).unwrap_or(i64::MAX);
    Ok(Facts { principal: uid(principal)?, actor, actor_depth: depth, session: None, established, now })
}

fn ask(
    message: Option<McpForm>,
    action: Option<String>,
    resource: Option<String>,
    context: BTreeMap<String, Json>,
) -> Result<Ask, String> {
    match (message, action, resource) {
        (Some(form), None, None) if context.is_empty() => Ok(Ask::Mcp(mcp::Message {
            server: form.server,
            method: form.method,
            params: form.params.map(|params| params.to_string().into_bytes()).unwrap_or_default(),
            protocol_version: form.protocol_version,
            headers: form.headers,
            tool_definition: form.tool_definition.map(|definition| definition.to_string().into_bytes()),
        })),
        (None, Some(action), Some(resource)) => {
            let mut question = Question::new(uid(&action)?, uid(&resource)?);
            question.context = values(context)?;
            Ok(Ask::Access(question))
        }
        (Some(_) | None, _, _) => {
            Err("give either `mcp`, or `action` and `resource` (with `context`)".into())
        }
    }
}

fn values(members: BTreeMap<String, Json>) -> Result<BTreeMap<String, Value>, String> {
    let value = |json: &Json| {
        json::parse(json.to_string().as_bytes(), json::Limits::default()).map_err(|error| error.to_string())
    };
    members.into_iter().map(|(name, json)| Ok((name, value(&json)?))).collect()
}

/// `Human::"ana"`, as a policy writes it.
fn uid(text: &str) -> Result<Uid, String> {
    text.parse().map_err(|_| format!("`{text}` is no entity; write `Type::\"id\"`"))
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let parsed =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|_| format!("`{text}` is no RFC 3339 instant"))?;
    i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).map(Timestamp).map_err(|_| "out of range".into())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}
