//! From credentials and claims to the parties of a step, established.
//! Never mixes what was verified with what was only said: each party has its own assurance.

mod fault;
mod task;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::credential::{Credentials, Token};
use super::proof::{self, Binding, Proofs};
use super::trust::Trust;
use super::verify::{AgentName, Description, Verified};
use super::{Caller, Claim, Role};
use crate::value::Uid;

pub use fault::{Unauthenticated, Which};
pub use task::{TaskParties, authenticate_agent, of_task};

/// How sure we are of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// A token that this server verified names it.
    Verified,
    /// A caller that may assert principals said so.
    Asserted,
}

impl Assurance {
    /// As policies see it in `context.token.actor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Asserted => "asserted",
        }
    }
}

/// What the bundle knows of parties.
pub trait Directory {
    /// The agent that has this name.
    fn agent(&self, name: &AgentName) -> Option<&Uid>;
    /// Whether it has this entity.
    fn knows(&self, uid: &Uid) -> bool;
}

/// What a request says of its parties, and what it is held against.
#[derive(Debug, Clone, Copy)]
pub struct Asks<'a> {
    /// Who sends it.
    pub caller: &'a Caller,
    /// Who is said to ask.
    pub claim: Option<&'a Claim>,
    /// Who is shown to ask.
    pub credentials: &'a Credentials,
    /// The audience of the MCP server that is asked about.
    pub server_audience: Option<&'a str>,
    /// The audience that names this server itself, when tokens must be for it and for nobody else: a task is to be started.
    pub own_audience: Option<&'a str>,
    /// The instant, in seconds.
    pub now_s: i64,
}

/// What the subject's token says, beside who it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenFacts {
    /// The token.
    pub token: Arc<Verified>,
    /// Which of its audiences was the expected one.
    pub audience: String,
    /// Who saw the proof of its key.
    pub binding: Binding,
    /// How sure we are of the actor beside it; none where nobody acts.
    pub actor: Option<Assurance>,
}

/// The parties to a step, established. Only this module makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    subject: Uid,
    actor: Option<Uid>,
    earlier_actors: Vec<Uid>,
    assurance: Assurance,
    actor_assurance: Option<Assurance>,
    described: Option<Description>,
    token: Option<TokenFacts>,
    actor_token: Option<TokenFacts>,
}

impl Principal {
    /// The party whose authority is used.
    pub fn subject(&self) -> &Uid {
        &self.subject
    }

    /// The agent that uses it; none for autonomous work.
    pub fn actor(&self) -> Option<&Uid> {
        self.actor.as_ref()
    }

    /// Earlier actors, the most recent first.
    pub fn earlier_actors(&self) -> &[Uid] {
        &self.earlier_actors
    }

    /// How sure we are of the subject.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }

    /// How sure we are of the actor.
    pub fn actor_assurance(&self) -> Option<Assurance> {
        self.actor_assurance
    }

    /// What to make of the subject, whom the bundle does not have.
    pub fn described(&self) -> Option<&Description> {
        self.described.as_ref()
    }

    /// What the subject's token says.
    pub fn token(&self) -> Option<&TokenFacts> {
        self.token.as_ref()
    }

    /// What the actor's own token says.
    pub fn actor_token(&self) -> Option<&TokenFacts> {
        self.actor_token.as_ref()
    }

    /// Who acts: the actor, or the subject on its own.
    pub fn acting(&self) -> &Uid {
        self.actor.as_ref().unwrap_or(&self.subject)
    }

    /// The key that the subject's token is bound to.
    pub fn key(&self) -> Option<&str> {
        let confirmation = &self.token.as_ref()?.token.confirmation;
        confirmation.jkt.as_deref().or(confirmation.x5t.as_deref())
    }
}

/// Establishes the parties to a step.
///
/// # Errors
/// [`Unauthenticated`] when nobody was named or shown, or when the caller may not assert them.
pub fn authenticate(
    trust: &Trust,
    directory: &impl Directory,
    proofs: &Proofs,
    asks: &Asks<'_>,
) -> Result<Principal, Unauthenticated> {
    match &asks.credentials.subject {
        Some(token) => shown(trust, directory, proofs, asks, token),
        None if !asks.credentials.is_empty() => Err(Unauthenticated::NoSubjectToken),
        None => said(asks.caller, asks.claim, workload(directory, asks)),
    }
}

