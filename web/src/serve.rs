//! The server: the router, its layers, and its end.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::Instrument as _;

use crate::api::answers::ListAnswers;
use crate::api::endpoint::Endpoint;
use crate::api::live::{Hub, watch};
use crate::api::{endpoints, openapi};
use crate::auth::{self, Gate};
use crate::error::Problem;
use crate::state::WebState;
use crate::{assets, es, state};

/// What the router's layers and handlers share.
#[derive(Clone)]
pub(crate) struct Server {
    pub app: Arc<WebState>,
    pub gate: Arc<Gate>,
    pub hub: Hub,
}

impl FromRef<Server> for Arc<WebState> {
    fn from_ref(server: &Server) -> Self {
        server.app.clone()
    }
}

impl FromRef<Server> for Arc<Gate> {
    fn from_ref(server: &Server) -> Self {
        server.gate.clone()
    }
}

impl FromRef<Server> for Hub {
    fn from_ref(server: &Server) -> Self {
        server.hub.clone()
    }
}

impl FromRef<Server> for ListAnswers {
    fn from_ref(server: &Server) -> Self {
        server.hub.answers.clone()
    }
}

/// How long requests that are under way may take to end: a client that reads slowly, or not at all, must not
/// keep the log from being closed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the API and the pages until `token` fires, then finishes the requests that are under way, for at most
/// [`SHUTDOWN_TIMEOUT`]; streams end at once.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, state: Arc<WebState>, token: CancellationToken) -> std::io::Result<()> {
    let is_loopback = listener.local_addr()?.ip().is_loopback();
    let server = Server::new(state, is_loopback, token.clone());
    let watching = tokio::spawn(watch(server.app.clone(), server.hub.clone(), token.clone()));
    let serving = axum::serve(listener, router(server)).with_graceful_shutdown(token.clone().cancelled_owned());
    let overdue = async {
        token.cancelled().await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    let served = tokio::select! {
        served = serving.into_future() => served,
        () = overdue => {
            tracing::warn!("requests were still under way {} s after the end was asked for; they are dropped", SHUTDOWN_TIMEOUT.as_secs());
            Ok(())
        }
    };
    let _ended = watching.await;
    served
}

impl Server {
    /// A server for a listener.
    pub fn new(state: Arc<state::WebState>, is_loopback: bool, token: CancellationToken) -> Self {
        let gate = Gate::new(state.keys.clone(), state.clock.clone(), is_loopback, state.public_url.as_deref());
        Self {
            app: state,
            gate: Arc::new(gate),
            hub: Hub::new(token),
        }
    }
}

/// Everything that is served.
pub(crate) fn router(server: Server) -> Router {
    let gate = server.gate.clone();
    let api = endpoints()
        .into_iter()
        .fold(Router::new(), |router, endpoint| router.route(endpoint.path, guarded(endpoint)))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(gate.clone(), auth::identify))
        // What the API says holds for this moment and this caller.
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ));
    let elasticsearch = es::router()
        .layer(middleware::from_fn_with_state(gate.clone(), auth::identify))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(middleware::from_fn(es::dress));
    api.merge(elasticsearch)
        .fallback(unrouted)
        .layer(CompressionLayer::new())
        .layer(SetResponseHeaderLayer::overriding(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(middleware::from_fn_with_state(gate, auth::check_host))
        .with_state(server)
}

fn guarded(endpoint: Endpoint) -> axum::routing::MethodRouter<Server> {
    let access = endpoint.access;
    endpoint
        .handler
        .clone()
        .layer(DefaultBodyLimit::max(endpoint.body_limit()))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            auth::require(access, request, next)
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            traced(endpoint.path, request, next)
        }))
}

/// A request as a span of Driftlead's own.
pub(crate) async fn traced(route: &'static str, request: Request, next: Next) -> Response {
    let span = tracing::debug_span!(
        "http.request",
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        http.route = route,
        http.response.status_code = tracing::field::Empty
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

async fn method_not_allowed() -> Problem {
    Problem::with_status(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        format!("This path has other methods: see {}.", openapi::PATH),
    )
}

/// What no endpoint has: a page, unless it looks like the API.
async fn unrouted(request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if uri.path().starts_with("/es/") {
        return es::no_handler(request).await;
    }
    let is_api = ["/api/", "/v1/", "/ofrep/"].iter().any(|prefix| uri.path().starts_with(prefix));
    if is_api {
        return Problem::not_found(format!("There is no such endpoint; {} lists them.", openapi::PATH)).into_response();
    }
    assets::serve(method, uri).await
}

#[cfg(test)]
mod tests;
