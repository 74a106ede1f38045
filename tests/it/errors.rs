//! Errors as whoever is called at night meets them: what a release brought, what was told beside them, and as they come.

use std::time::Duration;

use futures_util::StreamExt as _;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs, post_traces, text, traces_request};
use crate::support::product::{Product, engine_is_there};

/// A failed inference of the model `spam`.
fn failed(version: &str, number: usize, message: &str) -> LogRecord {
    let id = format!("{version}-{number}");
    LogRecord {
        severity_number: 17,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(message.to_owned())),
        }),
        ..inference("spam", version, &id, now_ns(), vec![text("error.type", "ValueError")])
    }
}

fn served(version: &str, count: usize) -> Vec<LogRecord> {
    (0..count)
        .map(|number| inference("spam", version, &format!("{version}-ok-{number}"), now_ns(), vec![]))
        .collect()
}

async fn send(product: &Product, records: Vec<LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

fn patterns(found: &Value) -> Vec<(String, u64, bool)> {
    let row = |pattern: &Value| {
        (
            pattern["template"].as_str().unwrap_or_default().to_owned(),
            pattern["count"].as_u64().unwrap_or_default(),
            pattern["first_seen"]["is_new_in_version"] == true,
        )
    };
    let mut rows: Vec<_> = found["patterns"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn a_release_that_brings_new_errors_is_told_of_and_a_restart_changes_no_pattern() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let mut before = served("1.0", 40);
    before.extend((0..4).map(|n| failed("1.0", n, &format!("token {n} of request {}{n} is unknown", "x".repeat(n + 1)))));
    send(&product, before).await;
    eventually("the first version is known to serve", async || {
        let models = product.get("/models").await?;
        (models["models"][0]["live"]["version"] == "1.0").then_some(())
    })
    .await;
    let mut release = served("1.1", 60);
    release.extend((0..3).map(|n| failed("1.1", n, &format!("no embedding for user{n} found"))));
    release.push(failed("1.1", 9, "token 7 of request y is unknown"));
    send(&product, release).await;

    let found = eventually("all errors are counted by pattern", async || {
        product
            .get("/search/patterns?q=model:spam")
            .await
            .filter(|found| found["total"] == 8)
    })
    .await;
    assert_eq!(
        patterns(&found),
        [
            ("no embedding for <*> found".to_owned(), 3, true),
            ("token <*> of request <*> is unknown".to_owned(), 5, false),
        ]
    );
    let signals = eventually("the signal counts the new pattern", async || {
        let found = product.get("/models/spam/signals?name=new_error_patterns&version=1.1").await?;
        let points = found["signals"][0]["points"].as_array()?;
        points.iter().rfind(|point| point["value"] == 1.0 && point["lower"] == 1.0).cloned()
    })
    .await;
    assert_eq!(signals["state"], "ok");
    eventually("the rule of the built-in pack fires", async || {
        let alerts = product.get("/alerts").await?;
        let alerts = alerts["alerts"].as_array()?;
        let fired = alerts
            .iter()
            .any(|alert| alert["rule"] == "new-errors-after-release" && alert["version"] == "1.1" && alert["state"] == "firing");
        fired.then_some(())
    })
    .await;

    compare_the_versions(&product).await;
    let search = json!({"name": "unknown tokens", "address": "q=token&range=24h"});
    let (status, kept) = product.post("/searches", &search).await;
    assert_eq!((status, &kept["name"]), (201, &search["name"]));
    assert_eq!(product.post("/searches", &search).await.0, 409);
    assert_eq!(product.post("/searches", &json!({"name": " ", "address": ""})).await.0, 422);

    let id = found["patterns"][0]["id"].as_str().unwrap().to_owned();
    product.kill();
    product.start_again().await;
    send(&product, vec![failed("1.1", 10, "token 8 of request z is unknown")]).await;
    let query = format!("/search?q=pattern_id:{id}");
    let hits = eventually("the pattern has one more error", async || {
        product.get(&query).await.filter(|found| found["total"] == 6)
    })
    .await;
    assert_eq!(hits["hits"][0]["pattern_id"], id.as_str());
    assert_eq!(product.get("/searches").await.unwrap()["searches"], json!([kept]));
    let forget = async || {
        let address = product.url(&format!("/searches/{}", kept["id"].as_str().unwrap()));
        product.client.delete(address).send().await.unwrap().status().as_u16()
    };
    assert_eq!((forget().await, forget().await), (200, 404));
    let facet = hits["facets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|facet| facet["field"] == "pattern_id")
        .unwrap();
    assert_eq!(
        facet["values"],
        json!([{"value": id, "count": 6, "meaning": "token <*> of request <*> is unknown"}])
    );
    product.stop().await;
}

/// Errors as they are found, without ids, which are made anew.
async fn found_by(product: &Product, query: &str) -> Option<Vec<Value>> {
    let found = product.get(&format!("/search?limit=100&q={query}")).await?;
    let without_id = |hit: &Value| {
        let mut hit = hit.clone();
        hit.as_object_mut().unwrap().remove("id");
        hit
    };
    let mut hits: Vec<Value> = found["hits"].as_array()?.iter().map(without_id).collect();
    hits.sort_by_key(Value::to_string);
    Some(hits)
}

/// Whether it was done, and what was said.
fn reindex(product: &Product) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_driftlead"))
        .args(["reindex", "--data"])
        .arg(product.data())
        .output()
        .unwrap();
    match output.status.success() {
        true => (true, String::from_utf8_lossy(&output.stdout).into_owned()),
        false => (false, String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test]
async fn the_index_is_made_again_from_the_database_as_it_was() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let now = now_ns();
    let mut records: Vec<LogRecord> = (0..30).map(|n| failed("1.0", n, &format!("token {n} is unknown"))).collect();
    for (n, record) in records.iter_mut().enumerate() {
        record.attributes.extend([number("size", n as f64 + 0.5), text("zip", "007")]);
        // Over two days, so that both are made again.
        record.time_unix_nano = now - (n as u64 % 2) * 86_400_000_000_000;
    }
    records.push(inference("spam", "1.0", "good", now, vec![]));
    send(&product, records).await;
    let exception = Event {
        time_unix_nano: now + 3_000_000,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "KeyError"), text("exception.message", "no such user")],
        ..Event::default()
    };
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: "GET /user".to_owned(),
        start_time_unix_nano: now,
        end_time_unix_nano: now + 5_000_000,
        status: Some(Status {
            code: StatusCode::Error as i32,
            ..Status::default()
        }),
        events: vec![exception],
        ..Span::default()
    };
    assert_eq!(
        post_traces(&product.client, &product.otlp_http, &traces_request(vec![span])).await,
        Some(200)
    );
    eventually("all is stored", async || {
        let is_drained = product.get("/status").await?["drain"]["backlog_bytes"] == 0;
        let is_found = product.get("/search").await?["total"] == 31;
        (is_drained && is_found).then_some(())
    })
    .await;
    let before = found_by(&product, "").await.unwrap();
    let (is_done, told) = reindex(&product);
    assert!(!is_done && told.contains("stop it first"), "{told}");
    product.stop().await;

    // Lost, and made again.
    std::fs::remove_dir_all(product.data().join("index")).unwrap();
    let (is_done, told) = reindex(&product);
    assert!(is_done && told.lines().count() == 2, "{told}");
    assert!(
        told.contains("15 errors, 0 before") && told.contains("16 errors, 0 before"),
        "{told}"
    );
    let (_, again) = reindex(&product);
    assert!(
        again.contains("15 errors, 15 before") && again.contains("16 errors, 16 before"),
        "{again}"
    );
    product.start_again().await;
    let after = eventually("all errors are found again", async || {
        found_by(&product, "").await.filter(|hits| hits.len() == 31)
    })
    .await;
    assert_eq!(after, before);
    assert_eq!(found_by(&product, "size:>=28.5").await.unwrap().len(), 2);
    send(&product, vec![failed("1.0", 99, "token 99 is unknown")]).await;
    let total = eventually("what comes later is added once", async || {
        product.get("/search").await.filter(|found| found["total"].as_u64() > Some(31))
    })
    .await;
    assert_eq!(total["total"], 32);
    product.stop().await;
}

