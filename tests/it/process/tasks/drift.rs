//! Another bundle in the directory: exactly the tasks end that it would not grant, and not too many without a yes.
//! Never judged from inside: by the next calls, a watch, the administration's port and the journal.

use std::collections::BTreeSet;
use std::time::Duration;

use palisade::api::proto::v1;
use palisade::api::proto::v1::tasks_client::TasksClient;
use palisade::api::proto::v1::watch_response::Event;
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tonic::Streaming;

use super::super::child::{DEADLINE, until};
use super::super::http;
use super::super::place::Place;
use super::super::server::{Server, uid};
use super::desk::{self, Desk, GATEWAY, Lent, bearing, configure, key, lookup, step, wish};

/// No task may hold the tool that pays money back.
pub const NO_REFUNDS: &str = "\
@id(\"drift/refunds\")
@reason(\"refunds are closed\")
forbid (principal, action in Action::\"lend\", resource)
when { context.wanted has tools && context.wanted.tools.contains(Tool::\"crm/issue_refund\") };
";
/// No task at all.
pub const NOTHING: &str = "\
@id(\"drift/nothing\")
@reason(\"nothing is lent today\")
forbid (principal, action in Action::\"lend\", resource);
";
/// The file of these.
pub const FILE: &str = "policies/drift.cedar";

/// A task of somebody's bot for these tools.
pub fn of(human: &str, bot: &str, tools: &[&str]) -> v1::StartRequest {
    let mut wish = wish(&key());
    let subject = wish.subject.as_mut().unwrap();
    subject.principal = Some(uid("Human", human));
    subject.actor = Some(uid("Agent", bot));
    let names = tools.iter().map(|tool| (*tool).to_owned()).collect();
    wish.wanted.as_mut().unwrap().scope.as_mut().unwrap().tools = Some(v1::Names { names });
    wish
}

const LOOKUP: &str = "crm/lookup_customer";
const REFUND: &str = "crm/issue_refund";

fn refund(token: &str) -> v1::AuthorizeRequest {
    step(token, "issue_refund", &json!({ "order": "o-1", "amount": 10 }))
}

/// What is told from now on.
fn watch(desk: &Desk) -> Streaming<v1::WatchResponse> {
    let mut tasks = TasksClient::new(desk.channel());
    desk.runtime().block_on(async {
        let request = bearing(GATEWAY, v1::WatchRequest::default());
        let mut events = tasks.watch(request).await.unwrap().into_inner();
        let first = events.message().await.unwrap().expect("a sign of life");
        assert_eq!(first.event, None);
        events
    })
}

/// The next event.
fn next(desk: &Desk, events: &mut Streaming<v1::WatchResponse>) -> Event {
    desk.runtime().block_on(async {
        loop {
            let next = timeout(DEADLINE, events.message()).await.expect("an event in time");
            if let Some(event) = next.unwrap().expect("the watch goes on").event {
                return event;
            }
        }
    })
}

fn failing(server: &Server) -> Json {
    server.bundle()["failing"].clone()
}

fn revision(server: &Server) -> String {
    server.bundle()["in_force"]["revision"].as_str().unwrap().to_owned()
}

/// The revision that the words of a held bundle name.
fn asked_for(failing: &Json) -> String {
    let words = failing["error"].as_str().unwrap();
    let (_, rest) = words.split_once("POST /reload?confirm=").unwrap_or_else(|| panic!("{words}"));
    rest.split('`').next().unwrap().to_owned()
}

#[test]
fn exactly_the_tasks_that_are_no_longer_granted_are_denied_at_once_and_revoked_after_the_grace() {
    const GRACE: Duration = Duration::from_secs(3);
    let place = desk::place(&format!("drift_grace_ms: {}", GRACE.as_millis()));
    let server = place.start();
    let desk = Desk::gateway(&server);
    let staying =
        [desk.begin(of("ana", "support-bot", &[LOOKUP])), desk.begin(of("lea", "lead-bot", &[LOOKUP]))];
    let drifting = [
        desk.begin(of("ana", "support-bot", &[REFUND])),
        desk.begin(of("lea", "lead-bot", &[LOOKUP, REFUND])),
    ];
    let open =
        |tasks: &[Lent]| tasks.iter().all(|task| desk.get(&task.id).unwrap().state() == v1::TaskState::Open);
    assert!(drifting.iter().all(|task| desk.denied(&refund(&task.token)).is_none()));
    let mut events = watch(&desk);

    place.write(FILE, NO_REFUNDS);
    let published = server.reload();
    assert_eq!(failing(&server), Json::Null, "{published}: half of them is not too much");
    // Denied before anything of them is changed: whatever they ask for.
    for task in &drifting {
        assert_eq!(desk.denied(&refund(&task.token)), Some(v1::DenyReason::PolicyDrift));
    }
    assert_eq!(desk.denied(&lookup(&drifting[1].token)), Some(v1::DenyReason::PolicyDrift));
    assert!(staying.iter().all(|task| desk.denied(&lookup(&task.token)).is_none()));
    let Event::Published(bundle) = next(&desk, &mut events) else { panic!("no bundle") };
    assert_eq!(bundle.revision, revision(&server));
    let mut ended: Vec<String> = (0..drifting.len())
        .map(|_| match next(&desk, &mut events) {
            Event::Ended(task) => {
                assert_eq!((task.state(), task.reason.as_str()), (v1::TaskState::Revoked, "drift"));
                task.id
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let mut expected = drifting.clone().map(|task| task.id);
    ended.sort();
    expected.sort();
    assert_eq!(ended, expected);
    for task in &drifting {
        assert_eq!(desk.get(&task.id).unwrap().state(), v1::TaskState::Revoked);
        assert_eq!(desk.denied(&refund(&task.token)), Some(v1::DenyReason::TaskRevoked));
    }
    assert!(open(&staying));
    // A watch hears of an end when it is durable, which is before it is on record.
    let recorded = until("the records of both", || {
        let records = place.records_of("task").into_iter().filter(|record| record["move"] == "drifted");
        let of: Vec<_> = records.map(|record| record["task"].as_str().unwrap().to_owned()).collect();
        (of.len() >= expected.len()).then_some(of)
    });
    assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), expected.into());
    // The old policies again do not bring them back.
    place.remove(FILE);
    server.reload();
    assert!(staying.iter().all(|task| desk.denied(&lookup(&task.token)).is_none()));
    assert!(drifting.iter().all(|task| desk.denied(&refund(&task.token)).is_some()));
}

#[test]
fn a_bundle_that_is_taken_back_within_the_grace_ends_nothing() {
    let place = desk::place("drift_grace_ms: 1500, drift_share_max: 1.0");
    let server = place.start();
    let desk = Desk::gateway(&server);
    let task = desk.begin(of("ana", "support-bot", &[LOOKUP]));
    let mut events = watch(&desk);
    place.write(FILE, NOTHING);
    server.reload();
    assert_eq!(desk.denied(&lookup(&task.token)), Some(v1::DenyReason::PolicyDrift));
    place.remove(FILE);
    server.reload();
    assert_eq!(desk.denied(&lookup(&task.token)), None, "at once");
    for _ in 0..2 {
        assert!(matches!(next(&desk, &mut events), Event::Published(_)));
    }
    // The second bundle was looked at after the first one's grace.
    assert_eq!(desk.get(&task.id).unwrap().state(), v1::TaskState::Open);
    assert_eq!(desk.denied(&lookup(&task.token)), None);
}

/// A server with two open tasks of four calls, whose directory has a bundle that would end both.
fn held() -> (Place, Server, [Lent; 2], String) {
    let place = desk::place("drift_grace_ms: 100");
    let server = place.start();
    let desk = Desk::gateway(&server);
    let tasks =
        [desk.begin(of("ana", "support-bot", &[LOOKUP])), desk.begin(of("lea", "lead-bot", &[LOOKUP]))];
    let before = revision(&server);
    place.write(FILE, NOTHING);
    let refused = server.operate("POST", "/reload");
    assert_eq!(refused.status, 422, "{refused:?}");
    let words = failing(&server)["error"].as_str().unwrap().to_owned();
    for part in ["would end 2 of 2 open tasks", "drift_share_max", "palisade drift", "POST /reload?confirm="]
    {
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(revision(&server), before, "the last one stays in force");
    (place, server, tasks, before)
}

#[test]
fn a_bundle_that_would_end_too_many_waits_for_the_yes_of_an_operator() {
    let (place, server, tasks, before) = held();
    let desk = Desk::gateway(&server);
    let wanted = asked_for(&failing(&server));
    assert!(wanted != before && wanted.starts_with("sha256:"), "{wanted}");
    let goes_on = || {
        assert_eq!(revision(&server), before);
        assert!(tasks.iter().all(|task| desk.denied(&lookup(&task.token)).is_none()));
    };
    let say = |query: &str, authorization: &str| {
        http::request(server.admin, "POST", &format!("/reload{query}"), &[("Authorization", authorization)])
            .status
    };
    let (operator, gateway) = (server.token(), format!("Bearer {GATEWAY}"));
    let yes = format!("?confirm={wanted}");
    let another = format!("?confirm=sha256:{}", "0".repeat(64));
    for (query, authorization, status) in [
        ("", &*operator, 422),
        (&*another, &*operator, 422),
        (&*format!("?confirm={before}"), &*operator, 422),
        ("?confirm=", &*operator, 422),
        (&*format!("?confirm={}", &wanted[..20]), &*operator, 422),
        (&*format!("{yes}&confirm={before}"), &*operator, 400),
        ("?yes=1", &*operator, 400),
        (&*yes, "Bearer wrong", 401),
        (&*yes, &*gateway, 403),
    ] {
        assert_eq!(say(query, authorization), status, "{query}");
        goes_on();
    }
    // Who says yes is on record before it counts.
    let confirmed = || {
        let records = place.records_of("admin").into_iter();
        records
            .filter(|record| {
                record["call"] == "confirm" && record["reason"].as_str().unwrap().contains(&wanted)
            })
            .count()
    };
    assert_eq!(confirmed(), 0);
    assert_eq!(say(&yes, &operator), 200);
    assert_eq!((confirmed(), revision(&server)), (1, wanted));
    assert_eq!(failing(&server), Json::Null);
    for task in &tasks {
        assert!(desk.denied(&lookup(&task.token)).is_some());
        until("they are revoked", || {
            (desk.get(&task.id).unwrap().state() == v1::TaskState::Revoked).then_some(())
        });
    }
    let refused = desk.start(of("ana", "support-bot", &[LOOKUP])).unwrap().decision.unwrap();
    assert_eq!(refused.reason_text, "nothing is lent today");
}

#[test]
fn a_bundle_that_waits_comes_into_force_by_itself_when_it_would_end_nothing_any_more() {
    let (place, server, tasks, before) = held();
    let desk = Desk::gateway(&server);
    for task in &tasks {
        desk.end(&task.id, v1::Ending::Completed, "").unwrap();
    }
    // At the latest the next look at the directory.
    until("the bundle that waited", || (revision(&server) != before).then_some(()));
    assert_eq!(failing(&server), Json::Null);
    assert_eq!(place.records_of("published").len(), 2);
}

#[test]
fn a_yes_is_for_once() {
    let (place, server, _, before) = held();
    let yes = format!("/reload?confirm={}", asked_for(&failing(&server)));
    assert_eq!(server.operate("POST", &yes).status, 200);
    place.remove(FILE);
    assert_eq!(server.operate("POST", "/reload").status, 200);
    assert_eq!(revision(&server), before);
    let desk = Desk::gateway(&server);
    let task = desk.begin(of("ana", "support-bot", &[LOOKUP]));
    place.write(FILE, NOTHING);
    assert_eq!(server.operate("POST", "/reload").status, 422, "nobody has said yes to the end of this task");
    assert_eq!(revision(&server), before);
    assert_eq!(desk.denied(&lookup(&task.token)), None);
}

#[test]
fn a_server_that_was_away_ends_what_drifted_meanwhile() {
    let place = desk::place("");
    let server = place.start();
    let desk = Desk::gateway(&server);
    let drifting = desk.begin(of("ana", "support-bot", &[REFUND]));
    let staying = desk.begin(of("ana", "support-bot", &[LOOKUP]));
    assert_eq!(server.stop().code, Some(0));
    place.write(FILE, NO_REFUNDS);
    configure(&place, "drift_grace_ms: 100");
    let server = place.start();
    let desk = Desk::gateway(&server);
    assert!(desk.denied(&refund(&drifting.token)).is_some());
    until("it is revoked", || {
        (desk.get(&drifting.id).unwrap().state() == v1::TaskState::Revoked).then_some(())
    });
    assert_eq!(desk.denied(&lookup(&staying.token)), None);
}
