//! Fetching again in time.

use super::peer::{Answer, Peer};
use super::*;

#[tokio::test(start_paused = true)]
async fn keys_of_an_address_come_into_force_at_the_start() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    assert_eq!(*rig.target.0.lock().unwrap(), [("idp".to_owned(), DOCUMENT.to_owned())]);
    let status = rig.status();
    assert!(status.document.as_ref().unwrap().starts_with("sha256:"), "{status:?}");
    assert!(status.failing.is_none() && status.last_success.is_some() && status.since.is_some());
}

#[tokio::test(start_paused = true)]
async fn localhost_is_this_machine() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&format!("http://localhost:{}/keys", peer.address.port()))).await;
    assert_eq!(rig.target.documents(), [DOCUMENT]);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_noticed_and_what_did_not_change_is_not_published_again() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    pass(300).await;
    eventually(|| peer.requests() == 2).await;
    settle().await;
    assert_eq!(rig.target.documents(), [DOCUMENT]);
    peer.set("/keys", Answer::Document(OTHER.into()));
    pass(300).await;
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
    peer.set("/keys", Answer::Document(DOCUMENT.into()));
    pass(300).await;
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER, DOCUMENT]).await;
    assert_eq!(peer.requests(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_may_ask_to_be_asked_more_often_but_not_all_the_time() {
    for (max_age, too_soon, due) in [(0, 29, 1), (100, 89, 11), (86_400, 269, 31)] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncache-control: public, max-age={max_age}\r\ncontent-length: 1\r\n\r\nx"
        );
        let peer = Peer::with(Answer::raw(&answer)).await;
        let _rig = Rig::start(url(&peer.at("/keys"))).await;
        pass(too_soon).await;
        assert_eq!(peer.requests(), 1, "max-age={max_age}");
        pass(due).await;
        eventually(|| peer.requests() == 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fetching_ends_with_the_server() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    peer.set("/keys", Answer::Hangs(Vec::new()));
    pass(300).await;
    eventually(|| peer.requests() == 2).await;
    rig.stop.cancel();
    // Without waiting for the answer: the clock stands still.
    rig.tasks.run(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_sources_there_is_nothing_to_do_and_nothing_ends() {
    let rig = Rig::start(Config::new(Vec::new())).await;
    rig.keys.wanted("idp");
    assert!(rig.keys.status().is_empty());
    let mut running = Box::pin(rig.tasks.run(Duration::from_secs(1)));
    assert!(futures_util::poll!(running.as_mut()).is_pending());
    rig.stop.cancel();
    running.await.unwrap();
}
