//! Logs and traces: where they go.
//! Never the audit, and never in the way: a collector that cannot be reached costs spans, not answers.

use std::io;
use std::time::Duration;

use http::Uri;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take to leave when the server stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Which logs are written unless told otherwise. `notify` tells of every directory that vanishes.
pub const USUAL_FILTER: &str = "info,notify=error";

/// Where logs and traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which logs to write, as `RUST_LOG` has it.
    pub filter: String,
    /// Logs as JSON, one object per line, rather than for people.
    pub json: bool,
    /// Colours, for people.
    pub colours: bool,
    /// The collector's gRPC address: `http://localhost:4317`. None: traces go nowhere.
    pub otlp_endpoint: Option<String>,
    /// The name of this service in traces.
    pub service_name: String,
    /// The share of traces, begun here, that is kept: 0 to 1. A caller that sent a trace decided already.
    pub sample_ratio: f64,
}

/// Why telemetry does not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("{0}")]
    Filter(String),
    /// The exporter refuses its configuration.
    #[error("traces cannot be exported to `{endpoint}`; mend `telemetry.otlp_endpoint`")]
    Exporter {
        /// The collector's address.
        endpoint: String,
        /// Why not.
        #[source]
        source: ExporterBuildError,
    },
    /// Logs go elsewhere already.
    #[error("logs were set up before")]
    Twice(#[from] TryInitError),
}

/// Sends the last spans when it is dropped.
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Sets up logs (to standard error) and, if an endpoint is configured, traces. Once per process, within a runtime.
///
/// # Errors
/// [`TelemetryError`] when the configuration is not usable. A collector that cannot be reached is no error.
pub fn start(config: &Config) -> Result<Telemetry, TelemetryError> {
    let provider = config.otlp_endpoint.as_deref().map(|endpoint| provider(config, endpoint)).transpose()?;
    subscriber(config, provider.as_ref())?.try_init()?;
    Ok(Telemetry { provider })
}

/// Who hears of spans and events. Each layer has the whole filter: one before all of them would make every span first and let
/// the layers say afterwards that none wants it, and one that nobody exports costs as much as a decision.
fn subscriber(
    config: &Config,
    provider: Option<&SdkTracerProvider>,
) -> Result<impl Subscriber + Send + Sync + use<>, TelemetryError> {
    let filter = || parse_filter(&config.filter).map_err(TelemetryError::Filter);
    // Only our own spans: those of the exporter's connection would beget further exports.
    let ours = filter_fn(|metadata| metadata.target().starts_with("palisade"));
    // The filter beside says what level is of interest at all: one without a hint of its own would make it every level.
    let ours = ours.with_max_level_hint(LevelFilter::TRACE);
    let tracer = provider.map(|provider| provider.tracer("palisade"));
    let layer = |tracer| tracing_opentelemetry::layer().with_tracer(tracer);
    let spans = match tracer.map(layer) {
        Some(spans) => Some(spans.with_filter(ours.and(filter()?)).boxed()),
        None => None,
    };
    let logs = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(config.colours);
    let events = filter_fn(|metadata: &tracing::Metadata<'_>| metadata.is_event());
    let events = events.with_max_level_hint(LevelFilter::TRACE).and(filter()?);
    let logs = if config.json {
        let logs = logs.json().flatten_event(true).with_current_span(false).with_span_list(false);
        logs.with_filter(events).boxed()
    } else {
        logs.with_filter(events).boxed()
    };
    // A layer that is not there must not stand here as none: that one would want every span.
    let layers: Vec<_> = spans.into_iter().chain([logs]).collect();
    Ok(tracing_subscriber::registry().with(layers))
}

fn provider(config: &Config, endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint: endpoint.to_owned(), source })?;
    let begun_here = Sampler::TraceIdRatioBased(config.sample_ratio);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(begun_here)))
        .with_resource(Resource::builder().with_service_name(config.service_name.clone()).build())
        .build())
}

/// Whether `RUST_LOG` could have this value.
pub(super) fn check_filter(filter: &str) -> Result<(), String> {
    parse_filter(filter).map(|_| ())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, String> {
    if filter.contains('[') {
        return Err(format!(
            "`{filter}` names spans, which logs do not have here; write targets and levels, like `warn,palisade=debug`"
        ));
    }
    EnvFilter::builder().parse(filter).map_err(|error| {
        format!("`{filter}` is no log filter ({error}); write one like `info` or `palisade=debug`")
    })
}

/// Whether a collector could be there.
pub(super) fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let uri = endpoint.parse::<Uri>().ok();
    match uri.as_ref().map(|uri| (uri.scheme_str(), uri.host())) {
        Some((Some("http"), Some(_))) => Ok(()),
        Some((Some("https"), Some(_))) => Err(format!(
            "`{endpoint}`: TLS to a collector is not supported; send to one beside this server over http://"
        )),
        Some(_) | None => {
            Err(format!("`{endpoint}` is not an address; write one like `http://localhost:4317`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_scheme_or_with_tls_is_no_collector() {
        check_endpoint("http://localhost:4317").unwrap();
        assert!(check_endpoint("localhost:4317").unwrap_err().contains("http://localhost:4317"));
        assert!(check_endpoint("https://collector:4317").unwrap_err().contains("TLS"));
        assert!(check_endpoint("").is_err());
    }

    #[test]
    fn a_filter_that_names_spans_is_refused() {
        check_filter("warn,palisade=debug").unwrap();
        let words = check_filter("warn,palisade[evaluation]=debug").unwrap_err();
        assert!(words.contains("names spans") && words.contains("palisade=debug"), "{words}");
    }

    fn exporting_to(endpoint: Option<&str>) -> Config {
        Config {
            filter: "info".into(),
            json: true,
            colours: false,
            otlp_endpoint: endpoint.map(str::to_owned),
            service_name: "test".into(),
            sample_ratio: 1.0,
        }
    }

    #[test]
    fn there_are_spans_only_where_they_are_exported() {
        let config = exporting_to(None);
        let collector = SdkTracerProvider::default();
        for (collector, wanted) in [(None, false), (Some(&collector), true)] {
            let hearing = subscriber(&config, collector).unwrap();
            let hint = hearing.max_level_hint();
            let there =
                tracing::subscriber::with_default(hearing, || !tracing::info_span!("call").is_disabled());
            assert_eq!(there, wanted);
            assert_eq!(hint, Some(LevelFilter::INFO), "nothing below is made at all");
        }
    }

    #[tokio::test]
    async fn an_unreachable_collector_is_no_error() {
        // Port 9 of loopback: nothing listens there, and nobody waits for it.
        let endpoint = "http://127.0.0.1:9";
        let config = exporting_to(Some(endpoint));
        let _provider = provider(&config, endpoint).unwrap();
    }
}
