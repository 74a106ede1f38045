//! Driftlead's own spans, logs and metrics by OTLP, to any address, itself included.
//!
//! What is sent to itself must not make more to send. So only our own targets are exported, never those of the libraries
//! that carry the export; and each request says that it is Driftlead's own ([`OWN_TELEMETRY`]), for which the collector
//! opens no span.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use driftlead_collector::OWN_TELEMETRY;
use driftlead_web::WebState;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{MetadataKey, MetadataMap};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::meters;

/// Name under which Driftlead's own telemetry comes.
const SERVICE_NAME: &str = "driftlead";
/// What is exported: ours alone.
const TARGETS: [&str; 6] = [
    "driftlead",
    "driftlead_store",
    "driftlead_collector",
    "driftlead_analyzer",
    "driftlead_alerting",
    "driftlead_web",
];
/// How long a request of an exporter may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Protocol {
    /// Over gRPC.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Over HTTP, as protobuf.
    #[serde(rename = "http/protobuf")]
    Http,
}

/// `[telemetry]`: where Driftlead's own telemetry goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Address, such as `http://127.0.0.1:4317`; unset: nothing is exported.
    pub endpoint: Option<String>,
    /// How.
    pub protocol: Protocol,
    /// Headers of each request, such as a key.
    pub headers: BTreeMap<String, String>,
    /// Share of the traces that are exported, from 0 to 1.
    pub sample_ratio: f64,
    /// How often metrics are exported.
    #[serde(with = "driftlead_store::model_settings::duration")]
    pub interval: Duration,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: Protocol::Grpc,
            headers: BTreeMap::new(),
            sample_ratio: 0.05,
            interval: Duration::from_secs(15),
        }
    }
}

/// The running export. Clones are one.
#[derive(Clone)]
pub struct Export {
    logs: SdkLoggerProvider,
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    interval: Duration,
}

impl Export {
    /// Builds the exporters; nothing is sent yet.
    ///
    /// # Errors
    /// The address or a header cannot be used.
    pub fn new(config: &TelemetryConfig) -> anyhow::Result<Self> {
        let (logs, spans, metrics) = exporters(config).context("[telemetry] cannot be used")?;
        let resource = Resource::builder()
            .with_service_name(SERVICE_NAME)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
        Ok(Self {
            logs: SdkLoggerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(logs)
                .build(),
            spans: SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_sampler(sampler)
                .with_batch_exporter(spans)
                .build(),
            metrics: SdkMeterProvider::builder()
                .with_resource(resource)
                .with_reader(PeriodicReader::builder(metrics).with_interval(config.interval).build())
                .build(),
            interval: config.interval,
        })
    }

    /// What hands spans and lines to the exporters.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        let ours = |level: LevelFilter| Targets::new().with_targets(TARGETS.map(|target| (target, level)));
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer(SERVICE_NAME))
            .with_filter(ours(LevelFilter::DEBUG));
        let logs = OpenTelemetryTracingBridge::new(&self.logs).with_filter(ours(LevelFilter::INFO));
        spans.and_then(logs)
    }

    /// Measures what `/metrics` shows until the token fires.
    pub async fn measure(&self, app: Arc<WebState>, token: CancellationToken) {
        meters::run(&self.metrics, self.interval, app, token).await;
    }

    /// Sends what waits and ends. Blocks for at most some seconds.
    pub fn shutdown(&self) {
        for (what, ended) in [
            ("metrics", self.metrics.shutdown()),
            ("spans", self.spans.shutdown()),
            ("logs", self.logs.shutdown()),
        ] {
            if let Err(error) = ended {
                tracing::debug!(%error, what, "the last of Driftlead's own telemetry could not be sent");
            }
        }
    }
}

fn exporters(config: &TelemetryConfig) -> anyhow::Result<(LogExporter, SpanExporter, MetricExporter)> {
    let endpoint = config.endpoint.as_deref().unwrap_or_default().trim_end_matches('/');
    let mut headers = config.headers.clone();
    headers.insert(OWN_TELEMETRY.to_owned(), "1".to_owned());
    match config.protocol {
        Protocol::Grpc => {
            let metadata = metadata(&headers)?;
            Ok((
                LogExporter::builder()
                    .with_tonic()
                    .with_endpoint(endpoint)
                    .with_timeout(EXPORT_TIMEOUT)
                    .with_metadata(metadata.clone())
                    .build()?,
                SpanExporter::builder()
                    .with_tonic()
                    .with_endpoint(endpoint)
                    .with_timeout(EXPORT_TIMEOUT)
                    .with_metadata(metadata.clone())
                    .build()?,
                MetricExporter::builder()
                    .with_tonic()
                    .with_endpoint(endpoint)
                    .with_timeout(EXPORT_TIMEOUT)
                    .with_metadata(metadata)
                    .build()?,
            ))
        }
        Protocol::Http => {
            let at = |signal: &str| format!("{endpoint}/v1/{signal}");
            let headers: std::collections::HashMap<String, String> = headers.into_iter().collect();
            Ok((
                LogExporter::builder()
                    .with_http()
                    .with_endpoint(at("logs"))
                    .with_timeout(EXPORT_TIMEOUT)
                    .with_headers(headers.clone())
                    .build()?,
                SpanExporter::builder()
                    .with_http()
                    .with_endpoint(at("traces"))
                    .with_timeout(EXPORT_TIMEOUT)
                    .with_headers(headers.clone())
                    .build()?,
                MetricExporter::builder()
                    .with_http()
                    .with_endpoint(at("metrics"))
                    .with_timeout(EXPORT_TIMEOUT)
                    .with_headers(headers)
                    .build()?,
            ))
        }
    }
}

fn metadata(headers: &BTreeMap<String, String>) -> anyhow::Result<MetadataMap> {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        let key = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes()).with_context(|| format!("the header {name:?}"))?;
        metadata.insert(key, value.parse().with_context(|| format!("the value of the header {name:?}"))?);
    }
    Ok(metadata)
}
