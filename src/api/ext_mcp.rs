//! agentgateway (`agentgateway.dev.ext_mcp.ExtMcp`): what goes to an MCP server, and what comes back of its lists.
//! Never decides, never lets on a request that it cannot read in one way only, and never a list that it cannot read.

mod answer;
mod asked;
mod list;
mod names;
mod setting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::callers::Shown;
use super::finding::Searches;
use super::gateway::{Front, Headers, Joined, Parties, Unreadable};
use super::proto::ext_mcp as wire;
use super::{Clock, Limits, grpc, trace};
use crate::access::Question;
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Callers};
use crate::mcp::{Message, Offered};
use crate::pdp::{Answer, Ask, Current, Offers, Pdp, Thing, Unclear, Usable, Vocabulary};
use crate::value::{Uid, Value};
use answer::Told;
use list::{Item, List};
use setting::{Setting, Target};

/// What the gateway never asks about before it is done, so that nobody has decided on what its result tells.
const UNASKED: &str = "completion/complete";

/// The service. Cheap to clone.
pub struct ExtMcp<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for ExtMcp<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<S> {
    front: Front<S>,
    searches: Searches<S>,
}

/// Who asks.
struct Asker {
    caller: Arc<Caller>,
    trace_id: Option<String>,
    arrived: Instant,
}

/// What a request asks of each server, by whom, and in which session.
struct Understood {
    asks: Vec<(Ask, Parties)>,
    session: Option<String>,
}

/// What there is to ask about a list: one search for each server that is behind it.
struct Sorted {
    offers: Vec<Offers>,
    /// For each item, which of the searches it belongs to and where in it; none for what nobody can use.
    places: Vec<Option<(usize, usize)>>,
}

impl<S: AuditSink + 'static> ExtMcp<S> {
    /// The service over a PDP. `issuers` are those whose claims a gateway with the role `assert` may have verified.
    pub fn new(
        pdp: Arc<Pdp<S>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        limits: Limits,
        issuers: BTreeSet<String>,
    ) -> Self {
        let searches = Searches::new(pdp.clone(), clock.clone());
        let front = Front::new(Face::ExtMcp, pdp, callers, clock, limits, issuers);
        Self { inner: Arc::new(Inner { front, searches }) }
    }

    fn asker<T>(&self, request: &Request<T>, span: &tracing::Span) -> Result<Asker, Status> {
        let metadata = request.metadata().as_ref();
        trace::adopt(span, metadata);
        let caller = self.inner.front.caller(&Shown::by(metadata, request.extensions()))?;
        Ok(Asker { caller, trace_id: trace::trace_id(metadata), arrived: Instant::now() })
    }

    /// The answer to a request.
    async fn request(&self, asker: Asker, sent: wire::McpRequest) -> Result<wire::McpRequestResult, Status> {
        let front = &self.inner.front;
        let wire::McpRequest { service_names, method, metadata_context, mcp_request, headers } = sent;
        let headers = asked::headers(headers);
        let current = front.pdp.current();
        let params = mcp_request.as_deref();
        let understood = Setting::read(metadata_context).and_then(|setting| {
            let about = (method.as_str(), params);
            self.understand(&setting, &service_names, about, &headers, &current, &asker.caller)
        });
        let (asks, session, code) = match understood {
            Ok(Understood { asks, session }) => (asks, session, None),
            Err(Unreadable { code, words }) => (vec![unclear(words)], None, Some(code)),
        };
        let joined = Joined::by(Some(&headers), asker.trace_id.clone());
        let request =
            |(ask, parties)| front.request(&asker.caller, parties, session.clone(), joined.clone(), ask);
        let requests = asks.into_iter().map(request).collect::<Result<Vec<_>, _>>()?;
        let answers = front.decide(requests, current, asker.arrived).await?;
        Ok(answer::encode(&answers, params, Told { code, remove: headers.ours() }))
    }

    fn understand(
        &self,
        setting: &Setting,
        service_names: &[String],
        about: (&str, Option<&[u8]>),
        headers: &Headers,
        current: &Current,
        caller: &Caller,
    ) -> Result<Understood, Unreadable> {
        let limits = &self.inner.front.limits;
        let targets = setting.targets(service_names, limits.batch_len_max)?;
        let asked::Asked { messages, session } = asked::read(about, setting, &targets, headers, limits)?;
        let brought = asked::brought(setting, Some(headers))?;
        let names = current.vocabulary();
        let with_parties = |message: Message| {
            let audience = audience(names, &message.server);
            let parties = self.inner.front.parties(&brought, names, caller, audience)?;
            Ok((Ask::Mcp(message), parties))
        };
        let asks = messages.into_iter().map(with_parties).collect::<Result<Vec<_>, Unreadable>>()?;
        Ok(Understood { asks, session })
    }

    /// The answer to a result.
    async fn result(&self, asker: Asker, sent: wire::McpResponse) -> Result<wire::McpResponseResult, Status> {
        let wire::McpResponse { service_names, method, metadata_context, mcp_response } = sent;
        let current = self.inner.front.pdp.current();
        let Some(offered) = Offered::by(&method) else {
            if method == UNASKED {
                let words =
                    "the gateway does not ask before a completion is made, so nobody has permitted this one";
                return self.refused(&asker, current, Unreadable::request(words)).await;
            }
            return Ok(answer::pass());
        };
        let list = match List::read(&mcp_response, offered) {
            Ok(list) => list,
            Err(unreadable) => return self.refused(&asker, current, unreadable).await,
        };
        let sorted = Setting::read(metadata_context).and_then(|setting| {
            let targets = setting.targets(&service_names, self.inner.front.limits.batch_len_max)?;
            sort(&list, offered, &setting, &targets).map(|sorted| (setting, sorted))
        });
        let (setting, (things, places)) = match sorted {
            Ok(sorted) => sorted,
            Err(unreadable) => return self.refused(&asker, current, unreadable).await,
        };
        let offers = match self.offers(&asker, &setting, offered, things, &current)? {
            Ok(offers) => offers,
            Err(unreadable) => return self.refused(&asker, current, unreadable).await,
        };
        self.choose(&asker, &list, Sorted { offers, places }, current).await
    }

    /// The searches, if their caller may make them at all.
    fn offers(
        &self,
        asker: &Asker,
        setting: &Setting,
        offered: Offered,
        things: Vec<(String, Vec<Thing>)>,
        current: &Current,
    ) -> Result<Result<Vec<Offers>, Unreadable>, Status> {
        let front = &self.inner.front;
        let names = current.vocabulary();
        let mut offers = Vec::with_capacity(things.len());
        for (server, things) in things {
            let audience = audience(names, &server);
            let parties = asked::brought(setting, None)
                .and_then(|brought| front.parties(&brought, names, &asker.caller, audience));
            let parties = match parties {
                Ok(parties) => parties,
                Err(unreadable) => return Ok(Err(unreadable)),
            };
            let about = Question::new(Uid::new("Action", offered.use_of()), Uid::new("Server", &server));
            let joined = Joined::by(None, asker.trace_id.clone());
            let session = setting.session.clone();
            let request = front.request(&asker.caller, parties, session, joined, Ask::Access(about))?;
            offers.push(Offers { request, server, offered, things });
        }
        Ok(Ok(offers))
    }

    /// Keeps of a list what may be used.
    async fn choose(
        &self,
        asker: &Asker,
        list: &List<'_>,
        Sorted { offers, places }: Sorted,
        current: Current,
    ) -> Result<wire::McpResponseResult, Status> {
        let searched = self.inner.searches.several(asker.arrived, move |pdp, occasion| {
            let settled = offers.iter().map(|offers| pdp.usable_at(&current, offers, occasion()).settle());
            settled.collect::<Result<Vec<Usable>, _>>()
        });
        let found = searched.await.ok_or_else(grpc::defect)?.map_err(|error| grpc::unavailable(&error))?;
        let refused = found.iter().find_map(|Usable { id, refused, .. }| {
            let (reason, words) = refused.clone()?;
            Some(answer::error(id, reason, words, None))
        });
        if let Some(error) = refused {
            return Ok(answer::refused(error));
        }
        let may = |place: &Option<(usize, usize)>| {
            let (search, at) = (*place)?;
            found.get(search)?.usable.get(at).copied()
        };
        let kept: Vec<bool> = places.iter().map(|place| may(place).unwrap_or_default()).collect();
        Ok(answer::instead(list.with(&kept)))
    }

    /// Refuses a result, on record.
    async fn refused(
        &self,
        asker: &Asker,
        current: Current,
        Unreadable { code, words }: Unreadable,
    ) -> Result<wire::McpResponseResult, Status> {
        let front = &self.inner.front;
        let (ask, parties) = unclear(words);
        let joined = Joined::by(None, asker.trace_id.clone());
        let request = front.request(&asker.caller, parties, None, joined, ask)?;
        let answers: Vec<Answer> = front.decide(vec![request], current, asker.arrived).await?;
        let error = answer::denied(&answers, Some(code)).ok_or_else(grpc::defect)?;
        Ok(answer::refused(error))
    }
}

