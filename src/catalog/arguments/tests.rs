use super::*;
use crate::catalog::typing;
use crate::value::Extension;

struct Tool {
    typing: typing::Typing,
    validator: Validator,
    open: bool,
}

fn read(text: &str) -> Value {
    json::parse(text.as_bytes(), json::Limits::default()).unwrap()
}

fn tool(schema: &str) -> Tool {
    let schema = read(schema);
    let typing = typing::of(&schema, &BTreeSet::new()).unwrap();
    Tool { typing, validator: compile(&json::to_serde(&schema)).unwrap(), open: false }
}

impl Tool {
    fn admit(&self, arguments: &str) -> Result<Admitted, ArgumentFault> {
        let typing::Typing { shape, declared, .. } = &self.typing;
        let pinned = Pinned { shape, declared, validator: &self.validator, open: self.open };
        admit(&pinned, &read(arguments))
    }

    fn open(self) -> Self {
        Self { open: true, ..self }
    }
}

fn schema_fault(path: &str, keyword: &str) -> ArgumentFault {
    ArgumentFault::Schema { path: path.into(), keyword: keyword.into() }
}

const REFUND: &str = r#"{"type":"object","properties":{
    "order_id":{"type":"string","pattern":"^[A-Z]-[0-9]+$"},
    "amount":{"type":"number","maximum":500},
    "count":{"type":"integer","minimum":0},
    "note":{"type":["string","null"]},
    "tags":{"type":"array","items":{"type":"string","maxLength":3}},
    "filter":{"type":"object","properties":{"where":{},"limit":{"type":"integer"}}},
    "lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"extra":{}},"required":["sku"]}},
    "options":{"anyOf":[{"type":"object"},{"type":"null"}]}
  },"required":["order_id"]}"#;

