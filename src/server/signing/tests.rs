//! Keys on the disk: made, kept, rotated, retired, refused.
//! Never waits: the clock is an argument.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use tempfile::TempDir;

use super::*;
use crate::identity::{Token, TokenFault, open_own};

const DAY: i64 = 86_400;
const TYP: &str = "palisade-task+jwt";

fn usual() -> Config {
    Config { algorithm: Algorithm::Es256, rotate_s: 30 * DAY, overlap_s: 28_800, key_files: vec![] }
}

/// A data directory, and what was published.
struct Place {
    directory: TempDir,
    published: Arc<Mutex<Vec<String>>>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), published: Arc::default() }
    }

    fn open_with(&self, config: Config, now_s: i64) -> Result<Signing, SigningError> {
        let data = DataDir::open(self.directory.path()).unwrap();
        let published = self.published.clone();
        let publish = move |issuer: Arc<OwnIssuer>| {
            published.lock().unwrap().push(issuer.signing().kid().to_owned());
        };
        Signing::open(&data, "https://pdp.example", config, now_s, Box::new(publish))
    }

    fn open(&self, now_s: i64) -> Signing {
        self.open_with(usual(), now_s).unwrap()
    }

    fn keys(&self) -> PathBuf {
        self.directory.path().join(FOLDER)
    }

    /// The files, by their endings.
    fn endings(&self) -> Vec<String> {
        let entries = fs::read_dir(self.keys()).unwrap();
        let mut endings: Vec<_> = entries
            .map(|entry| entry.unwrap().path().extension().unwrap().to_str().unwrap().to_owned())
            .collect();
        endings.sort();
        endings
    }

    fn only_file(&self) -> PathBuf {
        fs::read_dir(self.keys()).unwrap().next().unwrap().unwrap().path()
    }

    fn published(&self) -> usize {
        self.published.lock().unwrap().len()
    }
}

fn signs(signing: &Signing) -> String {
    signing.issuer().signing().kid().to_owned()
}

fn token(signing: &Signing) -> Token {
    Token::new(signing.issuer().signing().sign(TYP, b"{}").unwrap())
}

fn counts(signing: &Signing, token: &Token) -> bool {
    match open_own(token, signing.issuer().keys(), TYP) {
        Ok(_) => true,
        Err(TokenFault::UnknownKey) => false,
        Err(other) => panic!("{other}"),
    }
}

fn shown(signing: &Signing) -> usize {
    signing.issuer().jwks().matches("\"kid\"").count()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_first_start_makes_a_key_for_its_owner_alone_and_a_restart_keeps_it() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let place = Place::new();
        let config = || Config { algorithm, ..usual() };
        let first = place.open_with(config(), 0).unwrap();
        assert_eq!((mode(&place.keys()), mode(&place.only_file())), (0o700, 0o600));
        let (kid, token) = (signs(&first), token(&first));
        drop(first);
        let again = place.open_with(config(), DAY).unwrap();
        assert_eq!((signs(&again), shown(&again), place.endings().len()), (kid.clone(), 1, 1));
        assert!(counts(&again, &token));
        assert_eq!(*place.published.lock().unwrap(), [kid.clone(), kid.clone()]);
        assert!(again.issuer().jwks().contains(algorithm.name()));
        // Nothing of the private half is shown.
        let kept = fs::read_to_string(place.only_file()).unwrap();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        let private = kept["pkcs8"].as_str().unwrap();
        assert!(!format!("{again:?}{:?}", again.issuer()).contains(private));
        assert!(!again.issuer().jwks().contains("\"d\""));
    }
}

#[test]
fn a_key_is_shown_before_it_signs_and_verifies_after_it_has() {
    let place = Place::new();
    let signing = place.open(0);
    let (first, old) = (signs(&signing), token(&signing));
    let turn = 30 * DAY;
    signing.look(turn - 601).unwrap();
    assert_eq!((shown(&signing), place.published()), (1, 1), "nothing is due");
    signing.look(turn - 600).unwrap();
    assert_eq!((signs(&signing), shown(&signing), place.published()), (first.clone(), 2, 2));
    signing.look(turn - 1).unwrap();
    assert_eq!((signs(&signing), place.published()), (first.clone(), 2));
    signing.look(turn).unwrap();
    assert!(signs(&signing) != first && shown(&signing) == 2 && counts(&signing, &old));
    signing.look(turn + 28_799).unwrap();
    assert!(counts(&signing, &old));
    signing.look(turn + 28_800).unwrap();
    assert!(!counts(&signing, &old) && shown(&signing) == 1);
    assert_eq!((place.endings(), place.published()), (vec!["key".to_owned()], 4));
    // A restart knows all of it.
    let second = signs(&signing);
    drop(signing);
    assert_eq!(signs(&place.open(turn + 28_801)), second);
}

