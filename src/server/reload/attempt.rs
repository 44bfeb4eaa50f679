//! One attempt: read, compare, compile, record, publish, in this order.
//! Never compiles the same content twice, and never publishes before the record.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::content::Content;
use super::{Candidate, Config, Ended, Failing, Finding, InForce, StartError, Status, Target};
use crate::access::Revision;
use crate::audit::{AuditError, AuditSink, Cause, Changes, Counts, Published, Record, Rfc3339};
use crate::diagnostic::{Diagnostic, File, chain};
use crate::server::clock;
use crate::server::metrics::{Attempt, Metrics};
use crate::source::{self, Sources};

/// How many findings of a bad bundle are logged; the administration shows all.
const FINDINGS_LOGGED_MAX: usize = 10;

/// A bundle directory, what of it is in force, and why the rest is not.
pub struct Bundle<T: Target> {
    pub(super) config: Config,
    target: T,
    sink: Arc<dyn AuditSink>,
    metrics: Arc<Metrics>,
    status: Arc<ArcSwap<Status>>,
    /// The directories that were read last.
    pub(super) directories: BTreeSet<PathBuf>,
    in_force: Content,
    /// What was tried last and does not compile.
    refused: Option<(Content, Fault)>,
    /// What compiled and awaits its record, or somebody's yes.
    ready: Option<(Content, Candidate<T::Snapshot>)>,
    /// Why it awaits the latter.
    held: Option<String>,
}

/// Why an attempt failed.
#[derive(Clone)]
struct Fault {
    error: String,
    findings: Vec<Finding>,
}

impl Fault {
    fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), findings: Vec::new() }
    }
}

impl<T: Target> Bundle<T> {
    /// Reads and compiles the bundle, records its publication and publishes it.
    ///
    /// # Errors
    /// [`StartError`] when that is not possible; nothing was published then.
    pub fn start(
        config: Config,
        target: T,
        sink: Arc<dyn AuditSink>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let Sources { files, tests: _, directories } = source::read(&config.bundle, &config.limits)?;
        let content = Content::of(&files);
        let candidate = compile(&target, &files).ok_or(StartError::Panicked)?.map_err(StartError::Refused)?;
        let changes = Changes::between(&std::collections::BTreeMap::new(), &content.files);
        record(&*sink, &config, &candidate, None, Cause::Start, &changes)?;
        let in_force = in_force(&candidate, Cause::Start);
        let now = in_force.since;
        metrics.published(&in_force.revision, now.0);
        let Counts { files, policies, entities, servers, tools } = in_force.counts;
        let revision = in_force.revision.short();
        tracing::info!(revision, files, policies, entities, servers, tools, "the bundle is in force");
        let bundle = config.bundle.display().to_string();
        let status = Status { bundle, in_force, last_attempt: now, last_success: now, failing: None };
        target.publish(candidate.snapshot);
        Ok(Self {
            config,
            target,
            sink,
            metrics,
            status: Arc::new(ArcSwap::from_pointee(status)),
            directories,
            in_force: content,
            refused: None,
            ready: None,
            held: None,
        })
    }

    /// How reloading stands, always the latest.
    pub fn status(&self) -> Arc<ArcSwap<Status>> {
        Arc::clone(&self.status)
    }

    /// Whether a publication awaits its record.
    pub(super) fn awaits_record(&self) -> bool {
        self.ready.is_some() && self.held.is_none()
    }

    /// Makes the directory's content come into force, if it is another and a good one.
    pub(super) fn attempt(&mut self, cause: Cause) -> Ended {
        let before = self.status.load_full();
        let now = Rfc3339(clock::now());
        let attempted = match self.load() {
            Ok(()) => self.publish_ready(cause),
            Err(fault) => Err(fault),
        };
        let mut status = Status { last_attempt: now, ..(*before).clone() };
        let ended = match attempted {
            Ok(in_force) => {
                status.last_success = now;
                status.failing = None;
                if before.failing.is_some() {
                    tracing::info!("what lies in the bundle directory is in force again");
                }
                if let Some(in_force) = in_force {
                    let revision = in_force.revision.clone();
                    status.in_force = in_force;
                    self.metrics.reloaded(Attempt::Published);
                    Ended::Published { revision }
                } else {
                    if cause != Cause::Poll {
                        self.metrics.reloaded(Attempt::Unchanged);
                    }
                    Ended::Unchanged { revision: before.in_force.revision.clone() }
                }
            }
            Err(fault) => {
                let failing = self.failing(&fault, before.failing.as_ref(), now);
                status.failing = Some(failing.clone());
                Ended::Failed(failing)
            }
        };
        let is_failing = status.failing.is_some();
        self.status.store(Arc::new(status));
        // Who sees it in the metrics finds the reason in the status.
        self.metrics.bundle_failing(is_failing);
        ended
    }

