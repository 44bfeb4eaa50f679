//! Hostile headers: algorithms, names of keys, keys that a token brings, types.
//! Never a bad signature, unless the row is about confusing one algorithm with another.

use jsonwebtoken::{Algorithm as Signs, EncodingKey};

use super::super::super::{Algorithm, Part, TokenFault};
use super::super::maker::{self};
use super::super::maker::{ED, ES256, ES384, Object, Pair, RSA, STRANGER, b64, quoted};
use super::super::world::{AGENTS, AS, PLAIN, claims, header, plain_token, signed};
use super::{Row, json, token};
use crate::json::JsonError;

pub(super) fn rows() -> Vec<Row> {
    [none(), shared_secrets(), algorithms(), confusion(), names_of_keys(), keys_of_its_own(), extensions()]
        .into_iter()
        .chain([types(), kinds(), twice()])
        .flatten()
        .collect()
}

/// A good token under another header.
fn under(name: impl Into<String>, header: &Object, fault: TokenFault) -> Row {
    token(name, signed(header, &claims()), fault)
}

fn member(name: &'static str) -> TokenFault {
    TokenFault::HeaderMember { name }
}

/// Every way to write `none` in large and small letters, with no signature, with a good one, with the word itself.
fn none() -> Vec<Row> {
    let spelt = (0..16_u8).map(|bits| {
        let letter = |(at, c): (usize, char)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        "none".chars().enumerate().map(letter).collect::<String>()
    });
    spelt
        .flat_map(|alg| {
            let header = header().set("alg", &quoted(&alg));
            let good = signed(&header, &claims());
            let (unsigned, _) = good.rsplit_once('.').unwrap();
            let without_kid = signed(&header.cut("kid"), &claims());
            [
                token(format!("alg {alg}, no signature"), format!("{unsigned}."), TokenFault::Unsigned),
                token(format!("alg {alg}, good signature"), good.clone(), TokenFault::Unsigned),
                token(format!("alg {alg}, no kid"), without_kid, TokenFault::Unsigned),
            ]
        })
        .collect()
}

