mod callers;
mod good;
mod hostile;
mod key_sets;
mod maker;
mod memory;
mod mutations;
mod revoked;
mod sessions;
mod world;

use super::*;

struct Nobody;

impl Directory for Nobody {
    fn agent(&self, _name: &AgentName) -> Option<&Uid> {
        None
    }

    fn knows(&self, _uid: &Uid) -> bool {
        false
    }
}

fn caller(roles: &[Role]) -> Caller {
    Caller {
        name: "gw".into(),
        roles: roles.iter().copied().collect(),
        servers: Servers::Named(BTreeSet::from(["crm".to_owned()])),
        agentless: false,
        authenticated: true,
    }
}

#[test]
fn a_claim_is_believed_only_from_a_caller_that_may_assert() {
    let claim = Claim { principal: Uid::new("Human", "ana"), actor: None, earlier_actors: vec![] };
    let authenticate = |caller: &Caller, claim: Option<&Claim>| {
        let credentials = &Credentials::default();
        let asks = Asks { caller, claim, credentials, server_audience: None, own_audience: None, now_s: 0 };
        authenticate(&Trust::nobody(), &Nobody, &Proofs::default(), &asks)
    };
    let refused = authenticate(&caller(&[Role::Authorize]), Some(&claim));
    assert_eq!(refused, Err(Unauthenticated::MayNotAssert { caller: "gw".into() }));
    let proven = authenticate(&caller(&[Role::Authorize, Role::Assert]), Some(&claim)).unwrap();
    assert_eq!((proven.subject(), proven.actor()), (&claim.principal, None));
    assert_eq!(authenticate(&caller(&Role::ALL), None), Err(Unauthenticated::NoPrincipal));
}

#[test]
fn a_caller_enforces_the_servers_it_was_given_and_no_others() {
    assert!(caller(&[]).enforces("crm"));
    assert!(!caller(&[]).enforces("mail"));
}
