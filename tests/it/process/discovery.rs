//! The certification scenario of AuthZEN 1.0, level Discovery; and the `OpenAPI` document, as the binary serves them.
//! Never through an idea of where they are: from the public URL alone.

use palisade::identity::{Algorithm, Keys, Token, Use, open_own};
use serde_json::{Value, json};

use super::http::{self, Answer};
use super::place::{PERMIT, Place};
use super::server::Server;

const METADATA: &str = "/.well-known/authzen-configuration";
const PUBLIC: &str = "https://pdp.acme.example";

fn get(server: &Server, path: &str) -> Answer {
    http::request(server.http, "GET", path, &[])
}

fn configured(text: &str) -> (Place, Server) {
    let place = Place::with(PERMIT);
    place.configure(text);
    let server = place.start();
    (place, server)
}

/// What a harness holds of a metadata document at the base URL.
fn check(said: &Value, base: &str) {
    assert_eq!(said["policy_decision_point"], base);
    let members = said.as_object().unwrap();
    assert!(members.contains_key("access_evaluation_endpoint"));
    for (name, value) in members {
        if name.ends_with("_endpoint") || name.ends_with("_uri") {
            let url = url::Url::parse(value.as_str().unwrap()).unwrap();
            assert!(value.as_str().unwrap().starts_with(base), "{name}: {url}");
            assert!(url.query().is_none() && url.fragment().is_none(), "{name}: {url}");
        }
        let is_empty = value.as_array().is_some_and(Vec::is_empty) || value == "" || value.is_null();
        assert!(!is_empty, "{name} is empty");
    }
    let capabilities = said["capabilities"].as_array().unwrap();
    assert!(capabilities.iter().all(|urn| urn.as_str().is_some_and(|urn| urn.starts_with("urn:"))));
}

#[test]
fn the_metadata_is_that_of_the_public_url_and_its_signed_form_says_the_same() {
    let text = format!("tasks: {{ public_url: '{PUBLIC}' }}\nauthzen: {{ signed_metadata: true }}\n");
    let (_place, server) = configured(&text);
    let answer = get(&server, METADATA);
    assert_eq!(answer.status, 200);
    let head = answer.head.to_lowercase();
    assert!(
        head.contains("content-type: application/json") && head.contains("cache-control: public, max-age"),
        "{head}"
    );
    let mut said = answer.json();
    check(&said, PUBLIC);
    let signed = said.as_object_mut().unwrap().remove("signed_metadata").unwrap();
    let jwks = said["jwks_uri"].as_str().unwrap().strip_prefix(PUBLIC).unwrap();
    let keys = get(&server, jwks).body;
    let keys = Keys::parse(keys.as_bytes(), Use::Signatures, &[Algorithm::Es256]).unwrap();
    let opened = open_own(&Token::new(signed.as_str().unwrap()), &keys, "JWT").unwrap();
    let mut claims: Value = serde_json::from_slice(&opened.claims).unwrap();
    assert_eq!(claims.as_object_mut().unwrap().remove("iss"), Some(json!("http://127.0.0.1:0")));
    assert_eq!(claims, said);
    server.stop();
}

#[test]
fn without_a_public_url_the_metadata_is_that_of_the_address_and_names_what_answers() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let said = get(&server, METADATA).json();
    let base = format!("http://{}", server.http);
    check(&said, &base);
    assert!(said.get("signed_metadata").is_none());
    for (name, value) in said.as_object().unwrap() {
        if let Some(path) =
            value.as_str().and_then(|url| url.strip_prefix(&base)).filter(|path| !path.is_empty())
        {
            assert_ne!(get(&server, path).status, 404, "{name}");
        }
    }
    server.stop();
}

#[test]
fn the_identifier_of_a_tenant_has_its_path_behind_the_well_known_string() {
    let (_place, server) = configured(&format!("tasks: {{ public_url: '{PUBLIC}/t1' }}\n"));
    let answer = get(&server, &format!("{METADATA}/t1"));
    check(&answer.json(), &format!("{PUBLIC}/t1"));
    assert_eq!(get(&server, METADATA).status, 404);
    server.stop();
}

#[test]
fn the_openapi_document_names_what_is_served_with_tasks_and_without() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let with = get(&server, "/openapi.json").json();
    server.stop();
    let (_place, server) = configured("tasks: { enabled: false }\n");
    let without = get(&server, "/openapi.json").json();
    for (path, methods) in with["paths"].as_object().unwrap() {
        let is_there = without["paths"].get(path).is_some();
        let method = if methods.get("get").is_some() { "GET" } else { "POST" };
        assert_eq!(http::request(server.http, method, path, &[]).status != 404, is_there, "{path}");
    }
    assert!(get(&server, METADATA).json().get("jwks_uri").is_none());
    server.stop();
}
