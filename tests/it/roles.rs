//! Every RPC × every caller: who gets an answer, and with which code. And the servers that a caller enforces.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::api::proto::v1::search_client::SearchClient;
use palisade::api::proto::v1::target::Target;
use palisade::diagnostic::File;
use palisade::identity::{Caller, Role, Servers};
use serde_json::{Value as Json, json};
use tokio_stream::iter;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::asks::{access, by, crm, lookup, mcp, streamed, uid};
use crate::pdp::{TOKEN, TestPdp, caller, gateway, shipped_files, snapshot, task_rules};
use crate::tasks::{Held, KEY, a_part, by_id, delegate, handle, refund_task, revoke};

/// `deny` is the answer of a PDP that knows nobody: a caller without `assert` names nobody.
const TABLE: &str = "\
caller            Authorize          explain            AuthorizeBatch     AuthorizeStream    ReportOutcome      EndSession         Health             Reflection
no token          Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Ok                 Ok
a wrong token     Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Ok                 Ok
no bearer token   Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Ok                 Ok
no role           PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   Ok                 Ok
authorize         Ok, deny           PermissionDenied   Ok, deny           Ok, deny           PermissionDenied   Ok                 Ok                 Ok
assert            PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   Ok                 Ok
attest            PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   Ok                 Ok
outcome           PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   NotFound           PermissionDenied   Ok                 Ok
explain           PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   Ok                 Ok
tasks             PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   Ok                 Ok
admin             PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   Ok                 Ok
authorize assert  Ok, permit         PermissionDenied   Ok, permit         Ok, permit         PermissionDenied   Ok                 Ok                 Ok
all               Ok, permit         Ok, permit         Ok, permit         Ok, permit         NotFound           Ok                 Ok                 Ok
";

#[tokio::test]
async fn every_call_by_every_caller_is_as_the_table_says() {
    let mut builder = TestPdp::builder();
    let mut rows = vec![
        ("no token".to_owned(), None),
        ("a wrong token".to_owned(), Some("Bearer nobody".to_owned())),
        ("no bearer token".to_owned(), Some("Basic dC1hbGw6".to_owned())),
    ];
    let alone = Role::ALL.iter().map(|role| (role.name().to_owned(), vec![*role]));
    let callers = std::iter::once(("no role".to_owned(), vec![])).chain(alone).chain([
        ("authorize assert".to_owned(), vec![Role::Authorize, Role::Assert]),
        ("all".to_owned(), Role::ALL.to_vec()),
    ]);
    for (name, roles) in callers {
        builder = builder.caller(&name, caller(&name, &roles));
        rows.push((name.clone(), Some(format!("Bearer {name}"))));
    }
    let pdp = builder.start().await;
    let columns = [
        "Authorize",
        "explain",
        "AuthorizeBatch",
        "AuthorizeStream",
        "ReportOutcome",
        "EndSession",
        "Health",
        "Reflection",
    ];
    let mut found = row("caller", &columns.map(str::to_owned));
    for (name, authorization) in rows {
        found += &row(&name, &codes(&pdp, authorization.as_deref()).await);
    }
    assert!(found == TABLE, "{}", similar::TextDiff::from_lines(TABLE, &found).unified_diff());
    let records = pdp.ledger.records();
    let recorded = |kind: &str, outcome: &str| {
        let of_kind = records.iter().filter(|record| record["type"] == kind);
        of_kind.filter(|record| outcome.is_empty() || record["outcome"] == outcome).count()
    };
    assert_eq!(recorded("decided", ""), TABLE.matches("Ok, ").count(), "each answer is recorded");
    assert_eq!(recorded("admin", "refused"), TABLE.matches("PermissionDenied").count(), "and each refusal");
    assert_eq!(recorded("admin", "done"), 3, "and each end of a session");
}

