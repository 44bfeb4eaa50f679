use super::*;
use crate::diagnostic::Level;

fn findings(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    let files: Vec<File> = files.iter().map(|(path, text)| File::new(*path, *text)).collect();
    load(&files).1
}

/// The only finding about these files, which has a help text: level, message, and the text that it points at.
fn finding(files: &[(&str, &str)]) -> (Level, String, String) {
    let mut findings = findings(files);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = findings.remove(0);
    assert!(finding.help.is_some(), "{finding:?}");
    let file = finding.file.expect("a finding is about a file");
    let pointed = finding.label.map(|(span, _)| file.text[span].to_owned()).unwrap_or_default();
    (finding.level, finding.message, pointed)
}

fn error(files: &[(&str, &str)], wanted: &str, pointed: &str) {
    let (level, message, at) = finding(files);
    assert_eq!(level, Level::Error, "{message}");
    assert!(message.contains(wanted), "{message}");
    assert_eq!(at, pointed, "{message}");
}

fn catalog_error(text: &str, wanted: &str, pointed: &str) {
    error(&[("tools/crm.json", text)], wanted, pointed);
}

fn facts_error(text: &str, wanted: &str, pointed: &str) {
    error(&[("tools/crm.json", CRM), ("tools/crm.facts.yaml", text)], wanted, pointed);
}

const CRM: &str =
    r#"{"tools":[{"name":"find","inputSchema":{"type":"object","properties":{"q":{"type":"string"}}}}]}"#;

#[test]
fn a_catalog_without_fault_has_no_findings() {
    let facts = "audience: https://crm.example/mcp\ngroups: [internal]\ntools:\n  find: {read_only: true}\n";
    assert!(findings(&[("tools/crm.json", CRM), ("tools/crm.facts.yaml", facts)]).is_empty());
    assert!(findings(&[("tools/crm.json", CRM), ("tools/README.md", "# Tools")]).is_empty());
    assert!(findings(&[]).is_empty());
}

#[test]
fn a_facts_file_may_say_nothing_at_all() {
    for facts in
        ["", "# nothing yet\n", "---\n", "tools:\n", "tools:\n  find:\n", "groups:\nresources:\nprompts:\n"]
    {
        let found = findings(&[("tools/crm.json", CRM), ("tools/crm.facts.yaml", facts)]);
        assert!(found.is_empty(), "{facts:?}: {found:?}");
    }
}

#[test]
fn a_whole_reply_is_read_as_well_as_its_result() {
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#,
        CRM.replacen('{', r#"{"ttlMs":1,"_meta":{},"#, 1)
    );
    let (servers, findings) = load(&[File::new("tools/crm.json", reply)]);
    assert!(findings.is_empty() && servers["crm"].tools.contains_key("find"));
}

