//! Tasks that begin, parts that are handed on, and more time.
//! Never gives a token out before its task is durable and on record.

use std::sync::Arc;

use futures_util::future::join;

use super::book::{
    AskedBefore, Draft, Stored, StoredEvent, StoredStop, StoredWindow, USED, Used, WINDOW, look, stop_key,
    task_key,
};
use super::{About, Asking, Fault, Lifecycle, Moment, TRIES, asked_key, book, unwritten};
use crate::access::Timestamp;
use crate::audit::{AuditSink, Move};
use crate::pdp::{Answer, Ask, Request, TaskAsk};
use crate::store::{StateRevision, StateStore, StoreError};
use crate::task::{Calls, For, Head, Lent, TaskId, barriers, digest, keep, sign, window_name};

/// How much longer a used credential is remembered than it lasts, in seconds: more than any leeway.
const USED_LEEWAY_S: i64 = 600;

/// A request about a task, with what only its commit needs.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is asked.
    pub request: Request,
    /// Ids of approvals, for the record.
    pub approvals: Vec<String>,
    /// The caller's own name for it; empty when it has none.
    pub idempotency_key: String,
}

/// What came of a request for a task.
#[derive(Debug)]
pub struct Begun {
    /// The decision.
    pub answer: Answer,
    /// What was lent, or would be; none when it was denied.
    pub lent: Option<Arc<Lent>>,
    /// The task, when it began.
    pub head: Option<Arc<Head>>,
    /// Its token, when it began.
    pub token: Option<String>,
    /// The state that has it.
    pub state: u64,
}

/// The credential that starts a task, and until when it must be remembered.
struct Credential {
    name: String,
    until_s: i64,
}

