//! Traces: a call joins its caller's trace, in the record and at a collector that really receives.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use palisade::audit::digest::hex;
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

use super::child::DEADLINE;
use super::place::{PERMIT, Place};
use super::server::{Server, probe};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{PARENT}-{flags}")
}

/// A collector that gives on what it receives: the service's name and its span.
struct Collector {
    _runtime: Runtime,
    address: SocketAddr,
    spans: Receiver<(String, Span)>,
}

struct Receiving(Sender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Receiving {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let attributes = of_resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let name = attributes.into_iter().find(|pair| pair.key == "service.name");
            let service = match name.and_then(|pair| pair.value?.value) {
                Some(Value::StringValue(name)) => name,
                other => format!("{other:?}"),
            };
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                // The test may have seen enough.
                let _ = self.0.send((service.clone(), span));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, spans) = channel();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = TraceServiceServer::new(Receiving(sender));
        runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { _runtime: runtime, address, spans }
    }

    /// A server that sends its traces here.
    fn traced(&self, place: &Place, ratio: &str) -> Server {
        place.configure(&format!(
            "telemetry:\n  otlp_endpoint: http://{}\n  service_name: palisade-under-test\n  sample_ratio: {ratio}\n",
            self.address
        ));
        place.start()
    }

    fn next(&self) -> (String, Span) {
        self.spans.recv_timeout(DEADLINE).expect("a span arrives")
    }
}

#[test]
fn a_span_of_a_call_arrives_at_the_collector_in_the_trace_of_its_caller() {
    let collector = Collector::start();
    let place = Place::with(PERMIT);
    let server = collector.traced(&place, "1.0");
    let answer = server.client().ask_with(probe(""), &[("traceparent", &traceparent(TRACE, "01"))]).unwrap();
    let (service, span) = collector.next();
    assert_eq!(service, "palisade-under-test");
    assert_eq!(span.name, "authorize");
    assert_eq!((hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str()), (TRACE, PARENT));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let record = &place.records_of("decided")[0];
    assert_eq!(
        (record["decision"].as_str(), record["trace_id"].as_str()),
        (Some(&*answer.decision_id), Some(TRACE))
    );
}

#[test]
fn the_last_spans_leave_when_the_server_stops() {
    let collector = Collector::start();
    let place = Place::with(PERMIT);
    let server = collector.traced(&place, "1.0");
    let client = server.client();
    client.ask(probe("")).unwrap();
    client.ask_all(vec![probe("")]).unwrap();
    assert_eq!(server.stop().code, Some(0));
    let mut names = [collector.next().1.name, collector.next().1.name];
    names.sort();
    assert_eq!(names, ["authorize", "authorize_batch"]);
}

#[test]
fn who_began_the_trace_decides_whether_it_is_kept() {
    let collector = Collector::start();
    let place = Place::with(PERMIT);
    let server = collector.traced(&place, "0.0");
    let client = server.client();
    let (kept, dropped) = ("a".repeat(32), "b".repeat(32));
    client.ask(probe("")).unwrap();
    client.ask_with(probe(""), &[("traceparent", &traceparent(&dropped, "00"))]).unwrap();
    client.ask_with(probe(""), &[("traceparent", &traceparent(&kept, "01"))]).unwrap();
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(hex(&collector.next().1.trace_id), kept);
    assert!(collector.spans.try_recv().is_err(), "traces that nobody wants are not sent");
    let traces: Vec<_> =
        place.records_of("decided").iter().map(|line| line["trace_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(traces, [None, Some(dropped), Some(kept)], "records name every trace");
}

#[test]
fn a_collector_that_is_not_there_costs_no_answer_and_no_exit_code() {
    let place = Place::with(PERMIT);
    // Somebody had this port, and nobody has it now.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.configure(&format!("telemetry: {{ otlp_endpoint: \"http://{gone}\" }}\n"));
    let server = place.start();
    let client = server.client();
    assert!((0..50).all(|_| client.may_read()));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_malformed_trace_context_is_no_trace() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    for bad in ["nonsense", &traceparent(&"0".repeat(32), "01"), &traceparent("4BF92F", "01")] {
        client.ask_with(probe(""), &[("traceparent", bad)]).unwrap();
    }
    assert!(place.records_of("decided").iter().all(|line| line.get("trace_id").is_none()));
}
