//! How long a decision takes, in process, whatever the size of the bundle; and Cedar's own authorizer beside it.
//! Never asserts a time: it reports medians. `make bench` runs it.

#[path = "bundles.rs"]
mod bundles;
mod plain;
#[path = "refund.rs"]
mod refund;
#[path = "token.rs"]
mod token;

use std::hint::black_box;

use bundles::Beside;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use palisade::access::{DenyReason, Facts, Outcome, Question, Timestamp};
use palisade::catalog::{Server, Tool};
use palisade::identity::Algorithm;
use palisade::pdp::Request;
use palisade::policy;
use palisade::value::{Members, Uid, Value};
use refund::{decide, permitting};
use token::Signer;

/// B1: the shipped bundle, both halves, its record made; and plain Cedar with the same policies for one half.
fn shipped(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shipped");
    let (pdp, request) = permitting(&bundles::shipped(), "support-bot");
    group.bench_function("palisade, both halves", |b| b.iter(|| decide(&pdp, black_box(&request))));
    let cedar = plain::Cedar::of(&bundles::shipped());
    group.bench_function("cedar, one half", |b| b.iter(|| cedar.refund_is_permitted()));
    group.finish();
}

/// B1 with a verified token: one that was seen before, and one that is seen for the first time.
fn tokens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tokens");
    let (pdp, said) = permitting(&bundles::shipped(), "support-bot");
    group.bench_function("asserted", |b| b.iter(|| decide(&pdp, black_box(&said))));
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let signer = Signer::new(algorithm);
        pdp.trust(signer.trust());
        let shown =
            |number| Request { claim: None, credentials: signer.token(number, token::CRM), ..said.clone() };
        let first = shown(0);
        let answer = decide(&pdp, &first);
        assert!(answer.is_some_and(|answer| answer.decision.outcome.is_permit()), "the token is taken");
        group.bench_function(format!("{algorithm}, seen before"), |b| {
            b.iter(|| decide(&pdp, black_box(&first)));
        });
        // Each in its turn: none was seen before.
        let requests: Vec<Request> = (0..FRESH_TOKENS).map(shown).collect();
        let mut fresh = requests.iter().cycle();
        group.bench_function(format!("{algorithm}, seen for the first time"), |b| {
            b.iter(|| fresh.next().map(|request| decide(&pdp, black_box(request))));
        });
    }
    group.finish();
}

/// How many tokens are shown in turn: more than a run asks about, so that none comes twice.
const FRESH_TOKENS: usize = 160_000;

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

/// B9: what one party may call among 300 tools: a decision for each, both halves, without records.
fn listing(criterion: &mut Criterion) {
    let snapshot = refund::snapshot(&Beside { tools: 300, ..Beside::default() }.files());
    let facts = Facts {
        principal: Uid::new("Human", "ana"),
        actor: Some(Uid::new("Agent", "support-bot")),
        actor_depth: 1,
        session: None,
        described: None,
        token: None,
        task: None,
        established: Members::new(),
        now: Timestamp(1_795_255_200_000),
    };
    let question = |server: &Server, tool: &Tool| {
        let mut question = Question::new(tool.action(), tool.uid());
        let input = Value::record([("count", Value::Long(1))]);
        question.established =
            Members::from_iter([("input".into(), input), ("input_unseen".into(), Value::Set(vec![]))]);
        server.id.starts_with("made-").then_some(question)
    };
    let tools =
        snapshot.catalog().servers().flat_map(|server| server.tools.values().map(move |tool| (server, tool)));
    let questions: Vec<Question> = tools.filter_map(|(server, tool)| question(server, tool)).collect();
    assert_eq!(questions.len(), 300);
    let denied = questions.first().map(|question| policy::decide(&snapshot, question, &facts).outcome);
    assert_eq!(denied, Some(Outcome::Deny(DenyReason::NoPermit)), "each is decided by policies");
    criterion.bench_function("listing 300 tools", |b| {
        b.iter(|| {
            let mut memory = policy::Memory::default();
            let mut round = policy::Round::remembering(&snapshot, &mut memory);
            questions.iter().filter(|q| round.decide(q, &facts).outcome.is_permit()).count()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = shipped, tokens, policies, agents, entities, listing
}
criterion_main!(benches);
