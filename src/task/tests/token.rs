//! The token of a task: what was granted comes out of it again, and nothing that was not signed here.

use std::sync::Arc;

use super::*;
use crate::identity::{Algorithm, Assurance, Description, OwnIssuer, SigningKey, Token, TokenFault};
use crate::task::{
    ACCESS_TOKEN, Asking, Basis, For, Lent, TASK_TOKEN, TaskTokenFault, keep, kept, read, sign,
};
use crate::value::{Extension, Value};

const US: &str = "https://pdp.acme.example";

fn issuer(name: &str) -> OwnIssuer {
    let der = SigningKey::generate(Algorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::Es256, &der).unwrap();
    OwnIssuer::new(name, Arc::new(key), []).unwrap()
}

/// A grant that rests on everything that a decision can depend on.
fn lent(grant: Grant) -> Lent {
    let token = Value::record([
        ("issuer", Value::String("https://idp.acme.example".into())),
        ("amr", Value::Set(vec![Value::String("hwk".into())])),
        ("issued", Value::Extension(Extension::Datetime, "2026-11-21T10:00:00Z".into())),
        ("age", Value::Long(7)),
        ("fresh", Value::Bool(true)),
    ]);
    let described = Description {
        parents: vec![Uid::new("Team", "support")],
        attributes: [("active".into(), Value::Bool(true))].into_iter().collect(),
    };
    let basis = Basis {
        revision: "sha256:ab".into(),
        at_ms: NOW * 1000 + 1,
        asking: Asking::Delegate,
        ttl_s: 60,
        assurance: Assurance::Verified,
        actor_assurance: Some(Assurance::Asserted),
        token: Some(token),
        described: Some(described),
        caller: "gw".into(),
        session: Some("s-1".into()),
        parent: Some(Value::Entity(Uid::new("Task", "t"))),
    };
    Lent { grant, basis }
}

#[test]
fn a_grant_comes_out_of_its_token_as_it_went_in() {
    let ours = issuer(US);
    let wide = start(Asked { key: None, ..asked() }).unwrap();
    let narrow = start(Asked { scope: scope(), calls_max: Some(20), ..asked() }).unwrap();
    let handed_on = part(&narrow, Asked { calls_max: Some(3), ttl_s: 60, ..asked() }, Some(20)).unwrap();
    for grant in [wide, narrow, handed_on] {
        let lent = lent(grant);
        let token = Token::new(sign(&lent, For::Us, &ours).unwrap());
        let read = read(&token, &ours).unwrap();
        assert_eq!(Lent { grant: read.grant, basis: read.basis.unwrap() }, lent);
        assert_eq!((read.audience, read.kid.as_str()), (None, ours.signing().kid()));
        assert_eq!(kept(keep(&lent, &ours).unwrap().get()), Some(lent), "in the state too");
    }
}

#[test]
fn a_token_for_an_mcp_server_says_what_was_granted_and_not_why() {
    let ours = issuer(US);
    let lent = lent(start(asked()).unwrap());
    let to = For::Server { audience: "https://mcp.acme.example/crm", token_id: "at-1" };
    let token = sign(&lent, to, &ours).unwrap();
    assert!(!token.is_empty());
    let read = read(&Token::new(token), &ours).unwrap();
    assert_eq!((read.grant, read.basis), (lent.grant, None));
    assert_eq!(read.audience.as_deref(), Some("https://mcp.acme.example/crm"));
    // A token for a server that calls itself as we do would be taken for a task's.
    let confused =
        sign(&self::lent(start(asked()).unwrap()), For::Server { audience: US, token_id: "x" }, &ours);
    let confused = Token::new(confused.unwrap());
    assert_eq!(crate::task::read(&confused, &ours), Err(TaskTokenFault::Foreign));
}

#[test]
fn the_deepest_chain_of_actors_fits_into_a_token() {
    let ours = issuer(US);
    let ceiling = Ceiling { ttl_max_s: 900, depth_max: DEPTH_MAX };
    let mut grant = start(Asked { scope: scope(), ..asked() }).unwrap();
    for at in 0..DEPTH_MAX {
        let agent = Uid::new("Agent", format!("agent-{at}"));
        let asked = Asked { key: Some(format!("key-{at}")), ttl_s: 60, ..asked() };
        let id = TaskId(u128::try_from(at).unwrap() + 2);
        grant = grant.delegate(id, agent, asked, ceiling, None, NOW).unwrap();
    }
    let token = Token::new(sign(&lent(grant.clone()), For::Us, &ours).unwrap());
    assert_eq!(read(&token, &ours).map(|read| read.grant), Ok(grant));
}

#[test]
fn the_registered_claims_say_what_others_can_read() {
    let grant = start(asked()).unwrap();
    let once = part(&grant, Asked { ttl_s: 60, ..asked() }, None).unwrap();
    let token = sign(&lent(once.clone()), For::Us, &issuer(US)).unwrap();
    let part = |at| {
        use base64::Engine as _;
        let bytes =
            base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!((&header["typ"], &header["alg"]), (&TASK_TOKEN.into(), &"ES256".into()));
    assert_eq!((&claims["iss"], &claims["aud"]), (&US.into(), &US.into()));
    assert_eq!((&claims["sub"], &claims["txn"]), (&"ana".into(), &once.id.to_string().into()));
    assert_eq!(claims["act"], serde_json::json!({"sub": "bot", "act": {"sub": "planner"}}));
    assert_eq!(claims["cnf"], serde_json::json!({"jkt": "of-the-part"}));
    assert_eq!((&claims["iat"], &claims["exp"]), (&(NOW + 10).into(), &(NOW + 70).into()));
}

#[test]
fn a_token_of_another_key_server_or_kind_grants_nothing() {
    let (ours, lent) = (issuer(US), lent(start(asked()).unwrap()));
    let of = |issuer: &OwnIssuer| Token::new(sign(&lent, For::Us, issuer).unwrap());
    let stranger = read(&of(&issuer(US)), &ours);
    assert_eq!(stranger, Err(TaskTokenFault::Token(TokenFault::UnknownKey)));
    let signed = |typ: &str, claims: &str| {
        read(&Token::new(ours.signing().sign(typ, claims.as_bytes()).unwrap()), &ours)
    };
    let wrong = TokenFault::WrongType { expected: format!("`{ACCESS_TOKEN}`") };
    assert_eq!(signed("jwt", "{}"), Err(TaskTokenFault::Token(wrong)));
    for (typ, claims) in
        [(TASK_TOKEN, "{}"), (ACCESS_TOKEN, "{}"), (TASK_TOKEN, r#"{"iss":"https://pdp.acme.example"}"#)]
    {
        assert_eq!(signed(typ, claims), Err(TaskTokenFault::Foreign), "{claims}");
    }
    // The same claims under the other type, and those of another issuer with our key.
    let claims = keep(&lent, &ours).unwrap();
    assert_eq!(signed(ACCESS_TOKEN, claims.get()), Err(TaskTokenFault::Foreign));
    let theirs = keep(&lent, &issuer("https://other.example")).unwrap();
    assert_eq!(signed(TASK_TOKEN, theirs.get()), Err(TaskTokenFault::Foreign));
    assert_eq!(
        read(&Token::new("no.token.here"), &ours).unwrap_err().to_string(),
        "has a header not written in base64url without padding"
    );
}
