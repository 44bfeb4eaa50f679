//! What was found, as AuthZEN says it: the page first, and each result by the type that it was looked for with.
//! Never adds anything to a result that its client does not need to ask about it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::HeaderName;
use axum::response::Response;
use serde::Serialize;

use super::For;
use crate::api::authzen::answer::{REVISION, STATE, code, value, written};
use crate::pdp::Found;
use crate::value::Uid;

const SEARCH_ID: HeaderName = HeaderName::from_static("x-palisade-search-id");

/// How results are named.
#[derive(Debug)]
pub(super) struct Shape {
    sought: For,
    /// The type as it was asked with.
    kind: String,
    /// The server of all results, where there is only one.
    pub(super) server: Option<String>,
    /// Whether results are named as COAZ names them.
    is_message: bool,
}

impl Shape {
    pub(super) fn of(sought: For, kind: String) -> Self {
        Self { sought, kind, server: None, is_message: false }
    }

    pub(super) fn of_messages(sought: For, kind: String, server: Option<String>) -> Self {
        Self { sought, kind, server, is_message: true }
    }

    fn said<'f>(&'f self, uid: &'f Uid) -> Said<'f> {
        let has_server = self.is_message && matches!(uid.kind.as_str(), "Tool" | "Resource" | "Prompt");
        match (self.sought, uid.id.split_once('/').filter(|_| has_server)) {
            // Each tool is an action of its own, and one method calls them all.
            (For::Action, _) if self.is_message && uid.id.contains('/') && is_tool(uid) => {
                Said::Action { name: Cow::Borrowed("tools/call") }
            }
            // A namespace is part of the name, as a request would write it.
            (For::Action, _) if uid.kind != "Action" => Said::Action { name: Cow::Owned(uid.to_string()) },
            (For::Action, _) => Said::Action { name: Cow::Borrowed(&uid.id) },
            (For::Resource, Some((server, name))) => {
                let properties = self.server.is_none().then(|| BTreeMap::from([("server", server)]));
                Said::Named { kind: &self.kind, id: name, properties }
            }
            (For::Subject | For::Resource, _) => {
                Said::Named { kind: &self.kind, id: &uid.id, properties: None }
            }
        }
    }
}

/// Methods that clients send have a slash too, and are no tools.
fn is_tool(action: &Uid) -> bool {
    crate::mcp::method::method(&action.id).is_none()
}

/// A result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Said<'f> {
    Action {
        name: Cow<'f, str>,
    },
    Named {
        #[serde(rename = "type")]
        kind: &'f str,
        id: &'f str,
        #[serde(skip_serializing_if = "Option::is_none")]
        properties: Option<BTreeMap<&'static str, &'f str>>,
    },
}

#[derive(Debug, Serialize)]
struct Body<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Page<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context<'f>>,
    results: Vec<Said<'f>>,
}

#[derive(Debug, Serialize)]
struct Page<'f> {
    next_token: &'f str,
    count: usize,
}

/// Why nothing was looked at.
#[derive(Debug, Serialize)]
struct Context<'f> {
    reason: &'static str,
    reason_user: BTreeMap<&'static str, &'f str>,
}

/// The answer. It speaks of pages when the request did, or when there are further ones.
pub(super) fn found(found: &Found, shape: &Shape, is_paged: bool) -> Response {
    let Found { id, revision, begun: _, results, next, refused, state } = found;
    let next_token = next.as_deref().unwrap_or_default();
    let page = (is_paged || next.is_some()).then_some(Page { next_token, count: results.len() });
    let context = refused.as_ref().map(|(reason, words)| Context {
        reason: code(*reason),
        reason_user: BTreeMap::from([("en", words.as_str())]),
    });
    let results = results.iter().map(|uid| shape.said(uid)).collect();
    let mut response = written(&Body { page, context, results });
    let headers = response.headers_mut();
    headers.extend(value(&id.0).map(|id| (SEARCH_ID, id)));
    headers.extend(value(&revision.0).map(|revision| (REVISION, revision)));
    headers.extend(state.and_then(|state| value(&state.to_string())).map(|state| (STATE, state)));
    response
}
