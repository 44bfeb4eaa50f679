//! The signed token of a task: where a grant came from, for anybody who has our public keys.
//! Never authority: whether it still counts is what `Authorize` answers now.

use serde::{Deserialize, Serialize};

use super::grant::{Grant, Parties};
use super::scope::Scope;
use super::{DEPTH_MAX, TaskId};
use crate::identity::{Keys, SigningFault, SigningKey, Token, TokenFault, open_own};
use crate::value::Uid;

/// `typ` of a task token.
pub const TASK_TOKEN: &str = "palisade-task+jwt";

/// Why the token of a task is not accepted. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskTokenFault {
    /// It is not signed by us, or not a token of a task.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// It is signed by us and made for another server, or by another version.
    #[error("is a task's of another server (`iss`, `aud`), or of another version of this one")]
    Foreign,
}

/// The claims (RFC 7519, RFC 8693, RFC 7800) of a task token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
    txn: TaskId,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    task: Task,
}

/// RFC 8693, section 4.1: who acts, and inside who acted before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Act>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jkt: String,
}

/// What no registered claim says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    principal: Entity,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Entity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier_actors: Vec<Entity>,
    purpose: Entity,
    #[serde(default)]
    scope: Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_max: Option<u64>,
    ceiling: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ancestors: Vec<TaskId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl From<&Uid> for Entity {
    fn from(uid: &Uid) -> Self {
        Self { kind: uid.kind.clone(), id: uid.id.clone() }
    }
}

impl From<Entity> for Uid {
    fn from(Entity { kind, id }: Entity) -> Self {
        Self { kind, id }
    }
}

/// The token of a grant. `issuer` is this server's name, and its audience.
///
/// # Errors
/// [`SigningFault`].
pub fn sign(grant: &Grant, issuer: &str, key: &SigningKey) -> Result<String, SigningFault> {
    let Grant {
        id,
        ancestors,
        parties,
        purpose,
        scope,
        calls_max,
        started_s,
        expires_s,
        ceiling_s,
        key: bound,
    } = grant;
    let Parties { principal, actor, earlier_actors } = parties;
    let acted = actor.iter().chain(earlier_actors).rev();
    let act = acted.fold(None, |inner: Option<Act>, actor| {
        Some(Act { sub: actor.id.clone(), act: inner.map(Box::new) })
    });
    let claims = Claims {
        iss: issuer.to_owned(),
        aud: issuer.to_owned(),
        sub: principal.id.clone(),
        act,
        txn: *id,
        iat: *started_s,
        exp: *expires_s,
        cnf: bound.as_ref().map(|key| Confirmation { jkt: key.clone() }),
        task: Task {
            principal: principal.into(),
            actor: actor.as_ref().map(Entity::from),
            earlier_actors: earlier_actors.iter().map(Entity::from).collect(),
            purpose: purpose.into(),
            scope: scope.clone(),
            calls_max: *calls_max,
            ceiling: *ceiling_s,
            ancestors: ancestors.clone(),
        },
    };
    let claims = serde_json::to_vec(&claims).map_err(|_| SigningFault::Signature)?;
    key.sign(TASK_TOKEN, &claims)
}

/// The grant that a token is of. Its time and whether it still stands are for who asked.
///
/// # Errors
/// [`TaskTokenFault`].
pub fn read(token: &Token, issuer: &str, keys: &Keys) -> Result<Grant, TaskTokenFault> {
    let claims = open_own(token, keys, TASK_TOKEN)?;
    // We have signed it: what we cannot read is of another version, and grants nothing here.
    let Claims { iss, aud, sub, act: _, txn, iat, exp, cnf, task } =
        serde_json::from_slice(&claims).map_err(|_| TaskTokenFault::Foreign)?;
    let Task { principal, actor, earlier_actors, purpose, scope, calls_max, ceiling, ancestors } = task;
    if iss != issuer || aud != issuer || sub != principal.id || ancestors.len() > DEPTH_MAX {
        return Err(TaskTokenFault::Foreign);
    }
    Ok(Grant {
        id: txn,
        ancestors,
        parties: Parties {
            principal: principal.into(),
            actor: actor.map(Uid::from),
            earlier_actors: earlier_actors.into_iter().map(Uid::from).collect(),
        },
        purpose: purpose.into(),
        scope,
        calls_max,
        started_s: iat,
        expires_s: exp,
        ceiling_s: ceiling,
        key: cnf.map(|Confirmation { jkt }| jkt),
    })
}
