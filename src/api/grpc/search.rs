//! `palisade.v1.Search`: decode, one search, encode.
//! Never decides, and never shows a policy to a caller without the role `explain`.

mod encode;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{Authorization, callers, defect, malformed, unavailable};
use crate::access::Question;
use crate::api::proto::v1;
use crate::api::wire::{self, Malformed};
use crate::api::{Limits, trace};
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Claim, Credentials, Role};
use crate::pdp::{self, Ask, PAGE_TOKEN_BYTES_MAX, Page, Search, Sought, ToolList};
use crate::value::Uid;

/// Who makes a search, and when.
struct Made {
    caller: Arc<Caller>,
    trace_id: Option<String>,
    arrived: Instant,
}

/// A search with the id that its caller gave it.
type Asked<T> = (String, T);

impl<S: AuditSink + 'static> Authorization<S> {
    fn made<T>(&self, request: &Request<T>, span: &tracing::Span) -> Result<Made, Status> {
        let metadata = request.metadata().as_ref();
        trace::adopt(span, metadata);
        let caller = self.caller(request)?;
        Ok(Made { caller, trace_id: trace::trace_id(metadata), arrived: Instant::now() })
    }

    /// What a caller may ask: it has the role, and enforces the servers that the search names itself.
    fn admit_search<'s>(
        &self,
        made: &Made,
        servers: impl IntoIterator<Item = &'s str>,
    ) -> Result<(), Status> {
        self.require(&made.caller, Role::Authorize)?;
        let mut servers = servers.into_iter();
        let strange = servers.find_map(|server| callers::require_server(&made.caller, server).err());
        strange.map_or(Ok(()), |status| Err(self.refused(&made.caller, "server", status)))
    }

    async fn find(
        &self,
        arrived: Instant,
        (request_id, search): Asked<Search>,
    ) -> Result<encode::FoundPage, Status> {
        let found = self.inner.searches.run(arrived, move |pdp, occasion| {
            let found = pdp.search(&search, occasion);
            let found = found.map_err(|fault| malformed(&Malformed::new("page", fault.to_string())))?;
            found.settle().map_err(|error| unavailable(&error))
        });
        found.await.ok_or_else(defect)?.map(|found| encode::found(request_id, found))
    }
}

#[tonic::async_trait]
impl<S: AuditSink + 'static> v1::search_server::Search for Authorization<S> {
    async fn search_subjects(
        &self,
        request: Request<v1::SearchSubjectsRequest>,
    ) -> Result<Response<v1::SearchSubjectsResponse>, Status> {
        let span = tracing::info_span!("search_subjects");
        let made = self.made(&request, &span)?;
        let asked = subjects(&made, request.into_inner(), &self.inner.limits)
            .map_err(|problem| malformed(&problem))?;
        self.admit_search(&made, asked.1.server())?;
        let encode::FoundPage { info, results, page } =
            self.find(made.arrived, asked).instrument(span).await?;
        Ok(Response::new(v1::SearchSubjectsResponse { info: Some(info), results, page: Some(page) }))
    }

    async fn search_resources(
        &self,
        request: Request<v1::SearchResourcesRequest>,
    ) -> Result<Response<v1::SearchResourcesResponse>, Status> {
        let span = tracing::info_span!("search_resources");
        let made = self.made(&request, &span)?;
        let asked = resources(&made, request.into_inner(), &self.inner.limits)
            .map_err(|problem| malformed(&problem))?;
        self.admit_search(&made, asked.1.server())?;
        let encode::FoundPage { info, results, page } =
            self.find(made.arrived, asked).instrument(span).await?;
        Ok(Response::new(v1::SearchResourcesResponse { info: Some(info), results, page: Some(page) }))
    }

    async fn search_actions(
        &self,
        request: Request<v1::SearchActionsRequest>,
    ) -> Result<Response<v1::SearchActionsResponse>, Status> {
        let span = tracing::info_span!("search_actions");
        let made = self.made(&request, &span)?;
        let asked = actions(&made, request.into_inner(), &self.inner.limits)
            .map_err(|problem| malformed(&problem))?;
        self.admit_search(&made, asked.1.server())?;
        let encode::FoundPage { info, results, page } =
            self.find(made.arrived, asked).instrument(span).await?;
        Ok(Response::new(v1::SearchActionsResponse { info: Some(info), results, page: Some(page) }))
    }

    async fn list_tools(
        &self,
        request: Request<v1::ListToolsRequest>,
    ) -> Result<Response<v1::ListToolsResponse>, Status> {
        let span = tracing::info_span!("list_tools");
        let made = self.made(&request, &span)?;
        let v1::ListToolsRequest { parties, server, tools_list } = request.into_inner();
        let decoded = decode_parties(parties.unwrap_or_default()).and_then(|parties| {
            let server = wire::text("server", server, wire::NAME_BYTES_MAX)?;
            if server.is_empty() {
                Err(Malformed::new("server", "is missing"))
            } else {
                Ok((parties, server))
            }
        });
        let (parties, server) = decoded.map_err(|problem| malformed(&problem))?;
        self.admit_search(&made, [server.as_str()])?;
        let (request_id, request) = parties.request(&made, nothing());
        let listed = (!tools_list.is_empty()).then_some(tools_list);
        let list = ToolList { request, server, listed };
        let listed = self.inner.searches.run(made.arrived, move |pdp, occasion| {
            let listed = pdp.list_tools(&list, occasion);
            let listed =
                listed.map_err(|fault| malformed(&Malformed::new("tools_list", fault.to_string())))?;
            listed.settle().map_err(|error| unavailable(&error))
        });
        let listed = listed.instrument(span).await.ok_or_else(defect)??;
        Ok(Response::new(encode::listed(request_id, listed)))
    }

    async fn reach(&self, request: Request<v1::ReachRequest>) -> Result<Response<v1::ReachResponse>, Status> {
        let span = tracing::info_span!("reach");
        let made = self.made(&request, &span)?;
        let v1::ReachRequest { parties } = request.into_inner();
        let parties = decode_parties(parties.unwrap_or_default()).map_err(|problem| malformed(&problem))?;
        self.admit_search(&made, [])?;
        self.require(&made.caller, Role::Explain)?;
        let (request_id, request) = parties.request(&made, nothing());
        let reach = self.inner.searches.run(made.arrived, move |pdp, occasion| {
            pdp.reach(&request, occasion).settle().map_err(|error| unavailable(&error))
        });
        let reach = reach.instrument(span).await.ok_or_else(defect)??;
        Ok(Response::new(encode::reach(request_id, reach)))
    }
}

