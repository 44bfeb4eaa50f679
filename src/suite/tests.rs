//! Test files small enough to see at a glance: what is refused and where, and what running one says.

use super::*;
use crate::access::Timestamp;
use crate::diagnostic::Diagnostic;
use crate::policy::{Snapshot, compile};
use crate::value::{Uid, Value};

const PATH: &str = "policies/p_test.yaml";

fn refused(text: &str) -> Vec<(String, (usize, usize))> {
    let findings = parse(&File::new(PATH, text)).expect_err("the file is refused");
    findings.iter().map(|finding| (finding.message.clone(), finding.position().unwrap_or((0, 0)))).collect()
}

fn cases(text: &str) -> Vec<Case> {
    parse(&File::new(PATH, text)).unwrap_or_else(|findings| panic!("{findings:?}")).cases
}

/// One finding, that begins with these words and stands at this place.
#[track_caller]
fn check_refused(text: &str, words: &str, place: (usize, usize)) {
    let findings = refused(text);
    let [(message, at)] = findings.as_slice() else { panic!("not one finding: {findings:?}") };
    assert!(message.contains(words), "{message}");
    assert_eq!(*at, place, "{message}");
}

/// A case with the given lines after its name.
fn case(lines: &[&str]) -> String {
    let mut text = String::from("cases:\n  - name: it works\n");
    for line in lines {
        text.push_str("    ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

const READ: [&str; 4] =
    ["principal: Human::\"ana\"", "action: Action::\"read\"", "resource: Doc::\"d\"", "expect: permit"];

fn read_and(lines: &[&str]) -> String {
    case(&[READ.as_slice(), lines].concat())
}

#[test]
fn an_unknown_key_is_refused_at_its_place() {
    check_refused(&read_and(&["expects: deny"]), "expects", (7, 5));
    check_refused("case: []\n", "case", (1, 1));
    check_refused(&case(&["mcp: { server: crm, methods: tools/list }"]), "methods", (3, 25));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    check_refused(&read_and(&["expect: deny"]), "the key `expect` stands twice", (7, 5));
}

#[test]
fn a_missing_key_is_named() {
    let findings = refused(&case(&READ[..3]));
    assert!(findings[0].0.contains("expect"), "{findings:?}");
}

#[test]
fn text_that_is_not_yaml_is_refused() {
    assert_eq!(refused("cases: [").len(), 1);
}

#[test]
fn a_file_without_cases_is_refused() {
    let findings = refused("now: 2026-11-21T10:00:00Z\n");
    assert!(findings[0].0.contains("tests nothing"));
    refused("");
}

#[test]
fn a_wrong_reason_is_answered_with_the_right_ones() {
    let text = case(&[&READ[..3], &["expect: deny", "reason: Forbiden"]].concat());
    check_refused(&text, "`Forbiden` is not a deny reason; they are NoPermit, Forbidden,", (7, 13));
}

#[test]
fn a_permit_has_no_reason() {
    check_refused(&read_and(&["reason: Forbidden"]), "a permit has no `reason`", (7, 13));
}

#[test]
fn a_malformed_entity_is_refused_where_it_stands() {
    check_refused(&read_and(&["actor: Agent:bot"]), "`Agent:bot` is not an entity", (7, 12));
    check_refused(&read_and(&["actor: Agent::bot"]), "write `Type::\"id\"`", (7, 12));
}

#[test]
fn every_finding_of_a_file_is_reported() {
    let text = read_and(&["reason: Forbidden", "actor: bot", "now: tomorrow"]);
    assert_eq!(refused(&text).len(), 3);
}

#[test]
fn earlier_actors_need_an_actor() {
    check_refused(&read_and(&["earlier_actors: [Agent::\"a\"]"]), "needs an `actor`", (7, 22));
}

#[test]
fn each_actor_of_the_chain_counts() {
    let alone = &cases(&read_and(&[]))[0];
    assert_eq!(alone.facts.actor_depth, 0);
    let chain =
        &cases(&read_and(&["actor: Agent::\"a\"", "earlier_actors: [Agent::\"b\", Agent::\"c\"]"]))[0];
    assert_eq!(chain.facts.actor_depth, 3);
    assert_eq!(chain.facts.actor, Some(Uid::new("Agent", "a")));
}

#[test]
fn what_other_keys_say_is_no_fact() {
    check_refused(&read_and(&["facts: { actor_depth: 3 }"]), "follows from the other keys", (7, 27));
}

#[test]
fn a_case_asks_in_one_of_two_ways() {
    check_refused(&read_and(&["mcp: { server: crm, method: tools/list }"]), "give either `mcp`", (2, 11));
    check_refused(&case(&["principal: Human::\"ana\"", "expect: deny"]), "give either `mcp`", (2, 11));
    let with_context =
        ["principal: Human::\"ana\"", "expect: deny", "context: { a: 1 }", "mcp: { server: s, method: m }"];
    check_refused(&case(&with_context), "give either `mcp`", (2, 11));
}

#[test]
fn two_cases_have_two_names() {
    let twice = format!("{}{}", read_and(&[]), read_and(&[]).replace("cases:\n", ""));
    check_refused(&twice, "used twice", (7, 11));
}

#[test]
fn the_place_of_a_finding_counts_characters_not_bytes() {
    let text = "cases: [{ name: größer, principal: nobody, action: Action::\"read\", resource: Doc::\"d\", expect: deny }]";
    check_refused(text, "`nobody`", (1, 36));
}

#[test]
fn a_case_without_an_instant_has_always_the_same() {
    assert_eq!(cases(&read_and(&[]))[0].facts.now.to_string(), "2026-01-01T00:00:00.000Z");
    let text = format!("now: 2026-11-21T10:00:00Z\n{}", read_and(&[]));
    assert_eq!(cases(&text)[0].facts.now, Timestamp(1_795_255_200_000));
    let own = format!("now: 2026-11-21T10:00:00Z\n{}", read_and(&["now: 2026-11-21T11:00:00+01:00"]));
    assert_eq!(cases(&own)[0].facts.now, Timestamp(1_795_255_200_000));
}

#[test]
fn no_and_yes_are_words_not_booleans() {
    let text = read_and(&["facts: { country: no, really: true, amount: 9007199254740993 }"]);
    let facts = &cases(&text)[0].facts.established;
    assert_eq!(facts.get("country"), Some(&Value::String("no".into())));
    assert_eq!(facts.get("really"), Some(&Value::Bool(true)));
    assert_eq!(facts.get("amount"), Some(&Value::Long(9_007_199_254_740_993)));
}

const TABLE: &str = r#"
tables:
  - name: who reads
    parties:
      - { name: ana, principal: Human::"ana" }
      - { name: ana+bot, principal: Human::"ana", actor: Agent::"bot" }
    asks:
      - { name: d, action: Action::"read", resource: Doc::"d" }
      - { name: e, action: Action::"read", resource: Doc::"e" }
    permit:
      d: [ana, ana+bot]
      e: []
"#;

#[test]
fn a_table_asks_everything_for_everybody() {
    let cells = cases(TABLE);
    let names: Vec<(&str, bool)> = cells.iter().map(|c| (c.name.as_str(), c.expected.permit)).collect();
    assert_eq!(
        names,
        [
            ("who reads: d × ana", true),
            ("who reads: d × ana+bot", true),
            ("who reads: e × ana", false),
            ("who reads: e × ana+bot", false)
        ]
    );
    assert_eq!(cells[1].facts.actor, Some(Uid::new("Agent", "bot")));
}

#[test]
fn a_table_permits_only_whom_and_what_it_has() {
    check_refused(&TABLE.replace("d: [ana, ", "d: [bo, "), "the party `bo`", (11, 11));
    check_refused(&TABLE.replace("      e: []", "      f: []"), "the ask `f`", (12, 10));
}

#[test]
fn a_table_names_each_party_and_each_ask_once() {
    let parties = TABLE.replace("name: ana+bot", "name: ana").replace(", ana+bot]", "]");
    let findings = refused(&parties);
    assert!(findings[0].0.contains("the party `ana` stands twice"), "{findings:?}");
    assert_eq!(findings[0].1, (6, 17));
}

#[test]
fn a_table_without_parties_is_refused() {
    check_refused(
        "tables: [{ name: t, parties: [], asks: [], permit: {} }]",
        "no parties, or no asks",
        (1, 18),
    );
}

const SCHEMA: &str = r#"
entity Human; entity Agent; entity Doc;
type Call = { @source("pdp") requester?: Human, @source("pdp") actor?: Agent, @source("pdp") task?: String };
action "read" appliesTo { principal: [Human, Agent], resource: [Doc], context: Call };
"#;

const POLICIES: &str = r#"
@id("people") permit(principal is Human, action, resource);
@id("bots") @obligation("custom: { say: hello }") permit(principal is Agent, action, resource);
@id("lost") @reason("the document is lost") forbid(principal, action, resource == Doc::"lost");
@id("late") forbid(principal, action, resource) when { context has task && context.task == "late" };
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Human", "id": "ana"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Agent", "id": "bot"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Doc", "id": "d"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Doc", "id": "lost"}, "attrs": {}, "parents": []}
]"#;

