//! How long a decision and a compile of the shipped bundle take, in process. `make bench` runs it.
//! Never asserts a time: it reports medians.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use palisade::access::{DecisionId, Timestamp};
use palisade::audit::{DigestKey, Face, Memory, OpenDecisions};
use palisade::diagnostic::File;
use palisade::identity::{Caller, Claim, Role, Servers};
use palisade::mcp::{Limits, Message};
use palisade::pdp::{Ask, Occasion, Pdp, Request};
use palisade::policy::compile;
use palisade::source;
use palisade::value::Uid;

fn bundle() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(fs::exists(root.join("schemas")).is_ok_and(|exists| exists), "run from a checkout");
    source::read(root, &source::Limits::default()).map(|sources| sources.files).unwrap_or_default()
}

fn request() -> Request {
    Request {
        face: Face::Embedded,
        caller: Arc::new(Caller {
            name: "bench".into(),
            roles: Role::ALL.into(),
            servers: Servers::All,
            agentless: false,
        }),
        request_id: String::new(),
        claim: Some(Claim {
            principal: Uid::new("Human", "ana"),
            actor: Some(Uid::new("Agent", "support-bot")),
            earlier_actors: vec![],
        }),
        ask: Ask::Mcp(Message {
            server: "crm".into(),
            method: "tools/call".into(),
            params: br#"{"name":"issue_refund","arguments":{"order":"o-1","amount":30}}"#.to_vec(),
            ..Message::default()
        }),
        session: None,
        task: None,
        purpose: None,
        intent: None,
        explain: false,
        trace_id: None,
    }
}

fn decide(criterion: &mut Criterion) {
    let Ok(compiled) = compile(&bundle()) else { return };
    let open = Arc::new(OpenDecisions::new(1000));
    let key = DigestKey::new(&[7; 32]);
    let pdp = Pdp::new(Arc::new(compiled.snapshot), Memory::new(1), open, key, Limits::default());
    let request = request();
    let evaluate = || {
        let occasion = Occasion {
            id: DecisionId("01a1fcae-0000-7000-8000-000000000000".into()),
            now: Timestamp(1_795_255_200_000),
            elapsed_us: &|| 0,
        };
        pdp.evaluate(&request, occasion).settle()
    };
    assert!(evaluate().is_ok_and(|answer| answer.decision.outcome.is_permit()), "the probe is permitted");
    criterion.bench_function("delegated tool call, shipped bundle, recorded in memory", |b| b.iter(evaluate));
}

fn load(criterion: &mut Criterion) {
    let files = bundle();
    criterion.bench_function("compile the shipped bundle", |b| b.iter(|| compile(&files).is_ok()));
}

criterion_group! { name = benches; config = Criterion::default().sample_size(30); targets = decide, load }
criterion_main!(benches);
