//! Hostile claims under good signatures: times, audiences, names of issuers, missing and doubled claims, `act`, `cnf`.
//! Never a shape that an honest issuer writes; those are in `good`.

use super::super::super::{Part, TokenFault};
use super::super::maker::{Object, quoted};
use super::super::world::{
    AGENTS, AS_AUDIENCE, NOW, PDP, SERVER, agent_token, claims, header, plain_token, signed,
};
use super::{Row, json, of_claims, token};
use crate::json::JsonError;

pub(super) fn rows() -> Vec<Row> {
    [instants(), times(), audiences(), audience_shapes(), issuers(), missing(), shapes(), twice()]
        .into_iter()
        .chain([actors(), confirmations()])
        .flatten()
        .collect()
}

fn claim(name: &str, wanted: &'static str) -> TokenFault {
    TokenFault::Claim { name: name.into(), wanted }
}

fn lacks(name: &str) -> TokenFault {
    TokenFault::Missing { name: name.into() }
}

const TEXT: &str = "a text that is not empty";
const TEXTS: &str = "a text or a list of texts";
const SHORT: &str = "short enough";

/// What is no instant, as `exp`, `nbf` and `iat`.
fn instants() -> Vec<Row> {
    let (soon, half) = (NOW + 100, format!("{}.5", NOW + 100));
    let shapes = [
        quoted(&soon.to_string()),
        half,
        format!("{soon}.0"),
        "1.7952563e9".into(),
        "-1".into(),
        "1e999".into(),
        "-1e999".into(),
        "9223372036854775807".into(),
        "9223372036854775808".into(),
        "99999999999999999999999999".into(),
        "253402300800".into(),
        format!("{soon}000"),
        "null".into(),
        "true".into(),
        "false".into(),
        format!("[{soon}]"),
        format!("{{\"at\":{soon}}}"),
        quoted(""),
        quoted("2026-11-21T10:20:00Z"),
        quoted("never"),
    ];
    let mut rows = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        for shape in &shapes {
            let fault = claim(name, "whole seconds since 1970");
            rows.push(of_claims(format!("{name} is {shape}"), &claims().set(name, shape), fault));
        }
    }
    rows
}

fn times() -> Vec<Row> {
    let at = |name: &str, seconds: i64| claims().set(name, &seconds.to_string());
    let long = TokenFault::LongLived { lifetime_s: 3601, lifetime_max_s: 3600 };
    let too_late = |claim: &'static str, in_s: i64| TokenFault::NotYetValid { claim, in_s };
    vec![
        of_claims(
            "expired as long ago as clocks may differ",
            &at("exp", NOW - 30),
            TokenFault::Expired { ago_s: 30 },
        ),
        of_claims("expired just before", &at("exp", NOW - 31), TokenFault::Expired { ago_s: 31 }),
        of_claims("expired an hour ago", &at("exp", NOW - 3600), TokenFault::Expired { ago_s: 3600 }),
        of_claims("expired in 1970", &at("exp", 0), TokenFault::Expired { ago_s: NOW }),
        of_claims("expired at minus nothing", &claims().set("exp", "-0"), TokenFault::Expired { ago_s: NOW }),
        of_claims("valid in 31 s", &at("nbf", NOW + 31), too_late("nbf", 31)),
        of_claims("valid tomorrow", &at("nbf", NOW + 86_400), too_late("nbf", 86_400)),
        of_claims("issued in 31 s", &at("iat", NOW + 31), too_late("iat", 31)),
        of_claims("issued next year", &at("iat", NOW + 31_536_000), too_late("iat", 31_536_000)),
        of_claims("valid a second too long", &at("exp", NOW - 60 + 3601), long),
        of_claims(
            "valid for ever",
            &at("exp", 253_402_300_799),
            TokenFault::LongLived { lifetime_s: 253_402_300_799 - (NOW - 60), lifetime_max_s: 3600 },
        ),
        of_claims(
            "issued in 1970",
            &at("iat", 0),
            TokenFault::LongLived { lifetime_s: NOW + 300, lifetime_max_s: 3600 },
        ),
        token(
            "a limit of lifetimes, and no iat to measure by",
            plain_token(|claims| claims.cut("iat")),
            lacks("iat"),
        ),
    ]
}

