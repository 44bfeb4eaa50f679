//! Who × what over the shipped bundle: every party and every tool, with arguments that the tool takes.
//! A change of `matrix.golden` is a change of policy, to be read as such. `PALISADE_UPDATE_GOLDEN=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use palisade::access::{DenyReason, Facts, Outcome};
use palisade::mcp::Message;
use palisade::pdp::{Ask, Terms, judge};
use palisade::policy::Round;
use palisade::value::Uid;
use serde_json::{Value as Json, json};

use crate::pdp::{NOW, shipped, shipped_files};

/// The principal, and the agent that acts for it.
const PARTIES: [(&str, Option<&str>); 24] = [
    ("Human ana", None),
    ("Human bo", None),
    ("Human kim", None),
    ("Human lea", None),
    ("Human mallory", None),
    ("Agent support-bot", None),
    ("Agent lead-bot", None),
    ("Agent coder", None),
    ("Agent inspector", None),
    ("Agent night-watch", None),
    ("Agent retired-bot", None),
    ("Agent orphan-bot", None),
    ("Human ana", Some("support-bot")),
    ("Human ana", Some("coder")),
    ("Human ana", Some("inspector")),
    ("Human ana", Some("retired-bot")),
    ("Human ana", Some("orphan-bot")),
    ("Human lea", Some("lead-bot")),
    ("Human lea", Some("support-bot")),
    ("Human bo", Some("coder")),
    ("Human bo", Some("night-watch")),
    ("Human kim", Some("inspector")),
    ("Human kim", Some("coder")),
    ("Human mallory", Some("lead-bot")),
];

/// A letter for each policy that forbids.
const FORBIDS: [(&str, char); 10] = [
    ("guard/clearance", 'c'),
    ("guard/destructive", 'd'),
    ("guard/unattended", 'u'),
    ("guard/bound-token", 't'),
    ("guard/stale-token", 's'),
    ("guard/inactive-human", 'h'),
    ("guard/inactive-agent", 'a'),
    ("guard/inactive-owner", 'o'),
    ("guard/unseen-destructive", 'x'),
    ("guard/unseen-open-world", 'y'),
];

const GOLDEN: &str = include_str!("matrix.golden");

#[test]
fn who_may_call_which_tool_is_as_it_was_agreed() {
    let found = matrix();
    if std::env::var_os("PALISADE_UPDATE_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/matrix.golden");
        std::fs::write(path, found).unwrap();
        return;
    }
    assert!(found == GOLDEN, "{}", similar::TextDiff::from_lines(GOLDEN, &found).unified_diff());
}

#[test]
fn the_matrix_has_every_party_of_the_bundle_and_every_tool() {
    let listed = |kind: &str| -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for file in shipped_files().iter().filter(|file| file.path.starts_with("entities/")) {
            let entities: Json = serde_json::from_str(&file.text).unwrap();
            let uids = entities.as_array().unwrap().iter().map(|entity| &entity["uid"]);
            ids.extend(
                uids.filter(|uid| uid["type"] == kind).map(|uid| uid["id"].as_str().unwrap().to_owned()),
            );
        }
        ids
    };
    for kind in ["Human", "Agent"] {
        let alone: BTreeSet<String> = PARTIES
            .iter()
            .filter(|(_, actor)| actor.is_none())
            .filter_map(|(principal, _)| principal.strip_prefix(kind)?.strip_prefix(' '))
            .map(str::to_owned)
            .collect();
        assert_eq!(alone, listed(kind));
    }
    let tools = shipped().catalog().servers().map(|server| server.tools.len()).sum::<usize>();
    let rows =
        GOLDEN.lines().filter(|line| line.split(' ').next().is_some_and(|name| name.contains('/'))).count();
    assert_eq!(rows, tools);
}

#[test]
fn the_matrix_holds_permits_and_every_kind_of_deny() {
    let cells: Vec<&str> = GOLDEN.split_whitespace().collect();
    for cell in ["P", "-", "c", "d", "u", "t", "h", "a", "o"] {
        assert!(cells.iter().any(|found| found.contains(cell)), "no cell has `{cell}`");
    }
}