/// The searches. What a caller without `assert` asks for others finds nothing.
const SEARCHES: &str = "\
caller            SearchSubjects     SearchResources    SearchActions      ListTools          Reach
no token          Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated
no role           PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
authorize         Ok, nothing        Ok, nothing        Ok, nothing        Ok, nothing        PermissionDenied
assert            PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
attest            PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
outcome           PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
explain           PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
tasks             PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
admin             PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
authorize assert  Ok, some           Ok, some           Ok, some           Ok, some           PermissionDenied
all               Ok, some           Ok, some           Ok, some           Ok, some           Ok, some
";

#[tokio::test]
async fn every_search_by_every_caller_is_as_the_table_says() {
    let mut builder = TestPdp::builder();
    let mut names = vec!["no token".to_owned()];
    let alone = Role::ALL.iter().map(|role| (role.name().to_owned(), vec![*role]));
    let callers = std::iter::once(("no role".to_owned(), vec![])).chain(alone).chain([
        ("authorize assert".to_owned(), vec![Role::Authorize, Role::Assert]),
        ("all".to_owned(), Role::ALL.to_vec()),
    ]);
    for (name, roles) in callers {
        builder = builder.caller(&name, caller(&name, &roles));
        names.push(name);
    }
    let pdp = builder.start().await;
    let columns = ["SearchSubjects", "SearchResources", "SearchActions", "ListTools", "Reach"];
    let mut found = row("caller", &columns.map(str::to_owned));
    for name in names {
        let authorization = (name != "no token").then(|| format!("Bearer {name}"));
        found += &row(&name, &searches(&pdp, authorization.as_deref()).await);
    }
    assert!(found == SEARCHES, "{}", similar::TextDiff::from_lines(SEARCHES, &found).unified_diff());
    let records = pdp.ledger.records();
    let recorded = |kind: &str| records.iter().filter(|record| record["type"] == kind).count();
    assert_eq!(recorded("searched"), SEARCHES.matches("Ok, ").count(), "each search is recorded");
    assert_eq!(recorded("admin"), SEARCHES.matches("PermissionDenied").count(), "and each refusal");
}

/// What one caller gets for each search.
async fn searches(pdp: &TestPdp, authorization: Option<&str>) -> [String; 5] {
    let mut client = SearchClient::new(pdp.channel().await);
    let whose = || crate::search::parties("Human::\"ana\"", Some("Agent::\"support-bot\""));
    let tool = || Some(uid("Tool::\"crm/lookup_customer\""));
    let subjects = v1::SearchSubjectsRequest {
        subject_type: "Human".into(),
        actor: Some(uid("Agent::\"support-bot\"")),
        action: Some(uid("Action::\"crm/lookup_customer\"")),
        resource: tool(),
        ..v1::SearchSubjectsRequest::default()
    };
    let resources = v1::SearchResourcesRequest {
        parties: whose(),
        action: Some(uid("Action::\"tools/call\"")),
        resource_type: "Tool".into(),
        ..v1::SearchResourcesRequest::default()
    };
    let actions = v1::SearchActionsRequest {
        parties: whose(),
        resource: tool(),
        ..v1::SearchActionsRequest::default()
    };
    let list = v1::ListToolsRequest { parties: whose(), server: "crm".into(), tools_list: vec![] };
    let reach = v1::ReachRequest { parties: whose() };
    let many = |count: usize| if count == 0 { "Ok, nothing".to_owned() } else { "Ok, some".to_owned() };
    let subjects = client.search_subjects(with(authorization, subjects)).await;
    let resources = client.search_resources(with(authorization, resources)).await;
    let actions = client.search_actions(with(authorization, actions)).await;
    let listed = client.list_tools(with(authorization, list)).await;
    let reach = client.reach(with(authorization, reach)).await;
    [
        word(subjects.map(|found| many(found.get_ref().results.len()))),
        word(resources.map(|found| many(found.get_ref().results.len()))),
        word(actions.map(|found| many(found.get_ref().results.len()))),
        word(listed.map(|found| many(found.get_ref().names.len()))),
        word(reach.map(|found| many(found.get_ref().reached.len()))),
    ]
}

