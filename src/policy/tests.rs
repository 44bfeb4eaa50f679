//! Bundles small enough to see at a glance: what compiles, what is reported, what is decided.

use super::*;
use crate::access::{DenyReason, Facts, Outcome, Question, Timestamp};
use crate::diagnostic::{Diagnostic, File, Level};
use crate::identity::{Binding, Confirmation, TokenFacts, TokenKind, Verified};
use crate::value::{Uid, Value};

const SCHEMA: &str = r#"
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

const ENTITIES: &str = r#"[
  {"uid": {"type": "DataClass", "id": "public"}, "attrs": {}, "parents": [{"type": "DataClass", "id": "internal"}]},
  {"uid": {"type": "DataClass", "id": "internal"}, "attrs": {}, "parents": [{"type": "DataClass", "id": "secret"}]},
  {"uid": {"type": "DataClass", "id": "secret"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Team", "id": "support"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Human", "id": "ana"}, "attrs": {"active": true, "clearances": [{"type": "DataClass", "id": "internal"}]},
   "parents": [{"type": "Team", "id": "support"}]},
  {"uid": {"type": "Agent", "id": "bot"}, "attrs": {"active": true, "clearances": []}, "parents": []},
  {"uid": {"type": "Doc", "id": "d"}, "attrs": {"owner": {"type": "Human", "id": "ana"}, "size": 1}, "parents": []}
]"#;

const TOOLS: &str = r#"{"tools": [{"name": "refund", "description": "d", "inputSchema": {"type": "object",
  "properties": {"order": {"type": "string"}, "amount": {"type": "integer"}}, "required": ["order", "amount"]}}]}"#;

const FACTS: &str = "tools:\n  refund:\n    data_classes: [internal]\n    destructive: false\n";

fn files(policies: &str) -> Vec<File> {
    vec![
        File::new("schemas/s.cedarschema", SCHEMA),
        File::new("entities/e.json", ENTITIES),
        File::new("tools/crm.json", TOOLS),
        File::new("tools/crm.facts.yaml", FACTS),
        File::new("policies/p.cedar", policies),
    ]
}

fn snapshot(policies: &str) -> Snapshot {
    compile(&files(policies)).unwrap_or_else(|findings| panic!("{:?}", codes(&findings))).snapshot
}

fn codes(findings: &[Diagnostic]) -> Vec<(Level, &str, String)> {
    findings.iter().map(|f| (f.level, f.code, f.message.clone())).collect()
}

fn errors(policies: &str) -> Vec<&'static str> {
    compile(&files(policies))
        .unwrap_err()
        .iter()
        .filter(|f| f.level == Level::Error)
        .map(|f| f.code)
        .collect()
}

fn facts(actor: Option<&str>) -> Facts {
    Facts {
        principal: Uid::new("Human", "ana"),
        actor: actor.map(|id| Uid::new("Agent", id)),
        actor_depth: 1,
        session: None,
        described: None,
        token: None,
        task: None,
        established: crate::value::Members::new(),
        now: Timestamp(1_795_255_200_000),
    }
}

fn read() -> Question {
    Question::new(Uid::new("Action", "read"), Uid::new("Doc", "d"))
}

fn outcome(policies: &str, question: &Question, actor: Option<&str>) -> Outcome {
    decide(&snapshot(policies), question, &facts(actor)).outcome
}

const ALL: &str = "permit(principal, action, resource);";

#[test]
fn a_delegated_call_needs_a_permit_for_both_halves() {
    let human_only = "permit(principal is Human, action, resource);";
    assert_eq!(outcome(human_only, &read(), None), Outcome::Permit);
    assert_eq!(outcome(human_only, &read(), Some("bot")), Outcome::Deny(DenyReason::NoPermit));
    let agent_only = "permit(principal is Agent, action, resource);";
    assert_eq!(outcome(agent_only, &read(), Some("bot")), Outcome::Deny(DenyReason::NoPermit));
    assert_eq!(outcome(ALL, &read(), Some("bot")), Outcome::Permit);
}

