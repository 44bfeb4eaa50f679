//! Who asks, before anything is decided: tokens, assertions, the task, the session.
//! Never decides, and never lets one party go on in the session of another.

use std::sync::Arc;

use super::again::still_granted;
use super::judgement::TaskTold;
use super::lending::TaskAsk;
use super::{Ask, Pdp, Request};
use crate::access::{DenyReason, Entity, Facts, Timestamp};
use crate::catalog::server_of;
use crate::identity::{
    Asks, Caller, Credentials, OwnIssuer, Principal, Proof, Role, TaskParties, Token, Trust, Unauthenticated,
    Verified, authenticate, of_task,
};
use crate::policy::Snapshot;
use crate::task::{Head, Known, Lent, NotInForce, Tasks};
use crate::value::{Members, Uid};

#[cfg(test)]
mod tests;

/// The parties to a request, and the task that it belongs to.
pub(super) struct Established {
    pub(super) principal: Principal,
    pub(super) task: Option<Arc<Known>>,
    /// The task that the request is about itself.
    pub(super) about: Option<Arc<Head>>,
}

/// Why a request is denied before anything is decided.
pub(super) struct Refused {
    pub(super) reason: DenyReason,
    pub(super) words: String,
    /// Who it was, where that is known.
    pub(super) principal: Option<Box<Principal>>,
    /// The subject's token, when it is its issuer's and was refused for something else.
    pub(super) token: Option<Arc<Verified>>,
    /// The task, when its token is ours and was refused for something else.
    pub(super) task: Option<TaskTold>,
}

impl Refused {
    pub(super) fn because(reason: DenyReason, words: impl Into<String>) -> Self {
        Self { reason, words: words.into(), principal: None, token: None, task: None }
    }
}

impl From<NotInForce> for Refused {
    fn from(fault: NotInForce) -> Self {
        let reason = match fault {
            NotInForce::Token(_) => DenyReason::Unauthenticated,
            NotInForce::Expired => DenyReason::TaskExpired,
            NotInForce::Ended(_) | NotInForce::Revoked | NotInForce::Unknown => DenyReason::TaskRevoked,
            NotInForce::OverBudget { .. } => DenyReason::OverBudget,
            NotInForce::Uncharged => DenyReason::Stale,
        };
        Self::because(reason, fault.to_string())
    }
}

impl From<Unauthenticated> for Refused {
    fn from(nobody: Unauthenticated) -> Self {
        let reason = match nobody {
            Unauthenticated::BindingMissing
            | Unauthenticated::TaskBindingMissing
            | Unauthenticated::ActorBound => DenyReason::BindingMissing,
            _ => DenyReason::Unauthenticated,
        };
        Self::because(reason, nobody.to_string())
    }
}

/// The parties to a request, in their session; or why there are none.
pub(super) fn establish<S>(
    pdp: &Pdp<S>,
    snapshot: &Snapshot,
    trust: &Trust,
    request: &Request,
    now: Timestamp,
) -> Result<Established, Refused> {
    let known = pdp.state().unwrap_or_default();
    if request.min_state > known {
        let words = format!("the state {} is not known here yet, only {known}; ask again", request.min_state);
        return Err(Refused::because(DenyReason::Stale, words));
    }
    let own = pdp.tasks.as_deref().map(Tasks::issuer);
    let asks = Asks {
        caller: &request.caller,
        claim: request.claim.as_ref(),
        credentials: &request.credentials,
        server_audience: server_audience(snapshot, &request.ask),
        own_audience: own.as_deref().map(OwnIssuer::name).filter(|_| matches!(request.ask, Ask::Task(_))),
        now_s: now.seconds(),
    };
    let established = parties(pdp, snapshot, trust, request, &asks)?;
    let Established { principal, .. } = &established;
    if let Some(tasks) = &pdp.tasks
        && let Some(party) = tasks.stops().party(everybody(principal))
    {
        let words = format!(
            "the {} was stopped by an operator",
            if party.kind == "Agent" { "agent" } else { "party" }
        );
        let task = established.task.as_ref().map(|known| TaskTold::of(&known.lent.grant));
        let principal = Some(Box::new(established.principal.clone()));
        return Err(Refused { principal, task, ..Refused::because(DenyReason::TaskRevoked, words) });
    }
    // A task is started before its key is shown, so that a session that it names is bound by its first step.
    let session = request.session.as_ref().filter(|_| !matches!(request.ask, Ask::Task(_)));
    let Some(session) = session else { return Ok(established) };
    let (sessions, caller) = (&pdp.sessions, &request.caller);
    let entered = if request.preview {
        sessions.check(caller, session, principal, now.seconds())
    } else {
        sessions.enter(caller, session, principal, now.seconds())
    };
    match entered {
        Ok(()) => Ok(established),
        // Whose token it was that came with somebody else's session is what an investigator asks first.
        Err(fault) => Err(Refused {
            principal: Some(Box::new(established.principal)),
            ..Refused::because(DenyReason::SessionMismatch, fault.to_string())
        }),
    }
}

