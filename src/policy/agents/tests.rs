use crate::diagnostic::{File, Level};
use crate::identity::{AgentName, Directory, SpiffeId};
use crate::policy::{Snapshot, compile};
use crate::value::Uid;

const SCHEMA: &str = r#"
entity Human;
entity Agent = { spiffe_id?: String, client_ids?: Set<String> };
entity Robot = { spiffe_id?: String, client_ids?: Set<String> };
entity Doc;
action "read" appliesTo { principal: [Human, Agent], resource: [Doc], context: {} };
"#;

/// A bundle with entities of a type, each with attributes as JSON.
fn bundle(kind: &str, entities: &[(&str, &str)]) -> Vec<File> {
    let entity = |(id, attributes): &(&str, &str)| {
        format!(r#"{{"uid":{{"type":"{kind}","id":"{id}"}},"attrs":{attributes},"parents":[]}}"#)
    };
    let entities: Vec<String> = entities.iter().map(entity).collect();
    vec![
        File::new("schemas/s.cedarschema", SCHEMA),
        File::new("entities/e.json", format!("[{}]", entities.join(","))),
        File::new("policies/p.cedar", "permit(principal, action, resource);"),
    ]
}

fn snapshot(entities: &[(&str, &str)]) -> Snapshot {
    compile(&bundle("Agent", entities)).unwrap_or_else(|findings| panic!("{findings:?}")).snapshot
}

fn errors(entities: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let findings = compile(&bundle("Agent", entities)).unwrap_err();
    findings.into_iter().filter(|f| f.level == Level::Error).map(|f| (f.code, f.message)).collect()
}

fn client(id: &str) -> AgentName {
    AgentName::Client(id.into())
}

fn workload(id: &str) -> AgentName {
    AgentName::Spiffe(SpiffeId::parse(id).unwrap())
}

#[test]
fn an_agent_is_found_by_its_names_letter_by_letter() {
    let names =
        r#"{"spiffe_id":"spiffe://ACME.example/agent/bot","client_ids":["bot-ci","https://bots.example/x"]}"#;
    let snapshot = snapshot(&[("bot", names), ("quiet", "{}")]);
    let bot = Uid::new("Agent", "bot");
    for name in
        [client("bot-ci"), client("https://bots.example/x"), workload("spiffe://acme.example/agent/bot")]
    {
        assert_eq!(snapshot.agent(&name), Some(&bot), "{name:?}");
    }
    for name in [
        client("bot"),
        client("BOT-ci"),
        client("bot-ci "),
        client("https://bots.example/x/"),
        // What was written as a SPIFFE ID is no client's name, and the other way round.
        client("spiffe://acme.example/agent/bot"),
        workload("spiffe://acme.example/agent/Bot"),
        workload("spiffe://acme.example/agent/quiet"),
        workload("spiffe://evil.example/agent/bot"),
    ] {
        assert_eq!(snapshot.agent(&name), None, "{name:?}");
    }
}

#[test]
fn one_name_is_one_agents() {
    for (one, other) in [
        (r#"{"client_ids":["a","x"]}"#, r#"{"client_ids":["x"]}"#),
        (r#"{"spiffe_id":"spiffe://acme/a"}"#, r#"{"spiffe_id":"SPIFFE://ACME/a"}"#),
    ] {
        let found = errors(&[("one", one), ("other", other)]);
        assert_eq!(
            found.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
            ["entity::credential"],
            "{found:?}"
        );
        assert!(
            found[0].1.contains(r#"Agent::"one""#) && found[0].1.contains(r#"Agent::"other""#),
            "{found:?}"
        );
    }
    // A path's case has a meaning: these are two.
    let _two = snapshot(&[
        ("one", r#"{"spiffe_id":"spiffe://acme/a"}"#),
        ("other", r#"{"spiffe_id":"spiffe://acme/A"}"#),
    ]);
}

#[test]
fn a_spiffe_id_that_no_token_could_name_is_an_error() {
    for id in ["", "bot", "spiffe://acme", "spiffe://acme/a/", "spiffe://acme:443/a", "https://acme/a"] {
        let found = errors(&[("bot", &format!(r#"{{"spiffe_id":"{id}"}}"#))]);
        assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["entity::spiffe-id"], "{id}");
    }
    // As a client id it would never match: a token's client of that name is the workload.
    let found = errors(&[("bot", r#"{"client_ids":["bot-ci","spiffe://acme/a"]}"#)]);
    assert_eq!(found, [("entity::credential", r#"a client id of `Agent::"bot"` is a SPIFFE ID"#.to_owned())]);
}

#[test]
fn only_an_agent_has_an_agents_names() {
    let names = r#"{"spiffe_id":"spiffe://acme/a","client_ids":["a"]}"#;
    let snapshot = compile(&bundle("Robot", &[("a", names)])).unwrap().snapshot;
    assert_eq!((snapshot.agent(&client("a")), snapshot.agent(&workload("spiffe://acme/a"))), (None, None));
    assert!(snapshot.knows(&Uid::new("Robot", "a")));
    assert!(!snapshot.knows(&Uid::new("Agent", "a")) && !snapshot.knows(&Uid::new("Robot", "A")));
}
