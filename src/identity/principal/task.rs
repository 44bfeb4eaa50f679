//! The parties of tasks: who shows a task's token, and the agent that a part of one is for.
//! Never believes a task's token without the proof of its key, unless it is bound to none.

use std::sync::Arc;

use super::{
    Asks, Assurance, Directory, Principal, TokenFacts, Unauthenticated, Which, accept, acting, may_assert,
    proof, same,
};
use crate::identity::credential::Token;
use crate::identity::proof::Proofs;
use crate::identity::trust::Trust;
use crate::identity::verify::{Description, Verified};
use crate::value::Uid;

/// What a task's token, verified as ours, says of its parties.
#[derive(Debug, Clone, Copy)]
pub struct TaskParties<'a> {
    /// The token as it was sent, and the same as one among others; none when a caller names a task that it answers for. Of a
    /// token that is exchanged the former is none: a proof for the token endpoint does not name it (RFC 9449, section 5).
    pub shown: Option<(Option<&'a Token>, &'a Arc<Verified>)>,
    /// What to make of the subject when the bundle does not have it.
    pub described: Option<&'a Description>,
    /// Whose authority is used.
    pub subject: &'a Uid,
    /// The agent that uses it.
    pub actor: Option<&'a Uid>,
    /// Earlier actors, the most recent first.
    pub earlier_actors: &'a [Uid],
    /// How sure we were of the subject when the task began.
    pub assurance: Assurance,
    /// How sure we were of the actor.
    pub actor_assurance: Option<Assurance>,
}

/// Establishes the parties of a task: its token names them, and the proof shows that its holder is the one it was given to.
///
/// # Errors
/// [`Unauthenticated`] when the key is not shown, or when the request names others.
pub fn of_task(
    proofs: &Proofs,
    asks: &Asks<'_>,
    parties: &TaskParties<'_>,
) -> Result<Principal, Unauthenticated> {
    let TaskParties { shown, described, subject, actor, earlier_actors, assurance, actor_assurance } =
        *parties;
    let claim = asks.claim;
    if claim.is_some_and(|claim| claim.principal != *subject) {
        return Err(Unauthenticated::Conflict { party: "principal" });
    }
    if claim.and_then(|claim| claim.actor.as_ref()).is_some_and(|said| Some(said) != actor) {
        return Err(Unauthenticated::Conflict { party: "actor" });
    }
    if claim.is_some_and(|claim| !claim.earlier_actors.is_empty() && claim.earlier_actors != earlier_actors) {
        return Err(Unauthenticated::Conflict { party: "list of earlier actors" });
    }
    let token = match shown {
        None => None,
        Some((token, verified)) => {
            let proof = asks.credentials.proof.as_ref();
            let binding =
                proof::check(&verified.confirmation, token, proof, asks.caller, proofs, asks.now_s)?;
            let binding = binding.ok_or(Unauthenticated::TaskBindingMissing)?;
            let audience = verified.audience.first().cloned().unwrap_or_default();
            Some(TokenFacts { token: verified.clone(), audience, binding, actor: actor_assurance })
        }
    };
    Ok(Principal {
        subject: subject.clone(),
        actor: actor.cloned(),
        earlier_actors: earlier_actors.to_vec(),
        assurance,
        actor_assurance,
        described: described.cloned(),
        token,
        actor_token: None,
    })
}

/// Establishes an agent alone, to whom a part of a task is to be handed: by its own token, or by the word of a caller that
/// may assert it.
///
/// # Errors
/// [`Unauthenticated`].
pub fn authenticate_agent(
    trust: &Trust,
    directory: &impl Directory,
    proofs: &Proofs,
    asks: &Asks<'_>,
    said: Option<&Uid>,
) -> Result<(Uid, Assurance), Unauthenticated> {
    match (&asks.credentials.actor, said) {
        (Some(token), said) => {
            let facts = accept(trust, proofs, asks, Which::Actor, token)?;
            let agent = acting(directory, &facts.token)?;
            let agent = same("actor", Some(agent), said.cloned())?.ok_or(Unauthenticated::NoPrincipal)?;
            Ok((agent, Assurance::Verified))
        }
        (None, Some(said)) => {
            may_assert(asks.caller)?;
            Ok((said.clone(), Assurance::Asserted))
        }
        (None, None) => Err(Unauthenticated::NoPrincipal),
    }
}
