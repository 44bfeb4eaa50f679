//! Hostile proofs of possession, each beside a good token.
//! Never accepted for another request, another token, another key, or a second time.

use jsonwebtoken::Algorithm as Signs;

use super::super::super::{Algorithm, Part, Proof, ProofFault, Role, Token, TokenFault, Unauthenticated};
use super::super::maker::{self};
use super::super::maker::{ES256, HOLDER, Object, RSA, STRANGER, b64, quoted, sha256};
use super::super::world::{
    Brings, NOW, URL, agent_token, bound_token, brings, claims, dpop, dpop_claims, dpop_header, good_proof,
    header, signed as token_of,
};
use super::{Row, request};

pub(super) fn rows() -> Vec<Row> {
    [headers(), keys(), said(), free(), requests(), bindings(), used()].into_iter().flatten().collect()
}

/// A proof that is refused beside the bound token.
fn proof(name: impl Into<String>, token: &str, proof: Proof, fault: ProofFault) -> Row {
    let brings = Brings { proof: Some(proof), ..brings(token) };
    request(format!("proof: {}", name.into()), brings, Unauthenticated::Proof(fault))
}

fn made(header: &Object, claims: &Object) -> Proof {
    dpop(HOLDER.sign(Signs::ES256, header.text(), claims.text()))
}

