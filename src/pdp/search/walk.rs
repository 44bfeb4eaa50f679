//! What a search goes through, one question after another, in an order that stays.
//! Never looks at what its caller does not enforce.

use std::collections::{BTreeMap, BTreeSet};

use super::{PAGE_QUESTIONS_MAX, Sought, open, question_of};
use crate::access::{Entity, Timestamp};
use crate::audit::AuditSink;
use crate::catalog::server_of;
use crate::identity::{Caller, Claim, Servers};
use crate::mcp;
use crate::pdp::establish::{Established, establish};
use crate::pdp::{Ask, InForce, Occasion, Pdp, Request};
use crate::policy::{Memory, Round, Seeking, Snapshot};
use crate::value::Uid;

impl<S: AuditSink> Pdp<S> {
    /// Fills a page.
    pub(super) fn go_through(
        &self,
        going: &mut Going,
        in_force: &InForce,
        request: &mut Request,
        sought: &Sought,
        established: Option<&Established>,
        occasion: &Occasion<'_>,
    ) {
        let mut memory = Memory::default();
        let round = Round::remembering(&in_force.snapshot, &mut memory);
        let mut walk = Walk { pdp: self, in_force, round, now: occasion.now };
        match (sought, established) {
            (Sought::Subjects { kind }, _) => walk.subjects(going, request, kind),
            (Sought::Resources { kind, server }, Some(established)) => {
                walk.resources(going, request, (kind, server.as_deref()), established);
            }
            (Sought::Actions, Some(established)) => walk.actions(going, request, established),
            (Sought::Resources { .. } | Sought::Actions, None) => {}
        }
    }
}

/// One go through what there is.
struct Walk<'a, S> {
    pdp: &'a Pdp<S>,
    in_force: &'a InForce,
    round: Round<'a, 'a>,
    now: Timestamp,
}

impl<S: AuditSink> Walk<'_, S> {
    /// Everybody of a type, each as if it had been named.
    fn subjects(&mut self, going: &mut Going, request: &mut Request, kind: &str) {
        let InForce { snapshot, trust } = self.in_force;
        let Some(question) = question_of(request) else { return };
        let (action, resource) = (question.action.clone(), question.resource.clone());
        let seeking = Seeking::all_of(snapshot, kind, &question.brought).for_resource(&action, &resource);
        let said = request.claim.clone();
        let (actor, earlier_actors) =
            said.map_or((None, Vec::new()), |claim| (claim.actor, claim.earlier_actors));
        let ids: Vec<&str> = seeking.after(going.after.clone().as_deref()).collect();
        going.through(&ids, |id| {
            let uid = Uid::new(kind, id);
            if !enforces(&request.caller, [&resource, &uid]) {
                return None;
            }
            let (actor, earlier_actors) = (actor.clone(), earlier_actors.clone());
            request.claim = Some(Claim { principal: uid.clone(), actor, earlier_actors });
            let Ok(established) = establish(self.pdp, snapshot, trust, request, self.now) else {
                return Some(None);
            };
            let would = self.pdp.would(&mut self.round, request, &established, self.now);
            Some(would.then_some(uid))
        });
    }

    /// Everything of a type, on one server or wherever it is.
    fn resources(
        &mut self,
        going: &mut Going,
        request: &mut Request,
        (kind, server): (&str, Option<&str>),
        established: &Established,
    ) {
        let snapshot = &self.in_force.snapshot;
        let Some(question) = question_of(request) else { return };
        let (action, asked_about) = (question.action.clone(), question.resource.clone());
        let shows_tokens = request.credentials.subject.is_some() || request.credentials.actor.is_some();
        let principal = established.principal.subject();
        let is_group = open::is_tool_group(snapshot, &action, kind);
        let named = named_ones(snapshot, kind);
        let brought = if named.is_empty() { &question.brought } else { &named };
        let seeking = Seeking::all_of(snapshot, kind, brought);
        let parties = std::iter::once(principal).chain(established.principal.actor());
        // Each tool is an action of its own.
        let seeking = if is_group { seeking } else { seeking.for_parties(&action, parties) };
        let ids: Vec<&str> = seeking.after(going.after.clone().as_deref()).collect();
        going.through(&ids, |id| {
            let uid = Uid::new(kind, id);
            // A token was shown to one audience, and counts for no other.
            let elsewhere = server.is_some_and(|server| server_of(&uid) != Some(server))
                || (shows_tokens && audience(snapshot, &uid) != audience(snapshot, &asked_about));
            if elsewhere || !enforces(&request.caller, [&uid, principal]) {
                return None;
            }
            if let Ask::Access(question) = &mut request.ask {
                question.action = if is_group { Uid::new(action.kind.clone(), id) } else { action.clone() };
                question.resource = uid.clone();
                question.derived = named.iter().filter(|entity| entity.uid == uid).cloned().collect();
            }
            let would = self.pdp.would(&mut self.round, request, established, self.now);
            Some(would.then_some(uid))
        });
    }

    /// All actions that could be about these two.
    fn actions(&mut self, going: &mut Going, request: &mut Request, established: &Established) {
        let snapshot = &self.in_force.snapshot;
        let Some(resource) = question_of(request).map(|question| question.resource.clone()) else { return };
        if !enforces(&request.caller, [&resource, established.principal.subject()]) {
            return;
        }
        let actions = snapshot.actions_on(&established.principal.subject().kind, &resource.kind);
        let actions = actions.into_iter().filter(|action| open::is_own_action(snapshot, action, &resource));
        let keyed: BTreeMap<String, Uid> = actions.map(|action| (key_of(&action), action)).collect();
        let after = going.after.clone();
        let rest = keyed.keys().filter(|key| after.as_ref().is_none_or(|after| *key > after));
        let keys: Vec<&str> = rest.map(String::as_str).collect();
        going.through(&keys, |key| {
            let action = keyed.get(key)?;
            if let Ask::Access(question) = &mut request.ask {
                question.action = action.clone();
            }
            let would = self.pdp.would(&mut self.round, request, established, self.now);
            Some(would.then(|| action.clone()))
        });
    }
}

