//! What OAuth clients may ask about tasks, answered by the life of tasks.
//! Never decides.

use std::sync::Arc;
use std::time::Instant;

use super::SystemClock;
use crate::access::DenyReason;
use crate::api::oauth::{self, Inspected, Issued, Kind, Refusal, TaskAuthority};
use crate::api::{Clock as _, Peer};
use crate::audit::AuditSink;
use crate::identity::{Caller, Callers, Servers, Token, UnknownCaller};
use crate::lifecycle::{Exchange, Exchanged, Lifecycle, Moment};
use crate::store::StateStore;

/// `typ` of what is signed and is no token: nothing takes it for one.
const STATEMENT: &str = "JWT";

/// The authority over the tasks of this server.
pub struct Authority<S, T> {
    life: Arc<Lifecycle<S, T>>,
    callers: Callers,
    /// Who shows nothing but the key of a task.
    nobody: Caller,
}

impl<S: AuditSink + 'static, T: StateStore> Authority<S, T> {
    /// Over these tasks, for these callers.
    pub fn new(life: Arc<Lifecycle<S, T>>, callers: Callers) -> Self {
        let servers = Servers::Named([].into());
        let nobody =
            Caller { name: "".into(), roles: [].into(), servers, agentless: false, authenticated: false };
        Self { life, callers, nobody }
    }
}

impl<S: AuditSink + 'static, T: StateStore> TaskAuthority for Authority<S, T> {
    fn jwks(&self) -> Arc<str> {
        self.life.tasks().issuer().jwks().into()
    }

    fn exchange(&self, asked: &oauth::Exchange<'_>) -> Result<Issued, Refusal> {
        let oauth::Exchange { subject_token, target, proof, caller, request_id } = asked;
        let clock = SystemClock;
        let moment = Moment { id: clock.decision_id(), now: clock.now(), arrived: Instant::now() };
        let caller = caller.as_deref().unwrap_or(&self.nobody);
        let (token, proof) = (subject_token, proof.as_ref());
        let exchange = Exchange { caller, token, proof, audience: target, request_id };
        match self.life.exchange(&exchange, &moment) {
            Ok(Exchanged::Issued { token, expires_in_s, bound }) => Ok(Issued { token, expires_in_s, bound }),
            Ok(Exchanged::NoTarget(words)) => Err(Refusal::InvalidTarget(words)),
            Ok(Exchanged::Denied(DenyReason::BindingMissing, words)) => Err(Refusal::InvalidProof(words)),
            Ok(Exchanged::Denied(DenyReason::PolicyDrift, words)) => Err(Refusal::Denied(words)),
            Ok(Exchanged::Denied(_, words)) => Err(Refusal::InvalidGrant(words)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no token was exchanged");
                Err(Refusal::Unavailable)
            }
        }
    }

    fn sign(&self, claims: &[u8]) -> Option<String> {
        self.life.tasks().issuer().signing().sign(STATEMENT, claims).ok()
    }

    fn introspect(&self, caller: &Caller, token: &Token) -> Option<Inspected> {
        let inspected = self.life.introspect(caller, token, SystemClock.now())?;
        let issuer = self.life.tasks().issuer().name().to_owned();
        let grant = inspected.lent.grant;
        let kind = if inspected.audience.is_some() { Kind::Access } else { Kind::Task };
        Some(Inspected {
            subject: grant.parties.principal.id.into(),
            audience: inspected.audience.unwrap_or_else(|| issuer.clone()),
            expires_s: grant.expires_s,
            issued_s: grant.started_s,
            task: grant.id.to_string(),
            agent: grant.parties.actor.map(|actor| actor.id.into()),
            earlier_actors: grant.parties.earlier_actors.into_iter().map(|actor| actor.id.into()).collect(),
            key_thumbprint: grant.key,
            kind,
            issuer,
        })
    }

    fn turned_away(&self, caller: &Caller, call: &str, words: &str) {
        if let Err(error) = self.life.tell_turned_away(caller, (call, words), SystemClock.now()) {
            tracing::warn!(error = &error as &dyn std::error::Error, "a refusal was not recorded");
        }
    }

    fn caller(&self, authorization: Option<&str>, peer: &Peer) -> Result<Arc<Caller>, UnknownCaller> {
        let now_s = SystemClock.now().seconds();
        self.callers.identify(authorization, peer, &self.life.pdp().trusted(), now_s).cloned()
    }
}
