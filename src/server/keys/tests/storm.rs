//! Tokens that name keys which nobody has.

use tokio::sync::Notify;

use super::peer::{Answer, Peer};
use super::*;

/// Ten thousand calls, from several threads.
fn storm(keys: &Keys) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2_500).for_each(|_| keys.wanted("idp")));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_lead_to_one_fetch_in_thirty_seconds() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    pass(60).await;
    assert_eq!(peer.requests(), 1);
    storm(&rig.keys);
    eventually(|| peer.requests() == 2).await;
    settle().await;
    for _ in 0..29 {
        storm(&rig.keys);
        pass(1).await;
        assert_eq!(peer.requests(), 2);
    }
    pass(1).await;
    eventually(|| peer.requests() == 3).await;
    // Nobody asks any more.
    pass(200).await;
    assert_eq!(peer.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_looked_for_at_once_and_is_there() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    pass(30).await;
    peer.set("/keys", Answer::Document(OTHER.into()));
    rig.keys.wanted("idp");
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
    rig.keys.wanted("another");
    pass(60).await;
    assert_eq!(peer.requests(), 2, "a name that is no source's");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_just_after_a_fetch_waits_for_the_pause() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    pass(10).await;
    rig.keys.wanted("idp");
    pass(19).await;
    assert_eq!(peer.requests(), 1);
    pass(1).await;
    eventually(|| peer.requests() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_during_a_fetch_are_answered_by_it() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    let told = Arc::new(Notify::new());
    peer.set("/keys", Answer::Held(told.clone(), OTHER.into()));
    pass(300).await;
    eventually(|| peer.requests() == 2).await;
    storm(&rig.keys);
    told.notify_one();
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
    pass(200).await;
    assert_eq!(peer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_storm_during_an_outage_hastens_it_no_more_than_the_pause_allows() {
    let peer = Peer::with(Answer::status("500 No")).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    let attempts = || rig.status().failing.as_ref().unwrap().attempts;
    // Retries come less and less often; a storm then leads to one in thirty seconds.
    for count in 2..=6 {
        pass(300).await;
        eventually(|| attempts() == count).await;
    }
    for count in 7..=12 {
        storm(&rig.keys);
        pass(29).await;
        assert_eq!(attempts(), count - 1);
        pass(1).await;
        eventually(|| attempts() == count).await;
    }
    assert_eq!(peer.requests(), 12);
}
