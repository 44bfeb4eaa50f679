//! The token of a task: what was granted comes out of it again, and nothing that was not signed here.

use super::*;
use crate::identity::{Algorithm, Keys, SigningKey, Token, TokenFault, Use};
use crate::task::{TASK_TOKEN, TaskTokenFault, read, sign};

const US: &str = "https://pdp.acme.example";

fn key() -> SigningKey {
    SigningKey::from_pkcs8(Algorithm::Es256, &SigningKey::generate(Algorithm::Es256).unwrap()).unwrap()
}

fn published(key: &SigningKey) -> Keys {
    let set = format!(r#"{{"keys":[{}]}}"#, key.jwk());
    Keys::parse(set.as_bytes(), Use::Signatures, &[Algorithm::Es256]).unwrap()
}

#[test]
fn a_grant_comes_out_of_its_token_as_it_went_in() {
    let ours = key();
    let keys = published(&ours);
    let wide = start(Asked { key: None, ..asked() }).unwrap();
    let narrow = start(Asked { scope: scope(), calls_max: Some(20), ..asked() }).unwrap();
    let handed_on = part(&narrow, Asked { calls_max: Some(3), ttl_s: 60, ..asked() }, Some(20)).unwrap();
    for grant in [wide, narrow, handed_on] {
        let token = Token::new(sign(&grant, US, &ours).unwrap());
        assert_eq!(read(&token, US, &keys), Ok(grant));
    }
}

#[test]
fn the_deepest_chain_of_actors_fits_into_a_token() {
    let ours = key();
    let ceiling = Ceiling { ttl_max_s: 900, depth_max: DEPTH_MAX };
    let mut grant = start(Asked { scope: scope(), ..asked() }).unwrap();
    for at in 0..DEPTH_MAX {
        let agent = Uid::new("Agent", format!("agent-{at}"));
        let asked = Asked { key: Some(format!("key-{at}")), ttl_s: 60, ..asked() };
        let id = TaskId(u128::try_from(at).unwrap() + 2);
        grant = grant.delegate(id, agent, asked, ceiling, None, NOW).unwrap();
    }
    let token = Token::new(sign(&grant, US, &ours).unwrap());
    assert_eq!(read(&token, US, &published(&ours)), Ok(grant));
}

#[test]
fn the_registered_claims_say_what_others_can_read() {
    let grant = start(asked()).unwrap();
    let once = part(&grant, Asked { ttl_s: 60, ..asked() }, None).unwrap();
    let token = sign(&once, US, &key()).unwrap();
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
    let (ours, grant) = (key(), start(asked()).unwrap());
    let keys = published(&ours);
    let of = |issuer: &str, key: &SigningKey| Token::new(sign(&grant, issuer, key).unwrap());
    let stranger = read(&of(US, &key()), US, &keys);
    assert_eq!(stranger, Err(TaskTokenFault::Token(TokenFault::UnknownKey)));
    assert_eq!(read(&of("https://other.example", &ours), US, &keys), Err(TaskTokenFault::Foreign));
    let signed =
        |typ: &str, claims: &str| read(&Token::new(ours.sign(typ, claims.as_bytes()).unwrap()), US, &keys);
    let wrong = TokenFault::WrongType { expected: format!("`{TASK_TOKEN}`") };
    assert_eq!(signed("at+jwt", "{}"), Err(TaskTokenFault::Token(wrong)));
    for claims in ["{}", r#"{"iss":"https://pdp.acme.example"}"#] {
        assert_eq!(signed(TASK_TOKEN, claims), Err(TaskTokenFault::Foreign), "{claims}");
    }
    assert_eq!(
        read(&Token::new("no.token.here"), US, &keys).unwrap_err().to_string(),
        "has a header not written in base64url without padding"
    );
}
