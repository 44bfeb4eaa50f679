//! What is asked, and the facts that it is decided on.
//! Never mixes what the PEP said with what this PDP established: they are different fields.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::identity::TokenFacts;
use crate::value::{Members, Uid, Value};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// RFC 3339 in UTC with milliseconds, which Cedar's `datetime` reads too: `2026-11-21T10:00:00.000Z`. Instants
    /// beyond four-digit years are shown as the nearest one.
    pub fn rfc3339(self) -> String {
        let ms = self.0.clamp(RANGE_MS.0, RANGE_MS.1);
        // `time` has every second of the range.
        let at =
            OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let ms = u32::try_from(ms.rem_euclid(1000)).unwrap_or_default();
        // Digit by digit: every record has an instant, and the formatting machinery costs as much as a condition.
        let parts = [
            (at.year().unsigned_abs(), 1000, '-'),
            (u8::from(at.month()).into(), 10, '-'),
            (at.day().into(), 10, 'T'),
            (at.hour().into(), 10, ':'),
            (at.minute().into(), 10, ':'),
            (at.second().into(), 10, '.'),
            (ms, 100, 'Z'),
        ];
        let mut text = String::with_capacity(24);
        for (number, mut place, end) in parts {
            while place > 0 {
                text.extend(char::from_digit(number / place % 10, 10));
                place /= 10;
            }
            text.push(end);
        }
        text
    }
}

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can write.
const RANGE_MS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

/// As [`Timestamp::rfc3339`].
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// An entity that came with a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Which.
    pub uid: Uid,
    /// Its attributes, not yet held against the schema.
    pub attributes: Members,
    /// Its parents. Always empty for what a PEP brought.
    pub parents: Vec<Uid>,
}

/// One step: may this be done to that, under these circumstances?
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The Cedar action.
    pub action: Uid,
    /// The Cedar resource.
    pub resource: Uid,
    /// Context as the PEP sent it.
    pub context: Members,
    /// Context that this PDP made from a message that it understood: `input`, `input_unseen`.
    pub established: Members,
    /// Entities that the PEP brought; believed within the limits of the schema.
    pub brought: Vec<Entity>,
    /// Entities that this PDP derived from the message, such as the resource behind a URI.
    pub derived: Vec<Entity>,
}

impl Question {
    /// A question without context and entities.
    pub fn new(action: Uid, resource: Uid) -> Self {
        Self {
            action,
            resource,
            context: Members::new(),
            established: Members::new(),
            brought: Vec::new(),
            derived: Vec::new(),
        }
    }
}

/// What this PDP knows about a request beside the question. Only `pdp` and `suite` build one.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The party whose authority is used.
    pub principal: Uid,
    /// The agent that uses it, when that is somebody else.
    pub actor: Option<Uid>,
    /// How many agents stand between the principal and the step: 0 for the principal itself, 1 for the actor, …
    pub actor_depth: i64,
    /// The session, if there is one.
    pub session: Option<String>,
    /// The principal as its verified token describes it, when the bundle does not have it.
    pub described: Option<Entity>,
    /// The token that showed the principal.
    pub token: Option<TokenFacts>,
    /// The task that it belongs to, as policies see it.
    pub task: Option<Arc<Value>>,
    /// Further context that was verified; `token` and `task` where none is given above.
    pub established: Members,
    /// The instant of the decision.
    pub now: Timestamp,
}
