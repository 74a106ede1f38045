//! Requests that no exporter should send, and those at the edges of what one may: each gets the class of
//! answer that the specification names, and the collector goes on.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use driftlead_collector::limits::{MAX_RECORDS_PER_REQUEST, MAX_REQUEST_BYTES};
use driftlead_collector::{CollectorConfig, KeyGrant, KeyRefusal, Signal};
use driftlead_store::state::key_rates::KeyRate;
use prost::Message;
use tonic::Code;
use tonic_types::{StatusExt, pb};

use support::{
    GrpcCall, HttpCall, Server, Setup, TestKeys, exchange, framed, gzip, inference, large_logs, logs_json, post_over_http_2, zstd,
};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn post(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> HttpCall {
    HttpCall::post(path, content_type, body)
}

fn logs(content_type: &str, body: impl Into<Vec<u8>>) -> HttpCall {
    post("/v1/logs", content_type, body)
}

fn compressed(content_type: &str, compression: &str, body: Vec<u8>) -> HttpCall {
    logs(content_type, body).header("content-encoding", compression)
}

fn small_protobuf() -> Vec<u8> {
    large_logs(10)
}

fn many_records(count: usize) -> Vec<u8> {
    fn nested(bytes: Vec<u8>, tag: u8) -> Vec<u8> {
        let mut message = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut message);
        message.extend(bytes);
        message
    }
    nested(nested([0x12, 0].repeat(count), 2), 1)
}

