//! `palisade.v1.Admin`: what would become of tasks under another bundle.
//! Never changes anything.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::callers::{Shown, require};
use super::proto::v1;
use super::tasks::wire::subject;
use super::wire::{determining, encode_reason, encode_uid};
use super::{Clock, grpc::malformed, wire::Malformed};
use crate::access::Outcome;
use crate::audit::{Administered, Administration, AuditSink, Face, Record};
use crate::diagnostic::{Diagnostic, File};
use crate::identity::{Caller, Callers, Role};
use crate::lifecycle::{Drifted, Lifecycle, Preview};
use crate::store::StateStore;

const FILES_MAX: usize = 4096;
const PATH_BYTES_MAX: usize = 1024;
const DRIFTING_MAX: usize = 1000;
/// How many findings of a bundle are told.
const FINDINGS_MAX: usize = 10;

/// The service.
pub struct Administrator<S, T> {
    life: Option<Arc<Lifecycle<S, T>>>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    share_max: f64,
    /// A bundle is compiled for one at a time: that is work for a whole processor.
    turn: Arc<Semaphore>,
}

impl<S: AuditSink + 'static, T: StateStore> Administrator<S, T> {
    /// The service over the life of tasks, if they are served. A publication that would end more than `share_max` of the open
    /// ones needs a confirmation.
    pub fn new(
        life: Option<Arc<Lifecycle<S, T>>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        share_max: f64,
    ) -> Self {
        Self { life, callers, clock, share_max, turn: Arc::new(Semaphore::new(1)) }
    }

    fn admit<M>(&self, request: &Request<M>) -> Result<Arc<Lifecycle<S, T>>, Status> {
        let words = "tasks are not served here: `tasks.enabled` is false";
        let life = self.life.clone().ok_or_else(|| Status::failed_precondition(words))?;
        let shown = Shown::by(request.metadata().as_ref(), request.extensions());
        let caller = shown.caller(&self.callers, &life.pdp().trusted(), self.clock.now())?;
        match require(&caller, Role::Admin) {
            Ok(()) => self.tell(&life, &caller, "preview_drift", Administration::Done, "")?,
            Err(turned) => {
                let status = Status::from(turned);
                let refused = Administration::Refused;
                // Refused it is either way.
                drop(self.tell(&life, &caller, Role::Admin.name(), refused, status.message()));
                return Err(status);
            }
        }
        Ok(life)
    }

    fn tell(
        &self,
        life: &Lifecycle<S, T>,
        caller: &Caller,
        call: &str,
        outcome: Administration,
        reason: &str,
    ) -> Result<(), Status> {
        let (time, face) = (self.clock.now(), Face::Grpc);
        let told = Administered { time, face, caller: &caller.name, call, outcome, reason, session: None };
        life.pdp().sink().record(&Record::Admin(&told)).map(|_written| ()).map_err(|error| {
            tracing::warn!(%error, "an administration was not recorded");
            Status::unavailable("this could not be recorded, so it is not answered; ask again")
        })
    }
}

#[tonic::async_trait]
impl<S: AuditSink + 'static, T: StateStore> v1::admin_server::Admin for Administrator<S, T> {
    async fn preview_drift(
        &self,
        request: Request<v1::PreviewDriftRequest>,
    ) -> Result<Response<v1::PreviewDriftResponse>, Status> {
        let life = self.admit(&request)?;
        let files = files(request.into_inner()).map_err(|problem| malformed(&problem))?;
        let turn = self.turn.clone().try_acquire_owned();
        let turn = turn.map_err(|_| Status::resource_exhausted("another preview is under way; ask again"))?;
        let preview = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            life.preview(&files)
        });
        let preview = preview.await.map_err(|_| Status::internal("the preview failed; please report it"))?;
        let Preview { revision, review } = preview.map_err(|findings| {
            let findings_told: Vec<String> = findings.iter().take(FINDINGS_MAX).map(told).collect();
            let words = format!("the bundle has {} finding(s): {}", findings.len(), findings_told.join("; "));
            Status::invalid_argument(words)
        })?;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let needs_confirmation = review.is_too_much(self.share_max);
        Ok(Response::new(v1::PreviewDriftResponse {
            revision: revision.to_string(),
            open: count(review.open),
            drifting_count: count(review.drifted.len()),
            drifting: review.drifted.into_iter().take(DRIFTING_MAX).map(drifting).collect(),
            needs_confirmation,
        }))
    }
}

/// A finding with its place, as compilers write it.
fn told(finding: &Diagnostic) -> String {
    let Diagnostic { message, file, .. } = finding;
    match (file, finding.position()) {
        (Some(file), Some((line, column))) => format!("{}:{line}:{column}: {message}", file.path),
        (Some(file), None) => format!("{}: {message}", file.path),
        (None, _) => message.clone(),
    }
}

fn files(request: v1::PreviewDriftRequest) -> Result<Vec<File>, Malformed> {
    let v1::PreviewDriftRequest { files } = request;
    if files.is_empty() {
        return Err(Malformed::new("files", "is empty: send the files of the bundle"));
    }
    if files.len() > FILES_MAX {
        let problem = format!("has {} items, more than the limit of {FILES_MAX}", files.len());
        return Err(Malformed::new("files", problem));
    }
    if files.iter().any(|file| file.path.is_empty() || file.path.len() > PATH_BYTES_MAX) {
        return Err(Malformed::new("files.path", format!("has 1 to {PATH_BYTES_MAX} bytes")));
    }
    Ok(files.into_iter().map(|v1::BundleFile { path, text }| File::new(path, text)).collect())
}

fn drifting(drifted: Drifted) -> v1::Drifting {
    let Drifted { head, decision, .. } = drifted;
    let lent = head.lent();
    let parties = &lent.grant.parties;
    let reason = match decision.outcome {
        Outcome::Permit => v1::DenyReason::Unspecified,
        Outcome::Deny(reason) => encode_reason(reason),
    };
    v1::Drifting {
        task: head.id().to_string(),
        subject: Some(subject(&parties.principal, parties.actor.as_ref(), &parties.earlier_actors)),
        purpose: Some(encode_uid(&lent.grant.purpose)),
        reason: reason.into(),
        reason_text: decision.reason,
        determining: decision.determining.iter().map(determining).collect(),
    }
}
