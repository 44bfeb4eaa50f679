//! Proof that who sends a token holds the key that it is bound to: `DPoP` (RFC 9449), and what a PEP attests.
//! Never takes a proof twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::credential::{Proof, Token};
use super::fault::{ProofFault, TokenFault};
use super::jwt::{self, KeyInHeader};
use super::keys::{public_key, thumbprint};
use super::verify::Confirmation;
use super::{Caller, Role};
use crate::value::{Members, Value};

/// How old a proof may be, in seconds.
pub const PROOF_WINDOW_S: i64 = 60;
/// How far a proof's instant may be ahead of ours, in seconds.
const PROOF_AHEAD_S: i64 = 5;
/// The longest `jti`.
const ID_BYTES_MAX: usize = 256;
/// The modulus of a proof's RSA key: 4096 bits in base64.
const RSA_LETTERS_MAX: usize = 683;
/// How many proofs are remembered.
pub const PROOFS_MAX: usize = 200_000;

/// Who saw the proof that the holder of a token has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// This server verified it.
    Pdp,
    /// The PEP says that it did, and may say so.
    Pep,
    /// Nobody: a bearer token.
    None,
}

impl Binding {
    /// As policies see it in `context.token.binding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdp => "pdp",
            Self::Pep => "pep",
            Self::None => "none",
        }
    }
}

/// Proofs that were used, for as long as they could be used again.
#[derive(Debug, Default)]
pub struct Proofs {
    used: Mutex<Used>,
    /// Since when they are remembered, in seconds: what was made before may have been used before.
    since_s: Option<i64>,
}

#[derive(Debug, Default)]
struct Used {
    /// Until when each is remembered.
    until_s: HashMap<[u8; 32], i64>,
    /// When those that are over were last looked for.
    swept_s: Option<i64>,
}

impl Proofs {
    /// None are known of the time before.
    pub fn since(now_s: i64) -> Self {
        Self { used: Mutex::default(), since_s: Some(now_s) }
    }

    /// Remembers a proof until `until_s`, unless it was used before.
    fn take(&self, proof: [u8; 32], now_s: i64, until_s: i64) -> Result<(), ProofFault> {
        // Nothing panics while it is held.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Used { until_s: used, swept_s } = &mut *used;
        if used.get(&proof).is_some_and(|until| *until >= now_s) {
            return Err(ProofFault::Replayed);
        }
        // All of them are looked at while calls wait: not more than once a second.
        if used.len() >= PROOFS_MAX && *swept_s != Some(now_s) {
            used.retain(|_, until| *until >= now_s);
            *swept_s = Some(now_s);
        }
        if used.len() >= PROOFS_MAX {
            return Err(ProofFault::Full);
        }
        used.insert(proof, until_s);
        Ok(())
    }
}

/// What the proof of a request shows about the key of its token. None when the token is bound and there is no proof.
pub(super) fn check(
    bound: &Confirmation,
    token: Option<&Token>,
    proof: Option<&Proof>,
    caller: &Caller,
    proofs: &Proofs,
    now_s: i64,
) -> Result<Option<Binding>, ProofFault> {
    let free = bound.is_none();
    match proof {
        None => Ok(free.then_some(Binding::None)),
        Some(Proof::Dpop { proof, method, url }) => {
            let shown = dpop(proof, method, url, token, bound, now_s)?;
            if bound.jkt.is_none() {
                return Ok(free.then_some(Binding::None));
            }
            only_key(bound)?;
            if let Some(since_s) = proofs.since_s.filter(|since_s| shown.made_s < *since_s) {
                return Err(ProofFault::BeforeStart { ago_s: now_s.saturating_sub(since_s) });
            }
            // Only now: nobody fills the memory with proofs of keys of their own.
            proofs.take(shown.id, now_s, shown.made_s.saturating_add(PROOF_WINDOW_S))?;
            Ok(Some(Binding::Pdp))
        }
        Some(Proof::Key(key)) => attested(bound.jkt.as_deref(), key, free, caller, bound),
        Some(Proof::Certificate(thumbprint)) => {
            attested(bound.x5t.as_deref(), thumbprint, free, caller, bound)
        }
    }
}

