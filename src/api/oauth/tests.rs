//! The routes as clients see them, in this process.
//! Never opens a socket.

use std::sync::Mutex;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::identity::{Certificate, Role, Servers};

const CRM: &str = "https://crm.example/mcp";
const GOOD: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=t.bound.x\
                    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt";

/// Answers by what it is asked, and remembers that.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
}

impl TaskAuthority for Fake {
    fn jwks(&self) -> Arc<str> {
        r#"{"keys":[]}"#.into()
    }

    fn exchange(&self, asked: &Exchange<'_>) -> Result<Issued, Refusal> {
        let Exchange { subject_token, target, proof, caller, request_id } = asked;
        let who = caller.as_ref().map(|caller| caller.name.to_string());
        let told = format!("{target} {who:?} {proof:?} {request_id}");
        self.asked.lock().unwrap().push(told);
        let bound = *subject_token == Token::new("t.bound.x");
        match *target {
            CRM if bound && proof.is_none() => Err(Refusal::BindingMissing),
            CRM => Ok(Issued { token: "new.access.token".into(), expires_in_s: 60, bound }),
            "grant" => Err(Refusal::InvalidGrant("the task \"ended\" \\ ü".into())),
            "proof" => Err(Refusal::InvalidProof("the proof was used before".into())),
            "policy" => Err(Refusal::Denied("a policy forbids it".into())),
            "disk" => Err(Refusal::Unavailable),
            _ => Err(Refusal::InvalidTarget("no server is called so".into())),
        }
    }

    fn sign(&self, _claims: &[u8]) -> Option<String> {
        None
    }

    fn introspect(&self, caller: &Caller, token: &Token) -> Option<Inspected> {
        self.asked.lock().unwrap().push(caller.name.to_string());
        (*token == Token::new("t.good.x")).then(|| Inspected {
            issuer: "https://pdp.example".into(),
            subject: "ana".into(),
            audience: CRM.into(),
            expires_s: 200,
            issued_s: 100,
            task: "tsk_1".into(),
            agent: Some("bot".into()),
            earlier_actors: vec!["planner".into(), "front".into()],
            key_thumbprint: Some("thumb".into()),
            kind: Kind::Access,
        })
    }

    fn turned_away(&self, caller: &Caller, call: &str, words: &str) {
        self.asked.lock().unwrap().push(format!("turned away: {} {call}: {words}", caller.name));
    }