impl<S: AuditSink + 'static, T: StateStore> Lifecycle<S, T> {
    /// Starts a task, hands a part on, or gives one more time, as the request asks.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn begin(&self, wish: Wish, moment: Moment) -> Result<Begun, Fault> {
        let Wish { mut request, approvals, idempotency_key } = wish;
        let now = moment.now;
        // What is only previewed begins nothing that could be had again.
        let named = !idempotency_key.is_empty() && !request.preview;
        let key = named.then(|| asked_key(&request.caller, &idempotency_key));
        let what = key.as_ref().map(|_| digest_of(&request));
        if let (Some(key), Some(what)) = (&key, &what)
            && let Some(before) = look(&*self.store, key).map_err(unwritten)?
        {
            // What was asked at the same time may be written and not known yet.
            self.until_told(before.changed).await.map_err(unwritten)?;
            let before: AskedBefore = serde_json::from_slice(&before.value)?;
            return if before.what == *what {
                self.again(request, before.task, moment)
            } else {
                Err(Fault::KeyUsed)
            };
        }
        let credential = self.credential(&request);
        if let Ask::Task(TaskAsk::Start { again, .. }) = &mut request.ask {
            *again = credential.as_ref().is_some_and(|credential| self.tasks.was_used(&credential.name));
        }
        let mut answer = moment.decide(&self.pdp, &request)?;
        let Some(lent) = answer.lent.take().map(Arc::from) else {
            return Ok(Begun { state: self.tasks.revision(), answer, lent: None, head: None, token: None });
        };
        if request.preview {
            let (state, lent) = (self.tasks.revision(), Some(lent));
            return Ok(Begun { state, answer, lent, head: None, token: None });
        }
        let asked = key.zip(what).map(|(key, what)| {
            let (decision, revision) = (answer.id.to_string(), answer.revision.to_string());
            (
                key,
                AskedBefore { task: lent.grant.id, what, decision, revision, until_s: lent.grant.ceiling_s },
            )
        });
        let beside = written_beside(&lent, credential.as_ref(), asked.as_ref());
        let before = self.tasks.find(lent.grant.id).map(|head| head.lent());
        let written = self.write(&request, &lent, credential, asked, now);
        // Its token is signed while the disk is at work, and handed out when all of it stands.
        let signed = async { sign(&lent, For::Us, &self.tasks.issuer()) };
        let (written, token) = join(written, signed).await;
        let (what, revision) = written?;
        let head = self.tasks.find(lent.grant.id).ok_or(Fault::Changed)?;
        let asking = Asking {
            face: Some(request.face),
            caller: &request.caller.name,
            request_id: &request.request_id,
            decision: Some(&answer.id),
            intent: request.intent.as_deref().unwrap_or_default(),
            approvals: &approvals,
            ..Asking::nobody("", now)
        };
        if let Err(fault) = self.tell(&asking, what, &About::open(&lent, &head), revision) {
            // Nobody has its token: what is not on record should not stay.
            match before {
                None => self.undo(&head, &beside, now).await,
                Some(before) => self.undo_renewed(&before).await,
            }
            return Err(fault);
        }
        Ok(Begun { answer, lent: Some(lent), head: Some(head), token: Some(token?), state: revision.0 })
    }

    /// A task has the time again that it had before.
    async fn undo_renewed(&self, before: &Lent) {
        if let Err(error) = self.write_renewed(before).await {
            tracing::warn!(%error, task = %before.grant.id, "a renewal that was not recorded stays");
        }
    }

    /// Commits what was lent.
    async fn write(
        &self,
        request: &Request,
        lent: &Arc<Lent>,
        credential: Option<Credential>,
        asked: Option<(String, AskedBefore)>,
        now: Timestamp,
    ) -> Result<(Move, StateRevision), Fault> {
        let intent = request.intent.as_deref().unwrap_or_default();
        Ok(match &request.ask {
            Ask::Task(TaskAsk::Delegate { .. }) => {
                (Move::Delegated, self.write_part(lent, intent, asked).await?)
            }
            Ask::Task(TaskAsk::Renew { .. }) => (Move::Renewed, self.write_renewed(lent).await?),
            Ask::Task(_) | Ask::Access(_) | Ask::Mcp(_) | Ask::Unclear(_) => {
                (Move::Started, self.write_started(lent, intent, credential, asked, now).await?)
            }
        })
    }

    /// The same start, asked for again by who asked before: the same task, with a token of it.
    fn again(&self, request: Request, id: TaskId, moment: Moment) -> Result<Begun, Fault> {
        let now = moment.now;
        let request = Request { ask: Ask::Task(TaskAsk::Reissue { id }), ..request };
        let mut answer = moment.decide(&self.pdp, &request)?;
        let state = self.tasks.revision();
        let Some((lent, head)) = answer.lent.take().zip(self.tasks.find(id)) else {
            return Ok(Begun { state, answer, lent: None, head: None, token: None });
        };
        let asking = Asking {
            face: Some(request.face),
            caller: &request.caller.name,
            request_id: &request.request_id,
            decision: Some(&answer.id),
            ..Asking::nobody("", now)
        };
        self.tell(&asking, Move::Reissued, &About::open(&lent, &head), StateRevision(state))?;
        let token = sign(&lent, For::Us, &self.tasks.issuer())?;
        Ok(Begun { answer, lent: Some(lent.into()), head: Some(head), token: Some(token), state })
    }

    /// The credential of a start, if a token is one. Whether it counts is decided elsewhere.
    fn credential(&self, request: &Request) -> Option<Credential> {
        let token = request.credentials.subject.as_ref()?;
        let verified = self.pdp.trusted().verify(token).ok()?;
        let name = match &verified.id {
            Some(id) => digest([b"jti", verified.issuer.as_bytes(), id.as_bytes()]),
            // A token without a name is known by what was signed.
            None => digest([b"jws".as_slice(), &token.signed_digest()]),
        };
        Some(Credential { name, until_s: verified.expires_s.saturating_add(USED_LEEWAY_S) })
    }

    async fn write_started(
        &self,
        lent: &Arc<Lent>,
        intent: &str,
        credential: Option<Credential>,
        asked: Option<(String, AskedBefore)>,
        now: Timestamp,
    ) -> Result<StateRevision, Fault> {
        // The agent's other starts for this purpose wait here.
        let window = window_key(lent);
        let _turn = self.turns.of([&window]).await;
        let mut last = Fault::Changed;
        for _ in 0..TRIES {
            let mut draft = Draft::default();
            let _held = draft.begin(&self.link.ready, lent, self.stored(lent, intent)?)?;
            if let Some(Credential { name, until_s }) = &credential {
                let key = format!("{USED}{name}");
                if lent.basis.asking == crate::task::Asking::Start {
                    draft.absent(&key);
                }
                draft.put(&key, &Used { until_s: *until_s })?;
            }
            self.write_window(&mut draft, lent, now)?;
            self.expect_no_stops(&mut draft, lent)?;
            write_asked(&mut draft, asked.as_ref())?;
            let event = StoredEvent::Started { task: lent.grant.id, expires_s: lent.grant.expires_s };
            draft.put(book::EVENT, &event)?;
            match self.commit(draft).await {
                Ok(revision) => return Ok(revision),
                // Another start of the same agent for the same purpose: the window is counted again.
                Err(StoreError::Conflict { key }) if key.starts_with(WINDOW) => last = Fault::Changed,
                Err(error) => return Err(unwritten(error)),
            }
        }
        Err(last)
    }

    async fn write_part(
        &self,
        lent: &Arc<Lent>,
        intent: &str,
        asked: Option<(String, AskedBefore)>,
    ) -> Result<StateRevision, Fault> {
        let parent =
            lent.grant.ancestors.first().and_then(|id| self.tasks.find(*id)).ok_or(Fault::Changed)?;
        let calls = lent.grant.calls_max.unwrap_or_default();
        if !parent.calls.take(calls) {
            return Err(Fault::Changed);
        }
        let written = self.try_part(lent, intent, asked, &parent).await;
        if matches!(written, Err(Fault::Changed)) {
            parent.calls.give_back(calls);
        }
        written
    }

    async fn try_part(
        &self,
        lent: &Arc<Lent>,
        intent: &str,
        asked: Option<(String, AskedBefore)>,
        parent: &Head,
    ) -> Result<StateRevision, Fault> {
        let parent_key = task_key(parent.id());
        for _ in 0..TRIES {
            let mut draft = Draft::default();
            let Some(entry) = look(&*self.store, &parent_key).map_err(unwritten)? else {
                return Err(Fault::Changed);
            };
            let stored: Stored = serde_json::from_slice(&entry.value)?;
            draft.unchanged(&parent_key, Some(&entry));
            draft
                .put(&parent_key, &Stored { charged: stored.charged.max(parent.calls.spent()), ..stored })?;
            for ancestor in lent.grant.ancestors.iter().skip(1) {
                let key = task_key(*ancestor).into();
                draft.0.expects.push(crate::store::Expect::Present(key));
            }
            let _held = draft.begin(&self.link.ready, lent, self.stored(lent, intent)?)?;
            self.expect_no_stops(&mut draft, lent)?;
            write_asked(&mut draft, asked.as_ref())?;
            let event = StoredEvent::Started { task: lent.grant.id, expires_s: lent.grant.expires_s };
            draft.put(book::EVENT, &event)?;
            match self.commit(draft).await {
                Ok(revision) => return Ok(revision),
                // Its calls were written meanwhile; those that were taken are taken.
                Err(StoreError::Conflict { key }) if *key == *parent_key => {}
                Err(error) => return Err(unwritten(error)),
            }
        }
        Err(Fault::Changed)
    }

    async fn write_renewed(&self, lent: &Lent) -> Result<StateRevision, Fault> {
        let key = task_key(lent.grant.id);
        for _ in 0..TRIES {
            let Some(entry) = look(&*self.store, &key).map_err(unwritten)? else {
                return Err(Fault::Changed);
            };
            let stored: Stored = serde_json::from_slice(&entry.value)?;
            let mut draft = Draft::default();
            draft.unchanged(&key, Some(&entry));
            draft.put(&key, &Stored { lent: keep(lent, &self.tasks.issuer())?, ..stored })?;
            self.expect_no_stops(&mut draft, lent)?;
            let event = StoredEvent::Renewed { task: lent.grant.id, expires_s: lent.grant.expires_s };
            draft.put(book::EVENT, &event)?;
            match self.commit(draft).await {
                Ok(revision) => return Ok(revision),
                Err(StoreError::Conflict { key: broken }) if *broken == *key => {}
                Err(error) => return Err(unwritten(error)),
            }
        }
        Err(Fault::Changed)
    }

    fn stored(&self, lent: &Lent, intent: &str) -> Result<Stored, Fault> {
        let max = lent.grant.calls_max.unwrap_or_default();
        let charged = Calls::piece(max).min(max);
        let lent = keep(lent, &self.tasks.issuer())?;
        let kid = self.tasks.issuer().signing().kid().to_owned();
        let seen = std::collections::BTreeSet::new();
        Ok(Stored { lent, charged, kid, seen, intent: intent.to_owned() })
    }

    /// Counts the calls of a task among those of its human's agent for its purpose.
    fn write_window(&self, draft: &mut Draft, lent: &Lent, now: Timestamp) -> Result<(), Fault> {
        let rules = self.tasks.rules();
        let key = window_key(lent);
        let entry = look(&*self.store, &key).map_err(unwritten)?;
        let before: Option<StoredWindow> =
            entry.as_ref().map(|entry| serde_json::from_slice(&entry.value)).transpose()?;
        let now_s = now.seconds();
        let fresh =
            StoredWindow { since_s: now_s, until_s: now_s.saturating_add(rules.calls_window_s), calls: 0 };
        let window = before.filter(|window| now_s < window.until_s).unwrap_or(fresh);
        let calls = window.calls.saturating_add(lent.grant.calls_max.unwrap_or_default());
        if calls > rules.calls_window_max {
            return Err(Fault::Changed);
        }
        draft.unchanged(&key, entry.as_ref());
        draft.put(&key, &StoredWindow { calls, ..window })?;
        Ok(())
    }

    /// Nobody who has a part in it is stopped while it is written.
    fn expect_no_stops(&self, draft: &mut Draft, lent: &Lent) -> Result<(), Fault> {
        for target in barriers(lent) {
            let key = stop_key(&target);
            let entry = look(&*self.store, &key).map_err(unwritten)?;
            // What was lifted is there still, for the tasks from before.
            if let Some(entry) = &entry
                && !serde_json::from_slice::<StoredStop>(&entry.value)?.lifted
            {
                return Err(Fault::Changed);
            }
            draft.unchanged(&key, entry.as_ref());
        }
        Ok(())
    }
}

