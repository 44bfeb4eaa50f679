//! TLS out of the SPIFFE Workload API, by the real client of it.

use std::collections::HashMap;
use std::time::Duration;

use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::identity::KnownBy;
use palisade::server::tls::{self, Clients, Config, Source};
use rcgen::KeyUsagePurpose;
use tonic::Status;

use super::asks;
use super::certificates::{Authority, Dialler, Issued, SERVER, Wish, names, server, uris};
use super::pdp::{TestPdp, caller, gateway};
use super::spire::{Spire, Streamed};

const OWN: &str = "spiffe://acme.example/palisade";
const GATEWAY: &str = "spiffe://acme.example/gateway";
const PARTNER: &str = "spiffe://partner.example/gateway";
const PATIENCE: Duration = Duration::from_secs(30);

/// `X509SVIDResponse`, out of the Workload API's protobuf.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Identities {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<Svid>,
    #[prost(map = "string, bytes", tag = "3")]
    federated_bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Svid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    chain: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
}

impl Streamed for Identities {
    const METHOD: &'static str = "/SpiffeWorkloadAPI/FetchX509SVID";
}

fn config(spire: &Spire<Identities>, trust_domains: &[&str], clients: Clients) -> Config {
    let trust_domains = trust_domains.iter().map(|name| (*name).try_into().unwrap()).collect();
    Config { source: Source::Workload { endpoint: spire.endpoint(), trust_domains }, clients }
}

pub fn identity(issued: &Issued, authority: &Authority, federated: &[(&str, &Authority)]) -> Identities {
    let svid = Svid {
        spiffe_id: OWN.to_owned(),
        chain: issued.der.to_vec(),
        key: issued.key.clone(),
        bundle: authority.der().to_vec(),
    };
    let federated_bundles =
        federated.iter().map(|(domain, each)| ((*domain).to_owned(), each.der().to_vec())).collect();
    Identities { svids: vec![svid], federated_bundles }
}

/// The server's SVID, with the name that the clients of these tests ask for.
pub fn own() -> Wish {
    uris(&[OWN]).and_names(&[SERVER]).for_both()
}

/// A PDP of acme.example that knows its partner.
struct World {
    pdp: TestPdp,
    spire: Spire<Identities>,
    acme: Authority,
    partner: Authority,
    served: Issued,
}

async fn world(trust_domains: &[&str]) -> World {
    let acme = Authority::new("spiffe://acme.example");
    let partner = Authority::new("spiffe://partner.example");
    let served = acme.issue(own());
    let spire = Spire::start(Ok(identity(&served, &acme, &[("spiffe://partner.example", &partner)])));
    let by = |id: &str| KnownBy { spiffe_id: Some(id.to_owned()), ..KnownBy::default() };
    let roles: Vec<_> = gateway().roles.into_iter().collect();
    let pdp = TestPdp::builder()
        .tls(config(&spire, trust_domains, Clients::Required))
        .proven(by(GATEWAY), gateway())
        .proven(by(PARTNER), caller("partner", &roles))
        // Whoever vouches for SPIFFE IDs must not vouch for this one.
        .proven(
            KnownBy { dns_name: Some("mail.example".into()), ..KnownBy::default() },
            caller("mail", &roles),
        )
        .start()
        .await;
    World { pdp, spire, acme, partner, served }
}

impl World {
    /// Who it was in the record, or why not.
    async fn shows(&self, issued: &Issued) -> Result<String, String> {
        let dialler = Dialler::trusting(&self.acme).showing(issued);
        let channel = dialler.channel(self.pdp.address).await.map_err(|error| format!("cut: {error:?}"))?;
        let answer = AuthorizationClient::new(channel).authorize(asks::lookup()).await;
        match answer {
            Ok(_) => Ok(self.pdp.ledger.last()["caller"].as_str().unwrap().to_owned()),
            Err(status) if status.code() == tonic::Code::Unauthenticated => Err(status.message().to_owned()),
            Err(status) => Err(format!("cut: {status:?}")),
        }
    }

    async fn is_cut(&self, issued: &Issued, why: &str) {
        let refused = self.shows(issued).await.expect_err(why);
        assert!(refused.starts_with("cut: "), "{why}: {refused}");
    }

