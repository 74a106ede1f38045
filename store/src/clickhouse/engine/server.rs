//! The front of the embedded engine: the part of ClickHouse's HTTP interface that clients use.
//!
//! `GET /ping` needs no password; everything else goes to `/`, but for [`PROBE_PATH`], by which the parent
//! sees that the engine works. Each request runs on a blocking thread with
//! a connection of its own. Bounds: [`MAX_CONCURRENT_QUERIES`] run, [`MAX_WAITING_QUERIES`] wait, and
//! [`MAX_LARGE_BODIES`] large bodies are in memory at once. Deliberately absent: sessions, roles, users,
//! external tables, progress headers.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, request};
use axum::response::Response;
use axum::routing::get;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::compression::Encoder;
use super::exception::{Exception, code};
use super::execute::{Answer, Engine, Head};
use super::format::content_type;
use super::request::{Credentials, Request};

/// Queries that run at once: each may use all cores, so more only take each other's memory.
pub const MAX_CONCURRENT_QUERIES: usize = 16;
/// Queries that wait for one of those places; past it clients are told to come back.
pub const MAX_WAITING_QUERIES: usize = 256;
/// Requests with a large body (or one of unknown length) in memory at once; with the bound of a body this
/// bounds the memory of bodies to 1 GiB.
pub const MAX_LARGE_BODIES: usize = 4;
/// A body below this size does not count as large.
const SMALL_BODY_BYTES: u64 = 1 << 20;
/// Pieces of an answer between the engine and the socket: enough to keep both busy.
const PIECES_IN_FLIGHT: usize = 4;
/// How long running requests may take to end once the engine is told to stop; longer than an insert
/// takes, shorter than a service manager's patience.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Answers once the engine has run a query of its own, however many others run or wait.
pub const PROBE_PATH: &str = "/probe";

struct Front {
    engine: Arc<Engine>,
    password: [u8; 32],
    queries: Arc<Semaphore>,
    /// One probe at a time: where the engine hangs each holds a thread for ever.
    probes: Arc<Semaphore>,
    waiting: AtomicUsize,
    large_bodies: Semaphore,
}

/// Serves `engine` on `listener` until `stop` is cancelled and the running requests are done, at most
/// 10 s later. True when nothing runs any more.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, engine: Arc<Engine>, password: &str, stop: CancellationToken) -> std::io::Result<bool> {
    let front = Arc::new(Front {
        engine,
        password: digest(password),
        queries: Arc::new(Semaphore::new(MAX_CONCURRENT_QUERIES)),
        probes: Arc::new(Semaphore::new(1)),
        waiting: AtomicUsize::new(0),
        large_bodies: Semaphore::new(MAX_LARGE_BODIES),
    });
    let router = Router::new()
        .route("/ping", get(async || "Ok.\n"))
        .route(PROBE_PATH, get(probe))
        .route("/", get(handle).post(handle))
        .with_state(Arc::clone(&front));
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_TIME).await;
    };
    tokio::select! {
        served = serving.into_future() => served?,
        () = overdue => {}
    }
    let everything = u32::try_from(MAX_CONCURRENT_QUERIES).unwrap_or(u32::MAX);
    let idle = tokio::time::timeout(Duration::from_secs(1), front.queries.acquire_many(everything)).await;
    Ok(idle.is_ok())
}

