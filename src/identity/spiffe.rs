//! SPIFFE IDs (SPIFFE-ID, section 2).
//! Never takes a name that two readers could read in two ways.

use std::fmt;

/// The longest SPIFFE ID, in bytes.
const BYTES_MAX: usize = 2048;
/// The longest trust domain, in bytes.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// `spiffe://<trust domain>/<path>`, in its one form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: String,
    domain_end: usize,
}

/// No SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no SPIFFE ID of a workload: write `spiffe://<trust domain>/<path>`")]
pub struct NotASpiffeId;

const SCHEME: &str = "spiffe://";

impl SpiffeId {
    /// Reads the ID of a workload: with a path.
    ///
    /// # Errors
    /// [`NotASpiffeId`].
    pub fn parse(text: &str) -> Result<Self, NotASpiffeId> {
        if text.len() > BYTES_MAX {
            return Err(NotASpiffeId);
        }
        let scheme = text.get(..SCHEME.len()).ok_or(NotASpiffeId)?;
        let rest = text.get(SCHEME.len()..).ok_or(NotASpiffeId)?;
        let (domain, path) = rest.split_once('/').ok_or(NotASpiffeId)?;
        let domain = domain.to_ascii_lowercase();
        if !scheme.eq_ignore_ascii_case(SCHEME) || !is_trust_domain(&domain) {
            return Err(NotASpiffeId);
        }
        let segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
        };
        if !path.split('/').all(segment) {
            return Err(NotASpiffeId);
        }
        let domain_end = SCHEME.len() + domain.len();
        Ok(Self { text: format!("{SCHEME}{domain}/{path}"), domain_end })
    }

    /// Its trust domain, in small letters.
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.domain_end).unwrap_or_default()
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a text is a trust domain in its one form.
pub fn is_trust_domain(text: &str) -> bool {
    let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= TRUST_DOMAIN_BYTES_MAX && text.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_a_domain_and_a_path() {
        let id = SpiffeId::parse("SPIFFE://Acme.Example/agent/Bot_1").unwrap();
        assert_eq!((id.as_str(), id.trust_domain()), ("spiffe://acme.example/agent/Bot_1", "acme.example"));
    }

    #[test]
    fn an_id_is_as_long_as_it_may_be_and_no_longer() {
        let domain = |bytes: usize| format!("spiffe://{}/x", "d".repeat(bytes));
        assert!(SpiffeId::parse(&domain(TRUST_DOMAIN_BYTES_MAX)).is_ok());
        assert_eq!(SpiffeId::parse(&domain(TRUST_DOMAIN_BYTES_MAX + 1)), Err(NotASpiffeId));
        let whole = |bytes: usize| format!("spiffe://a/{}", "x".repeat(bytes - "spiffe://a/".len()));
        assert!(SpiffeId::parse(&whole(BYTES_MAX)).is_ok());
        assert_eq!(SpiffeId::parse(&whole(BYTES_MAX + 1)), Err(NotASpiffeId));
    }

    #[test]
    fn the_case_of_a_path_has_a_meaning_and_that_of_a_domain_has_none() {
        let of = |text: &str| SpiffeId::parse(text).unwrap();
        assert_eq!(of("spiffe://ACME/a"), of("SPIFFE://acme/a"));
        assert_ne!(of("spiffe://acme/a"), of("spiffe://acme/A"));
        // Dots alone are refused only where a path could go up or stay.
        assert_eq!(of("spiffe://a.b_c-d/..a/.../-_").trust_domain(), "a.b_c-d");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_spiffe_id() {
        let long = format!("spiffe://a/{}", "x".repeat(2048));
        for text in [
            "",
            "spiffe://",
            "spiffe://acme.example",
            "spiffe://acme.example/",
            "spiffe:///agent",
            "spiffe://acme.example/agent/",
            "spiffe://acme.example//agent",
            "spiffe://acme.example/a/../b",
            "spiffe://acme.example/./b",
            "spiffe://acme.example:8443/agent",
            "spiffe://user@acme.example/agent",
            "spiffe://acme.example/agent?x",
            "spiffe://acme.example/agent#x",
            "spiffe://acme.example/%61gent",
            "spiffe://acme.exämple/agent",
            "spiffe://acme.example/agént",
            "https://acme.example/agent",
            " spiffe://acme.example/agent",
            &long,
        ] {
            assert_eq!(SpiffeId::parse(text), Err(NotASpiffeId), "{text}");
        }
    }
}
