//! The keys that sign tokens of tasks, and where they are published.
//! Never reads a private key, only who may.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::child::Process;
use super::http::{self, Answer};
use super::place::{PERMIT, Place};
use super::server::Server;

fn get(server: &Server, path: &str) -> Answer {
    http::request(server.http, "GET", path, &[])
}

fn kids(server: &Server) -> Vec<String> {
    let keys = get(server, "/.well-known/jwks.json").json()["keys"].clone();
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_keys_are_published_and_a_restart_keeps_them() {
    let place = Place::with(PERMIT);
    let server = place.start();
    assert_eq!(get(&server, "/healthz").body, "ok\n");
    let metadata = get(&server, "/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["jwks_uri"], format!("http://{}/.well-known/jwks.json", server.http));
    assert_eq!(metadata["issuer"], "http://127.0.0.1:0");
    let before = kids(&server);
    assert_eq!(before.len(), 1);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = place.data().join("keys");
    let file = folder.join(format!("{}.key", before[0]));
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    let private = fs::read_to_string(&file).unwrap();
    let private: Value = serde_json::from_str(&private).unwrap();
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let private = private["pkcs8"].as_str().unwrap();
    assert!(!ended.stderr.contains(private) && !ended.stdout.contains(private));
    let server = place.start();
    assert_eq!(kids(&server), before);
    assert_eq!(http::request(server.http, "GET", "/healthz", &[("Host", "evil.example")]).status, 421);
    server.kill();
    let server = place.start();
    assert_eq!(kids(&server), before);
    server.stop();
}

#[test]
fn a_key_that_others_may_read_or_that_is_damaged_ends_the_start() {
    let place = Place::with(PERMIT);
    place.start().stop();
    let file = fs::read_dir(place.data().join("keys")).unwrap().next().unwrap().unwrap().path();
    let refused = |words: &str| {
        let ended = Process::spawn(&mut place.command()).end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(words) && ended.stderr.contains("keys/"), "{ended:?}");
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refused("run `chmod 600` on it");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "half").unwrap();
    refused("does not hold a signing key");
}

#[test]
fn without_tasks_there_are_no_keys() {
    let place = Place::with(PERMIT);
    place.configure("tasks: { enabled: false }\n");
    let server = place.start();
    for path in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/oauth2/token"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
    assert_eq!(server.stop().code, Some(0));
    assert!(!place.data().join("keys").exists());
}
