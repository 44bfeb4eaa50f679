//! Reloading on real directories: how editors, volumes and people change them.
//! Never sleeps: each test waits for what must come, and asks for a look where nothing may come.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::audit::{AuditSink, Cause, Memory, Receipt, Record};
use crate::server::metrics::Metrics;
use crate::server::signals::Signals;

const PATIENCE: Duration = Duration::from_secs(20);

/// Compiles to the text of all files; refuses any that holds `bad`, and panics at `panic`.
struct Texts {
    published: Mutex<Sender<String>>,
    compiled: Arc<AtomicUsize>,
}

impl Target for Texts {
    type Snapshot = String;

    fn compile(&self, files: &[File]) -> Result<Candidate<String>, Vec<Diagnostic>> {
        self.compiled.fetch_add(1, Ordering::SeqCst);
        let text: String = files.iter().map(|file| file.text.trim()).collect();
        assert!(!text.contains("panic"), "as asked");
        if let Some(bad) = files.iter().find(|file| file.text.contains("bad")) {
            return Err(vec![Diagnostic::error("test::bad", "it is bad").at(bad, 0..3, "here")]);
        }
        if files.is_empty() {
            return Err(vec![Diagnostic::error("test::empty", "it is empty")]);
        }
        let revision = Revision(format!("rev:{text}").into());
        Ok(Candidate { snapshot: text, revision, counts: Counts::default(), warnings: vec![] })
    }

    fn publish(&self, snapshot: String) {
        self.published.lock().unwrap().send(snapshot).unwrap();
    }
}

/// Refuses records while it is told to.
#[derive(Default)]
struct Fickle {
    refuses: AtomicBool,
    records: Mutex<Vec<serde_json::Value>>,
}

impl AuditSink for Fickle {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(AuditError::TooLong { bytes: 1, limit_bytes: 0 });
        }
        self.records.lock().unwrap().push(serde_json::from_slice(&record.to_json().unwrap()).unwrap());
        Ok(Receipt::written())
    }
}

struct Running {
    reload: Option<Reload>,
    published: Receiver<String>,
    compiled: Arc<AtomicUsize>,
    sink: Arc<Fickle>,
}

impl Running {
    /// Events alone: the poll would come too late for these tests.
    fn on(bundle: &Path) -> Self {
        Self::with(Config { poll: Duration::from_hours(1), ..quick(bundle) })
    }

    fn with(config: Config) -> Self {
        let running = Self::started(config);
        // The thread's first look, at what changed before the watches stood, is behind us.
        assert!(matches!(running.look(), Ended::Unchanged { .. }));
        running
    }

    fn started(config: Config) -> Self {
        let (sender, published) = channel();
        let compiled = Arc::<AtomicUsize>::default();
        let target = Texts { published: Mutex::new(sender), compiled: Arc::clone(&compiled) };
        let sink = Arc::<Fickle>::default();
        let bundle = Bundle::start(config, target, sink.clone(), Arc::new(Metrics::new())).unwrap();
        let running = Self { reload: Some(bundle.watch().unwrap()), published, compiled, sink };
        running.next();
        running
    }

    fn next(&self) -> String {
        self.published.recv_timeout(PATIENCE).expect("a publication")
    }

    fn look(&self) -> Ended {
        let reloads = self.reload.as_ref().unwrap().reloads();
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(reloads.reload(Cause::Admin))
            .unwrap()
    }

    fn status(&self) -> Arc<Status> {
        self.reload.as_ref().unwrap().reloads().status()
    }

    fn nothing_published(&self) {
        assert!(self.published.try_recv().is_err(), "nothing is published");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(reload) = self.reload.take() {
            reload.stop();
        }
    }
}

fn quick(bundle: &Path) -> Config {
    let (debounce, retry) = (Duration::from_millis(20), Duration::from_millis(20));
    Config { debounce, retry, ..Config::new(bundle) }
}

fn write(bundle: &Path, path: &str, text: &str) {
    let path = bundle.join(path);
    let beside = path.with_file_name(".beside");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

fn bundle(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "bundle/schemas/a.cedarschema", text);
    directory
}

#[test]
fn an_edit_in_place_and_a_write_by_rename_come_into_force() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    write(&path, "schemas/a.cedarschema", "two");
    assert_eq!(running.next(), "two");
    let records = running.sink.records.lock().unwrap().clone();
    assert_eq!((&records[1]["cause"], &records[1]["previous"]), (&"event".into(), &"rev:one".into()));
    assert_eq!(records[1]["changes"]["changed"][0]["path"], "schemas/a.cedarschema");
    fs::write(path.join("schemas/a.cedarschema"), "three").unwrap();
    let mut last = running.next();
    while last != "three" {
        // The file may have been seen after it was emptied.
        last = running.next();
    }
}

