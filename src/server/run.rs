//! The server from start to end: open, compile, bind, say so, serve, drain.
//! Never answers before the first bundle is in force and on record.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::config::{Limits, Listen, Settings};
use super::data::{DataDir, DataError};
use super::grpc::Services;
use super::journal::{Journal, JournalError};
use super::keys::KeysError;
use super::lending::{Lending, LendingError};
use super::listen::{Address, BindError, Listener, bind, bind_grpc};
use super::metered::Metered;
use super::metrics::Metrics;
use super::publisher::Publisher;
use super::reload::{Bundle, Reload, Reloads, StartError};
use super::signals::Signals;
use super::tasks::{TaskError, Tasks};
use super::telemetry::{self, TelemetryError};
use super::tls::{self, Rotation, Tls, TlsError};
use super::{SystemClock, admin, clock, grpc, http, refill, stack, trust};
use crate::api::oauth::Behind;
use crate::api::{Administrator, AuthZen, Authorization, ExtAuthz, ExtMcp, Porc, TaskService};
use crate::audit::{AuditSink, OpenDecisions};
use crate::identity::Callers;
use crate::lifecycle::Lifecycle;
use crate::pdp::{HouseRules, Pdp};
use crate::policy::Snapshot;
use crate::store::Embedded;

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
    /// The keys that sign our own tokens.
    #[error(transparent)]
    Lending(#[from] LendingError),
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
    /// HTTP is bound.
    Http(SocketAddr),
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
        tls = Secured::start(&settings.listen) => tls?,
    };
    // First, so that a start that cannot listen leaves no record of a publication.
    let bound = Bound::to(&settings.listen, &tls).await?;
    let mut state = State::open(&settings)?;
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
    tls.rotate(&mut tasks);
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
            tally: state.tally(),
            confirm: state.confirm(),
        };
        let services = state.services(&callers, &settings, stop.clone());
        let site = state.site(&settings, &callers, bound.http_address());
        let State { lending, life, publisher, .. } = &mut state;
        if let (Some(lending), Some(life)) = (lending.take(), life) {
            lending.tend(life, publisher.published(), &mut tasks);
        }
        bound.serve(services, site, settings.limits, administration, &mut tasks, announce);
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

/// TLS of the listeners that have it, with what keeps it fresh.
struct Secured {
    grpc: Option<(Tls, Rotation)>,
    http: Option<(Tls, Rotation)>,
}

impl Secured {
    async fn start(listen: &Listen) -> Result<Self, TlsError> {
        Ok(Self {
            grpc: start_tls(listen.grpc_tls.as_ref(), tls::GRPC).await?,
            http: start_tls(listen.http.tls.as_ref(), tls::HTTP).await?,
        })
    }

    fn rotate(self, tasks: &mut Tasks) {
        for (name, secured) in [("tls", self.grpc), ("http_tls", self.http)] {
            if let Some((_, rotation)) = secured {
                tasks.spawn(name, |stop| rotation.run(stop));
            }
        }
    }
}

async fn start_tls(
    config: Option<&tls::Config>,
    protocols: tls::Protocols,
) -> Result<Option<(Tls, Rotation)>, TlsError> {
    match config {
        Some(config) => tls::start(config, protocols).await.map(Some),
        None => Ok(None),
    }
}

/// What it listens on, though nobody is accepted yet.
struct Bound {
    grpc: Vec<Listener>,
    grpc_addresses: Vec<Address>,
    http: (Listener, SocketAddr),
    admin: TcpListener,
    admin_address: SocketAddr,
}

impl Bound {
    async fn to(listen: &Listen, tls: &Secured) -> Result<Self, BindError> {
        let secured = |listener: Listener, tls: &Option<(Tls, Rotation)>| match tls {
            Some((tls, _)) => listener.secured(tls.clone()),
            None => listener,
        };
        let grpc = bind_grpc(&listen.grpc, listen.grpc_socket_mode).await?;
        let (grpc, grpc_addresses): (Vec<_>, Vec<_>) = grpc.into_iter().unzip();
        let grpc = grpc.into_iter().map(|listener| secured(listener, &tls.grpc)).collect();
        let (http, http_address) = bind("http", listen.http.address).await?;
        let http = (secured(http.into(), &tls.http), http_address);
        let (admin, admin_address) = bind("admin", listen.admin).await?;
        Ok(Self { grpc, grpc_addresses, http, admin, admin_address })
    }

    fn http_address(&self) -> SocketAddr {
        self.http.1
    }

