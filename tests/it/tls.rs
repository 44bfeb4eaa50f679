//! Callers by certificate: who is known, who is refused, and where the handshake ends.

use std::path::PathBuf;
use std::time::Duration;

use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::identity::KnownBy;
use palisade::server::tls::{Clients, Config, Files, Source};
use rcgen::KeyUsagePurpose;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::asks;
use super::certificates::{Authority, Dialler, Issued, Wish, names, server, uris};
use super::pdp::{Builder, TOKEN, TestPdp, caller, gateway};

const GATEWAY: &str = "spiffe://acme.example/gateway";
const OLD: &[&SupportedProtocolVersion] = &[&TLS12];
const NEW: &[&SupportedProtocolVersion] = &[&TLS13];
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with files, and the authorities of both sides.
struct World {
    pdp: TestPdp,
    servers: Authority,
    clients: Authority,
    _files: TempDir,
}

fn by_id(id: &str) -> KnownBy {
    KnownBy { spiffe_id: Some(id.to_owned()), ..KnownBy::default() }
}

fn by_name(name: &str) -> KnownBy {
    KnownBy { dns_name: Some(name.to_owned()), ..KnownBy::default() }
}

/// Serves the gateway by its SPIFFE ID, a mailer by its DNS name, and somebody local.
async fn world(clients: Clients) -> World {
    world_of(clients, |builder| builder).await
}

async fn world_of(asked: Clients, more: impl FnOnce(Builder) -> Builder) -> World {
    let files = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let path = |name: &str| -> PathBuf { files.path().join(name) };
    servers.issue(server()).write(&path("tls.crt"), &path("tls.key"));
    std::fs::write(path("ca.crt"), clients.pem()).unwrap();
    let client_ca = (asked != Clients::Unasked).then(|| path("ca.crt"));
    let source = Source::Files(Files { certificate: path("tls.crt"), key: path("tls.key"), client_ca });
    let mailer = || caller("mailer", &gateway().roles.into_iter().collect::<Vec<_>>());
    let builder = TestPdp::builder()
        .tls(Config { source, clients: asked })
        .proven(by_id(GATEWAY), gateway())
        .proven(by_name("mail.acme.example"), mailer())
        .local(caller("local", &gateway().roles.into_iter().collect::<Vec<_>>()));
    World { pdp: more(builder).start().await, servers, clients, _files: files }
}

impl World {
    fn dialler(&self) -> Dialler {
        Dialler::trusting(&self.servers)
    }

    /// Who it was in the record, or the refusal.
    async fn ask(&self, dialler: &Dialler, token: Option<&str>) -> Result<String, Status> {
        let channel = dialler
            .channel(self.pdp.address)
            .await
            .map_err(|error| Status::unavailable(format!("{error:?}")))?;
        let mut request = tonic::Request::new(asks::lookup());
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        AuthorizationClient::new(channel).authorize(request).await?;
        Ok(self.pdp.ledger.last()["caller"].as_str().unwrap().to_owned())
    }

    async fn shows(&self, issued: &Issued) -> Result<String, Status> {
        self.ask(&self.dialler().showing(issued), None).await
    }

    async fn is(&self, wish: Wish) -> Result<String, Status> {
        self.shows(&self.clients.issue(wish)).await
    }

    /// No call gets through: the connection ended with the handshake.
    async fn is_cut(&self, dialler: &Dialler, why: &str) {
        let refused = self.ask(dialler, Some(TOKEN)).await.expect_err(why);
        assert_ne!(refused.code(), Code::Unauthenticated, "{why}: {refused:?}");
        assert_eq!(self.pdp.ledger.records().len(), 0, "{why}");
    }
}

#[tokio::test]
async fn a_caller_is_known_by_the_spiffe_id_of_its_certificate() {
    let world = world(Clients::Required).await;
    assert_eq!(world.is(uris(&[GATEWAY])).await.unwrap(), "gateway");
    let old = world.dialler().speaking(OLD).showing(&world.clients.issue(uris(&[GATEWAY])));
    assert_eq!(world.ask(&old, None).await.unwrap(), "gateway");
    let new = world.dialler().speaking(NEW).showing(&world.clients.issue(uris(&[GATEWAY])));
    assert_eq!(world.ask(&new, None).await.unwrap(), "gateway");
}

#[tokio::test]
async fn a_caller_is_known_by_a_dns_name_of_its_certificate() {
    let world = world(Clients::Required).await;
    assert_eq!(world.is(names(&["other.example", "MAIL.acme.example"])).await.unwrap(), "mailer");
}