/// What is nearly our name.
fn audiences() -> Vec<Row> {
    let other = quoted("https://mcp.acme.example/mail");
    let shapes = [
        quoted("https://pdp.acme.example/"),
        quoted("https://pdp.acme.exampl"),
        quoted("https://pdp.acme.example.evil.example"),
        quoted("https://PDP.acme.example"),
        quoted("HTTPS://pdp.acme.example"),
        quoted("http://pdp.acme.example"),
        quoted("https://pdp.acme.example:443"),
        quoted("https://pdp.acme.example?x"),
        quoted("https://pdp.acme.example#x"),
        quoted("https://u@pdp.acme.example"),
        quoted("https://pdp.acme.example "),
        quoted(" https://pdp.acme.example"),
        quoted("https://pdp.acme.example\u{0}"),
        quoted("https://pdp.аcme.example"),
        quoted("pdp.acme.example"),
        quoted("*"),
        quoted("https://*.acme.example"),
        quoted("https://mcp.acme.example"),
        quoted("https://mcp.acme.example/ledger/"),
        quoted("https://mcp.acme.example/ledger/../ledger"),
        quoted("https://as.acme.example"),
        quoted("spiffe-clients"),
        quoted(&format!("{PDP} {SERVER}")),
        quoted(&format!("{PDP},{SERVER}")),
        other.clone(),
        format!("[{other}]"),
        format!("[{other},{}]", quoted("https://pdp.acme.example/")),
    ];
    let of_as = || TokenFault::Audience { expected: vec![PDP.into(), AS_AUDIENCE.into(), SERVER.into()] };
    let mut rows: Vec<Row> = shapes
        .iter()
        .map(|aud| of_claims(format!("aud is {aud}"), &claims().set("aud", aud), of_as()))
        .collect();
    // What one issuer's clients are called is no audience of another's tokens.
    let text = agent_token(|claims| claims.set("aud", &quoted(AS_AUDIENCE)));
    let expected = vec![PDP.into(), SERVER.into()];
    rows.push(token("aud of another issuer's clients", text, TokenFault::Audience { expected }));
    rows
}

