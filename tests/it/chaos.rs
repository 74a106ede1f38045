//! Everything at once, under load: a network that cuts, delays, corrupts and repeats, `kill -9` of the product and of
//! its engine, a disk that fills. What was acknowledged is stored, once, compared by id.
//!
//! `DRIFTLEAD_CHAOS_ROUNDS` or `DRIFTLEAD_CHAOS_SECONDS` say how long (`make chaos`), `DRIFTLEAD_CHAOS_SEED` repeats a run.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Mutex;
use tonic::codec::CompressionEncoding;

use crate::support::disk::SmallDisk;
use crate::support::engine::StandaloneEngine;
use crate::support::otlp::{inference, logs_request, now_ns, number};
use crate::support::product::{Product, engine_is_there, signal};
use crate::support::proxy::Proxy;
use crate::support::{eventually, eventually_within};

const MODEL: &str = "chaos";
const HTTP_SENDERS: usize = 2;
const RECORDS_PER_REQUEST: usize = 500;
/// A client and its connections are given up after so many requests: what the network does is chosen by connection.
const REQUESTS_PER_CLIENT: u64 = 16;
/// Acknowledged in each round, at least.
const RECORDS_PER_ROUND: u64 = 50_000;
/// A request that is not answered by then is sent again.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// How long a backlog of some rounds may take to be stored by a build without optimisation.
const DRAIN_PATIENCE: Duration = Duration::from_secs(900);
/// Room of the log's disk, where one can be made.
const LOG_DISK_MIB: u32 = 12;

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

/// What breaks in a round, beside the network.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// `kill -9` of the product and with it of its engine.
    Product,
    /// `kill -9` of the engine.
    Engine,
    /// The engine stands still until the log's disk is full.
    FullDisk,
    /// Nothing.
    Network,
}

/// Senders that go on through every fault: a request without a good answer is sent again, byte for byte, as exporters do.
struct Load {
    running: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<HashSet<String>>>,
    count: Arc<AtomicU64>,
    attempts: Arc<AtomicU64>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(http: &Proxy, grpc: &Proxy) -> Self {
        let mut load = Self {
            running: Arc::new(AtomicBool::new(true)),
            acknowledged: Arc::default(),
            count: Arc::default(),
            attempts: Arc::default(),
            senders: Vec::new(),
        };
        for sender in 0..=HTTP_SENDERS {
            let (running, acknowledged) = (load.running.clone(), load.acknowledged.clone());
            let (count, attempts) = (load.count.clone(), load.attempts.clone());
            let address = if sender == HTTP_SENDERS { &grpc.address } else { &http.address }.clone();
            load.senders.push(tokio::spawn(async move {
                let connect = || match sender {
                    HTTP_SENDERS => Client::grpc(&address),
                    _ => Client::http(&address, sender == 0),
                };
                let mut client = connect();
                for request in 0_u64.. {
                    if request % REQUESTS_PER_CLIENT == 0 {
                        client = connect();
                    }
                    if !running.load(Ordering::Relaxed) {
                        return;
                    }
                    let ids: Vec<_> = (0..RECORDS_PER_REQUEST).map(|i| format!("{sender}-{request}-{i}")).collect();
                    let records = ids
                        .iter()
                        .map(|id| inference(MODEL, "1", id, now_ns(), vec![number("ml.latency_ms", 3.0)]))
                        .collect();
                    let request = logs_request(records);
                    let body = gzip(&request.encode_to_vec());
                    while !client.send(&request, &body).await {
                        attempts.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(PAUSE).await;
                    }
                    acknowledged.lock().await.extend(ids);
                    count.fetch_add(RECORDS_PER_REQUEST as u64, Ordering::Relaxed);
                }
            }));
        }
        load
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits for the last acknowledgements and returns all acknowledged ids.
    async fn stop(self) -> HashSet<String> {
        self.running.store(false, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.unwrap();
        }
        Arc::try_unwrap(self.acknowledged).unwrap().into_inner()
    }
}

/// Both compress: the checksum of gzip is what tells a corrupted body from a good one, since OTLP has none.
enum Client {
    Http(reqwest::Client, String),
    Grpc(LogsServiceClient<tonic::transport::Channel>),
}

impl Client {
    /// With one connection for many requests, or one for each.
    fn http(address: &str, keeps_alive: bool) -> Self {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .pool_max_idle_per_host(usize::from(keeps_alive))
            .build()
            .unwrap();
        Self::Http(client, format!("http://{address}/v1/logs"))
    }

    fn grpc(address: &str) -> Self {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let client = LogsServiceClient::new(endpoint.timeout(PATIENCE).connect_lazy());
        Self::Grpc(client.send_compressed(CompressionEncoding::Gzip))
    }