#[test]
fn each_half_sees_the_other_party() {
    let policy = r#"
        permit(principal is Human, action, resource) when { context has actor && context.actor == Agent::"bot" };
        permit(principal is Agent, action, resource) when { context has requester && context.requester == Human::"ana" };"#;
    assert_eq!(outcome(policy, &read(), Some("bot")), Outcome::Permit);
    assert_eq!(outcome(policy, &read(), None), Outcome::Deny(DenyReason::NoPermit));
}

#[test]
fn a_policy_that_errors_denies_although_another_permits() {
    let policy = format!(
        "{ALL} @id(\"bad\") forbid(principal, action == Action::\"read\", resource) when {{ resource.owner.active && context.now.offset(duration(\"106751991167d\")) < context.now }};"
    );
    let snapshot = snapshot(&policy);
    let decision = decide(&snapshot, &read(), &facts(None));
    assert_eq!(decision.outcome, Outcome::Deny(DenyReason::PolicyError));
    assert_eq!(&*decision.errors[0].id, "bad");
    assert!(decision.determining.is_empty());
}

#[test]
fn a_forbid_wins_and_its_authors_words_are_the_reason() {
    let policy =
        format!("{ALL} @id(\"no\") @reason(\"not on my watch\") forbid(principal, action, resource);");
    let decision = decide(&snapshot(&policy), &read(), &facts(None));
    assert_eq!(decision.outcome, Outcome::Deny(DenyReason::Forbidden));
    assert_eq!(decision.reason, "not on my watch");
    assert_eq!(decision.determining.iter().map(|p| &*p.id).collect::<Vec<_>>(), ["no"]);
}

#[test]
fn what_only_the_pdp_establishes_may_not_be_sent() {
    let mut question = read();
    question.context.insert("now".into(), Value::String("2020-01-01".into()));
    let decision = decide(&snapshot(ALL), &question, &facts(None));
    assert_eq!(decision.outcome, Outcome::Deny(DenyReason::InvalidInput));
    assert!(decision.reason.contains("`now`"), "{}", decision.reason);
}

#[test]
fn context_is_typed_and_undeclared_members_are_ignored() {
    let mut question = read();
    question.context.insert("nonsense".into(), Value::Long(1));
    assert_eq!(outcome(ALL, &question, None), Outcome::Permit);
    question.context.insert("note".into(), Value::Long(1));
    assert_eq!(outcome(ALL, &question, None), Outcome::Deny(DenyReason::InvalidInput));
}

#[test]
fn unknown_parties_actions_and_types_are_denied() {
    let snapshot = snapshot(ALL);
    let ask = |action: &str, resource: Uid, principal: Uid| {
        let mut facts = facts(None);
        facts.principal = principal;
        decide(&snapshot, &Question::new(Uid::new("Action", action), resource), &facts).outcome
    };
    let (doc, ana) = (Uid::new("Doc", "d"), Uid::new("Human", "ana"));
    assert_eq!(ask("read", doc.clone(), ana.clone()), Outcome::Permit);
    let denied = Outcome::Deny(DenyReason::InvalidInput);
    assert_eq!(ask("write", doc.clone(), ana.clone()), denied);
    assert_eq!(ask("read", Uid::new("Doc", "x"), ana.clone()), denied);
    assert_eq!(ask("read", Uid::new("Spaceship", "x"), ana.clone()), denied);
    assert_eq!(ask("read", doc.clone(), Uid::new("Human", "nobody")), denied);
    assert_eq!(ask("read", doc, Uid::new("Team", "support")), denied);
    assert_eq!(ask("tools/call", Uid::new("Server", "crm"), ana), denied);
}

