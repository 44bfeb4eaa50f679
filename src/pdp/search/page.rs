//! Where a search goes on: a token that says so, sealed, so that nothing has to be remembered for it.
//! Never lets a token go on with another search, or for another caller, than it was given to.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::access::Revision;
use crate::audit::DigestKey;
use crate::audit::digest::KEY_BYTES;

/// How many results a page has unless another limit is asked for.
pub const PAGE_LIMIT_DEFAULT: u32 = 100;
/// How many results a page has at most. Who asks for more gets so many.
pub const PAGE_LIMIT_MAX: u32 = 1_000;
/// The longest token that is looked at.
pub const PAGE_TOKEN_BYTES_MAX: usize = 8_192;

/// What tokens are sealed for. A token of another form is another use.
const USE: &str = "palisade page token 2";
const USE_NONCE: &str = "palisade page token 2, nonce";

/// Which part of the results is wanted. The default is the first page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Where to go on; none for the first page.
    pub token: Option<String>,
    /// How many results at most; none for as many as before, or [`PAGE_LIMIT_DEFAULT`].
    pub limit: Option<u32>,
}

/// Why a search does not go on. Safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// It is no token of ours, was given to another caller, or by a server with another key.
    #[error("was not given to this caller; leave it out to begin again")]
    Token,
    /// It is a token of another search.
    #[error("is of another search; send it with the request that it was given for, or leave it out")]
    OtherSearch,
    /// There is more, and no token could be made that says so.
    #[error("could not be made; ask for a smaller one")]
    Unsealed,
    /// The limit has changed.
    #[error("is of a search with the limit {0}; send the same limit or none")]
    OtherLimit(u32),
}

/// Where a search stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The last key that was dealt with.
    pub(super) after: String,
    /// How many results a page has.
    pub(super) limit: u32,
    /// The digest of what is looked for.
    pub(super) search: [u8; KEY_BYTES],
    /// The revision under which the first page was made.
    pub(super) begun: Revision,
}

impl Place {
    /// As a token for this caller, who cannot look into it: what a page ends at may be something that was denied.
    pub(super) fn seal(&self, key: &DigestKey, caller: &str) -> Option<String> {
        let Self { after, limit, search, begun } = self;
        let begun = begun.0.as_bytes();
        let begun_len = u8::try_from(begun.len()).unwrap_or(u8::MAX);
        let mut bytes = Vec::with_capacity(160 + after.len());
        bytes.extend(limit.to_be_bytes());
        bytes.extend(search);
        bytes.push(begun_len);
        bytes.extend(begun.iter().take(begun_len.into()));
        bytes.extend(after.as_bytes());
        let (cipher, aad) = (cipher(key)?, Aad::from(caller.as_bytes()));
        // One nonce for each content, so that no two of them share one.
        let nonce: [u8; NONCE_LEN] =
            *key.for_use(USE_NONCE).sign([caller.as_bytes(), &bytes]).first_chunk()?;
        cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).ok()?;
        bytes.splice(0..0, nonce);
        Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// From a token of this caller.
    pub(super) fn open(key: &DigestKey, caller: &str, token: &str) -> Option<Self> {
        if token.len() > PAGE_TOKEN_BYTES_MAX {
            return None;
        }
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let rest: &[u8] = cipher(key)?.open_in_place(nonce, Aad::from(caller.as_bytes()), sealed).ok()?;
        let (limit, rest) = rest.split_first_chunk()?;
        let (search, rest) = rest.split_first_chunk()?;
        let (begun_len, rest) = rest.split_first()?;
        let (begun, after) = rest.split_at_checked(usize::from(*begun_len))?;
        Some(Self {
            after: String::from_utf8(after.to_vec()).ok()?,
            limit: u32::from_be_bytes(*limit),
            search: *search,
            begun: Revision(std::str::from_utf8(begun).ok()?.into()),
        })
    }
}

fn cipher(key: &DigestKey) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, &key.for_use(USE).sign([])).ok().map(LessSafeKey::new)
}

