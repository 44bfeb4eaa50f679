//! Bundles as they lie on disks: plain, mounted, broken.
//! Never compiles one.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn bundle(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn paths(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| &*file.path).collect()
}

fn refused(directory: &TempDir, limits: &Limits) -> SourceError {
    read(directory.path(), limits).unwrap_err()
}

#[test]
fn a_bundle_is_its_folders_sorted_and_nothing_else() {
    let directory = bundle(&[
        ("tools/crm.json", "{}"),
        ("tools/crm.facts.yaml", ""),
        ("tools/deep/x.json", ""),
        ("schemas/b.cedarschema", "b"),
        ("schemas/a.cedarschema", "a"),
        ("schemas/notes.md", ""),
        ("policies/guards/z.cedar", "z"),
        ("policies/guards/z_test.yaml", "t"),
        ("policies/.hidden.cedar", ""),
        ("entities/org/people.json", "[]"),
        ("README.md", ""),
        ("target/x.cedar", ""),
    ]);
    let sources = read(directory.path(), &Limits::default()).unwrap();
    assert_eq!(
        paths(&sources.files),
        [
            "entities/org/people.json",
            "policies/guards/z.cedar",
            "schemas/a.cedarschema",
            "schemas/b.cedarschema",
            "tools/crm.facts.yaml",
            "tools/crm.json",
        ]
    );
    assert_eq!(paths(&sources.tests), ["policies/guards/z_test.yaml"]);
    assert_eq!(&*sources.files[2].text, "a");
}

#[test]
fn a_missing_folder_is_empty_and_a_missing_bundle_is_refused() {
    let directory = bundle(&[("schemas/a.cedarschema", "a")]);
    assert_eq!(read(directory.path(), &Limits::default()).unwrap().files.len(), 1);
    let missing = read(&directory.path().join("no"), &Limits::default()).unwrap_err();
    assert!(matches!(missing, SourceError::Missing { .. }), "{missing}");
    let file = read(&directory.path().join("schemas/a.cedarschema"), &Limits::default()).unwrap_err();
    assert!(matches!(file, SourceError::NotADirectory { .. }), "{file}");
}

#[test]
fn a_mounted_config_map_reads_like_a_folder() {
    let directory = bundle(&[("schemas/..2026_01/agent.cedarschema", "v1")]);
    let mount = directory.path().join("schemas");
    symlink("..2026_01", mount.join("..data")).unwrap();
    symlink("..data/agent.cedarschema", mount.join("agent.cedarschema")).unwrap();
    let sources = read(directory.path(), &Limits::default()).unwrap();
    assert_eq!(paths(&sources.files), ["schemas/agent.cedarschema"]);
    let real = fs::canonicalize(&mount).unwrap();
    assert_eq!(sources.directories, BTreeSet::from([real.clone(), real.join("..2026_01")]));
}

#[test]
fn what_is_no_text_is_refused_with_its_place() {
    let directory = bundle(&[]);
    fs::create_dir(directory.path().join("policies")).unwrap();
    fs::write(directory.path().join("policies/a.cedar"), b"ab\xff").unwrap();
    let error = refused(&directory, &Limits::default());
    assert!(matches!(error, SourceError::NotUtf8 { offset: 2, .. }), "{error}");
}

#[test]
fn limits_are_kept() {
    let directory =
        bundle(&[("policies/a.cedar", "1234"), ("policies/b.cedar", "1234"), ("policies/x/y/c.cedar", "")]);
    let all = Limits { file_bytes_max: 4, total_bytes_max: 8, files_max: 3, depth_max: 3 };
    assert_eq!(read(directory.path(), &all).unwrap().files.len(), 3);
    let error = refused(&directory, &Limits { file_bytes_max: 3, ..all });
    assert!(matches!(error, SourceError::FileTooLarge { limit_bytes: 3, .. }), "{error}");
    let error = refused(&directory, &Limits { total_bytes_max: 7, ..all });
    assert!(matches!(error, SourceError::TooLarge { .. }), "{error}");
    let error = refused(&directory, &Limits { files_max: 2, ..all });
    assert!(matches!(error, SourceError::TooManyFiles { .. }), "{error}");
    let error = refused(&directory, &Limits { depth_max: 2, ..all });
    assert!(matches!(error, SourceError::TooDeep { .. }), "{error}");
}

