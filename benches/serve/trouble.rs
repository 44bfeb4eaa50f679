//! Why a scenario has no figures.
//! Never a slow server: slow is a figure.

use std::io;

/// Why a scenario has no figures.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The operating system.
    #[error("{what}: {source}")]
    System {
        /// What was not to be had.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A process ended that should serve.
    #[error("{name} ended before it said `{wanted}`: {words}")]
    Ended {
        /// Which process.
        name: &'static str,
        /// What it should have said.
        wanted: String,
        /// What it said on standard error instead.
        words: String,
    },
    /// A process or an answer did not come.
    #[error("waited {seconds} s in vain for {wanted}")]
    Late {
        /// For what.
        wanted: String,
        /// How long.
        seconds: u64,
    },
    /// A call failed, or was answered otherwise than it should be.
    #[error("{0}")]
    Call(String),
}

/// A result, or why there is none.
pub type Outcome<T> = Result<T, Trouble>;

/// Names what was attempted when the operating system refuses.
pub trait Attempt<T> {
    /// The value, or trouble that says `what` was not to be had.
    fn to(self, what: impl Into<String>) -> Outcome<T>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn to(self, what: impl Into<String>) -> Outcome<T> {
        self.map_err(|source| Trouble::System { what: what.into(), source })
    }
}
