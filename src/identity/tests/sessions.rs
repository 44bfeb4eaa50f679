//! Sessions: whom a name is bound to, until when, and how many there are.
//! Never one party in the session of another.

use super::super::session::SESSION_IDLE_S;
use super::super::*;
use super::maker::{HOLDER, STRANGER, quoted};
use super::world::{ANA, Brings, NOW, World, brings, claims, header, signed};

fn caller(name: &str) -> Caller {
    Caller {
        name: name.into(),
        roles: Role::ALL.into(),
        servers: Servers::All,
        agentless: true,
        authenticated: true,
    }
}

fn said(person: &str, agent: Option<&str>) -> Principal {
    let claim = Claim {
        principal: Uid::new("Human", person),
        actor: agent.map(|id| Uid::new("Agent", id)),
        earlier_actors: vec![],
    };
    let brings = Brings { subject: None, claim: Some(claim), roles: Role::ALL.into(), ..brings("") };
    World::new().authenticate(&brings).unwrap()
}

/// Ana through `close-bot`, with a token that is bound to a key.
fn shown(key: Option<&str>) -> Principal {
    let token = match key {
        None => signed(&header(), &claims()),
        Some(jkt) => signed(&header(), &claims().set("cnf", &format!(r#"{{"jkt":{}}}"#, quoted(jkt)))),
    };
    let roles = vec![Role::Authorize, Role::Attest];
    let proof = key.map(|jkt| Proof::Key(jkt.into()));
    World::new().authenticate(&Brings { proof, roles, ..brings(token) }).unwrap()
}

#[test]
fn a_session_goes_on_for_who_began_it_and_for_nobody_else() {
    let (sessions, gateway) = (Sessions::new(10), caller("gw"));
    let holder = shown(Some(&HOLDER.thumbprint()));
    assert!(sessions.is_empty());
    assert_eq!(sessions.enter(&gateway, "s", &holder, NOW), Ok(()));
    assert_eq!(sessions.enter(&gateway, "s", &holder, NOW + 1), Ok(()));
    // A new token of the same parties and the same key is the same party.
    assert_eq!(sessions.enter(&gateway, "s", &shown(Some(&HOLDER.thumbprint())), NOW + 2), Ok(()));
    for (other, what) in [
        (shown(Some(&STRANGER.thumbprint())), "another key"),
        (shown(None), "no key"),
        (said(ANA, Some("close-bot")), "an assertion of the same parties"),
        (said("eve", Some("close-bot")), "another person"),
        (said(ANA, Some("mailer")), "another agent"),
        (said(ANA, None), "no agent"),
    ] {
        assert_eq!(sessions.enter(&gateway, "s", &other, NOW + 3), Err(SessionFault::Another), "{what}");
    }
    // Who was refused has changed nothing.
    assert_eq!(sessions.enter(&gateway, "s", &holder, NOW + 4), Ok(()));
    assert_eq!(sessions.len(), 1);
}

#[test]
fn the_same_parties_without_keys_differ_by_subject_and_by_actor() {
    let (sessions, gateway) = (Sessions::new(10), caller("gw"));
    assert_eq!(sessions.enter(&gateway, "s", &said(ANA, Some("close-bot")), NOW), Ok(()));
    for other in [said("eve", Some("close-bot")), said(ANA, Some("mailer")), said(ANA, None)] {
        assert_eq!(sessions.enter(&gateway, "s", &other, NOW), Err(SessionFault::Another));
    }
    // An agent is not a person of the same name, nor an agent that acts for itself the one that acts for Ana.
    assert_eq!(sessions.enter(&gateway, "t", &said("x", None), NOW), Ok(()));
    assert_eq!(sessions.enter(&gateway, "t", &said("x", Some("x")), NOW), Err(SessionFault::Another));
}

#[test]
fn the_name_of_a_session_is_its_callers_own() {
    let sessions = Sessions::new(10);
    assert_eq!(sessions.enter(&caller("gw"), "s", &said(ANA, None), NOW), Ok(()));
    assert_eq!(sessions.enter(&caller("other"), "s", &said("eve", None), NOW), Ok(()));
    assert_eq!(sessions.enter(&caller("gw"), "S", &said("eve", None), NOW), Ok(()));
    assert_eq!(sessions.enter(&caller("gw"), "", &said("eve", None), NOW), Ok(()));
    assert_eq!(sessions.len(), 4);
    // Ending it ends no other caller's.
    assert!(sessions.end(&caller("gw"), "s", NOW));
    assert_eq!(sessions.enter(&caller("other"), "s", &said("eve", None), NOW), Ok(()));
}

#[test]
fn a_session_that_ended_is_not_begun_again() {
    let (sessions, gateway, ana) = (Sessions::new(10), caller("gw"), said(ANA, None));
    assert!(!sessions.end(&gateway, "s", NOW), "it was never begun");
    assert_eq!(sessions.enter(&gateway, "s", &ana, NOW), Ok(()));
    assert!(sessions.end(&gateway, "s", NOW + 1));
    assert!(!sessions.end(&gateway, "s", NOW + 1), "it had ended");
    for (party, after) in [(&ana, 2), (&said("eve", None), 2), (&ana, 1 + SESSION_IDLE_S)] {
        assert_eq!(sessions.enter(&gateway, "s", party, NOW + after), Err(SessionFault::Ended));
    }
    // The name is free again only when an idle session would have been forgotten, too.
    assert_eq!(sessions.enter(&gateway, "s", &ana, NOW + 2 + SESSION_IDLE_S), Ok(()));
}

#[test]
fn a_session_is_remembered_from_its_last_use() {
    let (sessions, gateway) = (Sessions::new(10), caller("gw"));
    let (ana, eve) = (said(ANA, None), said("eve", None));
    assert_eq!(sessions.enter(&gateway, "s", &ana, NOW), Ok(()));
    assert_eq!(sessions.enter(&gateway, "s", &ana, NOW + 100), Ok(()));
    // A clock that goes back, and a request of somebody else, move nothing.
    assert_eq!(sessions.enter(&gateway, "s", &ana, NOW - 100), Ok(()));
    let last = NOW + 100 + SESSION_IDLE_S;
    assert_eq!(sessions.enter(&gateway, "s", &eve, last), Err(SessionFault::Another));
    assert!(!sessions.end(&gateway, "s", last + 1));
    assert_eq!(sessions.enter(&gateway, "s", &eve, last + 1), Ok(()));
    assert_eq!(sessions.len(), 1);
}

#[test]
fn no_more_sessions_are_kept_than_may_be_and_none_in_use_is_forgotten() {
    let (sessions, gateway, ana) = (Sessions::new(3), caller("gw"), said(ANA, None));
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(sessions.enter(&gateway, name, &ana, NOW + i64::try_from(at).unwrap()), Ok(()));
    }
    assert_eq!(sessions.enter(&gateway, "d", &ana, NOW + 3), Err(SessionFault::Full));
    assert_eq!((sessions.enter(&gateway, "a", &ana, NOW + 3), sessions.len()), (Ok(()), 3));
    // `b` is forgotten a second before `c`, and `a` was used last.
    let later = NOW + 2 + SESSION_IDLE_S;
    assert_eq!(sessions.enter(&gateway, "d", &ana, later), Ok(()));
    assert_eq!(sessions.enter(&gateway, "e", &ana, later), Err(SessionFault::Full));
    let eve = said("eve", None);
    for name in ["a", "c"] {
        assert_eq!(sessions.enter(&gateway, name, &eve, later), Err(SessionFault::Another), "{name}");
    }
    assert_eq!(Sessions::new(0).enter(&gateway, "a", &ana, NOW), Err(SessionFault::Full));
}

#[test]
fn a_session_is_bound_to_an_agent_on_its_own_too() {
    let (sessions, gateway) = (Sessions::new(10), caller("gw"));
    let claim = |actor| Claim { principal: Uid::new("Agent", "close-bot"), actor, earlier_actors: vec![] };
    let of = |claim| {
        let brings = Brings { subject: None, claim: Some(claim), roles: Role::ALL.into(), ..brings("") };
        World::new().authenticate(&brings).unwrap()
    };
    assert_eq!(sessions.enter(&gateway, "s", &of(claim(None)), NOW), Ok(()));
    // Who acts for it is another party; who names it as its own actor is not.
    let mailer = of(claim(Some(Uid::new("Agent", "mailer"))));
    assert_eq!(sessions.enter(&gateway, "s", &mailer, NOW), Err(SessionFault::Another));
    let itself = of(claim(Some(Uid::new("Agent", "close-bot"))));
    assert_eq!(sessions.enter(&gateway, "s", &itself, NOW), Ok(()));
}

#[test]
fn nobody_takes_the_places_of_all() {
    use super::super::session::SESSIONS_OF_ONE_MAX;
    let (sessions, gateway) = (Sessions::new(10 * SESSIONS_OF_ONE_MAX), caller("gw"));
    let (ana, eve) = (said(ANA, None), said("eve", Some("bot")));
    for at in 0..SESSIONS_OF_ONE_MAX {
        assert_eq!(sessions.enter(&gateway, &at.to_string(), &eve, NOW), Ok(()));
    }
    let begins = |who: &Principal, at| sessions.enter(&gateway, "another", who, at);
    assert_eq!(begins(&eve, NOW), Err(SessionFault::FullOfOne));
    assert_eq!(begins(&said("eve", Some("other")), NOW), Err(SessionFault::FullOfOne), "whoever acts");
    assert_eq!(sessions.enter(&gateway, "0", &eve, NOW + 1), Ok(()), "what was begun goes on");
    assert_eq!(begins(&ana, NOW), Ok(()));
    assert_eq!(sessions.enter(&caller("other"), "0", &eve, NOW), Ok(()), "callers are apart");
    // All but the one that was used a second later are forgotten.
    let later = NOW + SESSION_IDLE_S + 1;
    assert_eq!(sessions.enter(&gateway, "new", &eve, later), Ok(()));
    assert_eq!(sessions.len(), 2);
}
