//! Requests that tests are made of: one of each signal with every field set, and builders for small ones.

use bytes::Bytes;
use driftlead_store::clock::UnixNanos;
use driftlead_store::drain::Decode;
use driftlead_store::records::{Decoded, FoundErrors};
use driftlead_store::wal::{Frame, Position};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use crate::decode::Decoder;
use crate::signal::Signal;

pub(crate) const NOW: UnixNanos = UnixNanos(1_760_000_000_000_000_000);
pub(crate) const TRACE_ID: [u8; 16] = [0xA1; 16];
pub(crate) const SPAN_ID: [u8; 8] = [0xB2; 8];

pub(crate) fn frame(signal: Signal, payload: Vec<u8>) -> Frame {
    Frame {
        position: Position { segment: 3, offset: 512 },
        end: Position { segment: 3, offset: 1024 },
        kind: signal.frame_kind(),
        received_time: NOW,
        key_id: String::new(),
        payload: Bytes::from(payload),
    }
}

pub(crate) fn decode(signal: Signal, payload: Vec<u8>) -> Decoded {
    Decoder::default().decode(&frame(signal, payload))
}

pub(crate) fn errors(signal: Signal, payload: Vec<u8>) -> FoundErrors {
    Decoder::default().errors(&frame(signal, payload))
}

pub(crate) fn nanos_ago(seconds: i64) -> u64 {
    NOW.plus_seconds(-seconds).0 as u64
}

pub(crate) fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

pub(crate) fn int(value: i64) -> Value {
    Value::IntValue(value)
}

pub(crate) fn double(value: f64) -> Value {
    Value::DoubleValue(value)
}

pub(crate) fn array(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue {
        values: values.into_iter().map(|value| AnyValue { value: Some(value) }).collect(),
    })
}

pub(crate) fn map(values: Vec<(&str, Value)>) -> Value {
    Value::KvlistValue(KeyValueList {
        values: attributes(values),
    })
}

pub(crate) fn attributes(pairs: Vec<(&str, Value)>) -> Vec<KeyValue> {
    pairs
        .into_iter()
        .map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        })
        .collect()
}

pub(crate) fn resource(pairs: Vec<(&str, Value)>) -> Option<Resource> {
    Some(Resource {
        attributes: attributes(pairs),
        ..Resource::default()
    })
}

pub(crate) fn logs(resource_attributes: Vec<(&str, Value)>, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(resource_attributes),
            scope_logs: vec![ScopeLogs {
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

pub(crate) fn spans(resource_attributes: Vec<(&str, Value)>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(resource_attributes),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// A log record of a minute ago.
pub(crate) fn log(pairs: Vec<(&str, Value)>) -> LogRecord {
    LogRecord {
        time_unix_nano: nanos_ago(60),
        attributes: attributes(pairs),
        ..LogRecord::default()
    }
}

/// An event of a minute ago.
pub(crate) fn event(name: &str, pairs: Vec<(&str, Value)>) -> LogRecord {
    LogRecord {
        event_name: name.to_owned(),
        ..log(pairs)
    }
}

/// A span of 250 ms that began a minute ago.
pub(crate) fn span(pairs: Vec<(&str, Value)>) -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: SPAN_ID.to_vec(),
        name: "predict".to_owned(),
        kind: 2,
        start_time_unix_nano: nanos_ago(60),
        end_time_unix_nano: nanos_ago(60) + 250_000_000,
        attributes: attributes(pairs),
        ..Span::default()
    }
}

pub(crate) fn decode_log(record: LogRecord) -> Decoded {
    decode(
        Signal::Logs,
        logs(vec![("service.name", text("shop"))], vec![record]).encode_to_vec(),
    )
}

pub(crate) fn decode_span(span: Span) -> Decoded {
    decode(
        Signal::Traces,
        spans(vec![("service.name", text("shop"))], vec![span]).encode_to_vec(),
    )
}

pub(crate) fn errors_of_log(record: LogRecord) -> FoundErrors {
    errors(
        Signal::Logs,
        logs(vec![("service.name", text("shop"))], vec![record]).encode_to_vec(),
    )
}

pub(crate) fn errors_of_span(span: Span) -> FoundErrors {
    errors(
        Signal::Traces,
        spans(vec![("service.name", text("shop"))], vec![span]).encode_to_vec(),
    )
}

fn rich_resource() -> Option<Resource> {
    Some(Resource {
        attributes: attributes(vec![
            ("service.name", text("shop")),
            ("service.version", text("1.2")),
            ("deployment.environment.name", text("production")),
        ]),
        dropped_attributes_count: 1,
        entity_refs: vec![EntityRef {
            schema_url: "entity".to_owned(),
            r#type: "service".to_owned(),
            id_keys: vec!["service.name".to_owned()],
            description_keys: vec!["service.version".to_owned()],
        }],
    })
}

fn rich_scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "scope".to_owned(),
        version: "2".to_owned(),
        attributes: attributes(vec![("scope.kind", text("test"))]),
        dropped_attributes_count: 2,
    })
}

