//! The headers of a request as a gateway passes them on.
//! Never chooses between two values of a header.

use std::collections::BTreeMap;

use crate::mcp::method::{Era, Version};

use super::Unreadable;

/// Headers that only this server and the gateway may speak by: what a client sends under such a name goes no further.
const OURS: [&str; 3] = ["palisade-", "x-palisade-", "x-authz-"];
/// Means something in the era that has sessions. Behind a request of the other, a server of that era would take it for its own.
const SESSION: &str = "mcp-session-id";
/// The token of a transaction, which a gateway may be told to add.
const TRANSACTION_TOKEN: &str = "txn-token";

/// Headers in the order in which they came; a value that is no text is none.
#[derive(Debug, Default)]
pub(in crate::api) struct Headers(Vec<(String, Option<String>)>);

impl FromIterator<(String, Option<String>)> for Headers {
    /// Names in any case, each with its value.
    fn from_iter<I: IntoIterator<Item = (String, Option<String>)>>(all: I) -> Self {
        Self(all.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }
}

impl Headers {
    /// All values of a header.
    pub(in crate::api) fn all(&self, name: &str) -> Vec<Option<&str>> {
        self.0.iter().filter(|(sent, _)| sent == name).map(|(_, value)| value.as_deref()).collect()
    }

    /// The only value of a header.
    pub(in crate::api) fn one(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        match self.all(name).as_slice() {
            [] => Ok(None),
            [Some(only)] => Ok(Some(only)),
            [None] => Err(Unreadable::header(format!("header `{name}` is no text"))),
            _ => Err(Unreadable::header(format!("header `{name}` came twice"))),
        }
    }

    /// The headers whose names begin so, each once.
    pub(in crate::api) fn beginning(&self, prefix: &str) -> Result<BTreeMap<String, String>, Unreadable> {
        let names = self.names().filter(|name| name.starts_with(prefix));
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(value) = self.one(name)? {
                found.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(found)
    }

    /// All names.
    pub(in crate::api) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The headers that go no further, each once.
    pub(in crate::api) fn ours(&self) -> Vec<String> {
        let version = self.one("mcp-protocol-version").ok().flatten().and_then(Version::named);
        let has_sessions = version.is_none_or(|version| version.era() == Era::Legacy);
        let ours = |name: &&str| {
            *name == TRANSACTION_TOKEN
                || (*name == SESSION && !has_sessions)
                || OURS.iter().any(|prefix| name.starts_with(prefix))
        };
        let names: std::collections::BTreeSet<&str> = self.names().filter(ours).collect();
        names.into_iter().map(str::to_owned).collect()
    }
}
