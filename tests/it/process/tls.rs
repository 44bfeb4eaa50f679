//! TLS of the real binary: where its files come from, and what happens when they change or were never good.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use rustix::process::{Signal, geteuid};
use rustls::pki_types::CertificateDer;
use tokio::runtime::Runtime;
use tonic::Code;

use super::child::{Process, until};
use super::place::{PERMIT, Place};
use super::server::{Client, Server, is_permit, probe};
use crate::certificates::{Authority, Dialler, Issued, server, uris};
use crate::spiffe::{identity, own};
use crate::spire::Spire;

const GATEWAY: &str = "spiffe://acme.example/gateway";
const CALLERS: &str = "callers:\n  - name: gateway\n    spiffe_id: spiffe://acme.example/gateway\n    \
                       roles: [authorize, assert]\n    servers: \"*\"\n";
const TAKEN_UP: &str = "new connections are served with the files of TLS as they are now";

/// A place with files of TLS.
struct Secured {
    place: Place,
    authority: Authority,
    runtime: Runtime,
}

impl Secured {
    fn new() -> Self {
        let place = Place::with(PERMIT);
        let authority = Authority::new("acme");
        place.configure(&format!(
            "listen:\n  grpc_tls: {{ certificate: tls.crt, key: tls.key, client_ca: ca.crt }}\n{CALLERS}"
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let this = Self { place, authority, runtime: runtime.unwrap() };
        fs::write(this.path("ca.crt"), this.authority.pem()).unwrap();
        this.put(&this.authority.issue(server()));
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn put(&self, issued: &Issued) {
        issued.write(&self.path("tls.crt"), &self.path("tls.key"));
    }

    fn dialler(&self) -> Dialler {
        Dialler::trusting(&self.authority).showing(&self.authority.issue(uris(&[GATEWAY])))
    }

    /// The certificate that a new connection sees.
    fn served(&self, server: &Server) -> CertificateDer<'static> {
        let stream = self.runtime.block_on(self.dialler().dial(server.grpc)).unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    fn check_refused(&self, words: &[&str]) {
        let ended = self.place.refused();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
        for part in words {
            assert!(ended.stderr.contains(part), "`{part}` is not in:\n{}", ended.stderr);
        }
        assert!(!self.place.data().exists(), "a start without TLS leaves nothing behind");
    }
}

#[test]
fn a_rotation_under_load_drops_no_connection_and_new_ones_see_the_new_certificate() {
    let secured = Secured::new();
    let server = secured.place.start();
    let channel = secured.runtime.block_on(secured.dialler().channel(server.grpc)).unwrap();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (stop, asked) = (stop.clone(), asked.clone());
        let mut client = AuthorizationClient::new(channel);
        secured.runtime.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let answer = client.authorize(probe("")).await.expect("the open connection was dropped");
                assert!(is_permit(&answer.into_inner()));
                asked.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let mut last = secured.served(&server);
    for round in 1..=3 {
        let next = secured.authority_issues_next(&last);
        secured.put(&next);
        if round < 3 {
            server.process().signal(Signal::HUP);
        }
        // The last without a signal.
        until("the new certificate", || (secured.served(&server) == next.der).then_some(()));
        last = next.der;
        let before = asked.load(Ordering::SeqCst);
        until("further answers", || (asked.load(Ordering::SeqCst) > before + 10).then_some(()));
    }
    stop.store(true, Ordering::SeqCst);
    secured.runtime.block_on(load).unwrap();
    assert_eq!(server.log().text().matches(TAKEN_UP).count(), 3);
    assert_eq!(secured.place.records_of("decided")[0]["caller"], "gateway");
    assert_eq!(server.stop().code, Some(0));
}

impl Secured {
    fn authority_issues_next(&self, last: &CertificateDer<'_>) -> Issued {
        let next = self.authority.issue(server());
        assert_ne!(next.der, *last);
        next
    }
}

#[test]
fn a_broken_rotation_keeps_the_last_good_certificate_and_says_so_once() {
    let secured = Secured::new();
    let server = secured.place.start();
    let good = secured.served(&server);
    let other = secured.authority.issue(crate::certificates::server());
    // The certificate of one key with another key.
    fs::write(secured.path("tls.crt"), &other.certificate_pem).unwrap();
    server.process().signal(Signal::HUP);
    server.log().wait_for_text("the files of TLS have changed and cannot be used");
    assert_eq!(secured.served(&server), good);
    fs::write(secured.path("tls.key"), "nothing of use").unwrap();
    server.process().signal(Signal::HUP);
    server.log().wait_for_text("is not an unencrypted private key in PEM");
    fs::remove_file(secured.path("tls.key")).unwrap();
    for _ in 0..3 {
        server.process().signal(Signal::HUP);
    }
    server.log().wait_for_text("cannot read the private key");
    assert_eq!(secured.served(&server), good);
    secured.put(&other);
    server.process().signal(Signal::HUP);
    server.log().wait_for_text(TAKEN_UP);
    assert_eq!(secured.served(&server), other.der);
    let log = server.log().text();
    assert_eq!(log.matches("cannot read the private key").count(), 1, "{log}");
    assert!(!log.contains("nothing of use") && !log.contains("PRIVATE KEY"), "a key in the log: {log}");
}

#[test]
fn new_roots_of_clients_count_for_new_connections() {
    let secured = Secured::new();
    let server = secured.place.start();
    let before = secured.dialler();
    let open = secured.runtime.block_on(before.channel(server.grpc)).unwrap();
    let mut open = AuthorizationClient::new(open);
    secured.runtime.block_on(open.authorize(probe(""))).unwrap();
    fs::write(secured.path("ca.crt"), Authority::new("another").pem()).unwrap();
    server.process().signal(Signal::HUP);
    server.log().wait_for_text(TAKEN_UP);
    let refused = secured.runtime.block_on(async {
        match before.channel(server.grpc).await {
            Ok(channel) => AuthorizationClient::new(channel).authorize(probe("")).await.is_err(),
            Err(_) => true,
        }
    });
    assert!(refused);
    secured.runtime.block_on(open.authorize(probe(""))).unwrap();
}

#[test]
fn a_certificate_that_has_expired_or_soon_will_is_told() {
    for (valid, words) in [((-7200, -3600), "has expired"), ((-90 * 86_400, 3600), "ends soon")] {
        let secured = Secured::new();
        secured.put(&secured.authority.issue(server().valid(valid.0, valid.1)));
        secured.place.start().log().wait_for_text(words);
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let secured = Secured::new();
    fs::write(secured.path("ca.crt"), "nothing").unwrap();
    secured.check_refused(&["`ca.crt` is not a certificate of an issuer in PEM", "-----BEGIN"]);
    fs::remove_file(secured.path("ca.crt")).unwrap();
    secured.check_refused(&["cannot read the clients' roots `ca.crt`", "let this user read it"]);
    fs::write(secured.path("ca.crt"), secured.authority.pem()).unwrap();
    fs::write(secured.path("tls.key"), secured.authority.issue(server()).key_pem).unwrap();
    secured.check_refused(&["`tls.crt` with `tls.key` cannot be used", "its own private key"]);
}

#[test]
fn an_identity_of_spiffe_is_served_by_the_real_binary() {
    let secured = Secured::new();
    let acme = Authority::new("spiffe://acme.example");
    let spire =
        secured.runtime.block_on(async { Spire::start(Ok(identity(&acme.issue(own()), &acme, &[]))) });
    secured.place.configure(&format!(
        "listen:\n  grpc_tls: {{ spiffe: {{ workload_api: \"{}\" }} }}\n{CALLERS}",
        spire.endpoint()
    ));
    let server = secured.place.start();
    let dialler = Dialler::trusting(&acme).showing(&acme.issue(uris(&[GATEWAY])));
    let channel = secured.runtime.block_on(dialler.channel(server.grpc)).unwrap();
    let answer = secured.runtime.block_on(AuthorizationClient::new(channel).authorize(probe(""))).unwrap();
    assert!(is_permit(&answer.into_inner()));
    assert_eq!(server.stop().code, Some(0));
    let told = tonic::Status::invalid_argument("no");
    spire.told.send(Err(told)).unwrap();
    let refused = secured.place.refused();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for part in ["the SPIFFE Workload API at unix://", "start the agent there", "register this workload"] {
        assert!(refused.stderr.contains(part), "`{part}` is not in:\n{}", refused.stderr);
    }
}

#[test]
fn a_listener_that_others_reach_may_know_callers_by_certificate_alone() {
    let secured = Secured::new();
    let mut command = secured.place.bare(std::path::Path::new(env!("CARGO_BIN_EXE_palisade")));
    command.args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--grpc", "0.0.0.0:0"]);
    let server = Server::started(Process::spawn(&mut command), &secured.place.data());
    let local = (std::net::Ipv4Addr::LOCALHOST, server.grpc.port()).into();
    let channel = secured.runtime.block_on(secured.dialler().channel(local)).unwrap();
    let answer = secured.runtime.block_on(AuthorizationClient::new(channel).authorize(probe(""))).unwrap();
    assert!(is_permit(&answer.into_inner()));
    let nobody = Dialler::trusting(&secured.authority)
        .showing(&secured.authority.issue(uris(&["spiffe://acme.example/nobody"])));
    let channel = secured.runtime.block_on(nobody.channel(local)).unwrap();
    let refused = secured.runtime.block_on(AuthorizationClient::new(channel).authorize(probe("")));
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn the_user_of_a_unix_sockets_client_is_known() {
    let serve = |uid: u32| {
        let place = Place::with(PERMIT);
        place.configure(&format!(
            "callers:\n  - name: sidecar\n    unix_user: {uid}\n    roles: [authorize, assert]\n    servers: \"*\"\n"
        ));
        let socket = place.path().join("grpc.sock");
        let mut command = place.bare(std::path::Path::new(env!("CARGO_BIN_EXE_palisade")));
        command.args([
            "--http",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--grpc",
            &format!("unix:{}", socket.display()),
        ]);
        let process = Process::spawn(&mut command);
        process.stdout.wait_for_text("ready\n");
        (place, process, Client::over(&socket))
    };
    let own = geteuid().as_raw();
    let (place, _process, client) = serve(own);
    assert!(client.may_read());
    assert_eq!(place.records_of("decided")[0]["caller"], "sidecar");
    let refused = client.ask_with(probe(""), &[("authorization", "Bearer nobody")]).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "a token decides alone");
    let (_place, _process, client) = serve(own + 1);
    assert_eq!(client.ask(probe("")).unwrap_err().code(), Code::Unauthenticated);
}
