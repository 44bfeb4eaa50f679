//! The commands `check` and `test`, as a shell sees them: what they print, and how they end.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;
use tempfile::TempDir;

const SCHEMA: &str = r#"
entity Human = { active: Bool };
entity Doc;
action "tools/call";
action "read" appliesTo { principal: [Human], resource: [Doc], context: {} };
"#;

const ENTITIES: &str = r#"[
  { "uid": { "type": "Human", "id": "ana" }, "attrs": { "active": true }, "parents": [] },
  { "uid": { "type": "Human", "id": "bo" }, "attrs": { "active": false }, "parents": [] },
  { "uid": { "type": "Doc", "id": "d" }, "attrs": {}, "parents": [] }
]"#;

const POLICIES: &str = r#"
@id("people") permit (principal is Human, action, resource);
@id("gone") @reason("this person left") forbid (principal is Human, action, resource) unless { principal.active };
"#;

const TESTS: &str = r#"
cases:
  - name: a person reads
    principal: Human::"ana"
    action: Action::"read"
    resource: Doc::"d"
    expect: permit
    determining: [people]
  - name: who left does not read
    principal: Human::"bo"
    action: Action::"read"
    resource: Doc::"d"
    expect: deny
    reason: Forbidden
    determining: [gone]
"#;

/// A rule about an action that nobody has: a warning.
const WARNED: &str = r#"@id("dead") permit (principal is Human, action == Action::"crm/refund", resource);"#;

/// A sound bundle.
fn bundle() -> TempDir {
    let root = TempDir::new().unwrap();
    write(&root, "schemas/s.cedarschema", SCHEMA);
    write(&root, "entities/e.json", ENTITIES);
    write(&root, "policies/p.cedar", POLICIES);
    write(&root, "policies/p_test.yaml", TESTS);
    root
}

fn write(root: &TempDir, path: &str, text: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn palisade(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.args(arguments).current_dir(directory).env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR");
    ended(command.output().unwrap())
}

fn ended(Output { status, stdout, stderr }: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn run(root: &TempDir, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = palisade(root.path(), arguments);
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "colours in a pipe: {out}{err}");
    (code, out + &err)
}

#[track_caller]
fn check_ends(root: &TempDir, arguments: &[&str], code: i32, words: &[&str]) {
    let (ended, text) = run(root, arguments);
    assert_eq!(ended, code, "{text}");
    for words in words {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }
}

fn json(root: &TempDir, arguments: &[&str]) -> (i32, Json) {
    let (code, out, _) = palisade(root.path(), arguments);
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")))
}

#[test]
fn a_sound_bundle_is_summed_up_in_a_line() {
    let summary = "ok: 2 policies, 3 entities, 2 actions, 0 servers with 0 tools, revision sha256:";
    check_ends(&bundle(), &["check"], 0, &[summary]);
}

#[test]
fn every_finding_is_printed_at_once_with_its_place_and_help() {
    let root = bundle();
    write(&root, "policies/a.cedar", "permit (principal is Humn, action, resource);");
    write(
        &root,
        "entities/f.json",
        r#"[{ "uid": { "type": "Cat", "id": "c" }, "attrs": {}, "parents": [] }]"#,
    );
    write(&root, "policies/a_test.yaml", "cases:\n  - name: x\n    expects: deny\n");
    let places =
        ["policies/a.cedar:1:22", "entities/f.json", "policies/a_test.yaml:3:5", "help: ", "3 errors"];
    check_ends(&root, &["check"], 1, &places);
}

#[test]
fn a_warning_fails_the_check_only_when_it_is_denied() {
    let root = bundle();
    write(&root, "policies/w.cedar", WARNED);
    check_ends(&root, &["check"], 0, &["policies/w.cedar", "ok: 3 policies", ", 1 warning"]);
    check_ends(&root, &["check", "--deny", "warnings"], 1, &["1 warning, denied by --deny warnings"]);
    let (code, denied) = json(&root, &["check", "--deny", "warnings", "--format", "json"]);
    assert_eq!((code, &denied["ok"]), (1, &Json::Bool(false)));
    let (code, report) = run(&root, &["check", "--deny", "warnings", "--format", "junit"]);
    assert!(code == 1 && report.contains("failures=\"1\""), "{report}");
}

#[test]
fn what_cannot_be_read_is_trouble_not_a_finding() {
    let root = bundle();
    check_ends(&root, &["check", "nowhere"], 2, &["error: there is no bundle directory `nowhere`"]);
    check_ends(&root, &["test", "nowhere"], 2, &["error: there is no bundle directory `nowhere`"]);
    check_ends(&root, &["check", "policies/p.cedar"], 2, &["is not a directory"]);
}

#[test]
fn an_empty_directory_is_a_bundle_without_a_schema() {
    let root = TempDir::new().unwrap();
    check_ends(&root, &["check"], 1, &["the bundle has no schema", "schemas/*.cedarschema", "1 error"]);
}

#[test]
fn nonsense_arguments_are_answered_with_help() {
    let root = bundle();
    for arguments in
        [&["chekc"][..], &["check", "--format", "xml"], &["test", "--fliter", "x"], &["check", "a", "b"]]
    {
        check_ends(&root, arguments, 2, &["error: ", "--help"]);
    }
    check_ends(&root, &["check", "--format", "xml"], 2, &["[possible values: human, json, sarif, junit]"]);
    check_ends(&root, &["check", "--help"], 0, &["Examples:", "Exit codes:", "--deny <LEVEL>"]);
    check_ends(&root, &["test", "--help"], 0, &["Examples:", "Exit codes:", "docs/policy-tests.md"]);
}

#[test]
fn the_check_as_json_has_one_form_for_good_and_bad() {
    let root = bundle();
    let (code, good) = json(&root, &["check", "--format", "json"]);
    assert_eq!((code, &good["ok"]), (0, &Json::Bool(true)));
    assert!(good["revision"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(good["counts"]["policies"], 2);
    assert_eq!(good["findings"], Json::Array(vec![]));

    write(&root, "policies/p.cedar", "\npermit (principal is Humn, action, resource);");
    let (code, bad) = json(&root, &["check", "--format", "json"]);
    assert_eq!((code, &bad["ok"], &bad["revision"]), (1, &Json::Bool(false), &Json::Null));
    let keys = |document: &Json| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&good), keys(&bad));
    let finding = &bad["findings"][0];
    let names =
        ["level", "code", "message", "help", "file", "line", "column", "end_line", "end_column", "label"];
    assert_eq!(keys(finding), names);
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["column"], &finding["end_column"]),
        (&"policies/p.cedar".into(), &2.into(), &22.into(), &26.into())
    );
}

