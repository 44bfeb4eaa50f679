//! Every case of `tests/cases` embedded, over gRPC, over AuthZEN and, where a gateway can say it, over `ext_authz`, over `ExtMcp`
//! and as a PORC: the wanted decision, the wanted record, and the same of all.

use std::collections::BTreeSet;

use palisade::access::Outcome;
use palisade::api::proto::v1;
use palisade::mcp::method::METHODS;
use palisade::pdp::Answer;
use serde_json::Value as Json;

use crate::authzen;
use crate::cases::{self, Case, CaseFile, Expect};
use crate::ext_authz;
use crate::ext_mcp;
use crate::pdp::TestPdp;
use crate::porc;
use crate::wire;

/// What differs between two askings of the same thing.
const VOLATILE: [&str; 4] = ["face", "decision", "time", "duration_us"];

/// Cases with a value that only protobuf can tell from text or an object: denied all the same, in words of its own.
const OTHER_WORDS_FOR_JSON: [&str; 3] = [
    "an extension value of another type",
    "a decimal that cannot be",
    "an entity of another type in the context",
];

/// Cases with a number that `ToolHive` rounds on the way: nothing is decided on it.
const ROUNDED_ON_THE_WAY: [&str; 4] = [
    "the largest integer keeps its value",
    "its neighbour is another number",
    "an integer that is too large is not rounded",
    "an integer beyond all bounds",
];

/// An answer in words that both faces can say.
#[derive(Debug, PartialEq)]
struct Said {
    permit: bool,
    /// In lower case without word breaks.
    reason: String,
    words: String,
    /// Id, effect and half.
    determining: Vec<(String, String, String)>,
    errors: Vec<String>,
    /// Id, type and properties.
    obligations: Vec<(String, String, Json)>,
    arguments_digest: String,
    resource: Option<(String, String)>,
    revision: String,
}

