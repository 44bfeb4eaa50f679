//! Good tokens that name the wrong parties: nobody registered, two parties in one place, a person for an agent.
//! Never a token that is no good by itself; those are in the other tables.

use super::super::super::{Claim, ProofFault, Role, Unauthenticated, Which};
use super::super::maker::quoted;
use super::super::world::{
    ANA, Brings, CANARY, PLANNER, agent_token, bound_token, brings, claims, good_proof, header, plain_token,
    signed, svid_claims, svid_header,
};
use super::{Row, request};
use crate::value::Uid;

pub(super) fn rows() -> Vec<Row> {
    [unregistered(), actors(), said(), alone()].into_iter().flatten().collect()
}

fn good() -> String {
    signed(&header(), &claims())
}

fn svid_of(id: &str) -> String {
    signed(&svid_header(), &svid_claims().set("sub", &quoted(id)))
}

fn unregistered() -> Vec<Row> {
    let agent = |which| Unauthenticated::UnregisteredAgent { which };
    let subject = || agent(Which::Subject);
    let acts = [
        (r#"{"sub":"ghost-cAnArY7Qx9"}"#, "unknown"),
        (r#"{"sub":"Close-Bot"}"#, "in other letters"),
        (r#"{"sub":"close-bot "}"#, "with a space"),
        (r#"{"sub":"spiffe://acme.example/agent/ghost"}"#, "a workload"),
        (r#"{"sub":"spiffe://evil.example/agent/close-bot"}"#, "of another domain"),
        (r#"{"sub":"spiffe://acme.example/agent/close-bot/"}"#, "no SPIFFE ID"),
        (r#"{"sub":"close-bot","act":{"sub":"ghost-cAnArY7Qx9"}}"#, "behind a known one"),
        (r#"{"sub":"close-bot","act":{"sub":"mailer","act":{"sub":"ghost"}}}"#, "behind two"),
        (r#"{"sub":"ghost","act":{"sub":"close-bot"}}"#, "before a known one"),
    ];
    let mut rows: Vec<Row> = acts
        .into_iter()
        .map(|(act, what)| {
            request(
                format!("unregistered actor: {what}"),
                brings(signed(&header(), &claims().set("act", act))),
                subject(),
            )
        })
        .collect();
    let ghost = quoted(&format!("ghost-{CANARY}"));
    let client = signed(&header(), &claims().set("client_id", &ghost));
    let own = signed(&header(), &claims().set("client_id", &ghost).set("sub", &ghost));
    let person = signed(&header(), &claims().set("sub", &quoted(&format!("eve-{CANARY}"))));
    let of_agents = agent_token(|claims| claims.set("azp", &ghost));
    let mut actor = brings(good());
    actor.actor = Some(svid_of("spiffe://acme.example/agent/ghost"));
    rows.extend([
        request("unregistered client", brings(client), subject()),
        request("unregistered client on its own", brings(own), subject()),
        request("unregistered agent of the agents' issuer", brings(of_agents), subject()),
        request("unregistered workload", brings(svid_of("spiffe://acme.example/agent/ghost")), subject()),
        request("unregistered actor's token", actor, agent(Which::Actor)),
        request("unregistered person", brings(person), Unauthenticated::UnregisteredPerson),
        request(
            "an agent's token that names none",
            brings(agent_token(|claims| claims.cut("azp"))),
            Unauthenticated::NamesNobody { which: Which::Subject },
        ),
    ]);
    rows
}

fn actors() -> Vec<Row> {
    let conflict = || Unauthenticated::Conflict { party: "actor" };
    let with = |subject: String, actor: String| Brings { actor: Some(actor), ..brings(subject) };
    let acted = |act: &str| signed(&header(), &claims().set("act", act));
    let chained = agent_token(|claims| claims.set("act", r#"{"sub":"mailer"}"#));
    let bound_subject = bound_token();
    let bound = agent_token(|claims| claims.set("cnf", r#"{"jkt":"AAAA"}"#));
    vec![
        request("an actor's token of a person", with(good(), good()), Unauthenticated::ActorNotAnAgent),
        request(
            "an actor's token of a guest",
            with(good(), plain_token(|c| c)),
            Unauthenticated::ActorNotAnAgent,
        ),
        request(
            "an actor's token with an actor of its own",
            with(signed(&header(), &claims().set("act", r#"{"sub":"close-bot"}"#)), chained),
            Unauthenticated::ActorActedFor,
        ),
        request(
            "an actor's token that names nobody",
            with(good(), agent_token(|claims| claims.cut("azp"))),
            Unauthenticated::NamesNobody { which: Which::Actor },
        ),
        request(
            "act and the actor's token",
            with(acted(r#"{"sub":"close-bot"}"#), svid_of(PLANNER)),
            conflict(),
        ),
        request("the client and the actor's token", with(good(), svid_of(PLANNER)), conflict()),
        request(
            "an earlier actor and the actor's token",
            with(acted(&format!(r#"{{"sub":"close-bot","act":{{"sub":"{PLANNER}"}}}}"#)), svid_of(PLANNER)),
            conflict(),
        ),
        request("a bound token of the actor", with(good(), bound.clone()), Unauthenticated::ActorBound),
        request(
            "a bound token of the actor, with the subject's proof",
            Brings { proof: Some(good_proof(&bound_subject)), ..with(bound_subject.clone(), bound) },
            Unauthenticated::ActorBound,
        ),
    ]
}

fn claim(principal: Uid, actor: Option<&str>, earlier: &[&str]) -> Claim {
    Claim {
        principal,
        actor: actor.map(|id| Uid::new("Agent", id)),
        earlier_actors: earlier.iter().map(|id| Uid::new("Agent", *id)).collect(),
    }
}

/// What is said, beside what is shown. The right to assert gives none to contradict.
fn said() -> Vec<Row> {
    let ana = || Uid::new("Human", ANA);
    let conflict = |party| Unauthenticated::Conflict { party };
    let chained = signed(&header(), &claims().set("act", r#"{"sub":"close-bot","act":{"sub":"mailer"}}"#));
    let list = "list of earlier actors";
    let rows = [
        ("another person", good(), claim(Uid::new("Human", "eve"), None, &[]), conflict("principal")),
        ("another type", good(), claim(Uid::new("Agent", ANA), None, &[]), conflict("principal")),
        ("another agent", good(), claim(ana(), Some("mailer"), &[]), conflict("actor")),
        (
            "the agent as the principal",
            good(),
            claim(Uid::new("Agent", "close-bot"), None, &[]),
            conflict("principal"),
        ),
        (
            "other earlier actors",
            chained.clone(),
            claim(ana(), Some("close-bot"), &["planner"]),
            conflict(list),
        ),
        (
            "more earlier actors",
            chained,
            claim(ana(), Some("close-bot"), &["mailer", "planner"]),
            conflict(list),
        ),
    ];
    let mut found = Vec::new();
    for (name, token, claim, want) in rows {
        for roles in [vec![Role::Authorize], Role::ALL.to_vec()] {
            let name = format!("said: {name}, by a caller with {} roles", roles.len());
            let brings = Brings { claim: Some(claim.clone()), roles, ..brings(token.clone()) };
            found.push(request(name, brings, want.clone()));
        }
    }
    let eva = Uid::new("Human", format!("eva-{CANARY}@acme.example"));
    let brings = Brings { claim: Some(claim(eva, Some("close-bot"), &[])), ..brings(plain_token(|c| c)) };
    let want = Unauthenticated::MayNotAssert { caller: "gw".into() };
    found.push(request("an actor only said, by a caller that may not", brings, want));
    found
}

/// Credentials without a subject's token, and no credentials.
fn alone() -> Vec<Row> {
    let nothing = || Brings { subject: None, ..brings("") };
    let ana = || Some(claim(Uid::new("Human", ANA), None, &[]));
    let proof = || Some(good_proof(&bound_token()));
    let all = || Role::ALL.to_vec();
    let no_token = || Unauthenticated::NoSubjectToken;
    let attest = Unauthenticated::Proof(ProofFault::NotAttested { caller: "gw".into() });
    vec![
        request("no credentials", nothing(), Unauthenticated::NoPrincipal),
        request(
            "no credentials, by a caller with every role",
            Brings { roles: all(), ..nothing() },
            Unauthenticated::NoPrincipal,
        ),
        request(
            "a claim by a caller that may not assert",
            Brings { claim: ana(), ..nothing() },
            Unauthenticated::MayNotAssert { caller: "gw".into() },
        ),
        request("an actor's token alone", Brings { actor: Some(svid_of(PLANNER)), ..nothing() }, no_token()),
        request("a proof alone", Brings { proof: proof(), ..nothing() }, no_token()),
        request(
            "a claim beside an actor's token",
            Brings { claim: ana(), roles: all(), actor: Some(svid_of(PLANNER)), ..nothing() },
            no_token(),
        ),
        request(
            "a claim beside a proof",
            Brings { claim: ana(), roles: all(), proof: proof(), ..nothing() },
            no_token(),
        ),
        request(
            "an attested key for a free token, by a caller that may not",
            Brings { proof: Some(super::super::super::Proof::Key("AAAA".into())), ..brings(good()) },
            attest,
        ),
    ]
}