#[test]
fn folders_and_files_that_are_new_or_gone_are_seen() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    write(&path, "policies/deep/er/p.cedar", "p");
    assert_eq!(running.next(), "pone");
    write(&path, "policies/deep/er/p.cedar", "q");
    assert_eq!(running.next(), "qone");
    fs::remove_dir_all(path.join("policies")).unwrap();
    let mut last = running.next();
    while last != "one" {
        last = running.next();
    }
}

#[test]
fn a_config_map_swap_is_one_publication() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("bundle");
    write(&path, "schemas/..1/a.cedarschema", "a1");
    write(&path, "schemas/..1/b.cedarschema", "b1");
    let mount = path.join("schemas");
    symlink("..1", mount.join("..data")).unwrap();
    for name in ["a.cedarschema", "b.cedarschema"] {
        symlink(format!("..data/{name}"), mount.join(name)).unwrap();
    }
    let running = Running::on(&path);
    for n in 2..6 {
        write(&path, &format!("schemas/..{n}/a.cedarschema"), &format!("a{n}"));
        write(&path, &format!("schemas/..{n}/b.cedarschema"), &format!("b{n}"));
        symlink(format!("..{n}"), mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        fs::remove_dir_all(mount.join(format!("..{}", n - 1))).unwrap();
        assert_eq!(running.next(), format!("a{n}b{n}"));
    }
    running.nothing_published();
}

#[test]
fn a_bundle_that_is_deleted_and_made_again_is_followed() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    for text in ["two", "three"] {
        fs::remove_dir_all(&path).unwrap();
        assert!(matches!(running.look(), Ended::Failed(_)));
        assert!(running.status().failing.as_ref().unwrap().error.contains("bundle"));
        running.nothing_published();
        write(&path, "schemas/a.cedarschema", text);
        assert_eq!(running.next(), text);
        write(&path, "schemas/a.cedarschema", &format!("{text}!"));
        assert_eq!(running.next(), format!("{text}!"));
    }
    fs::remove_dir_all(parent.path().join("bundle")).unwrap();
    write(&path, "schemas/a.cedarschema", "at once");
    assert_eq!(running.next(), "at once");
}

#[test]
fn a_bundle_behind_a_link_is_followed_where_the_link_leads() {
    let parent = tempfile::tempdir().unwrap();
    write(parent.path(), "v1/schemas/a.cedarschema", "one");
    write(parent.path(), "v2/schemas/a.cedarschema", "two");
    let link = parent.path().join("mount/current");
    fs::create_dir(parent.path().join("mount")).unwrap();
    symlink("../v1", &link).unwrap();
    let running = Running::on(&link);
    symlink("../v2", parent.path().join("mount/next")).unwrap();
    fs::rename(parent.path().join("mount/next"), &link).unwrap();
    assert_eq!(running.next(), "two");
    write(parent.path(), "v2/schemas/a.cedarschema", "three");
    assert_eq!(running.next(), "three");
}

#[test]
fn a_bad_bundle_changes_nothing_and_a_mended_one_comes_into_force() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    write(&path, "schemas/a.cedarschema", "bad");
    let Ended::Failed(failing) = running.look() else { panic!("a bad bundle") };
    assert_eq!((failing.findings[0].code, failing.findings[0].line), ("test::bad", Some(1)));
    assert_eq!(&*running.status().in_force.revision.0, "rev:one");
    let compiled = running.compiled.load(Ordering::SeqCst);
    assert_eq!(running.look(), Ended::Failed(failing), "and it says the same again");
    assert_eq!(running.compiled.load(Ordering::SeqCst), compiled, "without compiling again");
    running.nothing_published();
    write(&path, "schemas/a.cedarschema", "good");
    assert_eq!(running.next(), "good");
    assert!(matches!(running.look(), Ended::Unchanged { .. }));
    assert!(running.status().failing.is_none());
}

