//! From the files below `tools/` to servers, with everything that is wrong with them.
//! Never stops at the first finding: a bad tool is left out, and the rest is read.

mod definitions;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use super::Server;
use super::facts::{DERIVED_GROUPS, FactsFile};
use crate::diagnostic::{Diagnostic, File};
use definitions::{Definitions, Source};

/// Where the catalog is.
const FOLDER: &str = "tools/";

/// How long the id of a server may be, in bytes.
const SERVER_ID_LEN_MAX: usize = 128;

/// The first segments of MCP's methods: a server of that name would own actions that are the protocol's.
pub const RESERVED_SERVER_IDS: [&str; 14] = [
    "tools",
    "resources",
    "prompts",
    "completion",
    "logging",
    "tasks",
    "sampling",
    "elicitation",
    "roots",
    "server",
    "subscriptions",
    "notifications",
    "initialize",
    "ping",
];

/// How files end that were meant for the catalog, and would otherwise be passed over in silence.
const MISTAKEN_ENDINGS: [&str; 3] = [".facts.json", ".yaml", ".yml"];

/// The two files of one server.
#[derive(Default)]
struct Pair<'a> {
    catalog: Option<&'a File>,
    facts: Option<&'a File>,
}

pub(super) fn load(files: &[File]) -> (BTreeMap<String, Server>, Vec<Diagnostic>) {
    let mut findings = Vec::new();
    let mut pairs: BTreeMap<&str, Pair<'_>> = BTreeMap::new();
    for file in files {
        match role(file) {
            Ok(Some(Role::Catalog(id))) => pairs.entry(id).or_default().catalog = Some(file),
            Ok(Some(Role::Facts(id))) => pairs.entry(id).or_default().facts = Some(file),
            Ok(None) => {}
            Err(finding) => findings.push(*finding),
        }
    }
    let mut servers = BTreeMap::new();
    for (id, pair) in pairs {
        if let Some(server) = server(id, &pair, &mut findings) {
            servers.insert(id.to_owned(), server);
        }
    }
    crate::diagnostic::sort(&mut findings);
    (servers, findings)
}

enum Role<'a> {
    Catalog(&'a str),
    Facts(&'a str),
}

/// What a file is by its name; files of other kinds are nobody's concern.
fn role(file: &File) -> Result<Option<Role<'_>>, Box<Diagnostic>> {
    let name = file.path.strip_prefix(FOLDER).unwrap_or(&file.path);
    let (role, id) = if let Some(id) = name.strip_suffix(".facts.yaml") {
        (Role::Facts as fn(_) -> _, id)
    } else if MISTAKEN_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        let finding = Diagnostic::error(
            "catalog::file",
            format!("`{}` is not a file of the catalog", file.path),
        )
        .help("facts are YAML and live in `tools/<server>.facts.yaml`, catalogs in `tools/<server>.json`")
        .in_file(file);
        return Err(Box::new(finding));
    } else if let Some(id) = name.strip_suffix(".json") {
        (Role::Catalog as fn(_) -> _, id)
    } else {
        return Ok(None);
    };
    match server_id_fault(id) {
        None => Ok(Some(role(id))),
        Some((what, help)) => {
            let message = format!("`{id}` cannot be the id of a server: {what}");
            Err(Box::new(Diagnostic::error("catalog::server-id", message).help(help).in_file(file)))
        }
    }
}

/// Why this cannot be the id of a server, and what to do; nothing when it can.
pub fn server_id_fault(id: &str) -> Option<(&'static str, &'static str)> {
    const CHARACTERS: &str = "use lower-case letters, digits, `.`, `_` and `-`, a letter or digit first";
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if id.is_empty() || id.len() > SERVER_ID_LEN_MAX {
        Some(("it has to be 1 to 128 characters long", CHARACTERS))
    } else if !id.bytes().all(|b| plain(b) || b"._-".contains(&b)) || !id.bytes().next().is_some_and(plain) {
        Some(("it holds a character that it may not", CHARACTERS))
    } else if RESERVED_SERVER_IDS.contains(&id) {
        Some(("MCP's own methods begin with it", "give the server another name, for instance its product's"))
    } else {
        None
    }
}

fn server(id: &str, pair: &Pair<'_>, findings: &mut Vec<Diagnostic>) -> Option<Server> {
    let facts = pair.facts.map(|file| (file, facts_file(file, findings)));
    let Some(catalog) = pair.catalog else {
        if let Some((file, _)) = facts {
            let message = format!("facts about server `{id}`, which has no catalog");
            let help =
                format!("save the server's answer to tools/list as `tools/{id}.json`, or remove this file");
            findings.push(Diagnostic::error("catalog::facts", message).help(help).in_file(file));
        }
        return None;
    };
    let (facts_file, facts) = match facts {
        Some((file, facts)) => (Some(file), facts),
        None => (None, FactsFile::default()),
    };
    let definitions = match Definitions::read(catalog) {
        Ok(definitions) => definitions,
        Err(finding) => {
            findings.push(*finding);
            return None;
        }
    };
    if let Some(file) = facts_file {
        check(file, &facts, &definitions.names(), findings);
    }
    let tools = definitions.tools(Source { server: id, file: catalog, facts: &facts, facts_file }, findings);
    Some(Server::new(id, facts, tools))
}

