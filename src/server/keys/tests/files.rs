//! Keys from files.

use std::fs;
use std::path::Path;

use super::*;

async fn rig(path: &Path) -> Rig {
    Rig::start(Config::new(vec![named("idp", Source::File(path.into()))])).await
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_noticed_within_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, DOCUMENT).unwrap();
    let rig = rig(&path).await;
    assert_eq!(rig.target.documents(), [DOCUMENT]);
    fs::write(directory.path().join("new"), OTHER).unwrap();
    fs::rename(directory.path().join("new"), &path).unwrap();
    pass(3).await;
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_leaves_the_keys_in_force_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, DOCUMENT).unwrap();
    let rig = rig(&path).await;
    fs::remove_file(&path).unwrap();
    pass(3).await;
    eventually(|| rig.error().contains("cannot be read: No such file")).await;
    fs::write(&path, "bad").unwrap();
    pass(3).await;
    eventually(|| rig.error().contains("unusable: it says `bad`")).await;
    assert!(rig.status().document.is_some());
    fs::write(&path, OTHER).unwrap();
    pass(3).await;
    eventually(|| rig.status().failing.is_none()).await;
    assert_eq!(rig.target.documents(), [DOCUMENT, OTHER]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_file_or_too_long_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    rig(directory.path()).await.assert_refused("this is not a file");
    rig(&directory.path().join("none")).await.assert_refused("cannot be read");
    rig(Path::new("/dev/zero")).await.assert_refused("this is not a file");
    let long = directory.path().join("long");
    fs::write(&long, vec![b' '; 262_145]).unwrap();
    rig(&long).await.assert_refused("longer than 262144 bytes");
}