fn server_audience<'s>(snapshot: &'s Snapshot, ask: &Ask) -> Option<&'s str> {
    let server = match ask {
        Ask::Mcp(message) => snapshot.catalog().server(&message.server),
        Ask::Access(question) => server_of(&question.resource).and_then(|id| snapshot.catalog().server(id)),
        Ask::Task(_) | Ask::Unclear(_) => None,
    };
    server?.audience.as_deref()
}

fn parties<S>(
    pdp: &Pdp<S>,
    snapshot: &Snapshot,
    trust: &Trust,
    request: &Request,
    asks: &Asks<'_>,
) -> Result<Established, Refused> {
    let credentials = &request.credentials;
    let tasks = pdp.tasks.as_deref();
    match (&request.ask, tasks, &credentials.task) {
        (Ask::Task(TaskAsk::End { id: Some(id), .. }), Some(tasks), None) => {
            answered_for(tasks, request, asks, *id)
        }
        (_, Some(tasks), Some(token)) => under(tasks, pdp, request, asks, token),
        (_, None, Some(_)) => Err(Refused::because(DenyReason::Unauthenticated, "tasks are not served here")),
        (_, Some(tasks), None) if let Some(token) = own(tasks, trust, request) => {
            under(tasks, pdp, request, asks, token)
        }
        (_, _, None) => {
            let principal = authenticate(trust, snapshot, &pdp.proofs, asks).map_err(|nobody| {
                let token = credentials.subject.as_ref().and_then(|token| trust.known(token));
                Refused { token, ..Refused::from(nobody) }
            })?;
            Ok(Established { principal, task: None, about: None })
        }
    }
}

/// An access token of ours in the place of the subject's. One that another issuer is known for needs no second look.
fn own<'r>(tasks: &Tasks, trust: &Trust, request: &'r Request) -> Option<&'r Token> {
    // A task is not begun with the token of another: parts are handed on.
    let token = request.credentials.subject.as_ref().filter(|_| !matches!(request.ask, Ask::Task(_)))?;
    (trust.known(token).is_none() && tasks.is_ours(token)).then_some(token)
}

/// A request that belongs to a task, and shows its token.
fn under<S>(
    tasks: &Tasks,
    pdp: &Pdp<S>,
    request: &Request,
    asks: &Asks<'_>,
    token: &Token,
) -> Result<Established, Refused> {
    let credentials = &request.credentials;
    let is_handing_on = matches!(request.ask, Ask::Task(TaskAsk::Delegate { .. } | TaskAsk::Reissue { .. }));
    let beside = credentials.task.is_some() && credentials.subject.is_some();
    if beside || (credentials.actor.is_some() && !is_handing_on) {
        return Err(Unauthenticated::TaskTokenBesideOthers.into());
    }
    // Whose token it was that no longer counts is what an investigator asks first.
    let known = tasks.present(token, asks.now_s).map_err(|fault| Refused {
        task: tasks.signed(token).as_ref().map(TaskTold::of),
        ..Refused::from(fault)
    })?;
    let refused = |fault: Unauthenticated| Refused {
        token: Some(known.verified.clone()),
        task: Some(TaskTold::of(&known.lent.grant)),
        ..Refused::from(fault)
    };
    if known.lent.grant.key.is_none() && !tasks.rules().bearer {
        return Err(refused(Unauthenticated::TaskBindingMissing));
    }
    if known.audience.is_some() && matches!(request.ask, Ask::Task(_)) {
        // What is shown to MCP servers must not end, renew or hand on anything.
        let words = "an access token for an MCP server does not stand for the task itself";
        return Err(Refused::because(DenyReason::Unauthenticated, words));
    }
    // The agent that a part is for is not the one that the claim must agree with.
    let claim = asks.claim.filter(|_| !is_handing_on);
    let parties = task_parties(&known.lent, Some((Some(token), &known.verified)));
    let principal = of_task(&pdp.proofs, &Asks { claim, ..*asks }, &parties).map_err(refused)?;
    let about = matches!(request.ask, Ask::Task(_)).then(|| known.head.clone());
    Ok(Established { principal, task: Some(known), about })
}

