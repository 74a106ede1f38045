//! A collector on real sockets over a real log, and clients that can send what no library would.

#![allow(dead_code)]

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use driftlead_collector::{CollectorConfig, CollectorStatus, Decoder, KeyChecker, KeyGrant, KeyRefusal, Listeners, RedactConfig, Signal};
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::drain::Decode;
use driftlead_store::records::Decoded;
use driftlead_store::state::key_rates::RateLimiter;
use driftlead_store::wal::{Frame, Log, LogConfig, Position};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// When the tests' requests are received.
pub const NOW: UnixNanos = UnixNanos(1_760_000_000_000_000_000);

/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server is set up.
#[derive(Default)]
pub struct Setup {
    pub config: CollectorConfig,
    pub keys: Option<TestKeys>,
    pub max_log_bytes: Option<u64>,
}

/// Keys by their text, and what each sent.
#[derive(Default)]
pub struct TestKeys {
    keys: HashMap<&'static str, Result<KeyGrant, KeyRefusal>>,
    rates: RateLimiter,
}

impl<const N: usize> From<[(&'static str, Result<KeyGrant, KeyRefusal>); N]> for TestKeys {
    fn from(keys: [(&'static str, Result<KeyGrant, KeyRefusal>); N]) -> Self {
        Self {
            keys: keys.into(),
            rates: RateLimiter::default(),
        }
    }
}

impl KeyChecker for TestKeys {
    fn check<'a>(&'a self, key: Option<&'a str>) -> BoxFuture<'a, Result<KeyGrant, KeyRefusal>> {
        let verdict = match key {
            None if self.keys.is_empty() => Ok(KeyGrant::default()),
            None => Err(KeyRefusal::Missing),
            Some(key) => self.keys.get(key).cloned().unwrap_or(Err(KeyRefusal::Unknown)),
        };
        let verdict = verdict.and_then(|grant| match self.rates.check(&grant.key_id, grant.rate, Instant::now()) {
            Ok(()) => Ok(grant),
            Err(wait) => Err(KeyRefusal::TooFast { wait }),
        });
        Box::pin(async { verdict })
    }

    fn keys_required(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { !self.keys.is_empty() })
    }

    fn charge(&self, grant: &KeyGrant, records: u64, bytes: u64) {
        self.rates.charge(&grant.key_id, grant.rate, records, bytes, Instant::now());
    }
}

/// A running collector.
pub struct Server {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub log: Log,
    pub status: CollectorStatus,
    pub clock: Clock,
    token: CancellationToken,
    task: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Server {
    pub async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW);
        let log_config = LogConfig {
            max_bytes: setup.max_log_bytes,
            ..LogConfig::new(directory.path())
        };
        let log = Log::open(log_config, clock.clone()).unwrap();
        let listeners = Listeners {
            grpc: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            http: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        let (grpc, http) = (listeners.grpc.local_addr().unwrap(), listeners.http.local_addr().unwrap());
        let (status, token) = (CollectorStatus::default(), CancellationToken::new());
        let keys: Arc<dyn KeyChecker> = Arc::new(setup.keys.unwrap_or_default());
        let run = driftlead_collector::run(
            listeners,
            setup.config,
            log.clone(),
            keys,
            status.clone(),
            clock.clone(),
            token.clone(),
        );
        let task = tokio::spawn(async move { run.await.unwrap() });
        Self {
            http,
            grpc,
            log,
            status,
            clock,
            token,
            task,
            _directory: directory,
        }
    }

    /// Keeps texts, so that the client's bytes pass through.
    pub async fn plain() -> Self {
        let redact = RedactConfig {
            attributes: vec![],
            keep_text: true,
            ..RedactConfig::default()
        };
        Self::start(Setup {
            config: CollectorConfig {
                redact,
                ..CollectorConfig::default()
            },
            ..Setup::default()
        })
        .await
    }

    /// Every frame in the log.
    pub async fn frames(&self) -> Vec<Frame> {
        let mut reader = self.log.reader(Position::default());
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_ready().await.unwrap() {
            frames.push(frame);
        }
        frames
    }

    /// Every frame, decoded.
    pub async fn decoded(&self) -> Vec<Decoded> {
        self.frames().await.iter().map(|frame| Decoder::default().decode(frame)).collect()
    }

    /// Stops and waits for the requests that were begun.
    pub async fn stop(self) {
        self.token.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the collector stops")
            .unwrap();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl HttpAnswer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?} is no JSON", String::from_utf8_lossy(&self.body)))
    }
}

/// A request over HTTP/1.1, written by hand.
pub struct HttpCall {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    declared: Option<u64>,
}

impl HttpCall {
    pub fn post(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path, body).header("content-type", content_type)
    }

    pub fn new(method: &'static str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: vec![],
            body: body.into(),
            declared: None,
        }
    }

    pub fn protobuf(signal: Signal, body: impl Into<Vec<u8>>) -> Self {
        Self::post(signal.http_path(), "application/x-protobuf", body)
    }

    pub fn json(signal: Signal, body: impl Into<Vec<u8>>) -> Self {
        Self::post(signal.http_path(), "application/json", body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Declares another length than the body has.
    pub fn declaring(mut self, length: u64) -> Self {
        self.declared = Some(length);
        self
    }

    pub async fn send(self, address: SocketAddr) -> HttpAnswer {
        exchange(address, &self.into_bytes()).await
    }

    /// The request as it goes over the wire.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = self.headers.iter().any(|(name, _)| name == "transfer-encoding");
        if !chunked {
            head.push_str(&format!("content-length: {}\r\n", self.declared.unwrap_or(self.body.len() as u64)));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend(&self.body);
        request
    }
}

/// A request over HTTP/2 without TLS, as clients send it that know that it is spoken; its status and content type.
pub async fn post_over_http_2(address: SocketAddr, path: &str, content_type: &str, body: Vec<u8>) -> (u16, String) {
    let exchange = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut client = client.ready().await.unwrap();
        let request = Request::post(format!("http://localhost{path}")).header("content-type", content_type);
        let (response, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
        let _ = sending.send_data(body.into(), true);
        let parts = response.await.unwrap().into_parts().0;
        let content_type = parts.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        (parts.status.as_u16(), content_type.unwrap_or_default())
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("an answer comes")
}

/// Sends bytes and reads the answer until the server closes.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> HttpAnswer {
    let stream = TcpStream::connect(address).await.unwrap();
    parse(&exchange_over(stream, request).await)
}

/// The same over a connection that stands.
pub async fn exchange_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Vec<u8> {
    let answer = tokio::time::timeout(PATIENCE, async {
        // A server that refuses early may close before everything is written.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    });
    answer.await.expect("an answer comes")
}

pub fn parse(answer: &[u8]) -> HttpAnswer {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has headers");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    HttpAnswer {
        status,
        headers,
        body: answer[end + 4..].to_vec(),
    }
}

/// An answer over gRPC: its status is in the headers or in the trailers.
#[derive(Debug)]
pub struct GrpcAnswer {
    pub http_status: u16,
    pub code: Option<i32>,
    pub status: Option<tonic::Status>,
    pub headers: HeaderMap,
    pub message: Bytes,
}

/// A unary call over HTTP/2, written by hand.
pub struct GrpcCall {
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl GrpcCall {
    /// One message in its frame.
    pub fn export(signal: Signal, message: &[u8]) -> Self {
        Self::raw(signal.grpc_path(), framed(0, message))
    }

    /// Whatever bytes.
    pub fn raw(path: &str, body: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            headers: vec![("content-type", "application/grpc".to_owned()), ("te", "trailers".to_owned())],
            body,
        }
    }

    /// Sets a header, in place of what is there.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub async fn send(self, address: SocketAddr) -> GrpcAnswer {
        self.send_over(TcpStream::connect(address).await.unwrap()).await
    }

    /// The same over a connection that stands.
    pub async fn send_over(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> GrpcAnswer {
        tokio::time::timeout(PATIENCE, self.exchange(stream))
            .await
            .expect("an answer comes")
    }

    async fn exchange(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> GrpcAnswer {
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut client = client.ready().await.unwrap();
        let mut request = Request::post(format!("http://localhost{}", self.path));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let (response, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
        // A server that refuses early resets the stream before everything is sent.
        let _ = body.send_data(self.body.into(), true);
        let (parts, mut body) = response.await.unwrap().into_parts();
        let mut received = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            let _ = body.flow_control().release_capacity(data.len());
            received.extend_from_slice(&data);
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let source = if parts.headers.contains_key("grpc-status") {
            &parts.headers
        } else {
            &trailers
        };
        GrpcAnswer {
            http_status: parts.status.as_u16(),
            code: source.get("grpc-status").map(|code| code.to_str().unwrap().parse().unwrap()),
            status: tonic::Status::from_header_map(source),
            message: Bytes::from(received).slice_from(5),
            headers: parts.headers,
        }
    }
}

trait SliceFrom {
    fn slice_from(self, at: usize) -> Self;
}

impl SliceFrom for Bytes {
    fn slice_from(self, at: usize) -> Self {
        if self.len() >= at { self.slice(at..) } else { Self::new() }
    }
}

/// A message in gRPC's frame.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![flag];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Logs of one service as JSON, a minute before [`NOW`].
pub fn logs_json(records: &[serde_json::Value]) -> String {
    serde_json::json!({"resourceLogs": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "deployment.environment.name", "value": {"stringValue": "production"}},
        ]},
        "scopeLogs": [{"logRecords": records}],
    }]})
    .to_string()
}

/// An inference as a log record in JSON.
pub fn inference(request_id: &str) -> serde_json::Value {
    serde_json::json!({
        "timeUnixNano": (NOW.0 - 60_000_000_000).to_string(),
        "eventName": "ml.inference",
        "attributes": [
            {"key": "ml.model.name", "value": {"stringValue": "employment"}},
            {"key": "ml.request.id", "value": {"stringValue": request_id}},
            {"key": "ml.feature.AGEP", "value": {"intValue": "44"}},
        ],
    })
}

/// Bytes that take little when compressed: a request with one log of this many bytes.
pub fn large_logs(body_bytes: usize) -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message;
    let record = LogRecord {
        body: Some(AnyValue {
            value: Some(Value::StringValue("x".repeat(body_bytes))),
        }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs {
        log_records: vec![record],
        ..ScopeLogs::default()
    }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs,
            ..ResourceLogs::default()
        }],
    }
    .encode_to_vec()
}
