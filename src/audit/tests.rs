//! What the lines look like.
//! Never writes a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::access::{
    Decision, DecisionId, DenyReason, Determining, Effect, Half, Obligation, ObligationType, Outcome,
    PolicyError, Revision, Timestamp,
};
use crate::identity::Assurance;
use crate::value::Uid;

fn line(record: &Record<'_>) -> Value {
    let bytes = record.to_json().unwrap();
    assert!(!bytes.contains(&b'\n'), "one line");
    serde_json::from_slice(&bytes).unwrap()
}

fn decided<'a>(id: &'a DecisionId, revision: &'a Revision, decision: &'a Decision) -> Decided<'a> {
    Decided {
        time: Timestamp(1_795_255_200_042),
        id,
        revision,
        face: Face::Grpc,
        caller: "gw",
        request_id: None,
        principal: None,
        actor: None,
        earlier_actors: &[],
        assurance: None,
        actor_assurance: None,
        token: None,
        actor_token: None,
        refused_token: None,
        session: None,
        task: Some(""),
        task_assurance: None,
        mode: None,
        purpose: None,
        intent: None,
        server: None,
        method: None,
        tool: None,
        action: None,
        resource: None,
        also: &[],
        authority: None,
        data_classes: vec![],
        arguments_digest: None,
        decision,
        trace_id: None,
        duration_us: 12,
    }
}

