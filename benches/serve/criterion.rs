//! The medians that criterion left behind, read for the joined report.
//! Never measures, and says how old each figure is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// A table of all medians below criterion's folder.
pub fn markdown(folder: &Path) -> String {
    let mut lines = Vec::new();
    collect(folder, &mut lines);
    if lines.is_empty() {
        return "Criterion has measured nothing yet.\n".to_owned();
    }
    lines.sort();
    let mut text = String::from("| benchmark | median | 95 % interval | measured |\n|---|--:|--:|--:|\n");
    text.extend(lines);
    text
}

fn collect(folder: &Path, lines: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.file_name().is_some_and(|name| name == "new") {
            lines.extend(line(&path));
        } else {
            collect(&path, lines);
        }
    }
}

fn line(new: &Path) -> Option<String> {
    let path = new.join("estimates.json");
    let estimates: Estimates = serde_json::from_str(&fs::read_to_string(&path).ok()?).ok()?;
    let benchmark: Benchmark =
        serde_json::from_str(&fs::read_to_string(new.join("benchmark.json")).ok()?).ok()?;
    let age = SystemTime::now().duration_since(fs::metadata(&path).ok()?.modified().ok()?).ok()?;
    let Estimates { median: Estimate { point_estimate, confidence_interval } } = estimates;
    let Interval { lower_bound, upper_bound } = confidence_interval;
    let mut line = String::new();
    write!(
        line,
        "| {} | {} | {} – {} | {} min ago |",
        benchmark.full_id.replace('|', "\\|"),
        time(point_estimate),
        time(lower_bound),
        time(upper_bound),
        age.as_secs() / 60,
    )
    .ok()?;
    Some(line + "\n")
}

/// Criterion counts in nanoseconds.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        time if time < 1e3 => format!("{time:.1} ns"),
        time if time < 1e6 => format!("{:.2} µs", time / 1e3),
        time => format!("{:.2} ms", time / 1e6),
    }
}