/// The key of the window that a task's calls count in.
fn window_key(lent: &Lent) -> String {
    format!("{WINDOW}{}", window_name(&lent.grant.parties, &lent.grant.purpose))
}

/// What a start leaves beside its task: the name that it was asked by, and its credential if that has started nothing before.
fn written_beside(
    lent: &Lent,
    credential: Option<&Credential>,
    asked: Option<&(String, AskedBefore)>,
) -> Vec<String> {
    let first = credential.filter(|_| lent.basis.asking == crate::task::Asking::Start);
    let used = first.map(|Credential { name, .. }| format!("{USED}{name}"));
    asked.map(|(key, _)| key.clone()).into_iter().chain(used).collect()
}

fn write_asked(draft: &mut Draft, asked: Option<&(String, AskedBefore)>) -> Result<(), Fault> {
    if let Some((key, before)) = asked {
        draft.absent(key);
        draft.put(key, before)?;
    }
    Ok(())
}

/// What is asked, but for what differs from try to try: proofs and the caller's id for the request.
fn digest_of(request: &Request) -> String {
    let Request { claim, credentials, ask, session, intent, .. } = request;
    let token = |token: &Option<crate::identity::Token>| token.as_ref().map(crate::identity::Token::digest);
    let ask = match ask {
        Ask::Task(TaskAsk::Start { purpose, wanted, .. }) => format!("start {purpose} {wanted:?}"),
        Ask::Task(TaskAsk::Delegate { agent, wanted, .. }) => format!("delegate {agent:?} {wanted:?}"),
        Ask::Task(TaskAsk::Renew { ttl_s }) => format!("renew {ttl_s:?}"),
        Ask::Task(TaskAsk::Reissue { id }) => format!("reissue {id}"),
        Ask::Task(TaskAsk::End { id, end }) => format!("end {id:?} {end:?}"),
        Ask::Access(_) | Ask::Mcp(_) | Ask::Unclear(_) => String::new(),
    };
    let tokens = [&credentials.subject, &credentials.actor, &credentials.task].map(token);
    let said = format!("{claim:?} {session:?} {intent:?} {tokens:?}");
    digest([ask.as_bytes(), said.as_bytes()])
}
