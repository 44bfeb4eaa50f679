//! The tables of the state's file: every entry, the recent commits, and three numbers.
//! Never holds half a commit: whatever changes, changes in one transaction.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::super::super::{Change, Committed, Entry, StateRevision};
use super::error::FileError;

/// The layout of the tables. Another one is another number.
const FORMAT: u64 = 1;

/// The numbers, by the names below.
const META: TableDefinition<&str, u64> = TableDefinition::new("palisade.meta");
/// Key → the commit that gave the value, the value.
const ENTRIES: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("palisade.entries");
/// A key and what it has from then on.
type Changed<'c> = (&'c str, Option<&'c [u8]>);
/// Revision, place within the commit → key, the value or nothing.
const HISTORY: TableDefinition<(u64, u32), Changed<'static>> = TableDefinition::new("palisade.history");

const FORMAT_NAME: &str = "format";
const REVISION: &str = "revision";
const FLOOR: &str = "floor";

/// All that a file says.
pub(super) struct Content {
    pub(super) revision: StateRevision,
    pub(super) floor: StateRevision,
    pub(super) entries: BTreeMap<Arc<str>, Entry>,
    pub(super) past: Vec<Arc<Committed>>,
    pub(super) format: u64,
}

impl Content {
    /// Holds the file against itself.
    pub(super) fn checked(self, path: &Path) -> Result<Self, FileError> {
        if self.format != FORMAT {
            let found = format!("format {}, not {FORMAT}", self.format);
            return Err(FileError::Format { path: path.to_owned(), found });
        }
        let mut expected = self.floor;
        for committed in &self.past {
            expected = expected.next();
            if committed.revision != expected {
                return Err(FileError::damaged(path, format!("commit {expected} is missing").into()));
            }
        }
        if expected != self.revision || self.entries.values().any(|entry| entry.changed > self.revision) {
            return Err(FileError::damaged(path, "its history and its entries disagree".into()));
        }
        Ok(self)
    }
}

/// Makes the tables of an empty state.
pub(super) fn begin(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(ENTRIES)?;
        transaction.open_table(HISTORY)?;
        let mut meta = transaction.open_table(META)?;
        for (name, number) in [(FORMAT_NAME, FORMAT), (REVISION, 0), (FLOOR, 0)] {
            meta.insert(name, number)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Writes a group, and cuts the history up to the floor, in one transaction.
pub(super) fn write(
    database: &Database,
    group: &[Arc<Committed>],
    floor: StateRevision,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut meta = transaction.open_table(META)?;
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut history = transaction.open_table(HISTORY)?;
        for Committed { revision: StateRevision(revision), changes } in group.iter().map(AsRef::as_ref) {
            for (place, change) in (0..).zip(changes) {
                let (key, value) = (change.key().as_ref(), change.value().map(AsRef::as_ref));
                history.insert((*revision, place), (key, value))?;
                match value {
                    Some(value) => entries.insert(key, (*revision, value))?,
                    None => entries.remove(key)?,
                };
            }
            meta.insert(REVISION, *revision)?;
        }
        while history.first()?.is_some_and(|(key, _)| key.value().0 <= floor.0) {
            history.pop_first()?;
        }
        meta.insert(FLOOR, floor.0)?;
    }
    Ok(transaction.commit()?)
}

/// Reads everything.
pub(super) fn read(database: &Database) -> Result<Content, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let number = |name| -> Result<u64, redb::Error> {
        let found = meta.get(name)?.map(|number| number.value());
        found.ok_or_else(|| redb::Error::Corrupted(format!("it has no {name}")))
    };
    let mut entries = BTreeMap::new();
    for row in transaction.open_table(ENTRIES)?.iter()? {
        let (key, value) = row?;
        let (changed, value) = value.value();
        entries.insert(key.value().into(), Entry { value: value.into(), changed: StateRevision(changed) });
    }
    let mut past: Vec<Committed> = Vec::new();
    for row in transaction.open_table(HISTORY)?.iter()? {
        let (place, row) = row?;
        let revision = StateRevision(place.value().0);
        let change = match row.value() {
            (key, Some(value)) => Change::put(key, value),
            (key, None) => Change::delete(key),
        };
        match past.last_mut() {
            Some(last) if last.revision == revision => last.changes.push(change),
            Some(_) | None => past.push(Committed { revision, changes: vec![change] }),
        }
    }
    Ok(Content {
        revision: StateRevision(number(REVISION)?),
        floor: StateRevision(number(FLOOR)?),
        entries,
        past: past.into_iter().map(Arc::new).collect(),
        format: number(FORMAT_NAME)?,
    })
}