    /// Reads, and compiles what is new: afterwards `ready` holds what should come into force, if that is another.
    fn load(&mut self) -> Result<(), Fault> {
        let Sources { files, tests: _, directories } = source::read(&self.config.bundle, &self.config.limits)
            .map_err(|error| Fault::new(chain(&error)))?;
        self.directories = directories;
        let content = Content::of(&files);
        if content == self.in_force {
            (self.refused, self.ready, self.held) = (None, None, None);
            return Ok(());
        }
        if self.ready.as_ref().is_some_and(|(ready, _)| *ready == content) {
            return Ok(());
        }
        (self.ready, self.held) = (None, None);
        if let Some((_, fault)) = self.refused.as_ref().filter(|(refused, _)| *refused == content) {
            return Err(fault.clone());
        }
        let fault = match compile(&self.target, &files) {
            Some(Ok(candidate)) => {
                self.refused = None;
                self.ready = Some((content, candidate));
                return Ok(());
            }
            Some(Err(findings)) => Fault {
                error: format!(
                    "the bundle has {} finding(s); the last good one stays in force",
                    findings.len()
                ),
                findings: findings.iter().map(Finding::from).collect(),
            },
            None => {
                Fault::new("the compiler panicked; the last good bundle stays in force; please report it")
            }
        };
        self.refused = Some((content, fault.clone()));
        Err(fault)
    }

    /// Records and publishes what is ready. None when that would change nothing.
    fn publish_ready(&mut self, cause: Cause) -> Result<Option<InForce>, Fault> {
        let Some((content, candidate)) = self.ready.take() else { return Ok(None) };
        let previous = self.status.load().in_force.revision.clone();
        if candidate.revision == previous {
            self.in_force = content;
            return Ok(None);
        }
        let known = self.held.take().filter(|_| cause == Cause::Poll);
        if let Err(why) = self.target.weigh(&candidate.snapshot) {
            // Its figures change while it waits; that it waits is no news.
            let why = known.unwrap_or(why);
            self.held = Some(why.clone());
            self.ready = Some((content, candidate));
            return Err(Fault::new(why));
        }
        let changes = Changes::between(&self.in_force.files, &content.files);
        if let Err(error) = record(&*self.sink, &self.config, &candidate, Some(&previous), cause, &changes) {
            self.ready = Some((content, candidate));
            return Err(Fault::new(format!("the publication waits for its audit record: {}", chain(&error))));
        }
        let in_force = in_force(&candidate, cause);
        self.metrics.published(&in_force.revision, in_force.since.0);
        let (revision, previous) = (in_force.revision.short(), previous.short());
        let Counts { files, policies, entities, servers, tools } = in_force.counts;
        tracing::info!(
            revision,
            previous,
            ?cause,
            files,
            policies,
            entities,
            servers,
            tools,
            "another bundle is in force"
        );
        self.target.publish(candidate.snapshot);
        self.in_force = content;
        Ok(Some(in_force))
    }

    /// Says so, once per fault.
    fn failing(&self, fault: &Fault, before: Option<&Failing>, now: Rfc3339) -> Failing {
        let Fault { error, findings } = fault;
        match before {
            Some(same) if same.error == *error && same.findings == *findings => same.clone(),
            Some(_) | None => {
                self.metrics.reloaded(Attempt::Failed);
                tracing::error!(bundle = %self.config.bundle.display(), error, "the bundle does not come into force");
                for finding in findings.iter().take(FINDINGS_LOGGED_MAX) {
                    let Finding { level, code, message, help, file, line, column } = finding;
                    tracing::error!(level, code, help, file, line, column, "{message}");
                }
                let since = before.map_or(now, |earlier| earlier.since);
                Failing { since, error: error.clone(), findings: findings.clone() }
            }
        }
    }
}

/// None when the compiler panicked: a defect in it must not end reloading.
fn compile<T: Target>(target: &T, files: &[File]) -> Option<Result<Candidate<T::Snapshot>, Vec<Diagnostic>>> {
    let compiled = catch_unwind(AssertUnwindSafe(|| target.compile(files))).ok()?;
    Some(compiled.map(|mut candidate| {
        candidate.counts.files = files.len();
        candidate
    }))
}

fn record<S>(
    sink: &dyn AuditSink,
    config: &Config,
    candidate: &Candidate<S>,
    previous: Option<&Revision>,
    cause: Cause,
    changes: &Changes,
) -> Result<(), AuditError> {
    let bundle = config.bundle.display().to_string();
    let published = Published {
        time: clock::now(),
        revision: &candidate.revision,
        previous,
        bundle: &bundle,
        cause,
        changes,
        counts: candidate.counts,
    };
    sink.record(&Record::Published(&published)).map(|_receipt| ())
}

fn in_force<S>(candidate: &Candidate<S>, cause: Cause) -> InForce {
    InForce {
        revision: candidate.revision.clone(),
        since: Rfc3339(clock::now()),
        cause,
        counts: candidate.counts,
        warnings: candidate.warnings.iter().map(Finding::from).collect(),
    }
}