#[tokio::test]
async fn every_case_gives_the_same_decision_and_record_on_every_face() {
    let mut wrong = Vec::new();
    for file in cases::all() {
        wrong.extend(failures(&file).await);
    }
    assert!(wrong.is_empty(), "{} failures:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_case_that_wants_something_else_fails() {
    let file = cases::all().into_iter().find(|file| !file.cases.is_empty()).unwrap();
    let good = file.cases[0].clone();
    let mut turned = good.clone();
    turned.expect = if good.expect == Expect::Permit { Expect::Deny } else { Expect::Permit };
    let mut other_policy = good.clone();
    other_policy.determining = Some(BTreeSet::from(["nobody/wrote-this".to_owned()]));
    let mut other_record = good.clone();
    other_record.record.insert("caller".into(), Json::from("somebody else"));
    for case in [turned, other_policy, other_record] {
        let mut file = cases::all().into_iter().find(|other| other.name == file.name).unwrap();
        file.cases = vec![case];
        assert_ne!(failures(&file).await, Vec::<String>::new());
    }
}

#[test]
fn there_are_enough_cases_with_names_of_their_own_over_every_method() {
    let files = cases::all();
    let cases: Vec<&Case> = files.iter().flat_map(|file| &file.cases).collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert!(cases.len() >= 35, "only {} cases", cases.len());
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    let asked: BTreeSet<&str> = cases.iter().filter_map(|case| case.method()).collect();
    for method in METHODS.iter().filter(|method| !method.name.ends_with('*')) {
        assert!(asked.contains(method.name), "no case asks `{}`", method.name);
    }
    assert!(asked.iter().any(|name| name.starts_with("notifications/")));
}

/// What is wrong with the cases of a file, in words.
async fn failures(file: &CaseFile) -> Vec<String> {
    let settings = palisade::api::ext_authz::Settings {
        issuers: [ext_authz::ask::ISSUER.to_owned()].into(),
        ..Default::default()
    };
    let mut builder = TestPdp::builder().snapshot(file.snapshot()).ext_authz(settings);
    for case in &file.cases {
        builder = builder.caller(&token(case), case.caller());
    }
    let pdp = builder.start().await;
    ext_authz::ask::trust(&pdp);
    let mut wrong = Vec::new();
    for case in &file.cases {
        let found = check(&pdp, case).await;
        wrong.extend(found.into_iter().map(|problem| format!("{}: {}: {problem}", file.name, case.name)));
    }
    wrong
}

/// Each case has a caller of its own.
fn token(case: &Case) -> String {
    format!("t {}", case.name.escape_default())
}

async fn check(pdp: &TestPdp, case: &Case) -> Vec<String> {
    let request = case.request();
    let embedded = said_embedded(pdp.embedded(&request).expect("the ledger takes records"));
    let embedded_record = pdp.ledger.last();
    let mut client = pdp.client_of(Some(&token(case))).await;
    let over_grpc = match client.authorize(wire::request(&request)).await {
        Ok(response) => said_over_grpc(response.into_inner()),
        Err(status) => return vec![format!("no answer over gRPC: {status}")],
    };
    let grpc_record = pdp.ledger.last();

    let mut wrong = against(case, &embedded, &embedded_record);
    if embedded != over_grpc {
        wrong.push(format!("the faces answer differently:\n  {embedded:?}\n  {over_grpc:?}"));
    }
    if lasting(&embedded_record) != lasting(&grpc_record) {
        wrong.push(format!("the faces record differently:\n  {embedded_record}\n  {grpc_record}"));
    }
    wrong.extend(check_authzen(pdp, case, &embedded, &embedded_record).await);
    wrong.extend(check_ext_authz(pdp, case, &embedded, &embedded_record).await);
    wrong.extend(check_ext_mcp(pdp, case, &embedded, &embedded_record).await);
    wrong.extend(check_porc(pdp, case, &embedded, &embedded_record).await);
    if (&embedded_record["face"], &grpc_record["face"]) != (&"embedded".into(), &"grpc".into()) {
        wrong.push("a record names another face".into());
    }
    wrong
}

/// The same over AuthZEN.
async fn check_authzen(pdp: &TestPdp, case: &Case, embedded: &Said, embedded_record: &Json) -> Vec<String> {
    let body = authzen::say::body(&case.request());
    let bearer = format!("Bearer {}", token(case));
    let headers =
        [("Authorization", &*bearer), ("Content-Type", "application/json"), ("X-Request-ID", "r-1")];
    let path = "/access/v1/evaluation";
    let answer = authzen::ask::post_with(pdp, path, &headers, body.as_bytes()).await;
    if answer.status != 200 {
        return vec![format!("no answer over AuthZEN to {body}: {answer:?}")];
    }
    let (said, mut record) = (answer.json(), pdp.ledger.last());
    let mut wrong = Vec::new();
    let reason = text(&said["context"]["reason"]).replace('_', "");
    let words = text(&said["context"]["reason_user"]["en"]);
    let same_words = embedded.words == words || OTHER_WORDS_FOR_JSON.contains(&case.name.as_str());
    let found = (said["decision"].as_bool(), reason.as_str(), same_words);
    if found != (Some(embedded.permit), embedded.reason.as_str(), true) {
        wrong.push(format!("AuthZEN answers differently to {body}:\n  {embedded:?}\n  {said}"));
    }
    let told = said["context"]["obligations"].as_array().cloned().unwrap_or_default();
    let told: Vec<_> =
        told.iter().map(|one| (text(&one["id"]), text(&one["type"]), one["properties"].clone())).collect();
    if told != embedded.obligations {
        wrong.push(format!(
            "AuthZEN obliges differently to {body}:\n  {:?}\n  {told:?}",
            embedded.obligations
        ));
    }
    if embedded.permit && told.is_empty() && answer.body != r#"{"decision":true}"# {
        wrong.push(format!("a permit is not bare: {}", answer.body));
    }
    if OTHER_WORDS_FOR_JSON.contains(&case.name.as_str()) {
        record["reason_text"] = embedded_record["reason_text"].clone();
    }
    if lasting(embedded_record) != lasting(&record) {
        wrong.push(format!("AuthZEN records differently:\n  {embedded_record}\n  {record}"));
    }
    if record["face"] != "authzen" {
        wrong.push("a record names another face than AuthZEN".into());
    }
    wrong
}

/// The same through a gateway, where a client could send it.
async fn check_ext_authz(pdp: &TestPdp, case: &Case, embedded: &Said, embedded_record: &Json) -> Vec<String> {
    let Some(exchange) = ext_authz::say::exchange(&case.request(), &pdp.pdp.snapshot()) else {
        return vec![];
    };
    let exchange = exchange.header("x-request-id", "r-1");
    let answer = match ext_authz::ask::ask(pdp, &token(case), exchange.request()).await {
        Ok(answer) => answer,
        Err(status) => return vec![format!("no answer over ext_authz: {status}")],
    };
    let record = pdp.ledger.last();
    let reason = text(&answer.metadata["reason"]).replace('_', "");
    let mut wrong = Vec::new();
    if (answer.permit, &reason) != (embedded.permit, &embedded.reason) {
        wrong.push(format!("ext_authz answers differently:\n  {embedded:?}\n  {answer:?}"));
    }
    // What cannot be read in one way is refused before it is looked at what it asks.
    if lasting(embedded_record) != lasting(&record) && reason != "invalidinput" {
        wrong.push(format!("ext_authz records differently:\n  {embedded_record}\n  {record}"));
    }
    if record["face"] != "ext_authz" {
        wrong.push("a record names another face than ext_authz".into());
    }
    wrong
}

