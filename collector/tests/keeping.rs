//! What is acknowledged is in the log, once, and as it should be.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use driftlead_collector::redact::REDACTED;
use driftlead_collector::{CollectorConfig, RedactConfig, Signal};
use driftlead_store::wal::FrameKind;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use support::{GrpcCall, HttpCall, NOW, Server, Setup, gzip, inference, large_logs, logs_json};

fn protobuf_of(json: &str) -> Vec<u8> {
    serde_json::from_str::<ExportLogsServiceRequest>(json).unwrap().encode_to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_bytes_reach_the_log_untouched() {
    let server = Server::plain().await;
    let mut body = protobuf_of(&logs_json(&[inference("r-1")]));
    // A field that this version does not know.
    body.extend([0xF8, 0x07, 0x01]);
    assert_eq!(HttpCall::protobuf(Signal::Logs, body.clone()).send(server.http).await.status, 200);
    let frames = server.frames().await;
    assert_eq!(frames.len(), 1);
    assert_eq!(
        (frames[0].kind, frames[0].received_time, frames[0].payload.as_ref()),
        (FrameKind::Logs, NOW, body.as_slice())
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_gives_the_same_records() {
    let json = logs_json(&[inference("r-1"), inference("r-2")]);
    let protobuf = protobuf_of(&json);
    let mut decoded = Vec::new();
    for way in 0..6 {
        let server = Server::plain().await;
        let code = match way {
            0 => HttpCall::json(Signal::Logs, json.clone()).send(server.http).await.status,
            1 => {
                HttpCall::json(Signal::Logs, gzip(json.as_bytes()))
                    .header("content-encoding", "gzip")
                    .send(server.http)
                    .await
                    .status
            }
            2 => HttpCall::protobuf(Signal::Logs, protobuf.clone()).send(server.http).await.status,
            3 => {
                HttpCall::protobuf(Signal::Logs, support::zstd(&protobuf))
                    .header("content-encoding", "zstd")
                    .send(server.http)
                    .await
                    .status
            }
            4 => GrpcCall::export(Signal::Logs, &protobuf).send(server.grpc).await.http_status,
            _ => {
                let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc))
                    .unwrap()
                    .connect()
                    .await
                    .unwrap();
                let mut client = LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
                let request = ExportLogsServiceRequest::decode(protobuf.as_slice()).unwrap();
                let response = client.export(Request::new(request)).await.unwrap().into_inner();
                assert_eq!(response, ExportLogsServiceResponse::default());
                200
            }
        };
        assert_eq!(code, 200);
        decoded.push(server.decoded().await.remove(0));
        server.stop().await;
    }
    assert_eq!(decoded[0].halves.len(), 2);
    assert!(decoded.iter().all(|one| *one == decoded[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_is_kept_once_and_answered_alike() {
    let server = Server::plain().await;
    let body = logs_json(&[inference("r-1"), json!({"traceId": "abcd"})]);
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = HttpCall::json(Signal::Logs, body.clone()).send(server.http).await;
        assert_eq!(answer.status, 200);
        answers.push(answer.json());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0]["partialSuccess"]["rejectedLogRecords"], "1");
    assert_eq!(server.frames().await.len(), 1);
    let counts = server.status.counts();
    assert_eq!(
        (
            counts.requests_accepted,
            counts.requests_repeated,
            counts.services["shop"].log_records
        ),
        (3, 2, 1)
    );
    // An hour later it is new.
    server.clock.set(NOW.plus_seconds(3_600));
    assert_eq!(HttpCall::json(Signal::Logs, body).send(server.http).await.status, 200);
    assert_eq!(server.frames().await.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_with_wrong_ids_are_refused_alone() {
    let server = Server::plain().await;
    let (trace, span) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    let records = json!([
        inference("good"),
        {"traceId": "5b8e", "spanId": span},
        {"traceId": trace, "spanId": "zz"},
        {"traceId": "0".repeat(32), "spanId": "0".repeat(16)},
    ]);
    let answer = HttpCall::json(Signal::Logs, logs_json(records.as_array().unwrap()))
        .send(server.http)
        .await;
    assert_eq!(
        (answer.status, answer.json()["partialSuccess"]["rejectedLogRecords"].as_str()),
        (200, Some("2"))
    );
    assert!(
        answer.json()["partialSuccess"]["errorMessage"]
            .as_str()
            .unwrap()
            .starts_with("2 records")
    );
    let spans = json!({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": trace, "spanId": span, "name": "good", "startTimeUnixNano": NOW.0.to_string()},
        {"traceId": trace, "name": "no span id"},
        {"traceId": trace, "spanId": span, "parentSpanId": "ee", "name": "odd parent"},
    ]}]}]});
    let spans: Vec<u8> = {
        // The exact bytes of odd ids cannot be written by serde types that refuse them, so JSON goes in.
        let answer = HttpCall::json(Signal::Traces, spans.to_string()).send(server.http).await;
        assert_eq!(
            (answer.status, answer.json()["partialSuccess"]["rejectedSpans"].as_str()),
            (200, Some("2"))
        );
        server.frames().await.remove(1).payload.to_vec()
    };
    let answer = GrpcCall::export(Signal::Traces, &spans).send(server.grpc).await;
    let partial = ExportTraceServiceResponse::decode(answer.message).unwrap().partial_success.unwrap();
    assert_eq!((answer.code, partial.rejected_spans), (Some(0), 2));
    let decoded = server.decoded().await;
    assert_eq!((decoded[0].logs.len(), decoded[1].spans.len()), (2, 1));
    assert_eq!(
        (decoded[0].cut.as_slice(), decoded[1].cut.as_slice()),
        (&[("invalid_ids", 2)][..], &[("invalid_ids", 2)][..])
    );
    // A request of which nothing is kept needs no frame.
    let nothing = logs_json(&[json!({"traceId": "5b8e"})]);
    assert_eq!(HttpCall::json(Signal::Logs, nothing).send(server.http).await.status, 200);
    assert_eq!(server.frames().await.len(), decoded.len());
    assert_eq!(server.status.counts().services["shop"].refused["invalid_ids"], 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_redacted_reaches_the_log() {
    let redact = RedactConfig {
        attributes: vec!["user.*".into(), "deployment.environment.name".into()],
        keep_text: false,
        ..RedactConfig::default()
    };
    let server = Server::start(Setup {
        config: CollectorConfig {
            redact,
            ..CollectorConfig::default()
        },
        ..Setup::default()
    })
    .await;
    let record = json!({"attributes": [
        {"key": "ml.model.name", "value": {"stringValue": "m"}},
        {"key": "ml.input.text", "value": {"stringValue": "top secret words"}},
        {"key": "user.email", "value": {"stringValue": "ada@example.org"}},
    ]});
    for call in [
        HttpCall::json(Signal::Logs, logs_json(std::slice::from_ref(&record))),
        HttpCall::protobuf(Signal::Logs, protobuf_of(&logs_json(&[record]))),
    ] {
        assert_eq!(call.send(server.http).await.status, 200);
    }
    let frames = server.frames().await;
    assert_eq!(frames.len(), 2);
    for frame in frames {
        for secret in ["top secret", "ada@example", "production"] {
            assert!(
                !frame.payload.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{secret}"
            );
        }
    }
    for decoded in server.decoded().await {
        assert_eq!(
            (decoded.halves[0].input_length, decoded.halves[0].environment.as_deref()),
            (Some(16), Some(REDACTED))
        );
    }
    assert_eq!(server.status.counts().requests_redacted, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_is_worth_another_try() {
    let server = Server::start(Setup {
        max_log_bytes: Some(4 << 20),
        ..Setup::default()
    })
    .await;
    let mut refused = None;
    for n in 0..16 {
        let answer = HttpCall::protobuf(Signal::Logs, large_logs(900_000 + n)).send(server.http).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.expect("a log of 4 MiB is full before 16 MiB");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    let answer = GrpcCall::export(Signal::Logs, &large_logs(900_100)).send(server.grpc).await;
    let status = answer.status.unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.get_error_details().retry_info().unwrap().retry_delay,
        Some(Duration::from_secs(5))
    );
    let json = HttpCall::json(Signal::Logs, logs_json(&vec![inference("r"); 20_000]))
        .send(server.http)
        .await;
    assert_eq!((json.status, json.json()["details"][0]["retryDelay"].as_str()), (503, Some("5s")));
    let counts = server.status.counts();
    assert_eq!(
        (counts.requests_refused["log_full"], counts.services["shop"].refused["log_full"]),
        (3, 20_000)
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_were_begun_before_a_stop_are_answered() {
    let server = Server::plain().await;
    let body = protobuf_of(&logs_json(&[inference("last")]));
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..5]).await.unwrap();
    while server.status.counts().bytes_in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let (log, http) = (server.log.clone(), server.http);
    let stopping = tokio::spawn(server.stop());
    while TcpStream::connect(http).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.write_all(&body[5..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer));
    stopping.await.unwrap();
    assert_eq!(log.status().frames, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_lose_nothing() {
    const CLIENTS: usize = 16;
    const REQUESTS: usize = 25;
    let server = Server::plain().await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (http, grpc) = (server.http, server.grpc);
            tokio::spawn(async move {
                for request in 0..REQUESTS {
                    let json = logs_json(&[inference(&format!("{client}-{request}"))]);
                    if client % 2 == 0 {
                        assert_eq!(HttpCall::json(Signal::Logs, json).send(http).await.status, 200);
                    } else {
                        assert_eq!(GrpcCall::export(Signal::Logs, &protobuf_of(&json)).send(grpc).await.code, Some(0));
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let mut ids: Vec<String> = server
        .decoded()
        .await
        .into_iter()
        .flat_map(|decoded| decoded.halves)
        .map(|half| half.request_id)
        .collect();
    ids.sort();
    let mut expected: Vec<String> = (0..CLIENTS)
        .flat_map(|client| (0..REQUESTS).map(move |request| format!("{client}-{request}")))
        .collect();
    expected.sort();
    assert_eq!(ids, expected);
    let counts = server.status.counts();
    assert_eq!(
        (counts.services["shop"].log_records, counts.bytes_in_flight),
        ((CLIENTS * REQUESTS) as u64, 0)
    );
    server.stop().await;
}
