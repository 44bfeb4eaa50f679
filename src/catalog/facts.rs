//! What the operator says about a server and its tools: `tools/<server>.facts.yaml`, as typed and as used.
//! Never takes a server's word for something that would loosen a rule.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::uri::{self, UriFault};
use crate::value::Value;

/// The class of everything that nobody has classified; no clearance contains it unless somebody writes it down.
pub const UNCLASSIFIED: &str = "unclassified";

/// How long a URI may be: no request names a longer one.
const URI_BYTES_MAX: usize = 4096;

/// The groups that follow from a tool's flags; a facts file cannot name them.
pub(super) const DERIVED_GROUPS: [&str; 3] = ["destructive", "open-world", "read-only"];

/// A facts file as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactsFile {
    /// The server's resource identifier.
    pub(super) audience: Option<String>,
    /// `ServerGroup` parents of the server.
    #[serde(default)]
    pub(super) groups: BTreeSet<String>,
    #[serde(default)]
    pub(super) tools: BTreeMap<String, ToolEntry>,
    #[serde(default)]
    pub(super) resources: Vec<ResourceEntry>,
    #[serde(default)]
    pub(super) prompts: BTreeMap<String, PromptEntry>,
}

/// What is said about one tool.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolEntry {
    #[serde(default)]
    pub(super) data_classes: BTreeSet<String>,
    pub(super) read_only: Option<bool>,
    pub(super) destructive: Option<bool>,
    pub(super) open_world: Option<bool>,
    /// `ToolGroup` parents.
    #[serde(default)]
    pub(super) groups: BTreeSet<String>,
    /// Arguments left untyped on purpose, as dotted paths.
    #[serde(default)]
    pub(super) untyped: BTreeSet<String>,
    /// Undeclared arguments are let through.
    #[serde(default)]
    pub(super) open: bool,
}

/// What is said about the resources that a URI, or a beginning of one, names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceEntry {
    /// A canonical URI; a `*` at the end stands for any rest.
    pub(super) uri: String,
    #[serde(default)]
    pub(super) data_classes: BTreeSet<String>,
}

/// What is said about one prompt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptEntry {
    #[serde(default)]
    pub(super) data_classes: BTreeSet<String>,
}

/// What is known about a tool, all sources taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFacts {
    /// The classes of data it handles; `unclassified` when nobody said.
    pub data_classes: BTreeSet<String>,
    /// It changes nothing.
    pub read_only: bool,
    /// It can destroy or overwrite.
    pub destructive: bool,
    /// It reaches beyond the organisation.
    pub open_world: bool,
    /// Its `ToolGroup` parents: those that the operator named and those that follow from the flags.
    pub groups: BTreeSet<String>,
}

impl ToolFacts {
    /// The operator's word wins; else a hint of the server's, where it tightens; else the careful assumption
    /// (MCP's own defaults, "Tool annotations").
    pub(super) fn of(entry: &ToolEntry, annotations: Option<&Value>) -> Self {
        let hint = |name: &str| match annotations {
            Some(Value::Record(hints)) => hints.get(name),
            _ => None,
        };
        // `readOnlyHint: false` and `openWorldHint: true` tighten too, but say no more than is assumed anyway.
        let read_only = entry.read_only.unwrap_or(false);
        let hinted_destructive = hint("destructiveHint") == Some(&Value::Bool(true));
        let destructive = entry.destructive.unwrap_or(hinted_destructive || !read_only);
        let open_world = entry.open_world.unwrap_or(true);
        let derived = DERIVED_GROUPS.into_iter().zip([destructive, open_world, read_only]);
        let derived = derived.filter(|(_, holds)| *holds).map(|(group, _)| group.to_owned());
        Self {
            data_classes: classes(&entry.data_classes),
            read_only,
            destructive,
            open_world,
            groups: entry.groups.iter().cloned().chain(derived).collect(),
        }
    }
}

/// The classes that are named, or `unclassified`.
pub(super) fn classes(named: &BTreeSet<String>) -> BTreeSet<String> {
    if named.is_empty() { BTreeSet::from([UNCLASSIFIED.to_owned()]) } else { named.clone() }
}

impl ResourceEntry {
    /// How `uri` has to be written in order to match.
    pub(super) fn canonical_uri(&self) -> Result<String, UriFault> {
        match self.uri.strip_suffix('*') {
            Some(beginning) => Ok(uri::canonical_beginning(beginning, URI_BYTES_MAX)? + "*"),
            // Braces are a template's where they pair, as in a completion, and literal where they do not.
            None => match uri::canonical_template(&self.uri, URI_BYTES_MAX) {
                Err(UriFault::Template) => uri::canonical(&self.uri, URI_BYTES_MAX),
                template => template,
            },
        }
    }

    /// How much of `uri` the entry names, if it is about it: an exact name is worth more than any beginning.
    pub(super) fn specificity(&self, uri: &str) -> Option<usize> {
        match self.uri.strip_suffix('*') {
            Some(beginning) => uri.starts_with(beginning).then_some(beginning.len()),
            None => (self.uri == uri).then_some(usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests;
