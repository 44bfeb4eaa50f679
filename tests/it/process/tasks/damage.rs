//! A state that is not what was written: refused, with words that say how to go on, and left as it is.
//! Never begun anew in silence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use palisade::api::proto::v1;

use super::super::child::Ended;
use super::super::place::{Place, tree};
use super::desk::{self, Desk, Lent, key, lookup, wish};

/// A place whose server has started a task, and ended in order.
fn world() -> (Place, Lent) {
    let place = desk::place("");
    let server = place.start();
    let task = Desk::gateway(&server).begin(wish(&key()));
    assert_eq!(server.stop().code, Some(0));
    (place, task)
}

fn state(place: &Place) -> PathBuf {
    place.data().join("state.redb")
}

fn mark(place: &Place) -> PathBuf {
    place.data().join("state.mark")
}

/// Every file of the data directory, but for the journal.
fn files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let files =
        tree(&place.data()).into_iter().filter(|path| path.is_file() && !path.ends_with("audit.jsonl"));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Refused in these words, and nothing was changed by it.
#[track_caller]
fn check(place: &Place, words: &[&str]) {
    let before = files(place);
    refused(place, words);
    assert!(files(place) == before, "the refused start changed something");
}

#[track_caller]
fn refused(place: &Place, words: &[&str]) {
    let before = place.records().len();
    let Ended { code, stdout, stderr } = place.refused();
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    for part in words {
        assert!(stderr.contains(part), "`{part}` is not in:\n{stderr}");
    }
    assert_eq!(place.records().len(), before);
}

/// It serves the task.
fn serves(place: &Place, task: &Lent) {
    let server = place.start();
    assert_eq!(Desk::gateway(&server).denied(&lookup(&task.token)), None);
    server.stop();
}

#[test]
fn a_state_that_was_cut_short_is_refused_and_a_backup_of_it_serves() {
    let (place, task) = world();
    let whole = fs::read(state(&place)).unwrap();
    let name = state(&place).display().to_string();
    for length in [whole.len() / 2, whole.len() - 4096, 4096, 100, 0] {
        fs::write(state(&place), &whole[..length]).unwrap();
        check(&place, &[&name, "is damaged", "restore it from a backup"]);
    }
    fs::write(state(&place), &whole).unwrap();
    serves(&place, &task);
}

#[test]
fn a_state_with_other_bytes_in_the_middle_is_refused() {
    let (place, task) = world();
    let whole = fs::read(state(&place)).unwrap();
    let name = state(&place).display().to_string();
    let mut other = whole.clone();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for byte in &mut other[used / 3..used * 2 / 3] {
        *byte ^= 0x5a;
    }
    fs::write(state(&place), &other).unwrap();
    check(&place, &[&name, "is damaged", "restore it from a backup"]);
    fs::write(state(&place), vec![0x41; whole.len()]).unwrap();
    check(&place, &[&name, "restore"]);
    fs::write(state(&place), &whole).unwrap();
    serves(&place, &task);
}

#[test]
fn a_single_byte_of_a_task_that_is_another_one_is_refused() {
    let (place, task) = world();
    let whole = fs::read(state(&place)).unwrap();
    // Wherever its id stands in the file: one of them is the task itself.
    let id = task.id.as_bytes();
    let places: Vec<usize> = (0..whole.len() - id.len()).filter(|at| whole[*at..].starts_with(id)).collect();
    assert!(!places.is_empty());
    let mut other = whole.clone();
    for at in places {
        other[at + id.len() - 1] ^= 1;
    }
    fs::write(state(&place), &other).unwrap();
    check(&place, &["is damaged", "restore it from a backup"]);
}

#[test]
fn a_state_that_is_gone_is_refused_until_its_mark_is_deleted_too() {
    let (place, task) = world();
    fs::remove_file(state(&place)).unwrap();
    check(&place, &["is gone", "delete `state.mark`", "all commits are lost"]);
    assert!(!state(&place).exists(), "nothing is made in its place");
    fs::remove_file(mark(&place)).unwrap();
    let server = place.start();
    let desk = Desk::gateway(&server);
    // The token is still signed by us, and stands for nothing.
    assert_eq!(desk.denied(&lookup(&task.token)), Some(v1::DenyReason::TaskRevoked));
    assert_eq!(desk.list().tasks.len(), 0);
    desk.begin(wish(&key()));
}

#[test]
fn an_older_state_is_refused_until_somebody_accepts_what_is_lost() {
    let (place, task) = world();
    let older = fs::read(state(&place)).unwrap();
    let server = place.start();
    let desk = Desk::gateway(&server);
    desk.end(&task.id, v1::Ending::Completed, "").unwrap();
    server.stop();
    fs::write(state(&place), older).unwrap();
    let mark_name = mark(&place).display().to_string();
    // The file is whole, so it is opened and closed again, which it notes.
    refused(&place, &["ends at revision", "was acknowledged", &format!("delete `{mark_name}`"), "lost"]);
    fs::write(mark(&place), "many\n").unwrap();
    check(&place, &[&mark_name, "does not hold a revision", "delete it"]);
    fs::remove_file(mark(&place)).unwrap();
    // As the advice says: what was committed since is lost.
    serves(&place, &task);
}

#[test]
fn keys_and_state_are_for_the_server_s_own_user() {
    let (place, _) = world();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let keys = place.data().join("keys");
    assert_eq!((mode(&state(&place)), mode(&mark(&place)), mode(&keys)), (0o600, 0o600, 0o700));
    let file = fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    for wrong in [0o640, 0o604, 0o660, 0o777] {
        fs::set_permissions(&file, fs::Permissions::from_mode(wrong)).unwrap();
        check(&place, &["keys/", &format!("{wrong:o}"), "run `chmod 600` on it"]);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    place.start();
}
