//! Search and evaluation agree, in both directions: in generated bundles, and on the tools of the shipped one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use palisade::access::{DecisionId, Entity, Question};
use palisade::audit::{DigestKey, Memory, OpenDecisions};
use palisade::diagnostic::File;
use palisade::identity::{Caller, Claim, Role, Servers};
use palisade::mcp;
use palisade::pdp::{Ask, Found, Occasion, Page, Pdp, Request, Search, Sought, ToolList};
use palisade::policy::Snapshot;
use palisade::value::{Uid, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::pdp::{NOW, shipped, snapshot};

const USERS: u32 = 4;
const BOTS: u32 = 2;
const DOCS: u32 = 7;
const ACTIONS: [&str; 3] = ["read", "write", "share"];

/// A world: what entities are like, and policies of a few forms.
#[derive(Debug, Clone)]
struct World {
    levels: Vec<u8>,
    closed: Vec<bool>,
    policies: Vec<Policy>,
}

#[derive(Debug, Clone)]
struct Policy {
    forbids: bool,
    principal: u8,
    action: u8,
    resource: u8,
    condition: u8,
}

fn worlds() -> impl Strategy<Value = World> {
    let levels = prop::collection::vec(0_u8..4, (USERS + BOTS + DOCS) as usize);
    let closed = prop::collection::vec(any::<bool>(), DOCS as usize);
    let policy = (prop::bool::weighted(0.3), 0_u8..6, 0_u8..4, 0_u8..6, 0_u8..9).prop_map(
        |(forbids, principal, action, resource, condition)| Policy {
            forbids,
            principal,
            action,
            resource,
            condition,
        },
    );
    (levels, closed, prop::collection::vec(policy, 1..9)).prop_map(|(levels, closed, policies)| World {
        levels,
        closed,
        policies,
    })
}

fn files(world: &World) -> Vec<File> {
    let schema = r#"
        entity Team; entity Shelf in [Shelf];
        entity Human in [Team] = { level: Long, boss?: Human };
        entity Agent in [Team] = { level: Long };
        entity Doc in [Shelf] = { level: Long, closed: Bool, owner?: Human };
        action read, write, share appliesTo { principal: [Human, Agent], resource: [Doc], context: {
            @source("pdp") actor?: Agent, @source("pdp") requester?: Human, why?: String } };"#;
    let mut entities = vec![
        json!({"uid": {"type": "Team", "id": "t"}, "attrs": {}, "parents": []}),
        json!({"uid": {"type": "Shelf", "id": "top"}, "attrs": {}, "parents": []}),
        json!({"uid": {"type": "Shelf", "id": "low"}, "attrs": {}, "parents": [{"type": "Shelf", "id": "top"}]}),
    ];
    let level = |at: u32| world.levels[at as usize];
    for n in 0..USERS {
        let parents = if n % 2 == 0 { json!([{"type": "Team", "id": "t"}]) } else { json!([]) };
        let mut attrs = json!({"level": level(n)});
        if n > 0 {
            attrs["boss"] = json!({"__entity": {"type": "Human", "id": format!("h{}", n - 1)}});
        }
        entities.push(
            json!({"uid": {"type": "Human", "id": format!("h{n}")}, "attrs": attrs, "parents": parents}),
        );
    }
    for n in 0..BOTS {
        let parents = if n == 0 { json!([{"type": "Team", "id": "t"}]) } else { json!([]) };
        let attrs = json!({"level": level(USERS + n)});
        entities.push(
            json!({"uid": {"type": "Agent", "id": format!("a{n}")}, "attrs": attrs, "parents": parents}),
        );
    }
    for n in 0..DOCS {
        let parents = match n % 3 {
            0 => json!([{"type": "Shelf", "id": "low"}]),
            1 => json!([{"type": "Shelf", "id": "top"}]),
            _ => json!([]),
        };
        let mut attrs = json!({"level": level(USERS + BOTS + n), "closed": world.closed[n as usize]});
        if n % 2 == 0 {
            attrs["owner"] = json!({"__entity": {"type": "Human", "id": format!("h{}", n % USERS)}});
        }
        entities
            .push(json!({"uid": {"type": "Doc", "id": format!("d{n}")}, "attrs": attrs, "parents": parents}));
    }
    let mut text = String::new();
    for policy in &world.policies {
        text.push_str(&written(policy));
    }
    vec![
        File::new("schemas/w.cedarschema", schema),
        File::new("entities/w.json", serde_json::Value::from(entities).to_string()),
        File::new("policies/w.cedar", text),
    ]
}

fn written(policy: &Policy) -> String {
    let Policy { forbids, principal, action, resource, condition } = policy;
    let effect = if *forbids { "forbid" } else { "permit" };
    let principal = [
        "principal",
        "principal is Human",
        "principal is Agent",
        r#"principal == Human::"h0""#,
        r#"principal in Team::"t""#,
        r#"principal is Agent in Team::"t""#,
    ][usize::from(*principal)];
    let action = [
        "action",
        r#"action == Action::"read""#,
        r#"action in [Action::"write", Action::"share"]"#,
        r#"action == Action::"share""#,
    ][usize::from(*action)];
    let resource = [
        "resource",
        "resource is Doc",
        r#"resource == Doc::"d2""#,
        r#"resource in Shelf::"top""#,
        r#"resource in Shelf::"low""#,
        r#"resource is Doc in Shelf::"top""#,
    ][usize::from(*resource)];
    let condition = [
        "",
        "when { principal.level >= 2 }",
        "when { resource.level <= principal.level }",
        "unless { resource.closed }",
        "when { resource has owner && resource.owner == principal }",
        "when { context has actor && context.actor.level > 1 }",
        r#"when { context has why && context.why == "w" }"#,
        "when { context has requester && context.requester.level > resource.level }",
        // Fails for many: then the answer is a deny, for whomever.
        "when { 9223372036854775807 + principal.level > 0 }",
    ][usize::from(*condition)];
    let mut text = String::new();
    writeln!(text, "{effect} ({principal}, {action}, {resource}) {condition};").unwrap();
    text
}

fn pdp(snapshot: Arc<Snapshot>) -> Pdp<Memory> {
    let open = Arc::new(OpenDecisions::new(10));
    Pdp::new(snapshot, Memory::new(100), open, DigestKey::new(&[7; 32]), mcp::Limits::default())
}

fn request(principal: &Uid, actor: Option<&Uid>, question: Question) -> Request {
    let caller = Caller {
        name: "gw".into(),
        roles: [Role::Authorize, Role::Assert].into(),
        servers: Servers::All,
        agentless: true,
        authenticated: true,
    };
    Request {
        claim: Some(Claim { principal: principal.clone(), actor: actor.cloned(), earlier_actors: vec![] }),
        ..Request::new(Arc::new(caller), Ask::Access(question))
    }
}

fn occasion() -> Occasion<'static> {
    Occasion { id: DecisionId("s".into()), now: NOW, elapsed_us: &|| 0 }
}

