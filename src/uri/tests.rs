use proptest::prelude::*;

use super::*;

const LIMIT: usize = 2048;

fn same(spellings: &[&str], wanted: &str) {
    for spelling in spellings {
        assert_eq!(canonical(spelling, LIMIT).as_deref(), Ok(wanted), "{spelling}");
    }
    assert_eq!(canonical(wanted, LIMIT).as_deref(), Ok(wanted), "canonical text is its own canonical form");
}

fn refused(spellings: &[&str], wanted: UriFault) {
    for spelling in spellings {
        assert_eq!(canonical(spelling, LIMIT), Err(wanted), "{spelling:?}");
    }
}

#[test]
fn every_accepted_spelling_of_a_resource_has_one_name() {
    same(
        &[
            "demo://static/secret",
            "DEMO://Static/secret",
            "demo://static/secret#",
            "demo://static/secret?",
            "demo://static/secret?#",
            "demo://static/./secret",
            "demo://static/public/../secret",
            "demo://static/public/%2e%2e/secret",
            "demo://static/public/.%2E/secret",
            "demo://static/../../secret",
            "demo://static/%73ecret",
            "demo://static/%2e/s%65cre%74",
            "demo://static:/secret",
        ],
        "demo://static/secret",
    );
    same(
        &["HTTPS://API.Example.COM:443/a/", "https://api.example.com/a/", "https://ａpi.example.com/a/b/.."],
        "https://api.example.com/a/",
    );
    same(&["http://127.1/x", "http://0x7f.0.0.1/x", "http://2130706433:80/x"], "http://127.0.0.1/x");
    same(&["http://[0:0::1]/x", "http://[::1]:80/x"], "http://[::1]/x");
    same(&["http://bücher.example", "http://xn--bcher-kva.example/"], "http://xn--bcher-kva.example/");
    same(
        &["postgres://DB.internal:5432/sales", "postgres://db.internal/sales"],
        "postgres://db.internal/sales",
    );
    same(&["file:/etc/passwd", "file:///etc/passwd", "FILE://localhost/etc/./passwd"], "file:///etc/passwd");
}

#[test]
fn escapes_are_undone_where_they_change_nothing_and_kept_where_they_do() {
    same(&["demo://x/ana%40acme.example", "demo://x/ana@acme.example"], "demo://x/ana@acme.example");
    same(&["demo://x/caf%c3%a9", "demo://x/café"], "demo://x/caf%C3%A9");
    same(&["demo://x/a|b{c}", "demo://x/a%7cb%7Bc%7d"], "demo://x/a%7Cb%7Bc%7D");
    same(&["demo://x/a%20b"], "demo://x/a%20b");
    same(&["demo://x/a%2bb"], "demo://x/a%2Bb");
    same(&["demo://x/a+b"], "demo://x/a+b");
    same(&["demo://x/a%3Fb"], "demo://x/a%3Fb");
    same(&["demo://x/100%25"], "demo://x/100%25");
    same(&["demo://x/q?a=%2Fb%26c&d='%27"], "demo://x/q?a=/b%26c&d=''");
    same(&["https://x.example/q?a='%27"], "https://x.example/q?a=''");
}

#[test]
fn names_without_a_hierarchy_and_without_a_host_are_supported() {
    same(&["urn:ISBN:0451450523", "URN:isbn:0451450523"], "urn:isbn:0451450523");
    same(&["config:app%2Dname"], "config:app-name");
    same(&["memo://insights", "memo://insights/", "memo://Insights/."], "memo://insights");
    same(&["demo:/a/b", "demo:///a/b"], "demo:///a/b");
    same(&["demo://", "demo:/", "demo:///"], "demo:///");
    same(&["git+ssh://h.example:22/x"], "git+ssh://h.example:22/x");
}