/// HMAC with what everybody has: the public keys in the forms that a confused verifier could take for a secret.
fn shared_secrets() -> Vec<Row> {
    let hmacs = [("HS256", Signs::HS256), ("HS384", Signs::HS384), ("HS512", Signs::HS512)];
    let secrets = [
        ("RSA DER", "rs", RSA.public.clone()),
        ("RSA JWK", "rsa", RSA.jwk("").into_bytes()),
        ("EC point", "es", ES256.public.clone()),
        ("EC JWK", "es-384", ES384.jwk("").into_bytes()),
        ("Ed25519 key", "ed", ED.public.clone()),
        ("nothing", "es", Vec::new()),
    ];
    let mut rows = Vec::new();
    for (alg, how) in hmacs {
        for (what, kid, secret) in &secrets {
            let header = header().set("alg", &quoted(alg)).set("kid", &quoted(kid));
            let secret = EncodingKey::from_secret(secret);
            let text = maker::signed(&secret, how, header.text(), claims().text());
            rows.push(token(format!("{alg} with {what}"), text, TokenFault::SharedSecret));
        }
    }
    let small = header().set("alg", r#""hs256""#);
    rows.push(under("hs256 in small letters", &small, TokenFault::SharedSecret));
    rows
}

fn algorithms() -> Vec<Row> {
    let unknown = [
        "",
        "es256",
        "ES512",
        "ES256K",
        "RS1",
        "rs256",
        "RSA1_5",
        "RSA-OAEP",
        "dir",
        "A128KW",
        "Ed25519",
        "EdDSA ",
        " ES256",
        "ES256\u{0}",
        "none ",
        "\u{feff}none",
        "nоne",
        "null",
        "*",
    ];
    let texts = unknown.into_iter().map(|alg| {
        let name = format!("unknown alg {alg:?}");
        under(name, &header().set("alg", &quoted(alg)), TokenFault::UnknownAlgorithm)
    });
    let others = ["null", "1", "true", r#"["ES256"]"#, r#"{"ES256":1}"#]
        .into_iter()
        .map(|raw| under(format!("alg is {raw}"), &header().set("alg", raw), member("alg")));
    texts.chain(others).chain([under("no alg", &header().cut("alg"), member("alg"))]).collect()
}

/// The algorithm of one key with the name of another, and the other way round.
fn confusion() -> Vec<Row> {
    use Algorithm as A;
    let wrong: [(&str, &str, &Pair, Signs, A); 13] = [
        ("ES256", "rs", &ES256, Signs::ES256, A::Es256),
        ("ES256", "rsa", &ES256, Signs::ES256, A::Es256),
        ("ES256", "ed", &ES256, Signs::ES256, A::Es256),
        ("ES256", "es-384", &ES256, Signs::ES256, A::Es256),
        ("ES384", "es", &ES384, Signs::ES384, A::Es384),
        ("RS256", "es", &RSA, Signs::RS256, A::Rs256),
        ("PS256", "rs", &RSA, Signs::PS256, A::Ps256),
        ("RS256", "ps", &RSA, Signs::RS256, A::Rs256),
        ("RS384", "rs", &RSA, Signs::RS384, A::Rs384),
        ("RS384", "rsa", &RSA, Signs::RS384, A::Rs384),
        ("PS512", "rsa", &RSA, Signs::PS512, A::Ps512),
        ("EdDSA", "es", &ED, Signs::EdDSA, A::EdDsa),
        ("EdDSA", "rsa", &ED, Signs::EdDSA, A::EdDsa),
    ];
    let wrong = wrong.into_iter().map(|(alg, kid, pair, how, algorithm)| {
        (alg, kid, pair, how, TokenFault::WrongAlgorithm { algorithm })
    });
    let forged: [(&str, &str, &Pair, Signs); 8] = [
        ("ES256", "es", &STRANGER, Signs::ES256),
        ("PS256", "ps", &RSA, Signs::RS256),
        ("RS256", "rs", &RSA, Signs::PS256),
        ("RS256", "rsa", &RSA, Signs::RS384),
        ("PS256", "rsa", &RSA, Signs::RS256),
        ("EdDSA", "ed", &STRANGER, Signs::ES256),
        ("ES384", "es-384", &ES256, Signs::ES256),
        ("RS256", "rs", &ES256, Signs::ES256),
    ];
    let forged = forged.into_iter().map(|(alg, kid, pair, how)| (alg, kid, pair, how, TokenFault::Signature));
    wrong
        .chain(forged)
        .map(|(alg, kid, pair, how, fault)| {
            let header = header().set("alg", &quoted(alg)).set("kid", &quoted(kid));
            let text = pair.sign(how, header.text(), claims().text());
            let name = format!("{alg} said, {how:?} done, with the key {kid}: {fault:?}");
            token(name, text, fault)
        })
        .collect()
}

fn names_of_keys() -> Vec<Row> {
    let long = "k".repeat(10 * 1024);
    let unknown = [
        ("", "empty"),
        ("../../../../etc/passwd", "path"),
        ("/dev/null", "device"),
        ("file:///proc/self/environ", "file"),
        ("https://evil.example/keys.json", "URL"),
        ("es' OR '1'='1", "SQL"),
        ("es'; DROP TABLE keys; --", "more SQL"),
        ("$(id)", "shell"),
        ("${jndi:ldap://evil.example/a}", "JNDI"),
        ("{{7*7}}", "template"),
        ("es\u{0}", "NUL"),
        ("еs", "a Cyrillic letter"),
        ("es\u{200b}", "a space without width"),
        ("ES", "large letters"),
        (" es", "a space before"),
        ("es ", "a space behind"),
        ("es\n", "a line's end"),
        ("e%73", "escaped"),
        ("0", "an index"),
        ("of-plain", "another issuer's"),
        ("svid", "a trust domain's"),
        ("canary-cAnArY7Qx9-kid", "a canary"),
        (long.as_str(), "10 KiB"),
    ];
    let unknown = unknown.into_iter().map(|(kid, what)| {
        under(format!("kid: {what}"), &header().set("kid", &quoted(kid)), TokenFault::UnknownKey)
    });
    let others = ["null", "7", "true", r#"["es"]"#, r#"{"es":1}"#]
        .into_iter()
        .map(|raw| under(format!("kid is {raw}"), &header().set("kid", raw), member("kid")));
    let several = header().set("alg", r#""RS256""#).cut("kid");
    let several = RSA.sign(Signs::RS256, several.text(), claims().text());
    let no_key = [
        token("no kid, two keys could be meant", several, TokenFault::KeyNotNamed),
        token(
            "another issuer's key and kid",
            signed(&header().set("kid", r#""es""#), &claims().set("iss", &quoted(AGENTS))),
            TokenFault::UnknownKey,
        ),
        token(
            "another issuer's name",
            signed(&header().set("kid", r#""es""#).cut("typ"), &claims().set("iss", &quoted(PLAIN))),
            TokenFault::UnknownKey,
        ),
    ];
    unknown.chain(others).chain(no_key).collect()
}

/// `jku`, `x5u`, `x5c`, `jwk`: none is read, whatever is in it.
fn keys_of_its_own() -> Vec<Row> {
    let own = STRANGER.jwk(r#""kid":"es","alg":"ES256""#);
    let rows = [
        ("jku", r#""https://evil.example/jwks.json""#),
        ("jku", r#""https://as.acme.example/jwks.json""#),
        ("jku", "null"),
        ("x5u", r#""https://evil.example/chain.pem""#),
        ("x5u", r#""file:///etc/ssl/evil.pem""#),
        ("x5c", r#"["MIIB"]"#),
        ("x5c", "[]"),
        ("jwk", own.as_str()),
        ("jwk", r#"{"kty":"oct","k":""}"#),
        ("jwk", "null"),
    ];
    rows.into_iter()
        .map(|(member, raw)| {
            let header = header().set(member, raw);
            let text = STRANGER.sign(Signs::ES256, header.text(), claims().text());
            token(
                format!("{member} is {}", raw.get(..24).unwrap_or(raw)),
                text,
                TokenFault::KeyInHeader { member },
            )
        })
        .collect()
}

fn extensions() -> Vec<Row> {
    let rows = [
        ("crit", r#"["exp"]"#, TokenFault::Critical),
        ("crit", r#"["b64"]"#, TokenFault::Critical),
        ("crit", r#"["https://evil.example/ext"]"#, TokenFault::Critical),
        ("crit", "[]", TokenFault::Critical),
        ("crit", "null", TokenFault::Critical),
        ("crit", r#""exp""#, TokenFault::Critical),
        ("crit", "{}", TokenFault::Critical),
        ("b64", "false", TokenFault::Critical),
        ("b64", "true", TokenFault::Critical),
        ("zip", r#""DEF""#, TokenFault::Encrypted),
        ("zip", "null", TokenFault::Encrypted),
        ("enc", r#""A128GCM""#, TokenFault::Encrypted),
        ("cty", r#""JWT""#, TokenFault::Nested),
        ("cty", r#""jwt""#, TokenFault::Nested),
        ("cty", r#""at+jwt""#, TokenFault::Nested),
        ("cty", "null", TokenFault::Nested),
    ];
    rows.into_iter()
        .map(|(name, raw, fault)| under(format!("{name} is {raw}"), &header().set(name, raw), fault))
        .collect()
}

fn types() -> Vec<Row> {
    let fault = || TokenFault::WrongType { expected: "`at+jwt`, or `oauth-id-jag+jwt`".into() };
    let texts = [
        "",
        "JWT",
        "jwt",
        "JOSE",
        "at",
        "jwt+at",
        "at+jws",
        "at jwt",
        " at+jwt",
        "at+jwt ",
        "at+jwt\u{0}",
        "at+jwt;v=1",
        "application/",
        "application/jwt",
        "application/application/at+jwt",
        "text/at+jwt",
        "id+jwt",
        "dpop+jwt",
        "txntoken+jwt",
        "wit+jwt",
        "wpt+jwt",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
    ];
    let texts = texts
        .into_iter()
        .map(|typ| under(format!("typ {typ:?}"), &header().set("typ", &quoted(typ)), fault()));
    let others = ["null", "1", "false", r#"["at+jwt"]"#, "{}"]
        .into_iter()
        .map(|raw| under(format!("typ is {raw}"), &header().set("typ", raw), member("typ")));
    texts.chain(others).chain([under("no typ", &header().cut("typ"), fault())]).collect()
}

/// One kind of token where the issuer is believed to issue another.
fn kinds() -> Vec<Row> {
    let wrong = |expected: &str| TokenFault::WrongType { expected: expected.into() };
    let id_jag = header().set("typ", r#""oauth-id-jag+jwt""#).set("kid", r#""of-agents""#);
    let jag = "https://jag.acme.example";
    let plain = plain_token(|claims| claims.set("iss", &quoted(AS)));
    vec![
        token(
            "an ID-JAG as an access token",
            signed(&id_jag, &claims().set("iss", &quoted(AGENTS))),
            wrong("`at+jwt`"),
        ),
        token(
            "an access token as an ID-JAG",
            signed(&header().set("kid", r#""of-jag""#), &claims().set("iss", &quoted(jag))),
            wrong("`oauth-id-jag+jwt`"),
        ),
        token(
            "an access token as a plain JWT",
            signed(&header().set("kid", r#""of-plain""#), &claims().set("iss", &quoted(PLAIN))),
            wrong("`JWT`, or none"),
        ),
        token("a plain JWT as an access token", plain, wrong("`at+jwt`, or `oauth-id-jag+jwt`")),
    ]
}

/// Two readers would read two headers.
fn twice() -> Vec<Row> {
    let duplicate = || json(Part::Header, |offset| JsonError::DuplicateMember { offset });
    let rows = [
        ("alg", r#""ES256""#),
        ("alg", r#""none""#),
        ("\\u0061lg", r#""none""#),
        ("kid", r#""es""#),
        ("kid", r#""rs""#),
        ("typ", r#""JWT""#),
    ];
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(name, raw)| under(format!("{name} again: {raw}"), &header().also(name, raw), duplicate()))
        .collect();
    rows.push(under("x twice in x", &header().set("x", r#"{"x":1,"x":2}"#), duplicate()));
    let not_objects =
        ["[]", r#""ES256""#, "7", "null", "true", r#"[{"alg":"ES256"}]"#].into_iter().map(|header| {
            let text = format!("{}.{}.{}", b64(header), b64(claims().text()), b64([1; 64]));
            token(format!("the header is {header}"), text, TokenFault::NotAnObject { part: Part::Header })
        });
    rows.extend(not_objects);
    rows
}
