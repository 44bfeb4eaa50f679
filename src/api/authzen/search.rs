//! Searches (AuthZEN 1.0, "Subject Search", "Resource Search", "Action Search"): decode, one search, encode.
//! Never reads the part of the question that is looked for, but its type.

mod asked;
mod found;

use std::collections::BTreeSet;

use axum::response::Response;

use super::decode::{Scope, Told};
use super::extension::number;
use super::refusal::Refused;
use super::tuple::{Members, wrong};
use super::{Asker, AuthZen};
use crate::api::callers;
use crate::api::wire::Malformed;
use crate::audit::{AuditSink, Face};
use crate::pdp::{self, Page, PageFault, Search};
use crate::value::Value;
use asked::Asked;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Subject,
    Resource,
    Action,
}

impl<S: AuditSink + 'static> AuthZen<S> {
    pub(super) async fn search(
        &self,
        asker: &Asker,
        sought: For,
        mut members: Members,
        bytes: &[u8],
    ) -> Result<Response, Refused> {
        let (page, is_paged) = page(members.remove("page"))?;
        let current = self.inner.pdp.current();
        let (search, shape) = {
            let scope =
                Scope { names: current.vocabulary(), types: &self.inner.types, caller: &asker.caller };
            let Asked { claim, ask, told, sought, shape } = asked::asked(sought, members, bytes, &scope)?;
            (Search { request: request(asker, claim, ask, told), sought, page }, shape)
        };
        if let Some(server) = search.server() {
            callers::require_server(&asker.caller, server)
                .map_err(|turned| self.turned_away(&asker.caller, "server", turned))?;
        }
        let found = self.inner.searches.run(asker.arrived, move |pdp, occasion| {
            pdp.search_at(&current, &search, occasion).map_err(Refused::from)?.settle().map_err(Refused::from)
        });
        let found = found.await.ok_or_else(Refused::defect)??;
        Ok(found::found(&found, &shape, is_paged))
    }
}

impl From<PageFault> for Refused {
    fn from(fault: PageFault) -> Self {
        Malformed::new("page", fault.to_string()).into()
    }
}

/// The request that a search is made with.
fn request(asker: &Asker, claim: Option<crate::identity::Claim>, ask: pdp::Ask, told: Told) -> pdp::Request {
    let Told { credentials, session, task, purpose, intent, preview: _, explain: _, min_state } = told;
    pdp::Request {
        face: Face::Authzen,
        caller: asker.caller.clone(),
        request_id: asker.request_id.clone(),
        claim,
        credentials,
        ask,
        session,
        task,
        purpose,
        intent,
        preview: true,
        min_state,
        // What is found says no obligation: what needs one is left out.
        understands: BTreeSet::new(),
        explain: false,
        trace_id: asker.trace_id.clone(),
    }
}

/// Which page is wanted, and whether the request says so itself. Its `properties` are nobody's here.
fn page(sent: Option<Value>) -> Result<(Page, bool), Malformed> {
    let mut members = match sent {
        None | Some(Value::Null) => return Ok((Page::default(), false)),
        Some(Value::Record(members)) => members,
        Some(other) => return Err(wrong("page", "an object", &other)),
    };
    let token = match members.remove("token") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(token.into()).filter(|token: &String| !token.is_empty()),
        Some(other) => return Err(wrong("page.token", "a string", &other)),
    };
    let limit = match members.remove("limit") {
        None | Some(Value::Null) => None,
        Some(limit) => Some(u32::try_from(number("page.limit", &limit)?).unwrap_or(u32::MAX)),
    };
    Ok((Page { token, limit }, true))
}