#[test]
fn links_that_lead_in_circles_are_refused() {
    let directory = bundle(&[("policies/a.cedar", "")]);
    symlink("..", directory.path().join("policies/up")).unwrap();
    let error = refused(&directory, &Limits::default());
    assert!(matches!(error, SourceError::Loop { .. }), "{error}");
    fs::remove_file(directory.path().join("policies/up")).unwrap();
    symlink("self.cedar", directory.path().join("policies/self.cedar")).unwrap();
    let error = refused(&directory, &Limits::default());
    assert!(matches!(error, SourceError::Unreadable { .. }), "{error}");
}

#[test]
fn what_is_not_a_file_is_refused_and_not_waited_for() {
    let directory = bundle(&[("policies/a.cedar", "")]);
    symlink("/dev/zero", directory.path().join("policies/b.cedar")).unwrap();
    let error = refused(&directory, &Limits::default());
    assert!(matches!(error, SourceError::NotAFile { .. }), "{error}");
    fs::remove_file(directory.path().join("policies/b.cedar")).unwrap();
    symlink("nowhere", directory.path().join("policies/b.cedar")).unwrap();
    let error = refused(&directory, &Limits::default());
    assert!(matches!(error, SourceError::LeadsNowhere { .. }), "{error}");
}

#[test]
fn a_link_to_a_folder_that_leads_nowhere_is_refused_and_named() {
    for folder in ["policies", "entities"] {
        let directory = bundle(&[("policies/a.cedar", ""), ("entities/a.json", "[]")]);
        let link = directory.path().join(folder).join("guard");
        symlink("/nowhere", &link).unwrap();
        let error = refused(&directory, &Limits::default());
        assert!(matches!(&error, SourceError::LeadsNowhere { path } if *path == link), "{error}");
        assert!(error.to_string().contains("remove the link"), "{error}");
    }
}

#[test]
fn a_folder_below_policies_that_cannot_be_looked_at_is_refused() {
    let directory = bundle(&[("policies/a.cedar", "")]);
    // A link to itself and a way through a file: errors of `stat` that root gets too.
    for target in ["guard", "a.cedar/guard"] {
        let link = directory.path().join("policies/guard");
        symlink(target, &link).unwrap();
        let error = refused(&directory, &Limits::default());
        assert!(matches!(&error, SourceError::Unreadable { path, .. } if *path == link), "{error}");
        fs::remove_file(link).unwrap();
    }
    assert!(read(directory.path(), &Limits::default()).is_ok());
}

#[test]
fn a_folder_of_the_bundle_that_is_a_link_to_nowhere_is_not_empty() {
    for folder in ["schemas", "policies", "entities", "tools"] {
        let directory = bundle(&[("README.md", "")]);
        assert!(read(directory.path(), &Limits::default()).unwrap().files.is_empty());
        let link = directory.path().join(folder);
        symlink("/nowhere", &link).unwrap();
        let error = refused(&directory, &Limits::default());
        assert!(matches!(&error, SourceError::LeadsNowhere { path } if *path == link), "{error}");
    }
}

#[test]
fn links_to_nowhere_that_would_not_be_read_anyway_are_passed_over() {
    let directory = bundle(&[("policies/a.cedar", ""), ("tools/crm.json", "{}")]);
    for link in ["policies/.lock", "policies/..data", "tools/deep", "notes"] {
        symlink("/nowhere", directory.path().join(link)).unwrap();
    }
    assert_eq!(read(directory.path(), &Limits::default()).unwrap().files.len(), 2);
}

#[test]
fn a_mounted_folder_is_refused_while_its_volume_is_away_and_read_when_it_is_back() {
    let directory = bundle(&[("policies/..1/guards/a.cedar", "1"), ("policies/..2/guards/a.cedar", "2")]);
    let policies = directory.path().join("policies");
    symlink("..data/guards", policies.join("guards")).unwrap();
    for (volume, text) in [("..1", "1"), ("..2", "2")] {
        let error = refused(&directory, &Limits::default());
        assert!(matches!(error, SourceError::LeadsNowhere { .. }), "{error}");
        symlink(volume, policies.join("..data")).unwrap();
        let sources = read(directory.path(), &Limits::default()).unwrap();
        assert_eq!(&*sources.files[0].text, text);
        fs::remove_file(policies.join("..data")).unwrap();
    }
}
