//! Hostile requests of every signal and encoding, again and again: each gets its class of answer, none ends in 5xx or a
//! hang, all are counted, and the memory that they took is given back.

use std::io::Write as _;
use std::time::{Duration, Instant};

use driftlead_collector::limits::{MAX_RECORDS_PER_REQUEST, MAX_REQUEST_BYTES};
use prost::encoding::encode_varint;
use reqwest::Method;

use crate::support::product::{Product, engine_is_there};

const SIGNALS: [(&str, [&str; 3]); 3] = [
    ("logs", ["resourceLogs", "scopeLogs", "logRecords"]),
    ("traces", ["resourceSpans", "scopeSpans", "spans"]),
    ("metrics", ["resourceMetrics", "scopeMetrics", "metrics"]),
];
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// Deeper than any attribute is.
const DEPTH: usize = 10_000;
const ROUNDS: usize = 4;
/// What may stay of them, in MiB; a bomb that stayed would be 64.
const STAYS_MIB: u64 = 48;
/// The allocator gives pages back some ten seconds after their last use.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(90);
/// A request that is not answered by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

struct Hostile {
    what: String,
    method: Method,
    path: String,
    content_type: &'static str,
    encoding: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
}

fn nested(tag: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes.len() + 8);
    encode_varint(u64::from(tag << 3 | 2), &mut message);
    encode_varint(bytes.len() as u64, &mut message);
    message.extend(bytes);
    message
}

/// A request whose resource has one attribute: `value` as protobuf.
fn with_attribute(value: &[u8]) -> Vec<u8> {
    let attribute = [nested(1, b"key"), nested(2, value)].concat();
    nested(1, &nested(1, &nested(1, &attribute)))
}

