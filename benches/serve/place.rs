//! A place on disk with a bundle, a data directory and a configuration, and the server that runs there.
//! Never touches anything outside of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::bundle;
use crate::options::Options;
use crate::question::token_sha256;
use crate::running::{Listen, Running};
use crate::trouble::{Attempt as _, Outcome};

/// How long a bundle directory must be quiet before it is read: the default, written down.
pub const DEBOUNCE: Duration = Duration::from_millis(100);

/// A place on disk: `bundle/`, `data/`, `palisade.yaml`.
pub struct Place {
    directory: TempDir,
    /// Policies in the bundle.
    pub policies: usize,
    shipped: usize,
}

impl Place {
    /// With the shipped bundle and, when it has fewer policies than that, generated ones.
    pub fn with(policies: usize) -> Outcome<Self> {
        // Beside the build and not in /tmp, which may be memory: the journal is to be written to a disk.
        let directory =
            TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).to("cannot make a temporary directory")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut shipped = 0;
        for folder in ["schemas", "policies", "entities", "tools"] {
            let to = directory.path().join("bundle").join(folder);
            shipped += copy(&root.join(folder), &to).to(format!("cannot copy {folder}/"))?;
        }
        let this = Self { directory, policies: policies.max(shipped), shipped };
        for (path, text) in bundle::files(policies, shipped) {
            this.write(&path, &text)?;
        }
        fs::write(this.path().join("palisade.yaml"), configuration()).to("cannot write palisade.yaml")?;
        Ok(this)
    }

    /// With the shipped bundle alone.
    pub fn shipped() -> Outcome<Self> {
        Self::with(0)
    }

    /// Rewrites one policy so that refunds of that amount are forbidden to everybody who asks here.
    pub fn forbid_refunds_of(&self, amount: u32) -> Outcome<()> {
        self.write(bundle::SWITCHED, &bundle::switched(self.policies, self.shipped, amount))
    }

    /// Serves with an empty data directory, and waits until it answers.
    pub fn serve(&self, listen: &Listen, options: &Options) -> Outcome<Running> {
        Running::start("palisade", &mut self.command(listen, options)?, options.workers)
    }

    /// The same, to be asked over HTTP.
    pub fn serve_http(&self, options: &Options) -> Outcome<Running> {
        let mut command = self.command(&Listen::Tcp, options)?;
        Running::start_at("palisade", "http listening on ", &mut command, options.workers)
    }

    fn command(&self, listen: &Listen, options: &Options) -> Outcome<Command> {
        let data = self.path().join("data");
        if data.exists() {
            fs::remove_dir_all(&data).to("cannot empty the data directory")?;
        }
        let built = || env!("CARGO_BIN_EXE_palisade").into();
        let mut command = Command::new(options.palisade.clone().unwrap_or_else(built));
        command.current_dir(self.path()).env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.args(["serve", "--config", "palisade.yaml", "--bundle", "bundle", "--data", "data"]);
        command.args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--grpc"]).arg(listen.to_string());
        Ok(command)
    }

    /// Deletes the journal's files that are complete: a minute at full speed is more than a gigabyte.
    pub fn tidy(&self) -> Outcome<()> {
        let folder = self.path().join("data/audit");
        for entry in fs::read_dir(&folder).to("cannot list the journal")? {
            let path = entry.to("cannot list the journal")?.path();
            if path.file_name().is_some_and(|name| name != "audit.jsonl") {
                fs::remove_file(&path).to("cannot delete a journal file")?;
            }
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file of the bundle as editors and deployments do: beside it, then renamed over it.
    fn write(&self, path: &str, text: &str) -> Outcome<()> {
        let path: PathBuf = self.path().join("bundle").join(path);
        let beside = path.with_extension("beside");
        let parent = path.parent().unwrap_or(self.path());
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&beside, text))
            .and_then(|()| fs::rename(&beside, &path))
            .to(format!("cannot write {}", path.display()))
    }
}

fn configuration() -> String {
    format!(
        "callers:\n  - name: bench\n    token_sha256: \"{}\"\n    roles: [authorize, assert]\n    \
         servers: \"*\"\nreload:\n  debounce_ms: {}\n",
        token_sha256(),
        DEBOUNCE.as_millis(),
    )
}

/// Copies a folder, and counts the policies in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<usize> {
    fs::create_dir_all(to)?;
    let mut policies = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            // Modules of Node are no part of a bundle.
            if entry.file_name() != "capture" {
                policies += copy(&from, &to)?;
            }
            continue;
        }
        fs::copy(&from, &to)?;
        if from.extension().is_some_and(|ending| ending == "cedar") {
            policies += bundle::count(&fs::read_to_string(&from)?);
        }
    }
    Ok(policies)
}
