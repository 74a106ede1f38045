//! The demo's service sends its telemetry as any service does: by the stock OpenTelemetry SDK and its OTLP exporter.
//!
//! The SDK's own batch processor drops records when its queue is full, which is right for a service and wrong for a
//! demonstration that counts every record. This processor hands batches to the same exporter, makes the
//! sender wait instead, and sends a batch again until it is acknowledged.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{Compression, LogExporter, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::{mpsc, oneshot};

/// Records of one export request: large enough that a request's overhead does not count, far under any size limit.
const BATCH_RECORDS: usize = 2_000;
/// Records that wait for the exporter before a sender has to wait.
const QUEUE_RECORDS: usize = 4 * BATCH_RECORDS;
/// An export is tried again after this time.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// Attempts for one batch: a minute of an unreachable collector ends the demo with an error.
const MAX_ATTEMPTS: u32 = 300;

type Record = Box<(SdkLogRecord, InstrumentationScope)>;

enum Message {
    Record(Record),
    Flush(oneshot::Sender<OTelSdkResult>),
}

/// Waits where the SDK's processor would drop.
#[derive(Debug)]
pub struct WaitingLogProcessor {
    queue: mpsc::Sender<Message>,
    exporter: Mutex<Option<(LogExporter, mpsc::Receiver<Message>)>>,
}

impl WaitingLogProcessor {
    /// A processor for the collector at `otlp_grpc` (host and port). Must be used outside of async tasks:
    /// [`LogProcessor::emit`] blocks while the queue is full.
    ///
    /// # Errors
    /// The exporter cannot be built.
    pub fn new(otlp_grpc: &str) -> anyhow::Result<Self> {
        let exporter = LogExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{otlp_grpc}"))
            .with_timeout(Duration::from_secs(30))
            .with_compression(Compression::Gzip)
            .build()?;
        let (queue, messages) = mpsc::channel(QUEUE_RECORDS);
        Ok(Self {
            queue,
            exporter: Mutex::new(Some((exporter, messages))),
        })
    }
}

/// A logger provider for a service of this name whose records are never dropped.
///
/// # Errors
/// The exporter cannot be built.
pub fn logger_provider(otlp_grpc: &str, resource: Resource) -> anyhow::Result<SdkLoggerProvider> {
    let processor = WaitingLogProcessor::new(otlp_grpc)?;
    Ok(SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(processor)
        .build())
}

/// A tracer provider whose spans go out by the SDK's own batches: a failure is also told by its log record, so nothing
/// that is counted depends on a span.
///
/// # Errors
/// The exporter cannot be built.
pub fn tracer_provider(otlp_grpc: &str, resource: Resource) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{otlp_grpc}"))
        .with_timeout(Duration::from_secs(30))
        .with_compression(Compression::Gzip)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

impl LogProcessor for WaitingLogProcessor {
    fn emit(&self, data: &mut SdkLogRecord, scope: &InstrumentationScope) {
        // A closed queue means that the exporter gave up; `force_flush` reports it.
        let _ = self.queue.blocking_send(Message::Record(Box::new((data.clone(), scope.clone()))));
    }

    fn force_flush(&self) -> OTelSdkResult {
        let (done, outcome) = oneshot::channel();
        let gone = || OTelSdkError::InternalFailure("the exporter gave up: the collector did not take a batch".into());
        self.queue.blocking_send(Message::Flush(done)).map_err(|_| gone())?;
        outcome.blocking_recv().map_err(|_| gone())?
    }

    fn set_resource(&mut self, resource: &Resource) {
        let taken = self.exporter.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut exporter, messages)) = taken {
            exporter.set_resource(resource);
            tokio::spawn(export(exporter, messages));
        }
    }
}

async fn export(exporter: LogExporter, mut messages: mpsc::Receiver<Message>) {
    let mut waiting = Vec::with_capacity(BATCH_RECORDS);
    let mut batch: Vec<Record> = Vec::with_capacity(BATCH_RECORDS);
    loop {
        waiting.clear();
        if messages.recv_many(&mut waiting, BATCH_RECORDS).await == 0 {
            return;
        }
        for message in waiting.drain(..) {
            match message {
                Message::Record(record) => batch.push(record),
                Message::Flush(done) => {
                    let outcome = send(&exporter, &mut batch).await;
                    let failed = outcome.is_err();
                    let _ = done.send(outcome);
                    if failed {
                        return;
                    }
                }
            }
        }
        let more_is_waiting = !messages.is_empty();
        if (batch.len() >= BATCH_RECORDS || !more_is_waiting) && send(&exporter, &mut batch).await.is_err() {
            return;
        }
    }
}

async fn send(exporter: &LogExporter, batch: &mut Vec<Record>) -> OTelSdkResult {
    if batch.is_empty() {
        return Ok(());
    }
    let records: Vec<_> = batch.iter().map(|record| (&record.0, &record.1)).collect();
    let mut attempt = 1;
    loop {
        match exporter.export(LogBatch::new(&records)).await {
            Ok(()) => break,
            Err(error) if attempt == MAX_ATTEMPTS => return Err(error),
            Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
        }
        attempt += 1;
    }
    drop(records);
    batch.clear();
    Ok(())
}
