//! Tasks in random order: handed on, renewed, ended, revoked, expired, used. A model says what must hold after each move.
//! Never a part that outlives or exceeds its whole, and never more permits than calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use palisade::access::Timestamp;
use palisade::api::Clock as _;
use palisade::audit::Face;
use palisade::identity::{Caller, Claim, Credentials, Proof, Role, Token};
use palisade::lifecycle::{Asker, Begun, Moment, Wish, fresh_id};
use palisade::mcp::Message;
use palisade::pdp::{Ask, Request, TaskAsk, Wanted};
use palisade::policy::Snapshot;
use palisade::task::{Bound, Ceiling, End, Limit, Only, Rules, Scope, Target, TaskId};
use palisade::value::Uid;
use serde_json::json;

use crate::pdp::{TestPdp, caller, shipped_files, snapshot, task_rules};

const SCHEDULES: u64 = 300;
const MOVES: u64 = 24;
const DEPTH_MAX: usize = 3;
const TTL_MAX_S: i64 = 900;

/// Numbers that are the same with each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn seconds(&mut self, most: u64) -> i64 {
        i64::try_from(self.below(most)).unwrap() + 1
    }
}

/// A task as the model has it.
struct Node {
    id: TaskId,
    token: String,
    key: String,
    parent: Option<usize>,
    depth: usize,
    is_over: bool,
    expires_s: i64,
    ceiling_s: i64,
    amount_max: i64,
    calls_max: u64,
    /// Permitted under it, and given to parts.
    permitted: u64,
    given: u64,
}

struct World {
    pdp: TestPdp,
    caller: Arc<Caller>,
    nodes: Vec<Node>,
    keys: usize,
    counts: BTreeMap<&'static str, usize>,
}

/// The shipped bundle without its own limit on chains.
fn deep() -> Arc<Snapshot> {
    let mut files = shipped_files();
    files.retain(|file| *file.path != *"policies/guard/chain.cedar");
    snapshot(&files)
}

impl World {
    async fn new() -> Self {
        let ceiling = Ceiling { ttl_max_s: TTL_MAX_S, depth_max: DEPTH_MAX };
        let rules = Rules { ceiling, calls_window_max: u64::MAX, ..task_rules() };
        let pdp = TestPdp::builder().snapshot(deep()).tasks(rules).start().await;
        let caller = Arc::new(caller("gateway", &[Role::Authorize, Role::Assert, Role::Attest, Role::Tasks]));
        Self { pdp, caller, nodes: vec![], keys: 0, counts: BTreeMap::new() }
    }

