//! The `OpenAPI` document of everything that is served over HTTP.
//! Never describes a route that does not answer: a test holds it against the routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::Value as Json;

use super::oauth::public;

/// Where the document is.
const PATH: &str = "/openapi.json";
/// As it is written.
const DOCUMENT: &str = include_str!("openapi/document.yaml");
/// The tag of what is there only with tasks.
const TASKS: &str = "Tasks";

/// The route. `tasks`: whether the routes of tasks are served beside it.
pub fn routes(tasks: bool) -> Router {
    let document: Arc<str> = document(tasks).to_string().into();
    Router::new().route(PATH, get(move || async move { public(&document) }))
}

/// The document. What it says of tasks is left out where there are none.
pub fn document(tasks: bool) -> Json {
    // A document of our own, which a test reads: it is never another.
    let mut document: Json = serde_saphyr::from_str(DOCUMENT).unwrap_or_default();
    if tasks {
        return document;
    }
    let is_of_tasks = |operation: &Json| {
        operation.get("tags").and_then(Json::as_array).is_some_and(|tags| tags.iter().any(|tag| tag == TASKS))
    };
    if let Some(paths) = document.get_mut("paths").and_then(Json::as_object_mut) {
        paths.retain(|_, path| !path.as_object().is_some_and(|methods| methods.values().any(is_of_tasks)));
    }
    if let Some(tags) = document.get_mut("tags").and_then(Json::as_array_mut) {
        tags.retain(|tag| tag.get("name").is_none_or(|name| name != TASKS));
    }
    document
}

#[cfg(test)]
mod tests;
