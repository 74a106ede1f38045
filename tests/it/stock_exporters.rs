//! The stock exporters of Python, Node.js and Rust send logs, spans and metrics by every protocol that they have, and no
//! record is missing.

use std::path::Path;
use std::process::Command;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::support::engine::StandaloneEngine;
use crate::support::eventually;
use crate::support::packages::{node, python};
use crate::support::product::{Product, engine_is_there};

const RECORDS: u64 = 1_000;
/// Attribute sets of the counter.
const POINTS: u64 = 100;
const BATCH: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_of_a_stock_exporter_is_missing() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let (http, grpc) = (format!("http://{}", product.otlp_http), format!("http://{}", product.otlp_grpc));
    let services = tokio::task::spawn_blocking(move || send_all(&http, &grpc)).await.unwrap();
    eventually("the log is drained", async || {
        product.get("/status").await.filter(|status| status["drain"]["backlog_bytes"] == 0)
    })
    .await;
    product.stop().await;
    let engine = StandaloneEngine::start_on(&product.data().join("engine"));
    let clickhouse = engine.connect();
    for service in services {
        let read = async |sql: &str| {
            clickhouse
                .writer()
                .query(sql)
                .bind(&service)
                .fetch_one::<(u64, u64)>()
                .await
                .unwrap()
        };
        let logs = read("SELECT count(), uniqExact(LogAttributes['n']) FROM otel_logs WHERE ServiceName = ?").await;
        let spans =
            read("SELECT countIf(length(Events.Name) = 1), uniqExact(SpanAttributes['n']) FROM otel_traces WHERE ServiceName = ?").await;
        let sums = read("SELECT count(), toUInt64(sum(Value)) FROM otel_metrics_sum WHERE ServiceName = ?").await;
        let histograms = read("SELECT count(), sum(Count) FROM otel_metrics_histogram WHERE ServiceName = ?").await;
        assert_eq!(
            (logs, spans, sums, histograms),
            ((RECORDS, RECORDS), (RECORDS, RECORDS), (POINTS, RECORDS), (1, RECORDS)),
            "{service}: rows and what is in them, of logs, spans, sums and histograms"
        );
    }
}

/// Sends by each SDK and protocol; the names of the services.
fn send_all(http: &str, grpc: &str) -> Vec<String> {
    let (python, node) = (python(), node("tests/exporters/node", "send.mjs"));
    let python_program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exporters/python/send.py");
    let mut services = Vec::new();
    for (protocol, endpoint, compression) in [("grpc", grpc, "gzip"), ("http/protobuf", http, "gzip"), ("http/json", http, "none")] {
        let mut programs = vec![("node", Command::new("node"))];
        programs[0].1.arg(&node);
        // The SDK of Python has no JSON.
        if protocol != "http/json" {
            let mut program = Command::new(&python);
            program.arg(&python_program);
            programs.push(("python", program));
        }
        for (sdk, mut program) in programs {
            program
                .args([protocol, &RECORDS.to_string()])
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
            assert!(program.status().unwrap().success(), "{program:?}");
            services.push(format!("{sdk} {protocol}"));
        }
        services.push(rust(protocol, endpoint));
    }
    services
}

fn rust(protocol: &str, endpoint: &str) -> String {
    let service = format!("rust {protocol}");
    let resource = Resource::builder().with_service_name(service.clone()).build();
    let (logs, spans, metrics) = match protocol {
        "grpc" => (
            LogExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap(),
            SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap(),
            MetricExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap(),
        ),
        http => {
            let protocol = if http == "http/json" {
                Protocol::HttpJson
            } else {
                Protocol::HttpBinary
            };
            let at = |signal: &str| format!("{endpoint}/v1/{signal}");
            (
                LogExporter::builder()
                    .with_http()
                    .with_protocol(protocol)
                    .with_endpoint(at("logs"))
                    .build()
                    .unwrap(),
                SpanExporter::builder()
                    .with_http()
                    .with_protocol(protocol)
                    .with_endpoint(at("traces"))
                    .build()
                    .unwrap(),
                MetricExporter::builder()
                    .with_http()
                    .with_protocol(protocol)
                    .with_endpoint(at("metrics"))
                    .build()
                    .unwrap(),
            )
        }
    };
    let logs = SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(logs)
        .build();
    let spans = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(spans)
        .build();
    let metrics = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_periodic_exporter(metrics)
        .build();
    let (logger, tracer, meter) = (logs.logger("t"), spans.tracer("t"), metrics.meter("t"));
    let counter = meter.u64_counter("requests").build();
    let histogram = meter.u64_histogram("latency").build();
    for n in 0..RECORDS {
        let value = n as i64;
        let mut record = logger.create_log_record();
        record.set_body(AnyValue::String(format!("record {n}").into()));
        record.add_attribute(Key::new("n"), value);
        record.add_attribute(Key::new("text"), "ключ 🔑");
        logger.emit(record);
        let mut span = tracer.start("request");
        span.set_attribute(KeyValue::new("n", value));
        span.add_event("half way", vec![KeyValue::new("n", value)]);
        span.end();
        counter.add(1, &[KeyValue::new("n", value % POINTS as i64)]);
        histogram.record(n, &[]);
        if n % BATCH == BATCH - 1 {
            logs.force_flush().unwrap();
            spans.force_flush().unwrap();
        }
    }
    logs.shutdown().unwrap();
    spans.shutdown().unwrap();
    metrics.shutdown().unwrap();
    service
}
