//! Questions as agentgateway puts them, and its answers in short.
//! Never repairs an answer.

use std::collections::BTreeMap;

use palisade::api::ext_authz::Settings;
use palisade::api::proto::ext_mcp as wire;
use palisade::api::proto::ext_mcp::ext_mcp_client::ExtMcpClient;
use palisade::api::proto::ext_mcp::mcp_request_result::Result as Went;
use palisade::api::proto::ext_mcp::mcp_response_result::Result as CameBack;
use serde_json::{Value as Json, json};

use crate::ext_authz::ask::{ISSUER, SUPPORT_BOT, object, plain_object, trust};
use crate::pdp::{Builder, NOW, TOKEN, TestPdp, gateway};

/// A request that may be changed before it is asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    pub targets: Vec<String>,
    pub method: String,
    pub params: Option<Vec<u8>>,
    pub metadata: BTreeMap<String, Json>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What comes back from servers.
#[derive(Debug, Clone)]
pub struct Came {
    pub targets: Vec<String>,
    pub method: String,
    pub result: Vec<u8>,
    pub metadata: BTreeMap<String, Json>,
}

/// What the gateway does then.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    Pass,
    /// With this instead.
    Instead(String),
    /// An error of this code, words and data.
    Refuse(wire::authorization_error::Code, String, Json),
}

/// An answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub does: Does,
    pub removed: Vec<String>,
    pub metadata: Json,
}

/// What the gateway says of Ana, and of the support bot that acts for her.
fn ana() -> BTreeMap<String, Json> {
    BTreeMap::from([("jwt".into(), claims("ana")), ("workload".into(), SUPPORT_BOT.into())])
}

/// The claims of a person.
pub fn claims(person: &str) -> Json {
    let now_s = NOW.0 / 1000;
    json!({"iss": ISSUER, "sub": person, "aud": "https://pdp.acme.example", "iat": now_s, "exp": now_s + 600})
}

impl Asked {
    /// A method with parameters, for the server `crm`, of Ana through the support bot.
    pub fn of(method: &str, params: impl Into<Vec<u8>>) -> Self {
        Self { params: Some(params.into()), ..Self::plain(method) }
    }

    /// The same without parameters.
    pub fn plain(method: &str) -> Self {
        let headers = ["content-type: application/json", ":method: POST", ":path: /mcp"];
        let headers = headers.map(|line| {
            let (name, value) = line.rsplit_once(": ").unwrap();
            (name.to_owned(), value.into())
        });
        Self {
            targets: vec!["crm".into()],
            method: method.into(),
            params: None,
            metadata: ana(),
            headers: headers.into(),
        }
    }

    /// The call of a tool.
    pub fn call(name: &str, arguments: &Json) -> Self {
        Self::of("tools/call", json!({"name": name, "arguments": arguments}).to_string())
    }

    /// A refund.
    pub fn refund(amount: i64) -> Self {
        Self::call("issue_refund", &json!({"order": "o-1", "amount": amount}))
    }

    /// The same for other targets.
    pub fn to(self, targets: &[&str]) -> Self {
        Self { targets: targets.iter().map(|&target| target.into()).collect(), ..self }
    }

    /// The same with a header more.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same over no HTTP.
    pub fn without_http(mut self) -> Self {
        self.headers.retain(|(name, _)| !name.starts_with(':'));
        self
    }

    /// The same with something that the operator has the gateway say.
    pub fn metadata(mut self, name: &str, said: impl Into<Json>) -> Self {
        self.metadata.insert(name.into(), said.into());
        self
    }

    /// The same without it.
    pub fn without(mut self, name: &str) -> Self {
        self.metadata.remove(name);
        self
    }

    fn request(self) -> wire::McpRequest {
        let Self { targets, method, params, metadata, headers } = self;
        let header = |(key, value)| wire::McpHeader { key, value };
        wire::McpRequest {
            service_names: targets,
            method,
            metadata_context: Some(object(&json!(metadata))),
            mcp_request: params,
            headers: headers.into_iter().map(header).collect(),
        }
    }

    /// What the usual gateway is answered.
    pub async fn ask(self, pdp: &TestPdp) -> Answer {
        self.by(pdp, TOKEN).await.unwrap()
    }

