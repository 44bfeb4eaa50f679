//! The signed token of a task: where a grant came from, for anybody who has our public keys.
//! Never authority: whether it still counts is what `Authorize` answers now.

use serde::{Deserialize, Serialize};

use super::basis::{Basis, Lent};
use super::grant::{Grant, Parties};
use super::kept::{Entity, KeptBasis};
use super::scope::Scope;
use super::{DEPTH_MAX, TaskId};
use crate::identity::{Opened, OwnIssuer, SigningFault, Token, TokenFault, open_own};
use crate::value::Uid;

/// `typ` of a task token.
pub const TASK_TOKEN: &str = "palisade-task+jwt";
/// `typ` of an access token for one MCP server (RFC 9068, section 2.1).
pub const ACCESS_TOKEN: &str = "at+jwt";

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
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<KeptBasis>,
}

/// Whom a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For<'a> {
    /// This server itself.
    Us,
    /// One MCP server.
    Server {
        /// Its audience.
        audience: &'a str,
        /// A name of the token's own (`jti`).
        token_id: &'a str,
    },
}

/// What a token of ours says.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// What was granted.
    pub grant: Grant,
    /// What that rested on; none in a token for an MCP server.
    pub basis: Option<Basis>,
    /// The MCP server that it is for, by its audience; none when it is for us.
    pub audience: Option<String>,
    /// The name of the key that signed it.
    pub kid: String,
}

/// A token of what was lent. One for an MCP server does not say what the grant rested on.
///
/// # Errors
/// [`SigningFault`].
pub fn sign(lent: &Lent, to: For<'_>, issuer: &OwnIssuer) -> Result<String, SigningFault> {
    let claims = serde_json::to_vec(&claims(lent, to, issuer)).map_err(|_| SigningFault::Signature)?;
    let typ = match to {
        For::Us => TASK_TOKEN,
        For::Server { .. } => ACCESS_TOKEN,
    };
    issuer.signing().sign(typ, &claims)
}

/// The claims that a token or the state holds.
fn claims(lent: &Lent, to: For<'_>, issuer: &OwnIssuer) -> Claims {
    let Lent { grant, basis } = lent;
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
        Some(Act { sub: actor.id.to_string(), act: inner.map(Box::new) })
    });
    let (aud, jti, client_id, basis) = match to {
        For::Us => (issuer.name(), None, None, Some(KeptBasis::from(basis))),
        For::Server { audience, token_id } => {
            let client = actor.as_ref().unwrap_or(principal);
            (audience, Some(token_id.to_owned()), Some(client.id.to_string()), None)
        }
    };
    Claims {
        iss: issuer.name().to_owned(),
        aud: aud.to_owned(),
        sub: principal.id.to_string(),
        act,
        txn: *id,
        jti,
        client_id,
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
            basis,
        },
    }
}

/// What was lent, as the state keeps it: the claims of its token.
///
/// # Errors
/// [`SigningFault`] when it has no such form.
pub fn keep(lent: &Lent, issuer: &OwnIssuer) -> Result<Box<serde_json::value::RawValue>, SigningFault> {
    serde_json::value::to_raw_value(&claims(lent, For::Us, issuer)).map_err(|_| SigningFault::Signature)
}

/// What was lent, out of what [`keep`] wrote; none when it is of another version.
pub fn kept(text: &str) -> Option<Lent> {
    let read = understood(serde_json::from_str(text).ok()?)?;
    Some(Lent { grant: read.grant, basis: read.basis? })
}

/// What a token says that we have signed. Its time and whether it still stands are for who asked.
///
/// # Errors
/// [`TaskTokenFault`].
pub fn read(token: &Token, issuer: &OwnIssuer) -> Result<Read, TaskTokenFault> {
    let (opened, for_us) = match open_own(token, issuer.keys(), TASK_TOKEN) {
        Ok(opened) => (opened, true),
        Err(TokenFault::WrongType { .. }) => (open_own(token, issuer.keys(), ACCESS_TOKEN)?, false),
        Err(fault) => return Err(fault.into()),
    };
    let Opened { claims, kid } = opened;
    // We have signed it: what we cannot read is of another version, and grants nothing here.
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TaskTokenFault::Foreign)?;
    if claims.iss != issuer.name() || (claims.aud == issuer.name()) != for_us {
        return Err(TaskTokenFault::Foreign);
    }
    let read = understood(claims).ok_or(TaskTokenFault::Foreign)?;
    if for_us != read.basis.is_some() {
        return Err(TaskTokenFault::Foreign);
    }
    Ok(Read { audience: read.audience.filter(|_| !for_us), kid, ..read })
}

fn understood(claims: Claims) -> Option<Read> {
    let Claims { iss: _, aud, sub, act: _, txn, jti: _, client_id: _, iat, exp, cnf, task } = claims;
    let Task { principal, actor, earlier_actors, purpose, scope, calls_max, ceiling, ancestors, basis } =
        task;
    let principal = Uid::from(principal);
    if sub != principal.id || ancestors.len() > DEPTH_MAX {
        return None;
    }
    let grant = Grant {
        id: txn,
        ancestors,
        parties: Parties {
            principal,
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
    };
    Some(Read { grant, basis: basis.map(Basis::from), audience: Some(aud), kid: String::new() })
}
