//! What the demo's service says about its inferences, in the attributes that Driftlead reads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::exporter;

/// Name of the model that the demo serves.
pub const MODEL: &str = "employment";
/// Environment that its telemetry states.
pub const ENVIRONMENT: &str = "production";
/// Name of the service.
pub const SERVICE: &str = "employment-api";

/// A feature's value as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureValue {
    /// A number.
    Number(f64),
    /// A category.
    Category(String),
    /// Not known: no attribute is sent.
    Absent,
}

/// One answered request.
#[derive(Debug, Clone)]
pub struct Served {
    /// Id of the request.
    pub request_id: String,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
    /// Version that answered.
    pub version: String,
    /// Which people the one who is asked about belongs to.
    pub segment: Option<&'static str>,
    /// Names and values of the features.
    pub features: Vec<(&'static str, FeatureValue)>,
    /// Predicted class.
    pub label: String,
    /// Score of the positive class.
    pub score: f64,
    /// Milliseconds that it took.
    pub latency_ms: f64,
}

/// One request that the model rejected.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Id of the request.
    pub request_id: String,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
    /// Version that failed.
    pub version: String,
    /// Kind of the error.
    pub error_type: String,
    /// What the model said.
    pub message: String,
    /// Milliseconds until it failed.
    pub latency_ms: f64,
}

/// The service's voice. Its methods wait while the collector is slower than the service, so they belong on a thread
/// of their own.
pub struct Voice {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
    spans: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Voice {
    /// A voice that speaks to the collector at `otlp_grpc` (host and port).
    ///
    /// # Errors
    /// The exporter cannot be built.
    pub fn new(otlp_grpc: &str) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attribute(KeyValue::new("deployment.environment.name", ENVIRONMENT))
            .build();
        let spans = exporter::tracer_provider(otlp_grpc, resource.clone())?;
        let tracer = spans.tracer("demo");
        let provider = exporter::logger_provider(otlp_grpc, resource)?;
        let logger = provider.logger("demo");
        Ok(Self {
            provider,
            logger,
            spans,
            tracer,
        })
    }

    /// Reports an answered request.
    pub fn served(&self, served: &Served) {
        let mut record = self.inference(
            &served.request_id,
            served.time_ns,
            &served.version,
            served.latency_ms,
            Severity::Info,
        );
        record.add_attribute("ml.prediction.label", served.label.clone());
        record.add_attribute("ml.prediction.score", served.score);
        if let Some(segment) = served.segment {
            record.add_attribute("ml.segment", segment);
        }
        for (name, value) in &served.features {
            let key = Key::from(format!("ml.feature.{name}"));
            match value {
                FeatureValue::Number(number) => record.add_attribute(key, *number),
                FeatureValue::Category(category) => record.add_attribute(key, category.clone()),
                FeatureValue::Absent => {}
            }
        }
        self.logger.emit(record);
    }

    /// Reports a failed request: by a span with an exception, and by a log record that names the span.
    pub fn failed(&self, failed: &Failed) {
        let began = time_of(failed.time_ns);
        let mut span = self
            .tracer
            .span_builder("predict")
            .with_kind(SpanKind::Server)
            .with_start_time(began)
            .with_attributes([
                KeyValue::new("ml.model.name", MODEL),
                KeyValue::new("ml.model.version", failed.version.clone()),
                KeyValue::new("ml.request.id", failed.request_id.clone()),
                KeyValue::new("error.type", failed.error_type.clone()),
            ])
            .start(&self.tracer);
        span.add_event_with_timestamp(
            "exception",
            began,
            vec![
                KeyValue::new("exception.type", failed.error_type.clone()),
                KeyValue::new("exception.message", failed.message.clone()),
            ],
        );
        span.set_status(Status::error(failed.message.clone()));
        let context = span.span_context().clone();
        span.end_with_timestamp(began + Duration::from_secs_f64(failed.latency_ms / 1e3));
        let mut record = self.inference(
            &failed.request_id,
            failed.time_ns,
            &failed.version,
            failed.latency_ms,
            Severity::Error,
        );
        record.set_body(AnyValue::from(failed.message.clone()));
        record.add_attribute("error.type", failed.error_type.clone());
        record.set_trace_context(context.trace_id(), context.span_id(), Some(context.trace_flags()));
        self.logger.emit(record);
    }

    /// Returns when everything reported so far is acknowledged.
    ///
    /// # Errors
    /// The collector did not take it.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.provider.force_flush()?;
        Ok(self.spans.force_flush()?)
    }

    fn inference(
        &self,
        request_id: &str,
        time_ns: i64,
        version: &str,
        latency_ms: f64,
        severity: Severity,
    ) -> <SdkLogger as opentelemetry::logs::Logger>::LogRecord {
        let mut record = self.logger.create_log_record();
        record.set_event_name("ml.inference");
        record.set_timestamp(time_of(time_ns));
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.add_attribute("ml.model.name", MODEL);
        record.add_attribute("ml.model.version", version.to_owned());
        record.add_attribute("ml.request.id", request_id.to_owned());
        record.add_attribute("ml.latency_ms", latency_ms);
        record
    }
}

fn time_of(time_ns: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(time_ns.unsigned_abs())
}
