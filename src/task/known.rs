//! A token of a task, verified, beside the task that it is of.
//! Never says that the task still stands: that is asked at each use.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Basis;
use super::basis::Lent;
use super::head::Head;
use crate::identity::{Confirmation, Person, TokenKind, Verified};
use crate::value::Value;

/// A token of a task that was verified, and the task that it is of.
#[derive(Debug)]
pub struct Known {
    /// What the token says was lent.
    pub lent: Lent,
    /// The task.
    pub head: Arc<Head>,
    /// The token as one among others.
    pub verified: Arc<Verified>,
    /// The MCP server that it is for, by its audience.
    pub audience: Option<String>,
    /// The key that signed it.
    pub kid: String,
    drifted: ArcSwapOption<(Arc<str>, bool)>,
}

impl Known {
    pub(super) fn new(
        lent: Lent,
        head: Arc<Head>,
        audience: Option<String>,
        kid: String,
        issuer: &str,
    ) -> Self {
        let verified = Arc::new(as_token(&lent, issuer));
        Self { lent, head, verified, audience, kid, drifted: ArcSwapOption::empty() }
    }

    /// What came of deciding again under a bundle, if that was done.
    pub fn would_start(&self, revision: &str) -> Option<bool> {
        let drifted = self.drifted.load();
        drifted.as_ref().filter(|known| *known.0 == *revision).map(|known| known.1)
    }

    /// Remembers what came of deciding again.
    pub fn remember(&self, revision: Arc<str>, would_start: bool) {
        self.drifted.store(Some(Arc::new((revision, would_start))));
    }
}

/// A task's token as policies and records see it: it inherits from the token that started the task how the person signed in.
fn as_token(lent: &Lent, issuer: &str) -> Verified {
    let Lent { grant, basis } = lent;
    let Basis { token, described, .. } = basis;
    let person = Person { uid: grant.parties.principal.clone(), described: described.clone() };
    let said = |name: &str| match token {
        Some(Value::Record(members)) => members.get(name),
        _ => None,
    };
    let acr = match said("acr") {
        Some(Value::String(acr)) => Some(acr.to_string()),
        _ => None,
    };
    let amr = match said("amr") {
        Some(Value::Set(means)) => means.iter().filter_map(text).collect(),
        _ => vec![],
    };
    Verified {
        issuer: issuer.into(),
        kind: TokenKind::Task,
        subject: grant.parties.principal.id.to_string(),
        id: Some(grant.id.to_string()),
        clients: vec![],
        session: None,
        audience: vec![issuer.to_owned()],
        expires_s: grant.expires_s,
        not_before_s: None,
        issued_s: Some(grant.started_s),
        scopes: vec![],
        acr,
        amr,
        confirmation: Confirmation { jkt: grant.key.clone(), x5t: None },
        person: Some(person),
        agent: None,
        actors: vec![],
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    }
}
