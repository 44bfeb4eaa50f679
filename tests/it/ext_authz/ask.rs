//! Questions as a gateway puts them, and its answers in short.
//! Never repairs an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade::api::ext_authz::Settings;
use palisade::api::proto::envoy::config::core::v3::Metadata;
use palisade::api::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use palisade::api::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use palisade::api::proto::envoy::service::auth::v3::check_response::HttpResponse;
use palisade::api::proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use palisade::identity::{Algorithm, HumanClaims, Issuer, TokenKind, Trust, TrustConfig};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Plain};
use serde_json::{Value as Json, json};

use crate::pdp::{NOW, TOKEN, TestPdp, gateway};

/// Who issues the tokens that the gateway verifies itself.
pub const ISSUER: &str = "https://idp.acme.example";
/// Whose agent that brings the calls is.
pub const SUPPORT_BOT: &str = "spiffe://acme.example/agent/support-bot";

/// An exchange that may be changed before it is asked about.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// Whether the gateway passes it on as text.
    pub is_text: bool,
    pub peer: String,
    pub certificate: String,
    pub route: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, Json>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub permit: bool,
    /// gRPC's code.
    pub code: i32,
    /// The status of HTTP; 0 of a permit.
    pub status: i32,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub removed: Vec<String>,
    pub metadata: Json,
}

impl Exchange {
    /// A message for the server `crm`, of Ana through the support bot.
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            method: "POST".into(),
            path: "/mcp".into(),
            headers: BTreeMap::from([
                ("content-type".into(), "application/json".into()),
                ("accept".into(), "application/json, text/event-stream".into()),
                ("content-length".into(), body.len().to_string()),
            ]),
            body,
            is_text: false,
            peer: SUPPORT_BOT.into(),
            certificate: String::new(),
            route: BTreeMap::from([("server".into(), "crm".into())]),
            metadata: BTreeMap::new(),
        }
        .by("ana")
    }

    /// The call of a tool.
    pub fn call(name: &str, arguments: &Json) -> Self {
        let params = json!({"name": name, "arguments": arguments});
        Self::post(json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string())
    }

    /// The same by another person.
    pub fn by(self, person: &str) -> Self {
        let now_s = NOW.0 / 1000;
        self.claims(&json!({
            "iss": ISSUER, "sub": person, "aud": "https://pdp.acme.example", "iat": now_s, "exp": now_s + 600,
        }))
    }

    /// The same with these verified claims.
    pub fn claims(self, claims: &Json) -> Self {
        self.metadata("envoy.filters.http.jwt_authn", &json!({"payload": claims}))
    }

    /// The same with what a filter has found out.
    pub fn metadata(mut self, filter: &str, said: &Json) -> Self {
        self.metadata.insert(filter.into(), said.clone());
        self
    }

    /// The same without verified claims.
    pub fn unclaimed(mut self) -> Self {
        self.metadata.clear();
        self
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// The same without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The same with a setting of the route.
    pub fn route(mut self, name: &str, value: &str) -> Self {
        self.route.insert(name.into(), value.into());
        self
    }

    /// With other words in the body, which the gateway passes on as text.
    pub fn passed_as_text(self, from: &str, to: &str) -> Self {
        let body = String::from_utf8(self.body.clone()).unwrap().replace(from, to).into_bytes();
        let length = body.len().to_string();
        Self { body, is_text: true, ..self }.header("content-length", &length)
    }

    /// With another method, and no body.
    pub fn bodiless(method: &str) -> Self {
        let exchange = Self::post("").without("content-type").without("content-length");
        Self { method: method.into(), ..exchange }
    }

    /// As a gateway asks.
    pub fn request(self) -> CheckRequest {
        let Self { method, path, headers, body, is_text, peer, certificate, route, metadata } = self;
        let (text, raw_body) = if is_text { (body, Vec::new()) } else { (Vec::new(), body) };
        let http = HttpRequest {
            method,
            path,
            headers,
            body: String::from_utf8(text).unwrap(),
            raw_body,
            host: "gateway.acme.example".into(),
            scheme: "https".into(),
            ..HttpRequest::default()
        };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer { principal: peer, certificate }),
                request: Some(Request { http: Some(http) }),
                context_extensions: route,
                metadata_context: Some(Metadata {
                    filter_metadata: metadata
                        .iter()
                        .map(|(name, said)| (name.clone(), object(said)))
                        .collect(),
                }),
            }),
        }
    }

    /// What the usual gateway is answered.
    pub async fn ask(self, pdp: &TestPdp) -> Answer {
        ask(pdp, TOKEN, self.request()).await.unwrap()
    }
}

