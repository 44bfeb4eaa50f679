//! What a hostile or broken server can do, and that it comes to nothing.

use std::process::Command;
use std::time::Duration;

use super::peer::{Answer, Peer};
use super::*;

async fn refused(answer: Answer, words: &str) -> Peer {
    let peer = Peer::with(answer).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    rig.assert_refused(words);
    assert_eq!(peer.requests(), 1);
    peer
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Peer::with(Answer::Document(DOCUMENT.into())).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        for location in ["/keys".to_owned(), elsewhere.at("/keys")] {
            let redirect = format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
            let (code, _) = status.split_once(' ').unwrap();
            refused(Answer::raw(&redirect), &format!("it answered {code}, a redirect")).await;
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_200_is_an_answer() {
    let statuses =
        ["201 Created", "204 No Content", "206 Partial Content", "304 Not Modified", "401 No", "500 No"];
    for status in statuses {
        let (code, _) = status.split_once(' ').unwrap();
        refused(Answer::status(status), &format!("it answered {code} instead of 200")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips_or_says_nothing_is_left() {
    for begun in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let peer = Peer::with(Answer::Hangs(begun.into())).await;
        let time_passes = async {
            eventually(|| peer.requests() == 1).await;
            pass(5).await;
        };
        let rig = Rig::start_while(url(&peer.at("/keys")), time_passes).await;
        rig.assert_refused("no whole answer within 5s");
    }
}

#[tokio::test(start_paused = true)]
async fn two_slow_answers_of_one_fetch_share_its_time() {
    let peer = Peer::start().await;
    let told = Arc::new(tokio::sync::Notify::new());
    let metadata = format!(r#"{{"issuer":"{}","jwks_uri":"{}"}}"#, peer.at(""), peer.at("/keys"));
    peer.set("/.well-known/openid-configuration", Answer::Held(told.clone(), metadata.into_bytes()));
    peer.set("/keys", Answer::Hangs(Vec::new()));
    let issuer = super::super::Issuer::parse(&peer.at("")).unwrap();
    let time_passes = async {
        eventually(|| peer.requests() == 1).await;
        pass(4).await;
        told.notify_one();
        eventually(|| peer.requests() == 2).await;
        pass(1).await;
    };
    let config = Config::new(vec![named("idp", Source::Discovery(issuer))]);
    Rig::start_while(config, time_passes).await.assert_refused("no whole answer within 5s");
}

#[tokio::test(start_paused = true)]
async fn a_document_without_end_is_cut_off() {
    let peer = refused(Answer::Endless, "longer than 262144 bytes").await;
    settle().await;
    let sent = peer.sent();
    // What was on its way lies in buffers of the kernel.
    assert!(sent < 16 * 1024 * 1024, "{sent}");
    settle().await;
    assert_eq!(peer.sent(), sent, "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn a_length_beyond_the_limit_is_refused_unread() {
    let lies = "HTTP/1.1 200 OK\r\ncontent-length: 262145\r\n\r\n";
    // It would wait for ever for a first byte.
    let peer = Peer::with(Answer::Hangs(lies.into())).await;
    Rig::start(url(&peer.at("/keys"))).await.assert_refused("longer than 262144 bytes");
    refused(Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n"), "").await;
}

#[tokio::test(start_paused = true)]
async fn a_document_of_exactly_the_limit_is_taken() {
    let document = vec![b' '; 262_144];
    let peer = Peer::with(Answer::Document(document.clone())).await;
    let rig = Rig::start(url(&peer.at("/keys"))).await;
    assert_eq!(rig.target.documents(), [document]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_or_is_none_is_refused() {
    refused(Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\":[]}"), "broke off").await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n{\"keys\":[]}\r\n";
    refused(Answer::raw(chunked), "broke off").await;
    refused(Answer::raw(&chunked.replace("\r\nb\r\n", "\r\nzz\r\n")), "broke off").await;
    refused(Answer::raw("SSH-2.0-OpenSSH\r\n"), "the request failed").await;
    refused(Answer::raw(""), "the request failed").await;
}

#[tokio::test(start_paused = true)]
async fn a_compressed_document_is_neither_asked_for_nor_taken() {
    let compressed = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd";
    let peer = refused(Answer::raw(compressed), "compressed").await;
    assert!(!peer.heads().concat().to_lowercase().contains("accept-encoding"), "{:?}", peer.heads());
}

#[tokio::test(start_paused = true)]
async fn a_query_is_sent_but_shown_nowhere() {
    let peer = Peer::with(Answer::status("500 No")).await;
    let rig = Rig::start(url(&peer.at("/keys?api_key=secret"))).await;
    assert!(peer.heads().concat().starts_with("GET /keys?api_key=secret HTTP/1.1\r\n"));
    let shown = format!("{:?}{}", rig.status(), serde_json::to_string(&rig.status()).unwrap());
    assert!(shown.contains("/keys") && !shown.contains("secret"), "{shown}");
    let nobody = rig_of_nobody("?api_key=secret").await;
    assert!(
        nobody.error().contains("no connection: Connection refused") && !nobody.error().contains("secret"),
        "{}",
        nobody.error()
    );
}

async fn rig_of_nobody(query: &str) -> Rig {
    // Port 9 of loopback: nothing listens there.
    Rig::start(url(&format!("http://127.0.0.1:9/keys{query}"))).await
}

#[tokio::test(start_paused = true)]
async fn one_server_that_hangs_does_not_keep_the_others_waiting() {
    let slow = Peer::with(Answer::Hangs(Vec::new())).await;
    let good = Peer::with(Answer::Document(DOCUMENT.into())).await;
    let mut config = url(&slow.at("/keys"));
    let address = Address::parse(&good.at("/keys")).unwrap();
    config.sources.push(named("good", Source::Url(address)));
    let time_passes = async {
        eventually(|| slow.requests() == 1 && good.requests() == 1).await;
        pass(5).await;
    };
    let rig = Rig::start_while(config, time_passes).await;
    let [good, slow] = rig.keys.status().try_into().unwrap();
    assert!(good.failing.is_none() && slow.failing.is_some(), "{good:?} {slow:?}");
}

/// Set in the child that has a proxy in its environment.
const CHILD: &str = "PALISADE_TEST_HAS_PROXY";

#[tokio::test(start_paused = true)]
async fn a_proxy_of_the_environment_is_not_used() {
    if std::env::var_os(CHILD).is_some() {
        let peer = Peer::with(Answer::Document(DOCUMENT.into())).await;
        let rig = Rig::start(url(&peer.at("/keys"))).await;
        assert_eq!(rig.target.documents(), [DOCUMENT]);
        return;
    }
    let name = "server::keys::tests::bounds::a_proxy_of_the_environment_is_not_used";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name]).env(CHILD, "1").env_remove("NO_PROXY").env_remove("no_proxy");
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(variable, "http://127.0.0.1:9");
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_cannot_work_is_refused() {
    let refused = async |config: Config| {
        let mut tasks = Tasks::new(CancellationToken::new());
        start(config, Arc::<Recorder>::default(), Arc::default(), &mut tasks).await.unwrap_err().to_string()
    };
    let good = url("http://127.0.0.1:9/");
    let often = Config { refresh: Duration::from_secs(29), ..good.clone() };
    assert!(refused(often).await.contains("`refresh` of keys is 29s"));
    let endless = Config { refresh: Duration::MAX, ..good.clone() };
    assert!(refused(endless).await.contains("`refresh`"));
    let endless = Config { unknown_key_pause: Duration::MAX, ..good.clone() };
    assert!(refused(endless).await.contains("`unknown_key_pause`"));
    assert!(refused(Config { timeout: Duration::ZERO, ..good.clone() }).await.contains("`timeout`"));
    let twice = Config { sources: [good.sources.clone(), good.sources.clone()].concat(), ..good };
    assert!(refused(twice).await.contains("two sources of keys are called `idp`"));
}
