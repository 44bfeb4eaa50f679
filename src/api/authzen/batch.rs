//! Several questions at once (AuthZEN 1.0, Access Evaluations): defaults, semantics, and a fate for each item.
//! Never lets one bad item spoil the others, and never decides two items on two snapshots.

use axum::response::Response;

use super::answer::{self, Said, Telling};
use super::decode::{self, Decoded, Scope};
use super::refusal::Refused;
use super::tuple::{Members, Tuple, wrong};
use super::{Asker, AuthZen, settle};
use crate::api::together::{TOGETHER_MAX, since};
use crate::api::wire::Malformed;
use crate::audit::AuditSink;
use crate::identity::Role;
use crate::json;
use crate::pdp::{Answer, Request};
use crate::value::Value;

/// When to stop (`options.evaluations_semantic`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn read(options: Option<&Value>) -> Result<Self, Malformed> {
        let field = "options.evaluations_semantic";
        let options = match options {
            None | Some(Value::Null) => return Ok(Self::ExecuteAll),
            Some(Value::Record(options)) => options,
            Some(other) => return Err(wrong("options", "an object", other)),
        };
        match options.get("evaluations_semantic") {
            None | Some(Value::Null) => Ok(Self::ExecuteAll),
            Some(Value::String(name)) => match name.as_str() {
                "execute_all" => Ok(Self::ExecuteAll),
                "deny_on_first_deny" => Ok(Self::DenyOnFirstDeny),
                "permit_on_first_permit" => Ok(Self::PermitOnFirstPermit),
                _ => Err(Malformed::new(
                    field,
                    "must be `execute_all`, `deny_on_first_deny` or `permit_on_first_permit`",
                )),
            },
            Some(other) => Err(wrong(field, "a string", other)),
        }
    }

    /// Whether nothing is asked after this decision.
    fn ends_with(self, permit: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !permit,
            Self::PermitOnFirstPermit => permit,
        }
    }

    /// How many items are decided before the next look at what came out.
    fn at_once(self) -> usize {
        match self {
            Self::ExecuteAll => TOGETHER_MAX,
            Self::DenyOnFirstDeny | Self::PermitOnFirstPermit => 1,
        }
    }
}

/// What became of an item.
enum Fate {
    Answered {
        answer: Box<Answer>,
        explain: bool,
    },
    /// Its caller may not ask it.
    Refused(Refused),
}

impl Fate {
    fn said(&self, telling: Telling) -> Said<'_> {
        match self {
            Self::Answered { answer, explain } => Said::of(answer, Telling { explain: *explain, ..telling }),
            Self::Refused(refused) => Said::error(refused.status.as_u16(), &refused.words),
        }
    }

    fn is_permit(&self) -> bool {
        match self {
            Self::Answered { answer, .. } => answer.decision.outcome.is_permit(),
            Self::Refused(_) => false,
        }
    }
}

impl<S: AuditSink + 'static> AuthZen<S> {
    /// A body with `evaluations`; without any it is one question.
    pub(super) async fn evaluate_all(
        &self,
        asker: &Asker,
        mut members: Members,
        bytes: &[u8],
    ) -> Result<Response, Refused> {
        let semantic = Semantic::read(members.get("options"))?;
        let items = match members.remove("evaluations") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Set(items)) => items,
            Some(other) => return Err(wrong("evaluations", "an array", &other).into()),
        };
        if items.is_empty() {
            return self.evaluate(asker, bytes).await;
        }
        let len_max = self.inner.limits.batch_len_max;
        if items.len() > len_max {
            return Err(Refused::too_large("batch_len_max", len_max));
        }
        let text = json::member_bytes(bytes, "evaluations").unwrap_or_default();
        let texts = json::items_bytes(text).filter(|texts| texts.len() == items.len());
        let texts = texts.ok_or_else(Refused::defect)?;
        // Each item carries the defaults: a short body must not become a long one.
        let bytes_max = self.inner.limits.body_bytes_max;
        if bytes.len().saturating_sub(text.len()).saturating_mul(items.len()) > bytes_max {
            return Err(Refused::too_large("message_bytes_max", bytes_max));
        }
        let defaults = Tuple::take_defaults(members, bytes);
        let fates = self.decide_all(asker, semantic, (items, texts), &defaults).await?;
        let telling = Telling {
            explains: asker.caller.may(Role::Explain),
            explain: false,
            ids: asker.caller.may(Role::Outcome),
        };
        let said: Vec<Said<'_>> = fates.iter().map(|fate| fate.said(telling)).collect();
        let answered = fates.iter().rev().find_map(|fate| match fate {
            Fate::Answered { answer, .. } => Some(&**answer),
            Fate::Refused(_) => None,
        });
        Ok(answer::several(&said, answered))
    }

    /// Every item that is asked, on one snapshot. Other calls get their turn between them.
    async fn decide_all(
        &self,
        asker: &Asker,
        semantic: Semantic,
        (items, texts): (Vec<Value>, Vec<&[u8]>),
        defaults: &Tuple<'_>,
    ) -> Result<Vec<Fate>, Refused> {
        let mut batch = self.inner.pdp.batch();
        let mut fates: Vec<Fate> = Vec::with_capacity(items.len());
        let mut items = items.into_iter().zip(texts);
        loop {
            let scope = Scope { names: batch.vocabulary(), types: &self.inner.types, caller: &asker.caller };
            let admitted: Vec<Result<Request, Refused>> = items
                .by_ref()
                .take(semantic.at_once())
                .map(|(item, text)| self.admit(asker, decode_item(item, text, defaults, &scope)))
                .collect();
            if admitted.is_empty() {
                return Ok(fates);
            }
            let elapsed_us = since(asker.arrived);
            let questions = admitted.iter().flatten().map(|request| (request, self.occasion(&elapsed_us)));
            let mut pending = batch.evaluate(questions).into_iter();
            for admitted in admitted {
                let fate = match admitted {
                    Ok(request) => {
                        let answer = settle(pending.next().ok_or_else(Refused::defect)?)?;
                        Fate::Answered { answer: Box::new(answer), explain: request.explain }
                    }
                    Err(refused) => Fate::Refused(refused),
                };
                fates.push(fate);
            }
            if fates.last().is_some_and(|fate| semantic.ends_with(fate.is_permit())) {
                return Ok(fates);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// One item with its defaults. What cannot be read is denied, as what means nothing is.
fn decode_item<'b>(item: Value, text: &'b [u8], defaults: &Tuple<'b>, scope: &Scope<'_>) -> Decoded {
    let decoded = match item {
        Value::Record(members) => decode::decode(Tuple::take(members, text).or(defaults), scope),
        other => Err(wrong("evaluations", "an array of objects", &other)),
    };
    decoded.unwrap_or_else(|malformed| Decoded::unreadable(&malformed))
}
