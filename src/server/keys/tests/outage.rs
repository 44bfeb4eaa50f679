//! Issuers that fail, and come back.

use std::io::Write;

use super::peer::{Answer, Peer};
use super::*;

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logs {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let logs = self.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || logs.clone()).with_ansi(false);
        tracing::subscriber::set_default(subscriber.with_max_level(tracing::Level::INFO).finish())
    }

    fn count(&self, words: &str) -> usize {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().matches(words).count()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_the_last_good_document_and_ends_by_itself() {
    let logs = Logs::default();
    let _listening = logs.listen();
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys?api_key=secret"))).await;
    peer.set("/keys", Answer::status("500 No"));
    pass(300).await;
    eventually(|| rig.status().failing.is_some()).await;
    for attempts in 2..=8 {
        pass(300).await;
        eventually(|| rig.status().failing.as_ref().unwrap().attempts == attempts).await;
    }
    assert_eq!(peer.requests(), 9);
    assert!(rig.status().document.is_some() && rig.status().last_success.is_some());
    assert!(rig.counts(r#"palisade_keys_failing{issuer="idp"} 1"#));
    assert!(rig.counts(r#"palisade_keys_fetches_total{issuer="idp",result="failure"} 8"#));
    assert_eq!(rig.target.documents(), [DOCUMENT]);
    peer.set("/keys", Answer::Document(OTHER.into()));
    pass(300).await;
    eventually(|| rig.status().failing.is_none()).await;
    assert_eq!(rig.target.documents(), [DOCUMENT, OTHER]);
    assert_eq!(logs.count("WARN"), 1);
    assert!(rig.counts(r#"palisade_keys_failing{issuer="idp"} 0"#));
    assert!(rig.counts(r#"palisade_keys_fetches_total{issuer="idp",result="success"} 2"#));
    assert_eq!((logs.count("keys cannot be fetched"), logs.count("keys can be fetched again")), (1, 1));
    assert_eq!((logs.count("keys came into force"), logs.count("secret")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_worked_is_no_reason_not_to_start_and_is_tried_again() {
    let logs = Logs::default();
    let _listening = logs.listen();
    let peer = Peer::with(Answer::status("503 No")).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    rig.assert_refused("it answered 503");
    // Between 5 s and 10 s after the first failure, and twice as long after the second.
    pass(4).await;
    assert_eq!(peer.requests(), 1);
    pass(6).await;
    eventually(|| rig.status().failing.as_ref().unwrap().attempts == 2).await;
    pass(9).await;
    assert_eq!(peer.requests(), 2);
    peer.set("/keys", Answer::Document(DOCUMENT.into()));
    pass(11).await;
    eventually(|| rig.target.documents() == [DOCUMENT]).await;
    assert_eq!((peer.requests(), logs.count("WARN")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_refused_leaves_the_last_good_one() {
    let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    let good = rig.status();
    peer.set("/keys", Answer::Document(b"bad".into()));
    pass(300).await;
    eventually(|| rig.error() == "the document is unusable: it says `bad`").await;
    assert_eq!((&rig.status().document, rig.status().since), (&good.document, good.since));
    peer.set("/keys", Answer::Document(DOCUMENT.into()));
    pass(10).await;
    eventually(|| rig.status().failing.is_none()).await;
    assert_eq!(rig.target.documents(), [DOCUMENT], "what is in force is not published again");
}