/// 1.1 brought one pattern that 1.0 never had.
async fn compare_the_versions(product: &Product) {
    let compared = async |q: &str| {
        let path = format!("/search/versions?model=spam&before=1.0&after=1.1&q={q}");
        product.get(&path).await
    };
    let found = eventually("the inferences of both versions are counted", async || {
        compared("")
            .await
            .filter(|found| found["inferences_before"] == 44 && found["inferences_after"] == 64)
    })
    .await;
    let row = |pattern: &Value| {
        let text = pattern["template"].as_str().unwrap_or_default().to_owned();
        (
            text,
            pattern["before"].clone(),
            pattern["after"].clone(),
            pattern["ever_before"].clone(),
        )
    };
    let mut rows: Vec<_> = found["patterns"].as_array().unwrap().iter().map(row).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        rows,
        [
            ("no embedding for <*> found".to_owned(), json!(0), json!(3), json!(false)),
            ("token <*> of request <*> is unknown".to_owned(), json!(4), json!(1), json!(true)),
        ]
    );
    assert_eq!((&found["total_before"], &found["total_after"]), (&json!(4), &json!(4)));
    let narrowed = compared("embedding").await.unwrap();
    assert_eq!(narrowed["patterns"].as_array().map(Vec::len), Some(1));
    let same = product.client.get(product.url("/search/versions?model=spam&before=1.0&after=1.0"));
    assert_eq!(same.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn an_inference_of_production_becomes_a_control_example() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let scored = |id: &str, age: f64| {
        let attributes = vec![
            text("error.type", "ValueError"),
            number("ml.feature.age", age),
            text("ml.feature.country", "NZ"),
            text("ml.prediction.label", "ham"),
        ];
        inference("spam", "1.0", id, now_ns(), attributes)
    };
    send(
        &product,
        vec![
            scored("one", 41.0),
            scored("two", 17.5),
            inference("spam", "1.0", "bare", now_ns(), vec![]),
        ],
    )
    .await;
    let added = async |id: &str, label: &str| {
        product
            .post("/models/spam/control/examples", &json!({"request_id": id, "label": label}))
            .await
    };
    let first = eventually("the inference is stored", async || {
        let (status, body) = added("one", "spam").await;
        (status == 200).then_some(body)
    })
    .await;
    assert_eq!(first["examples"], 1);
    assert!(first["warnings"][0].as_str().unwrap().contains("fewer than"));
    assert_eq!(added("two", "ham").await.1["examples"], 2);
    // A second thought replaces the first.
    assert_eq!(added("one", "ham").await.1["examples"], 2);
    let set = product.get("/models/spam/control").await.unwrap();
    let one = set["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["example_id"] == "one")
        .unwrap();
    assert_eq!(one["input"], json!({"features": {"age": 41.0, "country": "NZ"}}));
    assert_eq!((&one["expected"], &one["tags"]), (&json!({"label": "ham"}), &json!(["production"])));
    assert_eq!(added("three", "ham").await.0, 404);
    assert_eq!(added("bare", "ham").await.0, 422);
    assert_eq!(added("one", " ").await.0, 422);
}

#[tokio::test]
async fn an_error_is_shown_with_its_trace_and_its_inference() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let now = now_ns();
    let trace_id = vec![0xA7; 16];
    let span = |id: u8, parent: Option<u8>, name: &str, offset_ms: u64, failed: bool| Span {
        trace_id: trace_id.clone(),
        span_id: vec![id; 8],
        parent_span_id: parent.map(|id| vec![id; 8]).unwrap_or_default(),
        name: name.to_owned(),
        start_time_unix_nano: now + offset_ms * 1_000_000,
        end_time_unix_nano: now + (offset_ms + 20) * 1_000_000,
        status: failed.then(|| Status {
            code: StatusCode::Error as i32,
            message: "could not answer".to_owned(),
        }),
        ..Default::default()
    };
    let spans = vec![span(1, None, "POST /predict", 0, false), span(2, Some(1), "predict", 5, true)];
    let status = post_traces(&product.client, &product.otlp_http, &traces_request(spans)).await;
    assert_eq!(status, Some(200));
    let record = LogRecord {
        trace_id: trace_id.clone(),
        span_id: vec![2; 8],
        ..failed("1.0", 1, "no embedding found")
    };
    send(&product, vec![record]).await;

    let id = "a7".repeat(16);
    let shown = eventually("the trace is stored", async || {
        let shown = product.get(&format!("/traces/{id}")).await?;
        (shown["span_count"] == 2 && shown["records"].as_array()?.len() == 1).then_some(shown)
    })
    .await;
    assert_eq!(shown["spans"][0]["name"], "POST /predict");
    assert_eq!(shown["spans"][0]["parent_span_id"], Value::Null);
    assert_eq!(shown["spans"][1]["parent_span_id"], "0101010101010101");
    assert_eq!(
        (&shown["spans"][1]["offset_ms"], &shown["spans"][1]["status"]),
        (&json!(5.0), &json!("Error"))
    );
    assert_eq!(shown["records"][0]["body"], "no embedding found");
    let elsewhere = product.get(&format!("/traces/{id}?environment=staging")).await.unwrap();
    assert_eq!((&elsewhere["spans"], &elsewhere["records"]), (&json!([]), &json!([])));
    let inference = eventually("its inference is found by its request", async || {
        let page = product.get("/models/spam/inferences?request_id=1.0-1").await?;
        (page["total"] == 1).then(|| page["items"][0].clone())
    })
    .await;
    assert_eq!(inference["error_type"], "ValueError");
}

