//! The result of a method that lists things: read strictly, and written again with some of them alone.
//! Never changes anything but what is on the list and how far the result may be shared.

use std::collections::BTreeSet;

use crate::api::gateway::{Unreadable, folded};
use crate::json;
use crate::mcp::Offered;
use crate::pdp::PAGE_QUESTIONS_MAX;
use crate::value::{SmolStr, Value};

/// How much a result may hold.
const LIST: json::Limits = json::Limits { bytes_max: 4 << 20, depth_max: 64, nodes_max: 1 << 18 };
/// How far a result may be shared (MCP 2026-07-28): what was chosen for one party is for nobody else.
const SCOPE: &str = "cacheScope";
const PRIVATE: &[u8] = b"\"private\"";

/// A list, in the order of its items.
#[derive(Debug)]
pub(super) struct List<'r> {
    member: &'static str,
    members: Vec<(String, &'r [u8])>,
    texts: Vec<&'r [u8]>,
    /// What each is called, and the whole of it.
    pub(super) items: Vec<Item>,
}

/// One thing on it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) definition: Value,
}

impl<'r> List<'r> {
    pub(super) fn read(result: &'r [u8], offered: Offered) -> Result<Self, Unreadable> {
        let (member, naming) = offered.members();
        let wrong = || {
            let words =
                format!("the result has no list `{member}` of objects, each with a `{naming}` of its own");
            Unreadable::result(words)
        };
        let whole =
            json::parse(result, LIST).map_err(|error| Unreadable::result(format!("the result: {error}")))?;
        let Value::Record(mut own) = whole else { return Err(wrong()) };
        only(own.keys(), member)?;
        let Some(Value::Set(definitions)) = own.remove(member) else { return Err(wrong()) };
        if definitions.len() > PAGE_QUESTIONS_MAX {
            let words = format!("the result lists more than {PAGE_QUESTIONS_MAX} things");
            return Err(Unreadable::result(words));
        }
        let members = json::members_bytes(result).ok_or_else(wrong)?;
        let list = members.iter().find(|(name, _)| name == member).map(|(_, bytes)| *bytes);
        let texts = list.and_then(json::items_bytes).ok_or_else(wrong)?;
        let mut names = BTreeSet::new();
        let mut items = Vec::with_capacity(definitions.len());
        for definition in definitions {
            let Value::Record(own) = &definition else { return Err(wrong()) };
            only(own.keys(), naming)?;
            let Some(Value::String(name)) = own.get(naming) else { return Err(wrong()) };
            // Of two things of one name nobody knows which is used.
            if !names.insert(name.clone()) {
                return Err(wrong());
            }
            items.push(Item { name: name.to_string(), definition });
        }
        if texts.len() == items.len() { Ok(Self { member, members, texts, items }) } else { Err(wrong()) }
    }

    /// The result with those alone that are kept; none when that is the result as it is.
    pub(super) fn with(&self, kept: &[bool]) -> Option<Vec<u8>> {
        let mut is_same = self.texts.len() == kept.len() && kept.iter().all(|kept| *kept);
        let texts = self.texts.iter().zip(kept).filter(|(_, kept)| **kept).map(|(text, _)| *text);
        let mut list = vec![b'['];
        list.extend(texts.collect::<Vec<_>>().join(&b','));
        list.push(b']');
        let members: Vec<(&str, &[u8])> = self
            .members
            .iter()
            .map(|(name, bytes)| match name.as_str() {
                SCOPE => {
                    is_same &= *bytes == PRIVATE;
                    (SCOPE, PRIVATE)
                }
                name if name == self.member => (name, list.as_slice()),
                name => (name, *bytes),
            })
            .collect();
        (!is_same).then(|| json::object_text(members))
    }
}

/// Refuses members that a reader without regard to case takes for this one.
fn only<'n>(mut names: impl Iterator<Item = &'n SmolStr>, member: &str) -> Result<(), Unreadable> {
    if names.any(|name| name != member && folded(name) == folded(member)) {
        let words = format!("the result has a second `{member}`, written with other letters");
        return Err(Unreadable::result(words));
    }
    Ok(())
}
