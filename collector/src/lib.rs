//! Receives OTLP, admits it, takes out what must not be stored, keeps it in the log, and decodes it for the
//! drain and the error index.
//!
//! The flow of a request: `http` or `grpc` reads its bytes within the limits ([`limits`]),
//! [`admit`] knows who sends, `receive` walks over the bytes once (`wire`), has what is declared taken out
//! ([`redact`]) and appends the frame to the log, which answers once it is fsynced. JSON becomes protobuf
//! first (`json`); protobuf of which nothing had to change goes to the log byte for byte. Every refusal is a
//! [`refusal::Refusal`], which says what it means over HTTP and over gRPC.
//!
//! Separately, [`Decoder`] turns frames back into records. It never refuses: what was admitted is stored,
//! and what has to be cut or set aside is counted by reason.
//!
//! Deliberately absent: batching, queues and retries. The log is the only queue; what is not in it is
//! refused, and the client still has it.

pub mod admit;
mod answer;
mod body;
mod cors;
pub mod decode;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gate;
mod grpc;
mod http;
mod ids;
mod json;
pub mod limits;
mod receive;
mod recent;
pub mod redact;
pub mod refusal;
#[cfg(test)]
mod samples;
pub mod scrape;
mod server;
mod signal;
pub mod status;
mod text;
mod tls;
mod wire;

use std::sync::Arc;

use driftlead_store::clock::Clock;
use driftlead_store::wal::Log;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use admit::{KeyChecker, KeyGrant, KeyRefusal, NoKeys};
pub use decode::errors::FAILURES;
pub use decode::stored::{log_frame, span_frame};
pub use decode::{Decoder, DecoderConfig};
use gate::Gate;
pub use gate::OWN_TELEMETRY;
use receive::Receiver;
pub use redact::RedactConfig;
pub use redact::RedactError;
use redact::Redaction;
pub use scrape::{ScrapeError, ScrapeTarget};
pub use signal::Signal;
pub use status::CollectorStatus;
use tls::Tls;
pub use tls::{TlsConfig, TlsError};

/// Where OTLP is received.
#[derive(Debug)]
pub struct Listeners {
    /// OTLP over gRPC.
    pub grpc: TcpListener,
    /// OTLP over HTTP.
    pub http: TcpListener,
}

/// Settings of the collector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectorConfig {
    /// What must not be stored.
    pub redact: RedactConfig,
    /// Origins of pages that may send from a browser without a key, such as `https://shop.example`; `*` is
    /// any. Loopback origins always may.
    pub allowed_origins: Vec<String>,
    /// Certificate and key of both listeners; unset: nothing is encrypted.
    pub tls: Option<TlsConfig>,
    /// Pages of metrics to fetch.
    pub scrape: Vec<ScrapeTarget>,
}

impl CollectorConfig {
    /// Whether a collector would start with these settings.
    ///
    /// # Errors
    /// They are wrong.
    pub fn check(&self) -> Result<(), CollectorError> {
        Redaction::new(&self.redact)?;
        self.tls.clone().map(Tls::load).transpose()?;
        scrape::check(&self.scrape)?;
        Ok(())
    }
}

/// Why the collector cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectorError {
    /// The redaction's settings.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A target of the scraping.
    #[error(transparent)]
    Scrape(#[from] ScrapeError),
}

/// Receives until `token` is cancelled; requests that were begun are answered before it returns.
///
/// # Errors
/// The settings are wrong; nothing has been received then.
pub async fn run(
    listeners: Listeners,
    config: CollectorConfig,
    log: Log,
    keys: Arc<dyn KeyChecker>,
    status: CollectorStatus,
    clock: Clock,
    token: CancellationToken,
) -> Result<(), CollectorError> {
    let redaction = Redaction::new(&config.redact)?;
    let tls = config.tls.map(Tls::load).transpose()?;
    scrape::check(&config.scrape)?;
    let receiver = Receiver::new(log, redaction, status.clone(), Arc::clone(&keys), clock.clone());
    let scraping = scrape::run(config.scrape, receiver.clone(), clock, token.clone());
    let gate = Arc::new(Gate::new(receiver, keys, config.allowed_origins));
    let watching = tls.clone().map(|tls| tokio::spawn(tls.watch(token.clone())));
    let (_, _, scraped) = tokio::join!(
        server::serve(
            listeners.grpc,
            tls.clone(),
            grpc::router(Arc::clone(&gate)),
            status.clone(),
            token.clone()
        ),
        server::serve(listeners.http, tls, http::router(gate), status, token),
        scraping,
    );
    if let Some(watching) = watching {
        let _ended = watching.await;
    }
    Ok(scraped?)
}
