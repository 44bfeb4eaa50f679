//! The process is killed while it commits, again and again: nothing that it acknowledged is lost.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// Tells the test that it is the child, and where its directory is.
const CHILD: &str = "PALISADE_STATE_CHILD";
/// How often to kill. The long form is 200, the short one 40.
const KILLS: &str = "PALISADE_STATE_KILLS";
const NAME: &str = "store::embedded::tests::crash::whatever_was_acknowledged_survives_kill_9";
const COMMITTERS: usize = 8;
const READY_WITHIN: Duration = Duration::from_secs(2);

/// A commit that says which it is.
fn nth(committer: usize, n: usize) -> Commit {
    put(&format!("c/{committer}/{}", n % 64), &format!("{committer} {n} {}", "x".repeat(300)))
}

/// Commits for ever, and says what was acknowledged.
fn child(directory: &Path) {
    let runtime = runtime();
    let store = Arc::new(Embedded::open(directory, History::default()).unwrap());
    println!();
    for committer in 0..COMMITTERS {
        let store = store.clone();
        runtime.spawn(async move {
            for n in 0.. {
                let revision = store.commit(nth(committer, n)).await.unwrap();
                let line = format!("ack {committer} {n} {revision}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    std::thread::sleep(Duration::from_mins(1));
    panic!("nobody killed the child");
}

/// Starts the child, kills it so long after its first commit, and gives all that it acknowledged.
fn killed_after(directory: &Path, wait: Duration) -> Vec<(usize, usize, u64)> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(CHILD, directory);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some(numbers) = line.strip_prefix("ack ") else { continue };
        let mut numbers = numbers.split(' ').map(|number| number.parse::<usize>().unwrap());
        let mut number = || numbers.next().unwrap();
        acknowledged.push((number(), number(), number() as u64));
        if acknowledged.len() == 1 {
            std::thread::sleep(wait);
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

#[test]
fn whatever_was_acknowledged_survives_kill_9() {
    if let Some(directory) = env::var_os(CHILD) {
        return child(Path::new(&directory));
    }
    let kills = env::var(KILLS).map_or(40, |kills| kills.parse::<u64>().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let (mut before, mut total, mut slowest) = (StateRevision(0), 0, Duration::ZERO);
    for kill in 0..kills {
        let acknowledged = killed_after(directory.path(), Duration::from_millis(kill * 37 % 50));
        total += acknowledged.len();
        let start = Instant::now();
        let store = Embedded::open(directory.path(), History::default()).unwrap();
        slowest = slowest.max(start.elapsed());
        assert!(start.elapsed() < READY_WITHIN, "{:?}", start.elapsed());
        let mut watch = store.watch(before).unwrap();
        let mut commits = Vec::new();
        while let Some(committed) = watch.look().unwrap() {
            commits.push(committed);
        }
        for (committer, n, revision) in acknowledged {
            let found = usize::try_from(revision - before.0).ok().and_then(|place| commits.get(place - 1));
            let found = found.unwrap_or_else(|| panic!("kill {kill}: {revision} is lost"));
            assert_eq!((found.revision.0, &found.changes), (revision, &nth(committer, n).changes));
        }
        let snapshot = store.snapshot().unwrap();
        for committed in &commits {
            for change in &committed.changes {
                assert!(snapshot.entries[change.key()].changed >= committed.revision);
            }
        }
        before = snapshot.revision;
    }
    println!("{kills} kills, {total} acknowledged, opened within {slowest:?}");
    assert!(total as u64 > kills);
}
