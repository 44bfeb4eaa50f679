use super::*;
use crate::json;
use crate::value::Value;

const CRM: &str = r##"{"jsonrpc": "2.0", "id": 1, "result": {"tools": [
  {"name": "find_customer", "title": "Find a customer", "description": "Looks a customer up by e-mail.",
   "inputSchema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
     "properties": {"email": {"type": "string", "format": "email"},
                    "region": {"type": "string", "enum": ["eu", "us"], "x-mcp-header": "Region"}},
     "required": ["email"], "additionalProperties": false},
   "annotations": {"readOnlyHint": true}},
  {"name": "issue_refund", "description": "Pays money back.",
   "inputSchema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
     "properties": {"order": {"$ref": "#/definitions/order"}, "amount": {"type": "number"},
                    "reason": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null},
                    "metadata": {"type": "object", "additionalProperties": {"type": "string"}}},
     "required": ["order", "amount"],
     "definitions": {"order": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}}},
   "outputSchema": {"type": "object"},
   "annotations": {"destructiveHint": true, "title": "Refund"}}
]}}"##;

const FACTS: &str = "
audience: https://crm.acme.example/mcp
groups: [internal-systems]
tools:
  find_customer:
    data_classes: [personal]
    read_only: true
    open_world: false
  issue_refund:
    data_classes: [payment]
    groups: [preapproved]
    open: true
resources:
  - uri: 'crm://*'
    data_classes: [internal]
  - uri: 'crm://public/*'
    data_classes: [public]
  - uri: 'crm://public/*x'
prompts:
  summarise: { data_classes: [public] }
";

fn catalog() -> Catalog {
    let facts = FACTS.replace("  - uri: 'crm://public/*x'\n", "  - uri: 'crm://public/draft'\n");
    let (catalog, findings) =
        Catalog::load(&[File::new("tools/crm.json", CRM), File::new("tools/crm.facts.yaml", facts)]);
    assert!(findings.is_empty(), "{findings:#?}");
    catalog
}

fn names(classes: &BTreeSet<String>) -> Vec<&str> {
    classes.iter().map(String::as_str).collect()
}

#[test]
fn a_catalog_knows_its_servers_and_their_tools() {
    let catalog = catalog();
    let server = catalog.server("crm").unwrap();
    assert_eq!(server.uid(), Uid::new("Server", "crm"));
    assert_eq!(server.audience.as_deref(), Some("https://crm.acme.example/mcp"));
    assert_eq!(names(&server.groups), ["internal-systems"]);
    assert_eq!(catalog.servers().count(), 1);
    let tool = catalog.tool("crm", "issue_refund").unwrap();
    assert_eq!(tool.uid(), Uid::new("Tool", "crm/issue_refund"));
    assert_eq!(tool.action(), Uid::new("Action", "crm/issue_refund"));
    assert!(catalog.tool("crm", "no_such").is_none());
    assert!(catalog.tool("hr", "issue_refund").is_none());
}

#[test]
fn a_tool_carries_what_the_operator_and_the_server_say() {
    let catalog = catalog();
    let find = catalog.tool("crm", "find_customer").unwrap();
    assert_eq!((find.facts.read_only, find.facts.destructive, find.facts.open_world), (true, false, false));
    assert_eq!(names(&find.facts.groups), ["read-only"]);
    assert_eq!(names(&find.facts.data_classes), ["personal"]);
    assert_eq!(find.title.as_deref(), Some("Find a customer"));
    assert_eq!(find.headers, [("Mcp-Param-Region".to_owned(), vec!["region".to_owned()])]);
    let refund = catalog.tool("crm", "issue_refund").unwrap();
    assert_eq!(names(&refund.facts.groups), ["destructive", "open-world", "preapproved"]);
    assert_eq!(refund.untyped.iter().map(|untyped| untyped.path.as_str()).collect::<Vec<_>>(), ["metadata"]);
    assert!(refund.open && !find.open);
}

#[test]
fn the_entry_that_names_most_of_a_uri_classifies_it() {
    let catalog = catalog();
    let server = catalog.server("crm").unwrap();
    for (uri, wanted) in [
        ("crm://orders/1", "internal"),
        ("crm://public/1", "public"),
        ("crm://public/draft", "unclassified"),
        ("crm://public/draft/2", "public"),
        ("other://x", "unclassified"),
        ("", "unclassified"),
    ] {
        assert_eq!(names(&server.resource_classes(uri)), [wanted], "{uri}");
    }
    assert_eq!(names(&server.prompt_classes("summarise")), ["public"]);
    assert_eq!(names(&server.prompt_classes("translate")), ["unclassified"]);
}

#[test]
fn a_server_without_facts_is_unclassified_and_assumed_to_be_dangerous() {
    let (catalog, findings) = Catalog::load(&[File::new("tools/crm.json", CRM)]);
    assert!(findings.is_empty());
    let facts = &catalog.tool("crm", "find_customer").unwrap().facts;
    assert_eq!((facts.read_only, facts.destructive, facts.open_world), (false, true, true));
    assert_eq!(names(&facts.data_classes), ["unclassified"]);
}

#[test]
fn a_call_is_admitted_against_the_pinned_definition() {
    let catalog = catalog();
    let read = |text: &str| json::parse(text.as_bytes(), json::Limits::default()).unwrap();
    let refund = catalog.tool("crm", "issue_refund").unwrap();
    let admitted = refund
        .admit(&read(r#"{"order":{"id":7},"amount":10,"reason":null,"metadata":{"a":"b"},"force":true}"#))
        .unwrap();
    assert_eq!(admitted.unseen, ["force", "metadata"]);
    let Value::Record(input) = &admitted.input else { panic!() };
    assert_eq!(input.keys().collect::<Vec<_>>(), ["amount", "order"]);
    let find = catalog.tool("crm", "find_customer").unwrap();
    assert!(matches!(
        find.admit(&read(r#"{"email":"a@b","bcc":"x"}"#)),
        Err(ArgumentFault::Undeclared { .. })
    ));
    assert!(matches!(find.admit(&Value::Null), Err(ArgumentFault::Schema { .. })));
}

#[test]
fn a_live_definition_that_drifted_is_not_the_pinned_one() {
    let catalog = catalog();
    let refund = catalog.tool("crm", "issue_refund").unwrap();
    let list = json::parse(CRM.as_bytes(), json::Limits::default()).unwrap();
    let Value::Record(reply) = list else { panic!() };
    let Some(Value::Record(result)) = reply.get("result") else { panic!() };
    let Some(Value::Set(tools)) = result.get("tools") else { panic!() };
    assert!(refund.is_pinned_by(&tools[1]) && !refund.is_pinned_by(&tools[0]));
    let Value::Record(definition) = &tools[1] else { panic!() };
    let changed = |name: &str, value: Option<Value>| {
        let mut definition = definition.clone();
        definition.remove(name);
        definition.extend(value.map(|value| (name.into(), value)));
        refund.is_pinned_by(&Value::Record(definition))
    };
    for name in ["name", "description", "inputSchema", "outputSchema", "annotations"] {
        assert!(!changed(name, None), "{name}");
        assert!(!changed(name, Some(Value::String("other".into()))), "{name}");
    }
    assert!(!changed("title", Some(Value::String("new".into()))));
    assert!(changed("_meta", Some(Value::Bool(true))));
    assert!(!refund.is_pinned_by(&Value::Null));
}
