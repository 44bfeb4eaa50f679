//! The PDP under test: the service that the binary serves, on a free port, and the same PDP embedded.
//! Never a stand-in: only the sink and the clock are the test's.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use palisade::access::{DecisionId, Timestamp};
use palisade::api::authzen::Types;
use palisade::api::proto::v1::admin_client::AdminClient;
use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::api::proto::v1::search_client::SearchClient;
use palisade::api::proto::v1::tasks_client::TasksClient;
use palisade::api::{
    Administrator, AuthZen, Authorization, Clock, ExtAuthz, ExtMcp, Porc, TaskService, ext_authz,
};
use palisade::audit::{AuditError, AuditSink, DigestKey, Memory, OpenDecisions, Receipt, Record};
use palisade::diagnostic::File;
use palisade::identity::{Algorithm, Caller, Callers, KnownBy, OwnIssuer, Role, Servers, SigningKey};
use palisade::lifecycle::{Follower, Keeper, Lifecycle, wanting};
use palisade::pdp::{Answer, Error, HouseRules, Occasion, Pdp, Request};
use palisade::policy::{Snapshot, compile};
use palisade::server::config::{self, Limits};
use palisade::server::grpc::Services;
use palisade::server::listen::Listener;
use palisade::server::{SystemClock, grpc, http, tls};
use palisade::source;
use palisade::store;
use palisade::task::{Ceiling, Required, Rules, Tasks};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// 2026-11-21T10:00:00Z, a Saturday.
pub const NOW: Timestamp = Timestamp(1_795_255_200_000);

/// The token of the caller that a [`TestPdp`] has unless it is given others.
pub const TOKEN: &str = "t-gateway";

/// A client that sends its token with each call.
pub type Client = AuthorizationClient<InterceptedService<Channel, Bearer>>;

/// The files of the bundle in the repository, without its policy tests.
pub fn shipped_files() -> Vec<File> {
    sources().files.clone()
}

/// The policy tests of the bundle in the repository.
pub fn shipped_tests() -> Vec<File> {
    sources().tests.clone()
}

fn sources() -> &'static source::Sources {
    static READ: OnceLock<source::Sources> = OnceLock::new();
    READ.get_or_init(|| {
        source::read(Path::new(env!("CARGO_MANIFEST_DIR")), &source::Limits::default()).unwrap()
    })
}

/// The bundle in the repository, compiled once.
pub fn shipped() -> Arc<Snapshot> {
    static COMPILED: OnceLock<Arc<Snapshot>> = OnceLock::new();
    COMPILED.get_or_init(|| snapshot(&shipped_files())).clone()
}

/// The files compiled; the test fails with every finding when they do not.
pub fn snapshot(files: &[File]) -> Arc<Snapshot> {
    let compiled = compile(files).unwrap_or_else(|findings| {
        let lines: Vec<String> = findings.iter().map(|f| format!("{}: {}", f.code, f.message)).collect();
        panic!("the bundle does not compile:\n{}", lines.join("\n"))
    });
    Arc::new(compiled.snapshot)
}

/// A caller for every server.
pub fn caller(name: &str, roles: &[Role]) -> Caller {
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    Caller { name: name.into(), roles, servers: Servers::All, agentless: false, authenticated: true }
}

/// What a gateway usually may.
pub fn gateway() -> Caller {
    caller("gateway", &[Role::Authorize, Role::Assert, Role::Outcome])
}

/// Records in memory, as long as there is room.
#[derive(Debug)]
pub struct Ledger {
    memory: Memory,
    /// How many records more it takes.
    room: AtomicUsize,
}

impl Ledger {
    fn new() -> Self {
        Self { memory: Memory::new(1_000_000), room: AtomicUsize::new(usize::MAX) }
    }

    /// From now on it takes this many records and no more.
    pub fn set_room(&self, records: usize) {
        self.room.store(records, Ordering::SeqCst);
    }

