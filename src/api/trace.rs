//! What joins a call to others: the W3C trace context (§3.2) and the caller's own id, from headers or gRPC metadata.
//! Never trusts it beyond joining: a malformed header is no header.

use http::{HeaderMap, HeaderName};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::wire::REQUEST_ID_BYTES_MAX;

/// The trace id of a `traceparent`, when it is well formed: 32 lower-case hexadecimal digits, not all zero.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = header.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let valid = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16);
    (valid && trace.bytes().any(|b| b != b'0')).then(|| trace.to_owned())
}

/// Makes the caller's span the parent of ours, if spans are wanted at all.
pub(super) fn adopt(span: &tracing::Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(headers));
    // The span is new and belongs to nobody yet, so this cannot fail in a way that matters: at worst it is a root.
    drop(span.set_parent(parent));
}

/// The header with the client's own id for a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client's own id for a request, if it is fit for a record; else nothing.
pub(super) fn request_id(headers: &HeaderMap) -> &str {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fits = sent.len() <= REQUEST_ID_BYTES_MAX && sent.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { sent } else { "" }
}

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(header: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", header.parse().unwrap());
        trace_id(&headers)
    }

    #[test]
    fn only_a_well_formed_traceparent_has_a_trace_id() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(id(good).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f35-00f067aa0ba902b7-01",
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }
}