    fn now(&self) -> Timestamp {
        self.pdp.clock().now()
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn request(&self, ask: Ask, shown: Option<&Node>) -> Request {
        let credentials = shown.map(|node| Credentials {
            task: Some(Token::new(node.token.clone())),
            proof: Some(Proof::Key(node.key.clone())),
            ..Credentials::default()
        });
        let credentials = credentials.unwrap_or_default();
        Request { credentials, ..Request::new(self.caller.clone(), ask) }
    }

    async fn begin(&self, request: Request) -> Begun {
        let wish = Wish { request, approvals: vec![], idempotency_key: String::new() };
        let id = self.pdp.clock().decision_id();
        let moment = Moment { id, now: self.now(), arrived: Instant::now() };
        self.pdp.life().begin(wish, moment).await.unwrap()
    }

    fn fresh_key(&mut self) -> String {
        self.keys += 1;
        format!("{:0>43}", self.keys)
    }

    /// Whether a task stands, with all that it is a part of.
    fn is_alive(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let stands = !node.is_over && self.now().seconds() < node.expires_s;
        stands && node.parent.is_none_or(|parent| self.is_alive(parent))
    }

    fn left(&self, at: usize) -> u64 {
        let node = &self.nodes[at];
        node.calls_max - node.permitted - node.given
    }

    async fn start(&mut self, dice: &mut Dice) {
        let (calls, ttl_s, amount) = (dice.below(12) + 1, dice.seconds(300), amount(dice));
        let key = self.fresh_key();
        let wanted = wanted(calls, ttl_s, amount, &key);
        let purpose = Uid::new("Purpose", "refund");
        let ask = TaskAsk::Start { id: fresh_id(), purpose, wanted, again: false };
        let claim = Claim {
            principal: Uid::new("Human", "ana"),
            actor: Some(Uid::new("Agent", "support-bot")),
            earlier_actors: vec![],
        };
        let request = Request { claim: Some(claim), ..self.request(Ask::Task(ask), None) };
        let begun = self.begin(request).await;
        let now_s = self.now().seconds();
        self.nodes = vec![Node {
            id: begun.lent.unwrap().grant.id,
            token: begun.token.unwrap(),
            key,
            parent: None,
            depth: 0,
            is_over: false,
            expires_s: now_s + ttl_s,
            ceiling_s: now_s + TTL_MAX_S,
            amount_max: amount,
            calls_max: calls,
            permitted: 0,
            given: 0,
        }];
    }

    async fn delegate(&mut self, at: usize, dice: &mut Dice) {
        let (calls, ttl_s, amount) = (dice.below(6) + 1, dice.seconds(300), amount(dice));
        let key = self.fresh_key();
        let agent = ["lead-bot", "support-bot"][usize::try_from(dice.below(2)).unwrap()];
        let agent = Some(Uid::new("Agent", agent));
        let ask = TaskAsk::Delegate { id: fresh_id(), agent, wanted: wanted(calls, ttl_s, amount, &key) };
        let begun = self.begin(self.request(Ask::Task(ask), Some(&self.nodes[at]))).await;
        let now_s = self.now().seconds();
        let whole = &self.nodes[at];
        let (expires_s, depth) = (now_s + ttl_s, whole.depth + 1);
        let fits = expires_s <= whole.expires_s && amount <= whole.amount_max && calls <= self.left(at);
        let expected = self.is_alive(at) && fits && depth <= DEPTH_MAX;
        assert_eq!(begun.token.is_some(), expected, "{:?}", begun.answer.decision);
        let Some(token) = begun.token else { return self.count("not handed on") };
        let grant = &begun.lent.unwrap().grant;
        assert!(grant.expires_s <= whole.expires_s && grant.ceiling_s <= whole.expires_s);
        let ceiling_s = whole.expires_s;
        self.nodes[at].given += calls;
        self.nodes.push(Node {
            id: grant.id,
            token,
            key,
            parent: Some(at),
            depth,
            is_over: false,
            expires_s,
            ceiling_s,
            amount_max: amount,
            calls_max: calls,
            permitted: 0,
            given: 0,
        });
        self.count("handed on");
    }

    async fn renew(&mut self, at: usize, dice: &mut Dice) {
        let ttl_s = dice.seconds(400);
        let ask = Ask::Task(TaskAsk::Renew { ttl_s: Some(ttl_s) });
        let begun = self.begin(self.request(ask, Some(&self.nodes[at]))).await;
        let until_s = self.now().seconds() + ttl_s;
        let node = &self.nodes[at];
        let expected = self.is_alive(at) && node.expires_s < until_s && until_s <= node.ceiling_s;
        assert_eq!(begun.token.is_some(), expected, "{:?}", begun.answer.decision);
        let Some(token) = begun.token else { return self.count("not renewed") };
        let node = &mut self.nodes[at];
        node.expires_s = node.expires_s.max(until_s);
        node.token = token;
        assert_eq!(begun.lent.unwrap().grant.expires_s, node.expires_s);
        self.count("renewed");
    }

    async fn end(&mut self, at: usize) {
        let ask = Ask::Task(TaskAsk::End { id: Some(self.nodes[at].id), end: End::Completed });
        let wish =
            Wish { request: self.request(ask, None), approvals: vec![], idempotency_key: String::new() };
        let moment = Moment { id: self.pdp.clock().decision_id(), now: self.now(), arrived: Instant::now() };
        let was_alive = self.is_alive(at);
        let ended = self.pdp.life().end(wish, "", moment).await;
        let is_done = ended.is_ok_and(|closed| closed.denied.is_none() && closed.tasks > 0);
        assert_eq!(is_done, was_alive);
        self.nodes[at].is_over |= is_done;
        self.count("ended");
    }

    async fn revoke(&mut self, at: usize) {
        let asker = Asker {
            face: Face::Embedded,
            caller: &self.caller,
            request_id: "",
            reason: "an incident",
            now: self.now(),
        };
        self.pdp.life().revoke(Target::Task(self.nodes[at].id), asker).await.unwrap();
        self.nodes[at].is_over = true;
        self.count("revoked");
    }

    /// Asks for a refund under a task.
    fn step(&mut self, at: usize, amount: i64) {
        let refund = json!({ "name": "issue_refund", "arguments": { "order": "o", "amount": amount } });
        let message = Message {
            server: "crm".into(),
            method: "tools/call".into(),
            params: refund.to_string().into_bytes().into(),
            protocol_version: None,
            headers: BTreeMap::default(),
            tool_definition: None,
            arguments_unseen: false,
        };
        let request = self.request(Ask::Mcp(message), Some(&self.nodes[at]));
        let is_permit = self.pdp.embedded(&request).unwrap().decision.outcome.is_permit();
        let expected = self.is_alive(at) && amount <= self.nodes[at].amount_max && self.left(at) > 0;
        assert_eq!(is_permit, expected, "task {at} of {}", self.nodes.len());
        self.nodes[at].permitted += u64::from(is_permit);
        self.count(if is_permit { "permitted" } else { "denied" });
    }

    /// What must hold whatever happened.
    fn check(&self) {
        let permitted: u64 = self.nodes.iter().map(|node| node.permitted).sum();
        assert!(permitted <= self.nodes[0].calls_max, "the whole tree has the calls of its root");
        for (at, node) in self.nodes.iter().enumerate() {
            let head = self.pdp.life().tasks().find(node.id);
            if let Some(head) = &head {
                assert_eq!(head.check(self.now().seconds()).is_ok(), self.is_alive(at));
                assert_eq!(head.calls.spent(), node.permitted + node.given);
            }
            assert!(head.is_some() || !self.is_alive(at));
        }
    }
}

fn amount(dice: &mut Dice) -> i64 {
    i64::try_from(dice.below(60)).unwrap() + 20
}

fn wanted(calls: u64, ttl_s: i64, amount: i64, key: &str) -> Wanted {
    let limit = Limit::AtMost(amount * 10_000);
    let bound = Bound { tool: "crm/issue_refund".into(), argument: vec!["amount".into()], limit };
    let tools = Only::these(["crm/issue_refund"]);
    let scope = Scope { tools, bounds: vec![bound], ..Scope::default() };
    Wanted { scope, calls_max: Some(calls), ttl_s: Some(ttl_s), key: Some(key.to_owned()) }
}

#[tokio::test]
async fn no_part_outlives_or_exceeds_its_whole_in_whatever_order_things_happen() {
    let mut world = World::new().await;
    for schedule in 1..=SCHEDULES {
        let mut dice = Dice(schedule.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        world.start(&mut dice).await;
        for _ in 0..MOVES {
            let at = usize::try_from(dice.below(world.nodes.len() as u64)).unwrap();
            match dice.below(20) {
                0..=5 => world.delegate(at, &mut dice).await,
                6..=8 => world.renew(at, &mut dice).await,
                9 => world.end(at).await,
                10 => world.revoke(at).await,
                11..=13 => world.pdp.clock().advance_s(dice.seconds(60)),
                _ => {
                    let amount = amount(&mut dice);
                    world.step(at, amount);
                }
            }
            world.check();
        }
        for at in 0..world.nodes.len() {
            world.step(at, 1);
        }
        // Whatever is left of it is over with its root.
        world.revoke(0).await;
        for at in 0..world.nodes.len() {
            world.step(at, 1);
        }
    }
    let Some((what, few)) = world.counts.iter().find(|(_, count)| **count < 50) else { return };
    panic!("the schedules hardly try everything: {what} only {few} times: {:?}", world.counts);
}
