//! The life of tasks, decided: to begin one, to hand a part on, to give it more time, to end it. And the same decision made
//! again, under another bundle. Never writes: what was lent is handed out, to be committed before anybody hears of it.

use std::sync::Arc;

use super::again::{decide_again, still_granted, would_still_grant};
use super::establish::{Established, facts};
use super::judge::{Judged, Terms, decide};
use super::obliged::untold;
use super::{Pdp, Request, scope};
use crate::access::{Decision, DenyReason, Question, Timestamp};
use crate::identity::{Asks, Assurance, Directory as _, TOKEN_BYTES_MAX, Token, Trust, authenticate_agent};
use crate::policy::{Round, Snapshot, token_value};
use crate::task::{
    Asked, Asking, Basis, End, Exceeds, For, Grant, Head, Known, Lent, Parties, Scope, Target, TaskId, Tasks,
    barriers, is_cut, keep, read, sign, window_name,
};
use crate::value::{Uid, Value};

/// Claims of this length fit into a token whatever they say.
const SHORT_CLAIMS_BYTES: usize = 4096;

/// The action that ends a task.
const END: &str = "tasks/end";

/// What is wanted of a task, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// What it may touch.
    pub scope: Scope,
    /// How many steps; none: as many as any task may have, or as the task has left.
    pub calls_max: Option<u64>,
    /// How long, in seconds; none: as long as any task that does not ask.
    pub ttl_s: Option<i64>,
    /// The thumbprint of the key.
    pub key: Option<String>,
}

/// What is asked about a task itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskAsk {
    /// To begin one.
    Start {
        /// Its name, fresh.
        id: TaskId,
        /// What it is for.
        purpose: Uid,
        /// What is wanted.
        wanted: Wanted,
        /// Whether its credential has started a task before.
        again: bool,
    },
    /// To hand a part on.
    Delegate {
        /// Its name, fresh.
        id: TaskId,
        /// The agent that it is for, as the caller says.
        agent: Option<Uid>,
        /// What is wanted.
        wanted: Wanted,
    },
    /// To have the token once more of a task that was begun by the same request.
    Reissue {
        /// Its name.
        id: TaskId,
    },
    /// To give it more time.
    Renew {
        /// How long from now on, in seconds.
        ttl_s: Option<i64>,
    },
    /// To end it.
    End {
        /// Which, when its caller names it without its token.
        id: Option<TaskId>,
        /// How.
        end: End,
    },
}

/// A deny that comes before any policy.
fn deny(reason: DenyReason, words: impl Into<String>) -> Judged {
    Judged::deny(reason, words)
}

fn exceeds(fault: &Exceeds) -> Judged {
    deny(DenyReason::OutOfScope, fault.to_string())
}

/// Judges what is asked about a task.
pub(super) fn judge<S>(
    pdp: &Pdp<S>,
    round: &mut Round<'_, '_>,
    trust: &Trust,
    request: &Request,
    ask: &TaskAsk,
    established: &Established,
    now: Timestamp,
) -> Judged {
    let Some(tasks) = pdp.tasks.as_deref() else {
        return deny(DenyReason::InvalidInput, "tasks are not served here");
    };
    let lending = Lending { tasks, request, established, now };
    let made = match ask {
        TaskAsk::Start { id, purpose, wanted, again } => {
            lending.start(round.snapshot(), *id, purpose, wanted, *again)
        }
        TaskAsk::Delegate { id, agent, wanted } => {
            let own = tasks.issuer();
            let asks = Asks {
                caller: &request.caller,
                claim: None,
                credentials: &request.credentials,
                server_audience: None,
                own_audience: Some(own.name()),
                now_s: now.seconds(),
            };
            match authenticate_agent(trust, round.snapshot(), &pdp.proofs, &asks, agent.as_ref()) {
                Ok((agent, assurance)) => lending.delegate(round.snapshot(), *id, agent, assurance, wanted),
                Err(nobody) => Err(Box::new(deny(DenyReason::Unauthenticated, nobody.to_string()))),
            }
        }
        TaskAsk::Renew { ttl_s } => lending.renew(round.snapshot(), *ttl_s),
        TaskAsk::Reissue { id } => return lending.reissue(round.snapshot(), *id),
        TaskAsk::End { end: _, id: _ } => return lending.end(round),
    };
    let lent = match made {
        Ok(lent) if is_readable(tasks, &lent) => lent,
        Ok(_) => {
            let words =
                "the task's token would be longer than any that is taken: name fewer tools, bounds or texts";
            return deny(DenyReason::InvalidInput, words);
        }
        Err(judged) => return *judged,
    };
    let judged = decide_again(round, &lent);
    let lent = judged.decision.outcome.is_permit().then(|| Box::new(lent));
    Judged { lent, ..judged }
}