#[test]
fn an_entity_that_a_pep_brings_fills_gaps_and_overrides_only_what_the_schema_allows() {
    let policy = r#"permit(principal, action, resource) when { resource has size && resource.size == 7 && resource.owner == Human::"ana" };"#;
    let bring = |id: &str, attributes: &[(&str, Value)]| {
        let mut question = Question::new(Uid::new("Action", "read"), Uid::new("Doc", id));
        let attributes = attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        question.brought.push(crate::access::Entity {
            uid: Uid::new("Doc", id),
            attributes,
            parents: vec![],
        });
        outcome(policy, &question, None)
    };
    let owner = |id: &str| Value::Entity(Uid::new("Human", id));
    assert_eq!(bring("d", &[("size", Value::Long(7)), ("owner", owner("mallory"))]), Outcome::Permit);
    assert_eq!(bring("new", &[("size", Value::Long(7)), ("owner", owner("ana"))]), Outcome::Permit);
    assert_eq!(bring("new", &[("size", Value::Long(7))]), Outcome::Deny(DenyReason::InvalidInput));
    let mut question = read();
    let attributes = [("active".into(), Value::Bool(true))].into_iter().collect();
    question.brought.push(crate::access::Entity {
        uid: Uid::new("Human", "ana"),
        attributes,
        parents: vec![],
    });
    assert_eq!(outcome(ALL, &question, None), Outcome::Deny(DenyReason::InvalidInput));
}

#[test]
fn what_a_request_brings_is_not_what_the_round_remembers() {
    let schema = r#"entity Badge = { @source("pep") level?: Long }; entity Human = { badge: Badge }; entity Door;
        action "open" appliesTo { principal: [Human], resource: [Door] };"#;
    let entities = r#"[
        {"uid": {"type": "Badge", "id": "b"}, "attrs": {"level": 1}, "parents": []},
        {"uid": {"type": "Human", "id": "ana"}, "attrs": {"badge": {"type": "Badge", "id": "b"}}, "parents": []},
        {"uid": {"type": "Door", "id": "d"}, "attrs": {}, "parents": []}]"#;
    let policy = "permit(principal, action, resource) when { principal.badge has level && principal.badge.level > 5 };";
    let files =
        [("schemas/s.cedarschema", schema), ("entities/e.json", entities), ("policies/p.cedar", policy)];
    let snapshot = compile(&files.map(|(path, text)| File::new(path, text))).unwrap().snapshot;
    let plain = Question::new(Uid::new("Action", "open"), Uid::new("Door", "d"));
    let mut with_level = plain.clone();
    with_level.brought.push(crate::access::Entity {
        uid: Uid::new("Badge", "b"),
        attributes: [("level".into(), Value::Long(9))].into_iter().collect(),
        parents: vec![],
    });
    let mut memory = Memory::default();
    let mut round = Round::remembering(&snapshot, &mut memory);
    let mut ask = |question: &Question| round.decide(question, &facts(None)).outcome;
    let denied = Outcome::Deny(DenyReason::NoPermit);
    assert_eq!([ask(&plain), ask(&with_level), ask(&plain)], [denied, Outcome::Permit, denied]);
}

#[test]
fn clearances_expand_downwards_and_classes_read_as_at_least() {
    let policy = r#"permit(principal, action == Action::"tools/list", resource)
        when { principal.clearances.containsAll([DataClass::"internal", DataClass::"public"]) && !principal.clearances.contains(DataClass::"secret") };
        permit(principal, action == Action::"crm/refund", resource in DataClass::"public") unless { resource in DataClass::"secret" };"#;
    let list = Question::new(Uid::new("Action", "tools/list"), Uid::new("Server", "crm"));
    assert_eq!(outcome(policy, &list, None), Outcome::Permit);
    let mut call = Question::new(Uid::new("Action", "crm/refund"), Uid::new("Tool", "crm/refund"));
    let input = Value::record([("order", Value::String("o".into())), ("amount", Value::Long(1))]);
    call.established =
        [("input".into(), input), ("input_unseen".into(), Value::Set(vec![]))].into_iter().collect();
    assert_eq!(outcome(policy, &call, None), Outcome::Permit);
}

#[test]
fn arguments_are_typed_so_that_a_rule_on_a_wrong_one_does_not_compile() {
    let rule = |condition: &str| {
        format!("permit(principal, action == Action::\"crm/refund\", resource) when {{ {condition} }};")
    };
    assert!(compile(&files(&rule("context.input.amount < 100"))).is_ok());
    assert_eq!(errors(&rule("context.input.amont < 100")), ["policy::type"]);
    assert_eq!(errors(&rule("context.input.amount == \"x\"")), ["policy::type"]);
}

