//! The public keys of an issuer, from a JSON Web Key Set (RFC 7517): each pinned to what it may sign with.
//! Never takes a secret or private key, and never one that is too weak.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use sha2::{Digest, Sha256};

use super::fault::TokenFault;
use super::jwt::{Algorithm, Jws};
use crate::json;
use crate::value::{Members, Value};

/// The longest set of keys that is read, in bytes.
pub const KEYS_BYTES_MAX: usize = 256 * 1024;
/// How many keys of one set are kept.
const KEYS_MAX: usize = 100;
/// The longest name of a key.
const KID_BYTES_MAX: usize = 512;
/// The lengths of RSA moduli that are taken, in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The two y of points of order 8 on edwards25519.
const ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const JSON_LIMITS: json::Limits = json::Limits { bytes_max: KEYS_BYTES_MAX, depth_max: 8, nodes_max: 16_384 };

/// Why a set of keys is refused as a whole. The words continue "the keys …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// Not JSON.
    #[error("are no JSON: {0}")]
    Json(#[from] json::JsonError),
    /// Not a key set.
    #[error("are no JSON Web Key Set: an object with a list `keys`")]
    NotASet,
    /// More keys than are kept.
    #[error("are {count}, more than {KEYS_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// None can be used.
    #[error("hold no public key that can be used here: {}", .passed_over.join("; "))]
    NoneUsable {
        /// Why each was passed over.
        passed_over: Vec<String>,
    },
}

/// What the keys of a set are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// An issuer's signatures: `use` is `sig`, or is not said.
    Signatures,
    /// A trust domain's JWT-SVIDs: `use` is `jwt-svid` (SPIFFE Trust Domain and Bundle, section 4.2.2).
    JwtSvid,
    /// The same, out of the SPIFFE Workload API: `use` is `jwt-svid`, or is not said, as SPIRE does it.
    JwtBundle,
}

/// A public key.
pub(super) struct Key {
    verifier: Verifier,
    /// What it may sign with. Several only for RSA keys whose set does not say.
    algorithms: Vec<Algorithm>,
}

/// What verifies with a key.
enum Verifier {
    /// A point on a curve, for one algorithm.
    Curve(ParsedPublicKey),
    /// An RSA key, for several.
    Rsa(DecodingKey),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// The keys of one issuer.
#[derive(Debug, Default)]
pub struct Keys {
    named: HashMap<String, Vec<Key>>,
    unnamed: Vec<Key>,
    /// Names of keys that sign with no algorithm that is allowed.
    disallowed: HashSet<String>,
    /// Why keys were passed over, in words.
    passed_over: Vec<String>,
}

impl Keys {
    /// Reads a JSON Web Key Set. Keys that cannot be used are passed over, so that an issuer can publish further kinds.
    ///
    /// # Errors
    /// [`KeysFault`] when it is no set, or holds nothing that can be used.
    pub fn parse(document: &[u8], keys_use: Use, algorithms: &[Algorithm]) -> Result<Self, KeysFault> {
        let Value::Record(mut set) = json::parse(document, JSON_LIMITS)? else {
            return Err(KeysFault::NotASet);
        };
        let Some(Value::Set(items)) = set.remove("keys") else { return Err(KeysFault::NotASet) };
        if items.len() > KEYS_MAX {
            return Err(KeysFault::TooMany { count: items.len() });
        }
        let mut keys = Self::default();
        for (at, item) in items.iter().enumerate() {
            if let Err(why) = keys.add(item, keys_use, algorithms) {
                keys.passed_over.push(format!("the key at {at} {why}"));
            }
        }
        if keys.is_empty() {
            return Err(KeysFault::NoneUsable { passed_over: keys.passed_over });
        }
        Ok(keys)
    }