#[test]
fn a_decision_is_told_with_its_parties_and_policies() {
    let (id, revision) = (DecisionId("0193".into()), Revision("sha256:ab".into()));
    let annotations = BTreeMap::from([("control".to_owned(), "OWASP-ASI02, NIST-AC-6\tX".to_owned())]);
    let decision = Decision {
        outcome: Outcome::Deny(DenyReason::PolicyError),
        reason: "no\nway".to_owned(),
        determining: vec![Determining {
            id: "guard".into(),
            effect: Effect::Forbid,
            half: Half::Actor,
            annotations: Arc::new(annotations),
        }],
        errors: vec![PolicyError {
            id: "p1".into(),
            half: Half::Principal,
            kind: "integer overflow",
            message: "the value 4711".to_owned(),
        }],
        obligations: vec![],
        withheld: vec![],
    };
    let (ana, bot, old) = (Uid::new("Human", "ana"), Uid::new("Agent", "bot"), [Uid::new("Agent", "older")]);
    let decided = Decided {
        principal: Some(&ana),
        actor: Some(&bot),
        earlier_actors: &old,
        assurance: Some(Assurance::Asserted),
        intent: Some("line\none"),
        server: Some("crm"),
        tool: Some("refund"),
        data_classes: vec!["payment"],
        arguments_digest: Some("hmac-sha256:00"),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        ..decided(&id, &revision, &decision)
    };
    let told = line(&Record::Decided(&decided));
    assert_eq!(
        told,
        json!({
            "type": "decided", "time": "2026-11-21T10:00:00.042Z", "decision": "0193", "revision": "sha256:ab",
            "face": "grpc", "caller": "gw", "principal": {"type": "Human", "id": "ana"},
            "actor": {"type": "Agent", "id": "bot"}, "earlier_actors": [{"type": "Agent", "id": "older"}],
            "assurance": "asserted", "intent": "line\none", "server": "crm", "tool": "refund",
            "data_classes": ["payment"], "arguments_digest": "hmac-sha256:00", "outcome": "deny",
            "reason": "PolicyError", "reason_text": "no\nway",
            "determining": [{"id": "guard", "effect": "forbid", "half": "actor",
                             "controls": ["OWASP-ASI02", "NIST-AC-6", "X"]}],
            "errors": [{"policy": "p1", "half": "principal", "failure": "integer overflow"}],
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "duration_us": 12
        })
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    let (id, revision, pass) = (DecisionId("0193".into()), Revision("sha256:ab".into()), Decision::pass());
    let told = line(&Record::Decided(&decided(&id, &revision, &pass)));
    assert_eq!(
        told,
        json!({"type": "decided", "time": "2026-11-21T10:00:00.042Z", "decision": "0193", "revision": "sha256:ab",
               "face": "grpc", "caller": "gw", "outcome": "permit", "determining": [], "duration_us": 12})
    );
}

#[test]
fn all_that_can_be_known_stands_in_this_order() {
    let (id, revision) = (DecisionId("0193".into()), Revision("sha256:ab".into()));
    let policy = |id: &str, half, controls: &str| Determining {
        id: id.into(),
        effect: Effect::Permit,
        half,
        annotations: Arc::new(BTreeMap::from([("control".to_owned(), controls.to_owned())])),
    };
    let duty = |id: &str, kind| Obligation { id: id.into(), kind, properties: Arc::default() };
    let decision = Decision {
        determining: vec![policy("one", Half::Principal, " ,"), policy("two", Half::Actor, "")],
        obligations: vec![duty("p/a", ObligationType::StepUp)],
        withheld: vec![duty("p/b", ObligationType::SessionTermination)],
        ..Decision::pass()
    };
    let uids = ["a", "b\\\"c", "\u{7f}é\u{1f}"].map(|id| Uid::new("T", id));
    let [first, second, third] = &uids;
    let seen = |id, binding| Some(TokenSeen { issuer: "https://idp", kind: "oidc", id, binding });
    let decided = Decided {
        request_id: Some("r-1"),
        principal: Some(first),
        actor: Some(second),
        earlier_actors: &uids,
        assurance: Some(Assurance::Verified),
        actor_assurance: Some(Assurance::Asserted),
        token: seen(Some("t-1"), Some("pdp")),
        actor_token: seen(None, Some("none")),
        refused_token: seen(Some(""), None),
        session: Some("s\t1"),
        task: Some("tsk_1"),
        task_assurance: Some(Assurance::Verified),
        purpose: Some("refund"),
        mode: Some(Mode::Preview),
        intent: Some("a \"b\"\r\n\u{8}\u{c}"),
        server: Some("crm"),
        method: Some("tools/call"),
        tool: Some("refund"),
        action: Some(first),
        resource: Some(third),
        also: &uids[1..2],
        authority: Some(third),
        data_classes: vec!["payment", "pii"],
        arguments_digest: Some("hmac-sha256:00"),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        duration_us: u64::MAX,
        ..decided(&id, &revision, &decision)
    };
    let denied = Decision {
        outcome: Outcome::Deny(DenyReason::Forbidden),
        reason: "no\u{1f}".to_owned(),
        determining: vec![Determining { effect: Effect::Forbid, ..policy("three", Half::Actor, "A-1, B\n") }],
        errors: vec![PolicyError {
            id: "p1".into(),
            half: Half::Principal,
            kind: "integer overflow",
            message: "the value 4711".to_owned(),
        }],
        ..Decision::pass()
    };
    let lines = [&decided, &Decided { decision: &denied, ..decided.clone() }].map(|decided| {
        let mut line = Record::Decided(decided).to_json().unwrap();
        line.push(b'\n');
        String::from_utf8(line).unwrap()
    });
    assert_eq!(lines.concat(), include_str!("../../tests/data/decided.jsonl"));
}

#[test]
fn a_publication_tells_what_changed() {
    let digests = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(path, digest)| ((*path).to_owned(), (*digest).to_owned())).collect()
    };
    let changes = Changes::between(
        &digests(&[("a", "1"), ("b", "1"), ("c", "1")]),
        &digests(&[("b", "2"), ("c", "1"), ("d", "1")]),
    );
    let (revision, previous) = (Revision("sha256:02".into()), Revision("sha256:01".into()));
    let published = Published {
        time: Timestamp(0),
        revision: &revision,
        previous: Some(&previous),
        bundle: "bundle",
        cause: Cause::Poll,
        changes: &changes,
        counts: Counts { files: 3, ..Counts::default() },
    };
    assert_eq!(
        line(&Record::Published(&published)),
        json!({"type": "published", "time": "1970-01-01T00:00:00.000Z", "revision": "sha256:02",
               "previous": "sha256:01", "bundle": "bundle", "cause": "poll",
               "changes": {"added": [{"path": "d", "digest": "1"}], "changed": [{"path": "b", "digest": "2"}],
                           "removed": [{"path": "a", "digest": "1"}]},
               "counts": {"files": 3, "policies": 0, "entities": 0, "servers": 0, "tools": 0}})
    );
}

#[test]
fn memory_keeps_the_latest_records() {
    let memory = Memory::new(2);
    for refused in 1..=3 {
        let resumed = Resumed { time: Timestamp(1), failing_since: Timestamp(0), refused };
        assert_eq!(memory.record(&Record::Resumed(&resumed)).unwrap().durability(), Durability::Written);
    }
    let kept: Vec<Value> = memory.records().iter().map(|record| record["refused"].clone()).collect();
    assert_eq!(kept, [json!(2), json!(3)]);
}
