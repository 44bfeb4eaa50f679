//! A bundle directory, read and compiled for a command.
//! Never prints, except through the caller's own words.

use std::path::Path;

use super::{Exit, paint, trouble};
use crate::diagnostic::{Diagnostic, File};
use crate::policy::{Compiled, compile as compile_files};
use crate::source::{self, Sources};
use crate::suite::{self, Suite};

/// Reads a bundle, or says why not.
pub(super) fn read(directory: &Path) -> Result<Sources, Exit> {
    source::read(directory, &source::Limits::default()).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        trouble(format!("{error}{cause}"))
    })
}

/// Compiles a bundle, or prints its findings.
pub(super) fn compile(directory: &Path) -> Result<Compiled, Exit> {
    let sources = read(directory)?;
    compile_files(&sources.files).map_err(|findings| {
        paint::findings(&findings);
        Exit::Findings
    })
}

/// Understands the test files of a bundle.
pub(super) fn suites(tests: &[File]) -> (Vec<Suite>, Vec<Diagnostic>) {
    let (mut suites, mut findings) = (Vec::new(), Vec::new());
    for file in tests {
        match suite::parse(file) {
            Ok(suite) => suites.push(suite),
            Err(found) => findings.extend(found),
        }
    }
    (suites, findings)
}