#[tokio::test]
async fn errors_are_suggested_followed_and_exported() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let tail = product
        .client
        .get(format!("http://{}/api/v1/search/tail?q=embedding", product.web))
        .timeout(Duration::from_secs(120))
        .send()
        .await
        .unwrap();
    assert_eq!(tail.headers()["content-type"], "text/event-stream");
    send(
        &product,
        vec![
            failed("1.0", 1, "no embedding found"),
            failed("1.0", 2, "=2+2, \"quoted\""),
            failed("1.1", 3, "other"),
        ],
    )
    .await;
    let mut events = tail.bytes_stream();
    let mut told = String::new();
    while !told.contains("no embedding found") {
        let piece = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap();
        told.push_str(&String::from_utf8_lossy(&piece.unwrap().unwrap()));
    }
    assert!(!told.contains("\"other\""), "only what the search finds: {told}");

    eventually("all are found", async || {
        product.get("/search").await.filter(|found| found["total"] == 3)
    })
    .await;
    let offered = product.get("/search/suggest?q=version:").await.unwrap();
    assert_eq!(
        offered,
        json!({"from": 8, "items": [{"text": "1.0", "count": 2}, {"text": "1.1", "count": 1}]})
    );
    let names = product.get("/search/suggest?q=ml.req").await.unwrap();
    assert_eq!(names["items"], json!([{"text": "ml.request.id:", "count": null}]));

    let export = async |format: &str| {
        let url = format!("http://{}/api/v1/search/export?q=version:1.0&format={format}", product.web);
        product.client.get(url).send().await.unwrap().text().await.unwrap()
    };
    let lines = export("ndjson").await;
    let messages: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(messages.len(), 2);
    let csv = export("csv").await;
    assert!(csv.starts_with("time,severity,service,model,"), "{csv}");
    assert!(
        csv.contains("\"'=2+2, \"\"quoted\"\"\""),
        "no spreadsheet computes what a sender wrote: {csv}"
    );
}
