//! Log records and spans in the search: the same queries find the same records in ClickHouse as in the error index.

use std::fmt::Write as _;
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use serde_json::Value;

use crate::support::eventually;
use crate::support::otlp::{logs_request, now_ns, number, post_logs, post_traces, text, traces_request};
use crate::support::product::{Product, engine_is_there};

/// Errors that are compared, and queries that are.
const ERRORS: usize = 300;
const QUERIES: usize = 150;

const WORDS: [&str; 12] = [
    "timeout",
    "Timeout",
    "refused",
    "connection",
    "token42",
    "überlauf",
    "ÜBERLAUF",
    "Ключ",
    "“quoted”",
    "a_b",
    "1.5",
    "conn",
];
const PARTS: [&str; 8] = ["time*", "con*", "*out", "t?ken*", "*b*", "клю*", "über*", "4*"];

/// A generator of whole numbers that is the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

fn body(text: &str) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(any_value::Value::StringValue(text.to_owned())),
    })
}

fn error(dice: &mut Dice, index: usize, start_ns: u64) -> LogRecord {
    let message: Vec<&str> = (0..1 + dice.below(5)).map(|_| dice.of(&WORDS)).collect();
    let mut attributes = vec![
        text("n", &index.to_string()),
        text("http.route", dice.of(&["/predict", "/Embed/v1", ""])),
    ];
    let is_inference = dice.below(2) == 0;
    if is_inference {
        attributes.push(text("ml.model.name", dice.of(&["spam", "Spam", "ham"])));
        attributes.push(text("ml.model.version", dice.of(&["1.0", "1.1", "2.0-rc1"])));
    }
    // An inference that says nothing of its error gets a type from its severity.
    if is_inference || dice.below(2) == 0 {
        attributes.push(text("error.type", dice.of(&["ValueError", "KeyError"])));
        attributes.push(text("exception.stacktrace", dice.of(&["at load\n at main", "at main"])));
    }
    if dice.below(3) > 0 {
        attributes.push(number("size", dice.below(20) as f64 / 2.0));
    }
    LogRecord {
        time_unix_nano: start_ns + index as u64 * 1_000_003,
        severity_number: [17, 18, 21][dice.below(3)],
        body: body(&message.join([" ", "-", ": "][dice.below(3)])),
        trace_id: [vec![], vec![7; 16]][dice.below(2)].clone(),
        attributes,
        ..LogRecord::default()
    }
}

/// A clause that means the same in both.
fn clause(dice: &mut Dice, start_ns: u64) -> String {
    let word = |dice: &mut Dice| dice.of(&WORDS).trim_matches(['“', '”']).to_owned();
    match dice.below(12) {
        0 | 1 => format!("message:{}", word(dice)),
        2 => format!("message:\"{} {}\"", word(dice), word(dice)),
        3 | 4 => format!("message:{}", dice.of(&PARTS)),
        5 => dice
            .of(&["stack:load", "stack:\"at main\"", "trace_id:*", "error_type:*", "size:*", "model:*"])
            .to_owned(),
        6 => dice
            .of(&[
                "model:spam",
                "model:Sp*",
                "version:1.*",
                "version:1.1",
                "severity:error",
                "severity:fat*",
                "service:test",
            ])
            .to_owned(),
        7 => dice
            .of(&[
                "error_type:KeyError",
                "error_type:*Error",
                "model:\"\"",
                "http.route:\"/predict\"",
                "http.route:embed",
                "environment:production",
            ])
            .to_owned(),
        8 => format!("size:{}", dice.below(20) as f64 / 2.0),
        9 => format!("size:[{} TO {}]", dice.below(10), dice.below(10)),
        10 => format!("size:{}{}", dice.of(&[">", ">=", "<", "<="]), dice.below(10)),
        _ => {
            let at = start_ns as i64 + dice.below(ERRORS) as i64 * 1_000_003;
            format!("time:{}{}", dice.of(&[">", "<=", "<"]), driftlead_store::clock::UnixNanos(at))
        }
    }
}

