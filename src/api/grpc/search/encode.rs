//! What was found, as it goes out.
//! Never adds anything to it.

use crate::access::{DecisionId, DenyReason, Half, Revision, Share, Term};
use crate::api::proto::v1;
use crate::api::wire::{encode_reason, encode_uid};
use crate::pdp::{Found, Listed, ListedTools, Reach, Reached};

/// One page of a search.
pub(super) struct FoundPage {
    pub(super) info: v1::SearchInfo,
    pub(super) results: Vec<v1::EntityUid>,
    pub(super) page: v1::NextPage,
}

pub(super) fn found(request_id: String, found: Found) -> FoundPage {
    let Found { id, revision, begun, results, next, refused, state } = found;
    FoundPage {
        info: info(request_id, &id, &revision, refused, state),
        results: results.iter().map(encode_uid).collect(),
        page: v1::NextPage { next_token: next.unwrap_or_default(), begun_revision: begun.to_string() },
    }
}

pub(super) fn listed(request_id: String, listed: ListedTools) -> v1::ListToolsResponse {
    let ListedTools { id, revision, listed, refused, state } = listed;
    let Listed { names, result, unknown, drifted } = listed;
    let info = Some(info(request_id, &id, &revision, refused, state));
    v1::ListToolsResponse { info, names, tools_list: result.unwrap_or_default(), unknown, drifted }
}

pub(super) fn reach(request_id: String, reach: Reach) -> v1::ReachResponse {
    let Reach { id, revision, reached, data_classes, more, refused, state } = reach;
    v1::ReachResponse {
        info: Some(info(request_id, &id, &revision, refused, state)),
        reached: reached.into_iter().map(reachable).collect(),
        data_classes: data_classes.into_iter().collect(),
        more,
    }
}

fn reachable(reached: Reached) -> v1::Reachable {
    let Reached { action, resource, data_classes, shares, bounds } = reached;
    v1::Reachable {
        action: Some(encode_uid(&action)),
        resource: Some(encode_uid(&resource)),
        data_classes: data_classes.into_iter().collect(),
        shares: shares.into_iter().map(share).collect(),
        task_bounds: bounds,
    }
}

fn share(Share { half, permits, forbids }: Share) -> v1::Share {
    let half = match half {
        Half::Principal => v1::Half::Principal,
        Half::Actor => v1::Half::Actor,
    };
    let terms = |terms: Vec<Term>| terms.into_iter().map(term).collect();
    v1::Share { half: half.into(), permits: terms(permits), forbids: terms(forbids) }
}

fn term(Term { policy, asks }: Term) -> v1::Term {
    v1::Term { policy_id: policy.to_string(), asks: asks.unwrap_or_default() }
}

fn info(
    request_id: String,
    id: &DecisionId,
    revision: &Revision,
    refused: Option<(DenyReason, String)>,
    state: Option<u64>,
) -> v1::SearchInfo {
    let (reason, reason_text) = refused.map_or((v1::DenyReason::Unspecified, String::new()), |refused| {
        (encode_reason(refused.0), refused.1)
    });
    v1::SearchInfo {
        request_id,
        search_id: id.to_string(),
        revision: revision.to_string(),
        state_revision: state.unwrap_or_default(),
        reason: reason.into(),
        reason_text,
    }
}