    fn add(&mut self, item: &Value, keys_use: Use, allowed: &[Algorithm]) -> Result<(), &'static str> {
        let Value::Record(members) = item else { return Err("is no object") };
        let said = text(members, "use")?;
        match (keys_use, said) {
            (Use::Signatures, None | Some("sig")) | (Use::JwtSvid, Some("jwt-svid")) => {}
            (Use::JwtBundle, None | Some("jwt-svid")) => {}
            (Use::Signatures | Use::JwtSvid | Use::JwtBundle, _) => return Err("is for another use (`use`)"),
        }
        match members.get("key_ops") {
            None => {}
            Some(Value::Set(operations)) if operations.contains(&Value::String("verify".into())) => {}
            Some(_) => return Err("is not for verifying (`key_ops`)"),
        }
        let mut key = public_key(members)?;
        key.algorithms.retain(|algorithm| allowed.contains(algorithm));
        if key.algorithms.is_empty() {
            self.disallowed.extend(text(members, "kid")?.map(str::to_owned));
            return Err("signs with no algorithm of the configured `algorithms`");
        }
        match text(members, "kid")? {
            Some(kid) if kid.len() > KID_BYTES_MAX => return Err("has too long a `kid`"),
            Some(kid) => self.named.entry(kid.to_owned()).or_default().push(key),
            None => self.unnamed.push(key),
        }
        Ok(())
    }

    /// How many can be used.
    pub fn len(&self) -> usize {
        self.named.values().map(Vec::len).sum::<usize>() + self.unnamed.len()
    }

    /// Whether none can be used.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why keys were passed over, in words.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Verifies the signature of a token with the key that it names.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), TokenFault> {
        let algorithm = jws.header.algorithm;
        let keys: Vec<&Key> = match &jws.header.kid {
            Some(kid) => self.named.get(kid).map(|keys| keys.iter().collect()).unwrap_or_default(),
            None => self.named.values().flatten().chain(&self.unnamed).collect(),
        };
        if keys.is_empty() && jws.header.kid.as_ref().is_some_and(|kid| self.disallowed.contains(kid)) {
            return Err(TokenFault::WrongAlgorithm { algorithm });
        }
        if keys.is_empty() {
            return Err(if self.is_empty() { TokenFault::NoKeys } else { TokenFault::UnknownKey });
        }
        let fitting: Vec<&Key> = keys.into_iter().filter(|key| key.algorithms.contains(&algorithm)).collect();
        match (fitting.as_slice(), &jws.header.kid) {
            ([], _) => Err(TokenFault::WrongAlgorithm { algorithm }),
            ([_, _, ..], None) => Err(TokenFault::KeyNotNamed),
            // A set may hold two keys of one name while it is being rotated.
            (some, _) if some.iter().any(|key| key.verify(jws, algorithm).is_ok()) => Ok(()),
            (_, _) => Err(TokenFault::Signature),
        }
    }
}

impl Key {
    fn verify(&self, jws: &Jws<'_>, algorithm: Algorithm) -> Result<(), TokenFault> {
        let holds = match &self.verifier {
            Verifier::Curve(key) => BASE64_URL_SAFE_NO_PAD
                .decode(jws.signature)
                .is_ok_and(|signature| key.verify_sig(jws.signed, &signature).is_ok()),
            Verifier::Rsa(key) => {
                let library = algorithm.of_the_library();
                jsonwebtoken::crypto::verify(jws.signature, jws.signed, key, library).unwrap_or(false)
            }
        };
        if holds { Ok(()) } else { Err(TokenFault::Signature) }
    }
}

fn text<'m>(members: &'m Members, name: &'static str) -> Result<Option<&'m str>, &'static str> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("has a member of the wrong type"),
    }
}