fn query(dice: &mut Dice, start_ns: u64, depth: usize) -> String {
    let mut query = String::new();
    for index in 0..1 + dice.below(3) {
        if index > 0 {
            query.push_str(dice.of(&[" ", " AND ", " OR "]));
        }
        if dice.below(5) == 0 {
            query.push_str("NOT ");
        }
        if depth > 0 && dice.below(4) == 0 {
            let _written = write!(query, "({})", self::query(dice, start_ns, depth - 1));
        } else {
            query.push_str(&clause(dice, start_ns));
        }
    }
    query
}

fn encoded(query: &str) -> String {
    form_urlencoded::byte_serialize(query.as_bytes()).collect()
}

async fn search(product: &Product, source: &str, query: &str) -> Option<Value> {
    product
        .get(&format!("/search?source={source}&limit=500&q={}", encoded(query)))
        .await
}

/// What the attribute `n` of each hit says, in their order.
fn numbers(found: &Value) -> Vec<&str> {
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["attributes"]["n"].as_str().unwrap_or("?")).collect()
}

#[tokio::test]
async fn log_records_are_found_by_the_same_queries_as_errors() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let start_ns = now_ns() / 1_000_000 * 1_000_000;
    let records: Vec<LogRecord> = (0..ERRORS).map(|index| error(&mut dice, index, start_ns)).collect();
    let sent = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(sent, Some(200));
    for source in ["errors", "logs"] {
        eventually("all of them are found", async || {
            search(&product, source, "service:test")
                .await
                .filter(|found| found["total"] == ERRORS)
        })
        .await;
    }
    let mut found_any = 0;
    for _ in 0..QUERIES {
        let query = query(&mut dice, start_ns, 2);
        let expected = search(&product, "errors", &query)
            .await
            .unwrap_or_else(|| panic!("errors: {query}"));
        let found = search(&product, "logs", &query).await.unwrap_or_else(|| panic!("logs: {query}"));
        assert_eq!(found["total"], expected["total"], "{query}");
        assert_eq!(numbers(&found), numbers(&expected), "{query}");
        found_any += usize::from(expected["total"] != 0 && expected["total"] != ERRORS);
    }
    assert!(found_any > QUERIES / 4, "only {found_any} queries tell anything");
    let found = search(&product, "logs", "message:timeout").await.unwrap();
    assert_eq!(found["source"]["engine"], "clickhouse");
    assert_eq!(found["source"]["text_index"], true);
    assert_eq!(found["hits"][0]["highlights"][0]["field"], "message");
    let counted: u64 = found["histogram"]["counts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(found["total"], counted);
    product.stop().await;
}

#[tokio::test]
async fn pages_of_records_that_are_the_same_miss_and_repeat_none() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("[search]\ntext_index = false").await;
    let now = now_ns();
    let line = |time_unix_nano: u64, said: &str| LogRecord {
        time_unix_nano,
        severity_number: 9,
        body: body(said),
        ..LogRecord::default()
    };
    // Seven that are the same, two of their instant, one before and one hours before.
    let mut records = vec![line(now, "started"); 7];
    records.extend([line(now, "ready"), line(now, "steady"), line(now - 1, "before")]);
    records.push(line(now - 3 * 3_600_000_000_000, "long before"));
    records.push(LogRecord {
        event_name: "job.done".into(),
        ..line(now + 1, "")
    });
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
    eventually("all of them are found", async || {
        search(&product, "logs", "").await.filter(|found| found["total"] == 12)
    })
    .await;
    for limit in [1, 2, 3, 5, 12] {
        let (mut messages, mut ids, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = product
                .get(&format!("/search?source=logs&limit={limit}&cursor={cursor}"))
                .await
                .unwrap();
            assert_eq!((&page["total"], &page["source"]["text_index"]), (&12.into(), &false.into()));
            for hit in page["hits"].as_array().unwrap() {
                messages.push(hit["message"].as_str().unwrap().to_owned());
                ids.push(hit["id"].as_str().unwrap().to_owned());
            }
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(
            (&messages[0], &messages[10], &messages[11]),
            (&"job.done".into(), &"before".into(), &"long before".into())
        );
        assert_eq!(
            messages.iter().filter(|message| *message == "started").count(),
            7,
            "{limit}: {messages:?}"
        );
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 12, "{limit}");
        let one = product.get(&format!("/search/hits/{}?source=logs", ids[5])).await.unwrap();
        assert_eq!(one["id"], ids[5].as_str());
    }
    assert_eq!(product.get("/search?source=errors").await.unwrap()["total"], 0);
    assert_eq!(search(&product, "logs", "done -message:started").await.unwrap()["total"], 1);
    let names = product.get("/search/suggest?source=logs&q=event.name:j").await.unwrap();
    assert_eq!(names["items"][0]["text"], "job.done");
    let file = product
        .client
        .get(product.url("/search/export?source=logs&q=started"))
        .send()
        .await
        .unwrap();
    assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"logs.ndjson\"");
    assert_eq!(file.text().await.unwrap().lines().count(), 7);
    product.stop().await;
}