fn rich_values() -> Vec<(&'static str, Value)> {
    vec![
        ("text", text("ß <&>")),
        ("bool", Value::BoolValue(true)),
        ("int", int(i64::MIN)),
        ("double", double(-0.25)),
        ("nan", double(f64::NAN)),
        ("infinite", double(f64::NEG_INFINITY)),
        ("bytes", Value::BytesValue(vec![0, 255, 62])),
        ("array", array(vec![int(1), text("two"), array(vec![]), Value::BoolValue(false)])),
        ("map", map(vec![("inner", map(vec![("deep", int(7))])), ("empty", text(""))])),
    ]
}

/// Logs with every field set.
pub(crate) fn rich_logs() -> ExportLogsServiceRequest {
    let mut pairs = rich_values();
    pairs.extend([
        ("ml.model.name", text("employment")),
        ("ml.request.id", text("r-1")),
        ("ml.prediction.label", text("1")),
        ("ml.prediction.score", double(0.75)),
        ("ml.feature.AGEP", int(44)),
        ("ml.feature.SCHL", text("21")),
        ("ml.feature.gap", double(f64::NAN)),
        ("ml.embedding", array(vec![double(0.5), int(1)])),
        ("error.type", text("Timeout")),
    ]);
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: rich_resource(),
            scope_logs: vec![ScopeLogs {
                scope: rich_scope(),
                log_records: vec![
                    LogRecord {
                        time_unix_nano: nanos_ago(60),
                        observed_time_unix_nano: nanos_ago(59),
                        severity_number: 17,
                        severity_text: "ERROR".to_owned(),
                        body: Some(AnyValue {
                            value: Some(map(rich_values())),
                        }),
                        attributes: attributes(pairs),
                        dropped_attributes_count: 3,
                        flags: 1,
                        trace_id: TRACE_ID.to_vec(),
                        span_id: SPAN_ID.to_vec(),
                        event_name: "ml.inference".to_owned(),
                    },
                    LogRecord {
                        trace_id: vec![1; 3],
                        ..log(vec![])
                    },
                    LogRecord::default(),
                ],
                schema_url: "scope-schema".to_owned(),
            }],
            schema_url: "resource-schema".to_owned(),
        }],
    }
}

/// Traces with every field set.
pub(crate) fn rich_traces() -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: rich_resource(),
            scope_spans: vec![ScopeSpans {
                scope: rich_scope(),
                spans: vec![
                    Span {
                        trace_state: "a=b".to_owned(),
                        parent_span_id: vec![0xC3; 8],
                        flags: 257,
                        dropped_attributes_count: 1,
                        events: vec![Event {
                            time_unix_nano: nanos_ago(59),
                            name: "exception".to_owned(),
                            attributes: attributes(vec![
                                ("exception.type", text("ValueError")),
                                ("exception.message", text("bad row")),
                                ("exception.stacktrace", text("at line 1")),
                            ]),
                            dropped_attributes_count: 1,
                        }],
                        dropped_events_count: 2,
                        links: vec![Link {
                            trace_id: vec![0xD4; 16],
                            span_id: vec![0xE5; 8],
                            trace_state: "c=d".to_owned(),
                            attributes: attributes(vec![("link", int(1))]),
                            dropped_attributes_count: 1,
                            flags: 1,
                        }],
                        dropped_links_count: 3,
                        status: Some(Status {
                            message: "failed".to_owned(),
                            code: 2,
                        }),
                        ..span(
                            rich_values()
                                .into_iter()
                                .chain([("gen_ai.operation.name", text("chat")), ("gen_ai.request.model", text("gpt"))])
                                .collect(),
                        )
                    },
                    Span {
                        span_id: vec![],
                        ..span(vec![])
                    },
                ],
                schema_url: "scope-schema".to_owned(),
            }],
            schema_url: "resource-schema".to_owned(),
        }],
    }
}

