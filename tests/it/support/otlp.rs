//! OTLP requests of inferences, as an exporter sends them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// Nanoseconds since 1970.
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// A text attribute.
pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

/// A numeric attribute.
pub fn number(key: &str, value: f64) -> KeyValue {
    attribute(key, any_value::Value::DoubleValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

/// The attribute of an embedding.
pub fn embedding(vector: impl IntoIterator<Item = f64>) -> KeyValue {
    let values = vector.into_iter().map(|number| AnyValue {
        value: Some(any_value::Value::DoubleValue(number)),
    });
    attribute(
        "ml.embedding",
        any_value::Value::ArrayValue(ArrayValue { values: values.collect() }),
    )
}

/// One inference as a log record, with these attributes beside model, version and request id.
pub fn inference(model: &str, version: &str, request_id: &str, time_ns: u64, mut more: Vec<KeyValue>) -> LogRecord {
    let mut attributes = vec![
        text("ml.model.name", model),
        text("ml.model.version", version),
        text("ml.request.id", request_id),
    ];
    attributes.append(&mut more);
    LogRecord {
        time_unix_nano: time_ns,
        event_name: "ml.inference".to_owned(),
        severity_number: 9,
        attributes,
        ..Default::default()
    }
}

/// A request that holds these records, from the service `test`.
pub fn logs_request(records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = ScopeLogs {
        log_records: records,
        ..Default::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![scope_logs],
            ..Default::default()
        }],
    }
}

/// A request that holds these spans, from the service `test`.
pub fn traces_request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = ScopeSpans {
        spans,
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans: vec![scope_spans],
            ..Default::default()
        }],
    }
}

fn resource() -> Resource {
    Resource {
        attributes: vec![text("service.name", "test"), text("deployment.environment.name", "production")],
        ..Default::default()
    }
}

/// Sends a request over OTLP/HTTP; the status, or `None` when there was no answer.
pub async fn post_logs(client: &reqwest::Client, otlp_http: &str, request: &ExportLogsServiceRequest) -> Option<u16> {
    post(client, &format!("http://{otlp_http}/v1/logs"), request).await
}

/// The same for spans.
pub async fn post_traces(client: &reqwest::Client, otlp_http: &str, request: &ExportTraceServiceRequest) -> Option<u16> {
    post(client, &format!("http://{otlp_http}/v1/traces"), request).await
}

async fn post(client: &reqwest::Client, url: &str, request: &impl Message) -> Option<u16> {
    let response = client
        .post(url)
        .header("content-type", "application/x-protobuf")
        .timeout(Duration::from_secs(20))
        .body(request.encode_to_vec())
        .send()
        .await
        .ok()?;
    Some(response.status().as_u16())
}
