//! Starts that are refused: each says what to do, and loses nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use super::child::{Ended, Process};
use super::place::{PERMIT, POLICY, Place, names, tree};
use super::server::probe;

/// Refused with this code, with nothing on standard output, and in these words.
fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stdout, "", "{}", ended.stderr);
    for part in words {
        assert!(ended.stderr.contains(part), "`{part}` is not in:\n{}", ended.stderr);
    }
}

#[test]
fn a_bad_bundle_is_refused_with_every_finding_of_every_file() {
    let place =
        Place::with("@id(\"one\")\npermit (principal, action, resource) when { principal.colour };\n");
    place.write("policies/two.cedar", "permit (principal, action == Action::\"reed\", resource);\n");
    place.write("policies/three.cedar", "\n\npermit (principal, action, resource\n");
    place.write(
        "entities/agents.json",
        r#"[{ "uid": { "type": "Agent", "id": "bot" }, "attrs": {}, "parents": [] }]"#,
    );
    let ended = place.refused();
    // The place is `file:line:column`; the source line and the advice stand below.
    check(
        &ended,
        1,
        &[
            "policies/doc.cedar:2:",
            "colour",
            "policies/two.cedar:1:",
            "reed",
            "policies/three.cedar:",
            "entities/agents.json:1:",
            "help",
            "the bundle is refused",
        ],
    );
}

#[test]
fn a_bundle_without_a_schema_is_refused() {
    let place = Place::empty();
    place.write(POLICY, "permit (principal, action, resource);");
    check(&place.refused(), 1, &["the bundle has no schema", "schemas/*.cedarschema"]);
}

#[test]
fn a_bundle_directory_that_is_not_there_is_refused() {
    let place = Place::empty();
    let ended = place.refused();
    check(&ended, 2, &["there is no bundle directory", "create it, or name another one"]);
    assert!(!place.bundle().exists(), "nothing is made in its place");
}

#[test]
fn a_port_in_use_is_refused_and_whoever_has_it_keeps_it() {
    let place = Place::with(PERMIT);
    let server = place.start();
    for option in ["--grpc", "--http", "--admin"] {
        let other = Place::with(PERMIT);
        let taken = match option {
            "--grpc" => server.grpc,
            "--http" => server.http,
            _ => server.admin,
        };
        let mut command = other.bare(Path::new(env!("CARGO_BIN_EXE_palisade")));
        for address in ["--grpc", "--http", "--admin"] {
            let to = if address == option { taken.to_string() } else { "127.0.0.1:0".to_owned() };
            command.args([address, &to]);
        }
        let ended = Process::spawn(&mut command).end();
        check(&ended, 2, &[&format!("cannot listen on {taken}"), "stop what uses it", option]);
    }
    assert!(server.client().may_read());
}

#[test]
fn a_port_of_another_program_is_refused() {
    let place = Place::with(PERMIT);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let mut command = place.bare(Path::new(env!("CARGO_BIN_EXE_palisade")));
    let ended = Process::spawn(command.args(["--grpc", &taken, "--admin", "127.0.0.1:0"])).end();
    check(&ended, 2, &[&taken, "in use"]);
}

#[test]
fn a_data_directory_that_is_a_file_is_refused_and_the_file_stays() {
    let place = Place::with(PERMIT);
    fs::write(place.data(), "precious").unwrap();
    let data = place.data().display().to_string();
    check(&place.refused(), 2, &[&data, "give `data` a directory that this user may write"]);
    assert_eq!(fs::read_to_string(place.data()).unwrap(), "precious");
}

/// The binary where every user can run it.
fn runnable(place: &Path) -> PathBuf {
    let (from, to) = (env!("CARGO_BIN_EXE_palisade"), place.join("palisade"));
    // Another file system, perhaps.
    if fs::hard_link(from, &to).is_err() {
        fs::copy(from, &to).unwrap();
    }
    to
}