#[test]
fn a_rule_on_the_group_itself_is_an_error_and_says_what_was_meant() {
    let findings =
        compile(&files("permit(principal, action == Action::\"tools/call\", resource);")).unwrap_err();
    let finding = findings.iter().find(|f| f.code == "policy::scope").unwrap();
    assert!(finding.help.as_deref().unwrap().contains("action in"), "{finding:?}");
}

#[test]
fn a_tool_that_disappeared_is_a_warning_and_leaves_the_other_rules_in_force() {
    let policies = r#"permit(principal, action == Action::"crm/refnd", resource) when { context.input.gone };
        forbid(principal, action in [Action::"crm/other", Action::"crm/refund"], resource);
        permit(principal, action == Action::"read", resource);"#;
    let compiled = compile(&files(policies)).unwrap();
    let warnings = codes(&compiled.warnings);
    assert_eq!(
        warnings.iter().filter(|(_, code, _)| *code == "policy::tombstone").count(),
        2,
        "{warnings:?}"
    );
    assert!(compiled.warnings[0].help.as_deref().unwrap().contains("crm/refund"));
    assert_eq!(decide(&compiled.snapshot, &read(), &facts(None)).outcome, Outcome::Permit);
}

#[test]
fn every_finding_of_the_whole_bundle_is_reported_at_once() {
    let mut files =
        files("permit(principal, action, resource) when { 1 + };\nforbid(principal action, resource);");
    files.push(File::new("policies/q.cedar", "permit(principal is Ghost, action, resource);\n@mode(\"shadow\") permit(principal, action, resource);"));
    files.push(File::new("entities/f.json", "[{\"uid\": {\"type\": \"Human\", \"id\": \"x\"}, \"attrs\": {\"active\": \"yes\", \"clearances\": []}, \"parents\": []}, 3]"));
    files.push(File::new("entities/g.json", "[{]"));
    let findings = compile(&files).unwrap_err();
    let found: Vec<_> =
        findings.iter().filter(|f| f.level == Level::Error).map(|f| (f.code, f.position())).collect();
    assert_eq!(
        found,
        [
            ("entity::invalid", Some((1, 50))),
            ("entity::invalid", Some((1, 102))),
            ("entity::json", Some((1, 3))),
            ("policy::parse", Some((1, 48))),
            ("policy::parse", Some((2, 18))),
            ("policy::type", Some((1, 21))),
            ("policy::annotation", Some((2, 1))),
        ],
        "{:?}",
        codes(&findings)
    );
    assert!(
        findings.iter().all(|finding| finding.help.is_some()),
        "every finding says what to do: {findings:?}"
    );
}

#[test]
fn bundles_without_a_schema_with_doubled_ids_or_with_promises_are_refused() {
    let no_schema = compile(&[File::new("policies/p.cedar", ALL)]).unwrap_err();
    assert!(no_schema.iter().any(|f| f.code == "schema::missing"));
    assert_eq!(
        errors(
            "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);"
        ),
        ["policy::duplicate-id"]
    );
    assert_eq!(errors("@obligation(\"x\") permit(principal, action, resource);"), ["policy::obligation"]);
    assert_eq!(
        errors("@obligation_2(\"custom: { a: b }\") permit(principal, action, resource);"),
        ["policy::obligation"]
    );
    assert_eq!(errors("permit(principal == ?principal, action, resource);"), ["policy::template"]);
    let mut hostile = files(ALL);
    hostile[1] = File::new(
        "entities/e.json",
        r#"[{"uid": {"type": "Human", "id": "x"}, "attrs": {"active": {"__extn": {"fn": "unknown", "arg": "x"}}, "clearances": []}, "parents": []}]"#,
    );
    assert!(compile(&hostile).unwrap_err().iter().any(|f| f.code == "entity::unknown"));
}

#[test]
fn a_revision_names_content_and_not_order() {
    let mut files = files(ALL);
    let revision = compile(&files).unwrap().snapshot.revision().clone();
    files.reverse();
    assert_eq!(compile(&files).unwrap().snapshot.revision(), &revision);
    files.push(File::new("policies/p_test.yaml", "cases: []"));
    assert_eq!(compile(&files).unwrap().snapshot.revision(), &revision);
    files.push(File::new("policies/q.cedar", "// nothing yet"));
    assert_ne!(compile(&files).unwrap().snapshot.revision(), &revision);
}

