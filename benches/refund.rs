//! The question of the benchmarks: a refund through an agent, asked of a PDP that writes its records.
//! Never one that is denied.

use std::hint::black_box;
use std::sync::Arc;

use palisade::access::{DecisionId, Timestamp};
use palisade::audit::{AuditError, AuditSink, DigestKey, OpenDecisions, Receipt, Record};
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

/// Makes the line of each record, as the journal does, and lets it go instead of handing it to the kernel.
pub struct Lines;

impl AuditSink for Lines {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        let line = record.to_json()?;
        assert!(black_box(line).len() > 100, "a record says more than that");
        Ok(Receipt::written())
    }
}

/// A PDP that writes its records to nowhere.
pub fn pdp(snapshot: Arc<Snapshot>) -> Pdp<Lines> {
    let open = Arc::new(OpenDecisions::new(1000));
    Pdp::new(snapshot, Lines, open, DigestKey::new(&[7; 32]), Limits::default())
}

/// A refund of 30 by Ana through an agent: permitted on every one of these bundles.
pub fn refund(agent: &str) -> Request {
    let caller = Caller {
        name: "bench".into(),
        roles: Role::ALL.into(),
        servers: Servers::All,
        agentless: false,
        authenticated: true,
    };
    let message = Message {
        server: "crm".into(),
        method: "tools/call".into(),
        params: br#"{"name":"issue_refund","arguments":{"order":"o-1","amount":30}}"#.to_vec().into(),
        ..Message::default()
    };
    Request {
        claim: Some(Claim {
            principal: Uid::new("Human", "ana"),
            actor: Some(Uid::new("Agent", agent)),
            earlier_actors: vec![],
        }),
        ..Request::new(Arc::new(caller), Ask::Mcp(message))
    }
}

/// One decision with its record, at a fixed instant.
pub fn decide(pdp: &Pdp<Lines>, request: &Request) -> Option<Answer> {
    let occasion = Occasion {
        id: DecisionId("01a1fcae-0000-7000-8000-000000000000".into()),
        now: Timestamp(1_795_255_200_000),
        elapsed_us: &|| 0,
    };
    pdp.evaluate(request, occasion).settle().ok()
}

/// A PDP of these files that is known to permit the refund.
pub fn permitting(files: &[File], agent: &str) -> (Pdp<Lines>, Request) {
    let (pdp, request) = (pdp(snapshot(files)), refund(agent));
    let answer = decide(&pdp, &request);
    assert!(answer.is_some_and(|answer| answer.decision.outcome.is_permit()), "the probe is permitted");
    (pdp, request)
}