fn snapshot() -> Snapshot {
    let files = [
        File::new("schemas/s.cedarschema", SCHEMA),
        File::new("policies/p.cedar", POLICIES),
        File::new("entities/e.json", ENTITIES),
    ];
    compile(&files).unwrap_or_else(|findings| panic!("{findings:?}")).snapshot
}

fn verdicts(text: &str) -> Vec<Verdict> {
    verdicts_of(&format!("{text}agentless: true\n"))
}

fn verdicts_of(text: &str) -> Vec<Verdict> {
    run(&snapshot(), &parse(&File::new(PATH, text)).unwrap_or_else(|findings| panic!("{findings:?}")))
}

fn passed(text: &str) -> bool {
    verdicts(text)[0].passed()
}

#[test]
fn the_determining_policies_are_held_exactly() {
    let delegated = |ids: &str| read_and(&["actor: Agent::\"bot\"", &format!("determining: {ids}")]);
    assert!(passed(&delegated("[bots, people]")));
    assert!(!passed(&delegated("[people]")));
    assert!(!passed(&delegated("[people, bots, lost]")));
    assert!(passed(&read_and(&["determining: [people]"])));
}

#[test]
fn obligations_are_held_exactly_where_they_are_given() {
    let delegated = |ids: &str| read_and(&["actor: Agent::\"bot\"", &format!("obligations: {ids}")]);
    assert!(passed(&delegated("[\"bots#1\"]")));
    assert!(!passed(&delegated("[]")));
    assert!(passed(&read_and(&["obligations: []"])));
    assert!(!passed(&read_and(&["obligations: [\"bots#1\"]"])));
}