#[test]
fn sarif_names_a_rule_for_each_result_and_places_below_the_bundle() {
    let root = bundle();
    write(&root, "policies/a b.cedar", "permit (principal is Humn, action, resource);");
    write(&root, "policies/w.cedar", WARNED);
    let (code, sarif) = json(&root, &["check", "--format", "sarif"]);
    assert_eq!((code, &sarif["version"]), (1, &"2.1.0".into()));
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 2, "{sarif:#}");
    for result in results {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "policies/a%20b.cedar");
    assert_eq!(
        place["region"],
        serde_json::json!({ "startLine": 1, "startColumn": 22, "endLine": 1, "endColumn": 26 })
    );
    assert!(!sarif.to_string().contains(root.path().to_str().unwrap()));
}

#[test]
fn junit_has_a_case_for_each_file() {
    let root = bundle();
    write(&root, "policies/p.cedar", "permit (principal is Humn, action, resource);");
    let (code, report) = run(&root, &["check", "--format", "junit"]);
    assert_eq!(code, 1);
    for path in ["schemas/s.cedarschema", "entities/e.json", "policies/p.cedar", "policies/p_test.yaml"] {
        assert!(report.contains(&format!("<testcase name=\"{path}\"")), "{report}");
    }
    assert!(report.contains("tests=\"5\" failures=\"1\""), "{report}");
    assert!(report.contains("policies/p.cedar:1:22: policy::"), "{report}");
}

#[test]
fn arguments_that_no_policy_can_read_are_listed() {
    let root = TempDir::new().unwrap();
    let model = "entity DataClass in [DataClass]; entity Human = { active: Bool }; entity Agent; entity Server; \
                 entity ServerGroup; entity ToolGroup; \
                 entity Tool in [Server, ToolGroup, DataClass] = { data_classes: Set<DataClass>, read_only: Bool, \
                 destructive: Bool, open_world: Bool, digest: String }; type Call = {}; action \"tools/call\";";
    write(&root, "schemas/s.cedarschema", model);
    let tools = r#"{ "tools": [{ "name": "edit", "inputSchema": { "type": "object",
        "properties": { "path": { "type": "string" }, "any": {} } } }] }"#;
    write(&root, "tools/files.json", tools);
    check_ends(
        &root,
        &["check"],
        0,
        &["untyped: files/edit any: its schema names no type", "1 server with 1 tool"],
    );
    let (_, document) = json(&root, &["check", "--format", "json"]);
    assert_eq!(
        document["untyped"],
        serde_json::json!([{ "tool": "files/edit", "path": "any", "why": "its schema names no type" }])
    );
}