#[test]
fn a_restart_in_the_middle_of_a_rotation_goes_on_with_it() {
    let place = Place::new();
    let turn = 30 * DAY;
    let first = signs(&place.open(0));
    let before = place.open(turn - 600);
    assert_eq!((signs(&before), shown(&before)), (first.clone(), 2));
    drop(before);
    let after = place.open(turn);
    assert!(signs(&after) != first && shown(&after) == 2);
    drop(after);
    let late = place.open(turn + 28_800);
    assert_eq!((shown(&late), place.endings().len()), (1, 1));
}

#[test]
fn another_algorithm_takes_over_without_a_gap() {
    let place = Place::new();
    let (first, old) = {
        let signing = place.open(0);
        (signs(&signing), token(&signing))
    };
    let other = Config { algorithm: Algorithm::EdDsa, ..usual() };
    let signing = place.open_with(other, 100).unwrap();
    assert_eq!((signs(&signing), shown(&signing)), (first, 2));
    signing.look(700).unwrap();
    let header = signing.issuer().signing().jwk().to_owned();
    assert!(header.contains("EdDSA") && counts(&signing, &old), "{header}");
}

#[test]
fn a_clock_that_is_set_back_and_forward_loses_no_key() {
    let place = Place::new();
    let signing = place.open(1000 * DAY);
    let (kid, token) = (signs(&signing), token(&signing));
    for now_s in [1000 * DAY - 3600, 5, 1000 * DAY + 3600, 1000 * DAY] {
        signing.look(now_s).unwrap();
        assert_eq!((signs(&signing), shown(&signing)), (kid.clone(), 1), "{now_s}");
    }
    assert!(counts(&signing, &token));
}

#[test]
fn a_key_that_others_may_read_or_that_is_damaged_is_refused() {
    let damaged = |damage: &dyn Fn(&Path)| {
        let place = Place::new();
        drop(place.open(0));
        damage(&place.only_file());
        let refused = place.open_with(usual(), 1).unwrap_err();
        assert_eq!(place.endings().len(), 1, "nothing is put in its place");
        refused
    };
    let chmod = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = damaged(&chmod);
    assert!(matches!(refused, SigningError::Data(DataError::Exposed { mode: 0o640, .. })), "{refused}");
    let write = |edit: fn(String) -> String| {
        move |path: &Path| fs::write(path, edit(fs::read_to_string(path).unwrap())).unwrap()
    };
    let cases: [fn(String) -> String; 7] = [
        |_| String::new(),
        |text| text[..text.len() / 2].to_owned(),
        |text| text.replace("\"version\":1", "\"version\":2"),
        |text| text.replace("ES256", "EdDSA"),
        |text| text.replace("ES256", "none"),
        |text| text.replace("\"from_s\":0", "\"from_s\":0,\"more\":1"),
        |text| text.replace("\"pkcs8\":\"", "\"pkcs8\":\"AAAA"),
    ];
    for case in cases {
        let refused = damaged(&write(case));
        assert!(matches!(refused, SigningError::Data(DataError::Garbled { .. })), "{refused}");
    }
    let rename = |path: &Path| fs::rename(path, path.with_file_name("other.key")).unwrap();
    let refused = damaged(&rename);
    assert!(matches!(refused, SigningError::Data(DataError::Garbled { .. })), "{refused}");
}

#[test]
fn what_a_crash_left_half_written_is_cleared_away() {
    let place = Place::new();
    drop(place.open(0));
    fs::write(place.keys().join("x.new"), "half").unwrap();
    fs::write(place.keys().join("note.txt"), "an operator's").unwrap();
    drop(place.open(1));
    assert_eq!(place.endings(), ["key", "txt"]);
}

#[test]
fn a_key_that_is_retired_counts_no_more_and_another_signs_at_once() {
    let place = Place::new();
    let signing = place.open(0);
    let (first, old) = (signs(&signing), token(&signing));
    signing.retire(&first, 50).unwrap();
    assert!(signs(&signing) != first && shown(&signing) == 1 && !counts(&signing, &old));
    assert_eq!((place.endings(), place.published()), (vec!["key".to_owned(), "retired".to_owned()], 2));
    signing.retire(&first, 51).unwrap();
    assert_eq!(place.published(), 2, "it was retired before");
    let second = signs(&signing);
    drop(signing);
    let again = place.open(60);
    assert!(signs(&again) == second && !counts(&again, &old), "a restart does not bring it back");
    assert_eq!(mode(&place.keys().join(format!("{first}.retired"))), 0o600);
    for unknown in ["", "../../admin", &"A".repeat(43)] {
        let refused = again.retire(unknown, 60).unwrap_err();
        assert!(matches!(refused, SigningError::Unknown { .. }), "{refused}");
    }
}