fn permits(pdp: &Pdp<Memory>, request: &Request) -> bool {
    pdp.evaluate(request, occasion()).settle().unwrap().decision.outcome.is_permit()
}

/// All pages of a search.
fn all(pdp: &Pdp<Memory>, request: Request, sought: Sought, limit: u32) -> Vec<Uid> {
    let mut search = Search { request, sought, page: Page { token: None, limit: Some(limit) } };
    let mut results = Vec::new();
    loop {
        let Found { results: page, next, .. } = pdp.search(&search, occasion()).unwrap().settle().unwrap();
        assert!(page.len() <= limit as usize);
        results.extend(page);
        match next {
            Some(token) => search.page = Page { token: Some(token), limit: None },
            None => return results,
        }
    }
}

fn names(kind: &str, prefix: &str, count: u32) -> Vec<Uid> {
    (0..count).map(|n| Uid::new(kind, format!("{prefix}{n}"))).collect()
}

fn question(action: &Uid, doc: &Uid, variant: bool) -> Question {
    let mut question = Question::new(action.clone(), doc.clone());
    if variant {
        question.context.insert("why".into(), Value::String("w".into()));
        // A document of the request's own, and a stored one that it says something about.
        let own = [("level", Value::Long(1)), ("closed", Value::Bool(false))];
        question.brought.push(Entity {
            uid: Uid::new("Doc", "brought"),
            attributes: own.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            parents: vec![],
        });
    }
    question
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_is_permitted_and_nothing_else(
        world in worlds(), variant in any::<bool>(), limit in 1_u32..5,
    ) {
        let pdp = pdp(snapshot(&files(&world)));
        let humans = names("Human", "h", USERS);
        let agents = names("Agent", "a", BOTS);
        let mut docs = names("Doc", "d", DOCS);
        if variant {
            docs.insert(0, Uid::new("Doc", "brought"));
        }
        let actions: Vec<Uid> = ACTIONS.iter().map(|name| Uid::new("Action", *name)).collect();
        let actors: Vec<Option<&Uid>> = std::iter::once(None).chain(agents.iter().map(Some)).collect();
        for actor in actors {
            for action in &actions {
                for human in &humans {
                    let ask = |doc: &Uid| request(human, actor, question(action, doc, variant));
                    let expected: Vec<Uid> = docs.iter().filter(|doc| permits(&pdp, &ask(doc))).cloned().collect();
                    let sought = Sought::Resources { kind: "Doc".into(), server: None };
                    prop_assert_eq!(all(&pdp, ask(&Uid::new("Doc", "")), sought, limit), expected);
                }
                for doc in &docs {
                    let ask = |human: &Uid| request(human, actor, question(action, doc, variant));
                    let expected: Vec<Uid> =
                        humans.iter().filter(|human| permits(&pdp, &ask(human))).cloned().collect();
                    let sought = Sought::Subjects { kind: "Human".into() };
                    prop_assert_eq!(all(&pdp, ask(&Uid::new("Human", "")), sought, limit), expected);
                }
            }
            for (human, doc) in humans.iter().flat_map(|human| docs.iter().map(move |doc| (human, doc))) {
                let ask = |action: &Uid| request(human, actor, question(action, doc, variant));
                let mut expected: Vec<Uid> =
                    actions.iter().filter(|action| permits(&pdp, &ask(action))).cloned().collect();
                expected.sort();
                prop_assert_eq!(all(&pdp, ask(&Uid::new("Action", "")), Sought::Actions, limit), expected);
            }
        }
    }
}