fn digest(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

async fn handle(State(front): State<Arc<Front>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    match front.respond(parts, body).await {
        Ok(response) => response,
        Err(exception) => front.refuse(&exception),
    }
}

async fn probe(State(front): State<Arc<Front>>, request: axum::extract::Request) -> Response {
    let (parts, _) = request.into_parts();
    match front.probe(&parts).await {
        Ok(()) => Response::new(Body::from("Ok.\n")),
        Err(exception) => front.refuse(&exception),
    }
}

impl Front {
    async fn probe(&self, parts: &request::Parts) -> Result<(), Exception> {
        self.authenticate(parts)?;
        let unavailable = |_| Exception::internal("the probe was given up");
        let turn = Arc::clone(&self.probes).acquire_owned().await.map_err(unavailable)?;
        let engine = Arc::clone(&self.engine);
        let probing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            engine.probe()
        });
        probing
            .await
            .map_err(|_| Exception::internal("the probe's thread ended without an answer"))?
    }

    async fn respond(self: &Arc<Self>, parts: request::Parts, body: Body) -> Result<Response, Exception> {
        self.authenticate(&parts)?;
        if parts.method == Method::GET && parts.uri.query().is_none() {
            return Ok(Response::new(Body::from("Ok.\n")));
        }
        let large = self.large_body_permit(&parts).await;
        let request = Request::read(parts, body).await?;
        let encoding = request.encoding;
        let query_id = request.query_id.clone();
        let encoder = Encoder::new(encoding)?;
        let place = self.wait_for_a_place().await?;

        let (head_sender, head) = oneshot::channel();
        let (piece_sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        let answer = Answer::new(head_sender, piece_sender, encoder);
        let front = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _place = place;
            front.engine.execute(&request, answer);
        });
        let head = head
            .await
            .map_err(|_| Exception::internal("the query's thread ended without an answer"))??;
        drop(large);
        Ok(answer_of(&head, encoding.header(), query_id, pieces))
    }

    fn authenticate(&self, parts: &request::Parts) -> Result<(), Exception> {
        let Some(password) = Credentials::of(parts).password else {
            return Err(Exception::new(
                code::REQUIRED_PASSWORD,
                "REQUIRED_PASSWORD",
                "Authentication failed: password is required",
            ));
        };
        // Digests of equal length are compared, so the time taken says nothing about the password.
        if digest(&password) == self.password {
            return Ok(());
        }
        Err(Exception::new(
            code::AUTHENTICATION_FAILED,
            "AUTHENTICATION_FAILED",
            "Authentication failed: password is incorrect, or there is no user with such name",
        ))
    }

    async fn large_body_permit(&self, parts: &request::Parts) -> Option<SemaphorePermit<'_>> {
        let length = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let small = parts.method == Method::GET || length.is_some_and(|length| length <= SMALL_BODY_BYTES);
        if small { None } else { self.large_bodies.acquire().await.ok() }
    }

    /// Takes one of the places; it is given back when the query's thread is done, however it ends, not when its client is.
    async fn wait_for_a_place(&self) -> Result<OwnedSemaphorePermit, Exception> {
        let too_many = || {
            Exception::new(
                code::TOO_MANY_SIMULTANEOUS_QUERIES,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                format_args!("Too many simultaneous queries: {MAX_CONCURRENT_QUERIES} run and {MAX_WAITING_QUERIES} wait"),
            )
        };
        let _waiting = Waiting::enter(&self.waiting).ok_or_else(too_many)?;
        Arc::clone(&self.queries).acquire_owned().await.map_err(|_| too_many())
    }

    fn refuse(&self, exception: &Exception) -> Response {
        let text = match exception.text.contains("(version ") {
            true => format!("{}\n", exception.text),
            false => format!("{} (version {})\n", exception.text, self.engine.version()),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(exception.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("X-ClickHouse-Exception-Code", HeaderValue::from(exception.code));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
        if exception.code == code::REQUIRED_PASSWORD {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"ClickHouse server HTTP API\""),
            );
        }
        response
    }
}

/// Counts one waiting query while it lives.
struct Waiting<'count>(&'count AtomicUsize);

impl<'count> Waiting<'count> {
    fn enter(count: &'count AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < MAX_WAITING_QUERIES).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer_of(
    head: &Head,
    content_encoding: Option<&'static str>,
    query_id: Option<String>,
    mut pieces: mpsc::Receiver<Result<axum::body::Bytes, Exception>>,
) -> Response {
    let body = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    let mut text = |name: &str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).expect("names of headers are literals"),
                value,
            );
        }
    };
    text("X-ClickHouse-Server-Display-Name", "driftlead");
    text("X-ClickHouse-Timezone", "UTC");
    if let Some(query_id) = query_id {
        text("X-ClickHouse-Query-Id", &query_id);
    }
    if let Some(format) = &head.format {
        text("X-ClickHouse-Format", format);
        text(CONTENT_TYPE.as_str(), content_type(format));
    }
    if let Some(rows) = head.written_rows {
        text("X-ClickHouse-Summary", &format!("{{\"written_rows\":\"{rows}\"}}"));
    }
    if let Some(encoding) = content_encoding {
        text(CONTENT_ENCODING.as_str(), encoding);
    }
    response
}