#[tokio::test]
async fn spans_are_found_by_what_they_are_called_and_how_long_they_took() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let now = now_ns();
    let span = |id: u8, name: &str, milliseconds: u64, code: StatusCode, message: &str| Span {
        trace_id: vec![9; 16],
        span_id: vec![id; 8],
        name: name.into(),
        kind: 2,
        start_time_unix_nano: now - milliseconds * 1_000_000,
        end_time_unix_nano: now,
        status: Some(Status {
            code: code.into(),
            message: message.into(),
        }),
        attributes: vec![text("http.route", "/predict"), text("ml.model.name", "spam")],
        ..Span::default()
    };
    let spans = vec![
        span(1, "POST /predict", 20, StatusCode::Ok, ""),
        span(2, "embed texts", 140, StatusCode::Unset, ""),
        span(3, "POST /predict", 900, StatusCode::Error, "the GPU is gone; <b>"),
    ];
    let status = post_traces(&product.client, &product.otlp_http, &traces_request(spans)).await;
    assert_eq!(status, Some(200));
    eventually("all of them are found", async || {
        search(&product, "traces", "").await.filter(|found| found["total"] == 3)
    })
    .await;
    for (query, expected) in [
        ("predict", 2),
        ("\"post predict\"", 2),
        ("gpu", 1),
        ("severity:error", 1),
        ("-severity:error", 2),
        ("latency_ms:>100", 2),
        ("latency_ms:[100 TO 200]", 1),
        ("latency_ms:20", 1),
        ("span.name:embed", 1),
        ("span.kind:server", 3),
        ("span.kind:client", 0),
        ("http.route:predict model:spam", 3),
        ("resource.service.name:test", 3),
        ("09090909090909090909090909090909", 3),
        ("0202020202020202", 1),
        ("pattern_id:*", 0),
        ("time:>now-1h", 3),
    ] {
        let found = search(&product, "traces", query).await.unwrap_or_else(|| panic!("{query}"));
        assert_eq!(found["total"], expected, "{query}");
    }
    let found = search(&product, "traces", "gpu").await.unwrap();
    let hit = &found["hits"][0];
    assert_eq!(hit["message"], "POST /predict: the GPU is gone; <b>");
    assert_eq!(
        (&hit["attributes"]["span.kind"], &hit["attributes"]["latency_ms"]),
        (&"Server".into(), &900.0.into())
    );
    let fields: Vec<&str> = found["facets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|facet| facet["field"].as_str())
        .collect();
    assert_eq!(
        fields,
        ["model", "version", "service", "environment", "severity", "span.name", "span.kind"]
    );

    // What cannot be searched for is said, and what is meant to break out stays a text.
    for (query, status) in [
        ("\"", 400),
        ("a (", 400),
        ("x:>y", 400),
        ("'; DROP TABLE otel_traces; --", 200),
        ("service:\"a' OR 1=1 --\"", 200),
        ("attributes.x'] OR 1=1:y", 200),
        ("{value_0:String}", 200),
    ] {
        let address = product.url(&format!("/search?source=traces&q={}", encoded(query)));
        assert_eq!(
            product.client.get(address).send().await.unwrap().status().as_u16(),
            status,
            "{query}"
        );
    }
    for wrong in [
        "limit=1000000000",
        "cursor=x",
        "source=metrics",
        "from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z",
    ] {
        let address = product.url(&format!("/search?source=traces&{wrong}"));
        assert_eq!(product.client.get(address).send().await.unwrap().status().as_u16(), 400, "{wrong}");
    }
    assert_eq!(search(&product, "traces", "").await.unwrap()["total"], 3);
    product.stop().await;
}