/// A PDP whose gateway is believed about the claims of [`ISSUER`].
pub async fn start() -> TestPdp {
    start_with(Settings::default()).await
}

/// The same, telling denies in another way.
pub async fn start_with(settings: Settings) -> TestPdp {
    let settings = Settings { issuers: [ISSUER.to_owned()].into(), ..settings };
    let pdp = TestPdp::builder().caller(TOKEN, gateway()).ext_authz(settings).start().await;
    trust(&pdp);
    pdp
}

/// Knows what the claims of [`ISSUER`] mean; it has no keys, so its tokens themselves are good for nothing.
pub fn trust(pdp: &TestPdp) {
    let issuer = Issuer {
        name: ISSUER.into(),
        algorithms: vec![Algorithm::Es256],
        audience: vec![],
        kinds: vec![TokenKind::Jwt],
        lifetime_max_s: None,
        human: Some(HumanClaims { claim: "sub".into(), kind: "Human".into(), unregistered: None }),
        agent_claim: Some("client_id".into()),
    };
    let config = TrustConfig {
        audience: vec!["https://pdp.acme.example".into()],
        leeway_s: 5,
        actor_depth_max: 4,
        issuers: vec![issuer],
        domains: vec![],
    };
    pdp.pdp.trust(Arc::new(Trust::new(Arc::new(config), &BTreeMap::new())));
}

/// What a gateway with this token is answered.
pub async fn ask(pdp: &TestPdp, token: &str, request: CheckRequest) -> Result<Answer, tonic::Status> {
    let mut request = tonic::Request::new(request);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let response = AuthorizationClient::new(pdp.channel().await).check(request).await?;
    Ok(Answer::read(response.into_inner()))
}

impl Answer {
    fn read(response: CheckResponse) -> Self {
        let CheckResponse { status, http_response, dynamic_metadata } = response;
        let code = status.expect("an answer has a status").code;
        let metadata = dynamic_metadata.map(|said| plain_object(&said)).unwrap_or_default();
        let answer = Self {
            permit: code == 0,
            code,
            status: 0,
            headers: BTreeMap::new(),
            body: String::new(),
            removed: vec![],
            metadata,
        };
        match http_response.expect("an answer has a response") {
            HttpResponse::OkResponse(ok) => {
                assert!(answer.permit, "a deny that lets the request on");
                assert!(ok.headers.is_empty());
                Self { removed: ok.headers_to_remove, ..answer }
            }
            HttpResponse::DeniedResponse(denied) => {
                assert!(!answer.permit, "a permit with a denied response");
                let headers = denied.headers.into_iter().map(|option| {
                    let header = option.header.unwrap();
                    (header.key, header.value)
                });
                let status = denied.status.expect("a deny has a status").code;
                Self { status, headers: headers.collect(), body: denied.body, ..answer }
            }
        }
    }

    /// The body of a deny as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// JSON as protobuf has it.
pub fn object(json: &Json) -> Struct {
    let members = json.as_object().unwrap();
    Struct { fields: members.iter().map(|(name, value)| (name.clone(), plain(value))).collect() }
}

fn plain(json: &Json) -> Plain {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(plain).collect() }),
        Json::Object(_) => Kind::StructValue(object(json)),
    };
    Plain { kind: Some(kind) }
}

/// And back.
pub fn plain_object(said: &Struct) -> Json {
    fn back(value: &Plain) -> Json {
        match value.kind.as_ref().unwrap() {
            Kind::NullValue(_) => Json::Null,
            Kind::BoolValue(flag) => (*flag).into(),
            Kind::NumberValue(number) => (*number).into(),
            Kind::StringValue(text) => text.as_str().into(),
            Kind::ListValue(list) => list.values.iter().map(back).collect(),
            Kind::StructValue(object) => plain_object(object),
        }
    }
    Json::Object(said.fields.iter().map(|(name, value)| (name.clone(), back(value))).collect())
}
