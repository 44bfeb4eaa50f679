//! The server from start to end: open, compile, bind, say so, serve, drain.
//! Never answers before the first bundle is in force and on record.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::config::{Limits, Listen, Settings};
use super::data::{DataDir, DataError};
use super::journal::{Journal, JournalError};
use super::keys::KeysError;
use super::listen::{Address, BindError, Listener, bind, bind_grpc};
use super::metered::Metered;
use super::metrics::Metrics;
use super::publisher::Publisher;
use super::reload::{Bundle, Reload, Reloads, StartError};
use super::signals::Signals;
use super::tasks::{TaskError, Tasks};
use super::telemetry::{self, TelemetryError};
use super::tls::{self, Rotation, Tls, TlsError};
use super::{SystemClock, admin, clock, grpc, refill, stack, trust};
use crate::api::Authorization;
use crate::audit::{AuditSink, OpenDecisions};
use crate::identity::Callers;
use crate::pdp::{HouseRules, Pdp};

/// How long calls that have begun may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(20);

/// How long threads may go on that wait for the operating system, after everything else has ended.
const THREADS_GRACE: Duration = Duration::from_secs(1);

type Sink = Metered<Arc<Journal>>;

/// Why the server did not start, or ended that nobody had stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Logs or traces.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The audit journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The bundle.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Keys of issuers cannot be fetched at all.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The operating system.
    #[error("{what}")]
    System {
        /// What was not to be had.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// What the server says on standard output, in order: where it listens, then that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announce {
    /// gRPC is bound; once for each address, in the order of the configuration.
    Grpc(Address),
    /// The administration is bound.
    Admin(SocketAddr),
    /// It answers.
    Ready,
}

/// Serves until SIGTERM, SIGINT or a failure.
///
/// # Errors
/// [`ServeError`].
pub fn serve(settings: Settings, announce: impl FnMut(Announce) + Send) -> Result<(), ServeError> {
    // The first bundle compiles here.
    stack::deep(|| serve_here(settings, announce))
        .map_err(|source| ServeError::System { what: "no thread could be made", source })?
}

fn serve_here(settings: Settings, announce: impl FnMut(Announce)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("palisade-worker")
        // Policies are evaluated here.
        .thread_stack_size(stack::STACK_BYTES)
        .build()
        .map_err(|source| ServeError::System { what: "no runtime could be made", source })?;
    let ended = runtime.block_on(run(settings, announce));
    // The lookup of a name, or a file on a network that is gone, may hold a thread for long.
    runtime.shutdown_timeout(THREADS_GRACE);
    ended
}

async fn run(settings: Settings, announce: impl FnMut(Announce)) -> Result<(), ServeError> {
    let _telemetry = telemetry::start(&settings.telemetry)?;
    let mut signals = Signals::listen()
        .map_err(|source| ServeError::System { what: "cannot listen to signals", source })?;
    let tls = tokio::select! {
        biased;
        () = signals.told_to_stop() => return Ok(()),
        tls = start_tls(&settings.listen) => tls?,
    };
    let (tls, rotation) = tls.unzip();
    // First, so that a start that cannot listen leaves no record of a publication.
    let bound = Bound::to(&settings.listen, tls).await?;
    let state = State::open(&settings)?;
    let house = HouseRules::new();
    let callers = settings.callers.clone().with_operator(state.data.admin_token()?.expose());
    let callers = callers.admitted(|caller| house.admit(caller));
    if let Some(notice) = callers.notice() {
        tracing::warn!("{notice}");
    }

    let stop = CancellationToken::new();
    let mut tasks = Tasks::new(stop.clone());
    let reloads = state.reload.reloads();
    let all = stop.clone();
    tasks.spawn("signals", |_own| obey(signals, reloads.clone(), all));
    if let Some(rotation) = rotation {
        tasks.spawn("tls", |stop| rotation.run(stop));
    }
    // Before the first answer, or every token would be unknown at first.
    let keys = trust::start(&settings.trust, state.pdp.clone(), state.metrics.clone(), &mut tasks);
    // Who is told to stop meanwhile goes straight to the end.
    if let Some(keys) = stop.run_until_cancelled(keys).await.transpose()? {
        let administration = admin::Admin {
            callers: Arc::new(callers.clone()),
            trusted: {
                let pdp = state.pdp.clone();
                admin::Trusted(Box::new(move || pdp.trusted()))
            },
            metrics: state.metrics.clone(),
            reloads,
            keys,
            journal: state.journal.clone(),
            open: state.open.clone(),
            stop: stop.clone(),
            address: bound.admin_address,
            hosts: settings.listen.admin_hosts.clone(),
        };
        let service = state.service(callers, &settings.limits);
        bound.serve(service, settings.limits, administration, &mut tasks, announce);
    }
    let ended = tasks.run(GRACE).await;
    let reload = state.reload;
    // It waits for a compile that may be under way.
    let stopped = tokio::task::spawn_blocking(move || reload.stop()).await;
    if let Err(error) = stopped {
        tracing::error!(%error, "the reload thread could not be stopped");
    }
    ended.map_err(ServeError::from)
}