#[test]
fn an_explanation_names_the_condition_that_failed() {
    let policy = r#"@id("small") permit(principal, action == Action::"read", resource)
        when { context has note && context.note == "please" && resource.owner == principal };"#;
    let mut question = read();
    question.context.insert("note".into(), Value::String("now".into()));
    let told = explain(&snapshot(policy), &question, &facts(None));
    assert_eq!(told.len(), 1);
    assert!(!told[0].satisfied);
    let truths: Vec<_> = told[0].conditions.iter().map(|(_, truth)| truth.clone()).collect();
    assert_eq!(truths, [Truth::Held, Truth::Failed, Truth::NotReached]);
    assert!(
        told[0].conditions[1].0.contains("context[\"note\"] == \"please\"")
            || told[0].conditions[1].0.contains("context.note == \"please\""),
        "{:?}",
        told[0].conditions
    );
}

/// The small bundle with another schema text added, and with another entities file.
fn with(schema: &str, entities: &str, policies: &str) -> Vec<File> {
    let mut files = files(policies);
    files.push(File::new("schemas/more.cedarschema", schema));
    files.push(File::new("entities/more.json", entities));
    files
}

#[test]
fn what_the_pdp_owns_stays_its_own_through_other_names_and_namespaces() {
    let policy = r#"permit(principal, action, resource) when { context.now < datetime("2000-01-01") };"#;
    let forged = |schema: &str, action: Uid, resource: Uid| {
        let entities = format!(
            r#"[{{"uid": {{"type": "{}", "id": "d"}}, "attrs": {{}}, "parents": []}}]"#,
            resource.kind
        );
        let compiled = compile(&with(
            schema,
            &entities,
            &format!("@id(\"x\") {}", policy.replace("action,", &format!("action == {action},"))),
        ));
        let snapshot = compiled.unwrap_or_else(|findings| panic!("{:?}", codes(&findings))).snapshot;
        let mut question = Question::new(action, resource);
        question.context.insert("now".into(), Value::String("1999-01-01".into()));
        decide(&snapshot, &question, &facts(None)).outcome
    };
    let base = r#"entity Plain; type Base = { @source("pdp") now: datetime }; type Alias = Base; type Twice = Alias;
        action "a" appliesTo { principal: [Human], resource: [Plain], context: Base };
        action "b" appliesTo { principal: [Human], resource: [Plain], context: Twice };
        namespace Acme { entity Thing; type Ctx = { @source("pdp") now: datetime };
            action "c" appliesTo { principal: [Human], resource: [Thing], context: Ctx }; }"#;
    for (kind, id, thing) in
        [("Action", "a", "Plain"), ("Action", "b", "Plain"), ("Acme::Action", "c", "Acme::Thing")]
    {
        let outcome = forged(base, Uid::new(kind, id), Uid::new(thing, "d"));
        assert_eq!(outcome, Outcome::Deny(DenyReason::InvalidInput), "{id}");
    }
}

#[test]
fn a_source_annotation_that_has_no_effect_is_an_error() {
    for schema in [
        r#"action "n" appliesTo { principal: [Human], resource: [Doc], context: { req: { @source("pdp") verified: Bool } } };"#,
        r#"type Loose = { @source("pdp") now: datetime };"#,
        r#"action "n" appliesTo { principal: [Human], resource: [Doc], context: { @source("pep") x: Bool } };"#,
        r#"entity Odd = { @source("pdp") x: Bool };"#,
        r#"entity Odd = { inner: { @source("pep") x: Bool } };"#,
    ] {
        let findings = compile(&with(schema, "[]", ALL)).unwrap_err();
        assert!(
            findings.iter().any(|finding| finding.code == "schema::source"),
            "{schema}: {:?}",
            codes(&findings)
        );
    }
}

