//! Whether the enforcement point can do what a decision demands of it.
//! Never tells a duty to somebody who did not say that they fulfil it, and never permits without one that is needed.

use std::collections::BTreeSet;

use super::Request;
use crate::access::{Decision, DenyReason, Obligation, ObligationType, Outcome};

/// The decision as this caller gets it. What a caller says that it can do counts only when it is known by more than where
/// it calls from: with a forged word somebody else would get a permit that is worth nothing.
pub(super) fn told(decision: Decision, request: &Request) -> Decision {
    let understands = request.caller.authenticated.then_some(&request.understands);
    bound(decision, |kind| understands.is_some_and(|kinds| kinds.contains(&kind)))
}

/// The decision for somebody who fulfils no obligation: whoever asks about tasks.
pub(super) fn untold(decision: Decision) -> Decision {
    bound(decision, |_| false)
}

fn bound(decision: Decision, fulfils: impl Fn(ObligationType) -> bool) -> Decision {
    if decision.obligations.iter().all(|obligation| fulfils(obligation.kind)) {
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
