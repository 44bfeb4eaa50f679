//! The question of the benchmarks: a refund through an agent, asked of a PDP that records in memory.
//! Never one that is denied.

use std::sync::Arc;

use palisade::access::{DecisionId, Timestamp};
use palisade::audit::{DigestKey, Face, Memory, OpenDecisions};
use palisade::diagnostic::File;
use palisade::identity::{Caller, Claim, Role, Servers};
use palisade::mcp::{Limits, Message};
use palisade::pdp::{Answer, Ask, Occasion, Pdp, Request};
use palisade::policy::{Snapshot, compile};
use palisade::value::Uid;

/// A snapshot of files that are known to be good.
pub fn snapshot(files: &[File]) -> Arc<Snapshot> {
    match compile(files) {
        Ok(compiled) => Arc::new(compiled.snapshot),
        Err(findings) => unreachable!("{findings:?}"),
    }
}

/// A PDP that records in memory.
pub fn pdp(snapshot: Arc<Snapshot>) -> Pdp<Memory> {
    let open = Arc::new(OpenDecisions::new(1000));
    Pdp::new(snapshot, Memory::new(1), open, DigestKey::new(&[7; 32]), Limits::default())
}

/// A refund of 30 by Ana through an agent: permitted on every one of these bundles.
pub fn refund(agent: &str) -> Request {
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
            actor: Some(Uid::new("Agent", agent)),
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

/// One decision with its record, at a fixed instant.
pub fn decide(pdp: &Pdp<Memory>, request: &Request) -> Option<Answer> {
    let occasion = Occasion {
        id: DecisionId("01a1fcae-0000-7000-8000-000000000000".into()),
        now: Timestamp(1_795_255_200_000),
        elapsed_us: &|| 0,
    };
    pdp.evaluate(request, occasion).settle().ok()
}

/// A PDP of these files that is known to permit the refund.
pub fn permitting(files: &[File], agent: &str) -> (Pdp<Memory>, Request) {
    let (pdp, request) = (pdp(snapshot(files)), refund(agent));
    let answer = decide(&pdp, &request);
    assert!(answer.is_some_and(|answer| answer.decision.outcome.is_permit()), "the probe is permitted");
    (pdp, request)
}
