//! A bundle directory, read and compiled for a command.
use super::{Exit, trouble};
use crate::policy::{Compiled, compile as compile_files};
use std::path::Path;
/// x
pub(super) fn compile(directory: &Path) -> Result<Compiled, Exit> {
    let sources = crate::source::read(directory, &crate::source::Limits::default()).map_err(trouble)?;
    compile_files(&sources.files).map_err(|findings| {
        super::paint::findings(&findings);
        Exit::Findings
    })
}