    fn caller(&self, authorization: Option<&str>, peer: &Peer) -> Result<Arc<Caller>, UnknownCaller> {
        let caller = |name: &str, roles: &[Role]| {
            let roles = roles.iter().copied().collect();
            Ok(Arc::new(Caller {
                name: name.into(),
                roles,
                servers: Servers::All,
                agentless: false,
                authenticated: true,
            }))
        };
        match authorization {
            Some("Bearer gateway") => caller("gateway", &[Role::Authorize]),
            Some("Bearer starter") => caller("starter", &[Role::Tasks]),
            Some("Bearer reporter") => caller("reporter", &[Role::Outcome]),
            Some(_) => Err(UnknownCaller::UnknownToken),
            None if peer.certificate().is_some() => Err(UnknownCaller::UnknownCertificate),
            None if peer.is_here() => caller("local", &[Role::Authorize]),
            None => Err(UnknownCaller::NoProof),
        }
    }
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

struct World {
    authority: Arc<Fake>,
    router: Router,
}

fn names() -> Names {
    Names { issuer: "urn:acme:pdp".into(), public_url: "https://pdp.example/p".into() }
}

fn world() -> World {
    let authority = Arc::new(Fake::default());
    World { router: router(names(), Behind::Tasks(authority.clone())), authority }
}

impl World {
    async fn send(&self, request: Request) -> Got {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Posts a form with headers, from elsewhere.
    async fn post(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> Got {
        let mut request = Request::post(path);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn exchange(&self, form: &str, headers: &[(&str, &str)]) -> Got {
        self.post(TOKEN, form, headers).await
    }

    /// An exchange that is refused with this status and error.
    async fn check(&self, form: &str, headers: &[(&str, &str)], status: u16, error: &str, words: &str) {
        let got = self.exchange(form, headers).await;
        let body = got.json();
        let description = body["error_description"].as_str().unwrap();
        assert_eq!(
            (got.status.as_u16(), body["error"].as_str().unwrap()),
            (status, error),
            "{form}: {got:?}"
        );
        assert!(description.contains(words), "`{words}` in: {description}");
        assert!(description.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte)));
        assert_eq!(got.header("cache-control"), "no-store");
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.authority.asked.lock().unwrap())
    }
}

fn at(target: &str) -> String {
    format!("{GOOD}&audience={target}")
}

#[tokio::test]
async fn keys_and_metadata_are_for_everybody_and_may_be_kept_for_a_while() {
    let world = world();
    for path in [JWKS, METADATA] {
        let got = world.get(path).await;
        assert_eq!((got.status, got.header("content-type")), (StatusCode::OK, "application/json"));
        assert_eq!(got.header("cache-control"), "public, max-age=300");
    }
    assert_eq!(world.get(JWKS).await.body, r#"{"keys":[]}"#);
    let metadata = world.get(METADATA).await.json();
    assert_eq!(metadata["issuer"], "urn:acme:pdp");
    assert_eq!(metadata["token_endpoint"], "https://pdp.example/p/oauth2/token");
    assert_eq!(metadata["introspection_endpoint"], "https://pdp.example/p/oauth2/introspect");
    assert_eq!(metadata["jwks_uri"], "https://pdp.example/p/.well-known/jwks.json");
    assert_eq!(metadata["grant_types_supported"], json!(["urn:ietf:params:oauth:grant-type:token-exchange"]));
    assert_eq!(metadata["dpop_signing_alg_values_supported"][0], "ES256");
}

#[tokio::test]
async fn without_tasks_no_endpoint_is_named_or_answers() {
    let world = World { router: router(names(), Behind::Keys(Arc::new(|| "{}".into()))), ..world() };
    assert_eq!(world.get(JWKS).await.body, "{}");
    let metadata = world.get(METADATA).await.json();
    assert_eq!((&metadata["token_endpoint"], &metadata["grant_types_supported"]), (&Value::Null, &json!([])));
    assert_eq!(world.exchange(&at(CRM), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let world = world();
    for path in ["/", "/oauth2", "/oauth2/token/", "/.well-known", "/metrics"] {
        assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in [TOKEN, INTROSPECT] {
        let got = world.get(path).await;
        assert_eq!((got.status, got.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"), "{path}");
    }
    let put = Request::builder().method(Method::POST).uri(JWKS).body(Body::empty()).unwrap();
    assert_eq!(world.send(put).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_token_of_a_task_becomes_one_for_a_server() {
    let world = world();
    let headers = [("dpop", "a.b.c"), ("x-request-id", "r-1"), ("authorization", "Bearer gateway")];
    let got = world.exchange(&at(CRM), &headers).await;
    assert_eq!(got.status, StatusCode::OK, "{got:?}");
    assert_eq!((got.header("cache-control"), got.header("pragma")), ("no-store", "no-cache"));
    let wanted = json!({
        "access_token": "new.access.token",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "DPoP",
        "expires_in": 60,
    });
    assert_eq!(got.json(), wanted);
    let asked = world.asked().remove(0);
    assert!(asked.starts_with(&format!("{CRM} Some(\"gateway\") ")) && asked.ends_with(" r-1"), "{asked}");
    for part in ["Dpop", "‹redacted›", "\"POST\"", "\"https://pdp.example/p/oauth2/token\""] {
        assert!(asked.contains(part), "`{part}` in: {asked}");
    }
    // As `resource`, with every parameter that is allowed; and not bound to a key.
    let form = format!(
        "{}&resource={CRM}&requested_token_type=urn:ietf:params:oauth:token-type:access_token&scope=&audience=&x=y",
        GOOD.replace("t.bound.x", "t.free.x").replace("%3Ajwt", "%3Aaccess_token"),
    );
    let got =
        world.exchange(&form, &[("content-type", "Application/X-WWW-Form-URLencoded; charset=UTF-8")]).await;
    assert_eq!((got.status, &got.json()["token_type"]), (StatusCode::OK, &json!("Bearer")), "{got:?}");
    assert_eq!(world.asked(), [format!("{CRM} None None ")]);
}

#[tokio::test]
async fn each_refusal_has_the_error_that_clients_know() {
    let world = world();
    for (target, status, error, words) in [
        (CRM, 400, "invalid_dpop_proof", "send a DPoP proof"),
        ("grant", 400, "invalid_grant", "the task 'ended' ' ?"),
        ("other", 400, "invalid_target", "no server"),
        ("proof", 400, "invalid_dpop_proof", "used before"),
        ("policy", 400, "invalid_target", "a policy forbids it"),
        ("disk", 503, "temporarily_unavailable", "recorded"),
    ] {
        world.check(&at(target), &[], status, error, words).await;
    }
    assert_eq!(world.exchange(&at("disk"), &[]).await.header("retry-after"), "1");
}

#[tokio::test]
async fn a_form_that_is_not_an_exchange_is_refused_before_anybody_is_asked() {
    let world = world();
    let without = |name: &str| {
        at(CRM).split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect::<Vec<_>>().join("&")
    };
    for name in ["grant_type", "subject_token", "subject_token_type"] {
        world.check(&without(name), &[], 400, "invalid_request", &format!("`{name}` is missing")).await;
        let empty = format!("{}&{name}=", without(name));
        world.check(&empty, &[], 400, "invalid_request", &format!("`{name}` is missing")).await;
    }
    world.check(&without("audience"), &[], 400, "invalid_request", "`resource` or `audience`").await;
    let more = |more: &str| format!("{}&{more}", at(CRM));
    let code = at(CRM).replace("token-exchange", "device_code");
    world.check(&code, &[], 400, "unsupported_grant_type", "token-exchange").await;
    world.check("grant_type=password", &[], 400, "unsupported_grant_type", "token-exchange").await;
    let saml = at(CRM).replace("%3Ajwt", "%3Asaml2");
    world.check(&saml, &[], 400, "invalid_request", "of type").await;
    for (parameter, error, words) in [
        ("resource=https://crm.example", "invalid_request", "in one way"),
        ("audience=other", "invalid_request", "twice"),
        ("x=1&x=2", "invalid_request", "twice"),
        ("%61udience=other", "invalid_request", "twice"),
        ("x=%zz", "invalid_request", "not encoded"),
        ("x=%FF", "invalid_request", "not encoded"),
        ("scope=all", "invalid_scope", "leave `scope` out"),
        ("actor_token=a", "invalid_request", "leave `actor_token` out"),
        ("actor_token_type=a", "invalid_request", "leave `actor_token` out"),
        ("requested_token_type=urn:ietf:params:oauth:token-type:jwt", "invalid_request", "what is issued"),
    ] {
        world.check(&more(parameter), &[], 400, error, words).await;
    }
    for secret in ["client_secret=s", "client_assertion=a"] {
        world.check(&more(secret), &[], 401, "invalid_client", "no secrets").await;
    }
    for target in ["audience=a%20b", "audience=a%0Ab", "resource=crm", "resource=https://a%23b"] {
        world.check(&format!("{GOOD}&{target}"), &[], 400, "invalid_target", "").await;
    }
    world.check(&at(&"a".repeat(2049)), &[], 400, "invalid_target", "no server").await;
    let many = (0..40).map(|at| format!("p{at}=1")).collect::<Vec<_>>().join("&");
    world.check(&format!("{}&{many}", at(CRM)), &[], 400, "invalid_request", "more than 32").await;
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn bodies_of_another_type_or_too_long_are_refused() {
    let world = world();
    for media_type in ["application/json", "multipart/form-data; boundary=x", "text/plain", ""] {
        let headers = [("content-type", media_type)];
        world.check(&at(CRM), &headers, 400, "invalid_request", "x-www-form-urlencoded").await;
    }
    let padded = |bytes: usize| format!("{GOOD}&audience=grant&x={}", "a".repeat(bytes - GOOD.len() - 18));
    world.check(&padded(BODY_BYTES_MAX), &[], 400, "invalid_grant", "").await;
    world.check(&padded(BODY_BYTES_MAX + 1), &[], 413, "invalid_request", "65536 bytes").await;
    assert_eq!(world.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = world();
    let body = Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let request = Request::post(TOKEN).header("content-type", "application/x-www-form-urlencoded").body(body);
    let got = world.send(request.unwrap()).await;
    assert_eq!((got.status, &got.json()["error"]), (StatusCode::REQUEST_TIMEOUT, &json!("invalid_request")));
}

#[tokio::test]
async fn headers_that_contradict_themselves_are_refused() {
    let world = world();
    let two = [("dpop", "a.b.c"), ("dpop", "d.e.f")];
    world.check(&at(CRM), &two, 400, "invalid_dpop_proof", "send one").await;
    let two = [("authorization", "Bearer gateway"), ("authorization", "Bearer starter")];
    world.check(&at(CRM), &two, 400, "invalid_request", "send one").await;
    world.check(&at(CRM), &[("authorization", "Bearer no")], 401, "invalid_client", "no caller").await;
    let got = world.exchange(&at(CRM), &[("authorization", "Basic YTpi")]).await;
    assert_eq!(got.header("www-authenticate"), "Bearer");
    assert!(world.asked().is_empty());
    for odd in ["a b", &"a".repeat(129)] {
        world.exchange(&at("grant"), &[("x-request-id", odd)]).await;
        assert_eq!(world.asked(), ["grant None None "], "it is not fit for a record");
    }
}

#[tokio::test]
async fn a_client_certificate_that_nobody_has_is_not_passed_over() {
    let certificate = Certificate { uris: vec![], dns_names: vec!["x.example".into()], thumbprint: [0; 32] };
    let mut request = Request::post(TOKEN).header("content-type", "application/x-www-form-urlencoded");
    request = request.extension(Peer::elsewhere().with_certificate(certificate));
    let got = world().send(request.body(Body::from(at(CRM))).unwrap()).await;
    assert_eq!((got.status, &got.json()["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
}

#[tokio::test]
async fn introspection_is_for_callers_with_a_role() {
    let world = world();
    let ask = async |form: &str, headers: &[(&str, &str)]| world.post(INTROSPECT, form, headers).await;
    for headers in [&[][..], &[("authorization", "Bearer no")], &[("authorization", "Basic YTpi")]] {
        let got = ask("token=t.good.x", headers).await;
        assert_eq!(
            (got.status, got.header("www-authenticate")),
            (StatusCode::UNAUTHORIZED, "Bearer"),
            "{got:?}"
        );
    }
    let got = ask("token=t.good.x", &[("authorization", "Bearer reporter")]).await;
    assert_eq!((got.status, &got.json()["error"]), (StatusCode::FORBIDDEN, &json!("insufficient_scope")));
    let refused = "turned away: reporter introspect: the caller `reporter` has neither the role `authorize` nor `tasks`";
    assert_eq!(world.asked(), [refused]);
    let wanted = json!({
        "active": true,
        "iss": "https://pdp.example",
        "sub": "ana",
        "aud": CRM,
        "exp": 200,
        "iat": 100,
        "txn": "tsk_1",
        "typ": "at+jwt",
        "client_id": "bot",
        "act": { "sub": "bot", "act": { "sub": "planner", "act": { "sub": "front" } } },
        "cnf": { "jkt": "thumb" },
        "token_type": "DPoP",
    });
    for caller in ["gateway", "starter"] {
        let bearer = format!("Bearer {caller}");
        let headers = [("authorization", bearer.as_str())];
        let got = ask("token=t.good.x&token_type_hint=access_token", &headers).await;
        assert_eq!((got.status, got.header("cache-control")), (StatusCode::OK, "no-store"));
        assert_eq!(got.json(), wanted);
        assert_eq!(ask("token=t.bad.x", &headers).await.json(), json!({ "active": false }));
        for (form, error) in [("", "invalid_request"), ("token=a&token=b", "invalid_request")] {
            let got = ask(form, &headers).await;
            assert_eq!((got.status, &got.json()["error"]), (StatusCode::BAD_REQUEST, &json!(error)));
        }
        assert_eq!(world.asked(), [caller, caller]);
    }
    // On this machine without a token, where there is a local caller.
    let request = Request::post(INTROSPECT).header("content-type", "application/x-www-form-urlencoded");
    let got = world.send(request.extension(Peer::here()).body(Body::from("token=t.bad.x")).unwrap()).await;
    assert_eq!((got.status, world.asked()), (StatusCode::OK, vec!["local".to_owned()]));
}

#[test]
fn a_token_of_a_party_that_acts_itself_names_no_client_and_nothing_secret_is_printed() {
    let inspected = Fake::default().introspect(
        &Caller {
            name: "x".into(),
            roles: [].into(),
            servers: Servers::All,
            agentless: false,
            authenticated: true,
        },
        &Token::new("t.good.x"),
    );
    let alone = Inspected {
        agent: None,
        earlier_actors: vec![],
        key_thumbprint: None,
        kind: Kind::Task,
        ..inspected.unwrap()
    };
    let body = inspected::encode(alone);
    for absent in ["act", "client_id", "cnf", "scope"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
    assert_eq!((&body["token_type"], &body["typ"]), (&json!("Bearer"), &json!("palisade-task+jwt")));
    let issued = Issued { token: "secret".into(), expires_in_s: 5, bound: true };
    assert!(!format!("{issued:?}").contains("secret"));
}