/// Log records, spans, or the points of one gauge.
fn many_records(names: &[&str; 3], json: bool) -> Vec<u8> {
    let count = MAX_RECORDS_PER_REQUEST as usize + 1;
    let [resource, scope, record] = names;
    let is_metric = *record == "metrics";
    if json {
        let mut records = vec!["{}"; count].join(",");
        if is_metric {
            records = format!(r#"{{"gauge":{{"dataPoints":[{records}]}}}}"#);
        }
        return format!(r#"{{"{resource}":[{{"{scope}":[{{"{record}":[{records}]}}]}}]}}"#).into_bytes();
    }
    let records = if is_metric {
        nested(2, &nested(5, &[0x0A, 0].repeat(count)))
    } else {
        [0x12, 0].repeat(count)
    };
    nested(1, &nested(2, &records))
}

fn deep(json: Option<&[&str; 3]>) -> Vec<u8> {
    match json {
        None => {
            let array = |inner: Vec<u8>, _| nested(5, &nested(1, &inner));
            with_attribute(&(0..DEPTH).fold(nested(1, b"x"), array))
        }
        Some([resource, ..]) => {
            let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(DEPTH), "]}}".repeat(DEPTH));
            let attribute = format!(r#"{{"key":"k","value":{open}{close}}}"#);
            format!(r#"{{"{resource}":[{{"resource":{{"attributes":[{attribute}]}}}}]}}"#).into_bytes()
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 5);
    bytes
}

/// Sixteen kinds for each signal in each encoding.
fn requests() -> Vec<Hostile> {
    let bomb = gzip(&vec![b' '; MAX_REQUEST_BYTES + 1]);
    let mut requests = Vec::new();
    for (signal, names) in &SIGNALS {
        for content_type in [PROTOBUF, JSON] {
            let is_json = content_type == JSON;
            let json = is_json.then_some(names);
            let good_json = format!(r#"{{"{}":[{{"resource":{{"attributes":[]}}}}]}}"#, names[0]).into_bytes();
            let good_protobuf = with_attribute(&nested(1, b"a text of some length"));
            let (good, other) = if is_json {
                (good_json, good_protobuf)
            } else {
                (good_protobuf, good_json)
            };
            let path = format!("/v1/{signal}");
            let mut add = |what: &str, encoding: Option<&'static str>, body: Vec<u8>, status: u16| {
                requests.push(Hostile {
                    what: format!("{what}, {signal}, {content_type}"),
                    method: Method::POST,
                    path: path.clone(),
                    content_type,
                    encoding,
                    body,
                    status,
                });
            };
            add("bytes that say nothing", None, vec![0xFF; 300], 400);
            add("zeros", None, vec![0; 300], 400);
            add("cut off", None, cut(good.clone()), 400);
            add("the other encoding", None, other, 400);
            add("text that is not UTF-8", None, not_utf8(is_json, names), 400);
            add("an attribute without end", None, deep(json), 400);
            add("compressed, but not said", None, gzip(&good), 400);
            add("said to be gzip", Some("gzip"), good.clone(), 400);
            add("gzip that is cut off", Some("gzip"), cut(gzip(&good)), 400);
            add("said to be zstd", Some("zstd"), good.clone(), 400);
            add("compressed in a way that nobody knows", Some("br"), good.clone(), 415);
            add("a bomb", Some("gzip"), bomb.clone(), 413);
            add("too many records", None, many_records(names, is_json), 413);
            let changed = |what: &str, method: Method, path: String, content_type: &'static str, status: u16| Hostile {
                what: format!("{what}, {signal}, {content_type}"),
                method,
                path,
                content_type,
                encoding: None,
                body: good.clone(),
                status,
            };
            let another = if is_json { "text/json" } else { "application/octet-stream" };
            requests.push(changed("another method", Method::PUT, path.clone(), content_type, 405));
            requests.push(changed(
                "another path",
                Method::POST,
                format!("{path}/../{signal}s"),
                content_type,
                404,
            ));
            requests.push(changed("another type", Method::POST, path, another, 415));
        }
    }
    requests
}

fn not_utf8(is_json: bool, names: &[&str; 3]) -> Vec<u8> {
    if !is_json {
        return with_attribute(&nested(1, b"\xC3\x28"));
    }
    let mut body = format!(r#"{{"{}":[],"x":""#, names[0]).into_bytes();
    body.extend(b"\xC3\x28\"}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_counted_and_leave_nothing_behind() {
    if !engine_is_there() {
        return;
    }
    let product = Product::start("").await;
    let requests = requests();
    assert!(requests.len() >= 80, "{}", requests.len());
    let before = product.resident_mib();
    let mut resident = Vec::new();
    for _ in 0..ROUNDS {
        for hostile in &requests {
            let mut request = product
                .client
                .request(hostile.method.clone(), format!("http://{}{}", product.otlp_http, hostile.path))
                .header("content-type", hostile.content_type)
                .timeout(PATIENCE)
                .body(hostile.body.clone());
            if let Some(encoding) = hostile.encoding {
                request = request.header("content-encoding", encoding);
            }
            let answer = request.send().await.unwrap_or_else(|error| panic!("{}: {error}", hostile.what));
            let status = answer.status().as_u16();
            let body = answer.bytes().await.unwrap();
            assert_eq!(status, hostile.status, "{}: {}", hostile.what, String::from_utf8_lossy(&body));
            assert!(!body.is_empty(), "{}: the answer says what is wrong", hostile.what);
        }
        resident.push(product.resident_mib());
    }
    let status = product.get("/status").await.unwrap();
    let refused = status["collector"]["refused"].as_array().unwrap();
    let counted: u64 = refused.iter().map(|refused| refused["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, (ROUNDS * requests.len()) as u64, "{refused:?}");
    let deadline = Instant::now() + GIVEN_BACK_WITHIN;
    let mut after = product.resident_mib();
    while after > before + STAYS_MIB && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_secs(1)).await;
        after = product.resident_mib();
    }
    println!(
        "{} hostile requests: resident {before} MiB before, {resident:?} after each round of them, {after} in the end",
        requests.len()
    );
    assert!(
        after <= before + STAYS_MIB,
        "{before} MiB before, {after} after, {resident:?} between"
    );
}
