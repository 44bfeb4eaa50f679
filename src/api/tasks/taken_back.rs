//! Requests to revoke and to lift: who may take back what.
//! Never lets one caller take back what another started, unless it administrates.

use std::sync::Arc;

use tonic::Status;

use super::super::proto::v1;
use super::super::wire::{Malformed, REQUEST_ID_BYTES_MAX, text};
use super::{TaskService, defect, status, wire};
use crate::api::Clock;
use crate::api::grpc::malformed;
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Role};
use crate::lifecycle::{Asker, Closed, Fault, Lifecycle};
use crate::store::StateStore;
use crate::task::Target;

/// A request to revoke or to lift.
pub(super) struct TakenBack {
    target: Target,
    reason: String,
    request_id: String,
}

impl TakenBack {
    pub(super) async fn revoke<S: AuditSink + 'static, T: StateStore>(
        self,
        life: Arc<Lifecycle<S, T>>,
        caller: Arc<Caller>,
        clock: Arc<dyn Clock>,
    ) -> Result<Closed, Fault> {
        let Self { target, reason, request_id } = self;
        let (face, now) = (Face::Grpc, clock.now());
        life.revoke(target, Asker { face, caller: &caller, request_id: &request_id, reason: &reason, now })
            .await
    }

    pub(super) async fn lift<S: AuditSink + 'static, T: StateStore>(
        self,
        life: Arc<Lifecycle<S, T>>,
        caller: Arc<Caller>,
        clock: Arc<dyn Clock>,
    ) -> Result<Closed, Fault> {
        let Self { target, reason, request_id } = self;
        let (face, now) = (Face::Grpc, clock.now());
        life.lift(target, Asker { face, caller: &caller, request_id: &request_id, reason: &reason, now })
            .await
    }
}

impl<S: AuditSink + 'static, T: StateStore> TaskService<S, T> {
    /// Who holds tasks takes those back; authority at large is an operator's.
    pub(super) fn taken_back(
        &self,
        life: &Lifecycle<S, T>,
        caller: &Caller,
        target: Option<v1::Target>,
        reason: String,
        request_id: String,
    ) -> Result<TakenBack, Status> {
        let decoded = || {
            let target = wire::target(target, &caller.name)?;
            Ok(TakenBack {
                target,
                reason: wire::reason(reason)?,
                request_id: text("request_id", request_id, REQUEST_ID_BYTES_MAX)?,
            })
        };
        let asked: TakenBack = decoded().map_err(|problem: Malformed| malformed(&problem))?;
        let is_own = match &asked.target {
            Target::Task(id) => {
                life.tasks().find(*id).is_none_or(|head| head.lent().basis.caller == caller.name)
            }
            Target::Session { caller: of, .. } => *of == *caller.name,
            Target::Agent(_)
            | Target::Human(_)
            | Target::Tool(_)
            | Target::Server(_)
            | Target::Class(_)
            | Target::Key(_) => false,
        };
        if !is_own {
            self.require(life, caller, Role::Admin)?;
        }
        Ok(asked)
    }

    pub(super) async fn spawned<F>(
        &self,
        life: Arc<Lifecycle<S, T>>,
        caller: Arc<Caller>,
        asked: TakenBack,
        act: impl FnOnce(TakenBack, Arc<Lifecycle<S, T>>, Arc<Caller>, Arc<dyn Clock>) -> F,
    ) -> Result<Closed, Status>
    where
        F: Future<Output = Result<Closed, Fault>> + Send + 'static,
    {
        let acting = tokio::spawn(act(asked, life, caller, self.inner.clock.clone()));
        acting.await.map_err(|_| defect())?.map_err(|fault| status(&fault))
    }
}
