//! Hostile JWT-SVIDs: other domains, other keys, names that are no workload's.
//! Never of a domain that the tests trust and a key that it publishes for JWT-SVIDs, but for one thing.

use jsonwebtoken::Algorithm as Signs;

use super::super::super::{Algorithm, TokenFault};
use super::super::maker::{ED, ES384, Object, STRANGER, quoted};
use super::super::world::{AS, AS_AUDIENCE, NOW, PDP, SERVER, signed, svid_claims, svid_header};
use super::{Row, token};

pub(super) fn rows() -> Vec<Row> {
    [headers(), names(), claims()].into_iter().flatten().collect()
}

fn svid(name: impl Into<String>, header: &Object, claims: &Object, fault: TokenFault) -> Row {
    token(format!("JWT-SVID: {}", name.into()), signed(header, claims), fault)
}

fn headers() -> Vec<Row> {
    let typ = || TokenFault::WrongType { expected: "`JWT`, `JOSE`, or none".into() };
    let mut rows: Vec<Row> = ["at+jwt", "oauth-id-jag+jwt", "wit+jwt", "dpop+jwt", "", "JWT "]
        .into_iter()
        .map(|name| {
            svid(format!("typ {name:?}"), &svid_header().set("typ", &quoted(name)), &svid_claims(), typ())
        })
        .collect();
    for (kid, what) in
        [("es", "an issuer's"), ("x509", "of another use"), ("nobody", "unknown"), ("", "empty")]
    {
        let header = svid_header().set("kid", &quoted(kid));
        rows.push(svid(format!("kid {what}"), &header, &svid_claims(), TokenFault::UnknownKey));
    }
    let eddsa = svid_header().set("alg", r#""EdDSA""#).set("kid", r#""svid-ed""#);
    let eddsa = ED.sign(Signs::EdDSA, eddsa.text(), svid_claims().text());
    let wrong = |algorithm| TokenFault::WrongAlgorithm { algorithm };
    rows.push(token("JWT-SVID: EdDSA", eddsa, wrong(Algorithm::EdDsa)));
    let es384 = svid_header().set("alg", r#""ES384""#);
    let es384 = ES384.sign(Signs::ES384, es384.text(), svid_claims().text());
    rows.push(token("JWT-SVID: ES384 with a key of ES256", es384, wrong(Algorithm::Es384)));
    let forged = STRANGER.sign(Signs::ES256, svid_header().text(), svid_claims().text());
    rows.push(token("JWT-SVID: forged", forged, TokenFault::Signature));
    rows
}

fn names() -> Vec<Row> {
    let ids = [
        "spiffe://evil.example/agent/close-bot",
        "spiffe://acme.example.evil.example/agent/close-bot",
        "spiffe://sub.acme.example/agent/close-bot",
        "spiffe://acme/agent/close-bot",
        "spiffe://acme.example",
        "spiffe://acme.example/",
        "spiffe://acme.example/agent/",
        "spiffe://acme.example//agent",
        "spiffe://acme.example/agent/../close-bot",
        "spiffe://acme.example/agent/%63lose-bot",
        "spiffe://acme.example:443/agent/close-bot",
        "spiffe://u@acme.example/agent/close-bot",
        "spiffe://acme.example/agent/close-bot?x",
        "spiffe://acme.example/agent/close-bot#x",
        "spiffe://acme.exаmple/agent/close-bot",
        " spiffe://acme.example/agent/close-bot",
        "spiffe:/acme.example/agent/close-bot",
        "https://acme.example/agent/close-bot",
        "close-bot",
        "acme.example",
    ];
    ids.into_iter()
        .map(|id| {
            let claims = svid_claims().set("sub", &quoted(id));
            svid(format!("sub {id:?}"), &svid_header(), &claims, TokenFault::UnknownIssuer)
        })
        .collect()
}

fn claims() -> Vec<Row> {
    let lacks = |name: &str| TokenFault::Missing { name: name.into() };
    let expected = || vec![PDP.into(), "spiffe-clients".into(), SERVER.into()];
    let rows = [
        ("no sub", svid_claims().cut("sub"), lacks("sub")),
        ("no aud", svid_claims().cut("aud"), lacks("aud")),
        ("no audience", svid_claims().set("aud", "[]"), lacks("aud")),
        ("no exp", svid_claims().cut("exp"), lacks("exp")),
        (
            "another audience",
            svid_claims().set("aud", &quoted(AS_AUDIENCE)),
            TokenFault::Audience { expected: expected() },
        ),
        (
            "the trust domain as the audience",
            svid_claims().set("aud", r#""acme.example""#),
            TokenFault::Audience { expected: expected() },
        ),
        ("expired", svid_claims().set("exp", &(NOW - 30).to_string()), TokenFault::Expired { ago_s: 30 }),
        (
            "not yet",
            svid_claims().set("nbf", &(NOW + 31).to_string()),
            TokenFault::NotYetValid { claim: "nbf", in_s: 31 },
        ),
        (
            "a trusted issuer's name",
            svid_claims().set("iss", &quoted(AS)),
            TokenFault::WrongType { expected: "`at+jwt`, or `oauth-id-jag+jwt`".into() },
        ),
        (
            "a name that is no text",
            svid_claims().set("sub", "7"),
            TokenFault::Claim { name: "sub".into(), wanted: "a text that is not empty" },
        ),
    ];
    rows.into_iter().map(|(name, claims, fault)| svid(name, &svid_header(), &claims, fault)).collect()
}
