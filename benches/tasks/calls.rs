//! A call under a task beside the same call without one: what the task costs.
//! Never calls that are answered differently: each is permitted, and has its record.

use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Signs, EncodingKey};
use palisade::access::{DenyReason, Outcome};
use palisade::identity::{Algorithm, Credentials, Proof, Token};
use palisade::pdp::Request;
use palisade::policy::Snapshot;
use palisade::store::{History, Memory};
use palisade::task::{Stop, Target};
use palisade::value::Uid;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use crate::measure::beside;
use crate::refund::{decide, refund};
use crate::report::Report;
use crate::token::{CRM, Signer};
use crate::world::{NOW, World, issuer, runtime, snapshot, start};

const ROUNDS: usize = 201;
const BLOCK: u32 = 400;
/// How much more a call under a task may take.
const MORE_US: f64 = 3.0;
/// As many calls as a run makes, and more: none of them is to be the last.
const CALLS: u64 = 1 << 30;

/// A rule that opens with a comparison of what the task says: the index looks at it.
const OPENS: &str = r#"
@id("beside/opens")
permit (principal in Team::"support", action == Action::"crm/issue_refund", resource)
when { context has task && context.task.purpose == Purpose::"refund" };
"#;
/// A rule that looks at the task later: a condition looks at it.
const READS: &str = r#"
@id("beside/reads")
permit (principal in Team::"support", action == Action::"crm/issue_refund", resource)
when { context.input.amount < 50 && context has task && context.task.purpose in Purpose::"customer-care" && context.task.depth < 2 };
"#;
/// A rule that looks at when the task began.
const TIMES: &str = r#"
@id("beside/times")
forbid (principal, action == Action::"crm/issue_refund", resource)
when { context has task && duration("9h") < context.now.durationSince(context.task.started) };
"#;

/// Measures.
pub fn run(report: &mut Report) {
    let runtime = runtime();
    let bundles = [
        ("no policy looks at it", ""),
        ("a policy opens with its purpose", OPENS),
        ("a policy looks at purpose and depth", READS),
        ("a policy looks at its time", TIMES),
    ];
    for (name, policies) in bundles {
        of_bundle(report, &runtime, name, snapshot(policies));
        if !policies.is_empty() {
            of_policy(report, &runtime, name, policies);
        }
    }
    let shipped = snapshot("");
    for count in [1, 10_000] {
        stopped(report, &runtime, shipped.clone(), count);
    }
    tokens(report, &runtime, shipped.clone());
    proofs(report, &runtime, shipped);
}

type Served = World<Memory>;

fn served(runtime: &Runtime, snapshot: Arc<Snapshot>) -> Served {
    World::open(runtime, snapshot, Memory::new(History::default()), issuer())
}

fn is_permitted(world: &Served, request: &Request) {
    loop {
        let answer = decide(&world.pdp, black_box(request)).expect("an answer");
        match answer.decision.outcome {
            Outcome::Permit => return,
            // Where others have the cores meanwhile, calls are spent faster than more of them are charged.
            Outcome::Deny(DenyReason::Stale) => std::thread::yield_now(),
            Outcome::Deny(_) => unreachable!("each call is permitted: {answer:?}"),
        }
    }
}

/// A call of Ana's agent under a fresh task, with this proof of its key.
fn under(world: &Served, runtime: &Runtime, key: &str) -> (Request, String) {
    let begun = world.begin(runtime, start(Uid::new("Human", "ana"), CALLS, key));
    let token = begun.token.expect("a token");
    let proof = Some(Proof::Key(key.to_owned()));
    let credentials = Credentials { task: Some(Token::new(token.clone())), proof, ..Credentials::default() };
    (Request { claim: None, credentials, ..refund("support-bot") }, token)
}

fn of_bundle(report: &mut Report, runtime: &Runtime, name: &str, snapshot: Arc<Snapshot>) {
    let world = served(runtime, snapshot);
    compare(report, runtime, &world, &format!("a call under a task, {name}"));
}

/// The same call under a task where a policy looks at it and where none does: what the policy takes.
fn of_policy(report: &mut Report, runtime: &Runtime, name: &str, policies: &str) {
    let (unseen, seen) = (served(runtime, snapshot("")), served(runtime, snapshot(policies)));
    let [(under_unseen, _), (under_seen, _)] =
        [&unseen, &seen].map(|world| under(world, runtime, "a key of the agent's"));
    let (without, with) = (|| is_permitted(&unseen, &under_unseen), || is_permitted(&seen, &under_seen));
    let found = beside(ROUNDS, BLOCK, without, with);
    let today = format!("{:+.1} µs ({:.1} → {:.1} µs)", found.more_us, found.first_us, found.second_us);
    report.told(format!("of that the policy, {name}: both calls under a task"), today);
}