/// On whose behalf is asked.
#[derive(Default)]
struct Parties {
    request_id: String,
    claim: Option<Claim>,
    credentials: Credentials,
    session: Option<String>,
    min_state: u64,
}

impl Parties {
    fn request(self, made: &Made, question: Question) -> Asked<pdp::Request> {
        let Self { request_id, claim, credentials, session, min_state } = self;
        let request = pdp::Request {
            face: Face::Grpc,
            caller: made.caller.clone(),
            request_id: request_id.clone(),
            claim,
            credentials,
            ask: Ask::Access(question),
            session,
            task: None,
            purpose: None,
            intent: None,
            preview: true,
            min_state,
            // What is found says no obligation: what needs one is left out.
            understands: BTreeSet::new(),
            explain: false,
            trace_id: made.trace_id.clone(),
        };
        (request_id, request)
    }
}

fn decode_parties(parties: v1::Parties) -> Result<Parties, Malformed> {
    let v1::Parties { request_id, subject, credentials, session, min_state_revision } = parties;
    Ok(Parties {
        request_id: wire::text("request_id", request_id, wire::REQUEST_ID_BYTES_MAX)?,
        claim: subject.map(wire::decode_claim).transpose()?,
        credentials: credentials.map(wire::decode_credentials).transpose()?.unwrap_or_default(),
        session: wire::optional("session", session, wire::NAME_BYTES_MAX)?,
        min_state: min_state_revision,
    })
}

fn subjects(
    made: &Made,
    request: v1::SearchSubjectsRequest,
    limits: &Limits,
) -> Result<Asked<Search>, Malformed> {
    let v1::SearchSubjectsRequest {
        request_id,
        subject_type,
        actor,
        action,
        resource,
        context,
        entities,
        page,
    } = request;
    let kind = kind("subject_type", subject_type)?;
    let actor = actor.map(|uid| wire::decode_uid("actor", uid)).transpose()?;
    let question =
        Question::new(wire::required_uid("action", action)?, wire::required_uid("resource", resource)?);
    let question = with(question, context, entities, limits)?;
    // Whose id stands here is what is looked for.
    let claim = Some(Claim { principal: Uid::new(&kind, ""), actor, earlier_actors: Vec::new() });
    let request_id = wire::text("request_id", request_id, wire::REQUEST_ID_BYTES_MAX)?;
    let parties = Parties { request_id, claim, ..Parties::default() };
    let (request_id, request) = parties.request(made, question);
    Ok((request_id, Search { request, sought: Sought::Subjects { kind }, page: decode_page(page)? }))
}

fn resources(
    made: &Made,
    request: v1::SearchResourcesRequest,
    limits: &Limits,
) -> Result<Asked<Search>, Malformed> {
    let v1::SearchResourcesRequest { parties, action, resource_type, server, context, entities, page } =
        request;
    let kind = kind("resource_type", resource_type)?;
    let server = wire::optional("server", server, wire::NAME_BYTES_MAX)?;
    let question = Question::new(wire::required_uid("action", action)?, Uid::new(&kind, ""));
    let question = with(question, context, entities, limits)?;
    let (request_id, request) = decode_parties(parties.unwrap_or_default())?.request(made, question);
    let sought = Sought::Resources { kind, server };
    Ok((request_id, Search { request, sought, page: decode_page(page)? }))
}

fn actions(
    made: &Made,
    request: v1::SearchActionsRequest,
    limits: &Limits,
) -> Result<Asked<Search>, Malformed> {
    let v1::SearchActionsRequest { parties, resource, context, entities, page } = request;
    let question = Question::new(Uid::new("Action", ""), wire::required_uid("resource", resource)?);
    let question = with(question, context, entities, limits)?;
    let (request_id, request) = decode_parties(parties.unwrap_or_default())?.request(made, question);
    Ok((request_id, Search { request, sought: Sought::Actions, page: decode_page(page)? }))
}

fn with(
    question: Question,
    context: BTreeMap<String, v1::Value>,
    entities: Vec<v1::Entity>,
    limits: &Limits,
) -> Result<Question, Malformed> {
    wire::with_circumstances(question, "", context, entities, limits)
}

fn kind(field: &str, kind: String) -> Result<String, Malformed> {
    let kind = wire::text(field, kind, wire::UID_BYTES_MAX)?;
    if kind.is_empty() { Err(Malformed::new(field, "is missing")) } else { Ok(kind) }
}

fn decode_page(page: Option<v1::Page>) -> Result<Page, Malformed> {
    let v1::Page { limit, token } = page.unwrap_or_default();
    let token = wire::optional("page.token", token, PAGE_TOKEN_BYTES_MAX)?;
    Ok(Page { token, limit: Some(limit) })
}

/// A question about nothing: who asks is all that counts.
fn nothing() -> Question {
    Question::new(Uid::new("", ""), Uid::new("", ""))
}
