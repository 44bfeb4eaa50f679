//! W3C trace context as it comes in gRPC metadata (W3C Trace Context, §3.2).
//! Never trusts it beyond joining traces: a malformed header is no header.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{KeyRef, MetadataMap};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The trace id of a `traceparent`, when it is well formed: 32 lower-case hexadecimal digits, not all zero.
pub(super) fn trace_id(metadata: &MetadataMap) -> Option<String> {
    let header = metadata.get("traceparent")?.to_str().ok()?;
    let mut parts = header.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let valid = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16);
    (valid && trace.bytes().any(|b| b != b'0')).then(|| trace.to_owned())
}

/// Makes the caller's span the parent of ours, if spans are wanted at all.
pub(super) fn adopt(span: &tracing::Span, metadata: &MetadataMap) {
    if span.is_disabled() {
        return;
    }
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(metadata));
    // The span is new and belongs to nobody yet, so this cannot fail in a way that matters: at worst it is a root.
    drop(span.set_parent(parent));
}

struct Carrier<'a>(&'a MetadataMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .filter_map(|key| match key {
                KeyRef::Ascii(key) => Some(key.as_str()),
                KeyRef::Binary(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(header: &'static str) -> Option<String> {
        let mut metadata = MetadataMap::new();
        metadata.insert("traceparent", header.parse().unwrap());
        trace_id(&metadata)
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