#[test]
fn tags_survive_the_expansion_of_clearances() {
    let schema = r#"entity Guest = { active: Bool, clearances: Set<DataClass> } tags String;
        action "visit" appliesTo { principal: [Guest], resource: [Doc] };"#;
    let entities = r#"[{"uid": {"type": "Guest", "id": "g"}, "attrs": {"active": true, "clearances": [{"type": "DataClass", "id": "internal"}]},
        "tags": {"suspended": "yes"}, "parents": []}]"#;
    let policies = format!(
        "{ALL} forbid(principal is Guest, action, resource) when {{ principal.hasTag(\"suspended\") }};"
    );
    let snapshot =
        compile(&with(schema, entities, &policies)).unwrap_or_else(|f| panic!("{:?}", codes(&f))).snapshot;
    let mut facts = facts(None);
    facts.principal = Uid::new("Guest", "g");
    let visit = Question::new(Uid::new("Action", "visit"), Uid::new("Doc", "d"));
    assert_eq!(decide(&snapshot, &visit, &facts).outcome, Outcome::Deny(DenyReason::Forbidden));
}

#[test]
fn a_rule_about_entities_that_it_names_holds_when_the_request_brings_its_own() {
    let entities = r#"[{"uid": {"type": "Team", "id": "engaged"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Human", "id": "switch"}, "attrs": {"active": true, "clearances": []}, "parents": [{"type": "Team", "id": "engaged"}]}]"#;
    let policies = format!(
        "{ALL} forbid(principal, action, resource) when {{ Human::\"switch\" in Team::\"engaged\" }};"
    );
    let snapshot = compile(&with("entity Unused;", entities, &policies)).unwrap().snapshot;
    let mut question = read();
    assert_eq!(decide(&snapshot, &question, &facts(None)).outcome, Outcome::Deny(DenyReason::Forbidden));
    let attributes = [("size".into(), Value::Long(7))].into_iter().collect();
    question.brought.push(crate::access::Entity { uid: Uid::new("Doc", "d"), attributes, parents: vec![] });
    assert_eq!(decide(&snapshot, &question, &facts(None)).outcome, Outcome::Deny(DenyReason::Forbidden));
}

#[test]
fn what_the_catalog_derives_is_declared_nowhere_else() {
    let server = r#"[{"uid": {"type": "Server", "id": "crm"}, "attrs": {}, "parents": []}]"#;
    let findings = compile(&with("entity Unused;", server, ALL)).unwrap_err();
    assert!(findings.iter().any(|finding| finding.code == "entity::catalog"), "{:?}", codes(&findings));
    let mut list = Question::new(Uid::new("Action", "tools/list"), Uid::new("Server", "nowhere"));
    assert_eq!(outcome(ALL, &list, None), Outcome::Deny(DenyReason::InvalidInput));
    let attributes = crate::value::Members::new();
    list.brought.push(crate::access::Entity {
        uid: Uid::new("Server", "nowhere"),
        attributes,
        parents: vec![],
    });
    assert_eq!(outcome(ALL, &list, None), Outcome::Deny(DenyReason::InvalidInput));
}