#[test]
fn a_deny_for_another_reason_fails_the_case() {
    let lost = |reason: &str| case(&[READ[0], READ[1], "resource: Doc::\"lost\"", "expect: deny", reason]);
    assert!(passed(&lost("reason: Forbidden")));
    assert!(!passed(&lost("reason: NoPermit")));
    assert!(passed(&lost("")));
    let verdict = &verdicts(&lost("reason: NoPermit"))[0];
    assert_eq!((verdict.line, verdict.reason_text.as_str()), (2, "the document is lost"));
}

#[test]
fn a_permit_where_a_deny_is_wanted_fails_the_case() {
    assert!(!passed(&case(&[READ[0], READ[1], READ[2], "expect: deny"])));
}

#[test]
fn facts_of_a_case_reach_its_policies() {
    let text =
        case(&[READ[0], READ[1], READ[2], "facts: { task: late }", "expect: deny", "determining: [late]"]);
    assert!(passed(&text));
}

#[test]
fn what_the_bundle_does_not_have_is_a_finding() {
    let suite = |lines: &[&str]| parse(&File::new(PATH, read_and(lines))).unwrap();
    let codes =
        |lines: &[&str]| strangers(&snapshot(), &suite(lines)).iter().map(|f| f.code).collect::<Vec<_>>();
    assert_eq!(codes(&["facts: { taks: late }", "determining: [nobody]"]), ["suite::fact", "suite::policy"]);
    assert_eq!(codes(&["obligations: [\"bots#2\"]"]), ["suite::obligation"]);
    assert!(codes(&["facts: { task: late }", "determining: [people]"]).is_empty());
}

#[test]
fn coverage_counts_where_a_policy_made_the_difference() {
    let verdicts = verdicts(&read_and(&[]));
    let coverage = coverage(["people", "bots", "lost"].map(String::from), &verdicts);
    let seen: Vec<_> =
        coverage.iter().filter(|(_, (with, _))| *with > 0).map(|(id, _)| id.as_str()).collect();
    assert_eq!(seen, ["people"]);
}

#[test]
fn findings_carry_their_file_and_a_help() {
    let findings: Vec<Diagnostic> = parse(&File::new(PATH, "cases: 7")).expect_err("not a list");
    assert_eq!(findings[0].file.as_ref().map(|file| &*file.path), Some(PATH));
    assert!(findings[0].help.as_ref().is_some_and(|help| help.contains("policy-tests.md")));
}

#[test]
fn a_person_without_an_agent_is_denied_unless_the_file_is_agentless() {
    let alone = read_and(&[]);
    assert!(verdicts(&alone)[0].passed());
    let refused = &verdicts_of(&alone)[0];
    assert_eq!(refused.outcome, crate::access::Outcome::Deny(DenyReason::ActorMissing));
}
