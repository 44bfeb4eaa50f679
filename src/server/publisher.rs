//! Compiles bundles and puts them in force: what the reload works for.
//! Never touches what is in force until a bundle has compiled and its publication is on record.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::reload::{Candidate, Target};
use crate::audit::{AuditSink, Counts};
use crate::diagnostic::{Diagnostic, File};
use crate::pdp::Pdp;
use crate::policy::{Compiler, Snapshot};

/// Where snapshots come into force: in the PDP, or, before there is one, in the hands of who makes it.
pub struct Publisher<S> {
    compiler: Mutex<Compiler>,
    first: Mutex<Option<Arc<Snapshot>>>,
    pdp: OnceLock<Arc<Pdp<S>>>,
}

impl<S> Default for Publisher<S> {
    fn default() -> Self {
        Self { compiler: Mutex::default(), first: Mutex::default(), pdp: OnceLock::new() }
    }
}

impl<S> Publisher<S> {
    /// The snapshot that was published before there was a PDP.
    pub fn first(&self) -> Option<Arc<Snapshot>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// From now on snapshots come into force in this PDP. A second PDP changes nothing.
    pub fn serve(&self, pdp: Arc<Pdp<S>>) {
        // Only the first counts, and there is only one.
        let _second = self.pdp.set(pdp);
    }
}

/// What a compile that panicked left behind is not built upon.
fn fresh(poisoned: PoisonError<MutexGuard<'_, Compiler>>) -> MutexGuard<'_, Compiler> {
    let mut compiler = poisoned.into_inner();
    *compiler = Compiler::default();
    compiler
}

impl<S: AuditSink + 'static> Target for Arc<Publisher<S>> {
    type Snapshot = Arc<Snapshot>;

    fn compile(&self, files: &[File]) -> Result<Candidate<Arc<Snapshot>>, Vec<Diagnostic>> {
        let compiled = self.compiler.lock().unwrap_or_else(fresh).compile(files)?;
        let snapshot = Arc::new(compiled.snapshot);
        let counts = Counts {
            policies: snapshot.policies().len(),
            entities: snapshot.entity_count(),
            servers: snapshot.catalog().servers().count(),
            tools: snapshot.catalog().servers().map(|server| server.tools.len()).sum(),
            ..Counts::default()
        };
        Ok(Candidate { revision: snapshot.revision().clone(), snapshot, counts, warnings: compiled.warnings })
    }

    fn publish(&self, snapshot: Arc<Snapshot>) {
        match self.pdp.get() {
            Some(pdp) => pdp.publish(snapshot),
            None => *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot),
        }
    }
}
