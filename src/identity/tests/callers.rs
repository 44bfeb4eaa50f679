//! Callers that are known by a signed token of their own.
//! Never by a token that somebody else could be sent.

use super::super::*;
use super::maker::{Object, STRANGER, quoted};
use super::world::{
    AGENTS, ANA, AS, BOT, NOW, PDP, SERVER, World, agent_token, claims, header, signed, svid_claims,
    svid_header,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

fn callers() -> Callers {
    let known = |issuer: &str, subject: &str, client: Option<&str>| KnownBy {
        subject: Some(Subject {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            client: client.map(str::to_owned),
        }),
        ..KnownBy::default()
    };
    let caller = |name: &str| Caller { name: name.into(), ..super::caller(&[Role::Authorize]) };
    Callers::default()
        .with_operator("op.er.ator")
        .with(known(AGENTS, "close-bot", None), caller("gateway"))
        .with(known(AS, ANA, Some("ops-cli")), caller("ana"))
        .with(known("acme.example", BOT, None), caller("sidecar"))
}

fn who_at(token: &str, peer: &Peer, now_s: i64) -> Result<String, UnknownCaller> {
    let world = World::new();
    let callers = callers();
    let known = callers.identify(Some(&format!("Bearer {token}")), peer, &world.trust, now_s)?;
    Ok(known.name.to_string())
}

fn who(token: &str) -> Result<String, UnknownCaller> {
    who_at(token, &Peer::elsewhere(), NOW)
}

fn own(change: impl Fn(Object) -> Object) -> String {
    agent_token(change)
}

/// A token of Ana's for the program by which she calls.
fn of_ana(change: impl Fn(Object) -> Object) -> String {
    signed(&header(), &change(claims().set("client_id", r#""ops-cli""#)))
}

#[test]
fn a_persons_token_is_a_callers_only_for_the_client_that_it_is_configured_with() {
    // What acts for Ana has tokens of hers too, and must not become her.
    assert_eq!(who(&signed(&header(), &claims())), Err(UnknownCaller::AnotherClient));
    assert_eq!(
        who(&of_ana(|claims| claims.set("act", r#"{"sub":"mailer"}"#))),
        Err(UnknownCaller::NotItsOwn)
    );
    let subject = Subject { issuer: AS.into(), subject: ANA.into(), client: None };
    let unpinned = KnownBy { subject: Some(subject), ..KnownBy::default() };
    let callers = Callers::default().with(unpinned, super::caller(&[Role::Admin]));
    let authorization = format!("Bearer {}", of_ana(|claims| claims));
    let found = callers.identify(Some(&authorization), &Peer::here(), &World::new().trust, NOW).cloned();
    assert_eq!(found, Err(UnknownCaller::ClientUnnamed));
}

#[test]
fn a_caller_is_known_by_the_issuer_and_subject_of_its_own_token() {
    assert_eq!(who(&own(|claims| claims)).unwrap(), "gateway");
    assert_eq!(who(&of_ana(|claims| claims)).unwrap(), "ana");
    assert_eq!(who(&signed(&svid_header(), &svid_claims())).unwrap(), "sidecar");
    // A static token may look like one.
    assert_eq!(who("op.er.ator").unwrap(), OPERATOR);
}

#[test]
fn a_token_that_is_no_good_is_refused_with_its_fault() {
    let refused = |token: &str, fault| assert_eq!(who(token), Err(UnknownCaller::Token(fault)));
    let forged = STRANGER.sign(jsonwebtoken::Algorithm::ES256, header().text(), claims().text());
    refused(&forged, TokenFault::Signature);
    refused(&own(|claims| claims.set("iss", r#""https://nobody.example""#)), TokenFault::UnknownIssuer);
    refused(&own(|claims| claims.set("exp", &(NOW - 100).to_string())), TokenFault::Expired { ago_s: 100 });
    // A token for an MCP server is for that server to receive, and not for a caller to show.
    for audience in [SERVER, super::world::AS_AUDIENCE] {
        let token = signed(&header(), &claims().set("aud", &quoted(audience)));
        refused(&token, TokenFault::Audience { expected: vec![PDP.into()] });
    }
    assert_eq!(who("a.b"), Err(UnknownCaller::UnknownToken));
    assert_eq!(who("a.b.c.d"), Err(UnknownCaller::UnknownToken));
    refused("a.b.c", TokenFault::Base64 { part: Part::Header });
    assert_eq!(who(&own(|claims| claims.set("sub", r#""mailer""#))), Err(UnknownCaller::UnknownSubject));
    // The same subject of another issuer is somebody else.
    let namesake = signed(&header(), &claims().set("sub", r#""close-bot""#));
    assert_eq!(who(&namesake), Err(UnknownCaller::UnknownSubject));
}

#[test]
fn a_token_of_somebody_who_acts_for_another_is_no_callers() {
    assert_eq!(who(&own(|claims| claims.set("act", r#"{"sub":"mailer"}"#))), Err(UnknownCaller::NotItsOwn));
    let grant = signed(&header().set("typ", r#""oauth-id-jag+jwt""#), &claims());
    assert_eq!(who(&grant), Err(UnknownCaller::NotItsOwn));
}

#[test]
fn a_bound_token_needs_the_certificate_that_it_is_bound_to() {
    let shows = |thumbprint| {
        Peer::elsewhere().with_certificate(Certificate { uris: vec![], dns_names: vec![], thumbprint })
    };
    let x5t = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    let bound = own(|claims| claims.set("cnf", &format!(r#"{{"x5t#S256":"{x5t}"}}"#)));
    assert_eq!(who_at(&bound, &shows([7; 32]), NOW).unwrap(), "gateway");
    assert_eq!(who_at(&bound, &shows([8; 32]), NOW), Err(UnknownCaller::Bound));
    assert_eq!(who(&bound), Err(UnknownCaller::Bound));
    for cnf in [r#"{"jkt":"AAAA"}"#.to_owned(), format!(r#"{{"jkt":"AAAA","x5t#S256":"{x5t}"}}"#)] {
        let bound = own(|claims| claims.set("cnf", &cnf));
        assert_eq!(who_at(&bound, &shows([7; 32]), NOW), Err(UnknownCaller::Bound), "{cnf}");
    }
}

#[test]
fn time_and_revocation_count_at_each_call() {
    let token = own(|claims| claims);
    let (mut world, callers, peer) = (World::new(), callers(), Peer::elsewhere());
    let authorization = format!("bearer {token}");
    let at =
        |world: &World, now_s| callers.identify(Some(&authorization), &peer, &world.trust, now_s).cloned();
    assert!(at(&world, NOW).is_ok());
    assert_eq!(at(&world, NOW + 400), Err(UnknownCaller::Token(TokenFault::Expired { ago_s: 100 })));
    let entry = format!(r#"{{"revoked":[{{"issuer":"{AGENTS}","sub":"close-bot"}}]}}"#);
    world.trust = world.trust.without(Arc::new(Revoked::parse(entry.as_bytes(), |_| true).unwrap()));
    assert_eq!(at(&world, NOW), Err(UnknownCaller::Token(TokenFault::Revoked { by: "sub" })));
}

#[test]
fn where_nobody_is_known_by_one_a_signed_token_is_only_a_wrong_token() {
    let callers = Callers::default().with_operator("op");
    let authorization = format!("Bearer {}", own(|claims| claims));
    let trust = World::new().trust;
    let found = callers.identify(Some(&authorization), &Peer::here(), &trust, NOW).cloned();
    assert_eq!(found, Err(UnknownCaller::UnknownToken));
}