fn row<const CELLS: usize>(name: &str, cells: &[String; CELLS]) -> String {
    let mut row = format!("{name:<18}");
    for cell in cells {
        write!(row, "{cell:<19}").unwrap();
    }
    format!("{}\n", row.trim_end())
}

/// What one caller gets for each call.
async fn codes(pdp: &TestPdp, authorization: Option<&str>) -> [String; 8] {
    let channel = pdp.channel().await;
    let mut client = AuthorizationClient::new(channel.clone());
    let explain = v1::AuthorizeRequest { explain: true, ..lookup() };
    let batch = v1::AuthorizeBatchRequest { requests: vec![lookup()] };
    let outcome = v1::ReportOutcomeRequest {
        decision_id: "d-1".into(),
        status: v1::OutcomeStatus::Succeeded.into(),
        ..v1::ReportOutcomeRequest::default()
    };
    let decision = |answer: &v1::AuthorizeResponse| {
        let word = if answer.decision() == v1::Decision::Permit { "permit" } else { "deny" };
        format!("Ok, {word}")
    };
    let unary =
        client.authorize(with(authorization, lookup())).await.map(|answer| decision(answer.get_ref()));
    let explained =
        client.authorize(with(authorization, explain)).await.map(|answer| decision(answer.get_ref()));
    let batched = client.authorize_batch(with(authorization, batch)).await;
    let reported = client.report_outcome(with(authorization, outcome)).await;
    let session = v1::EndSessionRequest { session: "s-1".into() };
    let ended = client.end_session(with(authorization, session)).await;
    [
        word(unary),
        word(explained),
        word(batched.map(|answer| decision(&answer.get_ref().responses[0]))),
        word(stream(&mut client, authorization).await.map(|answer| decision(&answer))),
        word(reported.map(|_| "Ok".to_owned())),
        word(ended.map(|_| "Ok".to_owned())),
        word(health(channel.clone(), authorization).await.map(|()| "Ok".to_owned())),
        word(reflection(channel, authorization).await.map(|()| "Ok".to_owned())),
    ]
}

fn with<T>(authorization: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    }
    request
}

fn word(result: Result<String, Status>) -> String {
    result.unwrap_or_else(|status| format!("{:?}", status.code()))
}

async fn stream(
    client: &mut AuthorizationClient<Channel>,
    authorization: Option<&str>,
) -> Result<v1::AuthorizeResponse, Status> {
    use v1::authorize_stream_response::Result as Item;
    let requests = with(authorization, iter([streamed(lookup())]));
    let mut answers = client.authorize_stream(requests).await?.into_inner();
    match answers.message().await?.unwrap().result.unwrap() {
        Item::Response(answer) => Ok(answer),
        Item::Error(error) => Err(Status::new(Code::from(error.code), error.message)),
    }
}

async fn health(channel: Channel, authorization: Option<&str>) -> Result<(), Status> {
    let asked = HealthCheckRequest { service: String::new() };
    HealthClient::new(channel).check(with(authorization, asked)).await.map(|_| ())
}

async fn reflection(channel: Channel, authorization: Option<&str>) -> Result<(), Status> {
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = with(authorization, iter([asked]));
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(requests).await?.into_inner();
    answers.message().await.map(|_| ())
}

#[tokio::test]
async fn the_local_caller_needs_no_token_and_has_no_more_than_its_roles() {
    let local = caller("local", &[Role::Authorize, Role::Assert]);
    let pdp = TestPdp::builder().local(local).start().await;
    let found = codes(&pdp, None).await;
    let (permit, no) = ("Ok, permit", "PermissionDenied");
    assert_eq!(found, [permit, no, permit, permit, no, "Ok", "Ok", "Ok"]);
    assert_eq!(pdp.ledger.last()["caller"], "local");
    assert_eq!(codes(&pdp, Some("Bearer nobody")).await[0], "Unauthenticated", "a wrong token is no token");
}

