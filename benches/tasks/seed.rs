//! Many tasks at once, written as their starts would have written them.
//! Never decided one by one: who measures starts does that.

use palisade::access::DecisionId;
use palisade::identity::OwnIssuer;
use palisade::lifecycle::fresh_id;
use palisade::pdp::{Occasion, Pdp, Request};
use palisade::store::{Change, Commit, StateStore};
use palisade::task::{Calls, Lent, TaskId, keep, window_name};
use tokio::runtime::Runtime;

use crate::refund::Lines;
use crate::world::{NOW, STARTERS, World, rules, start, starter};

/// Tasks of one commit.
const TOGETHER: usize = 100;
/// Calls of each task.
pub const CALLS: u64 = 100;

/// What a start would be lent.
pub fn lent(pdp: &Pdp<Lines>, request: &Request) -> Lent {
    let id = DecisionId("01a1fcae-0000-7000-8000-000000000000".into());
    let pending = pdp.evaluate(request, Occasion { id, now: NOW, elapsed_us: &|| 0 });
    *pending.settle().ok().and_then(|answer| answer.lent).expect("a start that is permitted")
}

/// So many open tasks of the starters in turn, changed by what is given their number.
pub fn open<T: StateStore>(
    runtime: &Runtime,
    world: &World<T>,
    count: usize,
    change: impl Fn(usize, &mut Lent),
) -> Vec<TaskId> {
    let sample = lent(&world.pdp, &start(starter(0), CALLS, "a key of the agent's"));
    let issuer = world.tasks.issuer();
    let mut ids = Vec::with_capacity(count);
    for first in (0..count).step_by(TOGETHER) {
        let mut changes = Vec::with_capacity(TOGETHER);
        for number in first..count.min(first + TOGETHER) {
            let mut lent = sample.clone();
            lent.grant.id = fresh_id();
            lent.grant.parties.principal = starter(number);
            change(number, &mut lent);
            ids.push(lent.grant.id);
            changes.push(task(&lent, &issuer));
        }
        commit(runtime, world, changes);
    }
    for first in (0..STARTERS.min(count)).step_by(TOGETHER) {
        let windows = first..STARTERS.min(count).min(first + TOGETHER);
        commit(runtime, world, windows.map(|number| window(&sample, number)).collect());
    }
    ids
}

/// Commits, and waits until decisions know it.
pub fn commit<T: StateStore>(runtime: &Runtime, world: &World<T>, changes: Vec<Change>) {
    let commit = Commit { expects: vec![], changes };
    let revision = runtime.block_on(world.store.commit(commit)).expect("a commit");
    while world.tasks.revision() < revision.0 {
        std::thread::yield_now();
    }
}

fn task(lent: &Lent, issuer: &OwnIssuer) -> Change {
    let kept = keep(lent, issuer).expect("a form to keep");
    let charged = Calls::piece(CALLS).min(CALLS);
    let value = format!("{{\"lent\":{},\"charged\":{charged},\"kid\":\"the key of the bench\"}}", kept.get());
    Change::put(format!("task/{}", lent.grant.id), value.into_bytes())
}

/// What a starter's agent was granted for the purpose.
fn window(sample: &Lent, number: usize) -> Change {
    let mut parties = sample.grant.parties.clone();
    parties.principal = starter(number);
    let since_s = NOW.seconds();
    let until_s = since_s + rules().calls_window_s;
    let value = format!("{{\"since_s\":{since_s},\"until_s\":{until_s},\"calls\":1000000000}}");
    Change::put(format!("window/{}", window_name(&parties, &sample.grant.purpose)), value.into_bytes())
}