#[test]
fn a_former_key_never_signs_again_and_a_successor_waits_for_its_turn() {
    let place = Place::new();
    let signing = place.open(0);
    let turn = 30 * DAY;
    let (first, old) = (signs(&signing), token(&signing));
    signing.look(turn - 600).unwrap();
    signing.look(turn).unwrap();
    let second = signs(&signing);
    signing.retire(&second, turn + 5).unwrap();
    assert!(![&first, &second].contains(&&signs(&signing)) && counts(&signing, &old));
    // A former one is retired without any change of who signs.
    let third = signs(&signing);
    signing.retire(&first, turn + 6).unwrap();
    assert!(signs(&signing) == third && !counts(&signing, &old) && shown(&signing) == 1);
    // And one that has not signed yet is replaced when it is due again.
    signing.look(2 * turn - 595).unwrap();
    assert_eq!(shown(&signing), 2);
    let kids = |signing: &Signing| {
        let all: serde_json::Value = serde_json::from_str(signing.issuer().jwks()).unwrap();
        let kid = |key: &serde_json::Value| key["kid"].as_str().unwrap().to_owned();
        all["keys"].as_array().unwrap().iter().map(kid).collect::<Vec<_>>()
    };
    let successor = kids(&signing)[1].clone();
    signing.retire(&successor, 2 * turn - 590).unwrap();
    assert_eq!(kids(&signing), std::slice::from_ref(&third));
    signing.look(2 * turn - 589).unwrap();
    assert!(kids(&signing).len() == 2 && kids(&signing)[0] == third);
}

#[test]
fn a_directory_that_cannot_be_written_leaves_the_keys_as_they_were() {
    let place = Place::new();
    let signing = place.open(0);
    let kid = signs(&signing);
    let aside = place.directory.path().join("aside");
    fs::rename(place.keys(), &aside).unwrap();
    let refused = signing.look(30 * DAY).unwrap_err();
    assert!(matches!(refused, SigningError::Data(DataError::Io { what: "write", .. })), "{refused}");
    signing.retire(&kid, 30 * DAY).unwrap_err();
    assert_eq!((signs(&signing), shown(&signing)), (kid.clone(), 1));
    fs::rename(&aside, place.keys()).unwrap();
    signing.look(30 * DAY).unwrap();
    assert_eq!((signs(&signing), shown(&signing)), (kid, 2));
}

#[test]
fn the_operators_keys_sign_and_verify_as_they_are_given() {
    let place = Place::new();
    let der = |algorithm| SigningKey::generate(algorithm).unwrap();
    let write = |name: &str, bytes: &[u8], mode: u32| {
        let path = place.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let (es, ed) = (der(Algorithm::Es256), der(Algorithm::EdDsa));
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(&ed));
    let (pem, der) = (write("ed.pem", pem.as_bytes(), 0o440), write("es.der", &es, 0o600));
    let with = |files: &[&PathBuf]| {
        let key_files = files.iter().map(|path| (*path).clone()).collect();
        place.open_with(Config { key_files, ..usual() }, 0)
    };
    let kid = |algorithm, der: &[u8]| SigningKey::from_pkcs8(algorithm, der).unwrap().kid().to_owned();
    let signing = with(&[&pem, &der]).unwrap();
    assert_eq!((signs(&signing), shown(&signing)), (kid(Algorithm::EdDsa, &ed), 2));
    signing.look(1000 * DAY).unwrap();
    assert_eq!((shown(&signing), place.endings().len()), (2, 0), "nothing is made or rotated");
    // Retiring the first leaves the second to sign, also after a restart; the last one stays.
    let old = token(&signing);
    signing.retire(&signs(&signing), 5).unwrap();
    assert!(signs(&signing) == kid(Algorithm::Es256, &es) && !counts(&signing, &old));
    assert!(matches!(signing.retire(&signs(&signing), 5), Err(SigningError::NoneLeft)));
    drop(signing);
    assert_eq!(signs(&with(&[&pem, &der]).unwrap()), kid(Algorithm::Es256, &es));
    assert!(matches!(with(&[&pem]), Err(SigningError::NoneLeft)));
    // What cannot be used.
    let exposed = write("open.der", &es, 0o604);
    assert!(matches!(with(&[&exposed]), Err(SigningError::Exposed { mode: 0o604, .. })));
    let twice = write("twice.der", &es, 0o600);
    assert!(matches!(with(&[&der, &twice]), Err(SigningError::Twice { .. })));
    let garbage = write("no.pem", BASE64_URL_SAFE_NO_PAD.encode(&es).as_bytes(), 0o600);
    assert!(matches!(with(&[&garbage]), Err(SigningError::NotAKey { .. })));
    let missing = place.directory.path().join("missing");
    assert!(matches!(with(&[&missing]), Err(SigningError::Unreadable { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_task_rotates_when_it_is_due_and_ends_when_it_is_told() {
    let place = Place::new();
    let signing = Arc::new(place.open(0));
    let first = signs(&signing);
    let stop = CancellationToken::new();
    let begun = tokio::time::Instant::now();
    let now_s = move || i64::try_from(begun.elapsed().as_secs()).unwrap();
    let running = tokio::spawn(signing.clone().run(now_s, stop.clone()));
    // The clock of the runtime goes on by itself while everybody waits.
    while signs(&signing) == first {
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert!(now_s() < 31 * DAY, "no rotation");
    }
    assert!(now_s() >= 30 * DAY && shown(&signing) == 2);
    stop.cancel();
    running.await.unwrap().unwrap();
}