#[test]
fn json_that_is_not_strict_is_refused_at_its_place() {
    catalog_error(r#"{"tools":[}"#, "not strict JSON", "}");
    catalog_error(r#"{"tools":[],"tools":[]}"#, "name each member of an object once", "\"");
    catalog_error("{\"tools\":é}", "not strict JSON", "é");
    catalog_error("", "not strict JSON", "");
}

#[test]
fn a_file_without_a_list_of_tools_is_refused() {
    for text in ["{}", "[]", "7", r#"{"tools":{}}"#, r#"{"result":{}}"#, r#"{"error":{"code":-32601}}"#] {
        catalog_error(text, "no list of tools", "");
    }
}

#[test]
fn a_list_that_goes_on_elsewhere_is_worth_a_warning() {
    let page = CRM.replacen('{', r#"{"nextCursor":"abc","#, 1);
    let (level, message, _) = finding(&[("tools/crm.json", &page)]);
    assert_eq!((level, message.contains("more tools")), (Level::Warning, true));
}

#[test]
fn bad_tools_are_refused_one_by_one_and_the_others_are_read() {
    let text = r#"{"tools":[
        {"name":"a","inputSchema":{"type":"object"}},
        {"name":"b"},
        {"inputSchema":{}},
        {"name":"a","inputSchema":{"type":"object"}},
        {"name":"c","inputSchema":{"type":"object","properties":{"x":{"type":"strin"}}}},
        {"name":"d","inputSchema":{"type":"object"}}]}"#;
    let (servers, findings) = load(&[File::new("tools/crm.json", text)]);
    assert_eq!(findings.len(), 4, "{findings:#?}");
    assert_eq!(servers["crm"].tools.keys().collect::<Vec<_>>(), ["a", "d"]);
}

#[test]
fn a_tool_is_refused_at_its_name() {
    let tool =
        |tool: &str| format!(r#"{{"tools":[{{"name":"ok","inputSchema":{{"type":"object"}}}},{tool}]}}"#);
    let object = r#""inputSchema":{"type":"object"}"#;
    catalog_error(&tool(&format!(r#"{{"name":"",{object}}}"#)), "cannot be the name of a tool", r#""""#);
    catalog_error(
        &tool(&format!(r#"{{"name":"a\nb",{object}}}"#)),
        r"`a\nb` cannot be the name",
        r#""a\nb""#,
    );
    let long = "x".repeat(129);
    catalog_error(
        &tool(&format!(r#"{{"name":"{long}",{object}}}"#)),
        "cannot be the name",
        &format!("\"{long}\""),
    );
    catalog_error(&tool(&format!(r#"{{"name" : "ok",{object}}}"#)), "stands twice", "\"ok\"");
    catalog_error(&tool(r#"{"name":"t"}"#), "has no inputSchema", "\"t\"");
    catalog_error(&tool(r#"{"name":"t","inputSchema":true}"#), "has no inputSchema", "\"t\"");
    catalog_error(&tool(r#"{"name":7,"inputSchema":{}}"#), "tool number 2 of the list has no name", "");
    catalog_error(
        &tool(r#"{"name":"t","inputSchema":{"type":"array"}}"#),
        "does not describe arguments",
        "\"t\"",
    );
}

#[test]
fn a_schema_that_is_not_one_or_reaches_out_is_refused() {
    let tool = |schema: &str| format!(r#"{{"tools":[{{"name":"t","inputSchema":{schema}}}]}}"#);
    for schema in [
        r#"{"type":"object","properties":{"a":{"type":"strin"}}}"#,
        r#"{"type":"object","properties":{"a":{"minimum":"1"}}}"#,
        r#"{"type":"object","required":"a"}"#,
        r#"{"type":"object","properties":{"a":{"pattern":"("}}}"#,
    ] {
        catalog_error(&tool(schema), "is not a valid JSON Schema", "\"t\"");
    }
    for reference in ["https://example.com/x.json", "file:///etc/passwd", "other.json", "#/$defs/none"] {
        let schema = format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{reference}"}}}}}}"#);
        catalog_error(&tool(&schema), "refers to what is not in it", "\"t\"");
    }
}

#[test]
fn a_server_may_not_have_every_name() {
    for id in RESERVED_SERVER_IDS {
        error(&[(&format!("tools/{id}.json"), CRM)], "MCP's own methods begin with it", "");
    }
    for path in [
        "tools/CRM.json",
        "tools/-x.json",
        "tools/a b.json",
        "tools/.json",
        "tools/deep/crm.json",
        "tools/ä.json",
    ] {
        error(&[(path, CRM)], "cannot be the id of a server", "");
    }
    error(&[(&format!("tools/{}.json", "x".repeat(129)), CRM)], "cannot be the id of a server", "");
    assert!(findings(&[("tools/0crm_eu-1.v2.json", CRM), ("tools/tool.json", CRM)]).is_empty());
}

#[test]
fn files_that_were_meant_for_the_catalog_are_not_passed_over() {
    for path in ["tools/crm.facts.json", "tools/crm.yaml", "tools/crm.facts.yml"] {
        error(&[(path, "{}")], "is not a file of the catalog", "");
    }
}

#[test]
fn a_facts_file_is_typed_and_refused_at_its_place() {
    facts_error("audiences: x\n", "audiences", "audiences");
    facts_error("tools:\n  find:\n    readonly: true\n", "readonly", "readonly");
    facts_error("tools:\n  find:\n    read_only: sometimes\n", "line 3", "sometimes");
    facts_error("tools:\n  find:\n    read_only: no\n", "line 3", "no");
    facts_error("groups: internal\n", "line 1", "internal");
    facts_error("groups: [a]\ngroups: [b]\n", "`groups` stands twice", "groups");
    facts_error("tools:\n  find: {}\n  find: {}\n", "find", "find");
    facts_error("resources:\n  - data_classes: [public]\n", "uri", "data_classes");
    let (level, message, _) = finding(&[("tools/crm.json", CRM), ("tools/crm.facts.yaml", "tools: [\n")]);
    assert_eq!((level, message.contains("cannot be read")), (Level::Error, true));
}

#[test]
fn facts_that_contradict_themselves_are_refused() {
    facts_error(
        "tools:\n  find: {read_only: true, destructive: true}\n",
        "read-only and destructive",
        "find",
    );
    for group in DERIVED_GROUPS {
        facts_error(&format!("tools:\n  find: {{groups: [{group}]}}\n"), "by hand", "find");
    }
    facts_error("resources:\n  - uri: 'a://*/b'\n", "not at its end", "a://*/b");
    facts_error("resources:\n  - uri: ''\n", "is empty", "");
    facts_error("resources:\n  - uri: aa://b\n  - uri: aa://b\n", "stands twice", "aa://b");
    facts_error("tools:\n  find: {data_classes: ['']}\n", "without a name", "");
}

#[test]
fn facts_about_what_the_catalog_lacks_are_worth_a_warning() {
    let warning = |facts: &str| {
        let (level, message, at) = finding(&[("tools/crm.json", CRM), ("tools/crm.facts.yaml", facts)]);
        assert_eq!(level, Level::Warning, "{message}");
        (message, at)
    };
    let (message, at) = warning("# gone\ntools:\n  find: {}\n  gone:\n    read_only: true\n");
    assert_eq!((message.contains("`gone`, which the catalog lacks"), at.as_str()), (true, "gone"));
    let (message, at) = warning("tools:\n  find:\n    untyped: [q, lat]\n");
    assert_eq!((message.contains("no argument `lat`"), at.as_str()), (true, "lat"));
}

#[test]
fn facts_without_a_catalog_are_an_error() {
    error(&[("tools/crm.facts.yaml", "groups: [a]\n")], "which has no catalog", "");
}

#[test]
fn a_tool_that_cannot_be_read_is_not_said_to_be_unknown() {
    let found = findings(&[
        ("tools/crm.json", r#"{"tools":[{"name":"find"}]}"#),
        ("tools/crm.facts.yaml", "tools:\n  find: {read_only: true}\n"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    let found = findings(&[("tools/crm.json", "{"), ("tools/crm.facts.yaml", "tools:\n  find: {}\n")]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_header_that_cannot_be_compared_is_worth_a_warning() {
    let text = r#"{"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"},"x-mcp-header":"A"}}}}]}"#;
    let (level, message, at) = finding(&[("tools/crm.json", text)]);
    assert_eq!((level, at.as_str()), (Level::Warning, "\"t\""));
    assert!(message.contains("x-mcp-header"), "{message}");
}

#[test]
fn a_resource_uri_that_is_not_canonical_is_an_error_that_spells_it() {
    for (uri, canonical) in [
        ("file:/pub/x", "file:///pub/x"),
        ("file:/pub/*", "file:///pub/*"),
        ("FILE:///pub/%7esecret/*", "file:///pub/~secret/*"),
        ("https://crm.example:443/a", "https://crm.example/a"),
        ("Demo://{user}/%7e", "demo://{user}/~"),
        ("demo://static/", "demo://static"),
    ] {
        let facts = format!("resources:\n  - uri: '{uri}'\n");
        let files = [("tools/crm.json", CRM), ("tools/crm.facts.yaml", facts.as_str())];
        error(&files, "is not canonical", uri);
        assert_eq!(findings(&files)[0].help.as_deref(), Some(&*format!("write `{canonical}`")));
    }
    facts_error("resources:\n  - uri: /pub/x\n", "is not an absolute URI", "/pub/x");
    facts_error("resources:\n  - uri: 'a b://*'\n", "white space", "a b://*");
}

#[test]
fn a_canonical_resource_uri_or_beginning_has_no_findings() {
    for uri in
        ["demo://static/*", "demo://static", "file:///pub/x", "crm://*", "*", "crm://{id}", "crm://{id}/*"]
    {
        let facts = format!("resources:\n  - uri: '{uri}'\n");
        let found = findings(&[("tools/crm.json", CRM), ("tools/crm.facts.yaml", &facts)]);
        assert!(found.is_empty(), "{found:?}");
    }
}