#[test]
fn arguments_that_fit_come_out_typed() {
    let admitted = tool(REFUND)
        .admit(r#"{"order_id":"A-1","amount":12.5,"count":3,"note":"x","tags":["a"],"lines":[{"sku":"s"}]}"#)
        .unwrap();
    let wanted = Value::record([
        ("order_id", Value::String("A-1".into())),
        ("amount", Value::Extension(Extension::Decimal, "12.5000".into())),
        ("count", Value::Long(3)),
        ("note", Value::String("x".into())),
        ("tags", Value::Set(vec![Value::String("a".into())])),
        ("lines", Value::Set(vec![Value::record([("sku", Value::String("s".into()))])])),
    ]);
    assert_eq!(admitted, Admitted { input: wanted, unseen: vec![] });
}

#[test]
fn undeclared_arguments_are_refused_by_name_at_every_level() {
    let undeclared = |arguments: &str| match tool(REFUND).admit(arguments) {
        Err(ArgumentFault::Undeclared { paths }) => paths,
        other => panic!("{other:?}"),
    };
    assert_eq!(undeclared(r#"{"order_id":"A-1","force":true,"bcc":"x"}"#), ["bcc", "force"]);
    assert_eq!(undeclared(r#"{"order_id":"A-1","filter":{"offset":1}}"#), ["filter.offset"]);
    assert_eq!(undeclared(r#"{"order_id":"A-1","lines":[{"sku":"a"},{"sku":"b","qty":1}]}"#), ["lines.qty"]);
    let long = format!(r#"{{"{}":1,"a\u0000b":2}}"#, "x".repeat(500));
    let shown = undeclared(&long);
    assert_eq!(shown[0], "ab…");
    assert_eq!(shown[1].chars().count(), NAME_CHARS_MAX + 1);
    let many: Vec<String> = (0..50).map(|n| format!(r#""x{n}":1"#)).collect();
    assert_eq!(undeclared(&format!("{{{}}}", many.join(","))).len(), NAMED_MAX);
}

#[test]
fn undeclared_arguments_are_refused_whatever_the_schema_says_about_them() {
    for more in ["true", "{}", r#"{"type":"string"}"#, "false"] {
        let schema =
            format!(r#"{{"type":"object","properties":{{"a":{{}}}},"additionalProperties":{more}}}"#);
        let fault = tool(&schema).admit(r#"{"b":"x"}"#);
        assert_eq!(fault, Err(ArgumentFault::Undeclared { paths: vec!["b".into()] }), "{more}");
    }
}

#[test]
fn an_open_tool_lets_undeclared_arguments_through_unseen() {
    let admitted = tool(REFUND)
        .open()
        .admit(r#"{"order_id":"A-1","force":true,"filter":{"limit":1,"offset":1,"where":[]}}"#)
        .unwrap();
    assert_eq!(admitted.unseen, ["filter.offset", "filter.where", "force"]);
    let Value::Record(input) = admitted.input else { panic!() };
    assert_eq!(input.keys().collect::<Vec<_>>(), ["filter", "order_id"]);
    assert_eq!(input.get("filter"), Some(&Value::record([("limit", Value::Long(1))])));
    let closed = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    assert_eq!(tool(closed).open().admit(r#"{"b":1}"#), Err(schema_fault("", "additionalProperties")));
}

#[test]
fn untyped_arguments_that_are_sent_are_unseen_once_each() {
    let unseen = |arguments: &str| tool(REFUND).admit(arguments).unwrap().unseen;
    assert_eq!(unseen(r#"{"order_id":"A-1","filter":{"where":{"any":["thing"]}}}"#), ["filter.where"]);
    assert_eq!(
        unseen(r#"{"order_id":"A-1","options":{},"lines":[{"sku":"a","extra":1},{"sku":"b","extra":null}]}"#),
        ["lines.extra", "options"]
    );
    assert_eq!(unseen(r#"{"order_id":"A-1","filter":{},"lines":[]}"#), Vec::<String>::new());
}

#[test]
fn null_for_a_nullable_argument_is_no_argument() {
    let admitted = tool(REFUND).admit(r#"{"order_id":"A-1","note":null,"options":null}"#).unwrap();
    assert_eq!(admitted.unseen, Vec::<String>::new());
    assert_eq!(admitted.input, Value::record([("order_id", Value::String("A-1".into()))]));
    assert_eq!(tool(REFUND).admit(r#"{"order_id":null}"#), Err(schema_fault("order_id", "type")));
    assert_eq!(tool(REFUND).admit(r#"{"order_id":"A-1","count":null}"#), Err(schema_fault("count", "type")));
}

#[test]
fn no_arguments_are_an_empty_object_and_anything_else_is_refused() {
    let none = tool(r#"{"type":"object"}"#);
    assert_eq!(none.admit("null").unwrap().input, Value::record::<String>([]));
    assert_eq!(none.admit("{}").unwrap().input, Value::record::<String>([]));
    assert_eq!(none.admit("[]"), Err(ArgumentFault::NotAnObject { found: "an array" }));
    assert_eq!(tool(REFUND).admit("null"), Err(schema_fault("order_id", "required")));
}

#[test]
fn the_pinned_schema_is_held_against_everything_that_is_sent() {
    for (arguments, path, keyword) in [
        ("{}", "order_id", "required"),
        (r#"{"order_id":7}"#, "order_id", "type"),
        (r#"{"order_id":"canary"}"#, "order_id", "pattern"),
        (r#"{"order_id":"A-1","amount":501}"#, "amount", "maximum"),
        (r#"{"order_id":"A-1","count":-1}"#, "count", "minimum"),
        (r#"{"order_id":"A-1","count":1.5}"#, "count", "type"),
        (r#"{"order_id":"A-1","tags":["a","canary"]}"#, "tags.1", "maxLength"),
        (r#"{"order_id":"A-1","filter":[]}"#, "filter", "type"),
        (r#"{"order_id":"A-1","lines":[{"sku":"a"},{}]}"#, "lines.1.sku", "required"),
    ] {
        let fault = tool(REFUND).admit(arguments).unwrap_err();
        assert_eq!(fault, schema_fault(path, keyword), "{arguments}");
        assert!(!fault.to_string().contains("canary"));
    }
}

#[test]
fn a_refusal_shows_neither_values_nor_names_that_the_caller_made_up() {
    let schema = r#"{"type":"object","properties":{"labels":{"type":"object","additionalProperties":{"type":"string"}}}}"#;
    let fault = tool(schema).admit(r#"{"labels":{"canary-name":{"canary":1}}}"#).unwrap_err();
    assert_eq!(fault, schema_fault("labels", "type"));
    let schema =
        r#"{"type":"object","properties":{"labels":{"type":"object","propertyNames":{"maxLength":3}}}}"#;
    let fault = tool(schema).admit(r#"{"labels":{"canary":1}}"#).unwrap_err();
    assert_eq!(fault, schema_fault("labels", "propertyNames"));
}

#[test]
fn numbers_keep_their_value_or_are_refused() {
    let schema = r#"{"type":"object","properties":{"id":{"type":"integer"},"price":{"type":"number"}}}"#;
    let input = |arguments: &str| tool(schema).admit(arguments).map(|admitted| admitted.input);
    for id in [i64::MAX, i64::MIN, 9_007_199_254_740_993] {
        assert_eq!(input(&format!(r#"{{"id":{id}}}"#)), Ok(Value::record([("id", Value::Long(id))])));
    }
    assert_eq!(input(r#"{"id":7.0}"#), Ok(Value::record([("id", Value::Long(7))])));
    for arguments in [
        r#"{"id":9223372036854775808}"#,
        r#"{"id":1e300}"#,
        r#"{"id":1e999}"#,
        r#"{"id":1e-400}"#,
        r#"{"id":9007199254740993.0}"#,
        r#"{"price":0.00001}"#,
        r#"{"price":1e999}"#,
        r#"{"price":922337203685477.5808}"#,
    ] {
        assert!(
            matches!(input(arguments), Err(ArgumentFault::Type(_))),
            "{arguments}: {:?}",
            input(arguments)
        );
    }
}

#[test]
fn cedars_own_json_escapes_are_refused_or_stay_unseen() {
    let schema = r#"{"type":"object","properties":{"__extn":{"type":"string"},"free":{}}}"#;
    assert!(matches!(tool(schema).admit(r#"{"__extn":"x"}"#), Err(ArgumentFault::Type(_))));
    let admitted = tool(schema).admit(r#"{"free":{"__extn":{"fn":"unknown","arg":"x"}}}"#).unwrap();
    assert_eq!(admitted, Admitted { input: Value::record::<String>([]), unseen: vec!["free".into()] });
    let fault = tool(schema).open().admit(r#"{"__expr":"x"}"#);
    assert!(matches!(fault, Err(ArgumentFault::Type(_))), "{fault:?}");
}

#[test]
fn a_pattern_that_backtracks_without_end_is_cut_off_and_refuses() {
    // Catastrophic for a backtracking engine; the back reference keeps it from the linear one.
    let pattern = r"^(a|a)*\\1b$";
    let text = format!("{}!", "a".repeat(60));
    for (keyword, path) in [
        (format!(r#""pattern":"{pattern}""#), "a"),
        (format!(r#""not":{{"pattern":"{pattern}"}}"#), ""),
        (format!(r#""anyOf":[{{"pattern":"{pattern}"}}]"#), "a"),
    ] {
        let schema = format!(r#"{{"type":"object","properties":{{"a":{{"type":"string",{keyword}}}}}}}"#);
        let fault = tool(&schema).admit(&format!(r#"{{"a":"{text}"}}"#));
        assert_eq!(fault, Err(ArgumentFault::PatternLimit { path: path.into() }), "{schema}");
    }
}

#[test]
fn a_pattern_that_compiles_to_too_much_makes_the_schema_invalid() {
    let schema =
        serde_json::json!({"type":"object","properties":{"a":{"pattern":"((a{1000}){1000}){1000}"}}});
    assert!(compile(&schema).is_err());
}

#[test]
fn a_schema_that_refers_to_itself_is_validated_to_the_end_of_the_arguments() {
    let schema = r##"{"type":"object","properties":{"tree":{"$ref":"#/$defs/node"}},"$defs":{"node":{"type":"object",
        "properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/$defs/node"}}}}}}"##;
    let deep = (0..10).fold(r#"{"name":7}"#.to_owned(), |inner, _| format!(r#"{{"children":[{inner}]}}"#));
    let fault = tool(schema).admit(&format!(r#"{{"tree":{deep}}}"#));
    assert_eq!(fault, Err(schema_fault("tree.children", "type")));
}

#[test]
fn references_that_only_lead_to_each_other_come_to_an_end() {
    let schema = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},
        "$defs":{"x":{"$ref":"#/$defs/y"},"y":{"$ref":"#/$defs/x"}}}"##;
    assert_eq!(tool(schema).admit(r#"{"a":1}"#).unwrap().unseen, ["a"]);
}

#[test]
fn the_draft_is_the_one_that_the_schema_names() {
    let tuple = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object",
        "properties":{"a":{"type":"array","items":[{"type":"string"}]}}}"#;
    assert_eq!(tool(tuple).admit(r#"{"a":[1]}"#), Err(schema_fault("a", "type")));
    let tuple = r#"{"type":"object","properties":{"a":{"type":"array","prefixItems":[{"type":"string"}]}}}"#;
    assert_eq!(tool(tuple).admit(r#"{"a":[1]}"#), Err(schema_fault("a", "type")));
}