/// The same through agentgateway, where it could pass it on.
async fn check_ext_mcp(pdp: &TestPdp, case: &Case, embedded: &Said, embedded_record: &Json) -> Vec<String> {
    let Some(asked) = ext_mcp::say::asked(&case.request(), &pdp.pdp.snapshot()) else { return vec![] };
    let answer = match asked.header("x-request-id", "r-1").by(pdp, &token(case)).await {
        Ok(answer) => answer,
        Err(status) => return vec![format!("no answer over ExtMcp: {status}")],
    };
    let record = pdp.ledger.last();
    let (permit, reason) = match &answer.does {
        ext_mcp::ask::Does::Pass => (true, String::new()),
        does => (false, does.refusal().1.replace('_', "")),
    };
    let mut wrong = Vec::new();
    if (permit, &reason) != (embedded.permit, &embedded.reason) {
        wrong.push(format!("ExtMcp answers differently:\n  {embedded:?}\n  {answer:?}"));
    }
    // What cannot be read in one way is refused before it is looked at what it asks.
    if lasting(embedded_record) != lasting(&record) && reason != "invalidinput" {
        wrong.push(format!("ExtMcp records differently:\n  {embedded_record}\n  {record}"));
    }
    if record["face"] != "ext_mcp" {
        wrong.push("a record names another face than ext_mcp".into());
    }
    wrong
}

