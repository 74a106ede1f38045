//! What the machine itself takes for the same bytes: the least that any receiver could cost, step by step.

use std::hint::black_box;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;

use crate::measuring::disk;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load;
use crate::measuring::process::cpu_seconds;
use crate::measuring::requests::{Requests, Shape};
use crate::measuring::settings::Settings;
use crate::measuring::support::product::Product;
use crate::throughput::NO_DATABASE;

/// Argument that makes this program the server that drops what it is sent.
pub const SINK: &str = "--sink";
/// As large as the log's buffer.
const BUFFER_BYTES: usize = 256 << 10;
/// A step repeats until it has taken so long.
const STEP: Duration = Duration::from_secs(1);

/// Measures each step alone, one thread, and then the product.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("limits");
    scene.note(
        "Nanoseconds of CPU a record, each step alone on the same requests, beside the product's whole way from the socket to \
         the log with its fsync (database away).",
    );
    for shape in Shape::ALL {
        eprintln!("   {shape}");
        let records = settings.load_records();
        let requests = tokio::task::spawn_blocking(move || Requests::make(shape, records));
        measure_shape(&mut scene, &settings, Arc::new(requests.await.expect("requests are made"))).await;
    }
    scene
}

async fn measure_shape(scene: &mut Scene, settings: &Settings, requests: Arc<Requests>) {
    let (shape, seconds) = (requests.shape, settings.seconds);
    let product = product(&requests, seconds).await;
    let sink = sink(&requests, seconds).await;
    let for_steps = requests.clone();
    let steps = tokio::task::spawn_blocking(move || steps(&for_steps));
    let mut add = |name: &str, nanos: f64| {
        scene.add(Figure::new(format!("{name}, {shape}"), nanos, "ns/record").beside("the product, log only", product));
    };
    add("HTTP alone: a server that drops what it reads", sink);
    for (name, nanos) in steps.await.expect("the steps are measured") {
        add(name, nanos);
    }
    let disk = tokio::task::spawn_blocking(move || disk::measure(&requests, seconds.min(5)));
    let disk = disk.await.expect("the disk is measured");
    add("write and fdatasync of eight requests", disk.cpu_seconds * 1e9 / disk.records);
}

async fn product(requests: &Arc<Requests>, seconds: u64) -> f64 {
    let mut product = Product::start(NO_DATABASE).await;
    let before = cpu_seconds(product.process_id());
    let sent = load::send(&product.otlp_http, requests, seconds).await;
    let used = cpu_seconds(product.process_id()) - before;
    product.kill();
    used * 1e9 / sent.records as f64
}

async fn sink(requests: &Arc<Requests>, seconds: u64) -> f64 {
    let sink = Sink::start();
    let before = cpu_seconds(sink.child.id());
    let sent = load::send(&sink.address, requests, seconds).await;
    (cpu_seconds(sink.child.id()) - before) * 1e9 / sent.records as f64
}

fn steps(requests: &Requests) -> Vec<(&'static str, f64)> {
    let mut steps = Vec::new();
    let plain: Vec<Vec<u8>> = requests
        .bodies
        .iter()
        .take(500)
        .map(|body| inflated(requests.shape, body))
        .collect();
    if requests.shape.gzip {
        let body = |n: usize| black_box(inflated(requests.shape, &requests.bodies[n]).len());
        steps.push(("inflate", nanos_a_record(requests, plain.len(), body)));
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    steps.push((
        "memcpy into the log's buffer",
        nanos_a_record(requests, plain.len(), |n| {
            for part in plain[n].chunks(BUFFER_BYTES) {
                buffer[..part.len()].copy_from_slice(part);
            }
            black_box(buffer[0] as usize)
        }),
    ));
    let each = |of: fn(&[u8]) -> usize| nanos_a_record(requests, plain.len(), |n| of(&plain[n]));
    steps.push(("CRC32C", each(|body| crc32c::crc32c(body) as usize)));
    steps.push((
        "hash of the content (XXH3, 128 bits)",
        each(|body| xxhash_rust::xxh3::xxh3_128(body) as usize),
    ));
    steps.push((
        "decode with prost, which allocates",
        each(|body| ExportLogsServiceRequest::decode(body).expect("a request").resource_logs.len()),
    ));
    steps
}

fn nanos_a_record(requests: &Requests, bodies: usize, mut step: impl FnMut(usize) -> usize) -> f64 {
    let (began, mut done) = (Instant::now(), 0_usize);
    while began.elapsed() < STEP {
        black_box(step(done % bodies));
        done += 1;
    }
    began.elapsed().as_secs_f64() * 1e9 / (done * requests.shape.records) as f64
}

fn inflated(shape: Shape, body: &[u8]) -> Vec<u8> {
    if !shape.gzip {
        return body.to_vec();
    }
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).expect("gzip");
    plain
}

/// A process of this program that takes requests and drops them.
struct Sink {
    child: Child,
    address: String,
}

impl Sink {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(SINK)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sink starts");
        let mut address = String::new();
        let output = child.stdout.take().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut address).expect("its address");
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the sink's process does until it is killed.
pub async fn run_sink() {
    let router = Router::new()
        .route("/v1/logs", post(async |body: Bytes| drop(body)))
        .layer(DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    axum::serve(listener, router).await.expect("the sink serves");
}