#[test]
fn an_entity_file_that_can_be_read_in_two_ways_is_refused() {
    let human = |attrs: &str| {
        let entity =
            format!(r#"[{{"uid": {{"type": "Human", "id": "x"}}, "attrs": {attrs}, "parents": []}}]"#);
        let findings = compile(&with("entity Unused;", &entity, ALL)).unwrap_err();
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(human(r#"{"active": false, "active": true, "clearances": []}"#), ["entity::json"]);
    let escaped = r#"{"active": {"__\u0065xtn": {"fn": "unknown", "arg": "x"}}, "clearances": []}"#;
    assert_eq!(human(escaped), ["entity::unknown"]);
}

#[test]
fn where_tools_are_not_modelled_an_unknown_action_is_an_error_of_its_policy() {
    let schema =
        "entity Human; entity Doc; action \"read\" appliesTo { principal: [Human], resource: [Doc] };";
    let policy = r#"permit(principal, action == Action::"crm/refund", resource);"#;
    let files = [File::new("schemas/s.cedarschema", schema), File::new("policies/p.cedar", policy)];
    let findings = compile(&files).unwrap_err();
    assert!(findings.iter().all(|f| f.file.as_ref().is_some_and(|file| &*file.path == "policies/p.cedar")));
}

#[test]
fn a_data_class_that_no_entity_declares_is_a_warning_wherever_the_facts_name_it() {
    let facts = "tools:\n  refund: { data_classes: [secert] }\n\
                 resources:\n  - { uri: 'crm://a/*', data_classes: [pubic, public] }\n  - uri: crm://b\n\
                 prompts:\n  greet: { data_classes: [interal] }\n";
    let mut files = files(ALL);
    files[3] = File::new("tools/crm.facts.yaml", facts);
    let compiled = compile(&files).unwrap_or_else(|findings| panic!("{:?}", codes(&findings)));
    let mut found: Vec<&str> =
        compiled.warnings.iter().filter(|f| f.code == "catalog::class").map(|f| &*f.message).collect();
    found.sort_unstable();
    let wanted = [
        ("`crm/refund`", "secert"),
        ("the prompt `greet` of `crm`", "interal"),
        ("the resource `crm://a/*` of `crm`", "pubic"),
    ];
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for (found, (what, class)) in found.iter().zip(wanted) {
        assert!(found.starts_with(&format!("{what} has the data class `{class}`")), "{found}");
    }
}

#[test]
fn an_empty_file_is_one_that_is_being_written() {
    let mut files = files(ALL);
    files.push(File::new("policies/guard.cedar", "\n"));
    let findings = compile(&files).unwrap_err();
    assert_eq!(codes(&findings).iter().map(|(_, code, _)| *code).collect::<Vec<_>>(), ["bundle::empty"]);
    files.pop();
    files.push(File::new("policies/guard.cedar", "// no guards here"));
    assert!(compile(&files).is_ok());
}

#[test]
fn what_a_token_says_is_seen_wherever_a_rule_looks_at_it() {
    let schema = r#"entity Human, Door;
        type Token = { issuer: String, audience: String, scopes: Set<String>, acr?: String, amr?: Set<String>, binding: String, actor?: String, issued?: datetime };
        action "open" appliesTo { principal: [Human], resource: [Door], context: { @source("pdp") token?: Token } };"#;
    let entities = r#"[{"uid": {"type": "Human", "id": "ana"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Door", "id": "d"}, "attrs": {}, "parents": []}]"#;
    let token = Verified {
        issuer: "https://idp".into(),
        kind: TokenKind::AccessToken,
        subject: "ana".into(),
        id: None,
        clients: vec![],
        session: None,
        audience: vec!["us".into()],
        expires_s: 2,
        not_before_s: None,
        issued_s: Some(1),
        scopes: vec!["a".into(), "b".into()],
        acr: Some("high".into()),
        amr: vec!["otp".into()],
        confirmation: Confirmation::default(),
        person: None,
        agent: None,
        actors: vec![],
    };
    let shown = TokenFacts {
        token: std::sync::Arc::new(token),
        audience: "us".into(),
        binding: Binding::Pep,
        actor: Some(crate::identity::Assurance::Asserted),
    };
    for (condition, with, without) in [
        ("context has token", true, false),
        ("!(context has token)", false, true),
        ("context has token && context.token.issuer == \"https://idp\"", true, false),
        ("context has token && context.token.issuer == \"other\"", false, false),
        ("context has token && context.token has actor && context.token.actor == \"asserted\"", true, false),
        (
            "context has token && context.token.binding == \"pep\" && context.token.audience == \"us\"",
            true,
            false,
        ),
        (
            "context has token.acr && context.token.acr == \"high\" && context.token.scopes.contains(\"b\")",
            true,
            false,
        ),
        ("context has token && context.token has amr && context.token.amr == [\"otp\"]", true, false),
        (
            "context has token.issued && context.token.issued == datetime(\"1970-01-01T00:00:01Z\")",
            true,
            false,
        ),
    ] {
        let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
        let files =
            [("schemas/s.cedarschema", schema), ("entities/e.json", entities), ("policies/p.cedar", &policy)];
        let snapshot = compile(&files.map(|(path, text)| File::new(path, text))).unwrap().snapshot;
        let question = Question::new(Uid::new("Action", "open"), Uid::new("Door", "d"));
        let permits =
            |token| decide(&snapshot, &question, &Facts { token, ..facts(None) }).outcome.is_permit();
        assert_eq!((permits(Some(shown.clone())), permits(None)), (with, without), "{condition}");
    }
}
