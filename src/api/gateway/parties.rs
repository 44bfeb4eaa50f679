//! Who asks, as a gateway passes it on: tokens in headers, claims that it has verified, the workload of the connection.
//! Never believes a claim of an issuer whose claims this gateway is not believed about, nor of a caller without `assert`.

use std::collections::BTreeSet;

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
use crate::value::{Members, Uid, Value};

use super::Unreadable;

/// The header with the token of a task. It is taken out before the request goes on.
pub(in crate::api) const TASK_TOKEN: &str = "palisade-task";
/// How deep claims may nest.
const CLAIMS_DEPTH_MAX: usize = 16;
/// Whole numbers beyond this are not exact where they come from.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct Parties {
    pub(in crate::api) credentials: Credentials,
    pub(in crate::api) claim: Option<Claim>,
}

/// What a gateway passes on of who asks.
#[derive(Debug, Default)]
pub(in crate::api) struct Brought<'a> {
    /// As the header `Authorization` has it.
    pub(in crate::api) authorization: Option<&'a str>,
    /// The token of a task.
    pub(in crate::api) task: Option<&'a str>,
    /// A proof of possession, for a request with this method to this URL.
    pub(in crate::api) dpop: Option<&'a str>,
    pub(in crate::api) method: &'a str,
    pub(in crate::api) url: String,
    /// The certificate of the client's connection in PEM, percent-encoded; empty when there is none.
    pub(in crate::api) certificate: &'a str,
    /// The SPIFFE ID that it proves.
    pub(in crate::api) workload: &'a str,
    /// The claims of the tokens that the gateway has verified itself.
    pub(in crate::api) claims: Vec<&'a Struct>,
}

/// What parties are held against.
pub(in crate::api) struct Known<'a> {
    pub(in crate::api) names: Vocabulary<'a>,
    pub(in crate::api) trust: &'a Trust,
    pub(in crate::api) caller: &'a Caller,
    /// The issuers whose claims a gateway may have verified.
    pub(in crate::api) issuers: &'a BTreeSet<String>,
    pub(in crate::api) audience: Option<&'a str>,
    pub(in crate::api) now: Timestamp,
}

impl Parties {
    pub(in crate::api) fn read(brought: &Brought<'_>, known: &Known<'_>) -> Result<Self, Unreadable> {
        let subject = brought.authorization.map(authorization).transpose()?;
        let task = brought.task.map(token).transpose()?;
        let proof = match brought.dpop.map(token).transpose()? {
            Some(proof) => {
                Some(Proof::Dpop { proof, method: brought.method.to_owned(), url: brought.url.clone() })
            }
            None if known.caller.may(Role::Attest) && (subject.is_some() || task.is_some()) => {
                thumbprint(brought.certificate).map(Proof::Certificate)
            }
            None => None,
        };
        let workload = SpiffeId::parse(brought.workload).ok();
        let credentials = Credentials { subject, actor: None, task, proof, workload };
        let claim = if known.caller.may(Role::Assert) { said(&brought.claims, known)? } else { None };
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
fn said(claims: &[&Struct], known: &Known<'_>) -> Result<Option<Claim>, Unreadable> {
    let believed = |payload: &&&Struct| match payload.fields.get("iss").and_then(|iss| iss.kind.as_ref()) {
        Some(Kind::StringValue(issuer)) => known.issuers.contains(issuer),
        _ => false,
    };
    let mut believed = claims.iter().filter(believed);
    match (believed.next(), believed.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => claim(only, known).map(Some),
        (Some(_), Some(_)) => Err(Unreadable::request("the gateway has verified two tokens; send one")),
    }
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

fn members(object: &Struct, depth: usize) -> Option<Members> {
    let depth = depth.checked_sub(1)?;
    object.fields.iter().map(|(name, plain)| Some((name.into(), value(plain, depth)?))).collect()
}

/// A value as JSON; none for what is not exact.
fn value(plain: &Plain, depth: usize) -> Option<Value> {
    match plain.kind.as_ref()? {
        Kind::NullValue(_) => Some(Value::Null),
        Kind::BoolValue(flag) => Some(Value::Bool(*flag)),
        Kind::StringValue(text) => Some(Value::String(text.into())),
        Kind::NumberValue(number) => {
            let whole = number.fract() == 0.0 && number.abs() < EXACT_MAX;
            Some(if whole {
                Value::Long(format!("{number:.0}").parse().ok()?)
            } else {
                Value::Number(number.to_string().into())
            })
        }
        Kind::StructValue(object) => members(object, depth).map(Value::Record),
        Kind::ListValue(list) => {
            let depth = depth.checked_sub(1)?;
            list.values.iter().map(|item| value(item, depth)).collect::<Option<Vec<_>>>().map(Value::Set)
        }
    }
}