fn attested(
    bound: Option<&str>,
    shown: &str,
    free: bool,
    caller: &Caller,
    confirmation: &Confirmation,
) -> Result<Option<Binding>, ProofFault> {
    if !caller.may(Role::Attest) {
        return Err(ProofFault::NotAttested { caller: caller.name.clone() });
    }
    match bound {
        Some(bound) if bound == shown => only_key(confirmation).map(|()| Some(Binding::Pep)),
        Some(_) => Err(ProofFault::AnotherKey),
        None => Ok(free.then_some(Binding::None)),
    }
}

/// A token that is bound to two keys would need two proofs.
fn only_key(bound: &Confirmation) -> Result<(), ProofFault> {
    match bound {
        Confirmation { jkt: Some(_), x5t: Some(_) } => Err(ProofFault::AnotherKey),
        Confirmation { .. } => Ok(()),
    }
}

/// A proof that holds, as long as it was not used before.
struct Shown {
    /// What it is remembered by.
    id: [u8; 32],
    /// When it was made.
    made_s: i64,
}

/// Verifies a proof (RFC 9449, section 4.3), but for its first use. The signature comes last: its key is chosen by who sends
/// it, and so is how long the verification takes.
fn dpop(
    proof: &Token,
    method: &str,
    url: &str,
    token: Option<&Token>,
    bound: &Confirmation,
    now_s: i64,
) -> Result<Shown, ProofFault> {
    let jws = jwt::parse(proof.expose(), KeyInHeader::Required)?;
    if !jws.header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
        return Err(TokenFault::WrongType { expected: "`dpop+jwt`".into() }.into());
    }
    let Some(Value::Record(key)) = &jws.header.jwk else { return Err(ProofFault::Key) };
    let thumbprint = thumbprint(key).ok_or(ProofFault::Key)?;
    if is_slow(key) {
        return Err(ProofFault::Key);
    }
    let public = public_key(key).map_err(|_| ProofFault::Key)?;
    if bound.jkt.as_ref().is_some_and(|jkt| *jkt != thumbprint) {
        return Err(ProofFault::AnotherKey);
    }
    let claims = &jws.claims;
    if claims.required("htm")? != method {
        return Err(ProofFault::Method);
    }
    if !same_target(claims.required("htu")?, url) {
        return Err(ProofFault::Url);
    }
    if let Some(token) = token
        && claims.required("ath")? != BASE64_URL_SAFE_NO_PAD.encode(token.digest())
    {
        return Err(ProofFault::AccessToken);
    }
    let made_s = claims.required_instant("iat")?;
    let ago_s = now_s.saturating_sub(made_s);
    if ago_s > PROOF_WINDOW_S {
        return Err(ProofFault::Stale { ago_s, window_s: PROOF_WINDOW_S });
    }
    if ago_s < -PROOF_AHEAD_S {
        return Err(TokenFault::NotYetValid { claim: "iat", in_s: ago_s.saturating_neg() }.into());
    }
    let id = claims.required("jti")?;
    if id.len() > ID_BYTES_MAX {
        return Err(TokenFault::claim("jti", "short enough").into());
    }
    let mut name = Sha256::new();
    name.update(thumbprint.as_bytes());
    name.update(id.as_bytes());
    public.verify_own(&jws)?;
    Ok(Shown { id: name.finalize().into(), made_s })
}

/// Whether a key takes long to verify with: an RSA key beyond 4096 bits, or with another exponent than the usual one.
fn is_slow(key: &Members) -> bool {
    let text = |name| match key.get(name) {
        Some(Value::String(text)) => text.as_str(),
        _ => "",
    };
    text("kty") == "RSA" && (text("n").len() > RSA_LETTERS_MAX || text("e") != "AQAB")
}

/// Whether two URLs are the same without query and fragment, after the normalization of RFC 3986, section 6.2.
fn same_target(said: &str, asked: &str) -> bool {
    let target = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    // `htu` itself has neither (RFC 9449, section 4.2).
    !said.contains(['?', '#']) && target(said).is_some() && target(said) == target(asked)
}
