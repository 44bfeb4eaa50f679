//! A place on disk with a bundle, a data directory and a configuration, and the command that serves them.
//! Never touches anything outside of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::child::{Ended, Process};
use super::server::Server;

/// The schema of the small bundle: an agent reads documents.
const SCHEMA: &str = "\
entity Agent = { active: Bool };
entity Doc;
action read appliesTo { principal: [Agent], resource: [Doc], context: { note?: String, words?: Set<String> } };
";

const ENTITIES: &str = r#"[
  { "uid": { "type": "Agent", "id": "bot" }, "attrs": { "active": true }, "parents": [] },
  { "uid": { "type": "Doc", "id": "a" }, "attrs": {}, "parents": [] }
]"#;

/// Permits reading.
pub const PERMIT: &str = "\
@id(\"doc/read\")
permit (principal is Agent, action == Action::\"read\", resource is Doc)
when { principal.active };
";

/// Forbids it.
pub const FORBID: &str = "\
@id(\"doc/closed\")
@reason(\"documents are closed\")
forbid (principal is Agent, action == Action::\"read\", resource is Doc);
";

/// The one policy file of the small bundle, below the bundle.
pub const POLICY: &str = "policies/doc.cedar";

/// A place on disk: `bundle/`, `data/`, `palisade.yaml`.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// With the small bundle, which has this policy.
    pub fn with(policy: &str) -> Self {
        let this = Self::empty();
        this.write("schemas/doc.cedarschema", SCHEMA);
        this.write("entities/agents.json", ENTITIES);
        this.write(POLICY, policy);
        this
    }

    /// With a copy of the bundle that is shipped.
    pub fn shipped() -> Self {
        let this = Self::empty();
        for folder in ["schemas", "policies", "entities", "tools"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &this.bundle().join(folder));
        }
        this
    }

    /// Without a bundle.
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The bundle directory.
    pub fn bundle(&self) -> PathBuf {
        self.path().join("bundle")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The file of the journal that is being written.
    pub fn journal(&self) -> PathBuf {
        self.data().join("audit/audit.jsonl")
    }

    /// Writes a file of the bundle as editors and deployments do: beside it, then renamed over it.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.bundle().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &path).unwrap();
    }

    /// Removes a file of the bundle.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.bundle().join(path)).unwrap();
    }

    /// Writes the configuration.
    pub fn configure(&self, text: &str) {
        fs::write(self.path().join("palisade.yaml"), text).unwrap();
    }

    /// `palisade serve` on free ports, with nothing of this machine's environment that could matter.
    pub fn command(&self) -> Command {
        let mut command = self.bare(Path::new(env!("CARGO_BIN_EXE_palisade")));
        command.args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command
    }

    /// `palisade serve` at the usual addresses.
    pub fn bare(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.arg("serve").arg("--bundle").arg(self.bundle()).arg("--data").arg(self.data());
        command
    }

    /// Serves, and waits until it answers.
    pub fn start(&self) -> Server {
        Server::started(Process::spawn(&mut self.command()), &self.data())
    }

    /// Serves what is refused: waits for the end.
    pub fn refused(&self) -> Ended {
        Process::spawn(&mut self.command()).end()
    }

    /// Every whole record of the journal, oldest first, all files of it.
    pub fn records(&self) -> Vec<Value> {
        let mut records = Vec::new();
        for path in self.journal_files() {
            let text = fs::read_to_string(path).unwrap();
            records.extend(text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(|line| {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            }));
        }
        records
    }

    /// The records of one type.
    pub fn records_of(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["type"] == kind).collect()
    }

    /// The files of the journal, oldest first.
    pub fn journal_files(&self) -> Vec<PathBuf> {
        let folder = self.data().join("audit");
        let mut files: Vec<PathBuf> = names(&folder)
            .into_iter()
            .filter(|name| name.starts_with("audit-"))
            .map(|name| folder.join(name))
            .collect();
        files.push(self.journal());
        files
    }
}

/// The names in a directory, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// Every file and directory below a directory, itself included.
pub fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() {
            let below: Vec<PathBuf> = names(&found[at]).iter().map(|name| found[at].join(name)).collect();
            found.extend(below);
        }
        at += 1;
    }
    found
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        // Modules of Node are no part of a bundle.
        if from.is_file() {
            fs::copy(from, to).unwrap();
        } else if name != "capture" {
            copy(&from, &to);
        }
    }
}
