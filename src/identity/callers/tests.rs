//! Who is known by what, and what is refused although something else would be known.

use std::collections::BTreeSet;

use super::super::UnixUser;
use super::*;

const GW: &str = "spiffe://acme.example/gw";

fn caller(name: &str) -> Caller {
    let roles = BTreeSet::from([Role::Authorize]);
    Caller { name: name.into(), roles, servers: Servers::All, agentless: false, authenticated: true }
}

fn callers() -> Callers {
    let id = |id: &str| KnownBy { spiffe_id: Some(id.to_owned()), ..KnownBy::default() };
    let dns = |name: &str| KnownBy { dns_name: Some(name.to_owned()), ..KnownBy::default() };
    Callers::new([(token_digest("t-gw"), caller("gw"))], Some(caller(LOCAL)))
        .with_operator("t-op")
        .with(KnownBy { dns_name: Some("gw.acme.example".into()), ..id(GW) }, caller("gw-svid"))
        .with(dns("mail.acme.example"), caller("mail"))
        .with(KnownBy { unix_user: Some(1000), ..KnownBy::default() }, caller("sidecar"))
}

fn who(authorization: Option<&str>, peer: &Peer) -> Result<String, UnknownCaller> {
    callers().identify(authorization, peer, &Trust::nobody(), 0).map(|caller| caller.name.to_string())
}

/// A peer of this machine with a certificate: being here must not help it.
fn shows(uris: &[&str], dns_names: &[&str]) -> Peer {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Peer::here().with_certificate(Certificate {
        uris: owned(uris),
        dns_names: owned(dns_names),
        thumbprint: [0; 32],
    })
}

#[test]
fn a_caller_is_known_by_its_token() {
    assert_eq!(who(Some("Bearer t-gw"), &Peer::elsewhere()).unwrap(), "gw");
    assert_eq!(who(Some("bearer t-op"), &Peer::here()).unwrap(), OPERATOR);
    assert_eq!(callers().by_token("t-op").unwrap().roles.len(), Role::ALL.len());
}

#[test]
fn a_caller_that_shows_nothing_is_known_only_on_this_machine() {
    assert_eq!(who(None, &Peer::here()).unwrap(), LOCAL);
    assert_eq!(who(None, &Peer::elsewhere()), Err(UnknownCaller::NoProof));
    assert_eq!(
        Callers::default().identify(None, &Peer::here(), &Trust::nobody(), 0),
        Err(UnknownCaller::NoProof)
    );
}

#[test]
fn a_wrong_token_is_refused_whatever_else_is_proven() {
    let known = shows(&[GW], &[]).with_user(UnixUser { uid: 1000, gid: 1000 });
    for peer in [Peer::here(), known] {
        assert_eq!(who(Some("Bearer nobody"), &peer), Err(UnknownCaller::UnknownToken));
        assert_eq!(who(Some("Bearer "), &peer), Err(UnknownCaller::UnknownToken));
        assert_eq!(who(Some("Basic dDp0"), &peer), Err(UnknownCaller::NotBearer));
        assert_eq!(who(Some("t-gw"), &peer), Err(UnknownCaller::NotBearer));
    }
}

#[test]
fn a_token_goes_before_a_certificate() {
    assert_eq!(who(Some("Bearer t-gw"), &shows(&[GW], &[])).unwrap(), "gw");
}

#[test]
fn a_certificate_is_known_by_its_spiffe_id_or_a_dns_name() {
    assert_eq!(who(None, &shows(&[GW], &[])).unwrap(), "gw-svid");
    assert_eq!(who(None, &shows(&[], &["mail.acme.example"])).unwrap(), "mail");
    assert_eq!(who(None, &shows(&[GW], &["gw.acme.example", "other"])).unwrap(), "gw-svid");
    assert_eq!(who(None, &shows(&["https://x/"], &["mail.acme.example"])).unwrap(), "mail");
}

#[test]
fn a_certificate_that_nobody_has_is_refused_even_on_this_machine() {
    let unknown = Err(UnknownCaller::UnknownCertificate);
    for peer in [
        shows(&[], &[]),
        shows(&["spiffe://acme.example/gw/"], &[]),
        shows(&["SPIFFE://acme.example/gw"], &[]),
        shows(&["spiffe://evil.example/gw"], &["*.acme.example"]),
        shows(&[], &[GW]),
        shows(&["mail.acme.example"], &[]),
        shows(&[], &["nobody"]).with_user(UnixUser { uid: 1000, gid: 0 }),
    ] {
        assert_eq!(who(None, &peer), unknown, "{peer:?}");
    }
}

#[test]
fn a_certificate_with_several_identities_is_refused() {
    assert_eq!(who(None, &shows(&[GW], &["mail.acme.example"])), Err(UnknownCaller::AmbiguousCertificate));
    for further in ["spiffe://acme.example/other", GW, "https://x/"] {
        assert_eq!(who(None, &shows(&[GW, further], &[])), Err(UnknownCaller::SeveralUris));
        assert_eq!(
            who(None, &shows(&[further, "Spiffe://acme.example/x"], &["mail.acme.example"])),
            Err(UnknownCaller::SeveralUris)
        );
    }
}

#[test]
fn a_user_is_known_by_its_number_and_another_is_the_local_caller() {
    let user = |uid| Peer::here().with_user(UnixUser { uid, gid: 1000 });
    assert_eq!(who(None, &user(1000)).unwrap(), "sidecar");
    assert_eq!(who(None, &user(1001)).unwrap(), LOCAL);
    let without = Callers::default().with(KnownBy { unix_user: Some(7), ..KnownBy::default() }, caller("x"));
    assert_eq!(without.identify(None, &user(8), &Trust::nobody(), 0), Err(UnknownCaller::NoProof));
    assert!(without.identify(None, &user(7), &Trust::nobody(), 0).is_ok());
}
