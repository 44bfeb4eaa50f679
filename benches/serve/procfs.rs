//! What Linux tells about processes and the machine (proc(5)).
//! Never guesses: what is not told is trouble, or said to be unknown.

use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use crate::trouble::{Attempt as _, Outcome};

/// User and system time of a process, exited threads included; in steps of a clock tick (10 ms).
pub fn cpu(process: u32) -> Outcome<Duration> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).to(format!("cannot read {path}"))?;
    // The name in parentheses may hold anything. Behind it `state` is the third field, `utime` the 14th.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
        return Err(io::Error::other(text)).to(format!("cannot understand {path}"));
    };
    let nanoseconds_per_tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos((user + system) * nanoseconds_per_tick))
}

/// `VmRSS` of a process.
pub fn resident_bytes(process: u32) -> Outcome<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).to(format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    match kib {
        Some(kib) => Ok(kib * 1024),
        None => Err(io::Error::other("no VmRSS")).to(format!("cannot understand {path}")),
    }
}

/// The machine and the build.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// Their model.
    pub cpu: String,
    /// The operating system's release.
    pub kernel: String,
    /// The compiler, as the path finds it now.
    pub rustc: String,
    /// How the server was built.
    pub profile: &'static str,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let unknown = || "unknown".to_owned();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find(|line| line.starts_with("model name"));
        let compiler = Command::new("rustc").arg("--version").output().ok();
        let words = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            cpu: model.and_then(|line| words(line.split_once(':')?.1)).unwrap_or_else(unknown),
            kernel: words(&read("/proc/sys/kernel/osrelease")).unwrap_or_else(unknown),
            rustc: compiler
                .and_then(|output| words(&String::from_utf8_lossy(&output.stdout)))
                .unwrap_or_else(unknown),
            profile: if cfg!(debug_assertions) { "debug: no figure counts" } else { "release" },
        }
    }
}
