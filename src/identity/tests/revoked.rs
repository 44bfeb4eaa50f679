//! Tokens that were taken back: which an entry means, and lists that nobody can mean.
//! Never a list that is read in part.

use std::sync::Arc;

use super::super::*;
use super::maker::{Object, quoted};
use super::world::{
    ANA, AS, BOT, Brings, NOW, PLANNER, World, agent_token, brings, claims, header, signed, svid_claims,
    svid_header,
};

fn list(entries: &str) -> Result<Revoked, RevokedFault> {
    let trusts = |issuer: &str| issuer != "https://stranger.example";
    Revoked::parse(format!(r#"{{"revoked":[{entries}]}}"#).as_bytes(), trusts)
}

/// What becomes of a request under a list.
fn under(entries: &str, brings: &Brings) -> Result<(), Unauthenticated> {
    let mut world = World::new();
    world.trust = world.trust.without(Arc::new(list(entries).unwrap()));
    world.authenticate(brings).map(|_| ())
}

fn revoked(which: Which, by: &'static str) -> Result<(), Unauthenticated> {
    Err(Unauthenticated::Token { which, fault: TokenFault::Revoked { by } })
}

fn token(change: impl Fn(Object) -> Object) -> Brings {
    brings(signed(&header(), &change(claims())))
}

#[test]
fn an_entry_means_the_tokens_of_its_issuer_with_its_claim() {
    let good = || token(|claims| claims.set("jti", r#""t-1""#).set("sid", r#""s-1""#));
    let of = |claim: &str, value: &str| format!(r#"{{"issuer":"{AS}","{claim}":"{value}"}}"#);
    for (claim, value) in [("jti", "t-1"), ("sub", ANA), ("client_id", "close-bot"), ("sid", "s-1")] {
        assert_eq!(under(&of(claim, value), &good()), revoked(Which::Subject, claim), "{claim}");
        assert_eq!(under(&of(claim, "other"), &good()), Ok(()), "{claim} of another");
        let elsewhere = format!(r#"{{"issuer":"https://other.example","{claim}":"{value}"}}"#);
        assert_eq!(under(&elsewhere, &good()), Ok(()), "{claim} of another issuer");
    }
    assert_eq!(under(&format!(r#"{{"issuer":"{AS}"}}"#), &good()), revoked(Which::Subject, "iss"));
    let acted = token(|claims| claims.set("act", r#"{"sub":"mailer","act":{"sub":"close-bot"}}"#));
    for actor in ["mailer", "close-bot"] {
        assert_eq!(under(&of("act", actor), &acted), revoked(Which::Subject, "act"), "{actor}");
    }
    assert_eq!(under(&of("act", "mailer"), &good()), Ok(()));
    // Whoever acts, by whatever claim the token names them.
    assert_eq!(under(&of("act", "close-bot"), &good()), revoked(Which::Subject, "act"), "the client acts");
    let both = token(|claims| claims.set("azp", r#""portal""#));
    for client in ["close-bot", "portal"] {
        assert_eq!(under(&of("client_id", client), &both), revoked(Which::Subject, "client_id"), "{client}");
    }
    let svid = brings(signed(&svid_header(), &svid_claims()));
    for claim in ["sub", "client_id", "act"] {
        let entry = format!(r#"{{"issuer":"acme.example","{claim}":"{BOT}"}}"#);
        assert_eq!(under(&entry, &svid), revoked(Which::Subject, claim), "{claim}");
    }
}

#[test]
fn an_instant_means_those_that_were_issued_before_and_those_that_do_not_say() {
    let before = |instant: i64| format!(r#"{{"issuer":"{AS}","sub":"{ANA}","issued_before":{instant}}}"#);
    let issued = NOW - 60;
    assert_eq!(under(&before(issued), &token(|claims| claims)), Ok(()));
    assert_eq!(under(&before(issued + 1), &token(|claims| claims)), revoked(Which::Subject, "sub"));
    // Of two entries about the same, both count.
    for both in [
        format!("{},{}", before(issued + 1), before(issued)),
        format!("{},{}", before(0), before(NOW + 1_000_000)),
        format!(r#"{{"issuer":"{AS}","sub":"{ANA}"}},{}"#, before(0)),
    ] {
        assert_eq!(under(&both, &token(|claims| claims)), revoked(Which::Subject, "sub"), "{both}");
    }
    let svid = brings(signed(&svid_header(), &svid_claims()));
    let all = |instant: i64| format!(r#"{{"issuer":"acme.example","issued_before":{instant}}}"#);
    assert_eq!(under(&all(0), &svid), revoked(Which::Subject, "iss"), "it does not say when it was issued");
}

#[test]
fn the_actors_token_can_be_revoked_too() {
    let planner = signed(&svid_header(), &svid_claims().set("sub", &quoted(PLANNER)));
    let both = Brings { actor: Some(planner), ..token(|claims| claims.set("client_id", r#""somebody""#)) };
    assert_eq!(under("", &both), Ok(()));
    let entry = format!(r#"{{"issuer":"acme.example","sub":"{PLANNER}"}}"#);
    assert_eq!(under(&entry, &both), revoked(Which::Actor, "sub"));
}

#[test]
fn a_token_that_is_known_is_refused_as_soon_as_it_is_revoked() {
    let mut world = World::new();
    let own = brings(agent_token(|claims| claims));
    assert!(world.authenticate(&own).is_ok());
    let before = world.trust.remembered_len();
    world.trust = world.trust.without(Arc::new(Revoked::unread()));
    let fault = TokenFault::NoRevocations;
    let unread = Unauthenticated::Token { which: Which::Subject, fault };
    assert_eq!(world.authenticate(&own).unwrap_err(), unread);
    assert_eq!(world.trust.remembered_len(), before, "what was verified stays so");
    world.trust = world.trust.without(Arc::default());
    assert!(world.authenticate(&own).is_ok());
}

#[test]
fn a_list_is_read_whole_or_not_at_all() {
    assert_eq!(list("").map(|list| list.is_empty()), Ok(true));
    let good = r#"{"issuer":"i","jti":"a"},{"issuer":"i","jti":"b"},{"issuer":"i"},{"issuer":"k","sub":"a","issued_before":5}"#;
    assert_eq!(list(good).map(|list| list.len()), Ok(4));
    for bad in [
        r#"{"jti":"a"}"#,
        r#"{"issuer":"","jti":"a"}"#,
        r#"{"issuer":7,"jti":"a"}"#,
        r#"{"issuer":"i","jti":""}"#,
        r#"{"issuer":"i","jti":7}"#,
        r#"{"issuer":"i","jti":["a"]}"#,
        r#"{"issuer":"i","jti":"a","sub":"b"}"#,
        r#"{"issuer":"i","issued_before":"yesterday"}"#,
        r#"{"issuer":"i","issued_before":1.5}"#,
        r#"{"issuer":"i","issued_before":-5}"#,
        r#"{"issuer":"i","issued_before":1795256200000}"#,
        r#"{"issuer":"i","JTI":"a"}"#,
        r#"{"issuer":"i","token":"a.b.c"}"#,
        r#""a.b.c""#,
        "null",
    ] {
        let fault = list(&format!(r#"{{"issuer":"i","jti":"a"}},{bad}"#)).unwrap_err();
        assert_eq!(fault, RevokedFault::Entry { entry: 2 }, "{bad}");
        assert!(!fault.to_string().contains("a.b.c"));
    }
    let stranger = list(r#"{"issuer":"i"},{"issuer":"https://stranger.example","jti":"a"}"#);
    assert_eq!(stranger, Err(RevokedFault::Issuer { entry: 2 }));
    for bad in ["[]", "7", "{}", r#"{"revoked":{}}"#, r#"{"revoked":[],"more":1}"#] {
        assert_eq!(Revoked::parse(bad.as_bytes(), |_| true), Err(RevokedFault::Form), "{bad}");
    }
    for bad in [
        "",
        "{\"revoked\":[]} {}",
        "{\"revoked\":[{\"issuer\":\"i\",\"issuer\":\"j\"}]}",
        "{\"revoked\":[[[[[[1]]]]]]}",
    ] {
        assert!(matches!(Revoked::parse(bad.as_bytes(), |_| true), Err(RevokedFault::Json(_))), "{bad}");
    }
    let long = " ".repeat(REVOKED_BYTES_MAX + 1);
    assert!(matches!(Revoked::parse(long.as_bytes(), |_| true), Err(RevokedFault::Json(_))));
}
