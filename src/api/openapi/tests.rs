use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::access::{DenyReason, ObligationType};

/// Every value in a document with its path.
fn walk(at: &str, value: &Json, see: &mut impl FnMut(&str, &Json)) {
    see(at, value);
    match value {
        Json::Object(members) => {
            for (name, inner) in members {
                walk(&format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), inner, see);
            }
        }
        Json::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                walk(&format!("{at}/{i}"), inner, see);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn is_valid(document: &Json, schema: &Json, value: &Json) -> Result<(), String> {
    let schema = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    validator.validate(value).map_err(|error| format!("{error} at {}", error.instance_path()))
}

#[test]
fn every_reference_leads_somewhere_with_tasks_and_without() {
    for tasks in [true, false] {
        let document = document(tasks);
        assert_eq!(document["openapi"], "3.1.1");
        let mut count = 0;
        walk("", &document, &mut |at, value| {
            if let Some(to) = value.get("$ref").and_then(Json::as_str) {
                count += 1;
                assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{at}: {to}");
            }
        });
        assert!(count > 30, "{count}");
        assert_eq!(document["paths"].get("/oauth2/token").is_some(), tasks);
        assert!(document["paths"].get("/access/v1/evaluation").is_some());
    }
}

#[test]
fn every_example_is_of_its_schema_and_nonsense_is_not() {
    let document = document(true);
    let mut count = 0;
    walk("", &document, &mut |at, value| {
        let (Some(schema), Some(examples)) =
            (value.get("schema"), value.get("examples").and_then(Json::as_object))
        else {
            return;
        };
        for (name, example) in examples {
            count += 1;
            is_valid(&document, schema, &example["value"])
                .unwrap_or_else(|error| panic!("{at}/{name}: {error}"));
        }
    });
    assert!(count >= 8, "{count}");
    let question = json!({"$ref": "#/components/schemas/EvaluationRequest"});
    for wrong in
        [json!({}), json!({"subject": "ana", "action": {"name": "x"}, "resource": {"type": "t", "id": "i"}})]
    {
        assert!(is_valid(&document, &question, &wrong).is_err());
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_known_tag() {
    let document = document(true);
    let tags: Vec<&Json> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{path}");
            assert!(operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag)), "{path}");
            assert!(operation["responses"].get("200").is_some(), "{path}");
        }
    }
}

#[test]
fn the_reasons_and_the_types_of_obligations_are_those_of_the_code() {
    let document = document(true);
    let texts = |at: &str| -> BTreeSet<String> {
        let listed = document.pointer(at).unwrap_or_else(|| panic!("{at}"));
        listed.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let snake = |name: &str| {
        let mut text = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(c.to_ascii_lowercase());
        }
        text
    };
    let reasons: BTreeSet<String> = DenyReason::ALL.iter().map(|reason| snake(reason.name())).collect();
    assert_eq!(texts("/components/schemas/DecisionContext/properties/reason/enum"), reasons);
    let types: BTreeSet<String> = ObligationType::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(texts("/components/schemas/Obligation/properties/type/enum"), types);
}
