//! How long a bundle takes to compile, for the first time and after one thing changed.
//! Never asserts a time: it reports medians. `make bench` runs it.

#[path = "bundles.rs"]
mod bundles;

use std::time::{Duration, Instant};

use bundles::{Beside, PER_FILE, policy_file, tool_files};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use palisade::diagnostic::File;
use palisade::policy::{Compiler, compile};

fn cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cold compile");
    let files = bundles::shipped();
    group.bench_function("shipped", |b| b.iter(|| compile(&files).is_ok()));
    for policies in [1_000, 10_000] {
        let files = Beside { policies, ..Beside::default() }.files();
        group.bench_function(BenchmarkId::new("policies", policies), |b| b.iter(|| compile(&files).is_ok()));
    }
    let files = Beside { policies: 1_000, tools: 1_000, ..Beside::default() }.files();
    group.bench_function("1000 policies, 1000 tools", |b| b.iter(|| compile(&files).is_ok()));
    group.finish();
}

/// Compiles two bundles in turn with one compiler: the time of one compilation.
fn in_turn(one: &[File], other: &[File], rounds: u64) -> Duration {
    let mut compiler = Compiler::default();
    assert!(compiler.compile(one).is_ok());
    let began = Instant::now();
    for round in 0..rounds {
        let files = if round % 2 == 0 { other } else { one };
        assert!(compiler.compile(files).is_ok());
    }
    began.elapsed()
}

fn replaced(files: &[File], with: &File) -> Vec<File> {
    let same = |file: &File| if file.path == with.path { with.clone() } else { file.clone() };
    files.iter().map(same).collect()
}

fn warm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile again");
    for (policies, tools) in [(10_000, 0), (1_000, 1_000)] {
        let files = Beside { policies, tools, ..Beside::default() }.files();
        let changed = replaced(&files, &policy_file(0, PER_FILE, "Changed."));
        let name = format!("one of {policies} policies changed, {tools} tools");
        group.bench_function(name, |b| b.iter_custom(|rounds| in_turn(&files, &changed, rounds)));
    }
    let files = Beside { policies: 1_000, tools: 1_000, ..Beside::default() }.files();
    let [catalog, _] = tool_files(0, PER_FILE);
    let text = catalog.text.replacen("\"integer\"", "\"string\"", 1);
    let changed = replaced(&files, &File::new(catalog.path.clone(), text));
    group.bench_function("one of 1000 tools changed, 1000 policies", |b| {
        b.iter_custom(|rounds| in_turn(&files, &changed, rounds));
    });
    group.finish();
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = cold, warm }
criterion_main!(benches);
