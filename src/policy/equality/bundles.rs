//! Bundles of few names: schemas, tools that share some arguments and differ in others, policies, entities, and
//! what breaks any of them.
//! Never remembers a text: a bundle is written out anew from its parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::policies::{Policy, policy};
use crate::diagnostic::File;

const SMALL: &str = r#"
entity DataClass in [DataClass];
entity Team;
entity Human in [Team] = { active: Bool, clearances: Set<DataClass> };
entity Agent = { active: Bool, clearances: Set<DataClass> };
entity Server;
entity ToolGroup;
entity Tool in [Server, ToolGroup, DataClass] = { data_classes: Set<DataClass>, destructive: Bool };
entity Doc = { owner: Human, @source("pep") size?: Long };
type Call = { @source("pdp") requester?: Human, @source("pdp") actor?: Agent, @source("pdp") now: datetime, note?: String };
action "tools/call";
action "tools/list" appliesTo { principal: [Human, Agent], resource: [Server], context: Call };
action "read" appliesTo { principal: [Human, Agent], resource: [Doc], context: Call };
"#;

const SHIPPED: &str = include_str!("../../../schemas/agent.cedarschema");

/// What is written instead of what, in one schema and the other.
pub(super) const CHANGES: &[(bool, &str, &str)] = &[
    (false, "note?: String", "note?: Long"),
    (false, "note?: String };", "note: String, task?: { purpose: DataClass } };"),
    (false, "action \"tools/call\";", "action \"all\"; action \"tools/call\" in [\"all\"];"),
    (false, "destructive: Bool };", "destructive: String };"),
    (false, "entity Human in [Team] = { active: Bool,", "entity Human in [Team] = { active?: Bool,"),
    (true, "@source(\"pdp\") task?: Grant,", ""),
    (true, "@source(\"pdp\") actor?: Agent,", "@source(\"pdp\") actor: Agent,"),
    (true, "  destructive: Bool,\n", ""),
];

/// Further files of `schemas/`, each on its own or beside the others.
pub(super) const EXTRAS: &[&str] = &[
    "entity Color enum [\"red\", \"green\"];",
    "action \"audit\" in [\"tools/call\"] appliesTo { principal: [Human], resource: [Tool], context: { input: { amount: String } } };",
    "action \"below\" in [\"crm/refund\"] appliesTo { principal: [Agent], resource: [Team], context: { amount: Long } };",
    "namespace Acme { action \"c\" in [Action::\"tools/call\"] appliesTo { principal: [Human], resource: [Tool], context: Call }; }",
    "namespace Acme2 { entity Human; action \"d\" appliesTo { principal: [Human], resource: [Tool] }; }",
    "external entity Later;",
    "action \"crm/gone\" appliesTo { principal: [Human], resource: [Tool], context: Call };",
];

pub(super) const TOOLS: &[(&str, &str)] = &[
    ("crm", "refund"),
    ("crm", "lookup"),
    ("git", "push"),
    ("git", "refund"),
    ("crm", "send"),
    ("mail", "send"),
    ("mail", "drop"),
    ("crm", "gone"),
];

/// What tools take. Most have an `amount`, and not all of the same type.
pub(super) const FORMS: &[&str] = &[
    r#"{"type": "object", "properties": {"order": {"type": "string"}, "amount": {"type": "integer"}}, "required": ["order", "amount"]}"#,
    r#"{"type": "object", "properties": {"note": {"type": "string"}, "amount": {"type": "integer"}}, "required": ["amount"]}"#,
    r#"{"type": "object", "properties": {"to": {"type": "boolean"}, "amount": {"type": "integer"}}}"#,
    r#"{"type": "object", "properties": {"order": {"type": "object", "properties": {"id": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "string"}}}, "required": ["id"]}, "amount": {"type": "integer"}}, "required": ["amount"]}"#,
    r#"{"type": "object", "properties": {"amount": {"type": "string"}}, "required": ["amount"]}"#,
    r#"{"type": "object", "properties": {}}"#,
    r#"{"type": "object", "properties": {"order": {"type": "string"}, "amount": {"type": ["integer", "string"]}}, "required": ["order"]}"#,
];

const FACTS: &[&str] =
    &["", "data_classes: [internal]", "destructive: true, open: true", "untyped: [amount]"];

/// How a bundle can be spoilt: a file that is added, or written over one of the same path.
pub(super) const FAULTS: &[(&str, &str)] = &[
    ("policies/broken.cedar", "permit(principal, action, resource) when { 1 + };"),
    ("policies/p0.cedar", "permit(principal action, resource);"),
    ("policies/p0.cedar", "  "),
    ("policies/template.cedar", "permit(principal == ?principal, action, resource);"),
    ("policies/mode.cedar", "@mode(\"shadow\") permit(principal, action, resource);"),
    ("schemas/broken.cedarschema", "entity ;"),
    ("schemas/nowhere.cedarschema", "entity Lost in [Nowhere];"),
    ("schemas/s.cedarschema", "entity Human; entity Agent;"),
    ("schemas/stray.cedarschema", "type Loose = { @source(\"pdp\") x: Long };"),
    ("tools/crm.json", "{\"tools\": ["),
    ("tools/lost.facts.yaml", "tools: {}"),
    ("entities/broken.json", "[{]"),
    (
        "entities/e.json",
        "[{\"uid\": {\"type\": \"Human\", \"id\": \"ana\"}, \"attrs\": {\"active\": 1}, \"parents\": []}]",
    ),
    ("README.md", "Not a part of what decides."),
    ("policies/p_test.yaml", "cases: []"),
];

