//! Every task of the server: named, owned, and ended in order.
//! Never leaves a task behind, and never waits for one without end.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long the last tasks have, after the others have ended.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// Why a server ended that nobody had stopped.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task failed.
    #[error("the task `{name}` failed")]
    Failed {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A task panicked. A defect of ours.
    #[error("the task `{name}` panicked; please report it")]
    Panicked {
        /// Its name.
        name: &'static str,
    },
    /// A task ended that should run until it is stopped.
    #[error("the task `{name}` ended by itself")]
    Ended {
        /// Its name.
        name: &'static str,
    },
}

/// The tasks of a server. Each gets a token and ends soon after it is cancelled.
#[derive(Debug)]
pub struct Tasks {
    stop: CancellationToken,
    end: CancellationToken,
    first: Set,
    last: Set,
}

#[derive(Debug, Default)]
struct Set {
    tasks: JoinSet<io::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// No tasks yet. Cancelling `stop` ends them all.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, end: CancellationToken::new(), first: Set::default(), last: Set::default() }
    }

    /// Runs a task until the server stops.
    pub fn spawn<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.first.spawn(name, task(self.stop.child_token()));
    }

    /// Runs a task until all others have ended: who looks after the draining must outlive it.
    pub fn spawn_last<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        self.last.spawn(name, task(self.end.child_token()));
    }

    /// Runs until `stop` is cancelled, or until a task ends by itself, which stops the server. Then the tasks have
    /// `grace` to finish what they began; who is late is cut off.
    ///
    /// # Errors
    /// [`TaskError`] of the task that stopped the server.
    pub async fn run(mut self, grace: Duration) -> Result<(), TaskError> {
        let ended = tokio::select! {
            // A task that ends because the server stops is no fault.
            biased;
            () = self.stop.cancelled() => Ok(()),
            fault = self.first.next_fault() => Err(fault),
            fault = self.last.next_fault() => Err(fault),
        };
        self.stop.cancel();
        self.first.join(grace).await;
        self.end.cancel();
        self.last.join(LAST_GRACE).await;
        ended
    }
}

impl Set {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = io::Result<()>> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// The first task that ends while none should; none ever does when there is none.
    async fn next_fault(&mut self) -> TaskError {
        match self.tasks.join_next_with_id().await {
            Some(ended) => match self.fault(ended) {
                Ok(name) => TaskError::Ended { name },
                Err(fault) => fault,
            },
            None => std::future::pending().await,
        }
    }

    async fn join(&mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        loop {
            match timeout_at(deadline, self.tasks.join_next_with_id()).await {
                Ok(Some(ended)) => {
                    if let Err(error) = self.fault(ended) {
                        tracing::error!(error = &error as &dyn std::error::Error, "a task ended badly");
                    }
                }
                Ok(None) => return,
                Err(_late) => {
                    let late: Vec<_> = self.names.values().collect();
                    tracing::warn!(?late, "these tasks were cut off");
                    self.tasks.shutdown().await;
                    return;
                }
            }
        }
    }

    fn fault(&mut self, ended: Result<(Id, io::Result<()>), JoinError>) -> Result<&'static str, TaskError> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Some(result)),
            Err(error) => (error.id(), None),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        match result {
            Some(Ok(())) => Ok(name),
            Some(Err(source)) => Err(TaskError::Failed { name, source }),
            None => Err(TaskError::Panicked { name }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn tasks_end_in_order_when_the_server_stops() {
        let stop = CancellationToken::new();
        let order = Arc::<Mutex<Vec<&str>>>::default();
        let mut tasks = Tasks::new(stop.clone());
        let until = |name: &'static str| {
            let order = Arc::clone(&order);
            move |stop: CancellationToken| async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                order.lock().unwrap().push(name);
                Ok(())
            }
        };
        tasks.spawn_last("admin", until("admin"));
        tasks.spawn("grpc", until("grpc"));
        stop.cancel();
        tasks.run(LONG).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["grpc", "admin"]);
    }

    #[tokio::test]
    async fn a_task_that_fails_stops_the_server_and_is_named() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone());
        tasks.spawn("waiter", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.spawn("grpc", |_stop| async { Err(io::Error::other("no")) });
        let error = tasks.run(LONG).await.unwrap_err();
        assert!(matches!(error, TaskError::Failed { name: "grpc", .. }), "{error}");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_by_itself_stops_the_server() {
        let mut tasks = Tasks::new(CancellationToken::new());
        tasks.spawn_last("admin", |_stop| async { panic!("as asked") });
        let error = tasks.run(LONG).await.unwrap_err();
        assert!(matches!(error, TaskError::Panicked { name: "admin" }), "{error}");
        let mut tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("grpc", |_stop| async { Ok(()) });
        let error = tasks.run(LONG).await.unwrap_err();
        assert!(matches!(error, TaskError::Ended { name: "grpc" }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_cut_off() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone());
        tasks.spawn("stuck", |_stop| std::future::pending());
        stop.cancel();
        tasks.run(Duration::from_secs(30)).await.unwrap();
    }
}
