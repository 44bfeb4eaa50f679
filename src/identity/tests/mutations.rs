//! Random changes to a good token, and texts that are none.
//! Never accepted, never a panic.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::jwt::{self, KeyInHeader};
use super::super::*;
use super::maker::{ED, ES384, RSA, b64, quoted};
use super::world::{Brings, World, bound_token, brings, claims, dpop, good_proof, header, signed};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// A good token of each kind of key.
static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    use jsonwebtoken::Algorithm as Signs;
    let with = |alg: &str, kid: &str| header().set("alg", &quoted(alg)).set("kid", &quoted(kid)).text();
    vec![
        signed(&header(), &claims()),
        ES384.sign(Signs::ES384, with("ES384", "es-384"), claims().text()),
        RSA.sign(Signs::RS256, with("RS256", "rs"), claims().text()),
        RSA.sign(Signs::PS256, with("PS256", "ps"), claims().text()),
        ED.sign(Signs::EdDSA, with("EdDSA", "ed"), claims().text()),
    ]
});

static BOUND: LazyLock<String> = LazyLock::new(bound_token);

/// A bound token and its proof, as texts.
static PROVEN: LazyLock<(String, String)> = LazyLock::new(|| {
    let Proof::Dpop { proof, .. } = good_proof(&BOUND) else { unreachable!() };
    (BOUND.clone(), proof.expose().to_owned())
});

/// One byte replaced, put in, or taken away.
#[derive(Debug, Clone, Copy)]
enum Change {
    Replace(u8),
    Insert(u8),
    Delete,
    Exchange,
}

/// Letters that tokens are written in, and some others.
fn letter() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.".to_vec()),
        1 => 0_u8..128,
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        letter().prop_map(Change::Replace),
        letter().prop_map(Change::Insert),
        Just(Change::Delete),
        Just(Change::Exchange),
    ]
}

/// The text with a change; none when it is the same text.
fn changed(text: &str, at: prop::sample::Index, change: Change) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let place = at.index(bytes.len());
    match change {
        Change::Replace(letter) => bytes[place] = letter,
        Change::Insert(letter) => bytes.insert(place, letter),
        Change::Delete => _ = bytes.remove(place),
        Change::Exchange => bytes.swap(place, (place + 1) % text.len()),
    }
    let changed = String::from_utf8(bytes).unwrap();
    (changed != text).then_some(changed)
}

#[test]
fn what_is_changed_was_good() {
    for token in GOOD.iter() {
        assert!(WORLD.authenticate(&brings(token.clone())).is_ok());
    }
    let (token, proof) = PROVEN.clone();
    assert!(World::new().authenticate(&Brings { proof: Some(dpop(proof)), ..brings(token) }).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_with_one_byte_changed_is_never_accepted(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in change(),
    ) {
        let good = which.get(&GOOD);
        if let Some(token) = changed(good, at, change) {
            let got = WORLD.authenticate(&brings(token));
            prop_assert!(matches!(got, Err(Unauthenticated::Token { .. })), "{got:?}");
        }
    }

    #[test]
    fn a_proof_with_one_byte_changed_is_never_accepted(at in any::<prop::sample::Index>(), change in change()) {
        let (token, proof) = &*PROVEN;
        if let Some(proof) = changed(proof, at, change) {
            let got = WORLD.authenticate(&Brings { proof: Some(dpop(proof)), ..brings(token.clone()) });
            prop_assert!(matches!(got, Err(Unauthenticated::Proof(_))), "{got:?}");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_a_token_by_chance(text in "[ -~]{0,200}", header in "[ -~]{0,60}", claims in "[ -~]{0,60}") {
        let parts = format!("{}.{}.{}", b64(&header), b64(&claims), b64(&text));
        let known = format!("{}.{}.{}", b64(super::world::header().text()), b64(&claims), b64(&text));
        for text in [text, parts, known] {
            prop_assert!(WORLD.trust.verify(&Token::new(text.as_str())).is_err());
            prop_assert!(jwt::parse(&text, KeyInHeader::Required).is_err());
            let brings = Brings { proof: Some(dpop(text)), ..brings(BOUND.clone()) };
            prop_assert!(WORLD.authenticate(&brings).is_err());
        }
    }
}