/// A task that a caller names without its token, because it was started through that caller.
fn answered_for(
    tasks: &Tasks,
    request: &Request,
    asks: &Asks<'_>,
    id: crate::task::TaskId,
) -> Result<Established, Refused> {
    let head = tasks.find(id).ok_or_else(|| match tasks.gone_as(id) {
        Some(state) => {
            Refused::because(DenyReason::TaskRevoked, format!("the task is over ({})", state.name()))
        }
        None => NotInForce::Unknown.into(),
    })?;
    let lent = head.lent();
    if lent.basis.caller != request.caller.name && !request.caller.may(Role::Admin) {
        // Whose it is, and whether it is there at all, is nobody else's business.
        return Err(NotInForce::Unknown.into());
    }
    head.check(asks.now_s)?;
    let parties = task_parties(&lent, None);
    let nothing = crate::identity::Proofs::default();
    let principal = of_task(&nothing, &Asks { claim: None, ..*asks }, &parties)?;
    Ok(Established { principal, task: None, about: Some(head) })
}

/// The task of a token that is to be exchanged: it stands, would still be granted, and its key is shown.
pub(super) fn show_task<S>(
    pdp: &Pdp<S>,
    token: &Token,
    proof: Option<&Proof>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Arc<Known>, Refused> {
    let Some(tasks) = pdp.tasks.as_deref() else {
        return Err(Refused::because(DenyReason::Unauthenticated, "tasks are not served here"));
    };
    let known = tasks.present(token, now.seconds())?;
    // Only a caller that may hold tasks may do so without their keys.
    if known.lent.grant.key.is_none() && !(tasks.rules().bearer && caller.may(Role::Tasks)) {
        return Err(Unauthenticated::TaskBindingMissing.into());
    }
    if !still_granted(&pdp.in_force.load().snapshot, &known) {
        return Err(Refused::because(DenyReason::PolicyDrift, DenyReason::PolicyDrift.words()));
    }
    let credentials = Credentials { proof: proof.cloned(), ..Credentials::default() };
    let (server_audience, own_audience, now_s) = (None, None, now.seconds());
    let asks = Asks { caller, claim: None, credentials: &credentials, server_audience, own_audience, now_s };
    let parties = task_parties(&known.lent, Some((None, &known.verified)));
    of_task(&pdp.proofs, &asks, &parties).map_err(|fault| match fault {
        // Here a wrong proof is as good as none.
        Unauthenticated::Proof(_) => Refused::because(DenyReason::BindingMissing, fault.to_string()),
        other => other.into(),
    })?;
    Ok(known)
}

fn task_parties<'a>(
    lent: &'a Lent,
    shown: Option<(Option<&'a Token>, &'a Arc<Verified>)>,
) -> TaskParties<'a> {
    let parties = &lent.grant.parties;
    TaskParties {
        shown,
        described: lent.basis.described.as_ref(),
        subject: &parties.principal,
        actor: parties.actor.as_ref(),
        earlier_actors: &parties.earlier_actors,
        assurance: lent.basis.assurance,
        actor_assurance: lent.basis.actor_assurance,
    }
}

fn everybody(principal: &Principal) -> impl Iterator<Item = &Uid> {
    std::iter::once(principal.subject()).chain(principal.actor()).chain(principal.earlier_actors())
}

/// What is established about a request.
pub(super) fn facts(established: &Established, request: &Request, now: Timestamp) -> Facts {
    let Established { principal, task, about: _ } = established;
    let earlier = i64::try_from(principal.earlier_actors().len()).unwrap_or(i64::MAX);
    Facts {
        principal: principal.subject().clone(),
        actor: principal.actor().cloned(),
        actor_depth: i64::from(principal.actor().is_some()).saturating_add(earlier),
        session: request.session.clone(),
        described: principal.described().map(|described| Entity {
            uid: principal.subject().clone(),
            attributes: described.attributes.clone(),
            parents: described.parents.clone(),
        }),
        token: principal.token().cloned(),
        task: task.as_ref().map(|known| known.head.value()),
        established: Members::new(),
        now,
    }
}
