//! Compiles bundles and puts them in force: what the reload works for.
//! Never touches what is in force until a bundle has compiled and its publication is on record.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

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
    /// Counts what came into force.
    published: watch::Sender<u64>,
    weigher: OnceLock<Weigher>,
    /// The revision that somebody said yes to.
    confirmed: Mutex<Option<String>>,
}

/// Says why a bundle should not come into force unless somebody says yes to it.
type Weigher = Box<dyn Fn(&Snapshot) -> Result<(), String> + Send + Sync>;

impl<S> Default for Publisher<S> {
    fn default() -> Self {
        Self {
            compiler: Mutex::default(),
            first: Mutex::default(),
            pdp: OnceLock::new(),
            published: watch::Sender::new(0),
            weigher: OnceLock::new(),
            confirmed: Mutex::default(),
        }
    }
}

impl<S> Publisher<S> {
    /// The snapshot that was published before there was a PDP.
    pub fn first(&self) -> Option<Arc<Snapshot>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Changes whenever something came into force.
    pub fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// From now on bundles are weighed before they come into force. A second weigher changes nothing.
    pub fn weigh_with(&self, weigher: impl Fn(&Snapshot) -> Result<(), String> + Send + Sync + 'static) {
        // Only the first counts, and there is only one.
        let _second = self.weigher.set(Box::new(weigher));
    }

    /// From now on snapshots come into force in this PDP. A second PDP changes nothing.
    pub fn serve(&self, pdp: Arc<Pdp<S>>) {
        // Only the first counts, and there is only one.
        let _second = self.pdp.set(pdp);
    }
}

impl<S: AuditSink> Publisher<S> {
    /// Somebody says yes to the bundle of this revision, whatever it ends, for the next time that it comes into force.
    pub fn confirm(&self, revision: &str) {
        let in_force = self.pdp.get().map(|pdp| pdp.snapshot());
        if in_force.is_some_and(|snapshot| *snapshot.revision().0 == *revision) {
            // It is the tasks that wait.
            self.published.send_modify(|count| *count = count.wrapping_add(1));
            return;
        }
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(revision.to_owned());
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
        // A yes is for once: the same bundle may come back when other tasks are open.
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        confirmed.take_if(|revision| **revision == *snapshot.revision().0);
        drop(confirmed);
        match self.pdp.get() {
            Some(pdp) => pdp.publish(snapshot),
            None => *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot),
        }
        self.published.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn weigh(&self, snapshot: &Arc<Snapshot>) -> Result<(), String> {
        let confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if confirmed.as_deref() == Some(&*snapshot.revision().0) {
            return Ok(());
        }
        self.weigher.get().map_or(Ok(()), |weigh| weigh(snapshot))
    }
}