#[test]
fn attack_spellings_are_refused() {
    for (spelling, fault) in [
        ("", UriFault::Relative),
        ("static/secret", UriFault::Relative),
        ("/etc/passwd", UriFault::Relative),
        ("//host/x", UriFault::Relative),
        ("1a://x", UriFault::Relative),
        (":x", UriFault::Relative),
        ("urn:", UriFault::Relative),
        ("file:etc/passwd", UriFault::Relative),
        ("https:host/x", UriFault::Relative),
        ("c:/windows/win.ini", UriFault::DriveLetter),
        (" demo://x/a", UriFault::UnsafeCharacter),
        ("demo://x/a\n", UriFault::UnsafeCharacter),
        ("de\tmo://x/a", UriFault::UnsafeCharacter),
        ("demo://x/a\u{2028}b", UriFault::UnsafeCharacter),
        ("demo://x/a\0", UriFault::UnsafeCharacter),
        ("demo://x\\..\\secret", UriFault::UnsafeCharacter),
        ("demo://x/%", UriFault::BadEscape),
        ("demo://x/%4", UriFault::BadEscape),
        ("demo://x/%zz", UriFault::BadEscape),
        ("demo://x/%%32%65", UriFault::BadEscape),
        ("demo://x/%é", UriFault::BadEscape),
        ("demo://x/a%00", UriFault::EncodedControl),
        ("demo://x/a%0d%0a", UriFault::EncodedControl),
        ("demo://x/a%7F", UriFault::EncodedControl),
        ("demo://x/a%C2%85", UriFault::EncodedControl),
        ("demo://x/a?b=%00", UriFault::EncodedControl),
        ("demo://x/public%2f..%2fsecret", UriFault::EncodedSlash),
        ("demo://x/public%5C..%5csecret", UriFault::EncodedSlash),
        ("urn:a%2Fb", UriFault::EncodedSlash),
        ("demo://x/%c0%ae%c0%ae/secret", UriFault::NotUtf8),
        ("demo://x/%ff", UriFault::NotUtf8),
        ("demo://x/%252e%252e/secret", UriFault::EncodedTwice),
        ("demo://x/%25%32%65%252e/secret", UriFault::EncodedTwice),
        ("demo://x/%25252e/secret", UriFault::EncodedTwice),
        ("demo://x/a%252Fb", UriFault::EncodedTwice),
        ("https://user@host/x", UriFault::UserInfo),
        ("https://user:pw@host/x", UriFault::UserInfo),
        ("https://@host/x", UriFault::UserInfo),
        ("demo://public@secret/x", UriFault::UserInfo),
        ("demo://x/a#b", UriFault::Fragment),
        ("https:///host/x", UriFault::Authority),
        ("https:/host/x", UriFault::Authority),
        ("https://ex%61mple.com/x", UriFault::Authority),
        ("https://host.example./x", UriFault::Authority),
        ("https://host:99999/x", UriFault::Authority),
        ("https://[::1/x", UriFault::Authority),
        ("demo://ho%73t/x", UriFault::Authority),
        ("demo://hôst/x", UriFault::Authority),
        ("demo://a<b/x", UriFault::Authority),
        ("file:////etc/passwd", UriFault::EmptySegment),
        ("https://h//a", UriFault::EmptySegment),
        ("demo://x/a//../b", UriFault::EmptySegment),
        ("demo://x/public/..;/secret", UriFault::DotSegment),
        ("demo://x/public/%2e%2e;a=b/secret", UriFault::DotSegment),
        ("config:../secret", UriFault::DotSegment),
        ("config:a/%2e%2e/secret", UriFault::DotSegment),
        ("file://C:/etc", UriFault::Ambiguous),
        ("file:///C:/../etc/passwd", UriFault::Ambiguous),
    ] {
        refused(&[spelling], fault);
    }
}

#[test]
fn length_is_limited_before_and_after() {
    let long = format!("demo://x/{}", "a".repeat(LIMIT));
    refused(&[&long], UriFault::TooLong { bytes_max: LIMIT });
    let grows = format!("demo://x/{}", "é".repeat(LIMIT / 3));
    assert!(grows.len() <= LIMIT);
    refused(&[&grows], UriFault::TooLong { bytes_max: LIMIT });
}

#[test]
fn templates_keep_their_expressions() {
    for (template, wanted) in [
        ("demo://x/{id}", "demo://x/{id}"),
        ("DEMO://X/a/../{id}{?q,lang}", "demo://x/{id}{?q,lang}"),
        ("demo://{area}/x", "demo://{area}/x"),
        ("https://h.example:443/{+path}", "https://h.example/{+path}"),
        ("demo://x/plain", "demo://x/plain"),
    ] {
        assert_eq!(canonical_template(template, LIMIT).as_deref(), Ok(wanted), "{template}");
        assert_eq!(canonical_template(wanted, LIMIT).as_deref(), Ok(wanted), "{template}");
    }
}

