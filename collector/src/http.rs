//! OTLP over HTTP: `POST /v1/logs`, `/v1/traces` and `/v1/metrics`, in protobuf or JSON. Every answer of 4xx
//! or 5xx carries a `google.rpc.Status` in the request's own encoding.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::any;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use tracing::Instrument as _;

use crate::answer;
use crate::body::{self, Compression};
use crate::cors;
use crate::gate::{Gate, span_of};
use crate::limits::MAX_REQUEST_BYTES;
use crate::receive::{Answer, Encoding, Request};
use crate::refusal::Refusal;
use crate::signal::Signal;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const UNDERSTOOD_TYPES: &str = "application/x-protobuf or application/json";
const UNDERSTOOD_ENCODINGS: &str = "gzip, zstd";

/// The routes of the HTTP listener.
pub(crate) fn router(gate: Arc<Gate>) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let handle = move |gate, request: HttpRequest| {
            let span = span_of(signal, "http", request.headers());
            handle(gate, signal, request).instrument(span)
        };
        router = router.route(signal.http_path(), any(handle));
    }
    router.fallback(unknown_path).with_state(gate)
}

async fn handle(State(gate): State<Arc<Gate>>, signal: Signal, request: HttpRequest) -> Response {
    let headers = request.headers().clone();
    if request.method() == Method::OPTIONS {
        return preflight(&gate, &headers).await;
    }
    let mut response = match receive(&gate, signal, request).await {
        Ok(answer) => success(signal, encoding_of_answer(&headers), &answer),
        Err(refusal) => refuse(&headers, &gate.refused(refusal)),
    };
    if gate.origin_allowed(&headers).await {
        response.headers_mut().extend(cors::answer_headers(&headers));
    }
    response
}

async fn receive(gate: &Gate, signal: Signal, request: HttpRequest) -> Result<Answer, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed);
    }
    let (parts, body) = request.into_parts();
    let grant = gate.admit(&parts.headers).await?;
    let encoding = content_type(&parts.headers).ok_or(Refusal::UnsupportedMediaType {
        expected: UNDERSTOOD_TYPES,
    })?;
    let compression = compression(&parts.headers).ok_or(Refusal::UnsupportedEncoding {
        understood: UNDERSTOOD_ENCODINGS,
    })?;
    let mut held = gate.receiver.status().bytes_in_flight().hold();
    let body = body::read(&parts.headers, body, MAX_REQUEST_BYTES, &mut held, |_| Ok(())).await?;
    gate.receiver
        .receive(Request {
            signal,
            encoding,
            compression,
            grant,
            body,
            held,
        })
        .await
}

async fn preflight(gate: &Gate, headers: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if gate.origin_allowed(headers).await {
        *response.headers_mut() = cors::preflight_headers(headers);
    }
    response
}

async fn unknown_path(State(gate): State<Arc<Gate>>, request: HttpRequest) -> Response {
    refuse(request.headers(), &gate.refused(Refusal::NotFound))
}

/// The encoding that the request states; `None` when it is neither.
fn content_type(headers: &HeaderMap) -> Option<Encoding> {
    let stated = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match stated.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        PROTOBUF => Some(Encoding::Protobuf),
        JSON => Some(Encoding::Json),
        _ => None,
    }
}

/// The encoding of the answer: the request's, and what a person can read where that is neither.
fn encoding_of_answer(headers: &HeaderMap) -> Encoding {
    content_type(headers).unwrap_or(Encoding::Json)
}

fn compression(headers: &HeaderMap) -> Option<Compression> {
    let mut stated = headers.get_all(CONTENT_ENCODING).iter();
    match (stated.next(), stated.next()) {
        (None, _) => Some(Compression::Identity),
        (Some(name), None) => Compression::parse(name.to_str().ok()?),
        (Some(_), Some(_)) => None,
    }
}

fn success(signal: Signal, encoding: Encoding, answer: &Answer) -> Response {
    match encoding {
        Encoding::Protobuf => respond(StatusCode::OK, PROTOBUF, answer::protobuf(signal, answer)),
        Encoding::Json => respond(StatusCode::OK, JSON, answer::json(signal, answer).to_string().into_bytes()),
    }
}

fn refuse(headers: &HeaderMap, refusal: &Refusal) -> Response {
    let mut response = match encoding_of_answer(headers) {
        Encoding::Protobuf => respond(refusal.http_status(), PROTOBUF, refusal.to_status().details().to_vec()),
        Encoding::Json => respond(refusal.http_status(), JSON, refusal.to_json().to_string().into_bytes()),
    };
    let headers = response.headers_mut();
    if let Some(delay) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    match refusal {
        Refusal::MethodNotAllowed => headers.insert(ALLOW, HeaderValue::from_static("POST, OPTIONS")),
        Refusal::UnsupportedEncoding { .. } => headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(UNDERSTOOD_ENCODINGS)),
        _ => None,
    };
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
