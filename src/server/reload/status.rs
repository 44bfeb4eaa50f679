//! How reloading stands, for the administration.
//! Never shown to callers without the role `admin`: findings quote policies.

use serde::Serialize;

use crate::access::Revision;
use crate::audit::{Cause, Counts, Rfc3339};
use crate::diagnostic::{Diagnostic, Level};

/// How reloading stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The bundle directory, as it was configured.
    pub bundle: String,
    /// What is in force.
    pub in_force: InForce,
    /// When the directory was last looked at.
    pub last_attempt: Rfc3339,
    /// When what lay in the directory was last found to be what is in force.
    pub last_success: Rfc3339,
    /// Why what lies in the directory is not in force; none when it is.
    pub failing: Option<Failing>,
}

/// The bundle in force.
#[derive(Debug, Clone, Serialize)]
pub struct InForce {
    /// Its revision.
    pub revision: Revision,
    /// Since when.
    pub since: Rfc3339,
    /// What set its publication off.
    pub cause: Cause,
    /// How much is in it.
    pub counts: Counts,
    /// What its author should look at.
    pub warnings: Vec<Finding>,
}

/// Why what lies in the bundle directory is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// Since when.
    pub since: Rfc3339,
    /// In one sentence.
    pub error: String,
    /// What is wrong with the bundle, when it was read.
    pub findings: Vec<Finding>,
}

/// A finding about a bundle, as JSON shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `error` or `warning`.
    pub level: &'static str,
    /// The name of the rule.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file, within the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in it in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl From<&Diagnostic> for Finding {
    fn from(diagnostic: &Diagnostic) -> Self {
        let position = diagnostic.position();
        Self {
            level: match diagnostic.level {
                Level::Warning => "warning",
                Level::Error => "error",
            },
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            file: diagnostic.file.as_ref().map(|file| file.path.to_string()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
        }
    }
}

/// How one attempt to reload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Ended {
    /// Another bundle came into force.
    Published {
        /// Its revision.
        revision: Revision,
    },
    /// What lies in the directory is in force already.
    Unchanged {
        /// Its revision.
        revision: Revision,
    },
    /// What lies in the directory is not in force.
    Failed(Failing),
}