fn permissions(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_data_directory_that_may_not_be_written_is_refused_and_left_as_it_is() {
    let place = Place::with(PERMIT);
    let program = runnable(place.path());
    for path in tree(place.path()) {
        permissions(&path, 0o755);
    }
    fs::create_dir(place.data()).unwrap();
    permissions(&place.data(), 0o555);
    let mut command = place.bare(&program);
    command.args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere; nobody may not.
        command.uid(65534).gid(65534);
    }
    let ended = Process::spawn(&mut command).end();
    let data = place.data().display().to_string();
    check(&ended, 2, &[&data, "ermission denied", "give `data` a directory that this user may write"]);
    assert_eq!(names(&place.data()), [""; 0]);
}

#[test]
fn a_journal_on_a_full_disk_is_refused_at_the_start() {
    let place = Place::with(PERMIT);
    fs::create_dir_all(place.data().join("audit")).unwrap();
    std::os::unix::fs::symlink("/dev/full", place.journal()).unwrap();
    let journal = place.journal().display().to_string();
    check(&place.refused(), 2, &["could not be recorded", &journal, "No space left on device"]);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    assert!(client.may_read());
    let before = place.records();
    let data = place.data().display().to_string();
    check(
        &place.refused(),
        2,
        &["another palisade uses the data directory", &data, "stop it, or give this one"],
    );
    assert_eq!(place.records(), before, "the second wrote nothing");
    assert!(client.may_read());
}

#[test]
fn a_configuration_is_refused_with_its_line_and_its_key() {
    let place = Place::with(PERMIT);
    let at = |line: u32| format!("palisade.yaml:{line}");
    let refused = |text: &str| {
        place.configure(text);
        let ended = place.refused();
        assert!(!place.data().exists(), "nothing is made before the configuration is checked");
        ended
    };
    check(
        &refused("# comment\nlimits:\n  batch_length_max: 3\n"),
        2,
        &[&at(3), "batch_length_max", "batch_len_max"],
    );
    check(&refused("limits:\n  batch_len_max: 0\n"), 2, &[&at(2), "limits.batch_len_max", "from 1 to 10000"]);
    check(&refused("audit: [\n"), 2, &["palisade.yaml:"]);
    check(&refused("limits:\n  batch_len_max: many\n"), 2, &[&at(2)]);
    let callers =
        "callers:\n  - name: gw\n    token_sha256: abc\n    roles: [authorize]\n    servers: \"*\"\n";
    check(&refused(callers), 2, &[&at(3), "callers[0].token_sha256", "sha256sum"]);
    place.configure("listen:\n  grpc: somewhere\n");
    let ended = Process::spawn(&mut place.bare(Path::new(env!("CARGO_BIN_EXE_palisade")))).end();
    check(&ended, 2, &[&at(2), "listen.grpc", "is not an address with a port", "127.0.0.1:8180"]);
}

#[test]
fn an_address_that_others_reach_is_refused_without_callers() {
    let place = Place::with(PERMIT);
    let mut command = place.bare(Path::new(env!("CARGO_BIN_EXE_palisade")));
    let ended = Process::spawn(command.args(["--grpc", "0.0.0.0:0", "--admin", "127.0.0.1:0"])).end();
    check(&ended, 2, &["0.0.0.0:0", "no caller is known", "name callers, or use 127.0.0.1"]);
}

#[test]
fn what_was_recorded_before_a_refused_start_is_still_there_after_it() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let answer = server.client().ask(probe("kept")).unwrap();
    assert_eq!(server.stop().code, Some(0));
    let before = place.records();
    place.write(POLICY, "permit (");
    assert_eq!(place.refused().code, Some(1));
    assert_eq!(place.records(), before);
    assert_eq!(place.records_of("decided")[0]["decision"], answer.decision_id.as_str());
    place.write(POLICY, PERMIT);
    assert!(place.start().client().may_read());
}