/// Whether the token of what would be lent can be read again: tokens have limits. Most are far from them.
fn is_readable(tasks: &Tasks, lent: &Lent) -> bool {
    let issuer = tasks.issuer();
    if keep(lent, &issuer).is_ok_and(|claims| claims.get().len() <= SHORT_CLAIMS_BYTES) {
        return true;
    }
    let Ok(token) = sign(lent, For::Us, &issuer) else { return false };
    token.len() <= TOKEN_BYTES_MAX && read(&Token::new(token), &issuer).is_ok()
}

/// A request about a task, with who asks.
struct Lending<'a> {
    tasks: &'a Tasks,
    request: &'a Request,
    established: &'a Established,
    now: Timestamp,
}

/// What would be lent, or the deny.
type Made = Result<Lent, Box<Judged>>;

impl Lending<'_> {
    fn start(&self, snapshot: &Snapshot, id: TaskId, purpose: &Uid, wanted: &Wanted, again: bool) -> Made {
        let rules = self.tasks.rules();
        let principal = &self.established.principal;
        if self.established.task.is_some() {
            let words = "a task is not begun with the token of another: hand a part of it on";
            return Err(deny(DenyReason::Unauthenticated, words).into());
        }
        self.check_assured(principal.assurance(), principal.actor_assurance())?;
        self.check_room()?;
        if !snapshot.knows(purpose) {
            let words = format!("the purpose is a `{}` that is not known here", purpose.kind);
            return Err(deny(DenyReason::InvalidInput, words).into());
        }
        let parties = Parties {
            principal: principal.subject().clone(),
            actor: principal.actor().cloned(),
            earlier_actors: principal.earlier_actors().to_vec(),
        };
        let asked = self.asked(snapshot, wanted, rules.calls_max)?;
        let name = window_name(&parties, purpose);
        let asking = if again { Asking::StartAgain } else { Asking::Start };
        let basis = self.basis(snapshot, asking, asked.ttl_s, principal.actor_assurance(), None);
        let now_s = self.now.seconds();
        let grant = Grant::start(id, parties, purpose.clone(), asked, rules.ceiling, now_s)
            .map_err(|fault| Box::new(exceeds(&fault)))?;
        let granted = self.tasks.window(&name, now_s).calls;
        let calls = grant.calls_max.unwrap_or(rules.calls_max);
        if granted.saturating_add(calls) > rules.calls_window_max {
            let words = format!(
                "{granted} calls were granted to this agent for this purpose lately, of {} (`tasks.calls_window_max`)",
                rules.calls_window_max
            );
            return Err(deny(DenyReason::OverBudget, words).into());
        }
        self.unless_stopped(Lent { grant, basis })
    }

    fn delegate(
        &self,
        snapshot: &Snapshot,
        id: TaskId,
        agent: Uid,
        assurance: Assurance,
        wanted: &Wanted,
    ) -> Made {
        let known = self.known()?;
        let rules = self.tasks.rules();
        self.check_assured(self.established.principal.assurance(), Some(assurance))?;
        self.check_room()?;
        // What is handed on must still be there.
        if !still_granted(snapshot, known) {
            return Err(deny(DenyReason::PolicyDrift, DenyReason::PolicyDrift.words()).into());
        }
        let left = known.head.calls.left();
        // A part that names no number gets half of what is left.
        let asked = self.asked(snapshot, wanted, (left / 2).max(1))?;
        let basis = self.basis(snapshot, Asking::Delegate, asked.ttl_s, Some(assurance), Some(&known.head));
        let grant = known
            .lent
            .grant
            .delegate(id, agent, asked, rules.ceiling, Some(left), self.now.seconds())
            .map_err(|fault| Box::new(exceeds(&fault)))?;
        self.unless_stopped(Lent { grant, basis })
    }

    fn renew(&self, snapshot: &Snapshot, ttl_s: Option<i64>) -> Made {
        let known = self.known()?;
        let head = &known.head;
        // As it is now, however old the token is.
        let Lent { grant, basis } = Lent::clone(&head.lent());
        let now_s = self.now.seconds();
        let ttl_s = ttl_s
            .unwrap_or_else(|| self.tasks.rules().ttl_default_s.min(grant.ceiling_s.saturating_sub(now_s)));
        let renewed = grant.renewed(ttl_s, now_s).map_err(|fault| Box::new(exceeds(&fault)))?;
        if renewed <= grant.expires_s {
            let words = "the task lasts that long already; ask for more, or for nothing";
            return Err(deny(DenyReason::OutOfScope, words).into());
        }
        let revision = snapshot.revision().0.clone();
        let grant = Grant { expires_s: renewed, ..grant };
        self.unless_stopped(Lent { grant, basis: Basis { revision, at_ms: self.now.0, ttl_s, ..basis } })
    }

    /// The same request once more, by who made it: what it began, if that stands and would still begin.
    fn reissue(&self, snapshot: &Snapshot, id: TaskId) -> Judged {
        let over = || deny(DenyReason::TaskRevoked, "the task that began so is over; begin another one");
        let Some(head) = self.tasks.find(id) else { return over() };
        let lent = Lent::clone(&head.lent());
        let Established { principal, task, .. } = self.established;
        let acting = lent.grant.parties.actor.as_ref().unwrap_or(&lent.grant.parties.principal);
        let is_theirs = match task {
            Some(parent) => lent.grant.ancestors.first() == Some(&parent.head.id()),
            None => *principal.subject() == lent.grant.parties.principal && principal.acting() == acting,
        };
        if !is_theirs || head.check(self.now.seconds()).is_err() || is_cut(&self.tasks.stops(), &head) {
            return over();
        }
        if !would_still_grant(snapshot, &head) {
            return deny(DenyReason::PolicyDrift, DenyReason::PolicyDrift.words());
        }
        Judged { lent: Some(Box::new(lent)), ..Judged::bare(Decision::pass()) }
    }

    fn end(&self, round: &mut Round<'_, '_>) -> Judged {
        let Some(head) = &self.established.about else {
            return deny(DenyReason::TaskRequired, "name the task that is to end, or send its token");
        };
        let lent = head.lent();
        let mut facts = facts(self.established, self.request, self.now);
        facts.task.get_or_insert_with(|| head.value());
        let question = Question::new(Uid::new("Action", END), lent.grant.purpose.clone());
        let judged = decide(round, [&question], &facts, &Terms::default());
        let judged = Judged { decision: untold(judged.decision), ..judged };
        let lent = judged.decision.outcome.is_permit().then(|| Box::new(Lent::clone(&lent)));
        Judged { lent, ..judged }
    }

    /// The task that the request shows the token of.
    fn known(&self) -> Result<&Arc<Known>, Box<Judged>> {
        let missing = || deny(DenyReason::TaskRequired, "send the token of the task that is meant");
        self.established.task.as_ref().ok_or_else(|| Box::new(missing()))
    }

    /// One task more may be open.
    fn check_room(&self) -> Result<(), Box<Judged>> {
        let open_max = self.tasks.rules().open_max;
        if self.tasks.open_len() < open_max {
            return Ok(());
        }
        let words = format!("{open_max} tasks are open here, as many as may be; raise `tasks.open_max`");
        Err(deny(DenyReason::OverBudget, words).into())
    }

    /// A task is lent by somebody who was verified, to an agent that was verified.
    fn check_assured(&self, subject: Assurance, actor: Option<Assurance>) -> Result<(), Box<Judged>> {
        let is_said = |assurance: &Assurance| *assurance == Assurance::Asserted;
        let said = std::iter::once(subject).chain(actor).any(|assurance| is_said(&assurance));
        if !said || self.tasks.rules().asserted {
            return Ok(());
        }
        let words = "a task is started with tokens that show the person and the agent; a caller's word is enough only where \
                     `tasks.asserted` says so";
        Err(deny(DenyReason::Unauthenticated, words).into())
    }

    /// It, unless somebody who has a part in it was stopped, or its session.
    fn unless_stopped(&self, lent: Lent) -> Made {
        let stops = self.tasks.stops();
        if stops.is_empty() {
            return Ok(lent);
        }
        let Scope { servers, tools, .. } = &lent.grant.scope;
        let servers = servers.named().map(|name| Target::Server(name.to_owned()));
        let tools = tools.named().map(|name| Target::Tool(name.to_owned()));
        let stopped =
            barriers(&lent).into_iter().chain(servers).chain(tools).find(|target| stops.bars(target));
        match stopped {
            None => Ok(lent),
            Some(target) => {
                let words = format!("the {} of this task was stopped by an operator", target.kind());
                Err(deny(DenyReason::TaskRevoked, words).into())
            }
        }
    }

    /// What is wanted, complete: what was left out has its default, and names stand for all that they cover.
    fn asked(&self, snapshot: &Snapshot, wanted: &Wanted, calls: u64) -> Result<Asked, Box<Judged>> {
        let Wanted { scope, calls_max, ttl_s, key } = wanted.clone();
        let rules = self.tasks.rules();
        if key.is_none() && !rules.bearer {
            let words = "name the thumbprint of the agent's key: a task is bound to one unless `tasks.bearer` is configured";
            return Err(deny(DenyReason::BindingMissing, words).into());
        }
        let invalid = |words: String| Box::new(deny(DenyReason::InvalidInput, words));
        let scope = scope::complete(snapshot, scope).map_err(invalid)?;
        let calls_max = Some(calls_max.unwrap_or(calls));
        if calls_max > Some(rules.calls_max) {
            let words = format!("a task has at most {} calls here (`tasks.calls_max`)", rules.calls_max);
            return Err(deny(DenyReason::OutOfScope, words).into());
        }
        let left_s = self
            .established
            .task
            .as_ref()
            .map_or(i64::MAX, |known| known.lent.grant.expires_s.saturating_sub(self.now.seconds()));
        let ttl_s = ttl_s.unwrap_or_else(|| rules.ttl_default_s.min(rules.ceiling.ttl_max_s).min(left_s));
        Ok(Asked { scope, calls_max, ttl_s, key })
    }

    fn basis(
        &self,
        snapshot: &Snapshot,
        asking: Asking,
        ttl_s: i64,
        actor_assurance: Option<Assurance>,
        parent: Option<&Head>,
    ) -> Basis {
        let Established { principal, .. } = self.established;
        Basis {
            revision: snapshot.revision().0.clone(),
            at_ms: self.now.0,
            asking,
            ttl_s,
            assurance: principal.assurance(),
            actor_assurance,
            token: principal.token().map(token_value),
            described: principal.described().cloned(),
            caller: self.request.caller.name.clone(),
            session: self.request.session.clone(),
            parent: parent.map(|head| Value::clone(&head.value())),
        }
    }
}