/// Arguments that tools of the shipped bundle take.
fn samples(tool: &str) -> Vec<serde_json::Value> {
    match tool {
        "crm/issue_refund" => [-5, 0, 30, 100, 101, 1000, 1001]
            .map(|amount| json!({ "order": "o-1", "amount": amount }))
            .to_vec(),
        "crm/lookup_customer" | "crm/delete_customer" => vec![json!({ "customer_id": "c-1" })],
        "crm/send_email" => vec![json!({ "to": "a@b.example", "subject": "s", "body": "b" })],
        "fetch/fetch" => {
            ["https://docs.rs/x", "https://evil.example/"].map(|url| json!({ "url": url })).to_vec()
        }
        "git/git_status" | "git/git_log" => vec![json!({ "repo_path": "/repo" })],
        "time/get_current_time" => vec![json!({ "timezone": "UTC" })],
        _ => vec![json!({})],
    }
}

#[test]
fn a_tool_that_may_be_called_is_listed_and_what_is_not_listed_is_denied() {
    let snapshot = shipped();
    let pdp = pdp(snapshot.clone());
    let humans = ["ana", "bo", "kim", "lea", "mallory"].map(|id| Uid::new("Human", id));
    let agents =
        ["support-bot", "lead-bot", "night-watch", "coder", "inspector", "retired-bot", "orphan-bot"]
            .map(|id| Uid::new("Agent", id));
    let (mut seen, mut blindly) = (BTreeSet::new(), BTreeSet::new());
    let mut some: Vec<(Uid, Option<Uid>)> = agents.iter().map(|agent| (agent.clone(), None)).collect();
    some.extend(
        humans.iter().flat_map(|human| agents.iter().map(|agent| (human.clone(), Some(agent.clone())))),
    );
    for (principal, actor) in some {
        for server in snapshot.catalog().servers() {
            let nothing = Question::new(Uid::new("", ""), Uid::new("", ""));
            let ask = request(&principal, actor.as_ref(), nothing);
            let list = ToolList { request: ask.clone(), server: server.id.clone(), listed: None };
            let listed = pdp.list_tools(&list, occasion()).unwrap().settle().unwrap().listed.names;
            for tool in server.tools.values() {
                let may = |params: serde_json::Value| {
                    let message = mcp::Message {
                        server: server.id.clone(),
                        method: "tools/call".into(),
                        arguments_unseen: params.get("arguments").is_none(),
                        params: params.to_string().into_bytes().into(),
                        ..mcp::Message::default()
                    };
                    permits(&pdp, &Request { ask: Ask::Mcp(message), ..ask.clone() })
                };
                let call = |arguments| may(json!({ "name": tool.name, "arguments": arguments }));
                let calls: Vec<bool> = samples(&tool.action().id).into_iter().map(call).collect();
                let called = calls.contains(&true);
                let is_listed = listed.contains(&tool.name);
                assert!(is_listed || !called, "{principal} {actor:?} may call {} unseen", tool.action());
                // With these samples every tool that could be called is called.
                let known = samples(&tool.action().id) != [json!({})] || tool.name == "export_customers";
                assert!(called || !is_listed || !known, "{principal} {actor:?} is shown {}", tool.action());
                seen.insert((is_listed, called));
                // What is permitted without its arguments is permitted whatever they are.
                let unseen = may(json!({ "name": tool.name }));
                let all = !known || calls.iter().all(|called| *called);
                assert!(
                    !unseen || (is_listed && all),
                    "{principal} {actor:?} may call {} blindly",
                    tool.action()
                );
                blindly.insert((unseen, called));
            }
        }
    }
    assert!(seen.contains(&(true, true)) && seen.contains(&(false, false)), "{seen:?}");
    assert!(blindly.contains(&(true, true)) && blindly.contains(&(false, true)), "{blindly:?}");
}