fn matrix() -> String {
    let mut text = String::from(
        "Who may call which tool of the shipped bundle, on its own: without a task and without a token.\n\n",
    );
    text += "P  permitted\n-  no policy permits it\n";
    for (policy, letter) in FORBIDS {
        writeln!(text, "{letter}  {policy} forbids it").unwrap();
    }
    text.push('\n');
    for (number, (principal, actor)) in PARTIES.iter().enumerate() {
        let through = actor.map(|actor| format!(" through {actor}")).unwrap_or_default();
        writeln!(text, "{:>2}  {principal}{through}", number + 1).unwrap();
    }
    let arguments = arguments();
    for server in shipped().catalog().servers() {
        let numbers = row((1..=PARTIES.len()).map(|number| number.to_string()));
        writeln!(text, "\n{:<44}{numbers}", "").unwrap();
        for name in server.tools.keys() {
            let tool = format!("{}/{name}", server.id);
            let cells = row(PARTIES.iter().map(|party| cell(&server.id, name, &arguments[&tool], *party)));
            writeln!(text, "{tool:<44}{cells}").unwrap();
        }
    }
    text
}

fn row(cells: impl Iterator<Item = String>) -> String {
    cells.fold(String::new(), |mut row, cell| {
        write!(row, "{cell:>4}").unwrap();
        row
    })
}

/// One party and one tool, in letters.
fn cell(server: &str, tool: &str, arguments: &Json, (principal, actor): (&str, Option<&str>)) -> String {
    let (kind, id) = principal.split_once(' ').unwrap();
    let facts = Facts {
        principal: Uid::new(kind, id),
        actor: actor.map(|id| Uid::new("Agent", id)),
        actor_depth: i64::from(actor.is_some()),
        session: None,
        described: None,
        token: None,
        task: None,
        established: palisade::value::Members::new(),
        now: NOW,
    };
    let ask = Ask::Mcp(Message {
        server: server.into(),
        method: "tools/call".into(),
        params: json!({ "name": tool, "arguments": arguments }).to_string().into_bytes().into(),
        ..Message::default()
    });
    let terms = Terms { agentless: true, ..Terms::default() };
    let decision = judge(&mut Round::of_one(&shipped()), &ask, &facts, &terms).decision;
    match decision.outcome {
        Outcome::Permit => "P".into(),
        Outcome::Deny(DenyReason::NoPermit) => "-".into(),
        Outcome::Deny(DenyReason::Forbidden) => {
            let letter =
                |id: &str| FORBIDS.iter().find(|(policy, _)| *policy == id).map(|(_, letter)| *letter);
            let letters: BTreeSet<char> = decision
                .determining
                .iter()
                .map(|policy| letter(&policy.id).unwrap_or_else(|| panic!("`{}` has no letter", policy.id)))
                .collect();
            letters.into_iter().collect()
        }
        Outcome::Deny(other) => panic!("{server}/{tool} {arguments}: {}: {}", other.name(), decision.reason),
    }
}

/// The least that each tool takes, by its full name.
fn arguments() -> BTreeMap<String, Json> {
    let mut arguments = BTreeMap::new();
    for file in shipped_files() {
        let Some(server) = file.path.strip_prefix("tools/").and_then(|name| name.strip_suffix(".json"))
        else {
            continue;
        };
        let listed: Json = serde_json::from_str(&file.text).unwrap();
        for tool in listed["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            arguments.insert(format!("{server}/{name}"), least(&tool["inputSchema"]));
        }
    }
    // Values that a policy asks for.
    arguments.insert("fetch/fetch".into(), json!({ "url": "https://docs.rs/serde" }));
    arguments.insert("crm/issue_refund".into(), json!({ "order": "o-1", "amount": 30 }));
    arguments
}

/// The least value that a JSON Schema takes, as far as the shipped tools use the language.
fn least(schema: &Json) -> Json {
    if let Some(first) = schema["enum"].as_array().and_then(|allowed| allowed.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).expect("a type");
    match kind {
        "object" => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let members = required.iter().map(|name| {
                let name = name.as_str().unwrap();
                (name.to_owned(), least(&schema["properties"][name]))
            });
            Json::Object(members.collect())
        }
        "array" if schema["minItems"].as_u64().is_some_and(|count| count > 0) => {
            json!([least(&schema["items"])])
        }
        "array" => json!([]),
        "string" if schema["format"] == "uri" => json!("https://example.org/"),
        "string" => json!("x"),
        "integer" | "number" => json!(schema["minimum"].as_i64().unwrap_or(1)),
        "boolean" => json!(false),
        other => panic!("no least value of the type `{other}` is known"),
    }
}
