//! `GET /api/v1/openapi.json`: the description of the API, made from the list that the router is made from.

use serde_json::{Map, Value, json};

use super::endpoint::{Accepts, Endpoint};
use crate::auth::Access;

/// The path.
pub const PATH: &str = "/api/v1/openapi.json";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get(PATH, "This description.", show).access(Access::Anybody)]
}

async fn show() -> axum::Json<Value> {
    axum::Json(description(&super::endpoints()))
}

/// The description of these endpoints, OpenAPI 3.1.
pub(crate) fn description(endpoints: &[Endpoint]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Driftlead",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Watches machine-learning models in production. Without keys everything is open on loopback; with keys, send one as a \
                            bearer token, or sign in for a session cookie and send its CSRF token as X-CSRF-Token with every change.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": crate::auth::COOKIE },
            },
            "responses": { "Problem": {
                "description": "What is wrong and what to do about it (RFC 9457).",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
            "schemas": { "Problem": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": { "type": "string" },
                    "title": { "type": "string" },
                    "status": { "type": "integer" },
                    "detail": { "type": ["string", "null"] },
                },
            } },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({
        "summary": endpoint.summary,
        "operationId": operation_id(endpoint),
        "parameters": parameters(endpoint),
        "responses": {
            endpoint.answers.status.to_string(): {
                "description": "All is well.",
                "content": { endpoint.answers.content_type: {} },
            },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    operation["security"] = match endpoint.access {
        Access::Anybody => json!([]),
        Access::Scope(scope) => {
            operation["x-scope"] = json!(scope.name());
            json!([{ "key": [] }, { "session": [] }])
        }
    };
    let media_types: Vec<&str> = match endpoint.accepts {
        Accepts::Nothing => Vec::new(),
        Accepts::Json => vec!["application/json"],
        Accepts::Upload(media_types) => media_types.to_vec(),
    };
    if !media_types.is_empty() {
        let content: Map<String, Value> = media_types.into_iter().map(|name| (name.to_owned(), json!({}))).collect();
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// `get /api/v1/models/{model}` is `get_models_model`.
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint
        .path
        .trim_start_matches("/api/v1")
        .split(['/', '.'])
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| word.trim_matches(['{', '}'])).collect();
    format!("{}_{}", endpoint.method.as_str().to_ascii_lowercase(), words.join("_"))
}

fn parameters(endpoint: &Endpoint) -> Value {
    let in_path = endpoint
        .path
        .split('/')
        .filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = endpoint.query.iter();
    let in_query =
        in_query.map(|(name, meaning)| json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } }));
    in_path.chain(in_query).collect()
}
