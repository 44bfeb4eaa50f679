//! Tokens that were verified before: known by their bytes, within bounds, under the trust that verified them.
//! Never past their time, and never under other keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::trust::REMEMBERED_MAX;
use super::super::*;
use super::maker::{STRANGER, quoted};
use super::world::{AS, Brings, NOW, World, brings, claims, config, header, jwks, key_sets, signed};

fn verified(trust: &Trust, token: &str) -> Result<Arc<Verified>, TokenFault> {
    trust.verify(&Token::new(token))
}

#[test]
fn a_token_is_verified_once_and_then_known() {
    let world = World::new();
    let (token, other) = (signed(&header(), &claims()), signed(&header(), &claims()));
    assert_ne!(token, other, "ECDSA signs one text in many ways");
    let first = verified(&world.trust, &token).unwrap();
    assert!(Arc::ptr_eq(&first, &verified(&world.trust, &token).unwrap()), "not verified again");
    let of_other = verified(&world.trust, &other).unwrap();
    assert_eq!(first, of_other);
    assert!(!Arc::ptr_eq(&first, &of_other), "another text is another token");
    assert_eq!(world.trust.remembered_len(), 2);
}

#[test]
fn a_token_that_was_refused_is_not_remembered() {
    let world = World::new();
    let forged = STRANGER.sign(jsonwebtoken::Algorithm::ES256, header().text(), claims().text());
    for _ in 0..2 {
        assert_eq!(verified(&world.trust, &forged), Err(TokenFault::Signature));
    }
    assert_eq!(world.trust.remembered_len(), 0);
}

#[test]
fn time_and_audience_are_checked_of_a_token_that_is_known() {
    let world = World::new();
    let token = signed(&header(), &claims());
    let at = |seconds: i64| world.authenticate(&Brings { now_s: NOW + seconds, ..brings(token.clone()) });
    let fault = |fault| Err(Unauthenticated::Token { which: Which::Subject, fault });
    assert!(at(0).is_ok());
    assert!(at(329).is_ok());
    assert_eq!(at(330), fault(TokenFault::Expired { ago_s: 30 }));
    assert_eq!(at(-91), fault(TokenFault::NotYetValid { claim: "iat", in_s: 31 }));
    assert!(at(0).is_ok(), "it was the clock's fault");
    // Known for one server is not accepted for another.
    let for_server = signed(&header(), &claims().set("aud", &quoted(super::world::SERVER)));
    let known = verified(&world.trust, &for_server).unwrap();
    let expected = |server| world.trust.audiences(&known, server).collect::<Vec<_>>();
    assert!(known.check_audience(&expected(Some(super::world::SERVER))).is_ok());
    assert!(known.check_audience(&expected(Some("https://mcp.acme.example/mail"))).is_err());
    assert!(known.check_audience(&expected(None)).is_err());
    // Nor is a bound token accepted without its proof because it is known with it.
    let bound = super::world::bound_token();
    let proof = Some(super::world::good_proof(&bound));
    assert!(world.authenticate(&Brings { proof, ..brings(bound.clone()) }).is_ok());
    let missing = Err(Unauthenticated::BindingMissing);
    assert_eq!(world.authenticate(&brings(bound)), missing);
}

#[test]
fn a_token_known_under_one_trust_is_unknown_to_another() {
    let token = signed(&header(), &claims());
    let trust = |sets: &BTreeMap<Arc<str>, KeySet>| Trust::new(Arc::new(config()), sets);
    let before = trust(&key_sets());
    assert!(verified(&before, &token).is_ok());
    // The issuer's keys are taken away, replaced, renamed.
    let mut without = key_sets();
    without.remove(AS);
    assert_eq!(verified(&trust(&without), &token), Err(TokenFault::NoKeys));
    for (set, fault) in [
        (jwks(&[STRANGER.jwk(r#""kid":"es""#)]), TokenFault::Signature),
        (jwks(&[super::maker::ES256.jwk(r#""kid":"new""#)]), TokenFault::UnknownKey),
    ] {
        let keys = Keys::parse(set.as_bytes(), Use::Signatures, &Algorithm::ALL).unwrap();
        let mut sets = key_sets();
        sets.insert(AS.into(), KeySet { keys: Arc::new(keys), digest: [7; 32] });
        let after = trust(&sets);
        assert_eq!(verified(&after, &token), Err(fault));
        assert_ne!(after.revision(), before.revision());
    }
    // Or nobody trusts the issuer any more.
    let mut nobody = config();
    nobody.issuers.clear();
    let nobody = Trust::new(Arc::new(nobody), &key_sets());
    assert_eq!(verified(&nobody, &token), Err(TokenFault::UnknownIssuer));
    assert!(verified(&before, &token).is_ok(), "who still holds the old trust still knows it");
    assert_eq!(verified(&Trust::nobody(), &token), Err(TokenFault::UnknownIssuer));
    assert!(Trust::nobody().trusts_nobody() && !before.trusts_nobody());
}

#[test]
fn the_memory_of_tokens_is_bounded() {
    let world = World::new();
    for at in 0..20_000 {
        let token = signed(&header(), &claims().set("jti", &quoted(&at.to_string())));
        verified(&world.trust, &token).unwrap();
        assert!(world.trust.remembered_len() <= REMEMBERED_MAX, "after {at}");
    }
    assert!(world.trust.remembered_len() > REMEMBERED_MAX / 2, "and it is used");
}

#[test]
fn a_proof_that_was_made_before_the_start_may_have_been_used_before() {
    let bound = super::world::bound_token();
    let with = || Brings { proof: Some(super::world::good_proof(&bound)), ..brings(bound.clone()) };
    let mut world = World::new();
    world.proofs = Proofs::since(NOW + 5);
    let later = Brings { now_s: NOW + 7, ..with() };
    let fault = Unauthenticated::Proof(ProofFault::BeforeStart { ago_s: 2 });
    assert_eq!(world.authenticate(&later).unwrap_err(), fault);
    world.proofs = Proofs::since(NOW);
    assert!(world.authenticate(&later).is_ok());
}
