//! One request over HTTP, as the gateway describes it.
//! Never chooses between two values of a header, and never takes half a body for a whole one.

use std::collections::BTreeMap;

use prost_types::value::Kind;

use crate::api::proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use crate::api::proto::envoy::service::auth::v3::AttributeContext;
use crate::api::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};

use crate::api::gateway::{Brought, Headers, TASK_TOKEN, Unreadable};

/// Where Envoy's filter puts what it has verified, below a name of the operator's choice.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
/// Says whether the gateway passed on a part of the body only.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
/// Headers by which some servers let a client change the method.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The request, and what the gateway knows of it.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    pub(super) host: String,
    pub(super) scheme: String,
    pub(super) headers: Headers,
    raw_body: Vec<u8>,
    body: String,
    /// What the certificate of the client's connection proves.
    pub(super) peer: String,
    /// That certificate in PEM, percent-encoded.
    pub(super) certificate: String,
    /// The settings of the route.
    pub(super) route: BTreeMap<String, String>,
    /// What filters before this one have found out, by their names.
    pub(super) metadata: BTreeMap<String, prost_types::Struct>,
}

impl Exchange {
    /// Takes a question apart; none when it is about no request over HTTP.
    pub(super) fn of(attributes: AttributeContext) -> Option<Result<Self, Unreadable>> {
        let AttributeContext { source, request, context_extensions, metadata_context } = attributes;
        let Request { http } = request?;
        let HttpRequest { id: _, method, headers, header_map, path, host, scheme, body, raw_body } = http?;
        let Peer { principal, certificate } = source.unwrap_or_default();
        let raw = header_map.map(|HeaderMap { headers }| headers).unwrap_or_default();
        if !headers.is_empty() && !raw.is_empty() {
            return Some(Err(Unreadable::request("the gateway sends the headers twice")));
        }
        let plain = headers.into_iter().map(|(name, value)| (name, Some(value)));
        let headers = plain.chain(raw.into_iter().map(header)).collect();
        Some(Ok(Self {
            method,
            path,
            host,
            scheme,
            headers,
            raw_body,
            body,
            peer: principal,
            certificate,
            route: context_extensions,
            metadata: metadata_context.map(|metadata| metadata.filter_metadata).unwrap_or_default(),
        }))
    }

    /// The body, whole and of the type that it must have.
    pub(super) fn json_body(&self) -> Result<&[u8], Unreadable> {
        if !is_json(self.headers.one("content-type")?) {
            return Err(Unreadable::request("`Content-Type` must be application/json, in UTF-8"));
        }
        if self.headers.one("content-encoding")?.is_some_and(|encoding| encoding != "identity") {
            return Err(Unreadable::request("send the body without `Content-Encoding`"));
        }
        let body = self.body()?;
        if body.is_empty() {
            return Err(Unreadable::request(
                "there is no body: the gateway must send it along (`with_request_body`)",
            ));
        }
        if let Some(length) = self.headers.one("content-length")?
            && length.parse() != Ok(body.len())
        {
            return Err(Unreadable::request("the body is not as long as `Content-Length` says"));
        }
        Ok(body)
    }

    fn body(&self) -> Result<&[u8], Unreadable> {
        let parts = self.headers.all(PARTIAL_BODY);
        if parts.into_iter().any(|partial| partial != Some("false")) {
            return Err(Unreadable::request("only a part of the body came along"));
        }
        match (self.raw_body.as_slice(), self.body.as_bytes()) {
            (raw, []) => Ok(raw),
            // Gateways put this for what is no UTF-8 where they pass on text.
            ([], _) if self.body.contains('\u{fffd}') => {
                Err(Unreadable::request("the body may be no UTF-8: the gateway must pass on its bytes"))
            }
            ([], text) => Ok(text),
            (raw, text) if raw == text => Ok(raw),
            (_, _) => Err(Unreadable::request("the gateway sends two bodies")),
        }
    }

    /// Refuses what would be another request to the server behind.
    pub(super) fn check_method(&self) -> Result<(), Unreadable> {
        if OVERRIDES.into_iter().any(|name| !self.headers.all(name).is_empty()) {
            return Err(Unreadable::request("a header asks for another method; send the method itself"));
        }
        Ok(())
    }

    /// Whether anything came as a body.
    pub(super) fn has_body(&self) -> bool {
        !self.raw_body.is_empty() || !self.body.is_empty()
    }

    /// The query, without its mark.
    pub(super) fn query(&self) -> &str {
        self.path.split_once('?').map_or("", |(_, query)| query)
    }

    /// The path without the query.
    pub(super) fn path_alone(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// What says who asks.
    pub(super) fn brought(&self) -> Result<Brought<'_>, Unreadable> {
        let claims = self.metadata.get(JWT_AUTHN).into_iter().flat_map(|verified| verified.fields.values());
        let claims = claims.filter_map(|payload| match &payload.kind {
            Some(Kind::StructValue(payload)) => Some(payload),
            _ => None,
        });
        Ok(Brought {
            authorization: self.headers.one("authorization")?,
            task: self.headers.one(TASK_TOKEN)?,
            dpop: self.headers.one("dpop")?,
            method: &self.method,
            url: self.url(),
            certificate: &self.certificate,
            workload: &self.peer,
            claims: claims.collect(),
        })
    }

    /// The URL as the client meant it, without the query (RFC 9449, section 4.2, `htu`).
    fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path_alone())
    }
}

fn header(raw: HeaderValue) -> (String, Option<String>) {
    let HeaderValue { key, value, raw_value } = raw;
    let value = if raw_value.is_empty() { Some(value) } else { String::from_utf8(raw_value).ok() };
    (key, value)
}

/// `application/json`, in UTF-8 if it says so, and with nothing else to say.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return false };
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    media_type.trim().eq_ignore_ascii_case("application/json")
        && matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}