#[tokio::test]
async fn a_certificate_that_nobody_has_is_refused_even_from_this_machine() {
    let world = world(Clients::Optional).await;
    for wish in [
        uris(&["spiffe://acme.example/other"]),
        names(&["*.acme.example"]),
        names(&["acme.example"]),
        names(&[]),
    ] {
        let refused = world.is(wish).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        assert!(refused.message().contains("no caller has a name of this client certificate"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_with_several_identities_is_refused() {
    let world = world(Clients::Required).await;
    let both = world.is(uris(&[GATEWAY]).and_names(&["mail.acme.example"])).await.unwrap_err();
    assert!(both.message().contains("several callers"), "{both:?}");
    for further in ["spiffe://acme.example/other", "https://acme.example/"] {
        let several = world.is(uris(&[GATEWAY, further])).await.unwrap_err();
        assert_eq!(several.code(), Code::Unauthenticated);
        assert!(several.message().contains("a further URI"), "{several:?}");
    }
    assert_eq!(world.is(uris(&[GATEWAY]).and_names(&["elsewhere.example"])).await.unwrap(), "gateway");
}

#[tokio::test]
async fn a_token_decides_alone_whatever_certificate_is_there() {
    let world = world_of(Clients::Required, |builder| builder.caller(TOKEN, caller("by-token", &[]))).await;
    let shows = world.dialler().showing(&world.clients.issue(uris(&[GATEWAY])));
    let refused = world.ask(&shows, Some("nobody")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let lacks = world.ask(&shows, Some(TOKEN)).await.unwrap_err();
    assert!(lacks.message().contains("`by-token` lacks the role"), "{lacks:?}");
}

#[tokio::test]
async fn certificates_that_do_not_count_end_the_handshake() {
    for asked in [Clients::Required, Clients::Optional] {
        let world = world_of(asked, Builder::gateway).await;
        let hour = 3600;
        let shows = |issued: &Issued| world.dialler().showing(issued);
        let issue = |wish| world.clients.issue(wish);
        world.is_cut(&shows(&issue(uris(&[GATEWAY]).valid(-2 * hour, -hour))), "expired").await;
        world.is_cut(&shows(&issue(uris(&[GATEWAY]).valid(hour, 2 * hour))), "not yet valid").await;
        world.is_cut(&shows(&Authority::new("clients").issue(uris(&[GATEWAY]))), "of another root").await;
        world.is_cut(&shows(&world.servers.issue(uris(&[GATEWAY]))), "of the servers' root").await;
        world.is_cut(&shows(&issue(server())), "for servers").await;
        world.is_cut(&shows(&issue(uris(&[GATEWAY]).for_signing())), "an authority").await;
        if asked == Clients::Required {
            world.is_cut(&world.dialler(), "none").await;
        } else {
            assert_eq!(world.ask(&world.dialler(), Some(TOKEN)).await.unwrap(), "gateway");
        }
    }
}

#[tokio::test]
async fn who_shows_nothing_where_nothing_must_be_shown_is_known_as_over_plain_tcp() {
    for asked in [Clients::Optional, Clients::Unasked] {
        let world = world_of(asked, Builder::gateway).await;
        assert_eq!(world.ask(&world.dialler(), Some(TOKEN)).await.unwrap(), "gateway");
        assert_eq!(world.ask(&world.dialler(), None).await.unwrap(), "local");
        if asked == Clients::Unasked {
            let shows = world.dialler().showing(&world.clients.issue(uris(&[GATEWAY])));
            assert_eq!(world.ask(&shows, None).await.unwrap(), "local", "nobody asks for it");
        }
    }
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_or_another_protocol_is_cut() {
    let world = world(Clients::Optional).await;
    let mut plain = TcpStream::connect(world.pdp.address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let end = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut said)).await.expect("it is left open");
    end.ok();
    // At most an alert.
    assert!(said.len() <= 7, "{said:?}");
    world.dialler().offering(b"http/1.1").dial(world.pdp.address).await.unwrap_err();
    assert!(world.dialler().dial(world.pdp.address).await.is_ok());
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let world = world(Clients::Optional).await;
    for (minor, is_version) in [(1, true), (2, true), (3, false)] {
        // ClientHello (RFC 5246, section 7.4.1.2): TLS_RSA_WITH_AES_128_CBC_SHA, no compression, and the algorithms of
        // signatures, without which the version would not be looked at.
        let mut hello = vec![0x16, 3, 1, 0, 55, 1, 0, 0, 51, 3, minor];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0, 0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
        let mut client = TcpStream::connect(world.pdp.address).await.unwrap();
        client.write_all(&hello).await.unwrap();
        let mut alert = [0; 7];
        let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut alert)).await.expect("no answer");
        read.unwrap();
        // A fatal alert: protocol_version.
        assert_eq!((alert[0], alert[5], alert[6] == 70), (0x15, 2, is_version), "3.{minor}: {alert:?}");
    }
}

#[tokio::test]
async fn a_key_for_other_uses_still_counts_where_files_say_who_vouches() {
    // Key usage is a rule of SPIFFE; elsewhere it is the authority's business (RFC 5280, section 4.2.1.3).
    let world = world(Clients::Required).await;
    let wish = uris(&[GATEWAY]).with_usage(KeyUsagePurpose::KeyAgreement);
    assert_eq!(world.is(wish).await.unwrap(), "gateway");
}

#[tokio::test]
async fn no_connection_takes_up_the_session_of_another() {
    let world = world(Clients::Required).await;
    for versions in [OLD, NEW] {
        let dialler = world.dialler().speaking(versions).showing(&world.clients.issue(uris(&[GATEWAY])));
        let dial = dialler.dialling();
        for _ in 0..2 {
            let mut stream = dial(world.pdp.address).await.unwrap();
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
            // Tickets would come before the server's first frame.
            tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("no answer").unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}
