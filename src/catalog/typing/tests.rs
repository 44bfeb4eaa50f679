use super::*;
use crate::json;

fn read(schema: &str) -> Value {
    json::parse(schema.as_bytes(), json::Limits { depth_max: 128, ..json::Limits::default() }).unwrap()
}

fn typing(schema: &str) -> Typing {
    of(&read(schema), &BTreeSet::new()).unwrap()
}

/// The type of the argument `a`, or why it has none.
fn typed(schema: &str) -> String {
    typed_with(schema, "{}")
}

fn typed_with(schema: &str, defs: &str) -> String {
    let typing = typing(&format!(
        r#"{{"type":"object","$defs":{defs},"definitions":{defs},"properties":{{"a":{schema}}},"required":["a"]}}"#
    ));
    let Shape::Record(members) = &typing.shape else { panic!("not a record") };
    match (members.get("a"), typing.untyped.as_slice()) {
        (Some(member), []) => format!("{}{}", if member.required { "" } else { "optional " }, member.shape),
        (None, [untyped]) => untyped.why.clone(),
        other => panic!("both or neither: {other:?}"),
    }
}

#[test]
fn plain_types_are_typed() {
    for (schema, wanted) in [
        (r#"{"type":"string"}"#, "String"),
        (r#"{"type":"string","format":"date-time","pattern":"x"}"#, "String"),
        (r#"{"type":"string","enum":["a","b"]}"#, "String"),
        (r#"{"type":["string"]}"#, "String"),
        (r#"{"type":"integer","minimum":0}"#, "Long"),
        (r#"{"type":"boolean"}"#, "Bool"),
        (r#"{"type":"number"}"#, "decimal"),
        (r#"{"type":["integer","number"]}"#, "decimal"),
        (r#"{"type":"array","items":{"type":"string"}}"#, "Set<String>"),
        (r#"{"type":"array","items":{"type":"array","items":{"type":"integer"}}}"#, "Set<Set<Long>>"),
        (r#"{"type":"object","properties":{"x":{"type":"string"}}}"#, "a record"),
        (r#"{"type":"object","additionalProperties":false}"#, "a record"),
    ] {
        assert_eq!(typed(schema), wanted, "{schema}");
    }
}

#[test]
fn values_of_one_scalar_type_are_typed_without_being_told() {
    assert_eq!(typed(r#"{"enum":["a","b"]}"#), "String");
    assert_eq!(typed(r#"{"enum":["a",null]}"#), "optional String");
    assert_eq!(typed(r#"{"const":"a"}"#), "String");
    assert_eq!(typed(r#"{"enum":[1,2]}"#), "Long");
    assert_eq!(typed(r#"{"const":true}"#), "Bool");
    assert_eq!(typed(r#"{"oneOf":[{"const":"a","title":"A"},{"const":"b","title":"B"}]}"#), "String");
    assert_eq!(typed(r#"{"anyOf":[{"type":"string","format":"uri"},{"enum":["any"]}]}"#), "String");
}

#[test]
fn what_may_be_null_is_optional_even_when_it_is_required() {
    for schema in [
        r#"{"type":["string","null"]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
        r#"{"oneOf":[{"type":"null"},{"type":"string"}],"default":null}"#,
        r#"{"anyOf":[{"type":"string"},{"const":null}]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"string","maxLength":3},{"type":"null"}]}"#,
    ] {
        assert_eq!(typed(schema), "optional String", "{schema}");
    }
    let record = r##"{"anyOf":[{"$ref":"#/$defs/r"},{"type":"null"}]}"##;
    assert_eq!(
        typed_with(record, r#"{"r":{"type":"object","properties":{"x":{"type":"string"}}}}"#),
        "optional a record"
    );
}

#[test]
fn required_members_are_required_and_others_are_not() {
    let typing = typing(
        r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","zzz"]}"#,
    );
    let member = |required| Member { shape: Shape::String, required };
    let wanted = BTreeMap::from([("a".into(), member(true)), ("b".into(), member(false))]);
    assert_eq!(typing.shape, Shape::Record(wanted));
}

#[test]
fn local_references_are_followed() {
    let defs = r##"{"s":{"type":"string"},"again":{"$ref":"#/$defs/s"},"a/b":{"type":"integer"},"opt":{"type":["boolean","null"]}}"##;
    assert_eq!(typed_with(r##"{"$ref":"#/$defs/s"}"##, defs), "String");
    assert_eq!(typed_with(r##"{"$ref":"#/definitions/again"}"##, defs), "String");
    assert_eq!(typed_with(r##"{"$ref":"#/$defs/a~1b"}"##, defs), "Long");
    assert_eq!(typed_with(r##"{"$ref":"#/$defs/opt","description":"x"}"##, defs), "optional Bool");
    assert_eq!(typed_with(r##"{"allOf":[{"$ref":"#/$defs/s"}],"default":"x"}"##, defs), "String");
    assert_eq!(typed_with(r##"{"type":"array","items":{"$ref":"#/$defs/s"}}"##, defs), "Set<String>");
    let whole = typing(
        r##"{"$ref":"#/$defs/args","$defs":{"args":{"type":"object","properties":{"a":{"type":"string"}}}}}"##,
    );
    assert!(matches!(whole.shape, Shape::Record(members) if members.contains_key("a")));
}

#[test]
fn what_cannot_be_typed_says_why() {
    for (schema, wanted) in [
        ("true", "its schema is true or false"),
        ("{}", "its schema names no type"),
        (r#"{"description":"anything"}"#, "its schema names no type"),
        (r#"{"type":["string","integer"]}"#, "it may be of several types: string, integer"),
        (r#"{"type":"null"}"#, "it is always null"),
        (r#"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#, "it is a union"),
        (r#"{"oneOf":[{"type":"string"},{}]}"#, "it is a union"),
        (r#"{"allOf":[{"type":"string"},{"minLength":1}]}"#, "it is an `allOf` of several schemas"),
        (r#"{"type":"array"}"#, "it is an array that does not declare its items"),
        (r#"{"type":"array","items":true}"#, "of its items: its schema is true or false"),
        (r#"{"type":"array","items":[{"type":"string"}]}"#, "it is a tuple"),
        (r#"{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"string"}}"#, "it is a tuple"),
        (r#"{"type":"array","items":{"type":["string","null"]}}"#, "its items may be null"),
        (r#"{"type":"object"}"#, "it is an object that does not declare its members"),
        (r#"{"type":"object","properties":{}}"#, "it is an object that does not declare its members"),
        (
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            "it is an object that does not declare its members",
        ),
        (
            r#"{"type":"object","additionalProperties":false,"patternProperties":{"^x":{}}}"#,
            "it is an object that does not declare its members",
        ),
        (r#"{"enum":["a",1]}"#, "its values are of several types"),
        (r#"{"enum":[[1]]}"#, "its values are not of one scalar type"),
        (r##"{"$ref":"#anchor"}"##, "its `$ref` is not of the form `#/…`"),
        (r##"{"$ref":"#/$defs/none"}"##, "its `$ref` is not of the form `#/…`"),
        (r##"{"$ref":"#"}"##, "it refers to itself"),
        (r#"{"$id":"urn:x","type":"string"}"#, "it is a schema document of its own (`$id`)"),
    ] {
        assert_eq!(typed(schema), wanted, "{schema}");
    }
}

#[test]
fn a_record_keeps_its_typed_members_beside_an_untyped_one() {
    let typing = typing(
        r#"{"type":"object","properties":{"filter":{"type":"object","properties":{
            "where":{},"limit":{"type":"integer"},"rows":{"type":"array","items":{"type":"object","properties":{"x":{},"y":{"type":"string"}}}}}}}}"#,
    );
    let paths: Vec<&str> = typing.untyped.iter().map(|untyped| untyped.path.as_str()).collect();
    assert_eq!(paths, ["filter.rows.x", "filter.where"]);
    let Shape::Record(members) = typing.shape else { panic!() };
    let Shape::Record(filter) = &members["filter"].shape else { panic!() };
    assert_eq!(filter.keys().collect::<Vec<_>>(), ["limit", "rows"]);
}

#[test]
fn a_schema_that_refers_to_itself_is_typed_as_far_as_it_does_not() {
    let typing = typing(
        r##"{"type":"object","properties":{"tree":{"$ref":"#/$defs/node"}},
        "$defs":{"node":{"type":"object","properties":{"name":{"type":"string"},
            "children":{"type":"array","items":{"$ref":"#/$defs/node"}}}}}}"##,
    );
    assert_eq!(typing.untyped.len(), 1);
    assert_eq!(typing.untyped[0].path, "tree.children");
    assert_eq!(typing.untyped[0].why, "of its items: it refers to itself");
    assert_eq!(
        typed_with(r##"{"$ref":"#/$defs/x"}"##, r##"{"x":{"$ref":"#/$defs/y"},"y":{"$ref":"#/$defs/x"}}"##),
        "it refers to itself"
    );
}

#[test]
fn one_definition_may_be_used_twice_side_by_side() {
    let typing = typing(
        r##"{"type":"object","properties":{"from":{"$ref":"#/$defs/m"},"to":{"$ref":"#/$defs/m"}},
        "$defs":{"m":{"type":"object","properties":{"amount":{"type":"integer"}}}}}"##,
    );
    assert!(typing.untyped.is_empty());
}

#[test]
fn a_schema_that_unfolds_without_end_is_cut() {
    let mut defs = Vec::new();
    for n in 0..20 {
        let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, n + 1);
        defs.push(format!(r#""d{n}":{{"type":"object","properties":{{"l":{next},"r":{next}}}}}"#));
    }
    let schema = format!(
        r##"{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d0"}}}},"$defs":{{{},"d20":{{"type":"string"}}}}}}"##,
        defs.join(",")
    );
    let typing = typing(&schema);
    assert!(!typing.untyped.is_empty() && typing.untyped.len() < 2 * PARTS_MAX);
    let deep = (0..60)
        .fold(r#"{"type":"string"}"#.to_owned(), |inner, _| format!(r#"{{"type":"array","items":{inner}}}"#));
    assert!(typed(&deep).contains("nests deeper than 16 levels"));
}

#[test]
fn branches_that_branch_without_end_are_cut() {
    let branches = [r##"{"$ref":"#"}"##; 200].join(",");
    let typing = typing(&format!(
        r#"{{"type":"object","properties":{{"a":{{"type":"string"}}}},"anyOf":[{branches}]}}"#
    ));
    assert!(matches!(typing.shape, Shape::Record(members) if members.contains_key("a")));
}

#[test]
fn members_of_a_branch_are_declared_without_a_type() {
    let typing = typing(
        r##"{"type":"object","properties":{"kind":{"type":"string"}},"oneOf":[
            {"properties":{"kind":{"const":"a"},"by_id":{"type":"string"}}},{"$ref":"#/$defs/b"}],
            "then":{"properties":{"later":{}}},"$defs":{"b":{"properties":{"by_name":{"type":"string"}}}}}"##,
    );
    let paths: Vec<&str> = typing.untyped.iter().map(|untyped| untyped.path.as_str()).collect();
    assert_eq!(paths, ["by_id", "by_name", "later"]);
    assert!(matches!(typing.shape, Shape::Record(members) if members.keys().eq(["kind"])));
}

#[test]
fn an_argument_is_left_untyped_when_the_operator_says_so() {
    let schema = read(
        r#"{"type":"object","properties":{"latitude":{"type":"number"},
            "place":{"type":"object","properties":{"city":{"type":"string"},"lon":{"type":"number"},"x":{}}}}}"#,
    );
    let left = |paths: &[&str]| of(&schema, &paths.iter().map(|path| (*path).to_owned()).collect()).unwrap();
    let typing = left(&["latitude", "place.lon", "nowhere"]);
    let paths: Vec<&str> = typing.untyped.iter().map(|untyped| untyped.path.as_str()).collect();
    assert_eq!(paths, ["latitude", "place.lon", "place.x"]);
    assert_eq!(typing.unknown, ["nowhere"]);
    let whole = left(&["place"]);
    let paths: Vec<&str> = whole.untyped.iter().map(|untyped| untyped.path.as_str()).collect();
    assert_eq!(paths, ["place"]);
}

#[test]
fn a_tool_without_arguments_is_an_empty_record() {
    for schema in [
        r#"{"type":"object"}"#,
        r#"{"type":"object","properties":{}}"#,
        r#"{"type":"object","additionalProperties":false}"#,
    ] {
        assert_eq!(typing(schema).shape, Shape::Record(BTreeMap::new()), "{schema}");
    }
}

#[test]
fn a_schema_of_something_else_than_arguments_is_refused() {
    for schema in
        [r#"{"type":"string"}"#, "{}", r#"{"type":["object","null"]}"#, "true", r##"{"$ref":"#/no"}"##]
    {
        assert!(of(&read(schema), &BTreeSet::new()).is_err(), "{schema}");
    }
}
