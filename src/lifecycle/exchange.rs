//! Access tokens for one MCP server under a task, and what our tokens say.
//! Never more than the task has, and never a token that outlives its task's own.

use super::{About, Asking, Fault, Lifecycle, Moment};
use crate::access::{DenyReason, Timestamp};
use crate::audit::{Administered, Administration, AuditSink, Face, Move, Record};
use crate::identity::{Caller, Proof, Token};
use crate::store::{StateRevision, StateStore};
use crate::task::{For, Lent, Only, Scope, State, Target, sign};

/// What is asked for.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who asks; a caller of no name when the key of the task is all that is shown.
    pub caller: &'a Caller,
    /// The token of the task.
    pub token: &'a Token,
    /// That its key is there.
    pub proof: Option<&'a Proof>,
    /// The MCP server, by its audience.
    pub audience: &'a str,
    /// The client's own id for the request.
    pub request_id: &'a str,
}

/// What came of it.
#[derive(Debug)]
pub enum Exchanged {
    /// A token.
    Issued {
        /// The token.
        token: String,
        /// How long it lasts, in seconds.
        expires_in_s: i64,
        /// Whether it is bound to a key.
        bound: bool,
    },
    /// The task does not stand, or is not shown.
    Denied(DenyReason, String),
    /// The server is not known, or the task does not cover it.
    NoTarget(String),
}

/// What a token of ours says that is in force.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What was lent.
    pub lent: Lent,
    /// Whom the token is for; none when it is for us.
    pub audience: Option<String>,
}

impl<S: AuditSink + 'static, T: StateStore> Lifecycle<S, T> {
    /// An access token for one MCP server under a task, on the record.
    ///
    /// # Errors
    /// [`Fault`] when it could not be signed or recorded.
    pub fn exchange(&self, asked: &Exchange<'_>, moment: &Moment) -> Result<Exchanged, Fault> {
        let Exchange { caller, token, proof, audience, request_id } = *asked;
        let now = moment.now;
        let shown = self.pdp.show_task(token, proof, caller, now).and_then(|known| match known.audience {
            None => Ok(known),
            Some(_) => {
                Err((DenyReason::Unauthenticated, "is an access token for an MCP server itself".to_owned()))
            }
        });
        let known = match shown {
            Ok(known) => known,
            Err((reason, words)) => {
                self.tell_refused(asked, &words, now)?;
                return Ok(Exchanged::Denied(reason, words));
            }
        };
        let snapshot = self.pdp.snapshot();
        let mut servers = snapshot.catalog().servers();
        let Some(server) = servers.find(|server| server.audience.as_deref() == Some(audience)) else {
            self.tell_refused(asked, "no server of the catalog has this audience", now)?;
            return Ok(Exchanged::NoTarget("no server of the catalog has this audience".into()));
        };
        if self.tasks.stops().bars(&Target::Server(server.id.clone())) {
            self.tell_refused(asked, "the server was closed by an operator", now)?;
            return Ok(Exchanged::NoTarget("the server was closed by an operator".into()));
        }
        let grant = &known.lent.grant;
        let Ok(scope) = grant.scope.part(&Scope { servers: Only::these([&*server.id]), ..Scope::default() })
        else {
            self.tell_refused(asked, "the task does not cover this server", now)?;
            return Ok(Exchanged::NoTarget("the task does not cover this server".into()));
        };
        let lent =
            Lent { grant: crate::task::Grant { scope, ..grant.clone() }, basis: known.lent.basis.clone() };
        let token_id = moment.id.to_string();
        let token = sign(&lent, For::Server { audience, token_id: &token_id }, &self.tasks.issuer())?;
        let asking = Asking {
            face: Some(Face::Http),
            caller: &caller.name,
            request_id,
            decision: Some(&moment.id),
            ..Asking::nobody("", now)
        };
        let about = About {
            task: Some(known.head.id()),
            state: Some(State::Open),
            audience,
            lent: Some(&lent),
            head: Some(&known.head),
            ..About::default()
        };
        self.tell(&asking, Move::Exchanged, &about, StateRevision(self.tasks.revision()))?;
        let expires_in_s = lent.grant.expires_s.saturating_sub(now.seconds());
        Ok(Exchanged::Issued { token, expires_in_s, bound: lent.grant.key.is_some() })
    }

    fn tell_refused(&self, asked: &Exchange<'_>, reason: &str, time: Timestamp) -> Result<(), Fault> {
        self.tell_turned_away(asked.caller, ("token_exchange", reason), time)
    }

    /// Puts on record what a caller was refused over HTTP.
    ///
    /// # Errors
    /// [`Fault::Unrecorded`].
    pub fn tell_turned_away(
        &self,
        caller: &Caller,
        (call, reason): (&str, &str),
        time: Timestamp,
    ) -> Result<(), Fault> {
        let (face, outcome) = (Face::Http, Administration::Refused);
        let caller = &*caller.name;
        let told = Administered { time, face, caller, call, outcome, reason, session: None };
        self.pdp.sink().record(&Record::Admin(&told)).map(|_written| ()).map_err(Fault::Unrecorded)
    }

    /// What a token of ours says, if its task stands and would still be granted, and its server is open and one of this
    /// caller's.
    pub fn introspect(&self, caller: &Caller, token: &Token, now: Timestamp) -> Option<Inspected> {
        let known = self.pdp.standing_task(token, now)?;
        if let Some(audience) = &known.audience {
            let snapshot = self.pdp.snapshot();
            let server =
                snapshot.catalog().servers().find(|server| server.audience.as_ref() == Some(audience))?;
            if !caller.enforces(&server.id) || self.tasks.stops().bars(&Target::Server(server.id.clone())) {
                return None;
            }
        }
        Some(Inspected { lent: known.lent.clone(), audience: known.audience.clone() })
    }
}