/// A public key from its members (RFC 7518, section 6; RFC 8037, section 2).
pub(super) fn public_key(members: &Members) -> Result<Key, &'static str> {
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| members.contains_key(*name)) {
        return Err("is a secret or private key, which must not be published");
    }
    let part = |name| text(members, name)?.ok_or("lacks a member of its kind");
    let kind = text(members, "kty")?.ok_or("lacks `kty`")?;
    let curve = text(members, "crv")?;
    // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
    let point = |bytes| {
        Ok::<_, &'static str>([&[4], &*sized(part("x")?, bytes)?, &*sized(part("y")?, bytes)?].concat())
    };
    let on_curve = |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
        ParsedPublicKey::new(algorithm, bytes).map(Verifier::Curve).map_err(|_| "is no point on its curve")
    };
    let (verifier, fitting) = match (kind, curve) {
        ("EC", Some("P-256")) => (on_curve(&ECDSA_P256_SHA256_FIXED, &point(32)?)?, vec![Algorithm::Es256]),
        ("EC", Some("P-384")) => (on_curve(&ECDSA_P384_SHA384_FIXED, &point(48)?)?, vec![Algorithm::Es384]),
        ("OKP", Some("Ed25519")) => {
            let point = sized(part("x")?, 32)?;
            if is_of_small_order(&point) {
                return Err("is a point of small order: anybody could sign for it");
            }
            (on_curve(&ED25519, &point)?, vec![Algorithm::EdDsa])
        }
        ("RSA", None) => {
            let (modulus, exponent) = (part("n")?, part("e")?);
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(modulus).map_err(|_| "is not base64url")?;
            let significant = bytes.iter().skip_while(|byte| **byte == 0).count();
            if !RSA_BYTES.contains(&significant) {
                return Err("is an RSA key of another length than 2048 to 8192 bits");
            }
            let rsa = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.is_rsa()).collect();
            let key = DecodingKey::from_rsa_components(modulus, exponent).map_err(|_| "is not base64url")?;
            (Verifier::Rsa(key), rsa)
        }
        _ => return Err("is of a kind that is not known here (`kty`, `crv`)"),
    };
    let algorithms = match text(members, "alg")? {
        None => fitting,
        Some(name) => fitting.into_iter().filter(|algorithm| algorithm.name() == name).collect(),
    };
    if algorithms.is_empty() {
        return Err("says an algorithm (`alg`) that its kind does not have");
    }
    Ok(Key { verifier, algorithms })
}

fn sized(text: &str, bytes: usize) -> Result<Vec<u8>, &'static str> {
    match BASE64_URL_SAFE_NO_PAD.decode(text) {
        Ok(decoded) if decoded.len() == bytes => Ok(decoded),
        Ok(_) | Err(_) => Err("has a coordinate of the wrong length"),
    }
}

/// Whether a point of edwards25519 has an order of 8 or less (the points are those of `libsodium`'s
/// `ge25519_has_small_order`). The library verifies with them, and a signature of zeros often fits.
fn is_of_small_order(point: &[u8]) -> bool {
    // y in little-endian order, by its first byte and whether the middle is zeros or ones: 0, 1, -1, p and p + 1.
    let plain = |bytes: &[u8]| match bytes {
        [first, middle @ .., last] => {
            (*first <= 1 && *last == 0 && middle.iter().all(|byte| *byte == 0))
                || (*first >= 0xec && *last == 0x7f && middle.iter().all(|byte| *byte == 0xff))
        }
        [_] | [] => true,
    };
    let mut bytes = point.to_vec();
    // The sign of x.
    if let Some(last) = bytes.last_mut() {
        *last &= 0x7f;
    }
    plain(&bytes) || ORDER_EIGHT.iter().any(|point| *point == bytes.as_slice())
}

/// The base64url thumbprint of a public key (RFC 7638, section 3).
pub(super) fn thumbprint(members: &Members) -> Option<String> {
    let part = |name: &'static str| match members.get(name) {
        Some(Value::String(text))
            if text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_') =>
        {
            Some(text.as_str())
        }
        _ => None,
    };
    let canonical = match part("kty")? {
        "EC" => {
            format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, part("crv")?, part("x")?, part("y")?)
        }
        "OKP" => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, part("crv")?, part("x")?),
        "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, part("e")?, part("n")?),
        _ => return None,
    };
    Some(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)))
}

impl Key {
    /// Verifies a token that brings this key.
    pub(super) fn verify_own(&self, jws: &Jws<'_>) -> Result<(), TokenFault> {
        let algorithm = jws.header.algorithm;
        if !self.algorithms.contains(&algorithm) {
            return Err(TokenFault::WrongAlgorithm { algorithm });
        }
        self.verify(jws, algorithm)
    }
}