    /// The records so far.
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.memory.records()
    }

    /// The latest record.
    pub fn last(&self) -> serde_json::Value {
        self.records().pop().expect("something was recorded")
    }
}

impl AuditSink for Ledger {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        let take = |room: usize| room.checked_sub(1);
        if self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull).into();
            return Err(AuditError::Write { place: "memory".into(), source });
        }
        self.memory.record(record)
    }
}

/// The instant that the test says, and real ids.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// From now on it is so much later, or earlier.
    pub fn advance_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn decision_id(&self) -> DecisionId {
        SystemClock.decision_id()
    }
}

/// Sends a bearer token, or none.
#[derive(Debug, Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(authorization) = &self.0 {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

/// What a [`TestPdp`] is made of.
pub struct Builder {
    snapshot: Arc<Snapshot>,
    callers: Vec<(String, Caller)>,
    proven: Vec<(KnownBy, Caller)>,
    tls: Option<tls::Config>,
    local: Option<Caller>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    moving: Arc<TestClock>,
    rules: Option<Rules>,
    history: store::History,
    types: Types,
    ext_authz: ext_authz::Settings,
}

/// The rules of tasks unless a test says otherwise.
pub fn task_rules() -> Rules {
    Rules {
        ceiling: Ceiling { ttl_max_s: 8 * 3600, depth_max: 3 },
        ttl_default_s: 900,
        calls_max: 1000,
        calls_window_max: 100_000,
        calls_window_s: 86_400,
        bearer: false,
        asserted: true,
        required: Required::Never,
        open_max: 1_000_000,
    }
}

/// `iss` of the tokens of a [`TestPdp`].
pub const ISSUER: &str = "https://pdp.acme.example";

/// A fresh key that signs tokens of tasks.
pub fn own_issuer() -> Arc<OwnIssuer> {
    let der = SigningKey::generate(Algorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::Es256, &der).unwrap();
    Arc::new(OwnIssuer::new(ISSUER, Arc::new(key), []).unwrap())
}

impl Builder {
    /// Decides on this snapshot.
    pub fn snapshot(mut self, snapshot: Arc<Snapshot>) -> Self {
        self.snapshot = snapshot;
        self
    }

    /// Knows one caller more, by its token.
    pub fn caller(mut self, token: &str, caller: Caller) -> Self {
        self.callers.push((token.to_owned(), caller));
        self
    }

    /// Knows one caller more, by what it proves.
    pub fn proven(mut self, proofs: KnownBy, caller: Caller) -> Self {
        self.proven.push((proofs, caller));
        self
    }

    /// Serves over TLS.
    pub fn tls(mut self, config: tls::Config) -> Self {
        self.tls = Some(config);
        self
    }

    /// Knows the usual [`gateway`] under [`TOKEN`].
    pub fn gateway(self) -> Self {
        self.caller(TOKEN, gateway())
    }

    /// Knows a caller that needs no token.
    pub fn local(mut self, caller: Caller) -> Self {
        self.local = Some(caller);
        self
    }

    /// Holds requests against other limits.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Decides at the instant that this machine's clock tells, not at [`NOW`].
    pub fn real_clock(mut self) -> Self {
        self.clock = Arc::new(SystemClock);
        self
    }

    /// Serves tasks, kept in memory, under these rules.
    pub fn tasks(mut self, rules: Rules) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Understands the types of AuthZEN's parties so.
    pub fn types(mut self, types: Types) -> Self {
        self.types = types;
        self
    }

    /// Answers gateways so.
    pub fn ext_authz(mut self, settings: ext_authz::Settings) -> Self {
        self.ext_authz = settings;
        self
    }

    /// Remembers so much of the past for watches.
    pub fn history(mut self, history: store::History) -> Self {
        self.history = history;
        self
    }

