//! The search on what nobody hoped for: messages of a megabyte, thousands of fields, deep pages, readers that do not read.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::otlp::{logs_request, now_ns, post_logs, text};
use crate::support::product::{Product, engine_is_there};

fn error(message: String) -> LogRecord {
    LogRecord {
        time_unix_nano: now_ns(),
        severity_number: 17,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(message)),
        }),
        ..LogRecord::default()
    }
}

async fn send(product: &Product, records: Vec<LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
}

async fn found(product: &Product, source: &str, query: &str, total: usize) {
    let path = format!("/search?source={source}&limit=1&q={query}");
    eventually(&format!("{total} are found by {query} among {source}"), async || {
        product.get(&path).await.filter(|found| found["total"] == total)
    })
    .await;
}

/// Ids of all hits, page by page, and how many pages there were.
async fn all_pages(product: &Product, source: &str, query: &str, limit: usize) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let path = format!("/search?source={source}&limit={limit}&q={query}&cursor={cursor}");
        let page = product.get(&path).await.unwrap();
        pages += 1;
        ids.extend(
            page["hits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hit| hit["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn messages_of_a_megabyte_are_found_and_answers_stay_small() {
    const MESSAGES: usize = 24;
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    for number in 0..MESSAGES {
        let kind = char::from(b'a' + number as u8);
        let filling = "lorem ipsum ".repeat(87_000);
        let message = format!("{}failed first{number} {filling}last{number}", String::from(kind).repeat(8));
        send(&product, vec![error(message)]).await;
    }
    // The error index keeps 32 KiB of each, the database all.
    for (source, last, least_pages) in [("errors", 0, 1), ("logs", 1, 3)] {
        found(&product, source, "message:lorem", MESSAGES).await;
        found(&product, source, "message:first7", 1).await;
        found(&product, source, "message:last7", last).await;
        let (ids, pages) = all_pages(&product, source, "ipsum", 500).await;
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MESSAGES, "{source}");
        assert!(pages >= least_pages, "{source}: at most 8 MiB a page, not {MESSAGES} in {pages}");
        let file = product.url(&format!("/search/export?source={source}&q=lorem"));
        let lines = product.client.get(file).send().await.unwrap().text().await.unwrap();
        assert_eq!(lines.lines().count(), MESSAGES, "{source}");
    }
    let patterns = product.client.get(product.url("/search/patterns")).send().await.unwrap();
    let patterns = patterns.bytes().await.unwrap();
    assert!(patterns.len() < 512 * 1024, "examples are abridged: {} bytes", patterns.len());
    let patterns: Value = serde_json::from_slice(&patterns).unwrap();
    assert_eq!(patterns["total"], MESSAGES);
    product.stop().await;
}

#[tokio::test]
async fn ten_thousand_fields_are_searched_and_listed_in_part() {
    const FIELDS: usize = 10_000;
    const A_REQUEST: usize = 500;
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    for request in 0..FIELDS / A_REQUEST {
        let record = |number: usize| LogRecord {
            attributes: vec![text(&format!("field.number{number}"), &format!("value{number}"))],
            ..error("odd".into())
        };
        send(&product, (request * A_REQUEST..(request + 1) * A_REQUEST).map(record).collect()).await;
    }
    for source in ["errors", "logs"] {
        found(&product, source, "odd", FIELDS).await;
        for number in [0, 4_711, FIELDS - 1] {
            found(&product, source, &format!("field.number{number}:value{number}"), 1).await;
        }
        let names = product.get(&format!("/search/suggest?source={source}&q=field.num")).await.unwrap();
        assert_eq!(names["items"].as_array().unwrap().len(), 12, "{source}");
    }
    let capabilities = product.client.get(format!("http://{}/es/_field_caps?fields=*", product.web));
    let capabilities: Value = capabilities.send().await.unwrap().json().await.unwrap();
    let listed = capabilities["fields"].as_object().unwrap().len();
    assert!((1_000..1_100).contains(&listed), "{listed} fields are listed");
    product.stop().await;
}

#[tokio::test]
async fn deep_pages_are_walked_and_endless_ones_refused() {
    const ERRORS: usize = 3_000;
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    send(&product, (0..ERRORS).map(|number| error(format!("number {number}"))).collect()).await;
    for source in ["errors", "logs"] {
        found(&product, source, "number", ERRORS).await;
        let (ids, _) = all_pages(&product, source, "number", 250).await;
        assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (ERRORS, ERRORS), "{source}");
        let refused = product
            .client
            .get(product.url(&format!("/search?source={source}&limit=1000000000")));
        let refused = refused.send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 400);
        assert!(refused.text().await.unwrap().contains("at most 500 hits"), "{source}");
    }
    for body in [json!({"size": 1_000_000_000}), json!({"from": 1_000_000_000, "size": 1})] {
        let refused = product
            .client
            .post(format!("http://{}/es/_search", product.web))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status().as_u16(), 400, "{body}");
    }
    product.stop().await;
}

#[tokio::test]
async fn a_follower_that_does_not_read_is_told_how_many_it_missed() {
    const REQUESTS: usize = 60;
    const A_REQUEST: usize = 1_000;
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let tail = product
        .client
        .get(product.url("/search/tail?q=burst"))
        .timeout(Duration::from_secs(120));
    let mut events = tail.send().await.unwrap().bytes_stream();
    // One alone first: from here on running numbers say what was missed.
    send(&product, vec![error("burst".into())]).await;
    let mut told = String::new();
    while !told.contains("\"message\":\"burst\"") {
        told.push_str(&String::from_utf8_lossy(&events.next().await.unwrap().unwrap()));
    }
    for request in 0..REQUESTS {
        let message = |number: usize| error(format!("burst {request}-{number} {}", "of words ".repeat(60)));
        send(&product, (0..A_REQUEST).map(message).collect()).await;
    }
    let total = REQUESTS * A_REQUEST + 1;
    found(&product, "errors", "burst", total).await;
    let mut counted = 0;
    let mut missed = 0;
    while counted < total as u64 {
        let piece = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let piece = piece.unwrap_or_else(|_| panic!("{counted} of {total} were told of"));
        told.push_str(&String::from_utf8_lossy(&piece.unwrap().unwrap()));
        (counted, missed) = (0, 0);
        for line in told.lines().filter_map(|line| line.strip_prefix("data: ")) {
            // The last one may not be whole yet.
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            missed += event["left_out"].as_u64().unwrap() + event["unseen"].as_u64().unwrap();
            counted += event["hits"].as_array().unwrap().len() as u64;
        }
        counted += missed;
    }
    assert_eq!(counted, total as u64);
    assert!(missed > 0 && missed < total as u64, "{missed} of {total} were missed");
    product.stop().await;
}