#[test]
fn templates_that_could_be_mistaken_are_refused() {
    let crowded = format!("demo://x/{}", "{a}".repeat(TEMPLATE_EXPRESSIONS_MAX + 1));
    for template in [
        "{scheme}://x",
        "demo://x/{id",
        "demo://x/{}",
        "demo://x/{a{b}}",
        "demo://x/{a}}",
        "demo://x/{a b}",
        "demo://x/{a}/../b",
        "demo://x/expression0stands-here/{a}",
        "demo://x/%65xpression0stands-here/{a}",
        &crowded,
    ] {
        assert_eq!(canonical_template(template, LIMIT), Err(UriFault::Template), "{template}");
    }
}

fn uri_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("demo:"),
        Just("https:"),
        Just("file:"),
        Just("urn:"),
        Just("//"),
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%25"),
        Just("%41"),
        Just("%c3%A9"),
        Just("é"),
        Just("C:"),
        Just("|"),
        Just(":"),
        Just("?"),
        Just("#"),
        Just("@"),
        Just("'"),
        Just("%27"),
        Just("{a}"),
        Just("["),
        Just("::1]"),
        Just("X.y"),
        Just("80"),
        Just(";"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn canonical_form_is_stable(text in prop_oneof![uri_like(), uri_like().prop_map(|t| format!("demo://h/{t}")), any::<String>()]) {
        if let Ok(once) = canonical(&text, LIMIT) {
            prop_assert_eq!(canonical(&once, LIMIT), Ok(once.clone()));
            prop_assert!(once.bytes().all(|byte| byte.is_ascii_graphic()));
            let (path, _) = once.split_once('?').unwrap_or((&once, ""));
            prop_assert!(!path.split('/').any(|segment| segment == ".." || segment == "."));
            prop_assert!(!once.contains('#') && Url::parse(&once).is_ok());
        }
        if let Ok(once) = canonical_template(&text, LIMIT) {
            prop_assert_eq!(canonical_template(&once, LIMIT), Ok(once));
        }
    }

    #[test]
    fn escaping_a_plain_character_never_changes_the_name(text in "demo://h/[a-z0-9._~@:!-]{1,24}(/[a-z.]{1,4}){0,3}", at in any::<prop::sample::Index>()) {
        let path = &text["demo://h/".len()..];
        let at = at.index(path.len());
        let byte = path.as_bytes()[at];
        prop_assume!(byte != b'/');
        let escaped = format!("demo://h/{}%{byte:02x}{}", &path[..at], &path[at + 1..]);
        prop_assert_eq!(canonical(&escaped, LIMIT), canonical(&text, LIMIT));
    }
}

#[test]
fn a_beginning_of_canonical_uris_is_its_own_canonical_form() {
    for text in [
        "",
        "demo",
        "demo:",
        "demo://",
        "demo://static",
        "demo://static/",
        "demo://static/a",
        "demo://static/a/.",
        "demo://{user}/",
        "file:///pub/",
        "https:",
        "https://",
        "https://exam",
        "https://example.com:8443",
        "https://example.com/a?q=",
        "urn:isbn:",
    ] {
        assert_eq!(canonical_beginning(text, LIMIT).as_deref(), Ok(text), "{text}");
    }
}

#[test]
fn any_other_beginning_is_spelled_anew_or_refused() {
    for (text, wanted) in [
        ("FILE:///pub/%7esecret/", "file:///pub/~secret/"),
        ("file:/pub/", "file:///pub/"),
        ("Demo://Static/", "demo://static/"),
        ("HTTP", "http"),
        ("https://example.com:443", "https://example.com"),
        ("https://EXAMPLE.com/", "https://example.com/"),
        ("demo://h/a/../b/", "demo://h/b/"),
        ("demo://h/a%3a", "demo://h/a:"),
    ] {
        assert_eq!(canonical_beginning(text, LIMIT).as_deref(), Ok(wanted), "{text}");
    }
    for (text, wanted) in [
        ("/etc/", UriFault::Relative),
        ("demo://h/%4", UriFault::BadEscape),
        ("demo://h/a b/", UriFault::UnsafeCharacter),
        ("demo://h/#", UriFault::Fragment),
        ("demo://h//", UriFault::EmptySegment),
        ("demo://{user", UriFault::Template),
    ] {
        assert_eq!(canonical_beginning(text, LIMIT), Err(wanted), "{text}");
    }
}
