//! `ReportOutcome`: what a permitted call did.
//! Never takes an outcome twice, or from another than the caller that got the decision.

use tonic::Status;

use super::proto::v1;
use super::wire::Malformed;
use crate::access::Timestamp;
use crate::audit::{AuditSink, Ending, Reported, Unreportable};
use crate::identity::Caller;
use crate::pdp::Pdp;

const ERROR_BYTES_MAX: usize = 256;
const DATA_CLASSES_MAX: usize = 32;
const DATA_CLASS_BYTES_MAX: usize = 128;
const DECISION_ID_BYTES_MAX: usize = 64;

pub(super) fn report<S: AuditSink>(
    pdp: &Pdp<S>,
    caller: &Caller,
    now: Timestamp,
    request: &v1::ReportOutcomeRequest,
) -> Result<(), Status> {
    let v1::ReportOutcomeRequest { decision_id, status: _, error, result_bytes, data_classes, ended_at } =
        request;
    check(request).map_err(|problem| Status::invalid_argument(problem.to_string()))?;
    let status = match request.status() {
        v1::OutcomeStatus::Succeeded => Ending::Succeeded,
        v1::OutcomeStatus::Failed => Ending::Failed,
        v1::OutcomeStatus::NotExecuted => Ending::NotExecuted,
        v1::OutcomeStatus::Unknown => Ending::Unknown,
        v1::OutcomeStatus::Unspecified => {
            return Err(Status::invalid_argument("`status` is missing: say how the call ended"));
        }
    };
    let ended_at = ended_at.as_ref().map_or(now, |at| {
        Timestamp(at.seconds.saturating_mul(1_000).saturating_add(i64::from(at.nanos) / 1_000_000))
    });
    let reported = Reported {
        time: now,
        decision: decision_id,
        caller: &caller.name,
        status,
        error,
        result_bytes: *result_bytes,
        data_classes,
        ended_at,
    };
    pdp.report(&reported).map_err(|refused| match refused {
        Unreportable::NotOpen => Status::not_found(refused.to_string()),
        Unreportable::NotRecorded(_) => Status::unavailable(refused.to_string()),
    })
}

fn check(request: &v1::ReportOutcomeRequest) -> Result<(), Malformed> {
    let too_long = |field: &str, bytes_max: usize| {
        Malformed::new(field, format!("is longer than the limit of {bytes_max} bytes"))
    };
    if request.decision_id.len() > DECISION_ID_BYTES_MAX {
        return Err(too_long("decision_id", DECISION_ID_BYTES_MAX));
    }
    if request.error.len() > ERROR_BYTES_MAX {
        return Err(too_long("error", ERROR_BYTES_MAX));
    }
    if request.data_classes.len() > DATA_CLASSES_MAX {
        return Err(Malformed::new(
            "data_classes",
            format!("has more items than the limit of {DATA_CLASSES_MAX}"),
        ));
    }
    if request.data_classes.iter().any(|class| class.len() > DATA_CLASS_BYTES_MAX) {
        return Err(too_long("data_classes", DATA_CLASS_BYTES_MAX));
    }
    Ok(())
}