#[tokio::test]
async fn a_caller_speaks_only_for_the_servers_that_it_enforces() {
    let servers = Servers::Named(BTreeSet::from(["crm".to_owned()]));
    let pdp = TestPdp::builder().caller(TOKEN, Caller { servers, ..gateway() }).start().await;
    let list = |resource: &str| access("Action::\"tools/list\"", resource);
    for request in [
        mcp("git", "tools/list", &Json::Null),
        mcp("git", "ping", &Json::Null),
        mcp("git", "sampling/createMessage", &json!({})),
        mcp("nowhere", "tools/list", &Json::Null),
        mcp("", "tools/list", &Json::Null),
        mcp("CRM", "tools/list", &Json::Null),
        list("Server::\"git\""),
        list("Tool::\"git/git_log\""),
        list("Resource::\"git/demo://x\""),
        list("Prompt::\"git/p\""),
        list("McpTask::\"git/t\""),
        list("Tool::\"git\""),
    ] {
        let asked = by("Human::\"ana\"", Some("Agent::\"support-bot\""), request);
        refused_for_its_server(&pdp, asked).await;
    }
    let question = access("Action::\"sampling/createMessage\"", "Agent::\"coder\"");
    refused_for_its_server(&pdp, by("Server::\"everything\"", None, question)).await;
    let refused = |record: &Json| record["type"] == "admin" && record["call"] == "server";
    assert!(pdp.ledger.records().iter().all(refused), "what was refused was not decided");

    let mut client = pdp.client().await;
    for request in [mcp("crm", "tools/list", &Json::Null), list("Server::\"crm\"")] {
        let asked = by("Human::\"ana\"", Some("Agent::\"support-bot\""), request);
        assert_eq!(client.authorize(asked).await.unwrap().into_inner().decision(), v1::Decision::Permit);
    }
}

