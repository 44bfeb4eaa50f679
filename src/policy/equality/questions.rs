//! Questions that two snapshots of one bundle must answer alike.
//! Never expects an answer: what is right is compared elsewhere.

use super::super::{Snapshot, decide};
use super::bundles::TOOLS;
use crate::access::{Decision, Facts, Question, Timestamp};
use crate::value::{Uid, Value};

/// What a snapshot says to everybody about everything, its tools with several arguments.
pub(super) fn decisions(snapshot: &Snapshot) -> Vec<Decision> {
    let parties = [
        (Uid::new("Human", "ana"), None),
        (Uid::new("Human", "ana"), Some(Uid::new("Agent", "bot"))),
        (Uid::new("Agent", "bot"), None),
    ];
    let facts = parties.map(|(principal, actor)| Facts {
        principal,
        actor_depth: i64::from(actor.is_some()),
        actor,
        session: None,
        described: None,
        token: None,
        task: None,
        established: crate::value::Members::new(),
        now: Timestamp(1_795_255_200_000),
    });
    let questions = questions();
    questions.iter().flat_map(|q| facts.iter().map(|facts| decide(snapshot, q, facts))).collect()
}

fn questions() -> Vec<Question> {
    let list = Question::new(Uid::new("Action", "tools/list"), Uid::new("Server", "crm"));
    let read = Question::new(Uid::new("Action", "resources/read"), Uid::new("Resource", "crm/x"));
    let mut all = vec![list, read];
    let amounts = [Some(Value::Long(3)), Some(Value::Long(100)), Some(Value::String("3".into())), None];
    for (server, tool) in TOOLS {
        let id = format!("{server}/{tool}");
        for amount in &amounts {
            let order = ("order", Value::String("o".into()));
            let input = std::iter::once(order).chain(amount.clone().map(|amount| ("amount", amount)));
            let mut call = Question::new(Uid::new("Action", &*id), Uid::new("Tool", &*id));
            call.established =
                [("input".into(), Value::record(input)), ("input_unseen".into(), Value::Set(vec![]))]
                    .into_iter()
                    .collect();
            all.push(call);
        }
    }
    all
}
