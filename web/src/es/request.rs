//! What a client sends: the index, the parameters of the address, and a body that may be compressed.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, RawPathParams, Request};
use axum::http::header;
use axum::http::request::Parts;
use axum::{RequestExt as _, RequestPartsExt as _};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::error::EsError;
use crate::auth::Caller;
use crate::error::Problem;

/// Most bytes of a body, compressed or not.
pub(super) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A request to one of the endpoints.
pub(super) struct EsRequest {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Parameters of the address.
    parameters: HashMap<String, String>,
    /// What stands in braces in the route.
    path: HashMap<String, String>,
    /// The body, decompressed.
    pub bytes: Vec<u8>,
}

impl EsRequest {
    /// The indexes in the path; empty: all.
    pub fn index(&self) -> &str {
        self.in_path("index")
    }

    /// A part of the path; empty where the route has none.
    pub fn in_path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A parameter of the address.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Whether a parameter is there and is not `false`.
    pub fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value != "false")
    }

    /// The body as an object; an empty one without a body.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn body(&self) -> Result<Value, EsError> {
        object(&self.bytes)
    }
}

/// Reads a JSON object; nothing is an empty one.
///
/// # Errors
/// It is none.
pub(super) fn object(bytes: &[u8]) -> Result<Value, EsError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_slice(bytes) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(EsError::parsing("the body has to be a JSON object")),
        Err(error) => Err(EsError::parsing(format!("the body is no JSON: {error}"))),
    }
}

impl<S: Send + Sync> FromRequest<S> for EsRequest {
    type Rejection = EsError;

    async fn from_request(mut request: Request, _state: &S) -> Result<Self, EsError> {
        let path = request.extract_parts::<RawPathParams>().await;
        let path = path.map_err(|rejection| EsError::illegal(rejection.body_text()))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (mut parts, body) = request.into_parts();
        let parameters = parts.extract::<Query<HashMap<String, String>>>().await;
        let Query(parameters) = parameters.map_err(|rejection| EsError::illegal(rejection.body_text()))?;
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        let caller = caller.ok_or_else(|| EsError::from(&Problem::unauthorized("A key is needed.")))?;
        let is_compressed = is_compressed(&parts)?;
        let bytes = Request::from_parts(parts, body).extract::<Bytes, _>().await;
        let bytes = bytes.map_err(|rejection| EsError::from(&Problem::with_status(rejection.status(), rejection.body_text())))?;
        Ok(Self {
            caller,
            parameters,
            path,
            bytes: if is_compressed { decompressed(&bytes)? } else { bytes.to_vec() },
        })
    }
}

fn is_compressed(parts: &Parts) -> Result<bool, EsError> {
    match parts.headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(EsError::unsupported(
            "this Content-Encoding: send the body as it is or with gzip; it",
        )),
    }
}

fn decompressed(bytes: &[u8]) -> Result<Vec<u8>, EsError> {
    let mut whole = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut whole);
    read.map_err(|error| EsError::parsing(format!("the body is no gzip: {error}")))?;
    match whole.len() > MAX_BODY_BYTES {
        true => Err(EsError::from(&Problem::too_large(format!(
            "the body has more than {MAX_BODY_BYTES} bytes"
        )))),
        false => Ok(whole),
    }
}