    async fn send(&mut self, request: &opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest, body: &[u8]) -> bool {
        match self {
            Self::Http(client, url) => {
                let post = client.post(url.as_str()).header("content-type", "application/x-protobuf");
                let answer = post.header("content-encoding", "gzip").body(body.to_vec()).send().await;
                answer.is_ok_and(|answer| answer.status() == 200)
            }
            Self::Grpc(client) => {
                let (mut client, request) = (client.clone(), request.clone());
                // A task of its own: tonic's client panics over details of a status that a corrupted answer holds.
                let export = tokio::spawn(async move { client.export(request).await.is_ok() });
                let answer = tokio::time::timeout(PATIENCE, export).await;
                answer.is_ok_and(|answer| answer.unwrap_or(false))
            }
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_stored_once_whatever_breaks() {
    if !engine_is_there() {
        return;
    }
    let seed = number_of("DRIFTLEAD_CHAOS_SEED").unwrap_or_else(now_ns);
    println!("DRIFTLEAD_CHAOS_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut product = Product::prepare("[log]\nsegment_bytes = 2097152\n");
    let log_folder = product.data().join("log");
    let log_disk = SmallDisk::mount(&log_folder, LOG_DISK_MIB);
    product.start_again().await;
    let (http, grpc) = (
        Proxy::start(&product.otlp_http, random.random()).await,
        Proxy::start(&product.otlp_grpc, random.random()).await,
    );
    let load = Load::start(&http, &grpc);
    let ends_at = number_of("DRIFTLEAD_CHAOS_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let rounds = number_of("DRIFTLEAD_CHAOS_ROUNDS").unwrap_or(5);
    let faults = match log_disk {
        Some(_) => &[Fault::Product, Fault::Engine, Fault::FullDisk, Fault::Product, Fault::Network][..],
        None => &[Fault::Product, Fault::Engine, Fault::Network],
    };
    let mut full = 0;
    for (round, fault) in (0..).zip(faults.iter().cycle()) {
        if ends_at.map_or(round == rounds, |end| Instant::now() >= end) {
            break;
        }
        let until = load.count() + RECORDS_PER_ROUND;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_000))).await;
        match fault {
            Fault::Product => {
                product.kill();
                product.start_again().await;
                http.server_moved(&product.otlp_http).await;
                grpc.server_moved(&product.otlp_grpc).await;
            }
            Fault::Engine => {
                let engine = eventually("the engine runs", async || product.engine_process_id()).await;
                signal(engine, "KILL");
            }
            Fault::FullDisk => {
                let engine = eventually("the engine runs", async || product.engine_process_id()).await;
                signal(engine, "STOP");
                eventually_within(DRAIN_PATIENCE, "the disk is full", async || {
                    product.get("/status").await.filter(|status| status["log"]["full"] == true)
                })
                .await;
                full += 1;
                signal(engine, "CONT");
            }
            Fault::Network => {}
        }
        eventually_within(DRAIN_PATIENCE, "the round's records are acknowledged", async || {
            (load.count() >= until).then_some(())
        })
        .await;
    }
    http.behave();
    grpc.behave();
    let attempts = load.attempts.load(Ordering::Relaxed);
    let acknowledged = load.stop().await;
    let stored = assert_stored_once(&mut product, &acknowledged).await;
    println!(
        "{} acknowledged, {stored} stored, 0 lost, 0 doubled; {attempts} requests sent again, disk full {full} times; HTTP {:?}, gRPC {:?}",
        acknowledged.len(),
        http.faults,
        grpc.faults
    );
    // Before the folder that it lies in is removed.
    drop(log_disk);
}

/// Asks the engine itself: after an hour there are millions, and the API lists a page at a time.
async fn assert_stored_once(product: &mut Product, acknowledged: &HashSet<String>) -> usize {
    eventually_within(DRAIN_PATIENCE, "the log is drained", async || {
        product.get("/status").await.filter(|status| status["drain"]["backlog_bytes"] == 0)
    })
    .await;
    product.stop().await;
    let engine = StandaloneEngine::start_on(&product.data().join("engine"));
    let clickhouse = engine.connect();
    let listed = format!("SELECT request_id FROM whole_inferences WHERE model = '{MODEL}' AND partial = 0");
    let stored: Vec<String> = clickhouse.writer().query(&listed).fetch_all().await.unwrap();
    let different: HashSet<&String> = stored.iter().collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !different.contains(id)).take(5).collect();
    assert!(
        lost.is_empty() && different.len() == stored.len(),
        "lost {lost:?}, {} doubled, of {}",
        stored.len() - different.len(),
        acknowledged.len()
    );
    assert_eq!(stored.len(), acknowledged.len(), "nothing is stored that nobody was told of");
    let raw = "SELECT count(), uniqExact(LogAttributes['ml.request.id']) FROM otel_logs";
    let (rows, ids): (u64, u64) = clickhouse.writer().query(raw).fetch_one().await.unwrap();
    assert_eq!(
        (rows, ids),
        (stored.len() as u64, stored.len() as u64),
        "raw log records and their ids"
    );
    stored.len()
}