/// Reads a facts file; one that cannot be read counts as empty, beside the error that says so.
fn facts_file(file: &File, findings: &mut Vec<Diagnostic>) -> FactsFile {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    match serde_saphyr::from_str_with_options::<Option<FactsFile>>(&file.text, options) {
        Ok(facts) => facts.unwrap_or_default(),
        Err(error) => {
            let message = match error.without_snippet() {
                serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                    format!("the facts file cannot be read: `{key}` stands twice")
                }
                other => format!("the facts file cannot be read: {other}"),
            };
            let help =
                "it holds `audience`, `groups`, `tools`, `resources` and `prompts`, all of them optional";
            let finding = Diagnostic::error("catalog::facts", message).help(help);
            findings.push(match place::of_yaml_error(file, &error) {
                Some(span) => finding.at(file, span, "here"),
                None => finding.in_file(file),
            });
            FactsFile::default()
        }
    }
}

/// What a facts file can say wrongly although it is well formed.
fn check(file: &File, facts: &FactsFile, names: &BTreeSet<&str>, findings: &mut Vec<Diagnostic>) {
    for (name, entry) in &facts.tools {
        let span = place::of_yaml_key(file, name);
        if !names.contains(name.as_str()) {
            let message = format!("facts about tool `{name}`, which the catalog lacks");
            let help = "remove the entry, or record the server's tools/list again";
            findings.push(Diagnostic::warning("catalog::facts", message).help(help).at(
                file,
                span.clone(),
                "unknown",
            ));
        }
        for group in DERIVED_GROUPS.iter().filter(|group| entry.groups.contains(**group)) {
            let message = format!("tool `{name}` cannot be put into group `{group}` by hand");
            let help = "set `read_only`, `destructive` or `open_world`: the group follows from it";
            findings.push(Diagnostic::error("catalog::facts", message).help(help).at(
                file,
                span.clone(),
                "here",
            ));
        }
        if entry.read_only == Some(true) && entry.destructive == Some(true) {
            let message = format!("tool `{name}` is said to be read-only and destructive");
            let help = "a tool that changes nothing destroys nothing: remove one of the two";
            findings.push(Diagnostic::error("catalog::facts", message).help(help).at(file, span, "here"));
        }
    }
    check_uris(file, facts, findings);
    let classes = facts.tools.values().map(|t| &t.data_classes);
    let classes = classes.chain(facts.resources.iter().map(|r| &r.data_classes));
    let mut classes = classes.chain(facts.prompts.values().map(|p| &p.data_classes));
    let groups = facts.tools.values().map(|t| &t.groups).chain([&facts.groups]);
    if classes.any(|set| set.contains("")) || groups.into_iter().any(|set| set.contains("")) {
        let help = "leave the list out, or name a data class or group of the bundle";
        let message = "a data class or group without a name";
        findings.push(Diagnostic::error("catalog::facts", message).help(help).in_file(file));
    }
}

/// A URI that is not canonical would match nothing, and what it classifies would count as unclassified.
fn check_uris(file: &File, facts: &FactsFile, findings: &mut Vec<Diagnostic>) {
    const ONCE: &str =
        "name each URI once; a `*` at the end stands for any rest, and the longest match counts";
    let mut uris = BTreeSet::new();
    for entry in &facts.resources {
        let uri = entry.uri.as_str();
        let (what, help) = if uri.strip_suffix('*').unwrap_or(uri).contains('*') {
            ("has a `*` that is not at its end".to_owned(), ONCE.to_owned())
        } else if uri.is_empty() {
            ("is empty".to_owned(), ONCE.to_owned())
        } else if !uris.insert(uri) {
            ("stands twice".to_owned(), ONCE.to_owned())
        } else {
            match entry.canonical_uri() {
                Ok(canonical) if canonical == uri => continue,
                Ok(canonical) => {
                    ("is not canonical and would match nothing".to_owned(), format!("write `{canonical}`"))
                }
                Err(fault) => (
                    format!("would match nothing: it {fault}"),
                    "write an absolute URI as the server lists it, or the beginning of one and a `*`"
                        .to_owned(),
                ),
            }
        };
        let message = format!("the resource URI `{uri}` {what}");
        let span = place::of_text(file, uri);
        findings.push(Diagnostic::error("catalog::facts", message).help(help).at(file, span, "here"));
    }
}

#[cfg(test)]
mod tests;
