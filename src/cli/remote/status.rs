//! What a running server's refusals mean, and what to do about them.
//! Never about denies: those are answers.

use std::error::Error as _;

use tonic::{Code, Status};

use super::Dialled;

impl Dialled {
    /// Why there is no answer, and what to do.
    pub(in crate::cli) fn words(&self, status: &Status) -> String {
        if let Some(words) = self.broken(status) {
            return words;
        }
        let (address, said) = (&self.address, status.message());
        match status.code() {
            Code::InvalidArgument => format!("the server does not take that: {said}"),
            Code::Unauthenticated => format!(
                "the server at {address} does not know who asks: {said}; show a token with --token-file FILE, or name its \
                 data directory with --data DIR"
            ),
            Code::PermissionDenied => format!("the server does not let you: {said}"),
            Code::NotFound => format!("not found: {said}"),
            Code::AlreadyExists => format!("{said}; for something else take another --idempotency-key"),
            Code::FailedPrecondition => format!("not possible: {said}"),
            Code::Unavailable => format!("the server at {address} cannot do that now: {said}"),
            Code::Unimplemented => format!(
                "the server at {address} does not know this command: it is older than this palisade, or serves no tasks"
            ),
            other => format!("no answer ({other:?}): {said}"),
        }
    }

    /// The same for what changes something; `again` says how to ask once more where nobody knows whether it happened.
    pub(in crate::cli) fn undone(&self, status: &Status, again: &str) -> String {
        let words = self.words(status);
        if is_unsure(status) {
            return format!("{words}; nobody knows whether it happened: {again}");
        }
        words
    }
}

/// Whether it may have happened all the same.
fn is_unsure(status: &Status) -> bool {
    status.source().is_some()
        || matches!(
            status.code(),
            Code::Unavailable
                | Code::Cancelled
                | Code::Unknown
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::Internal
        )
}
