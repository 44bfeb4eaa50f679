//! A file that is not what was written: refused in words that help, or whole.

use std::io::Write;

use super::*;

/// A directory whose store acknowledged some commits, closed in order or not.
struct Written {
    directory: tempfile::TempDir,
    snapshot: Snapshot,
    state: Vec<u8>,
    mark: Vec<u8>,
}

impl Written {
    fn new(commits: usize, closed: bool) -> Self {
        let (directory, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let store = open(directory.path());
        fill(&runtime, &store, commits);
        let snapshot = store.snapshot().unwrap();
        let read = |name: &str| fs::read(directory.path().join(name)).unwrap();
        if closed {
            drop(store);
            let (state, mark) = (read("state.redb"), read("state.mark"));
            return Self { directory, snapshot, state, mark };
        }
        // What a dead process leaves.
        let (state, mark) = (read("state.redb"), read("state.mark"));
        drop(store);
        Self { directory, snapshot, state, mark }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Opens with this in place of the file: all is there, or it is refused.
    fn try_with(&self, state: &[u8]) -> Result<(), FileError> {
        fs::write(self.path("state.redb"), state).unwrap();
        fs::write(self.path("state.mark"), &self.mark).unwrap();
        let store = Embedded::open(self.directory.path(), HISTORY)?;
        assert_eq!(store.snapshot().unwrap(), self.snapshot, "what was acknowledged is there");
        Ok(())
    }
}

fn assert_helps(error: &FileError, written: &Written) {
    let (text, path) = (error.to_string(), written.path("state.redb"));
    assert!(text.contains(&format!("`{}`", path.display())), "{text}");
    assert!(text.contains("restore") && text.contains("lost"), "{text}");
}

#[test]
fn a_file_that_a_dead_process_left_has_everything() {
    let written = Written::new(20, false);
    written.try_with(&written.state.clone()).unwrap();
}

#[test]
fn a_file_that_was_cut_is_refused() {
    for closed in [true, false] {
        let written = Written::new(20, closed);
        let whole = written.state.len();
        let mut lengths: Vec<usize> = (0..64).map(|i| whole * i / 64).collect();
        lengths.extend([1, 9, 63, 64, 319, 320, 4095, 4096, 4097, 8192, whole - 4096, whole - 1]);
        for length in lengths {
            // The file is longer than what is in it: where nothing is missing, it may be taken.
            match written.try_with(&written.state[..length]) {
                Ok(()) => assert!(length > whole / 4, "{length} of {whole}"),
                Err(error) => assert_helps(&error, &written),
            }
        }
        written.try_with(&written.state.clone()).unwrap();
    }
}

#[test]
fn a_file_with_another_bit_anywhere_is_refused_or_has_everything() {
    for closed in [true, false] {
        let written = Written::new(20, closed);
        // Every byte of the header, and some of each page that is in use.
        let header = (0..320).map(|at| (at, 1 << (at % 8)));
        let god_byte = (0..8).map(|bit| (9, 1 << bit));
        let pages = (4096..written.state.len()).step_by(1021).map(|at| (at, 0x10));
        let (mut taken, mut refused, mut behind) = (0, 0, 0);
        for (at, flip) in header.chain(god_byte).chain(pages) {
            if at >= 4096 && written.state[at / 4096 * 4096..].iter().take(4096).all(|byte| *byte == 0) {
                continue;
            }
            let mut state = written.state.clone();
            state[at] ^= flip;
            match written.try_with(&state) {
                Ok(()) => taken += 1,
                Err(error) => {
                    refused += 1;
                    behind += usize::from(matches!(error, FileError::Behind { .. }));
                    assert_helps(&error, &written);
                }
            }
        }
        assert!(taken > 10 && refused > 10, "{taken} taken, {refused} refused");
        assert!(closed || behind > 0, "redb went back to the transaction before, and only the mark knows");
    }
}

#[test]
fn an_empty_file_is_not_begun_anew() {
    let written = Written::new(1, true);
    let error = written.try_with(b"").unwrap_err();
    assert!(matches!(error, FileError::Damaged { .. }), "{error:?}");
    assert_helps(&error, &written);
    assert_eq!(fs::read(written.path("state.redb")).unwrap(), b"");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let written = Written::new(1, true);
    for state in [&b"hello"[..], &[0; 10_000], &[0xff; 4096], "{}\n".repeat(5000).as_bytes()] {
        assert_helps(&written.try_with(state).unwrap_err(), &written);
    }
}

#[test]
fn a_database_of_something_else_and_another_format_are_refused() {
    const META: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("palisade.meta");
    type Changed = (&'static str, Option<&'static [u8]>);
    const HISTORY: redb::TableDefinition<u64, Vec<Changed>> = redb::TableDefinition::new("palisade.history");
    let written = Written::new(1, true);
    let database = redb::Database::create(written.path("other")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<u64, u64>::new("numbers")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = written.try_with(&fs::read(written.path("other")).unwrap()).unwrap_err();
    assert!(error.to_string().contains("(a redb database of something else)"), "{error}");
    assert_helps(&error, &written);

    for (format, history) in [(2, "palisade.history"), (4, "palisade.past")] {
        written.try_with(&written.state).unwrap();
        let database = redb::Database::create(written.path("state.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", format).unwrap();
        // Its tables are others, too.
        let table = redb::TableDefinition::<&str, &str>::new(history);
        transaction.delete_table(HISTORY).unwrap();
        transaction.open_table(table).unwrap().insert("a", "b").unwrap();
        transaction.commit().unwrap();
        drop(database);
        let error = refused(written.directory.path());
        let said = format!("is no state file of this version (format {format}, not 3)");
        assert!(error.to_string().contains(&said), "{error}");
        assert_helps(&error, &written);
    }
}

#[test]
fn an_older_file_is_refused_until_the_mark_is_deleted() {
    let older = Written::new(5, true);
    let newer = Written::new(9, true);
    let error = newer.try_with(&older.state).unwrap_err();
    assert!(error.to_string().contains("ends at revision 5, but 9 was acknowledged"), "{error}");
    assert!(error.to_string().contains("state.mark` to go on without"), "{error}");
    assert_helps(&error, &newer);
    fs::remove_file(newer.path("state.mark")).unwrap();
    assert_eq!(open(newer.directory.path()).snapshot().unwrap(), older.snapshot);
}

#[test]
fn a_file_that_is_gone_is_missed() {
    let written = Written::new(3, true);
    fs::remove_file(written.path("state.redb")).unwrap();
    let error = refused(written.directory.path());
    assert!(error.to_string().contains("is gone, but its commits up to 3 were acknowledged"), "{error}");
    assert_helps(&error, &written);
    assert!(!written.path("state.redb").exists());
    fs::remove_file(written.path("state.mark")).unwrap();
    assert_eq!(open(written.directory.path()).snapshot().unwrap(), Snapshot::default());
}

#[test]
fn nothing_is_acknowledged_into_a_file_that_was_moved_away() {
    let (directory, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let retry = std::time::Duration::from_millis(5);
    let opened = Embedded::open_with(directory.path(), HISTORY, Box::new(open_database), retry);
    let store = opened.unwrap();
    fill(&runtime, &store, 3);
    let aside = directory.path().join("aside");
    fs::rename(store.path(), &aside).unwrap();
    for _ in 0..3 {
        let refused = runtime.block_on(store.commit(put("a", ""))).unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
        std::thread::sleep(retry);
    }
    assert!(!store.path().exists(), "no new file is begun");
    fs::rename(&aside, store.path()).unwrap();
    while runtime.block_on(store.commit(put("b", ""))).is_err() {
        std::thread::sleep(retry);
    }
    let state = store.snapshot().unwrap();
    drop(store);
    assert_eq!(open(directory.path()).snapshot().unwrap(), state);
}

#[test]
fn a_mark_that_is_no_number_is_refused() {
    let written = Written::new(3, true);
    for mark in ["x\n", "00000000000000000003", "-1\n", "\0\0\0\0", "99999999999999999999999999\n"] {
        fs::write(written.path("state.mark"), mark).unwrap();
        let error = refused(written.directory.path());
        assert!(matches!(error, FileError::Mark { .. }), "{error:?}");
        assert!(error.to_string().contains("does not hold a revision; restore it, or delete it"), "{error}");
    }
}

#[test]
fn what_a_begun_file_left_behind_is_no_hindrance() {
    let directory = tempfile::tempdir().unwrap();
    fs::File::create(directory.path().join("state.redb.new")).unwrap().write_all(b"half").unwrap();
    drop(open(directory.path()));
    assert!(!directory.path().join("state.redb.new").exists());
}
