//! What a GPU's exporter says on its page becomes signals, and an alert where it is hot or slowed down by it.

use axum::Router;
use axum::routing::get;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::support::eventually;
use crate::support::otlp::{now_ns, text};
use crate::support::product::{Product, engine_is_there};

const PAGE: &str = r#"# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100",Hostname="n1"} 91
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-2",device="nvidia1",modelName="NVIDIA H100",Hostname="n1"} 60
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",Hostname="n1"} 97
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",Hostname="n1"} 60000
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",Hostname="n1"} 20000
"#;

const RULES: &str = r#"
[[rules]]
name = "gpu-hot"
signal = "gpu_temperature_c"
above = "85°C"
for = "0s"
severity = "warning"
actions = ["notify"]
why = "The GPU is hot."

[[rules]]
name = "gpu-full"
signal = "gpu_memory_used_ratio"
above = "70%"
for = "0s"
severity = "info"
actions = ["notify"]
why = "The GPU's memory is nearly used up."
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_gpu_is_told_of() {
    if !engine_is_there() {
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/metrics", get(async || PAGE));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let configuration = format!(
        "[[scrape]]\nurl = \"http://{address}/metrics\"\nservice = \"dcgm\"\nenvironment = \"production\"\ninterval = \"1s\"\n\
         [rules]\npaths = [{:?}]\n",
        rules.to_str().unwrap()
    );
    let product = Product::start(&configuration).await;
    let firing = eventually("both rules fire", async || {
        let alerts = product.get("/alerts").await?;
        let mut firing: Vec<_> = alerts["alerts"]
            .as_array()?
            .iter()
            .map(|alert| {
                let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
                (
                    text("rule"),
                    text("subject"),
                    text("environment"),
                    alert["value"].as_f64().unwrap_or_default(),
                )
            })
            .collect();
        firing.sort_by(|a, b| a.0.cmp(&b.0));
        (firing.len() == 2).then_some(firing)
    })
    .await;
    let alert = |rule: &str, value| (rule.to_owned(), "n1/0".to_owned(), "production".to_owned(), value);
    assert_eq!(firing, [alert("gpu-full", 0.75), alert("gpu-hot", 91.0)]);
}

const MINUTE_NS: u64 = 60_000_000_000;
const CUMULATIVE: i32 = 2;

/// A GPU and the server on its host over the last 100 minutes: 60 °C and 50 tokens a second, in the last five 80 °C and 40
/// tokens a second. The server was started again in between.
fn a_gpu_that_throttles() -> ExportMetricsServiceRequest {
    let now = now_ns();
    let (mut count, mut sum) = (0, 0.0);
    let (mut temperatures, mut tokens) = (Vec::new(), Vec::new());
    for minutes_ago in (0..100).rev() {
        let (is_warm, time_unix_nano) = (minutes_ago < 5, now - minutes_ago * MINUTE_NS);
        if minutes_ago == 50 {
            (count, sum) = (0, 0.0);
        }
        count += 100;
        sum += if is_warm { 2.5 } else { 2.0 };
        temperatures.push(NumberDataPoint {
            attributes: vec![text("gpu", "0")],
            time_unix_nano,
            value: Some(number_data_point::Value::AsDouble(if is_warm { 80.0 } else { 60.0 })),
            ..NumberDataPoint::default()
        });
        tokens.push(HistogramDataPoint {
            time_unix_nano,
            count,
            sum: Some(sum),
            bucket_counts: vec![count],
            ..HistogramDataPoint::default()
        });
    }
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let metrics = vec![
        metric("DCGM_FI_DEV_GPU_TEMP", Data::Gauge(Gauge { data_points: temperatures })),
        metric(
            "gen_ai.server.time_per_output_token",
            Data::Histogram(Histogram {
                data_points: tokens,
                aggregation_temporality: CUMULATIVE,
            }),
        ),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![text("service.name", "llm"), text("host.name", "n1")],
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

const THROTTLE_RULE: &str = r#"
[[rules]]
name = "gpu-throttles"
signal = "gpu_throttle_loss"
above = "15%"
for = "0s"
severity = "warning"
actions = ["notify"]
why = "The GPU is slowed down by its heat."
"#;

/// 20 °C more would be taken for a loss of 14 %; its own tokens say 20 %.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_heat_costs_is_learnt_from_the_tokens() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, THROTTLE_RULE).unwrap();
    let product = Product::start(&format!("[rules]\npaths = [{:?}]\n", rules.to_str().unwrap())).await;
    let sent = product
        .client
        .post(format!("http://{}/v1/metrics", product.otlp_http))
        .header("content-type", "application/x-protobuf")
        .body(a_gpu_that_throttles().encode_to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    let alert = eventually("the rule fires", async || {
        let alerts = product.get("/alerts").await?;
        alerts["alerts"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!((&alert["rule"], &alert["subject"]), (&"gpu-throttles".into(), &"n1/0".into()));
    let loss = alert["value"].as_f64().unwrap();
    assert!((loss - 0.2).abs() < 1e-9, "{alert}");
}