#[test]
fn tests_that_pass_are_counted_and_named_when_asked() {
    let root = bundle();
    check_ends(&root, &["test"], 0, &["policies/p_test.yaml: 2 passed, 0 failed", "\n2 passed, 0 failed"]);
    assert!(!run(&root, &["test"]).1.contains("a person reads"));
    check_ends(&root, &["test", "--verbose"], 0, &["ok a person reads", "ok who left does not read"]);
}

#[test]
fn a_failed_test_shows_what_was_wanted_and_what_came() {
    let root = bundle();
    write(&root, "policies/p.cedar", &POLICIES.replace("unless { principal.active }", ""));
    let difference = "\
  FAILED a person reads (policies/p_test.yaml:3; - wanted, + got)
    - decision: permit
    + decision: deny
    + reason: Forbidden
    + reason text: this person left
      determining:
    -   - people
    +   - gone
";
    check_ends(&root, &["test"], 1, &[difference, "policies/p_test.yaml: 1 passed, 1 failed"]);
    check_ends(&root, &["test", "--format", "junit"], 1, &["failures=\"1\"", "+ decision: deny"]);
}

#[test]
fn a_policy_that_no_test_needs_is_named() {
    let root = bundle();
    write(&root, "policies/q.cedar", r#"@id("spare") permit (principal == Human::"zoe", action, resource);"#);
    let warning = "warning: no test saw `spare` make the difference";
    check_ends(&root, &["test"], 0, &[warning]);
    assert!(!run(&root, &["test", "--filter", "reads"]).1.contains(warning));
}

#[test]
fn a_filter_leaves_cases_out_by_name_or_file() {
    let root = bundle();
    check_ends(&root, &["test", "--filter", "left"], 0, &["1 passed, 0 failed"]);
    check_ends(&root, &["test", "--filter", "p_test"], 0, &["2 passed, 0 failed"]);
    check_ends(&root, &["test", "--filter", "xyz"], 1, &["no policy test has `xyz`", "no test was run"]);
}

#[test]
fn a_bundle_without_tests_does_not_pass() {
    let root = bundle();
    fs::remove_file(root.path().join("policies/p_test.yaml")).unwrap();
    check_ends(&root, &["test"], 1, &["the bundle has no policy tests", "no test was run"]);
}

#[test]
fn tests_are_not_run_on_a_broken_bundle_or_from_a_broken_file() {
    let root = bundle();
    write(&root, "policies/q_test.yaml", "cases: [{ name: x, reason: Nope }]");
    check_ends(&root, &["test"], 1, &["policies/q_test.yaml:1:", "no test was run"]);
    let (code, document) = json(&root, &["test", "--format", "json"]);
    assert_eq!((code, &document["ok"], &document["passed"]), (1, &false.into(), &0.into()));
    assert_eq!(document["findings"][0]["file"], "policies/q_test.yaml");
}

#[test]
fn the_tests_as_json_name_every_case() {
    let root = bundle();
    write(&root, "policies/p_test.yaml", &TESTS.replace("reason: Forbidden", "reason: NoPermit"));
    let (code, document) = json(&root, &["test", "--format", "json"]);
    assert_eq!((code, &document["passed"], &document["failed"]), (1, &1.into(), &1.into()));
    let case = &document["cases"][1];
    assert_eq!((&case["passed"], &case["line"]), (&false.into(), &9.into()));
    assert_eq!(
        (&case["expected"]["reason"], &case["got"]["reason"]),
        (&"NoPermit".into(), &"Forbidden".into())
    );
    assert_eq!(case["got"]["reason_text"], "this person left");
}

#[test]
fn colours_are_written_when_they_are_forced_and_not_otherwise() {
    let root = bundle();
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.arg("test").current_dir(root.path()).env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
    let (_, forced, _) = ended(command.output().unwrap());
    assert!(forced.contains("\u{1b}[32m2 passed"), "{forced:?}");
    run(&root, &["test"]);
    run(&root, &["check"]);
}
