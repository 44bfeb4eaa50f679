//! A bundle directory, read and compiled for a command.
//! Never decides how findings are shown, except for a command that cannot go on with them.

use std::path::Path;
use std::sync::Arc;

use super::{Exit, paint, trouble};
use crate::api::Authorization;
use crate::audit::{DigestKey, Memory, OpenDecisions, digest::KEY_BYTES};
use crate::diagnostic::{Diagnostic, File, Level, chain, sort};
use crate::identity::{Caller, Callers, Role, Servers};
use crate::pdp::Pdp;
use crate::policy::{self, Compiled, Snapshot};
use crate::server::{SystemClock, config};
use crate::source::{self, Limits, Sources};
use crate::suite::{self, Suite};

/// Everything that a bundle directory holds, as far as it is sound.
pub(super) struct Bundle {
    /// The paths of all files, tests included.
    pub(super) paths: Vec<String>,
    /// The compiled bundle; none when an error stands in it.
    pub(super) snapshot: Option<Snapshot>,
    /// The tests that could be understood.
    pub(super) suites: Vec<Suite>,
    /// All that is to be said about the bundle and its tests.
    pub(super) findings: Vec<Diagnostic>,
}

impl Bundle {
    /// Reads and compiles the bundle in a directory, and understands its tests.
    pub(super) fn load(directory: &Path) -> Result<Self, Exit> {
        let Sources { files, tests, directories: _ } = read(directory)?;
        let (snapshot, mut findings) = match policy::compile(&files) {
            Ok(Compiled { snapshot, warnings }) => (Some(snapshot), warnings),
            Err(findings) => (None, findings),
        };
        let mut suites = Vec::new();
        for test in &tests {
            match suite::parse(test) {
                Ok(suite) => {
                    findings.extend(snapshot.iter().flat_map(|snapshot| suite::strangers(snapshot, &suite)));
                    suites.push(suite);
                }
                Err(found) => findings.extend(found),
            }
        }
        sort(&mut findings);
        let paths = files.iter().chain(&tests).map(|File { path, text: _ }| path.to_string()).collect();
        Ok(Self { paths, snapshot, suites, findings })
    }

    /// How many findings are of this level.
    pub(super) fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Compiles the bundle in a directory for a command that needs a sound one; says on standard error what is wrong.
pub(super) fn compile(directory: &Path) -> Result<Compiled, Exit> {
    policy::compile(&read(directory)?.files).map_err(|findings| {
        paint::findings(&findings);
        Exit::Findings
    })
}

/// The service over the bundle in a directory, as a server would run it, for oneself alone; nothing is recorded.
pub(super) fn service(directory: &Path, caller: &str) -> Result<Authorization<Memory>, Exit> {
    let compiled = compile(directory)?;
    // The digest of a question that nobody records is keyed with nothing in particular.
    let key = DigestKey::new(&[0; KEY_BYTES]);
    let open = Arc::new(OpenDecisions::new(0));
    let limits = config::Limits::default();
    let pdp = Pdp::new(Arc::new(compiled.snapshot), Memory::new(1), open, key, limits.of_messages());
    let oneself = Caller {
        name: caller.into(),
        roles: Role::ALL.into(),
        servers: Servers::All,
        agentless: false,
        authenticated: true,
    };
    let callers = Callers::new([], Some(oneself));
    Ok(Authorization::new(Arc::new(pdp), callers, Arc::new(SystemClock), limits.of_the_face()))
}

/// Reads the files of a bundle; says on standard error why that failed.
pub(super) fn read(directory: &Path) -> Result<Sources, Exit> {
    source::read(directory, &Limits::default()).map_err(|error| trouble(chain(&error)))
}