async fn start_tls(listen: &Listen) -> Result<Option<(Tls, Rotation)>, TlsError> {
    match &listen.grpc_tls {
        Some(config) => tls::start(config).await.map(Some),
        None => Ok(None),
    }
}

/// What it listens on, though nobody is accepted yet.
struct Bound {
    grpc: Vec<Listener>,
    grpc_addresses: Vec<Address>,
    admin: TcpListener,
    admin_address: SocketAddr,
}

impl Bound {
    async fn to(listen: &Listen, tls: Option<Tls>) -> Result<Self, BindError> {
        let grpc = bind_grpc(&listen.grpc, listen.grpc_socket_mode).await?;
        let (mut grpc, grpc_addresses): (Vec<_>, Vec<_>) = grpc.into_iter().unzip();
        if let Some(tls) = tls {
            grpc = grpc.into_iter().map(|listener| listener.secured(tls.clone())).collect();
        }
        let (admin, admin_address) = bind("admin", listen.admin).await?;
        Ok(Self { grpc, grpc_addresses, admin, admin_address })
    }

    /// Accepts connections from now on, and says so.
    fn serve(
        self,
        service: Authorization<Sink>,
        limits: Limits,
        administration: admin::Admin,
        tasks: &mut Tasks,
        mut announce: impl FnMut(Announce),
    ) {
        let Self { grpc, grpc_addresses, admin, admin_address } = self;
        tasks.spawn("grpc", |stop| grpc::serve(grpc, service, limits, stop));
        tasks.spawn_last("admin", |end| admin::serve(admin, admin::router(administration), end));
        for address in grpc_addresses {
            announce(Announce::Grpc(address));
        }
        announce(Announce::Admin(admin_address));
        announce(Announce::Ready);
    }
}

/// What outlives every connection.
struct State {
    data: DataDir,
    metrics: Arc<Metrics>,
    journal: Arc<Journal>,
    open: Arc<OpenDecisions>,
    pdp: Arc<Pdp<Sink>>,
    reload: Reload,
}

impl State {
    fn open(settings: &Settings) -> Result<Self, ServeError> {
        let metrics = Arc::new(Metrics::new());
        let data = DataDir::open(&settings.data)?;
        let journal = Arc::new(Journal::open(&data, settings.journal.clone(), metrics.clone())?);
        let open = Arc::new(OpenDecisions::new(settings.limits.open_decisions_max));
        if let Err(error) = refill::refill(&open, journal.directory()) {
            tracing::warn!(%error, "outcomes of calls from before this start can only be reported in part");
        }
        let publisher = Arc::new(Publisher::default());
        let sink: Arc<dyn AuditSink> = journal.clone();
        let bundle = Bundle::start(settings.reload.clone(), publisher.clone(), sink, metrics.clone())?;
        let system = |what| move |source| ServeError::System { what, source };
        let first = publisher
            .first()
            .ok_or_else(|| std::io::Error::other("nothing was published"))
            .map_err(system("no bundle came into force"))?;
        let sink = Metered::new(journal.clone(), metrics.clone());
        let limits = settings.limits.of_messages();
        let pdp = Pdp::new(first, sink, open.clone(), data.digest_key()?, limits)
            .with_sessions_max(settings.limits.sessions_max)
            .with_proofs_since(clock::now());
        let pdp = Arc::new(pdp);
        publisher.serve(pdp.clone());
        let reload = bundle.watch().map_err(system("the reload thread could not be started"))?;
        Ok(Self { data, metrics, journal, open, pdp, reload })
    }

    fn service(&self, callers: Callers, limits: &Limits) -> Authorization<Sink> {
        Authorization::new(self.pdp.clone(), callers, Arc::new(SystemClock), limits.of_the_face())
    }
}

async fn obey(signals: Signals, reloads: Reloads, stop: CancellationToken) -> std::io::Result<()> {
    signals.obey(reloads, stop).await;
    Ok(())
}