impl Page {
    /// Where a search stands: at its beginning, or where its token says.
    pub(super) fn place(
        &self,
        key: &DigestKey,
        caller: &str,
        search: [u8; KEY_BYTES],
        revision: &Revision,
    ) -> Result<Start, PageFault> {
        // None, and 0, leave it to us.
        let asked = self.limit.filter(|limit| *limit > 0).map(|limit| limit.min(PAGE_LIMIT_MAX));
        let Some(token) = &self.token else {
            let limit = asked.unwrap_or(PAGE_LIMIT_DEFAULT);
            return Ok(Start { after: None, limit, begun: revision.clone() });
        };
        let place = Place::open(key, caller, token).ok_or(PageFault::Token)?;
        if place.search != search {
            return Err(PageFault::OtherSearch);
        }
        if asked.is_some_and(|limit| limit != place.limit) {
            return Err(PageFault::OtherLimit(place.limit));
        }
        Ok(Start { after: Some(place.after), limit: place.limit, begun: place.begun })
    }
}

/// Where a page begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) after: Option<String>,
    pub(super) limit: u32,
    pub(super) begun: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: [u8; KEY_BYTES] = [3; KEY_BYTES];

    fn key() -> DigestKey {
        DigestKey::new(&[7; KEY_BYTES])
    }

    fn place() -> Place {
        Place { after: "r-é".into(), limit: 20, search: SEARCH, begun: Revision("sha256:0".into()) }
    }

    fn goes_on(caller: &str, token: &str, limit: Option<u32>) -> Result<Start, PageFault> {
        let page = Page { token: Some(token.into()), limit };
        page.place(&key(), caller, SEARCH, &Revision("sha256:1".into()))
    }

    #[test]
    fn a_token_says_where_it_was_given() {
        let token = place().seal(&key(), "gw").unwrap();
        assert_eq!(Place::open(&key(), "gw", &token), Some(place()));
        let start = goes_on("gw", &token, None).unwrap();
        assert_eq!((start.after.as_deref(), start.limit, &*start.begun.0), (Some("r-é"), 20, "sha256:0"));
        assert!(goes_on("gw", &token, Some(20)).is_ok());
        assert!(goes_on("gw", &token, Some(0)).is_ok());
    }

    #[test]
    fn a_token_is_good_for_its_caller_its_key_and_its_search_alone() {
        let token = place().seal(&key(), "gw").unwrap();
        assert_eq!(goes_on("other", &token, None).unwrap_err(), PageFault::Token);
        assert_eq!(Place::open(&DigestKey::new(&[8; KEY_BYTES]), "gw", &token), None);
        assert_eq!(goes_on("gw", &token, Some(21)).unwrap_err(), PageFault::OtherLimit(20));
        let other = Place { search: [4; KEY_BYTES], ..place() }.seal(&key(), "gw").unwrap();
        assert_eq!(goes_on("gw", &other, None).unwrap_err(), PageFault::OtherSearch);
    }

    #[test]
    fn a_token_shows_nothing_of_where_it_stands() {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(place().seal(&key(), "gw").unwrap()).unwrap();
        for told in ["r-\u{e9}".as_bytes(), b"sha256"] {
            assert!(!bytes.windows(told.len()).any(|window| window == told));
        }
    }

    #[test]
    fn a_token_with_any_other_byte_is_none_of_ours() {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(place().seal(&key(), "gw").unwrap()).unwrap();
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(Place::open(&key(), "gw", &BASE64_URL_SAFE_NO_PAD.encode(&bytes)), None, "byte {at}");
            assert_eq!(Place::open(&key(), "gw", &BASE64_URL_SAFE_NO_PAD.encode(&bytes[..at])), None);
        }
        assert_eq!(Place::open(&key(), "gw", "no token"), None);
        assert_eq!(Place::open(&key(), "gw", &"A".repeat(PAGE_TOKEN_BYTES_MAX + 1)), None);
    }

    #[test]
    fn a_page_has_a_limit_of_ours_when_nobody_says_one() {
        let limit = |limit| {
            let page = Page { token: None, limit };
            page.place(&key(), "gw", SEARCH, &Revision("sha256:1".into())).unwrap().limit
        };
        assert_eq!(limit(None), PAGE_LIMIT_DEFAULT);
        assert_eq!(limit(Some(0)), PAGE_LIMIT_DEFAULT);
        assert_eq!(limit(Some(7)), 7);
        assert_eq!(limit(Some(u32::MAX)), PAGE_LIMIT_MAX);
    }
}