fn headers() -> Vec<Row> {
    let token = bound_token();
    let header = || dpop_header(&HOLDER);
    let wrong_type = || TokenFault::WrongType { expected: "`dpop+jwt`".into() };
    let none = header().set("alg", r#""none""#);
    let rows = [
        ("no typ", header().cut("typ"), wrong_type()),
        ("typ JWT", header().set("typ", r#""JWT""#), wrong_type()),
        ("typ at+jwt", header().set("typ", r#""at+jwt""#), wrong_type()),
        ("typ dpop", header().set("typ", r#""dpop""#), wrong_type()),
        ("no jwk", header().cut("jwk"), TokenFault::HeaderMember { name: "jwk" }),
        ("alg none", none.clone(), TokenFault::Unsigned),
        ("alg NONE", header().set("alg", r#""NONE""#), TokenFault::Unsigned),
        ("alg HS256", header().set("alg", r#""HS256""#), TokenFault::SharedSecret),
        ("alg ES512", header().set("alg", r#""ES512""#), TokenFault::UnknownAlgorithm),
        (
            "alg ES384",
            header().set("alg", r#""ES384""#),
            TokenFault::WrongAlgorithm { algorithm: Algorithm::Es384 },
        ),
        (
            "alg RS256",
            header().set("alg", r#""RS256""#),
            TokenFault::WrongAlgorithm { algorithm: Algorithm::Rs256 },
        ),
        ("jku", header().set("jku", r#""https://evil.example""#), TokenFault::KeyInHeader { member: "jku" }),
        ("x5c", header().set("x5c", "[]"), TokenFault::KeyInHeader { member: "x5c" }),
        ("crit", header().set("crit", r#"["exp"]"#), TokenFault::Critical),
        ("zip", header().set("zip", r#""DEF""#), TokenFault::Encrypted),
        ("cty", header().set("cty", r#""JWT""#), TokenFault::Nested),
    ];
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(name, header, fault)| {
            proof(name, &token, made(&header, &dpop_claims(&token)), ProofFault::Token(fault))
        })
        .collect();
    let unsigned = format!("{}.{}.", b64(none.text()), b64(dpop_claims(&token).text()));
    rows.push(proof(
        "alg none, no signature",
        &token,
        dpop(unsigned),
        ProofFault::Token(TokenFault::Unsigned),
    ));
    for (name, text, fault) in [
        ("the token itself", token.clone(), TokenFault::HeaderMember { name: "jwk" }),
        ("nothing", String::new(), TokenFault::NotCompact),
        ("a word", "proof".into(), TokenFault::NotCompact),
        ("17 KiB", "A".repeat(17 * 1024), TokenFault::TooLong { bytes: 17 * 1024 }),
    ] {
        rows.push(proof(name, &token, dpop(text), ProofFault::Token(fault)));
    }
    rows
}

fn keys() -> Vec<Row> {
    let token = bound_token();
    let with = |jwk: &str| made(&dpop_header(&HOLDER).set("jwk", jwk), &dpop_claims(&token));
    let public = HOLDER.members.clone();
    let (start, y) = public.split_once(r#""y":""#).unwrap();
    let y = y.trim_end_matches('"');
    let off_curve = format!(r#"{{{start}"y":"{}"}}"#, b64([7; 32]));
    let unusable = [
        ("jwk is null", "null".to_owned()),
        ("jwk is a text", quoted("es")),
        ("jwk is a list", format!("[{}]", HOLDER.jwk(""))),
        ("jwk is empty", "{}".into()),
        ("jwk with its private part", HOLDER.jwk(r#""d":"AAAA""#)),
        ("jwk with a null private part", HOLDER.jwk(r#""d":null"#)),
        ("jwk with a secret", HOLDER.jwk(r#""k":"AAAA""#)),
        ("jwk is a secret", r#"{"kty":"oct","k":"AAAA"}"#.into()),
        ("jwk without y", format!("{{{}}}", start.trim_end_matches(','))),
        ("jwk of P-521", public.replace("P-256", "P-521").join_braces()),
        ("jwk of secp256k1", public.replace("P-256", "secp256k1").join_braces()),
        ("jwk of P-384 with short coordinates", public.replace("P-256", "P-384").join_braces()),
        ("jwk with padding", format!(r#"{{{start}"y":"{y}="}}"#)),
        ("jwk with a short y", format!(r#"{{{start}"y":"{}"}}"#, b64([7; 31]))),
        ("jwk whose members are numbers", r#"{"kty":"EC","crv":"P-256","x":1,"y":2}"#.into()),
        ("jwk for another algorithm", HOLDER.jwk(r#""alg":"ES384""#)),
        // Who sends a proof chooses how long its verification takes.
        (
            "jwk is an RSA key of 8192 bits",
            format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, b64([0xff; 1024])),
        ),
        (
            "jwk is an RSA key of a long exponent",
            format!(r#"{{"kty":"RSA","n":"{}","e":"AQAAAAE"}}"#, b64([0xff; 256])),
        ),
    ];
    let mut rows: Vec<Row> =
        unusable.iter().map(|(name, jwk)| proof(*name, &token, with(jwk), ProofFault::Key)).collect();
    let of_stranger = STRANGER.sign(Signs::ES256, dpop_header(&STRANGER).text(), dpop_claims(&token).text());
    let forged = STRANGER.sign(Signs::ES256, dpop_header(&HOLDER).text(), dpop_claims(&token).text());
    let hmac = jsonwebtoken::EncodingKey::from_secret(&HOLDER.public);
    let hmac_header = dpop_header(&HOLDER).set("alg", r#""HS256""#);
    let hmac = maker::signed(&hmac, Signs::HS256, hmac_header.text(), dpop_claims(&token).text());
    let rsa = dpop_header(&RSA).set("alg", r#""RS256""#);
    let rsa = RSA.sign(Signs::RS256, rsa.text(), dpop_claims(&token).text());
    let of_issuer = ES256.sign(Signs::ES256, dpop_header(&ES256).text(), dpop_claims(&token).text());
    let signature = || ProofFault::Token(TokenFault::Signature);
    rows.extend([
        proof("jwk off the curve", &token, with(&off_curve), ProofFault::Key),
        proof("another's signature", &token, dpop(forged), signature()),
        proof("another key", &token, dpop(of_stranger), ProofFault::AnotherKey),
        proof("the issuer's key", &token, dpop(of_issuer), ProofFault::AnotherKey),
        proof("another kind of key", &token, dpop(rsa), ProofFault::AnotherKey),
        proof("HMAC with the key", &token, dpop(hmac), ProofFault::Token(TokenFault::SharedSecret)),
    ]);
    rows
}

/// Members as an object.
trait JoinBraces {
    fn join_braces(self) -> String;
}

impl JoinBraces for String {
    fn join_braces(self) -> String {
        format!("{{{self}}}")
    }
}

fn claim(name: &str, wanted: &'static str) -> ProofFault {
    TokenFault::Claim { name: name.into(), wanted }.into()
}

/// What a proof says.
fn said() -> Vec<Row> {
    let token = bound_token();
    let text = "a text that is not empty";
    let seconds = "whole seconds since 1970";
    let at = |seconds: i64| seconds.to_string();
    let long = quoted(&"j".repeat(257));
    let mut table: Vec<(&str, String, ProofFault)> = vec![
        ("jti", r#""""#.into(), claim("jti", text)),
        ("jti", "7".into(), claim("jti", text)),
        ("jti", long, claim("jti", "short enough")),
        ("htm", "7".into(), claim("htm", text)),
        ("htu", "[]".into(), claim("htu", text)),
        ("ath", "{}".into(), claim("ath", text)),
        ("iat", at(NOW - 61), ProofFault::Stale { ago_s: 61, window_s: 60 }),
        ("iat", at(NOW - 3600), ProofFault::Stale { ago_s: 3600, window_s: 60 }),
        ("iat", "0".into(), ProofFault::Stale { ago_s: NOW, window_s: 60 }),
        ("iat", at(NOW + 6), TokenFault::NotYetValid { claim: "iat", in_s: 6 }.into()),
        ("iat", at(NOW + 3600), TokenFault::NotYetValid { claim: "iat", in_s: 3600 }.into()),
        ("iat", quoted(&at(NOW)), claim("iat", seconds)),
        ("iat", format!("{NOW}.5"), claim("iat", seconds)),
        ("iat", "null".into(), claim("iat", seconds)),
        ("iat", "-1".into(), claim("iat", seconds)),
        ("iat", "9223372036854775807".into(), claim("iat", seconds)),
    ];
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        table.push((name, String::new(), TokenFault::Missing { name: name.into() }.into()));
    }
    for method in ["GET", "post", "POST ", "Post", "POST,GET", "*"] {
        table.push(("htm", quoted(method), ProofFault::Method));
    }
    let urls = [
        "https://mcp.acme.example/ledger/mcp?x=1",
        "https://mcp.acme.example/ledger/mcp?",
        "https://mcp.acme.example/ledger/mcp#x",
        "https://mcp.acme.example/ledger/mcp/",
        "https://mcp.acme.example/ledger/MCP",
        "https://mcp.acme.example/ledger",
        "https://mcp.acme.example/mail/mcp",
        "https://mcp.acme.example/ledger%2Fmcp",
        "https://mcp.acme.example:8443/ledger/mcp",
        "https://mcp.acme.example.evil.example/ledger/mcp",
        "https://u:p@mcp.acme.example/ledger/mcp",
        "https://evil.example/ledger/mcp",
        "http://mcp.acme.example/ledger/mcp",
        "//mcp.acme.example/ledger/mcp",
        "/ledger/mcp",
        "mcp",
        "*",
    ];
    table.extend(urls.into_iter().map(|url| ("htu", quoted(url), ProofFault::Url)));
    let another = sha256(&token_of(&header(), &claims()));
    let hex: String = "00".repeat(32);
    let padded = format!("{}=", sha256(&token));
    for ath in [another, hex, padded, sha256(""), token[..43].to_owned()] {
        table.push(("ath", quoted(&ath), ProofFault::AccessToken));
    }
    table
        .into_iter()
        .enumerate()
        .map(|(at, (name, raw, fault))| {
            let claims = dpop_claims(&token);
            let claims = if raw.is_empty() { claims.cut(name) } else { claims.set(name, &raw) };
            proof(format!("{at}, {name} is {raw}"), &token, made(&dpop_header(&HOLDER), &claims), fault)
        })
        .collect()
}

/// A bearer token needs no proof, but a bad one is still bad.
fn free() -> Vec<Row> {
    let token = token_of(&header(), &claims());
    let header = dpop_header(&HOLDER);
    let stale = dpop_claims(&token).set("iat", &(NOW - 61).to_string());
    let method = dpop_claims(&token).set("htm", r#""GET""#);
    vec![
        proof(
            "a stale one for a free token",
            &token,
            made(&header, &stale),
            ProofFault::Stale { ago_s: 61, window_s: 60 },
        ),
        proof("for another request, a free token", &token, made(&header, &method), ProofFault::Method),
        proof("for another token, a free token", &token, good_proof("x"), ProofFault::AccessToken),
        proof(
            "none at all, a free token",
            &token,
            dpop("x.y.z"),
            TokenFault::Base64 { part: Part::Header }.into(),
        ),
    ]
}

/// A good proof, brought with another request than it was made for.
fn requests() -> Vec<Row> {
    let token = bound_token();
    let for_request = |method: &str, url: &str| {
        let proof = HOLDER.sign(Signs::ES256, dpop_header(&HOLDER).text(), dpop_claims(&token).text());
        Proof::Dpop { proof: Token::new(proof), method: method.into(), url: url.into() }
    };
    vec![
        proof("another method asked", &token, for_request("DELETE", URL), ProofFault::Method),
        proof("no method asked", &token, for_request("", URL), ProofFault::Method),
        proof(
            "another host asked",
            &token,
            for_request("POST", "https://evil.example/ledger/mcp"),
            ProofFault::Url,
        ),
        proof("no URL asked", &token, for_request("POST", ""), ProofFault::Url),
        proof("no URL but a path asked", &token, for_request("POST", "/ledger/mcp"), ProofFault::Url),
    ]
}

fn bindings() -> Vec<Row> {
    let jkt = HOLDER.thumbprint();
    let certified = token_of(&header(), &claims().set("cnf", r#"{"x5t#S256":"Y2VydA"}"#));
    let both =
        token_of(&header(), &claims().set("cnf", &format!(r#"{{"jkt":"{jkt}","x5t#S256":"Y2VydA"}}"#)));
    let of_agent = agent_token(|claims| claims.set("cnf", &format!(r#"{{"jkt":"{jkt}"}}"#)));
    let missing = || Unauthenticated::BindingMissing;
    let refused = |fault| Unauthenticated::Proof(fault);
    let unattested = || refused(ProofFault::NotAttested { caller: "gw".into() });
    let another = || refused(ProofFault::AnotherKey);
    let (key, cert) =
        (|text: &str| Some(Proof::Key(text.into())), |text: &str| Some(Proof::Certificate(text.into())));
    let rows = [
        ("a bound token, no proof", bound_token(), None, false, missing()),
        ("a bound token, no proof, a caller that may attest", bound_token(), None, true, missing()),
        ("a bound token of an agent, no proof", of_agent, None, false, missing()),
        ("a certificate's token, no proof", certified.clone(), None, true, missing()),
        ("a token bound twice, no proof", both.clone(), None, true, missing()),
        ("a key said by a caller that may not", bound_token(), key(&jkt), false, unattested()),
        (
            "a certificate said by a caller that may not",
            certified.clone(),
            cert("Y2VydA"),
            false,
            unattested(),
        ),
        ("another key said", bound_token(), key(&STRANGER.thumbprint()), true, another()),
        ("an empty key said", bound_token(), key(""), true, another()),
        ("a key in other letters", bound_token(), key(&jkt.to_lowercase()), true, another()),
        ("another certificate said", certified.clone(), cert("b3RoZXI"), true, another()),
        ("a certificate for a key's token", bound_token(), cert(&jkt), true, missing()),
        ("a key for a certificate's token", certified.clone(), key("Y2VydA"), true, missing()),
        (
            "a proof for a certificate's token",
            certified.clone(),
            Some(good_proof(&certified)),
            true,
            missing(),
        ),
        ("a proof for a token bound twice", both.clone(), Some(good_proof(&both)), true, another()),
        ("a key for a token bound twice", both.clone(), key(&jkt), true, another()),
        ("a certificate for a token bound twice", both, cert("Y2VydA"), true, another()),
    ];
    rows.into_iter()
        .map(|(name, token, proof, attests, want)| {
            let roles = if attests { vec![Role::Authorize, Role::Attest] } else { vec![Role::Authorize] };
            request(format!("binding: {name}"), Brings { proof, roles, ..brings(token) }, want)
        })
        .collect()
}

/// Proofs that were accepted once.
fn used() -> Vec<Row> {
    let token = bound_token();
    let first = Brings { proof: Some(good_proof(&token)), ..brings(token.clone()) };
    let again = |name: &str, proof_claims: &Object, now_s: i64| {
        let proof = made(&dpop_header(&HOLDER), proof_claims);
        let brings = Brings { proof: Some(proof), now_s, ..brings(token.clone()) };
        let before = Some(first.clone());
        Row { name: name.into(), brings, want: Unauthenticated::Proof(ProofFault::Replayed), before }
    };
    let claims = dpop_claims(&token);
    let mut same =
        request("the very proof again", first.clone(), Unauthenticated::Proof(ProofFault::Replayed));
    same.before = Some(first.clone());
    let to_the_last = Brings { now_s: NOW + 60, ..first.clone() };
    let mut late = request("the very proof again, to its last second", to_the_last, same.want.clone());
    late.before = Some(first.clone());
    vec![
        same,
        late,
        again("its jti in a new proof", &claims.set("iat", &(NOW + 1).to_string()), NOW + 1),
        again("its jti in a new proof, later", &claims.set("iat", &(NOW + 60).to_string()), NOW + 60),
    ]
}