/// The same as a PORC, where that has words for it.
async fn check_porc(pdp: &TestPdp, case: &Case, embedded: &Said, embedded_record: &Json) -> Vec<String> {
    let Some(body) = porc::say::body(&case.request(), &pdp.pdp.snapshot()) else { return vec![] };
    let bearer = format!("Bearer {}", token(case));
    let headers =
        [("Authorization", &*bearer), ("Content-Type", "application/json"), ("X-Request-ID", "r-1")];
    let answer = authzen::ask::post_with(pdp, porc::PATH, &headers, body.as_bytes()).await;
    if answer.status != 200 {
        return vec![format!("no answer to a PORC {body}: {answer:?}")];
    }
    let record = pdp.ledger.last();
    if ROUNDED_ON_THE_WAY.contains(&case.name.as_str()) {
        let denied =
            (answer.body.as_str(), &record["reason"]) == (r#"{"allow":false}"#, &"InvalidInput".into());
        return if denied { vec![] } else { vec![format!("rounded, and decided on: {answer:?}")] };
    }
    let mut wrong = Vec::new();
    if answer.body != format!(r#"{{"allow":{}}}"#, embedded.permit) {
        wrong.push(format!("a PORC is answered differently: {body}\n  {embedded:?}\n  {}", answer.body));
    }
    if lasting(embedded_record) != lasting(&record) {
        wrong.push(format!("a PORC is recorded differently:\n  {embedded_record}\n  {record}"));
    }
    if record["face"] != "porc" {
        wrong.push("a record names another face than PORC".into());
    }
    wrong
}

#[test]
fn many_messages_can_be_said_as_a_porc() {
    let files = cases::all();
    let said = files.iter().flat_map(|file| {
        let snapshot = file.snapshot();
        file.cases.iter().filter(move |case| porc::say::body(&case.request(), &snapshot).is_some())
    });
    let said = said.count();
    assert!(said >= 25, "only {said} cases");
}

#[test]
fn most_messages_can_be_sent_through_a_gateway() {
    let files = cases::all();
    let said = files.iter().flat_map(|file| {
        let snapshot = file.snapshot();
        file.cases.iter().map(move |case| {
            let request = case.request();
            let exchange = ext_authz::say::exchange(&request, &snapshot).is_some();
            (exchange, ext_mcp::say::asked(&request, &snapshot).is_some())
        })
    });
    let said: Vec<(bool, bool)> = said.collect();
    let exchanges = said.iter().filter(|(exchange, _)| *exchange).count();
    let asked = said.iter().filter(|(_, asked)| *asked).count();
    assert!(exchanges >= 40 && asked >= 40, "only {exchanges} and {asked} cases");
}

/// Holds an answer and its record against the case.
fn against(case: &Case, said: &Said, record: &Json) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut want = |what: &str, wanted: String, found: String| {
        if wanted != found {
            wrong.push(format!("{what}: wanted {wanted}, found {found} ({:?})", said.words));
        }
    };
    want("decision", format!("{:?}", case.expect == Expect::Permit), format!("{:?}", said.permit));
    let reason = case.reason.as_deref().unwrap_or_default();
    want("reason", reason.to_lowercase(), said.reason.clone());
    if let Some(words) = &case.words {
        want("words", words.clone(), if said.words.contains(words) { words.clone() } else { String::new() });
    }
    if let Some(determining) = &case.determining {
        let found: BTreeSet<&String> = said.determining.iter().map(|(id, ..)| id).collect();
        want("determining", format!("{determining:?}"), format!("{found:?}"));
    }
    let errors: BTreeSet<&String> = said.errors.iter().collect();
    want("errors", format!("{:?}", case.errors), format!("{errors:?}"));
    let obligations: BTreeSet<&String> = said.obligations.iter().map(|(id, ..)| id).collect();
    want("obligations", format!("{:?}", case.obligations), format!("{obligations:?}"));

    want("record.type", "\"decided\"".into(), record["type"].to_string());
    want("record.outcome", if said.permit { "permit" } else { "deny" }.into(), text(&record["outcome"]));
    want("record.reason", said.reason.clone(), text(&record["reason"]).to_lowercase());
    want("record.reason_text", said.words.clone(), text(&record["reason_text"]));
    want("record.revision", said.revision.clone(), text(&record["revision"]));
    want("record.arguments_digest", said.arguments_digest.clone(), text(&record["arguments_digest"]));
    let recorded = record["determining"].as_array().cloned().unwrap_or_default();
    let recorded: Vec<_> =
        recorded.iter().map(|p| (text(&p["id"]), text(&p["effect"]), text(&p["half"]))).collect();
    want("record.determining", format!("{:?}", said.determining), format!("{recorded:?}"));
    for (name, value) in &case.record {
        want(&format!("record.{name}"), value.to_string(), record[name].to_string());
    }
    wrong
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// A record without what differs between two askings.
fn lasting(record: &Json) -> Json {
    let mut record = record.clone();
    for name in VOLATILE {
        record.as_object_mut().unwrap().remove(name);
    }
    record
}

fn said_embedded(answer: Answer) -> Said {
    let word = |word: String| word.to_lowercase();
    Said {
        permit: answer.decision.outcome.is_permit(),
        reason: match answer.decision.outcome {
            Outcome::Permit => String::new(),
            Outcome::Deny(reason) => reason.name().to_lowercase(),
        },
        words: answer.decision.reason,
        determining: answer
            .decision
            .determining
            .iter()
            .map(|p| (p.id.to_string(), word(format!("{:?}", p.effect)), word(format!("{:?}", p.half))))
            .collect(),
        errors: answer.decision.errors.iter().map(|error| error.id.to_string()).collect(),
        obligations: answer
            .decision
            .obligations
            .iter()
            .map(|one| (one.id.to_string(), one.kind.to_string(), Json::Object((*one.properties).clone())))
            .collect(),
        arguments_digest: answer.arguments_digest.unwrap_or_default(),
        resource: answer.resource.map(|uid| (uid.kind.into(), uid.id.into())),
        revision: answer.revision.to_string(),
    }
}

fn said_over_grpc(answer: v1::AuthorizeResponse) -> Said {
    let word = |name: &str, prefix: &str| name.trim_start_matches(prefix).replace('_', "").to_lowercase();
    let reason = word(answer.reason().as_str_name(), "DENY_REASON_");
    Said {
        permit: answer.decision() == v1::Decision::Permit,
        reason: if reason == "unspecified" { String::new() } else { reason },
        determining: answer
            .determining
            .iter()
            .map(|p| {
                let effect = word(p.effect().as_str_name(), "EFFECT_");
                (p.id.clone(), effect, word(p.half().as_str_name(), "HALF_"))
            })
            .collect(),
        errors: answer.errors.into_iter().map(|error| error.policy_id).collect(),
        obligations: answer
            .obligations
            .into_iter()
            .map(|one| (one.id, one.r#type, serde_json::from_str(&one.properties).unwrap()))
            .collect(),
        words: answer.reason_text,
        arguments_digest: answer.arguments_digest,
        resource: answer.resource.map(|uid| (uid.r#type, uid.id)),
        revision: answer.revision,
    }
}
