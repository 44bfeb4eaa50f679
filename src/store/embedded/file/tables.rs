//! The tables of the state's file: every entry, the recent commits, and the layout's number.
//! Never holds half a commit: whatever changes, changes in one transaction.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::super::super::{Change, Committed, Entry, StateRevision};
use super::error::FileError;
use super::pages::{Long, give_way};

/// The layout of the tables. Another one is another number.
const FORMAT: u64 = 3;

/// The layout's number, by the name below.
const META: TableDefinition<&str, u64> = TableDefinition::new("palisade.meta");
/// Key → the commit that gave the value, the value.
const ENTRIES: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("palisade.entries");
/// A key and what it has from then on.
type Changed<'c> = (&'c str, Option<&'c [u8]>);
/// Revision → what the commit changed, in order. The last one is always there, since it says which revision the state has.
const HISTORY: TableDefinition<u64, Vec<Changed<'static>>> = TableDefinition::new("palisade.history");

const FORMAT_NAME: &str = "format";

/// All that a file says.
#[derive(Default)]
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
        if self.entries.values().any(|entry| entry.changed > self.revision) {
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
        transaction.open_table(META)?.insert(FORMAT_NAME, FORMAT)?;
    }
    Ok(transaction.commit()?)
}

/// A commit of more changes is long enough to let others have the processor while it is written.
const LONG: usize = 8;

/// Writes a group, and cuts the history up to a revision, in one transaction.
pub(super) fn write(
    database: &Database,
    group: &[Arc<Committed>],
    cut: Option<StateRevision>,
) -> Result<(), redb::Error> {
    let _long = group.iter().any(|committed| committed.changes.len() > LONG).then(Long::begin);
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut history = transaction.open_table(HISTORY)?;
        for Committed { revision: StateRevision(revision), changes } in group.iter().map(AsRef::as_ref) {
            let changed: Vec<Changed<'_>> = changes.iter().map(changed).collect();
            for (key, value) in &changed {
                match value {
                    Some(value) => entries.insert(key, (*revision, *value))?,
                    None => entries.remove(key)?,
                };
                give_way();
            }
            history.insert(*revision, changed)?;
        }
        if let Some(StateRevision(cut)) = cut {
            history.retain_in(..=cut, |_, _| false)?;
        }
    }
    Ok(transaction.commit()?)
}

fn changed(change: &Change) -> Changed<'_> {
    (change.key().as_ref(), change.value().map(AsRef::as_ref))
}

/// Reads everything.
pub(super) fn read(database: &Database) -> Result<Content, redb::Error> {
    let transaction = database.begin_read()?;
    let format = transaction.open_table(META)?.get(FORMAT_NAME)?.map(|number| number.value());
    let format = format.ok_or_else(|| redb::Error::Corrupted(format!("it has no {FORMAT_NAME}")))?;
    let mut content = Content { format, ..Content::default() };
    // What another format's tables look like is not for us to say.
    if format != FORMAT {
        return Ok(content);
    }
    for row in transaction.open_table(ENTRIES)?.iter()? {
        let (key, value) = row?;
        let (changed, value) = value.value();
        let entry = Entry { value: value.into(), changed: StateRevision(changed) };
        content.entries.insert(key.value().into(), entry);
    }
    for row in transaction.open_table(HISTORY)?.iter()? {
        let (revision, changes) = row?;
        let changes = changes.value().into_iter().map(|(key, value)| match value {
            Some(value) => Change::put(key, value),
            None => Change::delete(key),
        });
        let (revision, changes) = (StateRevision(revision.value()), changes.collect());
        if content.past.is_empty() {
            content.floor = StateRevision(revision.0.saturating_sub(1));
        }
        content.revision = revision;
        content.past.push(Arc::new(Committed { revision, changes }));
    }
    Ok(content)
}