/// Alone, as one of a batch, and on a stream.
async fn refused_for_its_server(pdp: &TestPdp, request: v1::AuthorizeRequest) {
    let mut client = pdp.client().await;
    let refused = client.authorize(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{request:?}");
    assert!(refused.message().contains("does not enforce"), "{refused}");
    let batch = v1::AuthorizeBatchRequest { requests: vec![lookup(), request.clone()] };
    assert_eq!(client.authorize_batch(batch).await.unwrap_err().code(), Code::PermissionDenied);
    let mut answers = client.authorize_stream(iter([streamed(request)])).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().result.unwrap() {
        v1::authorize_stream_response::Result::Error(error) => {
            assert_eq!(Code::from(error.code), Code::PermissionDenied);
        }
        answer @ v1::authorize_stream_response::Result::Response(_) => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn explanations_and_the_texts_of_policy_errors_are_for_those_who_may_have_them() {
    let mut files = shipped_files();
    files.push(File::new(
        "policies/overflow.cedar",
        r#"@id("test/overflow") forbid (principal, action == Action::"crm/issue_refund", resource)
           when { context.input.amount + 1 > 1000000 };"#,
    ));
    let pdp = TestPdp::builder()
        .snapshot(snapshot(&files))
        .gateway()
        .caller("t-desk", caller("desk", &[Role::Authorize, Role::Assert, Role::Explain]))
        .start()
        .await;
    let asked = crm(&json!({ "name": "issue_refund", "arguments": { "order": "o", "amount": i64::MAX } }));
    let (mut plain, mut desk) = (pdp.client().await, pdp.client_of(Some("t-desk")).await);

    let answer = plain.authorize(asked.clone()).await.unwrap().into_inner();
    assert_eq!(answer.reason(), v1::DenyReason::PolicyError);
    assert!(answer.errors.iter().all(|error| error.policy_id == "test/overflow" && error.message.is_empty()));
    assert_eq!(answer.errors.len(), 2, "in each half");
    assert!(!answer.reason_text.contains(&i64::MAX.to_string()));
    let explained = v1::AuthorizeRequest { explain: true, ..asked };
    assert_eq!(plain.authorize(explained.clone()).await.unwrap_err().code(), Code::PermissionDenied);

    let answer = desk.authorize(explained.clone()).await.unwrap().into_inner();
    assert!(answer.errors.iter().all(|error| error.message.contains("overflow")), "{:?}", answer.errors);
    assert!(!answer.explanation.is_empty());
    let answer = desk.authorize(lookup()).await.unwrap().into_inner();
    assert!(answer.explanation.is_empty(), "it did not ask for an explanation");
    let answer =
        desk.authorize(v1::AuthorizeRequest { explain: true, ..lookup() }).await.unwrap().into_inner();
    assert!(answer.explanation.iter().any(|line| line.contains("support/crm")), "{:?}", answer.explanation);
}

/// Every call about tasks. The tasks that are named are another caller's. `deny`: who may not assert names nobody, and who may
/// not attest shows no key. `InvalidArgument`: the bundle is none.
const TASKS_TABLE: &str = "\
caller         Start              Delegate           Renew              End                Revoke session     Revoke task        Revoke human       Lift               Get                List               Watch              PreviewDrift
a wrong token  Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated    Unauthenticated
no role        PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
authorize      PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
assert         PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
attest         PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
outcome        PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
explain        PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied
tasks          Ok, deny           Ok, deny           Ok, deny           NotFound           NotFound           PermissionDenied   PermissionDenied   PermissionDenied   NotFound           Ok                 Ok                 PermissionDenied
admin          PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   PermissionDenied   InvalidArgument
tasks assert   Ok, permit         Ok, deny           Ok, deny           NotFound           NotFound           PermissionDenied   PermissionDenied   PermissionDenied   NotFound           Ok                 Ok                 PermissionDenied
tasks attest   Ok, deny           Ok, deny           Ok, permit         NotFound           NotFound           PermissionDenied   PermissionDenied   PermissionDenied   NotFound           Ok                 Ok                 PermissionDenied
tasks admin    Ok, deny           Ok, deny           Ok, deny           Ok                 Ok                 Ok                 Ok                 Ok                 Ok                 Ok                 Ok                 InvalidArgument
all            Ok, permit         Ok, permit         Ok, permit         Ok                 Ok                 Ok                 Ok                 Ok                 Ok                 Ok                 Ok                 InvalidArgument
";

const TASKS_COLUMNS: [&str; 12] = [
    "Start",
    "Delegate",
    "Renew",
    "End",
    "Revoke session",
    "Revoke task",
    "Revoke human",
    "Lift",
    "Get",
    "List",
    "Watch",
    "PreviewDrift",
];

#[tokio::test]
async fn every_call_about_tasks_by_every_caller_is_as_the_table_says() {
    let mut builder = TestPdp::builder().tasks(task_rules());
    let alone = Role::ALL.iter().map(|role| (role.name().to_owned(), vec![*role]));
    let mut callers = vec![
        ("no role".to_owned(), vec![]),
        ("tasks assert".to_owned(), vec![Role::Tasks, Role::Assert]),
        ("tasks attest".to_owned(), vec![Role::Tasks, Role::Attest]),
        ("tasks admin".to_owned(), vec![Role::Tasks, Role::Admin]),
        ("all".to_owned(), Role::ALL.to_vec()),
    ];
    callers.splice(1..1, alone);
    for (name, roles) in &callers {
        builder = builder.caller(name, caller(name, roles));
    }
    let pdp = builder.caller("t-owner", caller("owner", &[Role::Tasks, Role::Assert])).start().await;
    let wrong = [("a wrong token".to_owned(), "nobody".to_owned())];
    let named = callers.into_iter().map(|(name, _)| (name.clone(), name));
    let mut found = format!("{:<15}", "caller");
    for column in TASKS_COLUMNS {
        write!(found, "{column:<19}").unwrap();
    }
    found = format!("{}\n", found.trim_end());
    for (name, token) in wrong.into_iter().chain(named) {
        let mut row = format!("{name:<15}");
        for cell in task_codes(&pdp, &token).await {
            write!(row, "{cell:<19}").unwrap();
        }
        writeln!(found, "{}", row.trim_end()).unwrap();
    }
    assert!(found == TASKS_TABLE, "{}", similar::TextDiff::from_lines(TASKS_TABLE, &found).unified_diff());
    let refused = |record: &Json| record["type"] == "admin" && record["outcome"] == "refused";
    let count = pdp.ledger.records().iter().filter(|record| refused(record)).count();
    assert_eq!(count, TASKS_TABLE.matches("PermissionDenied").count(), "each refusal is on record");
}

/// What one caller gets for each call about tasks.
async fn task_codes(pdp: &TestPdp, token: &str) -> [String; 12] {
    let mut owner = pdp.tasks_of("t-owner").await;
    // A second later than what an operator has lifted.
    pdp.clock().advance_s(1);
    let lent = owner.start(refund_task()).await.unwrap().into_inner();
    let id = lent.task.unwrap().id;
    let held = Held { id: id.clone(), token: lent.token, key: KEY.into(), state: 0 };
    let mut tasks = pdp.tasks_of(token).await;
    let decided = |decision: Option<v1::TaskDecision>| {
        let is_permit = decision.unwrap().decision() == v1::Decision::Permit;
        format!("Ok, {}", if is_permit { "permit" } else { "deny" })
    };
    let renew = v1::RenewRequest { task: Some(handle(&held)), ..v1::RenewRequest::default() };
    let end = v1::EndRequest {
        task: Some(by_id(&id)),
        ending: v1::Ending::Completed.into(),
        ..v1::EndRequest::default()
    };
    let session = Target::Session(v1::SessionOfCaller { caller: String::new(), session: "s".into() });
    let human = || Target::Human(uid("Human::\"bo\""));
    let started = tasks.start(refund_task()).await.map(|answer| decided(answer.into_inner().decision));
    let handed_on = tasks.delegate(delegate(&held, a_part())).await;
    let renewed = tasks.renew(renew).await.map(|answer| decided(answer.into_inner().decision));
    let ended = tasks.end(end).await.map(|_| "Ok".to_owned());
    let of_session = tasks.revoke(revoke(session)).await.map(|_| "Ok".to_owned());
    let another = owner.start(refund_task()).await.unwrap().into_inner().task.unwrap().id;
    let of_task = tasks.revoke(revoke(Target::Task(another))).await.map(|_| "Ok".to_owned());
    let of_human = tasks.revoke(revoke(human())).await.map(|_| "Ok".to_owned());
    let v1::RevokeRequest { target, reason, request_id } = revoke(human());
    let lifted = tasks.lift(v1::LiftRequest { target, reason, request_id }).await.map(|_| "Ok".to_owned());
    let files = vec![v1::BundleFile { path: "policies/a.cedar".into(), text: "permit".into() }];
    let preview = pdp.admin_of(token).await.preview_drift(v1::PreviewDriftRequest { files }).await;
    [
        word(started),
        word(handed_on.map(|answer| decided(answer.into_inner().decision))),
        word(renewed),
        word(ended),
        word(of_session),
        word(of_task),
        word(of_human),
        word(lifted),
        word(tasks.get(v1::GetRequest { id }).await.map(|_| "Ok".to_owned())),
        word(tasks.list(v1::ListRequest::default()).await.map(|_| "Ok".to_owned())),
        word(tasks.watch(v1::WatchRequest::default()).await.map(|_| "Ok".to_owned())),
        word(preview.map(|_| "Ok".to_owned())),
    ]
}
