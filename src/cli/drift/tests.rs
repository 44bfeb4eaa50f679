//! The answer about a bundle that is not in force yet, on paper and for programs.

use super::*;

fn preview(count: u64) -> v1::PreviewDriftResponse {
    let uid = |kind: &str, id: &str| Some(v1::EntityUid { r#type: kind.into(), id: id.into() });
    let (principal, actor) = (uid("Human", "ana"), uid("Agent", "bot"));
    let policy = v1::DeterminingPolicy {
        id: "guard/x".into(),
        effect: v1::Effect::Forbid.into(),
        half: v1::Half::Actor.into(),
        ..v1::DeterminingPolicy::default()
    };
    let drifting = v1::Drifting {
        task: "tsk_1".into(),
        subject: Some(v1::Subject { principal, actor, earlier_actors: vec![] }),
        purpose: uid("Purpose", "refunds"),
        reason: v1::DenyReason::Forbidden.into(),
        reason_text: "no\tmore".into(),
        determining: vec![policy],
    };
    v1::PreviewDriftResponse {
        revision: "sha256:bb".into(),
        open: 3,
        drifting: if count == 0 { vec![] } else { vec![drifting] },
        drifting_count: count,
        needs_confirmation: count > 1,
    }
}

fn text(count: u64) -> String {
    anstream::adapter::strip_str(&for_people(&preview(count))).to_string()
}

#[test]
fn a_bundle_that_ends_nothing_is_ok() {
    assert_eq!(text(0), "ok: 3 open tasks, none would lose its authority\nrevision sha256:bb\n");
}

#[test]
fn tasks_that_would_end_are_a_table_with_reasons() {
    let wanted = "\
TASK   WHO           AGENT         PURPOSE             REASON     WORDS
tsk_1  Human::\"ana\"  Agent::\"bot\"  Purpose::\"refunds\"  Forbidden  no\\u{9}more; forbid `guard/x` for the agent
… and 1 more
2 of 3 open tasks would lose authority
revision sha256:bb
publishing this bundle would wait for a confirmation
";
    assert_eq!(text(2), wanted);
}

#[test]
fn programs_get_the_same() {
    let wanted = json!({
        "revision": "sha256:bb",
        "open": 3,
        "drifting": [{
            "task": "tsk_1",
            "principal": { "type": "Human", "id": "ana" },
            "actor": { "type": "Agent", "id": "bot" },
            "purpose": { "type": "Purpose", "id": "refunds" },
            "reason": "Forbidden",
            "reason_text": "no\tmore",
            "determining": [{ "id": "guard/x", "effect": "FORBID", "half": "ACTOR", "annotations": {} }],
        }],
        "drifting_count": 1,
        "needs_confirmation": false,
    });
    assert_eq!(for_programs(&preview(1)), wanted);
}