fn rich_exemplars() -> Vec<Exemplar> {
    let exemplar = |value| Exemplar {
        filtered_attributes: attributes(vec![("filtered", text("x"))]),
        time_unix_nano: nanos_ago(60),
        span_id: SPAN_ID.to_vec(),
        trace_id: TRACE_ID.to_vec(),
        value: Some(value),
    };
    vec![exemplar(exemplar::Value::AsDouble(1.5)), exemplar(exemplar::Value::AsInt(-3))]
}

/// Metrics of every kind with every field set.
pub(crate) fn rich_metrics() -> ExportMetricsServiceRequest {
    let number_point = |value| NumberDataPoint {
        attributes: attributes(vec![("gpu", int(0))]),
        start_time_unix_nano: nanos_ago(120),
        time_unix_nano: nanos_ago(60),
        exemplars: rich_exemplars(),
        flags: 1,
        value: Some(value),
    };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        description: "described".to_owned(),
        unit: "1".to_owned(),
        metadata: attributes(vec![("meta", text("data"))]),
        data: Some(data),
    };
    let point_attributes = || attributes(vec![("route", text("/"))]);
    let buckets = |offset| {
        Some(Buckets {
            offset,
            bucket_counts: vec![0, 1, u64::MAX],
        })
    };
    let metrics = vec![
        metric(
            "gauge",
            Data::Gauge(Gauge {
                data_points: vec![number_point(number_data_point::Value::AsDouble(f64::INFINITY))],
            }),
        ),
        metric(
            "sum",
            Data::Sum(Sum {
                data_points: vec![number_point(number_data_point::Value::AsInt(-5))],
                aggregation_temporality: 2,
                is_monotonic: true,
            }),
        ),
        metric(
            "histogram",
            Data::Histogram(Histogram {
                data_points: vec![HistogramDataPoint {
                    attributes: point_attributes(),
                    start_time_unix_nano: nanos_ago(120),
                    time_unix_nano: nanos_ago(60),
                    count: 3,
                    sum: Some(4.5),
                    bucket_counts: vec![1, 2],
                    explicit_bounds: vec![0.5],
                    exemplars: rich_exemplars(),
                    flags: 1,
                    min: Some(0.25),
                    max: Some(3.0),
                }],
                aggregation_temporality: 1,
            }),
        ),
        metric(
            "exponential",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![ExponentialHistogramDataPoint {
                    attributes: point_attributes(),
                    start_time_unix_nano: nanos_ago(120),
                    time_unix_nano: nanos_ago(60),
                    count: 3,
                    sum: Some(4.5),
                    scale: -2,
                    zero_count: 1,
                    positive: buckets(-4),
                    negative: buckets(9),
                    flags: 1,
                    exemplars: rich_exemplars(),
                    min: Some(-1.0),
                    max: Some(3.0),
                    zero_threshold: 0.125,
                }],
                aggregation_temporality: 2,
            }),
        ),
        metric(
            "summary",
            Data::Summary(Summary {
                data_points: vec![SummaryDataPoint {
                    attributes: point_attributes(),
                    start_time_unix_nano: nanos_ago(120),
                    time_unix_nano: nanos_ago(60),
                    count: 3,
                    sum: 4.5,
                    quantile_values: vec![
                        ValueAtQuantile { quantile: 0.5, value: 1.5 },
                        ValueAtQuantile {
                            quantile: 1.0,
                            value: f64::NAN,
                        },
                    ],
                    flags: 1,
                }],
            }),
        ),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: rich_resource(),
            scope_metrics: vec![ScopeMetrics {
                scope: rich_scope(),
                metrics,
                schema_url: "scope-schema".to_owned(),
            }],
            schema_url: "resource-schema".to_owned(),
        }],
    }
}

/// The rich request of a signal as protobuf.
pub(crate) fn rich(signal: Signal) -> Vec<u8> {
    match signal {
        Signal::Logs => rich_logs().encode_to_vec(),
        Signal::Traces => rich_traces().encode_to_vec(),
        Signal::Metrics => rich_metrics().encode_to_vec(),
    }
}
