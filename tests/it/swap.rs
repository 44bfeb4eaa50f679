//! Snapshots change while decisions are made: each answer belongs to one of them, whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use palisade::access::{DecisionId, Outcome, Revision};
use palisade::audit::{DigestKey, Memory, OpenDecisions};
use palisade::identity::{Claim, Role};
use palisade::mcp::{self, Message};
use palisade::pdp::{Ask, Occasion, Pdp, Request};
use palisade::policy::Snapshot;
use palisade::value::Uid;

use crate::pdp::{NOW, caller, shipped, shipped_files, snapshot};

const DECIDERS: usize = 3;
const BATCH_LEN: usize = 16;
/// How many batches each decider answers at least, beside having met both snapshots.
const BATCHES_MIN: usize = 50;

/// The shipped bundle without a permit for bots.
fn without_bots() -> Arc<Snapshot> {
    let mut files = shipped_files();
    for file in files.iter_mut().filter(|file| &*file.path == "policies/org/support.cedar") {
        let kept = file.text.split("// The bots' half.").next().unwrap();
        *file = palisade::diagnostic::File::new(file.path.clone(), kept);
    }
    snapshot(&files)
}

fn lookup() -> Request {
    let message = Message {
        server: "crm".into(),
        method: "tools/call".into(),
        params: br#"{"name": "lookup_customer", "arguments": {"customer_id": "c-1"}}"#.to_vec().into(),
        ..Message::default()
    };
    let gateway = caller("gateway", &[Role::Authorize, Role::Assert]);
    Request {
        claim: Some(Claim {
            principal: Uid::new("Human", "ana"),
            actor: Some(Uid::new("Agent", "support-bot")),
            earlier_actors: vec![],
        }),
        ..Request::new(Arc::new(gateway), Ask::Mcp(message))
    }
}

/// What one decider saw.
#[derive(Default)]
struct Seen {
    answers: usize,
    mixed_batches: usize,
    wrong_answers: usize,
}

#[test]
fn no_answer_and_no_batch_mixes_two_snapshots() {
    let (with, without) = (shipped(), without_bots());
    assert_ne!(with.revision(), without.revision());
    let open = Arc::new(OpenDecisions::new(1000));
    let key = DigestKey::new(&[1; 32]);
    let pdp = Pdp::new(with.clone(), Memory::new(100_000), open, key, mcp::Limits::default());
    let (enough, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let revisions = [with.revision().clone(), without.revision().clone()];

    let (seen, publications) = thread::scope(|scope| {
        let decide = || decide_until(&pdp, &revisions, &enough, &done);
        let deciders: Vec<_> = (0..DECIDERS).map(|_| scope.spawn(decide)).collect();
        let mut publications = 0;
        while enough.load(Ordering::SeqCst) < DECIDERS {
            let next = if publications % 2 == 0 { &without } else { &with };
            pdp.publish(next.clone());
            publications += 1;
            thread::yield_now();
        }
        done.store(true, Ordering::SeqCst);
        let seen: Vec<Seen> = deciders.into_iter().map(|decider| decider.join().unwrap()).collect();
        (seen, publications)
    });

    assert!(publications > 1, "nothing was published meanwhile");
    for Seen { answers, mixed_batches, wrong_answers } in seen {
        assert_eq!((mixed_batches, wrong_answers), (0, 0));
        assert!(answers >= BATCHES_MIN * BATCH_LEN);
    }
    for record in pdp.sink().records() {
        let permits = record["outcome"] == "permit";
        assert_eq!(
            record["revision"] == *revisions[0].0,
            permits,
            "the record tells of another snapshot: {record}"
        );
    }
}

/// Answers batches until it has answered enough of them and met both revisions, then until everybody has.
fn decide_until(
    pdp: &Pdp<Memory>,
    [permitting, denying]: &[Revision; 2],
    enough: &AtomicUsize,
    done: &AtomicBool,
) -> Seen {
    let requests: Vec<Request> = (0..BATCH_LEN).map(|_| lookup()).collect();
    let mut seen = Seen::default();
    let (mut met_permit, mut met_deny, mut said) = (false, false, false);
    while !done.load(Ordering::SeqCst) {
        let occasion = || Occasion { id: DecisionId("d".into()), now: NOW, elapsed_us: &|| 0 };
        let mut batch = pdp.batch();
        let evaluate = |some: &[Request]| {
            let pending = batch.evaluate(some.iter().map(|request| (request, occasion())));
            // The other thread may publish between any two goes.
            std::thread::yield_now();
            pending.into_iter().map(|pending| pending.settle().unwrap()).collect::<Vec<_>>()
        };
        let answers: Vec<_> = requests.chunks(2).flat_map(evaluate).collect();
        let first = answers[0].revision.clone();
        seen.mixed_batches += usize::from(answers.iter().any(|answer| answer.revision != first));
        for answer in &answers {
            let fits = match answer.decision.outcome {
                Outcome::Permit => answer.revision == *permitting,
                Outcome::Deny(_) => answer.revision == *denying,
            };
            seen.wrong_answers += usize::from(!fits);
        }
        seen.answers += answers.len();
        met_permit |= first == *permitting;
        met_deny |= first == *denying;
        if !said && met_permit && met_deny && seen.answers >= BATCHES_MIN * BATCH_LEN {
            enough.fetch_add(1, Ordering::SeqCst);
            said = true;
        }
    }
    seen
}