/// A page that is being filled.
pub(super) struct Going {
    /// The last key that was dealt with.
    pub(super) after: Option<String>,
    pub(super) limit: usize,
    pub(super) evaluated: usize,
    pub(super) results: Vec<Uid>,
    /// Whether there may be further results.
    pub(super) more: bool,
}

impl Going {
    /// Goes through keys in order until the page is full and one more result was seen, or has cost enough. `look` says nothing
    /// of what is not to be looked at, and else whether that is a result.
    fn through(&mut self, keys: &[&str], mut look: impl FnMut(&str) -> Option<Option<Uid>>) {
        for key in keys {
            if self.evaluated >= PAGE_QUESTIONS_MAX {
                self.more = true;
                return;
            }
            let Some(looked) = look(key) else { continue };
            self.evaluated += 1;
            match looked {
                Some(_) if self.results.len() == self.limit => {
                    self.more = true;
                    return;
                }
                Some(result) => {
                    self.results.push(result);
                    self.after = Some((*key).to_owned());
                }
                // The next page need not look at it again, unless a result that it begins with may come before.
                None if self.results.len() < self.limit => self.after = Some((*key).to_owned()),
                None => {}
            }
        }
    }
}

/// The resources or prompts that the catalog names one by one: they stand in no store.
fn named_ones(snapshot: &Snapshot, kind: &str) -> Vec<Entity> {
    if !["Resource", "Prompt"].contains(&kind) {
        return Vec::new();
    }
    let named = mcp::named(snapshot.catalog());
    named.filter(|entity| entity.uid.kind == kind && !entity.uid.id.ends_with('*')).collect()
}

/// Whether a caller enforces everything that a question is about: the rule of a step.
pub(in crate::pdp) fn enforces<'u>(caller: &Caller, about: impl IntoIterator<Item = &'u Uid>) -> bool {
    let servers: BTreeSet<&str> = about.into_iter().filter_map(server_of).collect();
    match &caller.servers {
        Servers::All => true,
        Servers::Named(_) => !servers.is_empty() && servers.into_iter().all(|server| caller.enforces(server)),
    }
}

fn audience<'s>(snapshot: &'s Snapshot, resource: &Uid) -> Option<&'s str> {
    snapshot.catalog().server(server_of(resource)?)?.audience.as_deref()
}

fn key_of(uid: &Uid) -> String {
    format!("{}::{}", uid.kind, uid.id)
}
