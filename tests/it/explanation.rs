//! Why traffic moved, from OTLP and labels to the part of the traffic that carries it, told by the API and by the alert.

use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use serde_json::{Value, json};

use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, text};
use crate::support::product::{Product, engine_is_there};
use crate::support::{eventually, eventually_within};

const HOUR_NS: u64 = 3_600_000_000_000;
/// Inferences of an hour.
const N: u64 = 6_000;
const CONFIGURATION: &str = r#"
[quality]
recompute_interval = "1s"

[[models]]
name = "loans"
positive_class = "yes"
label_delay = "0s"
"#;
const RULES: &str = r#"
[[rules]]
name = "moved"
signal = "feature_shift"
window = "1h"
above = 0.03
severity = "warning"
why = "More than 3 % moved."
"#;

fn hours_ago(hours: u64) -> u64 {
    now_ns() / HOUR_NS * HOUR_NS - hours * HOUR_NS
}

/// Of the window four of five inferences of free plans in the north are of old people; otherwise two of a hundred are.
fn is_old(i: u64, has_moved: bool) -> bool {
    let is_free_north = i.is_multiple_of(3) && (i / 3).is_multiple_of(4);
    (has_moved && is_free_north && !(i / 12).is_multiple_of(5)) || i % 50 == 7
}

/// An hour of traffic; the model is less sure of old people.
async fn send_hour(product: &Product, hours: u64, has_moved: bool) {
    let record = |i: u64| {
        let is_old = is_old(i, has_moved);
        let more = vec![
            number("ml.feature.age", if is_old { 70.0 } else { 20.0 + (i / 12 % 10) as f64 }),
            text("ml.feature.plan", ["free", "basic", "pro"][(i % 3) as usize]),
            text("ml.feature.region", ["north", "south", "east", "west"][(i / 3 % 4) as usize]),
            number("ml.feature.noise", (i.wrapping_mul(2_654_435_761) % 1_000) as f64),
            text("ml.prediction.label", "yes"),
            number("ml.prediction.score", if is_old { 0.6 } else { 0.9 }),
        ];
        inference("loans", "1", &format!("{hours}-{i}"), hours_ago(hours) + i * 500_000_000, more)
    };
    let status = post_logs(&product.client, &product.otlp_http, &logs_request((0..N).map(record).collect())).await;
    assert_eq!(status, Some(200));
}

/// Scores mean what they say, but for old people once there are more of them.
async fn label_hour(product: &Product, hours: u64, has_moved: bool) {
    let label = |i: u64| {
        let hundredth = (i.wrapping_mul(2_654_435_761) >> 16) % 100;
        let is_right = hundredth
            < if !is_old(i, has_moved) {
                90
            } else if has_moved {
                30
            } else {
                60
            };
        json!({"model": "loans", "request_id": format!("{hours}-{i}"), "kind": "label", "label": if is_right { "yes" } else { "no" }})
    };
    let (status, answer) = product.post("/outcomes", &(0..N).map(label).collect()).await;
    assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
}

