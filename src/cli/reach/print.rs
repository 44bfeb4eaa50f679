//! The reach of a party, on paper.
//! Never leaves a condition out.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::api::proto::v1;
use crate::cli::Format;
use crate::cli::words::{entity, plain, reason, uid, word};

pub(super) fn reach(format: Format, answer: &v1::ReachResponse) {
    match format {
        Format::Human => anstream::print!("{}", human(answer)),
        Format::Json => anstream::println!("{:#}", document(answer)),
    }
}

fn human(answer: &v1::ReachResponse) -> String {
    use std::fmt::Write as _;
    let v1::ReachResponse { info, reached, data_classes, more } = answer;
    let info = info.clone().unwrap_or_default();
    let mut text = String::new();
    // Writing into a text cannot fail.
    if info.reason() != v1::DenyReason::Unspecified {
        let _ = writeln!(text, "nothing: {} {}", reason(info.reason()), plain(&info.reason_text));
    } else if reached.is_empty() {
        text.push_str("nothing\n");
    }
    for one in alike(reached) {
        let Alike { resource, actions, first } = one;
        let classes = first.data_classes.iter().map(|class| plain(class)).collect::<Vec<_>>().join(", ");
        let classes = if classes.is_empty() { String::new() } else { format!("  [{classes}]") };
        let actions = actions.iter().map(|action| plain(action)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "{resource}{classes}  {actions}");
        first.shares.iter().for_each(|share| share_lines(&mut text, share, first.shares.len() > 1));
        for bound in &first.task_bounds {
            let _ = writeln!(text, "  the task: only if {}", plain(bound));
        }
    }
    if *more {
        text.push_str("there is more than could be looked at\n");
    }
    if !data_classes.is_empty() {
        let classes = data_classes.iter().map(|class| plain(class)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "data classes: {classes}");
    }
    let _ = writeln!(text, "search {}  revision {}", info.search_id, info.revision);
    text
}

fn share_lines(text: &mut String, share: &v1::Share, is_delegated: bool) {
    use std::fmt::Write as _;
    let whom = match (share.half(), is_delegated) {
        (v1::Half::Actor, _) => "for the agent: ",
        (v1::Half::Principal, true) => "for the principal: ",
        (v1::Half::Principal | v1::Half::Unspecified, _) => "",
    };
    for (terms, condition) in [(&share.permits, "if"), (&share.forbids, "unless")] {
        for v1::Term { policy_id, asks } in terms {
            let effect = if condition == "if" { "permit" } else { "forbid" };
            let policy = plain(policy_id);
            let _ = match asks.as_str() {
                "" => writeln!(text, "  {whom}{effect} `{policy}`"),
                asks => writeln!(text, "  {whom}{effect} `{policy}`, callable {condition} {}", plain(asks)),
            };
        }
    }
}

/// What is reached on the same terms by several actions.
struct Alike<'r> {
    resource: String,
    actions: Vec<&'r str>,
    first: &'r v1::Reachable,
}

/// The same, with actions on one resource together where their terms are the same; in the order in which they come.
fn alike(reached: &[v1::Reachable]) -> Vec<Alike<'_>> {
    let mut all: Vec<Alike<'_>> = Vec::new();
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    for one in reached {
        let resource = uid(one.resource.as_ref());
        let terms = format!("{:?} {:?}", one.shares, one.task_bounds);
        let action = one.action.as_ref().map_or("-", |action| action.id.as_str());
        let place = *places.entry((resource.clone(), terms)).or_insert(all.len());
        match all.get_mut(place) {
            Some(known) => known.actions.push(action),
            None => all.push(Alike { resource, actions: vec![action], first: one }),
        }
    }
    all
}

fn document(answer: &v1::ReachResponse) -> Json {
    let info = answer.info.clone().unwrap_or_default();
    let term = |term: &v1::Term| match term.asks.as_str() {
        "" => json!({ "policy": term.policy_id }),
        asks => json!({ "policy": term.policy_id, "asks": asks }),
    };
    let terms = |terms: &[v1::Term]| terms.iter().map(term).collect::<Vec<_>>();
    let share = |share: &v1::Share| {
        json!({
            "half": word(share.half().as_str_name(), "HALF_"),
            "permits": terms(&share.permits),
            "forbids": terms(&share.forbids),
        })
    };
    let reachable = |one: &v1::Reachable| {
        json!({
            "action": one.action.as_ref().map(entity),
            "resource": one.resource.as_ref().map(entity),
            "data_classes": one.data_classes,
            "shares": one.shares.iter().map(share).collect::<Vec<_>>(),
            "task_bounds": one.task_bounds,
        })
    };
    json!({
        "search_id": info.search_id,
        "revision": info.revision,
        "reason": reason(info.reason()),
        "reason_text": info.reason_text,
        "reached": answer.reached.iter().map(reachable).collect::<Vec<_>>(),
        "data_classes": answer.data_classes,
        "more": answer.more,
    })
}