    /// Accepts connections from now on, and says so.
    fn serve(
        self,
        services: Services<Sink, Embedded>,
        site: http::Site,
        limits: Limits,
        administration: admin::Admin,
        tasks: &mut Tasks,
        mut announce: impl FnMut(Announce),
    ) {
        let Self { grpc, grpc_addresses, http, admin, admin_address } = self;
        let of_http = limits.clone();
        tasks.spawn("grpc", |stop| grpc::serve(grpc, services, limits, stop));
        for address in grpc_addresses {
            announce(Announce::Grpc(address));
        }
        let (http, address) = http;
        let patience = http::Patience::default();
        tasks.spawn("http", |stop| http::serve(http, site.into(), of_http, patience, stop));
        announce(Announce::Http(address));
        tasks.spawn_last("admin", |end| admin::serve(admin, admin::router(administration), end));
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
    publisher: Arc<Publisher<Sink>>,
    /// The state of tasks, until it is tended; none when there are no tasks.
    lending: Option<Lending>,
    life: Option<Arc<Lifecycle<Sink, Embedded>>>,
    tally: Option<Tally>,
}

/// Counts what only the state of tasks knows.
type Tally = Arc<dyn Fn(&Metrics) + Send + Sync>;

impl State {
    fn open(settings: &Settings) -> Result<Self, ServeError> {
        let metrics = Arc::new(Metrics::new());
        let data = DataDir::open(&settings.data)?;
        let lending = Lending::open(&data, &settings.tasks)?;
        let journal = Arc::new(Journal::open(&data, settings.journal.clone(), metrics.clone())?);
        let open = Arc::new(OpenDecisions::new(settings.limits.open_decisions_max));
        if let Err(error) =
            refill::refill(&open, lending.as_ref().map(|lending| &*lending.tasks), journal.directory())
        {
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
        let pdp = Arc::new(match &lending {
            Some(lending) => pdp.with_tasks(lending.tasks.clone()),
            None => pdp,
        });
        publisher.serve(pdp.clone());
        let life = lending.as_ref().map(|lending| lending.life(pdp.clone()));
        let tally = lending.as_ref().map(|lending| Arc::new(lending.tally()) as Tally);
        if let Some(life) = life.clone() {
            let share_max = settings.tasks.drift_share_max;
            publisher.weigh_with(move |snapshot| weigh(&life, snapshot, share_max));
        }
        let reload = bundle.watch().map_err(system("the reload thread could not be started"))?;
        Ok(Self { data, metrics, journal, open, pdp, reload, publisher, lending, life, tally })
    }

    fn services(
        &self,
        callers: &Callers,
        settings: &Settings,
        stop: CancellationToken,
    ) -> Services<Sink, Embedded> {
        let (life, callers, clock) = (|| self.life.clone(), || callers.clone(), || Arc::new(SystemClock));
        let face = settings.limits.of_the_face();
        let authorization = Authorization::new(self.pdp.clone(), callers(), clock(), face);
        let (ext_authz, issuers) = (settings.ext_authz.clone(), settings.ext_authz.issuers.clone());
        Services {
            ext_mcp: ExtMcp::new(self.pdp.clone(), callers(), clock(), face, issuers),
            ext_authz: ExtAuthz::new(self.pdp.clone(), callers(), clock(), face, ext_authz),
            authorization: match life() {
                Some(life) => authorization.with_tasks(life),
                None => authorization,
            },
            tasks: TaskService::new(life(), callers(), clock(), stop),
            administrator: Administrator::new(life(), callers(), clock(), settings.tasks.drift_share_max),
        }
    }

    /// What HTTP serves at the address that it is bound to.
    fn site(&self, settings: &Settings, callers: &Callers, bound: SocketAddr) -> http::Site {
        let authority = self.life.clone().map(|life| Authority::new(life, callers.clone()));
        let behind = authority.map(|authority| Behind::Tasks(Arc::new(authority)));
        let (face, types) = (settings.limits.of_the_face(), settings.authzen.types.clone());
        let clock = Arc::new(SystemClock);
        let porc = Porc::new(self.pdp.clone(), callers.clone(), clock.clone(), face, types.clone());
        let authzen = AuthZen::new(self.pdp.clone(), callers.clone(), clock, face, types);
        let signed_metadata = settings.authzen.signed_metadata;
        let direct = Some(authzen.direct());
        let routes = authzen.routes().merge(porc.routes());
        let authzen = http::AuthZenRoutes { routes, direct, signed_metadata };
        http::Site::new(&settings.listen.http, &settings.tasks, bound, behind, authzen)
    }

    fn tally(&self) -> admin::Tally {
        let tally = self.tally.clone();
        admin::Tally(Box::new(move |metrics| {
            if let Some(tally) = &tally {
                tally(metrics);
            }
        }))
    }

    fn confirm(&self) -> admin::Confirm {
        let publisher = self.publisher.clone();
        admin::Confirm(Box::new(move |revision| publisher.confirm(revision)))
    }
}

/// Whether a bundle may come into force without somebody's yes: not when too many open tasks would end with it.
fn weigh(life: &Lifecycle<Sink, Embedded>, snapshot: &Snapshot, share_max: f64) -> Result<(), String> {
    let review = life.review(snapshot);
    if !review.is_too_much(share_max) {
        return Ok(());
    }
    let (drifting, open, revision) = (review.drifted.len(), review.open, snapshot.revision());
    Err(format!(
        "the bundle would end {drifting} of {open} open tasks, more than `tasks.drift_share_max` of {share_max}; look at them with \
         `palisade drift`, then confirm it with `POST /reload?confirm={revision}` on the admin port, or change it"
    ))
}

async fn obey(signals: Signals, reloads: Reloads, stop: CancellationToken) -> std::io::Result<()> {
    signals.obey(reloads, stop).await;
    Ok(())
}