/// A key that only reads this environment.
fn key(product: &Product, environment: &str) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_driftlead"))
        .args(["key", "new", "--scope", "read", "--environment", environment, "--data"])
        .arg(product.data())
        .output()
        .unwrap();
    let told = String::from_utf8(made.stdout).unwrap();
    told.split_whitespace().find(|word| word.starts_with("dl_")).unwrap().to_owned()
}

#[tokio::test]
async fn a_key_of_one_environment_finds_no_records_of_another() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let record = LogRecord {
        time_unix_nano: now_ns(),
        severity_number: 9,
        body: body("secret plan"),
        attributes: vec![text("secret.name", "x")],
        ..LogRecord::default()
    };
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(vec![record])).await;
    assert_eq!(status, Some(200));
    let found = eventually("it is found", async || {
        search(&product, "logs", "secret").await.filter(|found| found["total"] == 1)
    })
    .await;
    let id = found["hits"][0]["id"].as_str().unwrap().to_owned();
    let (staging, production) = (key(&product, "staging"), key(&product, "production"));
    let get = async |path: &str, key: &str| {
        let answer = product.client.get(product.url(path)).bearer_auth(key).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    for (key, total, status, names) in [(&staging, 0, 404, 0), (&production, 1, 200, 1)] {
        eventually("the key is known", async || (get("/models", key).await.0 == 200).then_some(())).await;
        assert_eq!(get("/search?source=logs&q=secret", key).await.1["total"], total);
        assert_eq!(get(&format!("/search/hits/{id}?source=logs"), key).await.0, status);
        let offered = get("/search/suggest?source=logs&q=secret.n", key).await.1;
        assert_eq!(offered["items"].as_array().unwrap().len(), names);
        let offered = get("/search/suggest?source=logs&q=secret.name:", key).await.1;
        assert_eq!(offered["items"].as_array().unwrap().len(), names);
    }
    assert_eq!(get("/search?source=logs&environment=production", &staging).await.0, 403);
    product.stop().await;
}

#[tokio::test]
async fn numbers_names_and_phrases_mean_what_they_mean_among_errors() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let record = |id: &str, event: &str| LogRecord {
        time_unix_nano: now_ns(),
        severity_number: 17,
        body: body(&"word ".repeat(150)),
        attributes: vec![text("user.id", id), text("event.name", event)],
        ..LogRecord::default()
    };
    let records = vec![
        record("1234567890123456789", "a.b"),
        record("1234567890123456790", "c.d"),
        record("18446744073709551615", "c.d"),
    ];
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200));
    eventually("all of them are found", async || {
        search(&product, "logs", "word").await.filter(|found| found["total"] == 3)
    })
    .await;
    for (query, expected) in [
        ("user.id:1234567890123456789", 1),
        ("user.id:18446744073709551615", 1),
        ("user.id:1234567890123456700", 0),
        ("event.name:\"c.d\"", 2),
    ] {
        for source in ["errors", "logs"] {
            let found = eventually("it is answered", async || search(&product, source, query).await).await;
            assert_eq!(found["total"], expected, "{source}: {query}");
        }
    }
    let phrase = format!("\"{}\"", "word ".repeat(120));
    let address = product.url(&format!("/search?source=logs&q={}", encoded(&phrase)));
    let refused = product.client.get(address).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    assert!(refused.text().await.unwrap().contains("100 are the most"));
    assert_eq!(search(&product, "errors", &phrase).await.unwrap()["total"], 3);
    assert_eq!(
        search(&product, "logs", &format!("\"{}\"", "word ".repeat(90))).await.unwrap()["total"],
        3
    );
    product.stop().await;
}
