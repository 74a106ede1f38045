//! Errors in the shape that Elasticsearch's clients read.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use driftlead_store::index::query::QueryError;
use driftlead_store::index::{LookupError, SearchError};
use serde_json::{Value, json};

use crate::error::Problem;

/// Seconds after which a lookup that was too slow may be tried again.
const RETRY_SECONDS: u32 = 5;

/// What is wrong, as Elasticsearch says it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EsError {
    status: StatusCode,
    kind: &'static str,
    reason: String,
    index: Option<String>,
}

impl EsError {
    fn new(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            reason: reason.into(),
            index: None,
        }
    }

    /// The request cannot be read.
    pub fn parsing(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "parsing_exception", reason)
    }

    /// The request can be read and asks for what is not possible.
    pub fn illegal(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "illegal_argument_exception", reason)
    }

    /// Elasticsearch has it, this API has not.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::illegal(format!("{what} is not supported by this API; docs/elasticsearch.md lists what is"))
    }

    /// There is no such index.
    pub fn no_index(name: &str) -> Self {
        Self {
            index: Some(name.to_owned()),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "index_not_found_exception",
                format!("no such index [{name}]"),
            )
        }
    }

    /// A point in time or a scroll is not open.
    pub fn no_context(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "search_context_missing_exception", reason)
    }

    /// Too many points in time are open.
    pub fn too_many_contexts(most: usize) -> Self {
        let reason = format!("{most} points in time are open, which is the most: close some, or wait until they end");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_scroll_contexts_exception", reason)
    }

    /// There is no such endpoint.
    pub fn no_handler(method: &str, path: &str) -> Self {
        let reason = format!("no handler found for uri [{path}] and method [{method}]; docs/elasticsearch.md lists what there is");
        Self::new(StatusCode::BAD_REQUEST, "illegal_argument_exception", reason)
    }

    /// The index failed. Why goes to the log.
    pub fn failed(error: impl std::error::Error) -> Self {
        Self::from(&Problem::internal(&error))
    }

    /// The body of the answer, which is also an item of `_msearch`.
    pub fn body(&self) -> Value {
        let mut cause = json!({"type": self.kind, "reason": self.reason});
        if let Some(index) = &self.index {
            cause["index"] = json!(index);
            cause["resource.id"] = json!(index);
            cause["resource.type"] = json!("index_or_alias");
        }
        let mut error = cause.clone();
        error["root_cause"] = json!([cause]);
        json!({"error": error, "status": self.status.as_u16()})
    }
}

/// What the layers before a handler refuse.
impl From<&Problem> for EsError {
    fn from(problem: &Problem) -> Self {
        let status = problem.status();
        let kind = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
            StatusCode::PAYLOAD_TOO_LARGE => "content_too_long_exception",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "es_rejected_execution_exception",
            status if status.is_client_error() => "illegal_argument_exception",
            _ => "internal_server_error",
        };
        Self::new(status, kind, problem.detail().unwrap_or("the request failed"))
    }
}

impl From<QueryError> for EsError {
    fn from(error: QueryError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "query_shard_exception",
            format!("Failed to parse query: {error}"),
        )
    }
}

impl From<SearchError> for EsError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Query(error) => Self::from(error),
            SearchError::Cursor(_) | SearchError::Limit(_) | SearchError::Range | SearchError::TooWide(_) => {
                Self::illegal(error.to_string())
            }
            SearchError::TooSlow => Self::from(&Problem::unavailable(error.to_string(), RETRY_SECONDS)),
            SearchError::Index(error) => Self::failed(error),
            SearchError::Telemetry(error) => Self::failed(error),
        }
    }
}

impl From<LookupError> for EsError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Window(_) | LookupError::TooLarge | LookupError::Aggregation(_) => Self::illegal(error.to_string()),
            LookupError::TooManyBuckets(_) => Self::new(StatusCode::BAD_REQUEST, "too_many_buckets_exception", error.to_string()),
            LookupError::NoPoint => Self::no_context(error.to_string()),
            LookupError::Search(error) => Self::from(error),
        }
    }
}

impl IntoResponse for EsError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_shape_that_clients_read() {
        let body = EsError::no_index("logs").body();
        assert_eq!(
            body,
            json!({
                "error": {
                    "root_cause": [{
                        "type": "index_not_found_exception", "reason": "no such index [logs]",
                        "index": "logs", "resource.id": "logs", "resource.type": "index_or_alias",
                    }],
                    "type": "index_not_found_exception", "reason": "no such index [logs]",
                    "index": "logs", "resource.id": "logs", "resource.type": "index_or_alias",
                },
                "status": 404,
            })
        );
        let refused = EsError::from(&Problem::unauthorized("A key is needed.")).body();
        assert_eq!(
            (&refused["error"]["type"], &refused["status"]),
            (&json!("security_exception"), &json!(401))
        );
    }
}
