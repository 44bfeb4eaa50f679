//! Entities as records show them: `{"type": "Human", "id": "ana"}`; for records whose lines are derived.
//! Never an entity's attributes.

#![expect(
    clippy::ref_option_ref,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]

use serde::{Serialize, Serializer};

use crate::value::Uid;

#[derive(Serialize)]
struct Party<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

impl<'a> From<&'a Uid> for Party<'a> {
    fn from(uid: &'a Uid) -> Self {
        Self { kind: &uid.kind, id: &uid.id }
    }
}

pub(super) fn optional_uid<S: Serializer>(uid: &Option<&Uid>, serializer: S) -> Result<S::Ok, S::Error> {
    uid.map(Party::from).serialize(serializer)
}

pub(super) fn uids<S: Serializer>(uids: &[Uid], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(uids.iter().map(Party::from))
}
