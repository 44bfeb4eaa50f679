//! What Linux tells about processes and the machine (proc(5)).
//! Never guesses: what is not told is trouble, or said to be unknown.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::trouble::{Attempt as _, Outcome};

/// User and system time of a process, exited threads included; in steps of a clock tick (10 ms).
pub fn cpu(process: u32) -> Outcome<Duration> {
    // `utime` and `stime` are the 14th and 15th field.
    times(&format!("/proc/{process}/stat"), 2)
}

/// The same of this process and of the children that it has waited for.
fn cpu_of_all() -> Outcome<Duration> {
    // `cutime` and `cstime` follow.
    times("/proc/self/stat", 4)
}

fn times(path: &str, count: usize) -> Outcome<Duration> {
    let text = fs::read_to_string(path).to(format!("cannot read {path}"))?;
    // The name in parentheses may hold anything. Behind it `state` is the third field.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(count).map(str::parse::<u64>);
    match times.collect::<Result<Vec<_>, _>>() {
        Ok(times) if times.len() == count => Ok(of_ticks(times.iter().sum())),
        _ => Err(io::Error::other(text)).to(format!("cannot understand {path}")),
    }
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)))
}

/// Time that all processors together were busy since the machine started; a hypervisor's other guests included.
fn busy() -> Outcome<Duration> {
    let path = "/proc/stat";
    let text = fs::read_to_string(path).to(format!("cannot read {path}"))?;
    // user nice system idle iowait irq softirq steal
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let ticks =
        fields.enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, ticks)| ticks.parse::<u64>());
    ticks
        .sum::<Result<u64, _>>()
        .map(of_ticks)
        .map_err(io::Error::other)
        .to(format!("cannot understand {path}"))
}

/// What others use of the processors while something is measured.
pub struct Others {
    began: Instant,
    busy: Duration,
    own: Duration,
}

impl Others {
    /// From now on.
    pub fn from_now() -> Outcome<Self> {
        Ok(Self { began: Instant::now(), busy: busy()?, own: cpu_of_all()? })
    }

    /// Their share of all processors since then, in per cent. Children that still run count as others.
    pub fn share(&self, cores: usize) -> Outcome<f64> {
        let own = cpu_of_all()?.saturating_sub(self.own);
        let others = busy()?.saturating_sub(self.busy).saturating_sub(own);
        let cores = u32::try_from(cores.max(1)).unwrap_or(u32::MAX);
        Ok(100.0 * others.as_secs_f64() / (self.began.elapsed() * cores).as_secs_f64())
    }
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