/// The agent whose workload brought the request, as far as the caller may say so and the bundle knows it. Who else brings
/// requests is nobody's business here: a proxy before the gateway acts for nobody.
fn workload(directory: &impl Directory, asks: &Asks<'_>) -> Option<Uid> {
    let id = asks.credentials.workload.as_ref().filter(|_| asks.caller.may(Role::Assert))?;
    directory.agent(&AgentName::Spiffe(id.clone())).cloned()
}

fn said(caller: &Caller, claim: Option<&Claim>, workload: Option<Uid>) -> Result<Principal, Unauthenticated> {
    let (subject, actor, earlier_actors) = match (claim, workload) {
        (None, None) => return Err(Unauthenticated::NoPrincipal),
        // Nobody else is named: it works on its own.
        (None, Some(agent)) => (agent, None, Vec::new()),
        (Some(Claim { principal, actor, earlier_actors }), workload) => {
            may_assert(caller)?;
            let workload = workload.filter(|agent| agent != principal);
            let actor = same("actor", actor.clone(), workload)?;
            (principal.clone(), actor, earlier_actors.clone())
        }
    };
    Ok(Principal {
        actor_assurance: actor.is_some().then_some(Assurance::Asserted),
        subject,
        actor,
        earlier_actors,
        assurance: Assurance::Asserted,
        described: None,
        token: None,
        actor_token: None,
    })
}

fn may_assert(caller: &Caller) -> Result<(), Unauthenticated> {
    if caller.may(Role::Assert) {
        return Ok(());
    }
    Err(Unauthenticated::MayNotAssert { caller: caller.name.clone() })
}

/// A token as it is now: verified, in time, for us, with its key shown.
fn accept(
    trust: &Trust,
    proofs: &Proofs,
    asks: &Asks<'_>,
    which: Which,
    token: &Token,
) -> Result<TokenFacts, Unauthenticated> {
    let refused = |fault| Unauthenticated::Token { which, fault };
    let verified = trust.verify(token).map_err(refused)?;
    let expected: Vec<&str> = match asks.own_audience {
        Some(us) => trust.own_audience().into_iter().chain([us]).collect(),
        None => trust.audiences(&verified, asks.server_audience).collect(),
    };
    let audience = verified.check_audience(&expected).map_err(refused)?.to_owned();
    verified.check_time(asks.now_s, trust.leeway_s()).map_err(refused)?;
    trust.check_revoked(&verified).map_err(refused)?;
    let (bound, proof) = (&verified.confirmation, asks.credentials.proof.as_ref());
    let binding = match which {
        Which::Subject => proof::check(bound, Some(token), proof, asks.caller, proofs, asks.now_s)?,
        // A request has one proof, and it is made for the subject's token.
        Which::Actor if bound.is_none() => Some(Binding::None),
        Which::Actor => None,
    };
    let binding = binding.ok_or(match which {
        Which::Subject => Unauthenticated::BindingMissing,
        Which::Actor => Unauthenticated::ActorBound,
    })?;
    Ok(TokenFacts { token: verified, audience, binding, actor: None })
}