fn audience_shapes() -> Vec<Row> {
    let many = |count: usize| format!("[{}]", vec![quoted(PDP); count].join(","));
    let nested = format!("[[{}]]", quoted(PDP));
    let object = format!("{{\"aud\":{}}}", quoted(PDP));
    let mixed = format!("[{},7]", quoted(PDP));
    let shapes = [
        ("null", lacks("aud")),
        ("[]", lacks("aud")),
        (r#""""#, claim("aud", TEXTS)),
        (r#"[""]"#, claim("aud", TEXTS)),
        ("[1]", claim("aud", TEXTS)),
        ("[null]", claim("aud", TEXTS)),
        ("7", claim("aud", TEXTS)),
        ("true", claim("aud", TEXTS)),
        ("{}", claim("aud", TEXTS)),
        (object.as_str(), claim("aud", TEXTS)),
        (nested.as_str(), claim("aud", TEXTS)),
        (mixed.as_str(), claim("aud", TEXTS)),
        (&many(65), claim("aud", SHORT)),
    ];
    shapes
        .into_iter()
        .map(|(aud, fault)| {
            of_claims(
                format!("aud shaped {}", aud.get(..48).unwrap_or(aud)),
                &claims().set("aud", aud),
                fault,
            )
        })
        .collect()
}

/// What is nearly a trusted issuer.
fn issuers() -> Vec<Row> {
    let names = [
        "https://as.acme.example/",
        "https://AS.acme.example",
        "https://as.acme.example:443",
        "http://as.acme.example",
        "HTTPS://as.acme.example",
        "https://as.acme.example/jwks.json",
        "https://as.acme.example?",
        "https://as.acme.example#",
        "https://as.acme.example.",
        "https://as.acme.example.evil.example",
        "https://evil.example/https://as.acme.example",
        "https://as.acme.example@evil.example",
        "https://аs.acme.example",
        "https://as。acme.example",
        "https://as.acme.example\u{0}",
        "https://as.acme.example\u{202e}",
        " https://as.acme.example",
        "https://as.acme.example\n",
        "https://evil.example/cAnArY7Qx9",
        "acme.example",
        "as",
        "*",
    ];
    let names = names.into_iter().map(|iss| {
        of_claims(format!("iss is {iss:?}"), &claims().set("iss", &quoted(iss)), TokenFault::UnknownIssuer)
    });
    let others = ["7", "true", r#"["https://as.acme.example"]"#, "{}", r#""""#]
        .into_iter()
        .map(|raw| of_claims(format!("iss shaped {raw}"), &claims().set("iss", raw), claim("iss", TEXT)));
    let none = [
        of_claims("no iss", &claims().cut("iss"), TokenFault::UnknownIssuer),
        of_claims("iss is null", &claims().set("iss", "null"), TokenFault::UnknownIssuer),
    ];
    names.chain(others).chain(none).collect()
}

/// What RFC 9068, section 2.2 requires, one by one.
fn missing() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["sub", "client_id", "jti", "iat", "exp", "aud"] {
        rows.push(of_claims(format!("no {name}"), &claims().cut(name), lacks(name)));
    }
    for name in ["sub", "client_id", "jti"] {
        rows.push(of_claims(format!("{name} is null"), &claims().set(name, "null"), lacks(name)));
    }
    let jag = header().set("typ", r#""oauth-id-jag+jwt""#);
    for name in ["sub", "client_id", "jti", "iat", "exp", "aud"] {
        rows.push(token(format!("an ID-JAG without {name}"), signed(&jag, &claims().cut(name)), lacks(name)));
    }
    rows.push(token("no claim for the person", plain_token(|claims| claims.cut("email")), lacks("email")));
    // People may set an address that is another's (OpenID Connect Core, section 5.7).
    let verified = || claim("email_verified", "`true`");
    rows.push(token("an unverified address", plain_token(|c| c.set("email_verified", "false")), verified()));
    rows.push(token("an address of nobody knows", plain_token(|c| c.cut("email_verified")), verified()));
    rows.push(token("verified in words", plain_token(|c| c.set("email_verified", r#""true""#)), verified()));
    // A list that was left out is not an empty list.
    let left_out = || claim("groups", "in the token itself: its issuer left it out for its length");
    let distributed = |c: Object| c.set("_claim_names", r#"{"groups":"src1"}"#);
    rows.push(token("groups elsewhere", plain_token(distributed), left_out()));
    rows.push(token("too many groups", plain_token(|c| c.set("hasgroups", "true")), left_out()));
    rows.push(token("no exp in a plain JWT", plain_token(|claims| claims.cut("exp")), lacks("exp")));
    rows.push(of_claims("nothing at all", &Object::of(&[]), lacks("sub")));
    rows
}

/// Claims of a wrong type.
fn shapes() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["sub", "client_id", "jti", "scope", "acr"] {
        for raw in [r#""""#, "7", "true", r#"["x"]"#, r#"{"x":"y"}"#] {
            // No scope at all may be written like that.
            if (name, raw) != ("scope", r#""""#) {
                rows.push(of_claims(
                    format!("{name} shaped {raw}"),
                    &claims().set(name, raw),
                    claim(name, TEXT),
                ));
            }
        }
    }
    for raw in [r#""""#, "7", "[7]", "{}", r#"["mfa",null]"#] {
        rows.push(of_claims(format!("amr shaped {raw}"), &claims().set("amr", raw), claim("amr", TEXTS)));
    }
    let words: Vec<String> = (0..65).map(|at| format!("s{at}")).collect();
    let list: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let scopes = claims().set("scope", &quoted(&words.join(" ")));
    rows.push(of_claims("65 scopes", &scopes, claim("scope", SHORT)));
    let methods = claims().set("amr", &format!("[{}]", list.join(",")));
    rows.push(of_claims("65 methods", &methods, claim("amr", SHORT)));
    for (name, raw, wanted) in [("groups", "7", TEXTS), ("groups", "[7]", TEXTS), ("groups", "{}", TEXTS)] {
        let text = plain_token(|claims| claims.set(name, raw));
        rows.push(token(format!("{name} shaped {raw}"), text, claim(name, wanted)));
    }
    let groups = format!("[{}\"g\"]", "\"g\",".repeat(256));
    let text = plain_token(|claims| claims.set("groups", &groups));
    rows.push(token("257 groups", text, claim("parents", SHORT)));
    rows.push(token(
        "azp of a wrong type",
        plain_token(|claims| claims.set("azp", "[]")),
        claim("azp", TEXT),
    ));
    rows.push(token(
        "email of a wrong type",
        plain_token(|claims| claims.set("email", "[]")),
        claim("email", TEXT),
    ));
    rows
}

/// Two readers would read two sets of claims.
fn twice() -> Vec<Row> {
    let rows = [
        ("iss", r#""https://as.acme.example""#),
        ("iss", r#""https://evil.example""#),
        ("sub", r#""root""#),
        ("\\u0073ub", r#""root""#),
        ("aud", r#""https://pdp.acme.example""#),
        ("exp", "1895256200"),
        ("iat", "0"),
        ("jti", r#""x""#),
        ("client_id", r#""mailer""#),
        ("scope", r#""admin""#),
        ("act", r#"{"sub":"close-bot","sub":"mailer"}"#),
        ("act", r#"{"sub":"mailer","act":{"sub":"a","sub":"b"}}"#),
        ("cnf", r#"{"jkt":"a","jkt":"b"}"#),
        ("unknown", r#"{"a":[{"b":1,"b":1}]}"#),
    ];
    let duplicate = || json(Part::Claims, |offset| JsonError::DuplicateMember { offset });
    rows.into_iter()
        .map(|(name, raw)| of_claims(format!("again {name}: {raw}"), &claims().also(name, raw), duplicate()))
        .collect()
}

fn actors() -> Vec<Row> {
    let shapes = [
        r#""close-bot""#,
        "[]",
        r#"[{"sub":"close-bot"}]"#,
        "7",
        "true",
        "{}",
        r#"{"iss":"https://as.acme.example"}"#,
        r#"{"sub":""}"#,
        r#"{"sub":7}"#,
        r#"{"sub":null}"#,
        r#"{"sub":["close-bot"]}"#,
        r#"{"sub":{"sub":"close-bot"}}"#,
        r#"{"sub":"close-bot","act":"mailer"}"#,
        r#"{"sub":"close-bot","act":null}"#,
        r#"{"sub":"close-bot","act":{}}"#,
        r#"{"sub":"close-bot","act":[{"sub":"mailer"}]}"#,
    ];
    let fault = || claim("act", "an object with `sub`");
    let mut rows: Vec<Row> = shapes
        .iter()
        .map(|act| of_claims(format!("act is {act}"), &claims().set("act", act), fault()))
        .collect();
    for depth in [4, 5, 9] {
        let act = (0..depth).fold(String::new(), |inner, _| {
            let comma = if inner.is_empty() { "" } else { "," };
            format!(r#""act":{{"sub":"close-bot"{comma}{inner}}}"#)
        });
        let act = act.strip_prefix(r#""act":"#).unwrap();
        let fault = TokenFault::ActorDepth { depth_max: 3 };
        rows.push(of_claims(format!("{depth} actors"), &claims().set("act", act), fault));
    }
    rows
}

/// What a token is bound to and we could not check.
fn confirmations() -> Vec<Row> {
    let shapes = [
        "{}",
        r#"{"jwk":{"kty":"EC"}}"#,
        r#"{"jwe":"x"}"#,
        r#"{"kid":"es"}"#,
        r#"{"jku":"https://evil.example/jwks.json"}"#,
        r#"{"x5t":"AAAA"}"#,
        r#"{"JKT":"AAAA"}"#,
        r#"{"jkt":7}"#,
        r#"{"jkt":""}"#,
        r#"{"jkt":null}"#,
        r#"{"jkt":["AAAA"]}"#,
        r#"{"x5t#S256":false}"#,
        r#"{"jkt":"AAAA","x5t#S256":7}"#,
        r#""AAAA""#,
        "[]",
        "7",
        "false",
    ];
    let fault = || claim("cnf", "an object with `jkt` or `x5t#S256`");
    let mut rows: Vec<Row> = shapes
        .iter()
        .map(|cnf| of_claims(format!("cnf is {cnf}"), &claims().set("cnf", cnf), fault()))
        .collect();
    let text = agent_token(|claims| claims.set("iss", &quoted(AGENTS)).set("cnf", "[7]"));
    rows.push(token("cnf of an agent's token is [7]", text, fault()));
    rows
}