#[test]
fn a_folder_of_guards_that_leads_nowhere_leaves_the_last_good_bundle_in_force() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    write(&path, "policies/..1/guards/g.cedar", "g");
    symlink("..1", path.join("policies/..data")).unwrap();
    symlink("..data/guards", path.join("policies/guards")).unwrap();
    let running = Running::on(&path);
    fs::remove_file(path.join("policies/..data")).unwrap();
    assert!(matches!(running.look(), Ended::Failed { .. }));
    running.nothing_published();
    assert!(running.status().failing.is_some());
    write(&path, "policies/..2/guards/g.cedar", "h");
    symlink("..2", path.join("policies/..data")).unwrap();
    assert_eq!(running.next(), "hone");
}

#[test]
fn a_panic_of_the_compiler_does_not_end_reloading() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    write(&path, "schemas/a.cedarschema", "panic");
    assert!(matches!(running.look(), Ended::Failed(_)));
    write(&path, "schemas/a.cedarschema", "two");
    assert_eq!(running.next(), "two");
}

#[test]
fn unchanged_content_is_neither_compiled_nor_published() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    write(&path, "schemas/a.cedarschema", "one");
    write(&path, "policies/a_test.yaml", "a test is no part of the bundle's content");
    assert!(matches!(running.look(), Ended::Unchanged { .. }));
    assert_eq!(running.compiled.load(Ordering::SeqCst), 1);
    write(&path, "schemas/a.cedarschema", "one ");
    assert!(matches!(running.look(), Ended::Unchanged { .. }), "the same revision is no publication");
    running.nothing_published();
    assert_eq!(running.sink.records.lock().unwrap().len(), 1);
}

#[test]
fn the_poll_is_a_net_for_what_no_event_tells() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    // The file changes behind two links; no directory between is watched.
    write(parent.path(), "far/b", "b1");
    fs::create_dir(parent.path().join("near")).unwrap();
    symlink("../far/b", parent.path().join("near/b")).unwrap();
    symlink("../../near/b", path.join("schemas/b.cedarschema")).unwrap();
    let running = Running::with(Config { poll: Duration::from_millis(20), ..quick(&path) });
    write(parent.path(), "other/b", "b2");
    symlink("../other/b", parent.path().join("near/c")).unwrap();
    fs::rename(parent.path().join("near/c"), parent.path().join("near/b")).unwrap();
    assert_eq!(running.next(), "oneb2");
}

#[test]
fn a_publication_waits_for_its_record_and_then_comes_by_itself() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    let running = Running::on(&path);
    running.sink.refuses.store(true, Ordering::SeqCst);
    write(&path, "schemas/a.cedarschema", "two");
    let Ended::Failed(failing) = running.look() else { panic!("no record, no publication") };
    assert!(failing.error.contains("audit record"), "{}", failing.error);
    running.nothing_published();
    running.sink.refuses.store(false, Ordering::SeqCst);
    assert_eq!(running.next(), "two");
    assert_eq!(running.sink.records.lock().unwrap()[1]["revision"], "rev:two");
    assert_eq!(running.compiled.load(Ordering::SeqCst), 2, "compiled once each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hangup_reloads_and_a_terminate_stops() {
    let parent = bundle("one");
    let path = parent.path().join("bundle");
    // Events would wait longer than this test.
    let hour = Duration::from_hours(1);
    let running = tokio::task::block_in_place(|| {
        Running::started(Config { poll: hour, debounce: hour, debounce_max: hour, ..quick(&path) })
    });
    let reloads = running.reload.as_ref().unwrap().reloads();
    reloads.reload(Cause::Admin).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let obeying = tokio::spawn(Signals::listen().unwrap().obey(reloads, stop.clone()));
    let send = |signal: &str| {
        let sent =
            std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    write(&path, "schemas/a.cedarschema", "two");
    send("-HUP");
    assert_eq!(tokio::task::block_in_place(|| running.next()), "two");
    assert_eq!(running.sink.records.lock().unwrap()[1]["cause"], "signal");
    send("-TERM");
    stop.cancelled().await;
    obeying.await.unwrap();
    tokio::task::block_in_place(|| drop(running));
}

#[test]
fn a_server_does_not_start_with_a_bad_bundle() {
    let start = |path: &Path| {
        let target = Texts { published: Mutex::new(channel().0), compiled: Arc::default() };
        Bundle::start(quick(path), target, Arc::new(Memory::new(1)), Arc::new(Metrics::new())).err().unwrap()
    };
    let parent = bundle("bad");
    let refused = start(&parent.path().join("bundle"));
    assert!(matches!(&refused, StartError::Refused(findings) if findings.len() == 1), "{refused}");
    let missing = start(&parent.path().join("nowhere"));
    assert!(matches!(missing, StartError::Source(SourceError::Missing { .. })), "{missing}");
}
