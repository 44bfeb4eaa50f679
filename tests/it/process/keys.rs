//! How the keys of issuers stand, on the administration's port and in the metrics.

use std::fs;

use serde_json::Value;

use super::child::until;
use super::http;
use super::place::{PERMIT, Place};
use super::server::Server;
use crate::svids::Signer;

const GOOD: &str = "good.example";
const BAD: &str = "bad.example";

/// A server with two trust domains, whose keys lie in files: one is there, the other is not.
fn world() -> (Place, Server) {
    let place = Place::with(PERMIT);
    let path = |name: &str| place.path().join(name).display().to_string();
    place.configure(&format!(
        "trust:\n  audience: [pdp]\n  spiffe:\n  - {{ trust_domain: {GOOD}, keys: {{ file: {} }} }}\n  \
         - {{ trust_domain: {BAD}, keys: {{ file: {} }} }}\n",
        path("good.json"),
        path("bad.json"),
    ));
    fs::write(place.path().join("good.json"), Signer::new("k1").bundle(Some("jwt-svid"))).unwrap();
    let server = place.start();
    (place, server)
}

/// How a source stands.
pub fn source(server: &Server, name: &str) -> Value {
    let keys = server.operate("GET", "/keys");
    assert_eq!(keys.status, 200, "{keys:?}");
    let sources = keys.json()["sources"].as_array().unwrap().clone();
    sources.into_iter().find(|source| source["name"] == name).unwrap_or_else(|| panic!("no {name}: {keys:?}"))
}

#[test]
fn a_good_source_shows_its_digest_and_times_and_a_failing_one_why() {
    let (place, server) = world();
    let good = source(&server, GOOD);
    assert!(good["document"].as_str().unwrap().starts_with("sha256:"), "{good}");
    assert!(good["source"].as_str().unwrap().ends_with("good.json"), "{good}");
    assert!(["since", "last_attempt", "last_success"].iter().all(|time| good[time].is_string()), "{good}");
    assert_eq!(good["failing"], Value::Null);
    let bad = source(&server, BAD);
    assert!(bad["document"].is_null() && bad["last_success"].is_null() && bad["last_attempt"].is_string());
    assert!(bad["failing"]["error"].as_str().unwrap().contains("the file cannot be read"), "{bad}");
    assert!(bad["failing"]["attempts"].as_u64() >= Some(1) && bad["failing"]["since"].is_string(), "{bad}");

    fs::write(place.path().join("bad.json"), "nothing of use").unwrap();
    until("the other reason", || {
        let bad = source(&server, BAD);
        bad["failing"]["error"].as_str().unwrap().contains("the document is unusable").then_some(())
    });
    let document = Signer::new("k2").bundle(Some("jwt-svid"));
    fs::write(place.path().join("beside"), document).unwrap();
    fs::rename(place.path().join("beside"), place.path().join("bad.json")).unwrap();
    until("it is mended", || source(&server, BAD)["failing"].is_null().then_some(()));
    assert!(source(&server, BAD)["document"].is_string());
}

#[test]
fn the_metrics_tell_of_each_source_by_its_configured_name() {
    let (place, server) = world();
    let of =
        |metric: &str, name: &str| server.metric(&format!("palisade_keys_{metric}{{issuer=\"{name}\"}}"));
    assert_eq!((of("failing", GOOD), of("failing", BAD)), (Some(0.0), Some(1.0)));
    assert!(of("last_success_seconds", GOOD) > Some(1.7e9));
    assert_eq!(of("last_success_seconds", BAD), None, "there was none");
    let fetches = |name: &str, result: &str| {
        server.metric(&format!("palisade_keys_fetches_total{{issuer=\"{name}\",result=\"{result}\"}}"))
    };
    assert!(fetches(GOOD, "success") >= Some(1.0) && fetches(BAD, "failure") >= Some(1.0));
    assert_eq!((fetches(GOOD, "failure"), fetches(BAD, "success")), (None, None));
    fs::remove_file(place.path().join("good.json")).unwrap();
    until("it fails", || (of("failing", GOOD) == Some(1.0)).then_some(()));
    assert!(of("last_success_seconds", GOOD).is_some(), "it stays");
    assert!(source(&server, GOOD)["document"].is_string(), "the last good keys stay");
}

#[test]
fn the_keys_are_for_the_operator() {
    let (_place, server) = world();
    for headers in [&[][..], &[("Authorization", "Bearer wrong")]] {
        let refused = http::request(server.admin, "GET", "/keys", headers);
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(!refused.body.contains(GOOD), "{refused:?}");
    }
    assert_eq!(http::request(server.admin, "POST", "/keys", &[]).status, 405);
}
