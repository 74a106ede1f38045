//! Extractors whose refusals are problems, as everything else's.

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::endpoint::MAX_UPLOAD_BYTES;
use crate::error::Problem;

/// The parameters in a path.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// The parameters in a query; unknown ones are refused where the type says so.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

/// A body as it came, up to the endpoint's bound.
#[derive(Debug, Clone)]
pub struct Upload(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let extracted = Bytes::from_request(request, state).await;
        extracted.map(Self).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(format!(
                "The body has more than {MAX_UPLOAD_BYTES} bytes: send it in several parts, or fewer rows."
            )),
            status => Problem::with_status(status, rejection.body_text()),
        })
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extracted = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        extracted
            .map(|path| Self(path.0))
            .map_err(|rejection| Problem::with_status(rejection.status(), rejection.body_text()))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extracted = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        extracted
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::with_status(rejection.status(), rejection.body_text()))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let extracted = axum::Json::<T>::from_request(request, state).await;
        extracted.map(|body| Self(body.0)).map_err(|rejection| match rejection {
            JsonRejection::MissingJsonContentType(_) => Problem::with_status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the body as JSON, with Content-Type: application/json.",
            ),
            other => Problem::with_status(other.status(), other.body_text()),
        })
    }
}
