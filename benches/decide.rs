//! How long a decision takes, in process, whatever the size of the bundle; and Cedar's own authorizer beside it.
//! Never asserts a time: it reports medians. `make bench` runs it.

#[path = "bundles.rs"]
mod bundles;
mod plain;
#[path = "refund.rs"]
mod refund;

use std::hint::black_box;

use bundles::Beside;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use refund::{decide, permitting};

/// B1: the shipped bundle, both halves, recorded in memory; and plain Cedar with the same policies for one half.
fn shipped(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shipped");
    let (pdp, request) = permitting(&bundles::shipped(), "support-bot");
    group.bench_function("palisade, both halves", |b| b.iter(|| decide(&pdp, black_box(&request))));
    let cedar = plain::Cedar::of(&bundles::shipped());
    group.bench_function("cedar, one half", |b| b.iter(|| cedar.refund_is_permitted()));
    group.finish();
}

/// B2: policies that the question does not meet.
fn policies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policies");
    for policies in [10, 100, 1_000, 10_000, 100_000] {
        let (pdp, request) = permitting(&Beside { policies, ..Beside::default() }.files(), "support-bot");
        group.bench_function(BenchmarkId::from_parameter(policies), |b| {
            b.iter(|| decide(&pdp, black_box(&request)));
        });
    }
    group.finish();
}

/// B2: agents that each have a rule of their own; the last of them asks.
fn agents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("agents");
    for agents in [10, 5_000] {
        let agent = format!("agent-{}", agents - 1);
        let (pdp, request) = permitting(&Beside { agents, ..Beside::default() }.files(), &agent);
        group.bench_function(BenchmarkId::from_parameter(agents), |b| {
            b.iter(|| decide(&pdp, black_box(&request)));
        });
    }
    group.finish();
}

/// B3: entities that the question does not meet.
fn entities(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entities");
    for people in [100, 10_000, 100_000] {
        let (pdp, request) = permitting(&Beside { people, ..Beside::default() }.files(), "support-bot");
        group.bench_function(BenchmarkId::from_parameter(people), |b| {
            b.iter(|| decide(&pdp, black_box(&request)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = shipped, policies, agents, entities
}
criterion_main!(benches);