/// A body in chunks, as a client without a length sends it.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::new();
    for chunk in body.chunks(7) {
        chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunks.extend(chunk);
        chunks.extend(b"\r\n");
    }
    chunks.extend(b"0\r\n\r\n");
    chunks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_each_request_gets_its_class_of_answer() {
    let server = Server::plain().await;
    let json = logs_json(&[inference("r-1")]);
    let calls: Vec<(&str, HttpCall, u16)> = vec![
        ("protobuf", logs(PROTOBUF, small_protobuf()), 200),
        ("json", logs(JSON, json.clone()), 200),
        ("json with a parameter", logs("application/json; charset=utf-8", json.clone()), 200),
        ("a content type in capitals", logs("Application/X-Protobuf", small_protobuf()), 200),
        ("empty protobuf", logs(PROTOBUF, ""), 200),
        ("empty json request", logs(JSON, "{}"), 200),
        ("empty traces", post("/v1/traces", PROTOBUF, ""), 200),
        ("empty metrics", post("/v1/metrics", JSON, "{}"), 200),
        ("gzip", compressed(PROTOBUF, "gzip", gzip(&small_protobuf())), 200),
        (
            "gzip in two members",
            compressed(JSON, "gzip", [gzip(&json.as_bytes()[..9]), gzip(&json.as_bytes()[9..])].concat()),
            200,
        ),
        ("zstd", compressed(PROTOBUF, "zstd", zstd(&small_protobuf())), 200),
        ("identity", compressed(PROTOBUF, "identity", small_protobuf()), 200),
        (
            "chunks",
            HttpCall::new("POST", "/v1/logs", chunked(json.as_bytes()))
                .header("content-type", JSON)
                .header("transfer-encoding", "chunked"),
            200,
        ),
        (
            "as large as may be",
            compressed(PROTOBUF, "gzip", gzip(&large_logs(MAX_REQUEST_BYTES - 40))),
            200,
        ),
        ("unknown fields", logs(JSON, r#"{"resourceLogs": [], "later": {"x": [1]}}"#), 200),
        ("no content type", HttpCall::new("POST", "/v1/logs", small_protobuf()), 415),
        ("another content type", logs("text/plain", small_protobuf()), 415),
        ("octets", logs("application/octet-stream", small_protobuf()), 415),
        ("protobuf without x", logs("application/protobuf", small_protobuf()), 415),
        ("deflate", compressed(PROTOBUF, "deflate", small_protobuf()), 415),
        ("brotli", compressed(PROTOBUF, "br", small_protobuf()), 415),
        ("two compressions", compressed(PROTOBUF, "gzip, zstd", small_protobuf()), 415),
        ("GET", HttpCall::new("GET", "/v1/logs", "").header("content-type", JSON), 405),
        ("PUT", HttpCall::new("PUT", "/v1/traces", "{}").header("content-type", JSON), 405),
        (
            "DELETE",
            HttpCall::new("DELETE", "/v1/metrics", "").header("content-type", PROTOBUF),
            405,
        ),
        ("the root", post("/", JSON, "{}"), 404),
        ("profiles", post("/v1/profiles", PROTOBUF, ""), 404),
        ("a path below", post("/v1/logs/x", JSON, "{}"), 404),
        ("a slash too many", post("/v1/logs/", JSON, "{}"), 404),
        ("gRPC's path", post(Signal::Logs.grpc_path(), PROTOBUF, small_protobuf()), 404),
        ("random bytes", logs(PROTOBUF, vec![0xFF; 100]), 400),
        ("protobuf cut off", logs(PROTOBUF, &small_protobuf()[..8]), 400),
        ("json as protobuf", logs(PROTOBUF, json.clone()), 400),
        ("protobuf as json", logs(JSON, small_protobuf()), 400),
        ("traces as logs", logs(PROTOBUF, support_traces()), 400),
        ("text that is not UTF-8", logs(PROTOBUF, not_utf8()), 400),
        ("an empty text as json", logs(JSON, ""), 400),
        ("json cut off", logs(JSON, &json[..json.len() - 3]), 400),
        ("json and more", logs(JSON, format!("{json}{json}")), 400),
        ("an array", logs(JSON, "[]"), 400),
        (
            "a body that is a string",
            logs(JSON, logs_json(&[serde_json::json!({"body": "text"})])),
            400,
        ),
        (
            "a time that is a word",
            logs(JSON, logs_json(&[serde_json::json!({"timeUnixNano": "soon"})])),
            400,
        ),
        (
            "a time below zero",
            logs(JSON, logs_json(&[serde_json::json!({"timeUnixNano": -1})])),
            400,
        ),
        ("records that are an object", logs(JSON, r#"{"resourceLogs": {}}"#), 400),
        ("bad gzip", compressed(PROTOBUF, "gzip", small_protobuf()), 400),
        (
            "gzip cut off",
            compressed(PROTOBUF, "gzip", gzip(&small_protobuf())[..15].to_vec()),
            400,
        ),
        ("bad zstd", compressed(PROTOBUF, "zstd", small_protobuf()), 400),
        ("gzip that is not named", logs(PROTOBUF, gzip(&small_protobuf())), 400),
        (
            "a declared length beyond the limit",
            logs(PROTOBUF, "").declaring(MAX_REQUEST_BYTES as u64 + 1),
            413,
        ),
        ("a declared length beyond all", logs(JSON, "").declaring(u64::MAX / 2), 413),
        (
            "a gzip bomb",
            compressed(PROTOBUF, "gzip", gzip(&large_logs(MAX_REQUEST_BYTES))),
            413,
        ),
        (
            "a zstd bomb",
            compressed(PROTOBUF, "zstd", zstd(&vec![0; 16 * MAX_REQUEST_BYTES])),
            413,
        ),
        (
            "a bomb as json",
            compressed(JSON, "gzip", gzip(&vec![b' '; MAX_REQUEST_BYTES + 1])),
            413,
        ),
        (
            "too many records",
            logs(PROTOBUF, many_records(MAX_RECORDS_PER_REQUEST as usize + 1)),
            413,
        ),
        (
            "a page of another site",
            logs(JSON, json.clone()).header("origin", "https://evil.test"),
            403,
        ),
        ("no origin at all", logs(JSON, json.clone()).header("origin", "null"), 403),
        (
            "a page of this machine",
            logs(JSON, json.clone()).header("origin", "http://localhost:3000"),
            200,
        ),
    ];
    assert!(calls.len() >= 40);
    for (what, call, status) in calls {
        let answer = call.send(server.http).await;
        assert_eq!(answer.status, status, "{what}: {:?}", String::from_utf8_lossy(&answer.body));
        assert_eq!(server.status.counts().bytes_in_flight, 0, "{what}");
    }
    assert_eq!(server.status.counts().requests_refused["malformed"], 18);
    server.stop().await;
}

fn support_traces() -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "n".into(),
        start_time_unix_nano: 5,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

fn not_utf8() -> Vec<u8> {
    let mut bytes = small_protobuf();
    let at = bytes.len() - 1;
    bytes[at] = 0xFF;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_carry_a_status_in_the_encoding_of_the_request() {
    let server = Server::plain().await;
    for (call, http_status, code) in [
        (logs(PROTOBUF, vec![0xFF]), 400, Code::InvalidArgument),
        (post("/nowhere", PROTOBUF, ""), 404, Code::Unimplemented),
        (
            HttpCall::new("GET", "/v1/logs", "").header("content-type", PROTOBUF),
            405,
            Code::Unimplemented,
        ),
        (logs(PROTOBUF, "").declaring(u64::MAX / 2), 413, Code::ResourceExhausted),
    ] {
        let answer = call.send(server.http).await;
        assert_eq!((answer.status, answer.header("content-type")), (http_status, Some(PROTOBUF)));
        let status = pb::Status::decode(answer.body.as_slice()).unwrap();
        assert_eq!(status.code, code as i32);
        assert!(!status.message.is_empty());
    }
    for (call, http_status, code) in [
        (logs(JSON, "{"), 400, Code::InvalidArgument),
        (logs("application/json; charset=utf-8", "{"), 400, Code::InvalidArgument),
        (post("/nowhere", JSON, ""), 404, Code::Unimplemented),
        (logs("text/plain", ""), 415, Code::Unimplemented),
    ] {
        let answer = call.send(server.http).await;
        assert_eq!((answer.status, answer.header("content-type")), (http_status, Some(JSON)));
        assert_eq!(answer.json()["code"], code as i32);
        assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    let answer = HttpCall::new("GET", "/v1/logs", "").send(server.http).await;
    assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_each_request_gets_its_class_of_answer() {
    let server = Server::plain().await;
    let small = small_protobuf();
    let path = Signal::Logs.grpc_path();
    let with_encoding = |compression: &str, message: &[u8]| GrpcCall::raw(path, framed(1, message)).header("grpc-encoding", compression);
    let calls: Vec<(&str, GrpcCall, Code)> = vec![
        ("logs", GrpcCall::export(Signal::Logs, &small), Code::Ok),
        ("an empty request", GrpcCall::export(Signal::Logs, b""), Code::Ok),
        ("empty traces", GrpcCall::export(Signal::Traces, b""), Code::Ok),
        ("empty metrics", GrpcCall::export(Signal::Metrics, b""), Code::Ok),
        (
            "another content type of gRPC",
            GrpcCall::export(Signal::Logs, &small).header("content-type", "application/grpc+proto"),
            Code::Ok,
        ),
        ("gzip", with_encoding("gzip", &gzip(&small)), Code::Ok),
        ("zstd", with_encoding("zstd", &zstd(&small)), Code::Ok),
        (
            "gzip named but not used",
            GrpcCall::export(Signal::Logs, &small).header("grpc-encoding", "gzip"),
            Code::Ok,
        ),
        ("a megabyte", GrpcCall::export(Signal::Logs, &large_logs(1 << 20)), Code::Ok),
        ("random bytes", GrpcCall::export(Signal::Logs, &[0xFF; 50]), Code::InvalidArgument),
        (
            "traces as logs",
            GrpcCall::export(Signal::Logs, &support_traces()),
            Code::InvalidArgument,
        ),
        (
            "text that is not UTF-8",
            GrpcCall::export(Signal::Logs, &not_utf8()),
            Code::InvalidArgument,
        ),
        ("no message", GrpcCall::raw(path, vec![]), Code::InvalidArgument),
        ("half a prefix", GrpcCall::raw(path, vec![0, 0]), Code::InvalidArgument),
        (
            "a message cut off",
            GrpcCall::raw(path, framed(0, &small)[..9].to_vec()),
            Code::InvalidArgument,
        ),
        (
            "two messages",
            GrpcCall::raw(path, framed(0, &small).repeat(2)),
            Code::InvalidArgument,
        ),
        ("an unknown flag", GrpcCall::raw(path, framed(2, &small)), Code::InvalidArgument),
        ("bad gzip", with_encoding("gzip", &small), Code::InvalidArgument),
        (
            "compressed without a name",
            GrpcCall::raw(path, framed(1, &gzip(&small))),
            Code::Internal,
        ),
        ("compressed as identity", with_encoding("identity", &gzip(&small)), Code::Internal),
        ("deflate", with_encoding("deflate", &small), Code::Unimplemented),
        (
            "a length beyond the limit",
            GrpcCall::raw(path, [&[0][..], &u32::MAX.to_be_bytes()].concat()),
            Code::ResourceExhausted,
        ),
        (
            "a bomb",
            with_encoding("gzip", &gzip(&large_logs(MAX_REQUEST_BYTES))),
            Code::ResourceExhausted,
        ),
        (
            "too many records",
            GrpcCall::export(Signal::Logs, &many_records(MAX_RECORDS_PER_REQUEST as usize + 1)),
            Code::ResourceExhausted,
        ),
        (
            "an unknown method",
            GrpcCall::raw("/opentelemetry.proto.collector.logs.v1.LogsService/Import", framed(0, b"")),
            Code::Unimplemented,
        ),
        (
            "an unknown service",
            GrpcCall::raw("/grpc.health.v1.Health/Check", framed(0, b"")),
            Code::Unimplemented,
        ),
    ];
    for (what, call, code) in calls {
        let answer = call.send(server.grpc).await;
        assert_eq!(
            (answer.http_status, answer.code),
            (200, Some(code as i32)),
            "{what}: {:?}",
            answer.status
        );
        let status = answer.status.unwrap();
        assert!(status.get_error_details().retry_info().is_none(), "{what} is final");
        if code != Code::Ok {
            let details = pb::Status::decode(status.details()).unwrap();
            assert_eq!((details.code, details.message.as_str()), (code as i32, status.message()));
        }
        assert_eq!(server.status.counts().bytes_in_flight, 0, "{what}");
    }
    for content_type in ["application/json", "application/grpc-web+proto"] {
        let answer = GrpcCall::export(Signal::Logs, &small)
            .header("content-type", content_type)
            .send(server.grpc)
            .await;
        assert_eq!(answer.http_status, 415, "{content_type}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_on_the_port_of_grpc_is_told_of_the_other_port() {
    let server = Server::plain().await;
    for (call, status) in [
        (logs(PROTOBUF, small_protobuf()), 415),
        (logs(JSON, logs_json(&[inference("astray")])), 415),
        (post(Signal::Logs.grpc_path(), PROTOBUF, small_protobuf()), 415),
        (HttpCall::new("POST", "/v1/traces", ""), 415),
        (HttpCall::new("GET", "/", ""), 404),
        (HttpCall::new("GET", Signal::Logs.grpc_path(), ""), 404),
    ] {
        let answer = call.send(server.grpc).await;
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status, "{text}");
        assert!(text.contains("OTLP/HTTP is on the other port"), "{text}");
        assert!(!answer.headers.contains_key("grpc-status"));
    }
    let counts = server.status.counts();
    assert_eq!((counts.requests_refused["not_grpc"], counts.requests_refused["not_found"]), (4, 2));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_request_do_no_harm() {
    let server = Server::plain().await;
    for bytes in [
        &b"GET / HTTP/9.9\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/logs HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense",
    ] {
        for address in [server.http, server.grpc] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut answer))
                .await
                .expect("the connection ends");
            assert!(!answer.starts_with(b"HTTP/1.1 5"), "{:?}", String::from_utf8_lossy(&answer));
        }
    }
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n",
        "y".repeat(200_000)
    );
    assert_eq!(exchange(server.http, head.as_bytes()).await.status, 431);
    assert_eq!(logs(PROTOBUF, small_protobuf()).send(server.http).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_2_as_over_http_1() {
    let server = Server::plain().await;
    let json = logs_json(&[inference("r-1")]).into_bytes();
    for (path, content_type, body, status, answer) in [
        ("/v1/logs", PROTOBUF, small_protobuf(), 200, PROTOBUF),
        ("/v1/logs", JSON, json.clone(), 200, JSON),
        ("/v1/traces", PROTOBUF, Vec::new(), 200, PROTOBUF),
        ("/v1/logs", PROTOBUF, json, 400, PROTOBUF),
        ("/v1/nothing", JSON, Vec::new(), 404, JSON),
        ("/v1/logs", "text/plain", Vec::new(), 415, JSON),
    ] {
        let found = post_over_http_2(server.http, path, content_type, body).await;
        assert_eq!(found, (status, answer.to_owned()), "{path} {content_type}");
    }
    assert_eq!(server.frames().await.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_decide_who_may_send() {
    let grant = |environments: &[&str]| {
        Ok(KeyGrant {
            key_id: "key_1".into(),
            environments: environments.iter().map(|name| (*name).to_owned()).collect(),
            ..KeyGrant::default()
        })
    };
    let keys = TestKeys::from([
        ("good", grant(&[])),
        ("here", grant(&["production"])),
        ("elsewhere", grant(&["staging"])),
        ("reader", Err(KeyRefusal::Scope)),
        ("broken", Err(KeyRefusal::Unavailable)),
    ]);
    let server = Server::start(Setup {
        keys: Some(keys),
        ..Setup::default()
    })
    .await;
    for (n, (key, status, code)) in [
        (None, 401, Code::Unauthenticated),
        (Some("Bearer good"), 200, Code::Ok),
        (Some("bearer good"), 200, Code::Ok),
        (Some("Bearer here"), 200, Code::Ok),
        (Some("Bearer bad"), 401, Code::Unauthenticated),
        (Some("Basic good"), 401, Code::Unauthenticated),
        (Some("good"), 401, Code::Unauthenticated),
        (Some("Bearer reader"), 403, Code::PermissionDenied),
        (Some("Bearer elsewhere"), 403, Code::PermissionDenied),
        (Some("Bearer broken"), 503, Code::Unavailable),
    ]
    .into_iter()
    .enumerate()
    {
        let body = logs_json(&[inference(&format!("r-{n}"))]);
        let mut call = logs(JSON, body.clone());
        let protobuf = server_side_protobuf(&body);
        let mut export = GrpcCall::export(Signal::Logs, &protobuf);
        if let Some(key) = key {
            call = call.header("authorization", key);
            export = export.header("authorization", key);
        }
        assert_eq!(call.send(server.http).await.status, status, "{key:?}");
        assert_eq!(export.send(server.grpc).await.code, Some(code as i32), "{key:?}");
    }
    let with_origin = logs(JSON, logs_json(&[inference("page")])).header("origin", "https://any.test");
    assert_eq!(
        with_origin.header("authorization", "Bearer good").send(server.http).await.status,
        200,
        "the key protects"
    );
    assert!(server.frames().await.iter().all(|frame| frame.key_id == "key_1"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_sends_too_fast_is_told_when_to_come_back() {
    let limited = |key_id: &str, rate| {
        Ok(KeyGrant {
            key_id: key_id.to_owned(),
            rate,
            ..KeyGrant::default()
        })
    };
    let records = KeyRate {
        records_per_second: Some(1),
        bytes_per_second: None,
    };
    let bytes = KeyRate {
        records_per_second: None,
        bytes_per_second: Some(10),
    };
    let keys = TestKeys::from([
        ("records", limited("key_r", records)),
        ("bytes", limited("key_b", bytes)),
        ("free", limited("key_f", KeyRate::default())),
    ]);
    let server = Server::start(Setup {
        keys: Some(keys),
        ..Setup::default()
    })
    .await;
    let send = async |key: &str, n: u32| {
        let batch: Vec<_> = (0..40).map(|i| inference(&format!("{key}-{n}-{i}"))).collect();
        logs(JSON, logs_json(&batch))
            .header("authorization", &format!("Bearer {key}"))
            .send(server.http)
            .await
    };
    for key in ["records", "bytes"] {
        assert_eq!(send(key, 1).await.status, 200, "a batch is taken whole, however large");
        let answer = send(key, 2).await;
        assert_eq!(answer.status, 429, "{key}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((25..=60).contains(&wait), "{key}: {wait} s");
        let export = GrpcCall::export(Signal::Logs, &small_protobuf()).header("authorization", &format!("Bearer {key}"));
        let status = export.send(server.grpc).await.status.unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.get_error_details().retry_info().unwrap().retry_delay.unwrap().as_secs() >= 25);
    }
    for n in 0..3 {
        assert_eq!(send("free", n).await.status, 200);
    }
    assert_eq!(server.status.counts().requests_refused["too_fast"], 4);
    assert_eq!(server.frames().await.len(), 5);
    server.stop().await;
}

/// The protobuf that the collector makes of JSON, by way of a collector.
fn server_side_protobuf(json: &str) -> Vec<u8> {
    let request: opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest = serde_json::from_str(json).unwrap();
    request.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preflights_pass_without_a_key() {
    let preflight = |origin: &str| {
        HttpCall::new("OPTIONS", "/v1/traces", "")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-custom")
    };
    let keys = TestKeys::from([("good", Ok(KeyGrant::default()))]);
    let with_keys = Server::start(Setup {
        keys: Some(keys),
        ..Setup::default()
    })
    .await;
    let answer = preflight("https://shop.example").send(with_keys.http).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, Some("https://shop.example"))
    );
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type,x-custom"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
    with_keys.stop().await;

    let config = CollectorConfig {
        allowed_origins: vec!["https://shop.example".into()],
        ..CollectorConfig::default()
    };
    let open = Server::start(Setup {
        config,
        ..Setup::default()
    })
    .await;
    for (origin, allowed) in [
        ("https://shop.example", true),
        ("http://127.0.0.1:5173", true),
        ("https://evil.test", false),
    ] {
        let answer = preflight(origin).send(open.http).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
    }
    let answer = logs(JSON, "{}").header("origin", "https://shop.example").send(open.http).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    open.stop().await;
}
