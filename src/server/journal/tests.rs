//! The journal on real files, and what goes wrong with them.
//! Never sleeps.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::Value;
use tempfile::TempDir;

use super::*;

const RECORD: Resumed = Resumed { time: Timestamp(2), failing_since: Timestamp(1), refused: 7 };

fn data() -> (TempDir, DataDir) {
    let parent = tempfile::tempdir().unwrap();
    let data = DataDir::open(&parent.path().join("data")).unwrap();
    (parent, data)
}

fn open(data: &DataDir, config: Config) -> Journal {
    Journal::open(data, config, Arc::new(Metrics::new())).unwrap()
}

fn write(journal: &Journal) -> Result<Receipt, AuditError> {
    journal.record(&Record::Resumed(&RECORD))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "whole lines only");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn files(journal: &Journal, prefix: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(journal.directory()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect()
}

#[test]
fn a_record_is_a_line_that_only_the_owner_reads() {
    let (_parent, data) = data();
    let journal = open(&data, Config::default());
    let _ = write(&journal).unwrap();
    let _ = write(&journal).unwrap();
    let path = journal.directory().join(CURRENT);
    assert_eq!(lines(&path).len(), 2);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(journal.directory()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_torn_last_line_is_set_aside_and_whole_lines_stay() {
    let (_parent, data) = data();
    let path = data.folder(FOLDER).unwrap().join(CURRENT);
    let long = "x".repeat(200_000);
    fs::write(&path, format!("{{\"n\":1}}\n{{\"n\":2}}\n{{\"n\":\"{long}")).unwrap();
    let journal = open(&data, Config::default());
    let _ = write(&journal).unwrap();
    let kept = lines(&path);
    assert_eq!((&kept[0]["n"], &kept[1]["n"], &kept[2]["refused"]), (&1.into(), &2.into(), &7.into()));
    let torn = files(&journal, "torn-");
    assert_eq!(fs::read_to_string(&torn[0]).unwrap(), format!("{{\"n\":\"{long}"));
}

#[test]
fn a_last_line_that_lacks_only_its_end_gets_it() {
    let (_parent, data) = data();
    let path = data.folder(FOLDER).unwrap().join(CURRENT);
    fs::write(&path, "{\"n\":1}\n{\"n\":2}").unwrap();
    let journal = open(&data, Config::default());
    assert_eq!(lines(&path).len(), 2);
    assert!(files(&journal, "torn-").is_empty());
}

#[test]
fn a_full_file_is_set_aside_and_none_is_deleted() {
    let (_parent, data) = data();
    let journal = open(&data, Config { rotate_bytes: 250, ..Config::default() });
    for _ in 0..10 {
        let _ = write(&journal).unwrap();
    }
    let all = files(&journal, "audit");
    assert!(all.len() > 3, "{all:?}");
    assert!(all.iter().all(|path| fs::metadata(path).unwrap().len() <= 250));
    assert_eq!(all.iter().map(|path| lines(path).len()).sum::<usize>(), 10);
}

#[test]
fn a_full_disk_refuses_answers_until_there_is_room() {
    let (_parent, data) = data();
    let path = data.folder(FOLDER).unwrap().join(CURRENT);
    symlink("/dev/full", &path).unwrap();
    let journal = open(&data, Config::default());
    for _ in 0..3 {
        let refused = write(&journal).unwrap_err();
        assert!(matches!(refused, AuditError::Write { .. }), "{refused}");
    }
    assert!(!journal.is_writable());
    fs::remove_file(&path).unwrap();
    let _ = write(&journal).unwrap();
    assert!(journal.is_writable());
    let told = lines(&path);
    assert_eq!((told.len(), &told[0]["type"], &told[0]["refused"]), (2, &"resumed".into(), &3.into()));
}

#[test]
fn a_journal_heals_without_a_request() {
    let (_parent, data) = data();
    let path = data.folder(FOLDER).unwrap().join(CURRENT);
    symlink("/dev/full", &path).unwrap();
    let journal = open(&data, Config::default());
    write(&journal).unwrap_err();
    fs::remove_file(&path).unwrap();
    assert!(journal.is_writable());
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_deleted_file_is_begun_again_with_the_same_record() {
    let (_parent, data) = data();
    let journal = open(&data, Config::default());
    let path = journal.directory().join(CURRENT);
    let _ = write(&journal).unwrap();
    fs::remove_file(&path).unwrap();
    let _ = write(&journal).unwrap();
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_record_without_limit_is_refused_and_is_no_outage() {
    let (_parent, data) = data();
    let journal = open(&data, Config { line_bytes_max: 20, ..Config::default() });
    let refused = write(&journal).unwrap_err();
    assert!(matches!(refused, AuditError::TooLong { limit_bytes: 20, .. }), "{refused}");
    assert!(journal.is_writable());
}

#[test]
fn records_that_are_written_together_stand_in_their_order_or_not_at_all() {
    let (_parent, data) = data();
    let path = data.folder(FOLDER).unwrap().join(CURRENT);
    symlink("/dev/full", &path).unwrap();
    let journal = open(&data, Config::default());
    let told: Vec<Resumed> = (1..=3).map(|refused| Resumed { refused, ..RECORD }).collect();
    let records: Vec<Record<'_>> = told.iter().map(Record::Resumed).collect();
    assert!(journal.record_all(&records).iter().all(Result::is_err));
    fs::remove_file(&path).unwrap();
    assert!(journal.record_all(&records).iter().all(Result::is_ok));
    let refused: Vec<u64> = lines(&path).iter().map(|line| line["refused"].as_u64().unwrap()).collect();
    assert_eq!(refused, [3, 1, 2, 3], "the end of the outage, which refused three, and then each of them");
    assert!(journal.record_all(&[]).is_empty());
}

#[test]
fn a_record_that_is_too_long_fails_alone() {
    let (_parent, data) = data();
    let length = Record::Resumed(&RECORD).to_json().unwrap().len() + 1;
    let journal = open(&data, Config { line_bytes_max: length, ..Config::default() });
    let long = Resumed { refused: u64::MAX, ..RECORD };
    let fates =
        journal.record_all(&[Record::Resumed(&RECORD), Record::Resumed(&long), Record::Resumed(&RECORD)]);
    assert_eq!(fates.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(lines(&journal.directory().join(CURRENT)).len(), 2);
}

/// Set for the process that this test starts: the data directory, within a limit on the length of files.
const SMALL_FILES: &str = "PALISADE_TEST_SMALL_FILES";

#[test]
fn a_line_that_fits_only_in_part_leaves_nothing() {
    if let Some(path) = std::env::var_os(SMALL_FILES) {
        let data = DataDir::open(Path::new(&path)).unwrap();
        let journal = open(&data, Config::default());
        let refused = (0..100).find_map(|_| write(&journal).err()).expect("the file may not grow for ever");
        assert!(matches!(refused, AuditError::Write { .. }), "{refused}");
        let path = journal.directory().join(CURRENT);
        let whole = lines(&path).len();
        assert!(whole > 3);
        write(&journal).unwrap_err();
        assert_eq!(lines(&path).len(), whole);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let test = "server::journal::tests::a_line_that_fits_only_in_part_leaves_nothing";
    let ran = std::process::Command::new("sh")
        // Ignored, the signal becomes an error of write(2).
        .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(SMALL_FILES, directory.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_directory_in_the_way_is_refused_at_the_start() {
    let (_parent, data) = data();
    fs::create_dir(data.folder(FOLDER).unwrap().join(CURRENT)).unwrap();
    let refused = Journal::open(&data, Config::default(), Arc::new(Metrics::new())).unwrap_err();
    assert!(matches!(refused, JournalError::Open { .. }), "{refused}");
}

#[test]
fn recent_lines_are_read_across_files_and_within_the_limit() {
    let (_parent, data) = data();
    let folder = data.folder(FOLDER).unwrap();
    fs::write(folder.join("audit-20260101T000000Z-001.jsonl"), "a1\na2\n").unwrap();
    fs::write(folder.join("audit-20260102T000000Z-001.jsonl"), "b1\nb2\n").unwrap();
    fs::write(folder.join(CURRENT), "c1\nc2\ntorn").unwrap();
    let read = |bytes_max| {
        let mut seen = Vec::new();
        for_each_recent_line(&folder, bytes_max, |line| seen.push(String::from_utf8(line.to_vec()).unwrap()))
            .unwrap();
        seen
    };
    assert_eq!(read(1_000), ["a1", "a2", "b1", "b2", "c1", "c2"]);
    assert_eq!(read(10 + 3), ["b2", "c1", "c2"]);
    assert_eq!(read(10 + 4), ["b2", "c1", "c2"]);
    assert_eq!(read(0), Vec::<String>::new());
}