    /// What a gateway with this token is answered.
    pub async fn by(self, pdp: &TestPdp, token: &str) -> Result<Answer, tonic::Status> {
        let mut client = ExtMcpClient::new(pdp.channel().await);
        let answer = client.check_request(with_token(self.request(), token)).await?.into_inner();
        let wire::McpRequestResult { result, header_mutation, metadata } = answer;
        let does = match result.expect("an answer has a result") {
            Went::Pass(wire::Pass {}) => Does::Pass,
            Went::Mutated(params) => Does::Instead(String::from_utf8(params).unwrap()),
            Went::Error(error) => {
                assert_eq!((&header_mutation, &metadata), (&None, &None));
                refused(&error)
            }
        };
        let wire::HeaderMutation { set, remove } = header_mutation.unwrap_or_default();
        assert!(set.is_empty());
        let metadata = metadata.map(|said| plain_object(&said)).unwrap_or_default();
        Ok(Answer { does, removed: remove, metadata })
    }
}

impl Came {
    /// A list of `crm`, for Ana through the support bot.
    pub fn of(method: &str, result: impl Into<Vec<u8>>) -> Self {
        let metadata = ana();
        Self { targets: vec!["crm".into()], method: method.into(), result: result.into(), metadata }
    }

    /// The same from other targets.
    pub fn from(self, targets: &[&str]) -> Self {
        Self { targets: targets.iter().map(|&target| target.into()).collect(), ..self }
    }

    /// The same with something that the operator has the gateway say.
    pub fn metadata(mut self, name: &str, said: impl Into<Json>) -> Self {
        self.metadata.insert(name.into(), said.into());
        self
    }

    /// The same for Bo through his coding agent, who may use the demonstration server.
    pub fn for_bo(self) -> Self {
        self.metadata("jwt", claims("bo")).metadata("workload", "spiffe://acme.example/agent/coder")
    }

    /// What the usual gateway is answered.
    pub async fn ask(self, pdp: &TestPdp) -> Does {
        self.by(pdp, TOKEN).await.unwrap()
    }

    /// What a gateway with this token is answered.
    pub async fn by(self, pdp: &TestPdp, token: &str) -> Result<Does, tonic::Status> {
        let Self { targets, method, result, metadata } = self;
        let response = wire::McpResponse {
            service_names: targets,
            method,
            metadata_context: Some(object(&json!(metadata))),
            mcp_response: result,
        };
        let mut client = ExtMcpClient::new(pdp.channel().await);
        let answer = client.check_response(with_token(response, token)).await?.into_inner();
        Ok(match answer.result.expect("an answer has a result") {
            CameBack::Pass(wire::Pass {}) => Does::Pass,
            CameBack::Mutated(result) => Does::Instead(String::from_utf8(result).unwrap()),
            CameBack::Error(error) => refused(&error),
        })
    }
}

impl Does {
    /// What goes on instead, as JSON.
    pub fn json(&self) -> Json {
        match self {
            Self::Instead(text) => serde_json::from_str(text).unwrap(),
            Self::Pass | Self::Refuse(..) => panic!("nothing instead: {self:?}"),
        }
    }

    /// The code of a refusal, and its reason.
    pub fn refusal(&self) -> (wire::authorization_error::Code, &str) {
        match self {
            Self::Refuse(code, _, data) => (*code, data["reason"].as_str().unwrap()),
            Self::Pass | Self::Instead(_) => panic!("no refusal: {self:?}"),
        }
    }
}

fn refused(error: &wire::AuthorizationError) -> Does {
    let data = error.mcp_error.as_ref().expect("an error has data");
    Does::Refuse(error.code(), error.reason.clone(), serde_json::from_slice(data).unwrap())
}

fn with_token<T>(message: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// A PDP whose gateway is believed about the claims of [`ISSUER`].
pub async fn start() -> TestPdp {
    start_of(TestPdp::builder().caller(TOKEN, gateway())).await
}

/// The same, made of this.
pub async fn start_of(builder: Builder) -> TestPdp {
    let settings = Settings { issuers: [ISSUER.to_owned()].into(), ..Settings::default() };
    let pdp = builder.ext_authz(settings).start().await;
    trust(&pdp);
    pdp
}