fn compare(report: &mut Report, runtime: &Runtime, world: &Served, what: &str) {
    let said = refund("support-bot");
    let (under, _token) = under(world, runtime, "a key of the agent's");
    let found = beside(ROUNDS, BLOCK, || is_permitted(world, &said), || is_permitted(world, &under));
    let today = format!("{:+.1} µs ({:.1} → {:.1} µs)", found.more_us, found.first_us, found.second_us);
    report.held(what, "≤ 3 µs more", today, found.more_us <= MORE_US);
}

/// Both calls with this many revocations in force, of every kind.
fn stopped(report: &mut Report, runtime: &Runtime, snapshot: Arc<Snapshot>, count: usize) {
    let free = served(runtime, snapshot.clone());
    let world = served(runtime, snapshot);
    world.tasks.stop((0..count).map(|number| (target(number), stop())));
    compare(report, runtime, &world, &format!("a call under a task, {count} revocations in force"));
    let said = refund("support-bot");
    let found = beside(ROUNDS, BLOCK, || is_permitted(&free, &said), || is_permitted(&world, &said));
    let today = format!("{:+.1} µs ({:.1} → {:.1} µs)", found.more_us, found.first_us, found.second_us);
    report.told(format!("a call without a task, {count} revocations in force beside none"), today);
}

/// Something that the calls have nothing to do with.
pub fn target(number: usize) -> Target {
    match number % 5 {
        0 | 1 => Target::Agent(Uid::new("Agent", format!("stopped-{number}"))),
        2 => Target::Human(Uid::new("Human", format!("stopped-{number}"))),
        3 => Target::Session { caller: "bench".into(), session: format!("stopped-{number}") },
        _ => Target::Tool(format!("crm/stopped-{number}")),
    }
}

/// Why, as an operator would say it.
pub fn stop() -> Stop {
    let reason = "incident 4711: taken over, see the channel of the response".into();
    Stop { at_ms: NOW.0, reason, caller: "operator".into(), until_s: None, lifted: false }
}

/// Beside the person's own token, which was seen before.
fn tokens(report: &mut Report, runtime: &Runtime, snapshot: Arc<Snapshot>) {
    let world = served(runtime, snapshot);
    let signer = Signer::new(Algorithm::Es256);
    world.pdp.trust(signer.trust());
    let shown = Request { claim: None, credentials: signer.token(0, CRM), ..refund("support-bot") };
    let (under, _token) = under(&world, runtime, "a key of the agent's");
    let found = beside(ROUNDS, BLOCK, || is_permitted(&world, &shown), || is_permitted(&world, &under));
    let today = format!("{:+.1} µs ({:.1} → {:.1} µs)", found.more_us, found.first_us, found.second_us);
    report.told("a call under a task beside one with the person's access token (ES256, seen before)", today);
}

/// A key of an agent's, with its proofs.
struct Prover {
    secret: EncodingKey,
    point: (String, String),
}

const URL: &str = "https://crm.acme.example/mcp";

impl Prover {
    fn new() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let raw = pair.public_key_raw();
        let part = |range| {
            BASE64_URL_SAFE_NO_PAD.encode(raw.get::<std::ops::Range<usize>>(range).unwrap_or_default())
        };
        // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
        Self { secret: EncodingKey::from_ec_der(&pair.serialize_der()), point: (part(1..33), part(33..65)) }
    }

    /// RFC 7638.
    fn thumbprint(&self) -> String {
        let (x, y) = &self.point;
        let key = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(key))
    }

    /// RFC 9449, section 4.2.
    fn proof(&self, token: &str, number: usize) -> Proof {
        let (x, y) = &self.point;
        let header = json!({
            "typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y},
        });
        let ath = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token));
        let claims = json!({
            "jti": format!("proof-{number}"), "htm": "POST", "htu": URL, "iat": NOW.seconds(), "ath": ath,
        });
        let encode = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &self.secret, Signs::ES256);
        let proof = Token::new(format!("{text}.{}", signature.expect("a signature")));
        Proof::Dpop { proof, method: "POST".into(), url: URL.into() }
    }
}

/// Beside a key that the caller attests: a proof is a signature, and each is a new one.
fn proofs(report: &mut Report, runtime: &Runtime, snapshot: Arc<Snapshot>) {
    const ROUNDS: usize = 41;
    const BLOCK: u32 = 200;
    let world = served(runtime, snapshot);
    let prover = Prover::new();
    let (attested, token) = under(&world, runtime, &prover.thumbprint());
    let count = (ROUNDS + 1) * BLOCK as usize;
    let shown: Vec<Request> = (0..count)
        .map(|number| {
            let proof = Some(prover.proof(&token, number));
            Request { credentials: Credentials { proof, ..attested.credentials.clone() }, ..attested.clone() }
        })
        .collect();
    let mut fresh = shown.iter();
    let second = || is_permitted(&world, fresh.next().expect("proofs enough"));
    let found = beside(ROUNDS, BLOCK, || is_permitted(&world, &attested), second);
    let today = format!("{:+.1} µs ({:.1} → {:.1} µs)", found.more_us, found.first_us, found.second_us);
    report
        .told("a DPoP proof of its key (ES256, each a new one) beside a key that the caller attests", today);
}
