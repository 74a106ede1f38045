//! Everything that a record says is in its row.

use std::sync::Arc;

use driftlead_store::clickhouse::insert::{Attempt, insert_batch};
use driftlead_store::clickhouse::{ClickHouse, TableRows, migrate};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{
    Exemplar, ExponentialHistogram, Gauge, Half, Histogram, InferenceHalf, JoinedInference, LogRecord, MetricPoint, MetricPoints, Outcome,
    OutcomeKind, Resource, Scope, SpanEvent, SpanLink, SpanRecord, Sum, Summary,
};
use serde_json::{Value, json};

use crate::support::engine::StandaloneEngine;
use crate::support::otlp::now_ns;
use crate::support::product::engine_is_there;

/// The rows of a table without the columns that others make.
async fn rows(clickhouse: &ClickHouse, table: &str) -> Vec<Value> {
    let sql = format!(
        "SELECT * FROM {table} ORDER BY ALL SETTINGS date_time_output_format = 'unix_timestamp', \
         output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 1"
    );
    let mut answer = clickhouse.writer().query(&sql).fetch_bytes("JSONEachRow").unwrap();
    let bytes = answer.collect().await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Fails where the row lacks one of these columns or holds something else in it.
fn assert_holds(row: &Value, expected: &Value) {
    for (column, value) in expected.as_object().unwrap() {
        assert_eq!(&row[column], value, "{column} of {row}");
    }
}

fn pairs(texts: &[(&str, &str)]) -> Vec<(String, String)> {
    texts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn point<V>(at: UnixNanos, value: V) -> MetricPoint<V> {
    MetricPoint {
        resource: resource(),
        scope: scope(),
        name: "m".into(),
        description: "What it is.".into(),
        unit: "By".into(),
        attributes: pairs(&[("a", "1")]),
        start_time: at.plus_seconds(-60),
        time: at,
        flags: 1,
        exemplars: vec![Exemplar {
            filtered_attributes: pairs(&[("f", "2")]),
            time: at,
            value: 0.5,
            span_id: "00000000000000b7".into(),
            trace_id: "000000000000000000000000000000a1".into(),
        }],
        value,
    }
}

fn resource() -> Arc<Resource> {
    Arc::new(Resource {
        service_name: "service".into(),
        schema_url: "https://r".into(),
        attributes: pairs(&[("service.name", "service"), ("пусто", "")]),
    })
}

fn scope() -> Arc<Scope> {
    Arc::new(Scope {
        name: "scope".into(),
        version: "2".into(),
        schema_url: "https://s".into(),
        attributes: pairs(&[("s", "1")]),
        dropped_attributes_count: 3,
    })
}

fn batch(at: UnixNanos) -> TableRows {
    let log = LogRecord {
        resource: resource(),
        scope: scope(),
        timestamp: at,
        trace_id: "000000000000000000000000000000a1".into(),
        span_id: "00000000000000b7".into(),
        trace_flags: 1,
        severity_text: "ERROR".into(),
        severity_number: 17,
        body: "тело \u{0} \"quoted\"".into(),
        event_name: "event".into(),
        attributes: pairs(&[("k", "v"), ("k2", "")]),
    };
    let span = SpanRecord {
        resource: resource(),
        scope: scope(),
        timestamp: at,
        trace_id: "000000000000000000000000000000a1".into(),
        span_id: "00000000000000b7".into(),
        parent_span_id: "00000000000000b6".into(),
        trace_state: "x=1".into(),
        name: "GET /".into(),
        kind: "Server",
        duration_ns: 1_500,
        status_code: "Error",
        status_message: "broken".into(),
        attributes: pairs(&[("http.route", "/")]),
        events: ["first", "second"]
            .map(|name| SpanEvent {
                timestamp: at,
                name: name.into(),
                attributes: pairs(&[("e", name)]),
            })
            .to_vec(),
        links: vec![SpanLink {
            trace_id: "000000000000000000000000000000c1".into(),
            span_id: "00000000000000c7".into(),
            trace_state: "y=2".into(),
            attributes: Vec::new(),
        }],
    };
    let metrics = MetricPoints {
        gauges: vec![point(at, Gauge { value: f64::NAN })],
        sums: vec![point(
            at,
            Sum {
                value: 2.5,
                aggregation_temporality: 2,
                is_monotonic: true,
            },
        )],
        histograms: vec![point(
            at,
            Histogram {
                count: 3,
                sum: 4.5,
                bucket_counts: vec![1, 2],
                explicit_bounds: vec![0.5],
                min: 0.25,
                max: 9.0,
                aggregation_temporality: 1,
            },
        )],
        exponential_histograms: vec![point(
            at,
            ExponentialHistogram {
                count: 6,
                sum: 1.0,
                scale: -1,
                zero_count: 1,
                positive_offset: -2,
                positive_bucket_counts: vec![1, 0, 2],
                negative_offset: 4,
                negative_bucket_counts: vec![2],
                min: -1.0,
                max: 2.0,
                aggregation_temporality: 2,
            },
        )],
        summaries: vec![point(
            at,
            Summary {
                count: 7,
                sum: 8.0,
                quantiles: vec![(0.5, 1.0), (0.99, 3.0)],
            },
        )],
    };
    let mut half = InferenceHalf::new(Half::Log, "model", "request", at, at.plus_seconds(1));
    half.version = Some("1.0".into());
    half.prediction_score = Some(0.75);
    half.numeric_features = [("age".to_owned(), 44.0), ("inf".to_owned(), f64::INFINITY)].into();
    half.categorical_features = [("класс".to_owned(), "б".to_owned())].into();
    half.scores = [("0".to_owned(), 0.25)].into();
    half.input_length = Some(12);
    half.embedding = vec![0.5, -1.0];
    half.embedding_created_at = Some(at);
    let mut span_half = InferenceHalf::new(Half::Span, "model", "request", at.plus_seconds(-1), at);
    span_half.version = Some("0.9".into());
    span_half.latency_ms = Some(12.5);
    span_half.numeric_features = [("age".to_owned(), 1.0), ("tokens".to_owned(), 3.0)].into();
    let outcome = |kind, id: &str| Outcome {
        model: "model".into(),
        request_id: "request".into(),
        kind,
        id: id.into(),
        at,
        received_time: at,
    };
    TableRows {
        logs: vec![log],
        spans: vec![span],
        metrics,
        inferences: vec![JoinedInference {
            key_hour: at.floor_to(3_600).seconds(),
            partial: false,
            superseded: false,
            log: Some(half),
            span: Some(span_half),
        }],
        outcomes: vec![
            outcome(OutcomeKind::Conversion(9.5), "c"),
            outcome(OutcomeKind::Label("1".into()), "l"),
            outcome(OutcomeKind::Verdict(false), "v"),
        ],
    }
}

#[tokio::test]
async fn everything_that_a_record_says_is_in_its_row() {
    if !engine_is_there() {
        return;
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let engine = StandaloneEngine::start();
    let clickhouse = engine.connect();
    migrate::migrate(&clickhouse).await.unwrap();
    let at = UnixNanos(now_ns() as i64 / 1_000_000_000 * 1_000_000_000 + 123_456_789);
    insert_batch(&clickhouse, &batch(at), "1.0-1.9/all/20717", Attempt::First)
        .await
        .unwrap();

    let instant = |at: UnixNanos| json!(format!("{}.{:09}", at.seconds(), at.0.rem_euclid(1_000_000_000)));
    let [now, earlier] = [instant(at), instant(at.plus_seconds(-1))];
    let resource = json!({ "service.name": "service", "пусто": "" });
    let log = rows(&clickhouse, "otel_logs").await;
    assert_holds(
        &log[0],
        &json!({
            "Timestamp": now, "TraceId": "000000000000000000000000000000a1", "SpanId": "00000000000000b7", "TraceFlags": 1,
            "SeverityText": "ERROR", "SeverityNumber": 17, "ServiceName": "service", "Body": "тело \u{0} \"quoted\"",
            "ResourceSchemaUrl": "https://r", "ResourceAttributes": resource, "ScopeSchemaUrl": "https://s", "ScopeName": "scope",
            "ScopeVersion": "2", "ScopeAttributes": { "s": "1" }, "LogAttributes": { "k": "v", "k2": "" }, "EventName": "event",
        }),
    );
    let span = rows(&clickhouse, "otel_traces").await;
    assert_holds(
        &span[0],
        &json!({
            "Timestamp": now, "TraceId": "000000000000000000000000000000a1", "SpanId": "00000000000000b7",
            "ParentSpanId": "00000000000000b6", "TraceState": "x=1", "SpanName": "GET /", "SpanKind": "Server", "ServiceName": "service",
            "ResourceAttributes": resource, "ScopeName": "scope", "ScopeVersion": "2", "SpanAttributes": { "http.route": "/" },
            "Duration": 1_500, "StatusCode": "Error", "StatusMessage": "broken", "Events.Timestamp": [now, now],
            "Events.Name": ["first", "second"], "Events.Attributes": [{ "e": "first" }, { "e": "second" }],
            "Links.TraceId": ["000000000000000000000000000000c1"], "Links.SpanId": ["00000000000000c7"], "Links.TraceState": ["y=2"],
            "Links.Attributes": [{}],
        }),
    );
    let point = json!({
        "ResourceAttributes": resource, "ResourceSchemaUrl": "https://r", "ScopeName": "scope", "ScopeVersion": "2",
        "ScopeAttributes": { "s": "1" }, "ScopeDroppedAttrCount": 3, "ScopeSchemaUrl": "https://s", "ServiceName": "service",
        "MetricName": "m", "MetricDescription": "What it is.", "MetricUnit": "By", "Attributes": { "a": "1" },
        "StartTimeUnix": instant(at.plus_seconds(-60)), "TimeUnix": now, "Flags": 1,
    });
    let exemplar = json!({
        "Exemplars.FilteredAttributes": [{ "f": "2" }], "Exemplars.TimeUnix": [now], "Exemplars.Value": [0.5],
        "Exemplars.SpanId": ["00000000000000b7"], "Exemplars.TraceId": ["000000000000000000000000000000a1"],
    });
    for (table, value) in [
        ("otel_metrics_gauge", json!({ "Value": "nan" })),
        (
            "otel_metrics_sum",
            json!({ "Value": 2.5, "AggregationTemporality": 2, "IsMonotonic": true }),
        ),
        (
            "otel_metrics_histogram",
            json!({ "Count": 3, "Sum": 4.5, "BucketCounts": [1, 2], "ExplicitBounds": [0.5], "Min": 0.25, "Max": 9.0, "AggregationTemporality": 1 }),
        ),
        (
            "otel_metrics_exponential_histogram",
            json!({
                "Count": 6, "Sum": 1.0, "Scale": -1, "ZeroCount": 1, "PositiveOffset": -2, "PositiveBucketCounts": [1, 0, 2],
                "NegativeOffset": 4, "NegativeBucketCounts": [2], "Min": -1.0, "Max": 2.0, "AggregationTemporality": 2,
            }),
        ),
        (
            "otel_metrics_summary",
            json!({ "Count": 7, "Sum": 8.0, "ValueAtQuantiles.Quantile": [0.5, 0.99], "ValueAtQuantiles.Value": [1.0, 3.0] }),
        ),
    ] {
        let found = rows(&clickhouse, table).await;
        assert_eq!(found.len(), 1, "{table}");
        assert_numbers_hold(&found[0], &value);
        assert_holds(&found[0], &point);
        if table != "otel_metrics_summary" {
            assert_holds(&found[0], &exemplar);
        }
    }
    let inference = rows(&clickhouse, "inferences").await;
    assert_numbers_hold(
        &inference[0],
        &json!({
            "model": "model", "key_hour": at.floor_to(3_600).seconds().to_string(), "request_id": "request", "event_time": earlier, "received_time": now,
            "partial": 0, "superseded": 0, "has_log": 1, "has_span": 1, "log_version": "1.0", "span_version": "0.9", "log_arm": null,
            "log_prediction_score": 0.75, "span_prediction_score": null, "log_latency_ms": null, "span_latency_ms": 12.5,
            "session_id": null, "input_text": null, "input_length": 12, "embedding": [0.5, -1.0], "embedding_created_at": now,
            "scores": { "0": 0.25 }, "numeric_features": { "age": 44.0, "inf": "inf", "tokens": 3.0 },
            "categorical_features": { "класс": "б" },
        }),
    );
    let outcomes = rows(&clickhouse, "outcomes").await;
    for (row, (kind, id, label, verdict, conversion)) in outcomes.iter().zip([
        ("conversion", "c", json!(null), json!(null), json!(9.5)),
        ("label", "l", json!("1"), json!(null), json!(null)),
        ("verdict", "v", json!(null), json!(0), json!(null)),
    ]) {
        let names = json!({ "model": "model", "request_id": "request", "kind": kind, "id": id, "at": now, "received_time": now });
        assert_holds(row, &names);
        assert_holds(row, &json!({ "label": label, "verdict": verdict, "conversion": conversion }));
    }
    assert_eq!(outcomes.len(), 3);
}

/// As [`assert_holds`], where `4` and `4.0` are one number.
fn assert_numbers_hold(row: &Value, expected: &Value) {
    fn normal(value: &Value) -> Value {
        match value {
            Value::Number(number) => json!(number.as_f64()),
            Value::Array(values) => values.iter().map(normal).collect(),
            Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), normal(value))).collect(),
            other => other.clone(),
        }
    }
    for (column, value) in expected.as_object().unwrap() {
        assert_eq!(normal(&row[column]), normal(value), "{column} of {row}");
    }
}