#[tokio::test]
async fn the_part_of_the_traffic_that_carries_a_shift_is_named_by_the_api_and_the_alert_also_after_a_crash() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let mut product = Product::start(&format!("{CONFIGURATION}\n[rules]\npaths = [{:?}]\n", rules.to_str().unwrap())).await;
    send_hour(&product, 3, false).await;
    label_hour(&product, 3, false).await;
    eventually("the labels are known", async || {
        let path = "/models/loans/signals?name=accuracy&window=1h&from=2020-01-01";
        let signals = product.get(path).await?;
        (signals["signals"][0]["points"][0]["n"] == N).then_some(())
    })
    .await;
    send_hour(&product, 2, true).await;
    product.kill();
    product.start_again().await;
    // Windows end with what comes after them.
    let now = inference("loans", "1", "now", now_ns(), vec![number("ml.feature.age", 20.0)]);
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(vec![now])).await;
    assert_eq!(status, Some(200));

    let window = format!("from={}&to={}", instant(hours_ago(2)), instant(hours_ago(1)));
    let path = format!("/models/loans/drift/explanation?feature=age&{window}");
    let explanation = eventually_within(Duration::from_secs(90), "it is explained", async || {
        let explanation = product.get(&path).await?;
        // All minutes of both hours are profiled: two of a hundred were old, and those of the shift are.
        let grew = &explanation["explained"]["grew"][0];
        (explanation["sampled"]["n"] == N && grew["reference"] == 120 && grew["current"] == 520).then_some(explanation)
    })
    .await;
    let explained = &explanation["explained"];
    let slice = &explained["slices"]["found"][0];
    let mut conditions: Vec<(String, String)> = slice["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|of| (of["feature"].to_string(), of["value"].to_string()))
        .collect();
    conditions.sort();
    let named = |feature: &str, value: &str| (format!("{feature:?}"), format!("{value:?}"));
    assert_eq!(conditions, [named("plan", "free"), named("region", "north")], "{explained}");
    let of = |value: &Value| value.as_f64().unwrap();
    assert!((of(&slice["current_share"]) - 1.0 / 12.0).abs() < 0.01, "{slice}");
    assert!((of(&slice["carried"]) - 1.0).abs() < 0.1, "{slice}");
    assert!(
        of(&slice["reference_grown"]) < 0.05 && (of(&slice["current_grown"]) - 0.8).abs() < 0.05,
        "{slice}"
    );
    assert_eq!(explained["grew"][0]["value"], "70", "{explained}");
    // 6.5 % of the traffic is now right with 0.6 instead of 0.9.
    let effect = &explained["effect"];
    assert!((of(&effect["value"]) + 0.065 * 0.3).abs() < 0.008, "{effect}");
    assert!(
        of(&effect["lower"]) < of(&effect["value"]) && of(&effect["upper"]) < 0.0,
        "{effect}"
    );
    assert_eq!(explanation["importance"]["source"], "domain_classifier", "{explanation}");
    assert_eq!(explanation["features"][0]["feature"], "age", "{explanation}");
    assert_eq!(product.get(&path).await.unwrap(), explanation, "asked again it is the same");

    let because = eventually_within(Duration::from_secs(120), "the alert names it", async || {
        let alerts = product.get("/alerts").await?;
        let fired = alerts["alerts"].as_array()?.iter().find(|alert| alert["subject"] == "age")?;
        let detail = product.get(&format!("/alerts/{}", fired["id"].as_str()?)).await?;
        let text = detail.to_string();
        text.contains("carried by").then_some(text)
    })
    .await;
    assert!(because.contains("plan = free") && because.contains("region = north"), "{because}");

    the_worst_features_are_asked_for(&product).await;
    labels_bear_the_alert_out(&product).await;
    what_a_deployment_says_counts(&product, &path).await;
    let nothing = product.url(&format!("/models/loans/drift/explanation?feature=nothing&{window}"));
    let status = product.client.get(nothing).send().await.unwrap().status().as_u16();
    assert_eq!(status, 422);
    product.stop().await;
}

async fn the_worst_features_are_asked_for(product: &Product) {
    let path = "/models/loans/signals?name=feature_shift&window=1h&from=2020-01-01&subjects=1";
    let signals = product.get(path).await.unwrap();
    assert_eq!(
        (&signals["signals"][0]["subject"], &signals["all_subjects"]),
        (&json!("age"), &json!(4)),
        "{signals}"
    );
    assert_eq!(signals["signals"].as_array().map(Vec::len), Some(1), "{signals}");
}

async fn labels_bear_the_alert_out(product: &Product) {
    let path = "/models/loans/drift/alerts";
    let before = product.get(path).await.unwrap();
    assert_eq!((&before["borne_out"], &before["not_borne_out"]), (&json!(0), &json!(0)), "{before}");
    assert_eq!(before["false_alerts_per_month"], 1.0);
    label_hour(product, 2, true).await;
    let after = eventually_within(Duration::from_secs(60), "labels bear it out", async || {
        let alerts = product.get(path).await?;
        (alerts["borne_out"] != 0).then_some(alerts)
    })
    .await;
    let first = &after["features"][0];
    // Yes is always said: recall is 1, precision the share that is right, which fell from 0.894 to 0.848.
    let f1 = |precision: f64| 2.0 * precision / (1.0 + precision);
    let lost = (f1(0.894) - f1(0.848)) / f1(0.894);
    assert_eq!((&first["feature"], &first["borne_out"]), (&json!("age"), &json!(1)), "{after}");
    assert!((first["proven_loss"].as_f64().unwrap() - lost).abs() < 0.001, "{after}");
}

async fn what_a_deployment_says_counts(product: &Product, path: &str) {
    let deployment = |importance: Value| json!({"model": "loans", "version": "1", "environment": "production", "event": "live", "importance": importance});
    let (status, answer) = product.post("/deployments", &deployment(json!({"age": -1}))).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("importance of \"age\""), "{answer}");
    let (status, answer) = product.post("/deployments", &deployment(json!({"age": 1, "noise": 3}))).await;
    assert_eq!(status, 201, "{answer}");
    let explanation = product.get(path).await.unwrap();
    assert_eq!(explanation["importance"]["source"], "deployment");
    let shares = explanation["features"].as_array().unwrap().iter();
    let shares: Vec<(&str, f64)> = shares
        .filter_map(|feature| Some((feature["feature"].as_str()?, feature["importance"].as_f64()?)))
        .filter(|(_, share)| *share > 0.0)
        .collect();
    assert_eq!(shares, [("age", 0.25), ("noise", 0.75)]);
}

fn instant(nanoseconds: u64) -> String {
    UnixNanos(i64::try_from(nanoseconds).unwrap()).to_string()
}
