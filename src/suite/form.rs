//! The form of a test file: every key that it may have, as typed.
//! Never says what a key means; an unknown one is refused by the reader.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use serde_saphyr::Spanned;

/// A text, with its place in the file.
pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuiteForm {
    pub(super) now: Option<Text>,
    /// Whether people may come without an agent, as a caller with `agentless` may bring them.
    #[serde(default)]
    pub(super) agentless: bool,
    #[serde(default)]
    pub(super) cases: Vec<CaseForm>,
    #[serde(default)]
    pub(super) tables: Vec<TableForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseForm {
    pub(super) name: Text,
    pub(super) principal: Text,
    pub(super) actor: Option<Text>,
    #[serde(default)]
    pub(super) earlier_actors: Vec<Text>,
    pub(super) session: Option<String>,
    pub(super) mcp: Option<McpForm>,
    pub(super) action: Option<Text>,
    pub(super) resource: Option<Text>,
    #[serde(default)]
    pub(super) context: BTreeMap<String, Spanned<Json>>,
    #[serde(default)]
    pub(super) facts: BTreeMap<String, Spanned<Json>>,
    pub(super) now: Option<Text>,
    pub(super) expect: Expect,
    pub(super) reason: Option<Text>,
    pub(super) determining: Option<Vec<Text>>,
    pub(super) obligations: Option<Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableForm {
    pub(super) name: Text,
    pub(super) parties: Vec<PartyForm>,
    pub(super) asks: Vec<AskForm>,
    /// By the name of the ask: the parties that may. Everybody else may not.
    pub(super) permit: BTreeMap<String, Spanned<Vec<Text>>>,
    #[serde(default)]
    pub(super) facts: BTreeMap<String, Spanned<Json>>,
    pub(super) now: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyForm {
    pub(super) name: Text,
    pub(super) principal: Text,
    pub(super) actor: Option<Text>,
    #[serde(default)]
    pub(super) earlier_actors: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskForm {
    pub(super) name: Text,
    pub(super) mcp: Option<McpForm>,
    pub(super) action: Option<Text>,
    pub(super) resource: Option<Text>,
    #[serde(default)]
    pub(super) context: BTreeMap<String, Spanned<Json>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct McpForm {
    pub(super) server: String,
    pub(super) method: String,
    pub(super) params: Option<Json>,
    pub(super) protocol_version: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) tool_definition: Option<Json>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    Permit,
    Deny,
}
