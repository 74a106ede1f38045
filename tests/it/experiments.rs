//! Experiments, from OTLP and outcomes to signals: traffic that is not split as it is meant to be, and what an arm converts more.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};

use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};
use crate::support::{eventually, eventually_within};

const HOUR_NS: u64 = 3_600_000_000_000;
const CONFIGURATION: &str = r#"
[quality]
recompute_interval = "1s"

[[models]]
name = "shop"
label_delay = "0s"
experiment = { control = "old", shares = { old = 0.8, new = 0.2 } }
"#;

/// The start of the hour so many hours before the one in which the tests began, in Unix nanoseconds.
fn start_of(hours: u64) -> u64 {
    static THIS_HOUR: LazyLock<u64> = LazyLock::new(|| now_ns() / HOUR_NS * HOUR_NS);
    *THIS_HOUR - hours * HOUR_NS
}

async fn send(product: &Product, records: Vec<LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

/// Sessions of two inferences each; the first `old` of them are of the arm old, the others of new.
async fn send_hour(product: &Product, hours: u64, sessions: u64, old: u64) {
    let start = start_of(hours);
    let record = |i: u64| {
        let session = i / 2;
        let more = vec![
            text("ml.arm", if session < old { "old" } else { "new" }),
            text("session.id", &format!("{hours}-{session}")),
            number("ml.feature.basket", (i % 7) as f64),
        ];
        inference("shop", "1", &format!("{hours}-{i}"), start + i * 1_000_000_000, more)
    };
    send(product, (0..2 * sessions).map(record).collect()).await;
}

/// The newest point of a signal that is computed from `n`.
async fn point(product: &Product, name: &str, n: u64) -> Option<Value> {
    let signals = product
        .get(&format!("/models/shop/signals?name={name}&window=1h&from=2020-01-01"))
        .await?;
    let series = signals["signals"].as_array()?.iter();
    let mut points = series.flat_map(|series| series["points"].as_array().unwrap().clone());
    points.rfind(|point| point["n"] == n && point["value"].is_number())
}

fn of(point: &Value, name: &str) -> f64 {
    point[name].as_f64().unwrap_or_else(|| panic!("{name} in {point}"))
}

#[tokio::test]
async fn a_wrong_split_and_a_better_arm_are_told_also_after_a_crash() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start(CONFIGURATION).await;
    send_hour(&product, 3, 1_000, 803).await;
    send_hour(&product, 2, 1_100, 700).await;
    // One session is in both arms: it is in neither.
    let both = |arm: &str, i: u64| {
        let more = vec![text("ml.arm", arm), text("session.id", "both")];
        let at = start_of(2) + i;
        inference("shop", "1", &format!("both-{i}"), at, more)
    };
    send(&product, vec![both("old", 1), both("new", 2)]).await;
    send(
        &product,
        vec![inference("shop", "1", "now", now_ns(), vec![number("ml.feature.basket", 1.0)])],
    )
    .await;

    let is_there = |name: &'static str, n: u64| {
        let product = &product;
        let what = format!("{name} of {n} units");
        async move { eventually_within(Duration::from_secs(150), &what, async || point(product, name, n).await).await }
    };
    let right = is_there("sample_ratio_mismatch", 1_000).await;
    assert!((of(&right, "value") - 0.003).abs() < 1e-9 && of(&right, "lower") == 0.0, "{right}");
    let wrong = is_there("sample_ratio_mismatch", 1_100).await;
    assert!(
        (of(&wrong, "value") - (0.8 - 7.0 / 11.0)).abs() < 1e-9 && of(&wrong, "lower") > 0.1,
        "{wrong}"
    );

    // Of the second hour 10 % of the sessions of old convert and 15 % of new, some of them twice. The values of those that do not are 0.
    let conversion = |i: u64| {
        let session = i / 2;
        let converts = if session < 700 {
            session.is_multiple_of(10)
        } else {
            session % 20 < 3
        };
        json!({"model": "shop", "request_id": format!("2-{i}"), "kind": "conversion", "value": if converts { 9.5 } else { 0.0 }})
    };
    let (status, answer) = product.post("/outcomes", &Value::Array((0..2_200).map(conversion).collect())).await;
    assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
    let lift = eventually("the lift is there", async || point(&product, "conversion_lift", 400).await).await;
    assert!((of(&lift, "value") - 0.5).abs() < 1e-9, "{lift}");
    assert!(
        of(&lift, "lower") < 0.5 && of(&lift, "upper") > 0.5 && of(&lift, "lower") > -0.2,
        "{lift}"
    );

    product.kill();
    product.start_again().await;
    let again = eventually("the engine answers again", async || point(&product, "conversion_lift", 400).await).await;
    assert_eq!(again["value"], lift["value"]);
    product.stop().await;
}