/// A bundle by its parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Bundle {
    /// Whether its schema is the shipped one, and what is changed in it.
    pub(super) shipped: bool,
    pub(super) changes: BTreeSet<usize>,
    pub(super) extras: BTreeSet<usize>,
    /// The form of each tool.
    pub(super) tools: BTreeMap<usize, usize>,
    /// What is said about all tools of a server.
    pub(super) facts: BTreeMap<usize, usize>,
    pub(super) policies: Vec<Vec<Policy>>,
    pub(super) tame: bool,
    pub(super) entities: usize,
    pub(super) faults: BTreeSet<usize>,
    pub(super) reversed: bool,
}

pub(super) fn bundle() -> impl Strategy<Value = Bundle> {
    use proptest::collection::{btree_map, btree_set, vec};
    let form = prop_oneof![5 => 0..3_usize, 2 => 0..FORMS.len()];
    let schema = (
        prop::bool::weighted(0.2),
        prop_oneof![2 => Just(BTreeSet::new()), 1 => btree_set(0..CHANGES.len(), 1..3)],
        prop_oneof![2 => Just(BTreeSet::new()), 1 => btree_set(0..EXTRAS.len(), 1..3)],
    );
    // Policies name the first tools most.
    let tool = prop_oneof![2 => 0..3_usize, 1 => 0..TOOLS.len()];
    let tools = prop_oneof![1 => Just(0..1), 9 => Just(2..9)]
        .prop_flat_map(move |count| btree_map(tool.clone(), form.clone(), count));
    let facts = btree_map(0..3_usize, 0..FACTS.len(), 0..3);
    let policies = vec(vec(policy(), 1..4), 1..4);
    let rest = (prop::bool::weighted(0.65), 0..4_usize);
    (schema, tools, facts, policies, rest).prop_map(|(schema, tools, facts, policies, (tame, entities))| {
        let (shipped, changes, extras) = schema;
        let (faults, reversed) = (BTreeSet::new(), false);
        Bundle { shipped, changes, extras, tools, facts, policies, tame, entities, faults, reversed }
    })
}

impl Bundle {
    /// Its files, in the order of their paths or the other way round.
    pub(super) fn files(&self) -> Vec<File> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        texts.insert("schemas/s.cedarschema".into(), self.schema());
        for place in &self.extras {
            texts.insert(format!("schemas/x{place}.cedarschema"), EXTRAS[*place].to_owned());
        }
        for server in ["crm", "git", "mail"] {
            self.server(server, &mut texts);
        }
        for (place, policies) in self.policies.iter().enumerate() {
            let written: String = policies.iter().map(|policy| policy.text(self.tame)).collect();
            texts.insert(format!("policies/p{place}.cedar"), format!("// Rules.\n{written}"));
        }
        texts.insert("entities/e.json".into(), self.entities());
        for place in &self.faults {
            let (path, text) = FAULTS[*place];
            texts.insert(path.into(), text.into());
        }
        let mut files: Vec<File> = texts.into_iter().map(|(path, text)| File::new(path, text)).collect();
        if self.reversed {
            files.reverse();
        }
        files
    }

    fn schema(&self) -> String {
        let base = if self.shipped { SHIPPED } else { SMALL };
        let changes = self.changes.iter().map(|place| &CHANGES[*place]);
        let ours = changes.filter(|(shipped, ..)| *shipped == self.shipped);
        ours.fold(base.to_owned(), |text, (_, from, to)| text.replace(from, to))
    }

    fn server(&self, server: &str, texts: &mut BTreeMap<String, String>) {
        let ours = |place: &usize| TOOLS[*place].0 == server;
        let tools: Vec<(usize, usize)> =
            self.tools.iter().filter(|(tool, _)| ours(tool)).map(|(tool, form)| (*tool, *form)).collect();
        if tools.is_empty() {
            return;
        }
        let written = tools.iter().map(|(tool, form)| {
            let (name, form) = (TOOLS[*tool].1, FORMS[*form]);
            format!(r#"{{"name": "{name}", "description": "d", "inputSchema": {form}}}"#)
        });
        let written: Vec<String> = written.collect();
        texts.insert(format!("tools/{server}.json"), format!("{{\"tools\": [{}]}}", written.join(",\n")));
        let place = TOOLS.iter().position(|(one, _)| *one == server).unwrap_or_default() % 3;
        if let Some(facts) = self.facts.get(&place) {
            let mut text = "tools:\n".to_owned();
            for (tool, _) in tools {
                writeln!(text, "  {}: {{ {} }}", TOOLS[tool].1, FACTS[*facts]).unwrap();
            }
            texts.insert(format!("tools/{server}.facts.yaml"), text);
        }
    }

    fn entities(&self) -> String {
        let class = |id: &str| format!(r#"{{"type": "DataClass", "id": "{id}"}}"#);
        let cleared = ["internal", "secret"][self.entities % 2];
        let active = self.entities < 3;
        let owner = if self.shipped { r#""owner": {"type": "Human", "id": "ana"},"# } else { "" };
        format!(
            r#"[{{"uid": {public}, "attrs": {{}}, "parents": [{internal}]}},
            {{"uid": {internal}, "attrs": {{}}, "parents": [{secret}]}},
            {{"uid": {secret}, "attrs": {{}}, "parents": []}},
            {{"uid": {{"type": "Team", "id": "support"}}, "attrs": {{}}, "parents": []}},
            {{"uid": {{"type": "Human", "id": "ana"}}, "attrs": {{"active": {active}, "clearances": [{cleared}]}},
              "parents": [{{"type": "Team", "id": "support"}}]}},
            {{"uid": {{"type": "Agent", "id": "bot"}}, "attrs": {{{owner} "active": true, "clearances": []}}, "parents": []}}]"#,
            public = class("public"),
            internal = class("internal"),
            secret = class("secret"),
            cleared = class(cleared),
        )
    }
}