    /// Serves. Needs a runtime, and ends with the value.
    pub async fn start(self) -> TestPdp {
        let ledger = Arc::new(Ledger::new());
        let open = Arc::new(OpenDecisions::new(self.limits.open_decisions_max));
        let key = DigestKey::new(&[7; 32]);
        let pdp = Pdp::new(self.snapshot, ledger.clone(), open, key, self.limits.of_messages());
        let stop = CancellationToken::new();
        let (pdp, life) = match self.rules {
            None => (Arc::new(pdp), None),
            Some(rules) => {
                let (pdp, life) = lend(pdp, rules, self.history, &stop);
                (pdp, Some(life))
            }
        };
        let digest = |token: &str| Sha256::digest(token.as_bytes()).into();
        let named = self.callers.into_iter().map(|(token, caller)| (digest(&token), caller));
        let house = HouseRules::new();
        let callers = Callers::new(named, self.local).admitted(|caller| house.admit(caller));
        let callers = self.proven.into_iter().fold(callers, |all, (proofs, each)| all.with(proofs, each));
        let face = self.limits.of_the_face();
        let clock = || self.clock.clone();
        let authorization = Authorization::new(pdp.clone(), callers.clone(), clock(), face);
        let issuers = self.ext_authz.issuers.clone();
        let ext_mcp = ExtMcp::new(pdp.clone(), callers.clone(), clock(), face, issuers);
        let gateways = ExtAuthz::new(pdp.clone(), callers.clone(), clock(), face, self.ext_authz);
        let services = Services {
            ext_authz: gateways,
            ext_mcp,
            authorization: match life.clone() {
                Some(life) => authorization.with_tasks(life),
                None => authorization,
            },
            tasks: TaskService::new(life.clone(), callers.clone(), clock(), stop.clone()),
            administrator: Administrator::new(life.clone(), callers.clone(), clock(), 0.5),
        };
        let porc = Porc::new(pdp.clone(), callers.clone(), clock(), face, self.types.clone());
        let authzen = AuthZen::new(pdp.clone(), callers, clock(), face, self.types);
        let faces = http::AuthZenRoutes {
            direct: Some(authzen.direct()),
            routes: authzen.routes().merge(porc.routes()),
            signed_metadata: false,
        };
        let http_address = serve_http(faces, self.limits.clone(), stop.clone()).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = Listener::from(listener);
        if let Some(config) = &self.tls {
            let (tls, rotation) = tls::start(config, tls::GRPC).await.unwrap();
            listener = listener.secured(tls);
            tokio::spawn(rotation.run(stop.clone()));
        }
        tokio::spawn(grpc::serve(vec![listener], services, self.limits, stop.clone()));
        let clock = self.moving.clone();
        let stop = stop.drop_guard();
        TestPdp { pdp, ledger, address, http_address, clock: self.clock, moving: clock, life, stop }
    }
}

/// AuthZEN and PORC on a port of their own, as the binary serves them.
async fn serve_http(faces: http::AuthZenRoutes, limits: Limits, stop: CancellationToken) -> SocketAddr {
    let (overrides, environment) = (config::Overrides::default(), config::Environment::default());
    let settings = config::parse(Path::new("p.yaml"), "", overrides, environment).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bound = listener.local_addr().unwrap();
    let site = http::Site::new(&settings.listen.http, &settings.tasks, bound, None, faces);
    tokio::spawn(http::serve(listener.into(), site.into(), limits, http::Patience::default(), stop));
    bound
}

/// The life of tasks, kept in memory.
pub type Life = Lifecycle<Arc<Ledger>, store::Memory>;

