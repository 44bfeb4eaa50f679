//! A clock that is set back and forward an hour while the server runs.
//! Never the machine's own clock: the server is given another one, by a library that is loaded before the system's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use palisade::api::proto::v1;

use super::super::child::{Process, until};
use super::super::place::Place;
use super::super::server::Server;
use super::desk::{self, Desk, Lent, key, lookup, wish};

const HOUR_S: i64 = 3600;

/// Adds the seconds of a file to the time of day, and leaves every other clock alone. Made by the C compiler that the build of
/// the server needs as well.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int file = -1;
    long done = syscall(SYS_clock_gettime, clock, at);
    if (done == 0 && clock == CLOCK_REALTIME) {
        char text[32] = {0};
        if (file < 0) file = open(getenv("PALISADE_TEST_CLOCK"), O_RDONLY | O_CLOEXEC);
        if (pread(file, text, sizeof text - 1, 0) > 0) at->tv_sec += atoll(text);
    }
    return (int)done;
}
"#;

/// A place whose server lives by a clock of its own.
struct Clock {
    place: Place,
    library: PathBuf,
}

impl Clock {
    fn new(tasks: &str) -> Self {
        let place = desk::place(tasks);
        let (source, library) = (place.path().join("clock.c"), place.path().join("clock.so"));
        fs::write(&source, SHIM).unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let made =
            Command::new(compiler).args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(made.expect("a C compiler").success());
        let this = Self { place, library };
        this.set(0);
        this
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("clock.shift")
    }

    /// From now on it is so many seconds later than it is. Always as long, so that no half of it is read.
    fn set(&self, shift_s: i64) {
        let text = format!("{shift_s:+020}");
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.file()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).unwrap();
    }

    fn start(&self) -> Server {
        let mut command = self.place.command();
        command.env("LD_PRELOAD", &self.library).env("PALISADE_TEST_CLOCK", self.file());
        Server::started(Process::spawn(&mut command), &self.place.data())
    }
}

/// A task of so many seconds.
fn begin(desk: &Desk, ttl_s: u64) -> Lent {
    let mut wish = wish(&key());
    wish.wanted.as_mut().unwrap().ttl_s = ttl_s;
    desk.begin(wish)
}

fn state(desk: &Desk, task: &Lent) -> v1::TaskState {
    desk.get(&task.id).unwrap().state()
}

const EXPIRED: Option<v1::DenyReason> = Some(v1::DenyReason::TaskExpired);

#[test]
fn nothing_is_allowed_past_its_end_and_what_has_expired_stays_so_when_the_clock_goes_back() {
    let clock = Clock::new("");
    let server = clock.start();
    let desk = Desk::gateway(&server);
    let (short, long) = (begin(&desk, 600), begin(&desk, 3 * 3600));
    assert_eq!((desk.denied(&lookup(&short.token)), desk.denied(&lookup(&long.token))), (None, None));
    clock.set(HOUR_S);
    assert_eq!(desk.denied(&lookup(&short.token)), EXPIRED, "the very next call");
    assert_eq!(desk.denied(&lookup(&long.token)), None);
    let recorded = || {
        let records = clock.place.records_of("task").into_iter();
        records.filter(|record| record["move"] == "expired" && record["task"] == short.id.as_str()).count()
    };
    // Set back before anybody has looked at what is over, or after it.
    clock.set(0);
    assert_eq!(desk.denied(&lookup(&short.token)), EXPIRED, "it does not come back");
    assert_eq!(state(&desk, &short), v1::TaskState::Expired);
    clock.set(HOUR_S);
    until("the end on record", || (recorded() == 1).then_some(()));
    for shift_s in [0, -HOUR_S, HOUR_S] {
        clock.set(shift_s);
        assert_eq!(desk.denied(&lookup(&short.token)), EXPIRED);
        assert_eq!(state(&desk, &short), v1::TaskState::Expired);
        assert_eq!(desk.denied(&lookup(&long.token)), None);
    }
    // Nor by a restart under a clock that was set back.
    clock.set(0);
    server.kill();
    let server = clock.start();
    let desk = Desk::gateway(&server);
    assert!(desk.denied(&lookup(&short.token)).is_some());
    assert_eq!(desk.denied(&lookup(&long.token)), None);
    assert_eq!(recorded(), 1);
}

#[test]
fn under_a_clock_that_was_set_back_tasks_begin_and_end_as_before() {
    let clock = Clock::new("");
    let server = clock.start();
    let desk = Desk::gateway(&server);
    let before = begin(&desk, 600);
    clock.set(-HOUR_S);
    assert_eq!(desk.denied(&lookup(&before.token)), None);
    let after = begin(&desk, 600);
    let ends = |task: &Lent| desk.get(&task.id).unwrap().expires.unwrap().seconds;
    assert!((0..60).contains(&(ends(&after) - ends(&before))), "its end is no hour earlier");
    assert_eq!(desk.denied(&lookup(&after.token)), None);
    desk.revoke(v1::target::Target::Task(before.id.clone())).unwrap();
    assert_eq!(desk.denied(&lookup(&before.token)), Some(v1::DenyReason::TaskRevoked));
    // The clock is right again, and goes on to the end of the other one.
    clock.set(0);
    assert_eq!(desk.denied(&lookup(&after.token)), None);
    clock.set(660);
    assert_eq!(desk.denied(&lookup(&after.token)), EXPIRED);
}
