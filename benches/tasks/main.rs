//! What tasks cost: starts that are durable, calls under a task beside calls without one, memory, drift, and opening the state.
//! Never asserts a time: it prints what was measured beside its goal. `cargo bench --bench tasks -- --only calls` runs a part.

#![expect(clippy::expect_used, reason = "a benchmark without its state has nothing to measure")]
#![expect(clippy::cast_precision_loss, reason = "counts and times, told with two or three digits")]

#[expect(dead_code, reason = "others need larger bundles")]
#[path = "../bundles.rs"]
mod bundles;
mod calls;
mod drift;
#[expect(dead_code, reason = "others need a task that nobody began")]
#[path = "../lent.rs"]
mod lent;
mod measure;
mod memory;
mod opening;
#[path = "../quiet.rs"]
mod quiet;
#[expect(dead_code, reason = "others need a PDP without tasks")]
#[path = "../refund.rs"]
mod refund;
mod report;
mod seed;
mod starts;
#[path = "../token.rs"]
mod token;
mod world;

use report::Report;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The parts, as `--only` names them, separated by commas.
const PARTS: [(&str, Part); 5] = [
    ("starts", starts::run),
    ("calls", calls::run),
    ("memory", memory::run),
    ("drift", drift::run),
    ("opening", opening::run),
];

/// Measures, and says what came of it.
type Part = fn(&mut Report);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    if let Some(what) = after(memory::CHILD) {
        return memory::child(what);
    }
    // A run of tests is no time to measure.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let only = after("--only");
    let mut report = Report::default();
    for (name, part) in PARTS {
        if only.is_none_or(|only| only.split(',').any(|wanted| wanted == name)) {
            eprintln!("{name} …");
            part(&mut report);
        }
    }
    println!("{}", report.markdown());
    if let Some(path) = after("--out") {
        std::fs::write(path, report.markdown()).expect("a file that can be written");
    }
}
