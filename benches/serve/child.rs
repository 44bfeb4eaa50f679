//! A child process: what it prints and when, what it costs.
//! Never outlives the benchmark.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::procfs;
use crate::trouble::{Attempt as _, Outcome, Trouble};

/// How long anything may take before it is given up. Generous: a bundle of 10,000 policies compiles in it.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// How long a process may take to end before it is killed.
const ENDING: Duration = Duration::from_secs(5);

/// How many of its last lines on standard error are kept.
const LINES_KEPT: usize = 20;

/// A running process. Ended when it is dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    began: Instant,
    stdout: Receiver<(Instant, String)>,
    stderr: Option<JoinHandle<VecDeque<String>>>,
}

impl Process {
    /// Starts a command. Its standard input stays open until the process is dropped.
    pub fn spawn(name: &'static str, command: &mut Command) -> Outcome<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let program = command.get_program().to_owned();
        let mut child =
            command.spawn().to(format!("cannot start {name} (`{}`)", program.to_string_lossy()))?;
        let (sender, stdout) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            thread::spawn(move || forward(pipe, &sender));
        }
        let stderr = child.stderr.take().map(|pipe| thread::spawn(move || keep(pipe)));
        Ok(Self { name, child, began, stdout, stderr })
    }

    /// Waits for a line on standard output: what follows the prefix, and how long after the start it came.
    pub fn wait_for_line(&mut self, prefix: &str) -> Outcome<(String, Duration)> {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.stdout.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return Ok((rest.to_owned(), at.saturating_duration_since(self.began)));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let wanted = format!("`{prefix}` of {}", self.name);
                    return Err(Trouble::Late { wanted, seconds: DEADLINE.as_secs() });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(prefix)),
            }
        }
    }

    /// Why it is gone, if it is.
    pub fn check(&mut self, wanted: &str) -> Outcome<()> {
        match self.child.try_wait().to(format!("cannot look after {}", self.name))? {
            Some(_) => Err(self.ended(wanted)),
            None => Ok(()),
        }
    }

    /// Processor time that it has used, of all its threads.
    pub fn cpu(&self) -> Outcome<Duration> {
        procfs::cpu(self.child.id())
    }

    /// Memory that it has resident, in bytes.
    pub fn resident_bytes(&self) -> Outcome<u64> {
        procfs::resident_bytes(self.child.id())
    }

    fn ended(&mut self, wanted: &str) -> Trouble {
        // It closed its standard output; whatever it still does is of no use.
        self.stop();
        let lines = self.stderr.take().and_then(|lines| lines.join().ok()).unwrap_or_default();
        let words = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        let words = words.collect::<Vec<_>>().join(" / ");
        Trouble::Ended { name: self.name, wanted: wanted.to_owned(), words }
    }

    /// Asks it to end, which lets it write what it has still to write, and ends it when it does not.
    fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end at this very moment.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let until = Instant::now() + ENDING;
            while self.stdout.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn forward(pipe: ChildStdout, lines: &mpsc::Sender<(Instant, String)>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        // Nobody may listen any more; the pipe is emptied all the same.
        let _ = lines.send((Instant::now(), line));
    }
}

fn keep(pipe: ChildStderr) -> VecDeque<String> {
    let mut kept = VecDeque::new();
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if kept.len() == LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept
}
