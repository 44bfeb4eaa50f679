//! Keys whose place an issuer's metadata says.

use super::super::Issuer;
use super::peer::{Answer, Peer};
use super::*;

const METADATA: &str = "/.well-known/openid-configuration";

async fn discovered(peer: &Peer, issuer: &str, named_issuer: &str, keys: &str) -> Rig {
    let metadata = format!(r#"{{"issuer":"{named_issuer}","jwks_uri":"{keys}"}}"#);
    peer.set(METADATA, Answer::Document(metadata.into_bytes()));
    let issuer = Issuer::parse(issuer).unwrap();
    Rig::start(Config::new(vec![named("idp", Source::Discovery(issuer))])).await
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_from_where_the_metadata_says() {
    let peer = Peer::start().await;
    let keys = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = discovered(&peer, &peer.at(""), &peer.at(""), &keys.at("/keys")).await;
    assert_eq!(rig.target.documents(), [DOCUMENT]);
    assert_eq!((peer.requests(), keys.requests()), (1, 1));
    // The issuer moves its keys.
    let moved = Peer::with(Answer::Document(OTHER.into())).await;
    let metadata = format!(r#"{{"issuer":"{}","jwks_uri":"{}"}}"#, peer.at(""), moved.at("/keys"));
    peer.set(METADATA, Answer::Document(metadata.into_bytes()));
    pass(300).await;
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
    assert_eq!((peer.requests(), keys.requests(), moved.requests()), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn metadata_of_another_issuer_is_refused() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    for other in [peer.at("/"), peer.at("/x"), "https://idp.example".to_owned()] {
        let rig = discovered(&peer, &peer.at(""), &other, &peer.at("/keys")).await;
        rig.assert_refused("another issuer than");
    }
    assert!(peer.heads().iter().all(|head| head.starts_with(&format!("GET {METADATA} "))));
}

#[tokio::test(start_paused = true)]
async fn metadata_cannot_send_us_to_a_file_or_by_http_over_a_network() {
    let peer = Peer::start().await;
    for keys in ["file:///etc/passwd", "http://keys.example/", "http://169.254.169.254/latest", "gopher://x/"]
    {
        let rig = discovered(&peer, &peer.at(""), &peer.at(""), keys).await;
        rig.assert_refused("the `jwks_uri` of the issuer's metadata is refused");
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_is_fetched_within_the_same_bounds_as_keys() {
    let elsewhere = Peer::start().await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n\r\n", elsewhere.at(METADATA));
    for (answer, words) in [
        (Answer::raw(&redirect), "the issuer's metadata: it answered 302, a redirect"),
        (Answer::status("404 Not Found"), "the issuer's metadata: it answered 404"),
        (Answer::Endless, "the issuer's metadata: the document is longer than"),
        (Answer::Document(b"<html>".into()), "the issuer's metadata is not understood"),
    ] {
        let peer = Peer::start().await;
        peer.set(METADATA, answer);
        let issuer = Issuer::parse(&peer.at("/")).unwrap();
        let rig = Rig::start(Config::new(vec![named("idp", Source::Discovery(issuer))])).await;
        rig.assert_refused(words);
    }
    assert_eq!(elsewhere.connections(), 0);
}