fn shown(
    trust: &Trust,
    directory: &impl Directory,
    proofs: &Proofs,
    asks: &Asks<'_>,
    token: &Token,
) -> Result<Principal, Unauthenticated> {
    let facts = accept(trust, proofs, asks, Which::Subject, token)?;
    let actor_token = asks.credentials.actor.as_ref();
    let actor_token =
        actor_token.map(|token| accept(trust, proofs, asks, Which::Actor, token)).transpose()?;
    let of_actor_token = actor_token.as_ref().map(|facts| acting(directory, &facts.token)).transpose()?;
    let shown_apart = of_actor_token.is_some();
    let Named { subject, described, actor, earlier_actors } = named(directory, &facts.token, shown_apart)?;
    let verified_actor = same("actor", actor, of_actor_token)?;
    let claim = asks.claim;
    if claim.is_some_and(|claim| claim.principal != subject) {
        return Err(Unauthenticated::Conflict { party: "principal" });
    }
    let brought_by = workload(directory, asks).filter(|agent| *agent != subject);
    let said_actor = same("actor", claim.and_then(|claim| claim.actor.clone()), brought_by)?;
    let (actor, actor_assurance) = match (verified_actor, said_actor) {
        (Some(verified), said) => (same("actor", Some(verified), said)?, Some(Assurance::Verified)),
        (None, Some(said)) => {
            may_assert(asks.caller)?;
            (Some(said), Some(Assurance::Asserted))
        }
        (None, None) => (None, None),
    };
    let said_earlier = claim.map(|claim| claim.earlier_actors.as_slice()).filter(|said| !said.is_empty());
    let earlier_actors = match said_earlier {
        None => earlier_actors,
        Some(said) if said == earlier_actors => earlier_actors,
        // More actors can only tighten: rules see their number.
        Some(said) if earlier_actors.is_empty() => said.to_vec(),
        Some(_) => return Err(Unauthenticated::Conflict { party: "list of earlier actors" }),
    };
    Ok(Principal {
        subject,
        actor,
        earlier_actors,
        assurance: Assurance::Verified,
        actor_assurance,
        described,
        token: Some(TokenFacts { actor: actor_assurance, ..facts }),
        actor_token,
    })
}

/// Who a token is about.
struct Named {
    subject: Uid,
    described: Option<Description>,
    actor: Option<Uid>,
    earlier_actors: Vec<Uid>,
}

/// The parties that a token names, where the actor may have shown itself apart.
fn named(directory: &impl Directory, token: &Verified, shown_apart: bool) -> Result<Named, Unauthenticated> {
    let agent = |name| registered(directory, Which::Subject, name);
    let mut actors = token.actors.iter().map(agent);
    let current = actors.next().transpose()?;
    let earlier_actors = actors.collect::<Result<Vec<_>, _>>()?;
    let (subject, described, actor) = match (&token.person, &token.agent) {
        (Some(person), client) => {
            // Whoever `act` names is the actor; else the client that the token was issued to. Beside an actor's own
            // token, a client that is nobody's agent is only the program that the person signed in with.
            let client = match client.as_ref().filter(|_| current.is_none()) {
                Some(name) if shown_apart => directory.agent(name).cloned(),
                client => client.map(agent).transpose()?,
            };
            let known = directory.knows(&person.uid);
            if !known && person.described.is_none() {
                return Err(Unauthenticated::UnregisteredPerson);
            }
            (person.uid.clone(), person.described.clone().filter(|_| !known), current.or(client))
        }
        (None, Some(name)) => (agent(name)?, None, current),
        (None, None) => return Err(Unauthenticated::NamesNobody { which: Which::Subject }),
    };
    Ok(Named { subject, described, actor, earlier_actors })
}

/// The agent whose token the actor's is.
fn acting(directory: &impl Directory, token: &Verified) -> Result<Uid, Unauthenticated> {
    match (&token.person, &token.agent) {
        (Some(_), _) => Err(Unauthenticated::ActorNotAnAgent),
        // Somebody else acts for this agent, and would go unseen.
        (None, Some(_)) if !token.actors.is_empty() => Err(Unauthenticated::ActorActedFor),
        (None, Some(name)) => registered(directory, Which::Actor, name),
        (None, None) => Err(Unauthenticated::NamesNobody { which: Which::Actor }),
    }
}

fn registered(directory: &impl Directory, which: Which, name: &AgentName) -> Result<Uid, Unauthenticated> {
    directory.agent(name).cloned().ok_or(Unauthenticated::UnregisteredAgent { which })
}

/// The one party that two sources name, if any does.
fn same(party: &'static str, one: Option<Uid>, other: Option<Uid>) -> Result<Option<Uid>, Unauthenticated> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Unauthenticated::Conflict { party }),
        (one, other) => Ok(one.or(other)),
    }
}