/// What is denied for what it says, whoever asks.
fn unclear(words: String) -> (Ask, Parties) {
    (Ask::Unclear(Unclear { words, ..Unclear::default() }), Parties::default())
}

fn audience<'n>(names: Vocabulary<'n>, server: &str) -> Option<&'n str> {
    names.catalog().server(server)?.audience.as_deref()
}

type Things = Vec<(String, Vec<Thing>)>;
type Places = Vec<Option<(usize, usize)>>;

/// The things of a list by the servers that have them, under the names that these give them, and where each is to be found.
fn sort(
    list: &List<'_>,
    offered: Offered,
    setting: &Setting,
    targets: &[Target],
) -> Result<(Things, Places), Unreadable> {
    let (_, naming) = offered.members();
    let mut things: Things = targets.iter().map(|target| (target.server.clone(), Vec::new())).collect();
    let mut places = Vec::with_capacity(list.items.len());
    for Item { name, definition } in &list.items {
        let Some((target, own)) = setting.names().owner(targets, offered, name)? else {
            places.push(None);
            continue;
        };
        let mut definition = definition.clone();
        if let Value::Record(members) = &mut definition {
            members.insert(naming.into(), Value::String(own.as_str().into()));
        }
        let at = targets.iter().position(|one| one == target);
        places.push(at.and_then(|at| {
            let (_, things) = things.get_mut(at)?;
            things.push(Thing { name: own, definition });
            Some((at, things.len() - 1))
        }));
    }
    Ok((things, places))
}

#[tonic::async_trait]
impl<S: AuditSink + 'static> wire::ext_mcp_server::ExtMcp for ExtMcp<S> {
    async fn check_request(
        &self,
        request: Request<wire::McpRequest>,
    ) -> Result<Response<wire::McpRequestResult>, Status> {
        let span = tracing::info_span!("check_request");
        let asker = self.asker(&request, &span)?;
        self.request(asker, request.into_inner()).instrument(span).await.map(Response::new)
    }

    async fn check_response(
        &self,
        response: Request<wire::McpResponse>,
    ) -> Result<Response<wire::McpResponseResult>, Status> {
        let span = tracing::info_span!("check_response");
        let asker = self.asker(&response, &span)?;
        self.result(asker, response.into_inner()).instrument(span).await.map(Response::new)
    }
}
