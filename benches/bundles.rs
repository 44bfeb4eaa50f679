//! Bundles of any size in the shape of the shipped one.
//! Never one whose size changes which rules a refund meets.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use palisade::diagnostic::File;

/// Policies in one generated file.
pub const PER_FILE: usize = 100;

/// The shipped bundle. Read here and not by the library, whose core reads no files.
pub fn shipped() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["schemas", "policies", "entities", "tools"] {
        read_below(root, &root.join(folder), &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 10, "run from a checkout");
    files
}

fn read_below(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let wanted = [".cedarschema", ".cedar", ".json", ".facts.yaml"].iter().any(|end| name.ends_with(end));
        if path.is_dir() && !name.ends_with("node_modules") {
            read_below(root, &path, files);
        } else if wanted && (!name.starts_with("tools/") || name.matches('/').count() == 1) {
            files.extend(fs::read_to_string(&path).map(|text| File::new(name, text)));
        }
    }
}

/// The files of a bundle, by what it has beside the shipped one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside {
    /// Policies of teams that the question is not about.
    pub policies: usize,
    /// People that the question is not about.
    pub people: usize,
    /// Agents that each have a rule of their own.
    pub agents: usize,
    /// Tools of servers that the question is not about, 100 to a server.
    pub tools: usize,
}

impl Beside {
    /// The shipped bundle with this beside it.
    pub fn files(self) -> Vec<File> {
        let Self { policies, people, agents, tools } = self;
        let mut files = shipped();
        for first in (0..policies).step_by(PER_FILE) {
            files.push(policy_file(first, policies.min(first + PER_FILE), ""));
        }
        for first in (0..agents).step_by(PER_FILE) {
            files.push(agent_file(first, agents.min(first + PER_FILE)));
        }
        for first in (0..tools).step_by(PER_FILE) {
            files.extend(tool_files(first, tools.min(first + PER_FILE)));
        }
        files.push(File::new("entities/beside.json", entities(policies, people, agents)));
        files
    }
}

/// A file of policies `first..end`; `mark` stands in its first line.
pub fn policy_file(first: usize, end: usize, mark: &str) -> File {
    let mut text = format!("// Made for a benchmark. {mark}\n");
    for at in first..end {
        let team = at / 10;
        let tool = match at % 4 {
            0 => "crm/lookup_customer",
            1 => "crm/send_email",
            2 => "git/git_log",
            _ => "time/get_current_time",
        };
        let amount = at % 977;
        let _ = writeln!(
            text,
            "@id(\"beside/{at}\")\n@control(\"NIST-AC-3\")\npermit (principal in Team::\"team-{team}\", \
             action == Action::\"{tool}\", resource)\nwhen {{ principal.active && context.actor_depth < {amount} }};"
        );
    }
    File::new(format!("policies/beside/{:05}.cedar", first / PER_FILE), text)
}

fn agent_file(first: usize, end: usize) -> File {
    let mut text = String::from("// Made for a benchmark.\n");
    for at in first..end {
        let _ = writeln!(
            text,
            "@id(\"agents/{at}\")\npermit (principal == Agent::\"agent-{at}\", action in Action::\"tools/call\", \
             resource in Server::\"crm\")\nwhen {{ context has requester }};"
        );
    }
    File::new(format!("policies/agents/{:05}.cedar", first / PER_FILE), text)
}

/// A server with tools, each with an argument of its own.
pub fn tool_files(first: usize, end: usize) -> [File; 2] {
    let server = first / PER_FILE;
    let tool = |at: usize| {
        format!(
            "{{\"name\": \"tool_{at}\", \"description\": \"d\", \"inputSchema\": {{\"type\": \"object\", \
             \"properties\": {{\"argument_{at}\": {{\"type\": \"string\"}}, \"count\": {{\"type\": \"integer\"}}}}, \
             \"required\": [\"count\"], \"additionalProperties\": false}}}}"
        )
    };
    let tools: Vec<String> = (first..end).map(tool).collect();
    let facts = (first..end).fold(String::from("tools:\n"), |mut text, at| {
        let _ = writeln!(text, "  tool_{at}:\n    data_classes: [public]\n    destructive: false");
        text
    });
    [
        File::new(format!("tools/made-{server}.json"), format!("{{\"tools\": [{}]}}", tools.join(","))),
        File::new(format!("tools/made-{server}.facts.yaml"), facts),
    ]
}

fn entities(policies: usize, people: usize, agents: usize) -> String {
    let mut items: Vec<String> = Vec::new();
    let uid = |kind: &str, id: &str| format!("{{\"type\": \"{kind}\", \"id\": \"{id}\"}}");
    for team in 0..policies.div_ceil(10).max(1) {
        let team = uid("Team", &format!("team-{team}"));
        items.push(format!("{{\"uid\": {team}, \"attrs\": {{}}, \"parents\": []}}"));
    }
    for person in 0..people {
        items.push(format!(
            "{{\"uid\": {}, \"attrs\": {{\"active\": true, \"clearances\": [{}]}}, \"parents\": [{}]}}",
            uid("Human", &format!("person-{person}")),
            uid("DataClass", "internal"),
            uid("Team", "team-0"),
        ));
    }
    for agent in 0..agents {
        items.push(format!(
            "{{\"uid\": {}, \"attrs\": {{\"owner\": {}, \"active\": true, \"clearances\": [{}]}}, \"parents\": []}}",
            uid("Agent", &format!("agent-{agent}")),
            uid("Human", "ana"),
            uid("DataClass", "confidential"),
        ));
    }
    format!("[{}]", items.join(",\n"))
}
