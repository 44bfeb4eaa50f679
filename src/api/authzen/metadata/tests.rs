use axum::body::{Body, to_bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;

use super::*;

fn named(public_url: &str) -> Metadata {
    Metadata { public_url: public_url.to_owned(), keys: true, signed: None }
}

async fn got(metadata: Metadata, path: &str) -> (StatusCode, Json) {
    let response = metadata.routes().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    if parts.status == StatusCode::OK {
        assert_eq!(parts.headers[CONTENT_TYPE], "application/json");
        assert_eq!(parts.headers[CACHE_CONTROL], "public, max-age=300");
    }
    (parts.status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn the_identifier_is_the_public_url_and_every_endpoint_is_below_it() {
    let (status, said) = got(named("https://pdp.acme.example"), METADATA).await;
    assert_eq!(status, StatusCode::OK);
    let obligations = ["step-up", "notification", "session_termination", "custom"];
    assert_eq!(
        said,
        json!({
            "policy_decision_point": "https://pdp.acme.example",
            "access_evaluation_endpoint": "https://pdp.acme.example/access/v1/evaluation",
            "access_evaluations_endpoint": "https://pdp.acme.example/access/v1/evaluations",
            "search_subject_endpoint": "https://pdp.acme.example/access/v1/search/subject",
            "search_resource_endpoint": "https://pdp.acme.example/access/v1/search/resource",
            "search_action_endpoint": "https://pdp.acme.example/access/v1/search/action",
            "jwks_uri": "https://pdp.acme.example/.well-known/jwks.json",
            "capabilities": ["urn:openid:authzen:capability:obligations"],
            "supported_obligations": obligations,
        })
    );
    let without = Metadata { keys: false, ..named("https://pdp.acme.example") };
    assert!(got(without, METADATA).await.1.get("jwks_uri").is_none());
}

#[tokio::test]
async fn the_path_of_the_public_url_stands_behind_the_well_known_string_and_nowhere_else() {
    let tenant = || named("https://pdp.acme.example/t1/{x}/:a");
    let path = Url::parse(&tenant().public_url).unwrap().path().to_owned();
    let (status, said) = got(tenant(), &format!("{METADATA}{path}")).await;
    assert_eq!((status, &said["policy_decision_point"]), (StatusCode::OK, &json!(tenant().public_url)));
    assert_eq!(said["access_evaluation_endpoint"], "https://pdp.acme.example/t1/{x}/:a/access/v1/evaluation");
    for other in [METADATA.to_owned(), format!("{METADATA}/t2"), format!("{METADATA}/t1")] {
        assert_eq!(got(tenant(), &other).await.0, StatusCode::NOT_FOUND, "{other}");
    }
    assert_eq!(
        got(named("https://pdp.acme.example"), &format!("{METADATA}/t1")).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn signed_metadata_holds_the_same_members_and_who_says_so_and_never_itself() {
    let echo: Sign = Arc::new(|claims| Some(String::from_utf8(claims.to_vec()).unwrap()));
    let signed = Some(("https://issuer.example".to_owned(), echo));
    let (_, mut said) = got(Metadata { signed, ..named("https://pdp.acme.example") }, METADATA).await;
    let claims = said.as_object_mut().unwrap().remove("signed_metadata").unwrap();
    let mut claims: Json = serde_json::from_str(claims.as_str().unwrap()).unwrap();
    assert_eq!(claims.as_object_mut().unwrap().remove("iss"), Some(json!("https://issuer.example")));
    assert_eq!(claims, said);
    let broken: Sign = Arc::new(|_| None);
    let signed = Some(("https://issuer.example".to_owned(), broken));
    let (status, _) = got(Metadata { signed, ..named("https://pdp.acme.example") }, METADATA).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
