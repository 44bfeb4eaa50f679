//! Keyed digests: they show that two calls had the same arguments, to whoever holds the key, and nothing else.
//! Never keeps or shows what was digested.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a key is.
pub const KEY_BYTES: usize = 32;

/// The secret that digests are keyed with. Prints as `‹redacted›`.
#[derive(Clone)]
pub struct DigestKey {
    /// The state after the key, so that a digest does not begin with hashing it.
    keyed: Hmac<Sha256>,
}

impl DigestKey {
    /// A key of 32 random bytes.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self { keyed: Hmac::new(&padded(key)) }
    }

    /// A key of its own for another use, so that what is signed for one is nothing for the other.
    #[must_use]
    pub fn for_use(&self, name: &str) -> Self {
        Self::new(&self.sign([name.as_bytes()]))
    }

    /// HMAC-SHA256 of some parts, each behind its length.
    pub fn sign<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; KEY_BYTES] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether that is its signature; in a time that tells nothing.
    pub fn signed<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>, signature: &[u8]) -> bool {
        self.over(parts).verify_slice(signature).is_ok()
    }

    fn over<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

/// HMAC fills a key up with zeros to the block of its hash (RFC 2104, section 2).
fn padded(key: &[u8; KEY_BYTES]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    block
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

/// HMAC-SHA256 (RFC 2104) of the bytes: `hmac-sha256:` and 64 hexadecimal digits.
pub fn digest(key: &DigestKey, bytes: &[u8]) -> String {
    let mut mac = key.keyed.clone();
    mac.update(bytes);
    let mut text = String::with_capacity(12 + 64);
    text.push_str("hmac-sha256:");
    push_hex(&mut text, &mac.finalize().into_bytes());
    text
}

/// The bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_hmac_sha256() {
        // RFC 4231, test case 2: a short key stands for itself filled up with zeros.
        let mut key = [0; KEY_BYTES];
        key[..4].copy_from_slice(b"Jefe");
        let digest = digest(&DigestKey::new(&key), b"what do ya want for nothing?");
        assert_eq!(digest, "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_key_for_another_use_signs_otherwise_and_parts_keep_their_borders() {
        let key = DigestKey::new(&[7; KEY_BYTES]);
        let signature = key.for_use("one").sign([b"ab".as_slice(), b"c"]);
        assert!(key.for_use("one").signed([b"ab".as_slice(), b"c"], &signature));
        assert!(!key.for_use("two").signed([b"ab".as_slice(), b"c"], &signature));
        assert!(!key.for_use("one").signed([b"a".as_slice(), b"bc"], &signature));
        assert!(!key.for_use("one").signed([b"ab".as_slice(), b"c"], &signature[..31]));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", DigestKey::new(&[7; KEY_BYTES])), "‹redacted›");
    }
}
