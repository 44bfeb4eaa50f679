use proptest::prelude::*;

use super::*;

#[test]
fn the_bytes_of_items_are_those_that_were_sent() {
    let text = br#" [ {"a": [1, 2]} ,1.50,"x\u0041", [] ,null] "#;
    let items = items_bytes(text).unwrap();
    assert_eq!(items, [&br#"{"a": [1, 2]}"#[..], b"1.50", br#""x\u0041""#, b"[]", b"null"]);
    assert_eq!(items_bytes(b"[]"), Some(vec![]));
    assert_eq!(items_bytes(b"{}"), None);
}

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes(), Limits::default())
}

fn refused(text: &str) -> JsonError {
    read(text).expect_err(text)
}

#[test]
fn every_kind_of_value_is_read() {
    let read =
        read(r#" {"a":[1,-0,true,false,null,"x\u00e9\ud83d\ude00"],"b":{"c":1.50,"d":-1e9}} "#).unwrap();
    let a = vec![
        Value::Long(1),
        Value::Long(0),
        Value::Bool(true),
        Value::Bool(false),
        Value::Null,
        Value::String("xé😀".into()),
    ];
    let b = Value::record([("c", Value::Number("1.50".into())), ("d", Value::Number("-1e9".into()))]);
    assert_eq!(read, Value::record([("a", Value::Set(a)), ("b", b)]));
}

#[test]
fn integers_are_exact_and_other_numbers_keep_their_text() {
    assert_eq!(read("9223372036854775807"), Ok(Value::Long(i64::MAX)));
    assert_eq!(read("-9223372036854775808"), Ok(Value::Long(i64::MIN)));
    assert_eq!(read("9007199254740993"), Ok(Value::Long(9_007_199_254_740_993)));
    for text in
        ["9223372036854775808", "1.0", "0.1", "1E+2", "1e999", "-0.0", "123456789012345678901234567890"]
    {
        assert_eq!(read(text), Ok(Value::Number(text.into())));
    }
}

#[test]
fn a_name_given_twice_is_refused_however_it_is_spelt() {
    assert_eq!(refused(r#"{"a":1,"a":2}"#), JsonError::DuplicateMember { offset: 7 });
    assert_eq!(refused("{\"a\":\"\\\"\" , \n\"\\u0061\" : 2}"), JsonError::DuplicateMember { offset: 13 });
    assert!(matches!(refused(r#"[{"x":{"a":1,"b":2,"a":1}}]"#), JsonError::DuplicateMember { .. }));
    assert!(read(r#"{"a":{"a":1},"A":2}"#).is_ok());
}

/// Few members are kept otherwise than many.
#[test]
fn of_many_members_each_is_kept_and_the_first_given_twice_is_refused() {
    let members: Vec<_> = (0..100).map(|number| format!("\"{}\":{number}", (number * 37) % 100)).collect();
    let text = format!("{{{}}}", members.join(","));
    let Value::Record(all) = read(&text).unwrap() else { panic!("an object") };
    assert_eq!(all.len(), 100);
    for number in 0..100 {
        let name = ((number * 37) % 100).to_string();
        assert_eq!(all.get(name.as_str()), Some(&Value::Long(number)));
    }
    assert!(all.keys().is_sorted(), "whoever looks one up relies on it");
    for (first, second) in [(0, 1), (0, 31), (0, 32), (31, 33), (40, 41), (5, 99), (98, 99)] {
        let mut twice = members.clone();
        let name = twice[first].split(':').next().unwrap();
        twice[second] = format!("{name}:0");
        let offset = 1 + twice[..second].iter().map(|member| member.len() + 1).sum::<usize>();
        let text = format!("{{{}}}", twice.join(","));
        assert_eq!(refused(&text), JsonError::DuplicateMember { offset }, "{first} and {second}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_wherever_they_stand() {
    for bytes in [&b"\"\xff\""[..], b"{\"\xc3\":1}", b"\"\xed\xa0\x80\"", b"1 \xff"] {
        assert!(matches!(parse(bytes, Limits::default()), Err(JsonError::NotUtf8 { .. })), "{bytes:?}");
    }
    assert_eq!(parse(b"\"a\xff\"", Limits::default()), Err(JsonError::NotUtf8 { offset: 2 }));
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [r#""\udc00""#, r#""\ud800\u0041""#, r#"{"\udfff":1}"#] {
        assert!(matches!(refused(text), JsonError::LoneSurrogate { .. }), "{text}");
    }
    for text in [r#""\ud800""#, r#""\ud800x""#, r#""\ud800\n""#] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn what_json_cannot_write_is_refused() {
    for text in ["NaN", "Infinity", "-Infinity", "[NaN]", "01", "-", "1.", ".5", "+1", "1e", "0x1", "- 1"] {
        assert!(read(text).is_err(), "{text}");
    }
    assert_eq!(refused("NaN"), JsonError::Number { offset: 0 });
    assert_eq!(refused("[Infinity]"), JsonError::Number { offset: 1 });
    assert!(matches!(refused("01"), JsonError::Number { .. }));
    assert!(matches!(refused(&"1".repeat(5_000)), JsonError::NumberTooLong { .. }));
    for text in
        ["'a'", "{a:1}", "// x\n1", "/* */1", "nul", "tru", "TRUE", "\u{feff}1", "{\"a\" 1}", "[1 2]", "}"]
    {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn strings_are_closed_and_escaped() {
    assert!(matches!(refused("\"a\nb\""), JsonError::ControlCharacter { .. }));
    assert!(matches!(refused("\"\u{0}\""), JsonError::ControlCharacter { .. }));
    assert!(matches!(refused(r#""\x""#), JsonError::Escape { .. }));
    assert!(matches!(refused(r#""\u00g0""#), JsonError::Escape { .. }));
    assert!(matches!(refused("\"a"), JsonError::Truncated { .. }));
}

#[test]
fn a_text_is_one_value_and_nothing_else() {
    assert_eq!(refused("1 2"), JsonError::TrailingText { offset: 2 });
    assert!(matches!(refused("{}{}"), JsonError::TrailingText { offset: 2 }));
    assert!(matches!(refused("[1,]"), JsonError::TrailingComma { .. }));
    assert!(matches!(refused(r#"{"a":1,}"#), JsonError::TrailingComma { .. }));
    for text in ["", "  ", "[1", r#"{"a""#, r#"{"a":"#, r#"{"a":1"#, "[1,"] {
        assert!(matches!(refused(text), JsonError::Truncated { .. }), "{text}");
    }
}

#[test]
fn each_limit_admits_its_own_value_and_refuses_the_next() {
    let limits = Limits { bytes_max: 20, depth_max: 3, nodes_max: 4 };
    let read = |text: &str| parse(text.as_bytes(), limits);
    assert!(read("[[1]]").is_ok());
    assert_eq!(read("[[[1]]]"), Err(JsonError::TooDeep { offset: 3, depth_max: 3 }));
    assert!(read("[[[]]]").is_ok());
    assert!(read("[1,2,3]").is_ok());
    assert_eq!(read("[1,2,3,4]"), Err(JsonError::TooManyValues { offset: 7, nodes_max: 4 }));
    assert!(read(&format!("\"{}\"", "x".repeat(18))).is_ok());
    assert_eq!(
        read(&format!("\"{}\"", "x".repeat(19))),
        Err(JsonError::TooLong { bytes: 21, bytes_max: 20 })
    );
}

#[test]
fn no_limit_grants_more_depth_than_the_ceiling() {
    let limits = Limits { bytes_max: usize::MAX, depth_max: usize::MAX, nodes_max: usize::MAX };
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(DEPTH_CEILING).as_bytes(), limits).is_ok());
    assert!(matches!(parse(nested(100_000).as_bytes(), limits), Err(JsonError::TooDeep { .. })));
}

#[test]
fn errors_never_carry_content() {
    for text in [r#"{"canary":1,"canary":2}"#, r#""canary"#, r#"{"canary" 1}"#, r#""canary" canary"#] {
        let error = refused(text);
        assert!(!error.to_string().contains("canary") && !format!("{error:?}").contains("canary"), "{text}");
    }
}

#[test]
fn the_bytes_of_a_member_are_those_that_were_sent() {
    let body = br#" {"id": 1, "params" : { "name":"x", "arguments" :  {"b" : 1.0,"a":"}\"" } , "z":[]} } "#;
    let params = member_bytes(body, "params").unwrap();
    assert_eq!(member_bytes(params, "arguments"), Some(&br#"{"b" : 1.0,"a":"}\"" }"#[..]));
    assert_eq!(member_bytes(params, "z"), Some(&b"[]"[..]));
    assert_eq!(member_bytes(params, "name"), Some(&b"\"x\""[..]));
    assert_eq!(member_bytes(body, "id"), Some(&b"1"[..]));
    assert_eq!(member_bytes(br#"{"\u0061":2}"#, "a"), Some(&b"2"[..]));
    assert_eq!(bytes_at(body, &["params", "arguments", "b"]), Some(&b"1.0"[..]));
    assert_eq!(bytes_at(body, &["params", "z", "b"]), None, "not an object");
    assert_eq!(bytes_at(body, &["params", "b"]), None, "deeper");
    assert_eq!(bytes_at(b" {} ", &[]), Some(&b"{}"[..]));
    assert_eq!(member_bytes(body, "arguments"), None);
    assert_eq!(member_bytes(b"{}", "a"), None);
    assert_eq!(member_bytes(b"[1]", "a"), None);
}

#[test]
fn a_member_is_found_behind_the_deepest_value_that_a_text_can_hold() {
    let inner = "[".repeat(DEPTH_CEILING - 1) + &"]".repeat(DEPTH_CEILING - 1);
    let text = format!(r#"{{"a":{inner},"b":1}}"#);
    let limits = Limits { depth_max: DEPTH_CEILING, ..Limits::default() };
    assert!(parse(text.as_bytes(), limits).is_ok());
    assert_eq!(member_bytes(text.as_bytes(), "b"), Some(&b"1"[..]));
}

#[test]
fn numbers_beyond_a_double_stop_at_its_ends_for_json_schema() {
    assert_eq!(to_serde(&Value::Number("1e999".into())), serde_json::json!(f64::MAX));
    assert_eq!(to_serde(&Value::Number("-1e999".into())), serde_json::json!(f64::MIN));
    assert_eq!(to_serde(&Value::Number("18446744073709551615".into())), serde_json::json!(u64::MAX));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(".*", inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Objects of few names, so that paths meet them.
fn around() -> impl Strategy<Value = serde_json::Value> {
    json().prop_recursive(4, 32, 3, |inner| {
        prop::collection::btree_map("[abc]", inner, 0..4)
            .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_back_the_same(sent in json()) {
        let text = serde_json::to_vec(&sent).unwrap();
        let read = parse(&text, Limits::default()).unwrap();
        prop_assert_eq!(to_serde(&read), sent);
    }

    #[test]
    fn any_bytes_are_read_or_refused_as_serde_json_does(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let ours = parse(&bytes, Limits::default()).is_ok();
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        // Ours is the stricter: it may refuse what the other reads, never the other way round.
        prop_assert!(!ours || theirs || serde_json::from_slice::<&serde_json::value::RawValue>(&bytes).is_ok());
    }

    #[test]
    fn what_is_within_limits_is_what_is_read_under_them(sent in json(), depth_max in 1..6_usize, nodes_max in 1..16_usize) {
        let text = serde_json::to_vec(&sent).unwrap();
        let value = parse(&text, Limits::default()).unwrap();
        let limits = Limits { depth_max, nodes_max, ..Limits::default() };
        prop_assert_eq!(is_within(&value, depth_max, nodes_max), parse(&text, limits).is_ok());
    }

    #[test]
    fn what_is_noted_is_what_stands_at_the_path(
        sent in around(), path in prop::collection::vec("[ab]", 1..4), pretty: bool,
    ) {
        let text = if pretty { serde_json::to_vec_pretty(&sent) } else { serde_json::to_vec(&sent) }.unwrap();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (value, noted) = super::read(&text, Limits::default(), |next| next.value_noting(&path)).unwrap();
        prop_assert_eq!(noted, bytes_at(&text, &path));
        prop_assert_eq!(value, parse(&text, Limits::default()).unwrap());
    }

    #[test]
    fn almost_json_never_panics(text in r#"[\[\]{}",:0-9eE+\-.a\\u ntf]{0,40}"#) {
        if parse(text.as_bytes(), Limits::default()).is_ok() {
            prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
        }
        let _ = member_bytes(text.as_bytes(), "a");
    }
}