/// A PDP that serves tasks.
fn lend(
    pdp: Pdp<Arc<Ledger>>,
    rules: Rules,
    history: store::History,
    stop: &CancellationToken,
) -> (Arc<Pdp<Arc<Ledger>>>, Arc<Life>) {
    let (wanted, wanting) = wanting();
    let tasks = Arc::new(Tasks::new(rules, own_issuer(), wanted));
    let pdp = Arc::new(pdp.with_tasks(tasks.clone()));
    let state = Arc::new(store::Memory::new(history));
    let (follower, link) = Follower::start(tasks.clone(), &*state).unwrap();
    let life = Arc::new(Lifecycle::new(pdp.clone(), tasks, state, link, |_kid| Ok(())));
    // The sweep looks at this clock: tests expire tasks by their own.
    let keeper = Keeper::new(life.clone(), &follower, wanting, || NOW);
    tokio::spawn(keeper.run(stop.child_token()));
    tokio::spawn(follower.run());
    (pdp, life)
}

/// A PDP with its faces: gRPC and AuthZEN.
pub struct TestPdp {
    pub pdp: Arc<Pdp<Arc<Ledger>>>,
    pub ledger: Arc<Ledger>,
    pub address: SocketAddr,
    pub http_address: SocketAddr,
    clock: Arc<dyn Clock>,
    moving: Arc<TestClock>,
    life: Option<Arc<Life>>,
    stop: DropGuard,
}

impl TestPdp {
    /// The shipped bundle and no caller, at [`NOW`].
    pub fn builder() -> Builder {
        let clock = Arc::new(TestClock(AtomicI64::new(NOW.0)));
        Builder {
            snapshot: shipped(),
            callers: Vec::new(),
            proven: Vec::new(),
            tls: None,
            local: None,
            limits: Limits::default(),
            clock: clock.clone(),
            moving: clock,
            rules: None,
            history: store::History::default(),
            types: Types::default(),
            ext_authz: ext_authz::Settings::default(),
        }
    }

    /// The shipped bundle and the usual [`gateway`] under [`TOKEN`].
    pub async fn start() -> Self {
        Self::builder().gateway().start().await
    }

    /// A connection.
    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A client with this token, or without one.
    pub async fn client_of(&self, token: Option<&str>) -> Client {
        let bearer = token.map(|token| format!("Bearer {token}").parse().unwrap());
        AuthorizationClient::with_interceptor(self.channel().await, Bearer(bearer))
    }

    /// A client with [`TOKEN`].
    pub async fn client(&self) -> Client {
        self.client_of(Some(TOKEN)).await
    }

    /// The instant, to be moved; of no use after [`Builder::real_clock`].
    pub fn clock(&self) -> &TestClock {
        &self.moving
    }

    /// The life of its tasks; only after [`Builder::tasks`].
    pub fn life(&self) -> &Arc<Life> {
        self.life.as_ref().expect("tasks are served")
    }

    /// A client of searches with this token.
    pub async fn search_of(&self, token: &str) -> SearchClient<InterceptedService<Channel, Bearer>> {
        let bearer = Some(format!("Bearer {token}").parse().unwrap());
        SearchClient::with_interceptor(self.channel().await, Bearer(bearer))
    }

    /// A client of tasks with this token.
    pub async fn tasks_of(&self, token: &str) -> TasksClient<InterceptedService<Channel, Bearer>> {
        let bearer = Some(format!("Bearer {token}").parse().unwrap());
        TasksClient::with_interceptor(self.channel().await, Bearer(bearer))
    }

    /// A client of the administration with this token.
    pub async fn admin_of(&self, token: &str) -> AdminClient<InterceptedService<Channel, Bearer>> {
        let bearer = Some(format!("Bearer {token}").parse().unwrap());
        AdminClient::with_interceptor(self.channel().await, Bearer(bearer))
    }

    /// The same PDP, asked by a call of the library.
    pub fn embedded(&self, request: &Request) -> Result<Answer, Error> {
        let occasion = Occasion { id: self.clock.decision_id(), now: self.clock.now(), elapsed_us: &|| 0 };
        self.pdp.evaluate(request, occasion).settle()
    }

    /// Lets the server finish what it began, and end.
    pub fn stop(self) {
        drop(self.stop);
    }
}
