//! A child process: what it prints, how it ends.
//! Never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up. Generous: machines are shared.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// What a stream of a process has printed so far.
#[derive(Clone, Default)]
pub struct Output(Arc<(Mutex<Printed>, Condvar)>);

#[derive(Default)]
struct Printed {
    text: String,
    ended: bool,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let this = Self::default();
        let output = this.clone();
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                output.change(|printed| printed.text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
            output.change(|printed| printed.ended = true);
        });
        this
    }

    fn change(&self, change: impl FnOnce(&mut Printed)) {
        let (printed, news) = &*self.0;
        change(&mut printed.lock().unwrap());
        news.notify_all();
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        self.0.0.lock().unwrap().text.clone()
    }

    /// Waits until `found` finds something in what was printed; panics with all of it when the stream ends before.
    pub fn wait_for<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let (printed, news) = &*self.0;
        let mut printed = printed.lock().unwrap();
        loop {
            if let Some(found) = found(&printed.text) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!printed.ended && !left.is_zero(), "no {what} in:\n{}", printed.text);
            printed = news.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// Waits for a part of the text.
    pub fn wait_for_text(&self, part: &str) {
        self.wait_for(part, |text| text.contains(part).then_some(()));
    }

    fn wait_for_end(&self) -> String {
        let until = Instant::now() + DEADLINE;
        let (printed, news) = &*self.0;
        let mut printed = printed.lock().unwrap();
        while !printed.ended {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the process goes on:\n{}", printed.text);
            printed = news.wait_timeout(printed, left).unwrap().0;
        }
        printed.text.clone()
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

/// A running process. Killed when it is dropped.
pub struct Process {
    child: Child,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
}

impl Process {
    /// Starts a command.
    pub fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let stdout = Output::of(child.stdout.take().expect("standard output is piped"));
        let stderr = Output::of(child.stderr.take().expect("standard error is piped"));
        Self { child, stdout, stderr }
    }

    /// Its id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    /// Waits until it has ended by itself.
    pub fn end(mut self) -> Ended {
        let (stdout, stderr) = (self.stdout.wait_for_end(), self.stderr.wait_for_end());
        let code = self.child.wait().expect("it can be waited for").code();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("── standard error of the process ──\n{}", self.stderr.text());
        }
    }
}

/// Tries until there is something; panics at the deadline.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
