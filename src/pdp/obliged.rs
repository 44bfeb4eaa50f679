//! Whether the enforcement point can do what a decision demands of it.
//! Never tells a duty to somebody who did not say that they fulfil it, and never permits without one that is needed.

use std::collections::BTreeSet;

use super::{Ask, Request};
use crate::access::{Decision, DenyReason, Obligation, Outcome};
use crate::audit::Face;
use crate::mcp::{self, Mapped, Message, Redaction};
use crate::policy::Snapshot;

/// The decision as this caller gets it. What a caller says that it can do counts only when it is known by more than where
/// it calls from: with a forged word somebody else would get a permit that is worth nothing.
pub(super) fn told(
    decision: Decision,
    request: &Request,
    snapshot: &Snapshot,
    limits: &mcp::Limits,
) -> Decision {
    let says_so = |obligation: &Obligation| request.understands.contains(&obligation.kind);
    let goes_on = decision.outcome.is_permit();
    let fulfils = decision.obligations.is_empty()
        || (request.caller.authenticated
            && (decision.obligations.iter().all(says_so)
                || (goes_on && redacts(&decision.obligations, request, snapshot, limits))));
    bound(decision, fulfils)
}

/// The decision for somebody who fulfils no obligation: whoever asks about tasks.
pub(super) fn untold(decision: Decision) -> Decision {
    let fulfils = decision.obligations.is_empty();
    bound(decision, fulfils)
}

/// Whether the face takes all that is named out of the call itself, and what is left is still a call that its headers agree
/// with.
fn redacts(obligations: &[Obligation], request: &Request, snapshot: &Snapshot, limits: &mcp::Limits) -> bool {
    let takes_out = match request.face {
        Face::ExtMcp => true,
        Face::Embedded
        | Face::Grpc
        | Face::Http
        | Face::Authzen
        | Face::ExtAuthz
        | Face::Porc
        | Face::Admin => false,
    };
    let Ask::Mcp(message) = &request.ask else { return false };
    let left = Redaction::of(obligations)
        .filter(|_| takes_out)
        .and_then(|redaction| redaction.applied_to(message.params.sent()?));
    left.is_some_and(|params| {
        let message = Message { params: params.into(), ..message.clone() };
        matches!(mcp::map(&message, snapshot.catalog(), limits), Mapped::Ask(_))
    })
}

fn bound(decision: Decision, fulfils: bool) -> Decision {
    if fulfils {
        return decision;
    }
    let Decision { outcome, reason, mut determining, errors, obligations: withheld, withheld: _ } = decision;
    let obligations = Vec::new();
    match outcome {
        Outcome::Permit => {
            let demanding: BTreeSet<&str> = withheld.iter().map(Obligation::policy).collect();
            determining.retain(|policy| demanding.contains(&*policy.id));
            let why = DenyReason::ObligationUnsupported;
            let (outcome, reason) = (Outcome::Deny(why), why.words().to_owned());
            Decision { outcome, reason, determining, errors, obligations, withheld }
        }
        Outcome::Deny(_) => Decision { outcome, reason, determining, errors, obligations, withheld },
    }
}
