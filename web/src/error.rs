//! The one error of the API: RFC 9457 `application/problem+json`. Internals go to the log, the client gets what it can act on.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A problem as the client sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// `about:blank`: the status and the title say it all.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    /// What the caller can do about it.
    detail: Option<String>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
}

fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, detail: Option<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            kind: "about:blank",
            title,
            status,
            detail,
            retry_after_seconds: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some(detail.into()))
    }

    /// 401: a key is needed.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Some(detail.into()))
    }

    /// 403: the key may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Some(detail.into()))
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Some(detail.into()))
    }

    /// 409: the state does not allow it now.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Some(detail.into()))
    }

    /// 413: over a limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Some(detail.into()))
    }

    /// 422: the request can be read but not be followed.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Some(detail.into()))
    }

    /// 429: the caller has sent more than it may; to be tried again after these seconds.
    pub fn too_fast(retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                Some(format!("This key sends faster than it may: wait {retry_after_seconds} s.")),
            )
        }
    }

    /// 503: something that is needed is not there for the moment; to be tried again after these seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, Some(detail.into()))
        }
    }

    /// 500: our fault. The error goes to the log, not to the client.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(error), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Some("The server's log says more.".to_owned()))
    }

    /// Any other status.
    pub fn with_status(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, Some(detail.into()))
    }

    /// What the caller can do about it.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        const CHALLENGE: (HeaderName, HeaderValue) = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        let retry_after = self.retry_after_seconds;
        let status = self.status;
        let mut response = (status, Json(&self)).into_response();
        // For layers that say it in another API's words.
        response.extensions_mut().insert(self);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(CHALLENGE.0, CHALLENGE.1);
        }
        response
    }
}

impl From<driftlead_store::state::StateError> for Problem {
    fn from(error: driftlead_store::state::StateError) -> Self {
        Self::internal(&error)
    }
}
