use super::*;
use crate::json;

fn headers(schema: &str) -> Headers {
    of(&json::parse(schema.as_bytes(), json::Limits::default()).unwrap())
}

#[test]
fn a_header_names_its_argument_however_deep_it_is() {
    let headers = headers(
        r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
        "where":{"type":"object","properties":{"zone.id":{"type":"integer","x-mcp-header":"Zone"}}}}}"#,
    );
    assert_eq!(
        headers.found,
        [
            ("Mcp-Param-Region".to_owned(), vec!["region".to_owned()]),
            ("Mcp-Param-Zone".to_owned(), vec!["where".to_owned(), "zone.id".to_owned()]),
        ]
    );
    assert!(headers.refused.is_empty());
}

#[test]
fn headers_that_the_standard_does_not_allow_are_refused() {
    for property in [
        r#"{"type":"string","x-mcp-header":""}"#,
        r#"{"type":"string","x-mcp-header":"a b"}"#,
        r#"{"type":"string","x-mcp-header":"a\r\nb"}"#,
        r#"{"type":"string","x-mcp-header":1}"#,
        r#"{"type":"object","x-mcp-header":"X"}"#,
        r#"{"x-mcp-header":"X"}"#,
    ] {
        let headers = headers(&format!(r#"{{"properties":{{"a":{property}}}}}"#));
        assert!(headers.found.is_empty() && headers.refused.len() == 1, "{property}");
    }
    let twice = headers(
        r#"{"x-mcp-header":"Root","properties":{"a":{"type":"string","x-mcp-header":"X"},"b":{"type":"string","x-mcp-header":"x"}}}"#,
    );
    assert_eq!((twice.found.len(), twice.refused.len()), (1, 2));
}
