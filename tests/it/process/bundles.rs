//! JWT-SVIDs of agents, verified by the bundles that the SPIFFE Workload API streams to the real binary.

use palisade::api::proto::v1;
use palisade::audit::digest::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use super::child::until;
use super::keys::source;
use super::place::{PERMIT, Place};
use super::server::{Client, Server, is_permit, probe};
use crate::spire::{JwtBundles, Spire};
use crate::svids::Signer;

const DOMAIN: &str = "acme.example";
const PARTNER: &str = "partner.example";
const TOKEN: &str = "gateway-token";
const BOT: &str = "spiffe://acme.example/agent/bot";

/// The small bundle, whose bot has a SPIFFE ID, behind a server that believes one trust domain.
fn place(endpoint: &str) -> Place {
    let place = Place::with(PERMIT);
    place.write(
        "schemas/doc.cedarschema",
        "entity Agent = { active: Bool, spiffe_id?: String };\nentity Doc;\n\
         action read appliesTo { principal: [Agent], resource: [Doc], context: {} };\n",
    );
    let bot = serde_json::json!([
        { "uid": { "type": "Agent", "id": "bot" }, "attrs": { "active": true, "spiffe_id": BOT }, "parents": [] },
        { "uid": { "type": "Doc", "id": "a" }, "attrs": {}, "parents": [] },
    ]);
    place.write("entities/agents.json", &bot.to_string());
    let digest = hex(&Sha256::digest(TOKEN));
    place.configure(&format!(
        "callers: [{{ name: gw, token_sha256: {digest}, roles: [authorize], servers: \"*\" }}]\ntrust:\n  audience: [pdp]\n  spiffe:\n  - trust_domain: {DOMAIN}\n    keys: {{ workload_api: \"{endpoint}\" }}\n"
    ));
    place
}

/// An agent that serves this, and a place that listens to it.
struct World {
    runtime: Runtime,
    spire: Spire<JwtBundles>,
    place: Place,
}

fn bundles(of: &[(&str, &Signer)]) -> JwtBundles {
    let sets: Vec<_> = of.iter().map(|(domain, signer)| (*domain, signer.bundle(None))).collect();
    JwtBundles::of(&sets)
}

impl World {
    fn serving(told: JwtBundles) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let spire = runtime.block_on(async { Spire::start(Ok(told)) });
        let place = place(&spire.endpoint());
        Self { runtime, spire, place }
    }

    /// The agent goes, with its socket. Connections end with its streams.
    fn without_agent(self) -> (Runtime, Place) {
        drop(self.spire);
        (self.runtime, self.place)
    }
}

/// Reads with nothing but a JWT-SVID.
fn read(client: &Client, token: &str) -> v1::AuthorizeResponse {
    let credentials = v1::Credentials { subject_token: token.into(), ..Default::default() };
    let request = v1::AuthorizeRequest { subject: None, credentials: Some(credentials), ..probe("") };
    client.ask_with(request, &[("authorization", &format!("Bearer {TOKEN}"))]).unwrap()
}

fn may_read(client: &Client, signer: &Signer) -> bool {
    is_permit(&read(client, &signer.svid(BOT, "pdp")))
}

fn failing(server: &Server) -> String {
    source(server, DOMAIN)["failing"]["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_agents_svid_is_taken_and_rotated_keys_count_without_a_restart() {
    let (old, new, partner) = (Signer::new("old"), Signer::new("new"), Signer::new("partner"));
    let world = World::serving(bundles(&[(DOMAIN, &old), (PARTNER, &partner)]));
    let server = world.place.start();
    let client = server.client();
    let token = old.svid(BOT, "pdp");
    let answer = read(&client, &token);
    assert!(is_permit(&answer), "{answer:?}");
    let record = world.place.records_of("decided").pop().unwrap();
    assert_eq!(record["principal"]["id"], "bot", "{record}");
    assert!(!may_read(&client, &new), "it does not count yet");
    assert!(!may_read(&client, &partner), "who vouches for one trust domain does not for another");
    assert!(!is_permit(&read(&client, &old.svid(BOT, "elsewhere"))), "for somebody else");

    world.spire.told.send(Ok(bundles(&[(DOMAIN, &new), (PARTNER, &partner)]))).unwrap();
    until("the new key counts", || may_read(&client, &new).then_some(()));
    assert!(
        !is_permit(&read(&client, &token)),
        "and the old one does not, though the token was taken before"
    );
    let status = source(&server, DOMAIN);
    assert_eq!(status["failing"], Value::Null);
    assert_eq!(status["source"], world.spire.endpoint());
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn an_agent_that_is_gone_leaves_its_last_good_keys_and_one_that_takes_them_back_does_not() {
    let signer = Signer::new("k");
    let world = World::serving(bundles(&[(DOMAIN, &signer)]));
    let server = world.place.start();
    let client = server.client();
    assert!(may_read(&client, &signer));
    let good = source(&server, DOMAIN)["document"].clone();
    world.spire.told.send(Ok(bundles(&[(PARTNER, &signer)]))).unwrap();
    until("they are taken back", || (!may_read(&client, &signer)).then_some(()));
    until("it says so", || failing(&server).contains("has no JWT bundle of `acme.example`").then_some(()));
    world.spire.told.send(Ok(bundles(&[(DOMAIN, &signer)]))).unwrap();
    until("they count again", || may_read(&client, &signer).then_some(()));

    let (_runtime, _place) = world.without_agent();
    until("it is noticed", || failing(&server).contains("the agent of SPIFFE").then_some(()));
    assert!(may_read(&client, &signer));
    let status = source(&server, DOMAIN);
    assert_eq!((&status["document"], status["last_success"].is_string()), (&good, true), "{status}");
    assert_eq!(server.metric("palisade_keys_failing{issuer=\"acme.example\"}"), Some(1.0));
}

#[test]
fn without_an_agent_the_server_starts_and_denies_until_there_is_one() {
    let signer = Signer::new("k");
    let place = place("unix:///nowhere/agent.sock");
    let server = place.start();
    assert!(failing(&server).contains("there is no agent of SPIFFE: No such file"), "{}", failing(&server));
    let answer = read(&server.client(), &signer.svid(BOT, "pdp"));
    assert!(!is_permit(&answer), "{answer:?}");
    assert_eq!(answer.reason(), v1::DenyReason::Unauthenticated, "{answer:?}");
}
