//! Who asks, as a gateway passes it on: tokens in headers, claims that it has verified, the workload of the connection.
//! Never believes a claim of an issuer whose claims this gateway is not believed about, nor of a caller without `assert`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD as STANDARD, BASE64_URL_SAFE_NO_PAD};
use prost_types::value::Kind;
use prost_types::{Struct, Value as Plain};
use sha2::{Digest as _, Sha256};

use crate::access::Timestamp;
use crate::identity::{
    AgentName, Caller, Claim, Credentials, Proof, Role, SpiffeId, TOKEN_BYTES_MAX, Token, Trust,
};
use crate::pdp::Vocabulary;
use crate::value::{Uid, Value};

use super::exchange::Exchange;
use super::refusal::Unreadable;

/// Where Envoy's filter puts what it has verified, below a name of the operator's choice.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
/// The header with the token of a task. It is taken out before the request goes on.
pub(super) const TASK_TOKEN: &str = "palisade-task";
/// How deep claims may nest.
const CLAIMS_DEPTH_MAX: usize = 16;
/// Whole numbers beyond this are not exact where they come from.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Who asks.
#[derive(Debug, Default)]
pub(super) struct Parties {
    pub(super) credentials: Credentials,
    pub(super) claim: Option<Claim>,
}

/// What parties are held against.
pub(super) struct Known<'a> {
    pub(super) names: Vocabulary<'a>,
    pub(super) trust: &'a Trust,
    pub(super) caller: &'a Caller,
    /// The issuers whose claims a gateway may have verified.
    pub(super) issuers: &'a BTreeSet<String>,
    pub(super) audience: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl Parties {
    pub(super) fn read(exchange: &Exchange, known: &Known<'_>) -> Result<Self, Unreadable> {
        let subject = exchange.headers.one("authorization")?.map(authorization).transpose()?;
        let task = exchange.headers.one(TASK_TOKEN)?.map(token).transpose()?;
        let proof = match exchange.headers.one("dpop")?.map(token).transpose()? {
            Some(proof) => Some(Proof::Dpop { proof, method: exchange.method.clone(), url: exchange.url() }),
            None if known.caller.may(Role::Attest) && (subject.is_some() || task.is_some()) => {
                thumbprint(&exchange.certificate).map(Proof::Certificate)
            }
            None => None,
        };
        let credentials =
            Credentials { subject, actor: None, task, proof, workload: SpiffeId::parse(&exchange.peer).ok() };
        let believed = exchange.metadata.get(JWT_AUTHN).filter(|_| known.caller.may(Role::Assert));
        let claim = match believed {
            Some(metadata) => said(metadata, known)?,
            None => None,
        };
        Ok(Self { credentials, claim })
    }
}

/// The SHA-256 of a certificate as RFC 8705 (section 3.1) has it, in base64url; none when there is no certificate to read.
fn thumbprint(percent_encoded: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut bytes = percent_encoded.bytes();
    let mut pem = Vec::with_capacity(percent_encoded.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            pem.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            pem.push(byte);
        }
    }
    let pem = String::from_utf8(pem).ok()?;
    let (text, rest) = pem.trim().strip_prefix(BEGIN)?.split_once(END)?;
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).ok().filter(|der| !der.is_empty() && rest.is_empty())?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(der)))
}

/// The token of a header.
fn token(text: &str) -> Result<Token, Unreadable> {
    let fits = (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    fits.then(|| Token::new(text))
        .ok_or_else(|| Unreadable::request("a header holds no token where one must be"))
}

/// `Bearer` or `DPoP`, and a token (RFC 6750, section 2.1; RFC 9449, section 7.1).
fn authorization(text: &str) -> Result<Token, Unreadable> {
    match text.split_once(' ') {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("dpop") =>
        {
            token(rest.trim_start())
        }
        _ => Err(Unreadable::request("`Authorization` must be `Bearer` or `DPoP`, and a token")),
    }
}

/// The parties of the claims that the gateway has verified, if it is believed about their issuer.
fn said(metadata: &Struct, known: &Known<'_>) -> Result<Option<Claim>, Unreadable> {
    let mut found = None;
    for payload in metadata.fields.values() {
        let Some(Kind::StructValue(payload)) = &payload.kind else { continue };
        let Some(Kind::StringValue(issuer)) = payload.fields.get("iss").and_then(|iss| iss.kind.as_ref())
        else {
            continue;
        };
        if !known.issuers.contains(issuer) {
            continue;
        }
        if found.is_some() {
            return Err(Unreadable::request("the gateway has verified two tokens; send one"));
        }
        found = Some(payload);
    }
    found.map(|payload| claim(payload, known)).transpose()
}

fn claim(payload: &Struct, known: &Known<'_>) -> Result<Claim, Unreadable> {
    let refused = |fault: &dyn std::fmt::Display| {
        Unreadable::request(format!("the token that the gateway has verified {fault}"))
    };
    let claims = members(payload, CLAIMS_DEPTH_MAX).ok_or_else(|| refused(&"cannot be read exactly"))?;
    let verified =
        known.trust.claimed(claims, known.audience, known.now.seconds()).map_err(|fault| refused(&fault))?;
    let agent = |name: &AgentName| {
        let found = known.names.agent_of(name).cloned();
        found.ok_or_else(|| refused(&"names an agent that is not registered"))
    };
    let mut actors = verified.actors.iter().map(agent);
    let current = actors.next().transpose()?;
    let earlier_actors = actors.collect::<Result<Vec<Uid>, _>>()?;
    let (principal, actor) = match (verified.person, &verified.agent) {
        (Some(person), client) => {
            let client = client.as_ref().filter(|_| current.is_none()).map(agent).transpose()?;
            (person.uid, current.or(client))
        }
        (None, Some(name)) => (agent(name)?, current),
        (None, None) => return Err(refused(&"names nobody")),
    };
    Ok(Claim { principal, actor, earlier_actors })
}

fn members(object: &Struct, depth: usize) -> Option<BTreeMap<String, Value>> {
    let depth = depth.checked_sub(1)?;
    object.fields.iter().map(|(name, plain)| Some((name.clone(), value(plain, depth)?))).collect()
}

/// A value as JSON; none for what is not exact.
fn value(plain: &Plain, depth: usize) -> Option<Value> {
    match plain.kind.as_ref()? {
        Kind::NullValue(_) => Some(Value::Null),
        Kind::BoolValue(flag) => Some(Value::Bool(*flag)),
        Kind::StringValue(text) => Some(Value::String(text.clone())),
        Kind::NumberValue(number) => {
            let whole = number.fract() == 0.0 && number.abs() < EXACT_MAX;
            Some(if whole {
                Value::Long(format!("{number:.0}").parse().ok()?)
            } else {
                Value::Number(number.to_string())
            })
        }
        Kind::StructValue(object) => members(object, depth).map(Value::Record),
        Kind::ListValue(list) => {
            let depth = depth.checked_sub(1)?;
            list.values.iter().map(|item| value(item, depth)).collect::<Option<Vec<_>>>().map(Value::Set)
        }
    }
}