    /// Tries until a new connection is served with this certificate.
    async fn until_served(&self, trusting: &Authority, client: &Issued, wanted: &Issued) {
        let dialler = Dialler::trusting(trusting).showing(client);
        let served = async {
            loop {
                let stream = dialler.dial(self.pdp.address).await;
                let shown = stream
                    .ok()
                    .and_then(|stream| stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone()));
                if shown.as_ref() == Some(&wanted.der) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.expect("the new certificate is not served");
    }
}

#[tokio::test]
async fn a_caller_is_known_by_its_svid_and_its_trust_domain_vouches_for_it() {
    let world = world(&["acme.example", "partner.example"]).await;
    assert_eq!(world.shows(&world.acme.issue(uris(&[GATEWAY]))).await.unwrap(), "gateway");
    assert_eq!(world.shows(&world.partner.issue(uris(&[PARTNER]))).await.unwrap(), "partner");
    // Neither vouches for the other.
    world.is_cut(&world.partner.issue(uris(&[GATEWAY])), "the partner's authority on ours").await;
    world.is_cut(&world.acme.issue(uris(&[PARTNER])), "ours on the partner's").await;
    // Nor for a name of DNS.
    let stranger = uris(&["spiffe://partner.example/stranger"]).and_names(&["mail.example"]);
    let refused = world.shows(&world.partner.issue(stranger)).await.unwrap_err();
    assert!(refused.contains("no caller has a name of this client certificate"), "{refused}");
}

#[tokio::test]
async fn only_the_servers_own_trust_domain_counts_unless_others_are_named() {
    let world = world(&[]).await;
    assert_eq!(world.shows(&world.acme.issue(uris(&[GATEWAY]))).await.unwrap(), "gateway");
    world.is_cut(&world.partner.issue(uris(&[PARTNER])), "not named").await;
}

#[tokio::test]
async fn what_is_no_svid_of_a_workload_ends_the_handshake() {
    let world = world(&["acme.example", "partner.example"]).await;
    for (why, wish) in [
        ("two ids", uris(&[GATEWAY, "spiffe://acme.example/other"])),
        ("a further uri", uris(&[GATEWAY, "https://acme.example/"])),
        ("no uri", names(&["mail.example"])),
        ("no id", uris(&["https://acme.example/gateway"])),
        ("a trust domain", uris(&["spiffe://acme.example"])),
        ("no canonical id", uris(&["SPIFFE://acme.example/gateway"])),
        ("an unknown trust domain", uris(&["spiffe://evil.example/gateway"])),
        ("an authority", uris(&[GATEWAY]).for_signing()),
        ("a key that signs", uris(&[GATEWAY]).with_usage(KeyUsagePurpose::KeyCertSign)),
        ("a key for no handshake", uris(&[GATEWAY]).with_usage(KeyUsagePurpose::KeyAgreement)),
        ("expired", uris(&[GATEWAY]).valid(-7200, -3600)),
        ("not yet valid", uris(&[GATEWAY]).valid(3600, 7200)),
        ("a server", server()),
    ] {
        world.is_cut(&world.acme.issue(wish), why).await;
    }
    assert_eq!(world.pdp.ledger.records().len(), 0);
}

#[tokio::test]
async fn a_new_svid_is_served_to_new_connections_and_open_ones_go_on() {
    let world = world(&["acme.example"]).await;
    let client = world.acme.issue(uris(&[GATEWAY]));
    let channel = Dialler::trusting(&world.acme).showing(&client).channel(world.pdp.address).await.unwrap();
    let mut open = AuthorizationClient::new(channel);
    open.authorize(asks::lookup()).await.unwrap();
    world.until_served(&world.acme, &client, &world.served).await;
    // Another authority from now on: the old one's clients are not verified any more.
    let next = Authority::new("spiffe://acme.example");
    let renewed = next.issue(own());
    world.spire.told.send(Ok(identity(&renewed, &next, &[]))).unwrap();
    world.until_served(&next, &next.issue(uris(&[GATEWAY])), &renewed).await;
    open.authorize(asks::lookup()).await.unwrap();
    let old = Dialler::trusting(&next).showing(&client).channel(world.pdp.address).await;
    let refused = match old {
        Ok(channel) => AuthorizationClient::new(channel).authorize(asks::lookup()).await.map(drop).is_err(),
        Err(_) => true,
    };
    assert!(refused, "its authority is gone");
}

#[tokio::test]
async fn an_identity_that_is_withdrawn_is_served_to_nobody_until_there_is_one() {
    let world = world(&["acme.example"]).await;
    let client = world.acme.issue(uris(&[GATEWAY]));
    assert_eq!(world.shows(&client).await.unwrap(), "gateway");
    let before = world.spire.told.send_replace(Err(Status::permission_denied("no such workload")));
    let cut = async { while world.shows(&client).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, cut).await.expect("it is served on");
    world.spire.told.send(before).unwrap();
    world.until_served(&world.acme, &client, &world.served).await;
}

#[tokio::test]
async fn a_trust_domain_without_a_bundle_is_refused_at_the_start() {
    let acme = Authority::new("spiffe://acme.example");
    let spire = Spire::start(Ok(identity(&acme.issue(own()), &acme, &[])));
    let refused =
        tls::start(&config(&spire, &["nobody.example"], Clients::Required), tls::GRPC).await.unwrap_err();
    assert!(refused.to_string().contains("no bundle of `nobody.example`"), "{refused}");
}
