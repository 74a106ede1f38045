//! Serves connections of one listener: bounded in number, in time and in streams, and ended in order.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::limits::{IDLE_TIMEOUT, KEEP_ALIVE, MAX_CONCURRENT_STREAMS, MAX_CONNECTIONS, MAX_HEADER_BYTES, SHUTDOWN_GRACE};
use crate::status::CollectorStatus;
use crate::tls::Tls;

/// Reason under which connections are counted that never became one.
const TLS_HANDSHAKE: &str = "tls_handshake";
/// Wait after a connection could not be accepted: most often there are no file descriptors left, which only
/// time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Window of a connection and of a stream: a batch of a megabyte comes without a round trip in between.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// Serves until `token` is cancelled, then lets requests that were begun end.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, status: CollectorStatus, token: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    while let Some((permit, stream)) = token.run_until_cancelled(accept(&listener, &room)).await {
        let (router, token, open) = (router.clone(), token.clone(), status.connection());
        let (tls, status) = (tls.clone(), status.clone());
        connections.spawn(async move {
            // Answers are small: waiting to fill a packet would only delay them. Should it fail, they are delayed.
            let _ = stream.set_nodelay(true);
            match tls {
                None => serve_connection(stream, router, token).await,
                Some(tls) => match token.run_until_cancelled(tls.accept(stream)).await {
                    Some(Ok(stream)) => serve_connection(stream, router, token).await,
                    // Whoever only looks whether the port is open says nothing.
                    Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                    Some(Err(error)) => {
                        status.refused_request(TLS_HANDSHAKE);
                        tracing::debug!(%error, "a handshake failed");
                    }
                    None => {}
                },
            }
            drop((permit, open));
        });
    }
    drop(listener);
    connections.close();
    if timeout(SHUTDOWN_GRACE, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end within the grace of the stop");
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (tokio::sync::OwnedSemaphorePermit, TcpStream) {
    let permit = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (permit, stream),
            Err(error) => {
                if !is_of_one_connection(&error) {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve_connection<S>(stream: S, router: Router, token: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let seen = Arc::clone(&activity);
    let service = router.map_request(|request: http::Request<Incoming>| request.map(Body::new));
    let service = tower::service_fn(move |request| {
        let (service, request_seen) = (service.clone(), Request::begin(&seen));
        async move {
            let response = service.oneshot(request).await;
            drop(request_seen);
            response
        }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    // Errors of a connection are the client's: it broke off, or spoke no HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = token.cancelled() => {}
        () = activity.idle() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection.as_mut() => {}
        // A client that never spoke, or never closes, is not waited for.
        () = sleep(SHUTDOWN_GRACE) => {}
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Runs from the end of the request before, so it must not be shorter than the pause between two.
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    builder
}

/// Whether a connection is used.
#[derive(Default)]
struct Activity {
    running: AtomicU64,
    begun: AtomicU64,
}

struct Request(Arc<Activity>);

impl Request {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::Relaxed);
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    /// Returns when no request was begun or running for [`IDLE_TIMEOUT`].
    async fn idle(&self) {
        let mut begun = 0;
        let mut since = Instant::now();
        loop {
            sleep(IDLE_TIMEOUT / 4).await;
            let now_begun = self.begun.load(Ordering::Relaxed);
            if now_begun != begun || self.running.load(Ordering::Relaxed) > 0 {
                begun = now_begun;
                since = Instant::now();
            } else if since.elapsed() >= IDLE_TIMEOUT {
                return;
            }
        }
    }
}
