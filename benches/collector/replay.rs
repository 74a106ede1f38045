//! From the log to ClickHouse: how fast what has piled up is read, decoded and stored, and what a record takes on disk.

use std::sync::Arc;
use std::time::Instant;

use driftlead_store::clock::Clock;
use driftlead_store::wal::{Log, LogConfig, Position};

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load;
use crate::measuring::process::cpu_seconds;
use crate::measuring::requests::{MODEL, Requests, Shape};
use crate::measuring::settings::Settings;
use crate::measuring::support::engine::StandaloneEngine;
use crate::measuring::support::product::Product;
use crate::measuring::wait;
use crate::throughput::NO_DATABASE;

const SHAPE: Shape = Shape::new(1_000, false);

/// Measures one load twice: stored as it comes, and stored after it has piled up.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("replay");
    scene.note(
        "Live: eight connections send as fast as they are answered, and the clock stops when everything is stored. Replay: the \
         same load was acknowledged while the database was away, the product is killed and started again; the clock runs from \
         the answer of the database until everything is stored, once.",
    );
    let records = settings.load_records();
    let requests = tokio::task::spawn_blocking(move || Requests::make(SHAPE, records));
    let requests = Arc::new(requests.await.expect("requests are made"));
    let live = live(&requests, settings.seconds).await;

    let mut product = Product::start(NO_DATABASE).await;
    let sent = load::send(&product.otlp_http, &requests, settings.seconds).await;
    let status = product.get("/status").await.expect("a status");
    let log_bytes = status["log"]["bytes"].as_f64().expect("bytes of the log");
    product.kill();
    scene.add(
        Figure::new("read from the log again", read(&product, sent.records).await, "records/s")
            .beside("acknowledged, database away", sent.records_per_second()),
    );

    product.configure("");
    product.start_again().await;
    wait::until_up(&product).await;
    let (serve, engine) = (product.process_id(), product.engine_process_id().expect("the engine runs"));
    let (began, before) = (Instant::now(), (cpu_seconds(serve), cpu_seconds(engine)));
    let stored_before = product
        .get(&format!("/models/{MODEL}/inferences?limit=1"))
        .await
        .and_then(|page| page["total"].as_u64())
        .unwrap_or(0);
    wait::until_stored(&product, MODEL, sent.records).await;
    let replayed = (sent.records - stored_before) as f64;
    let cpu = (cpu_seconds(serve) - before.0, cpu_seconds(engine) - before.1);
    scene.add(
        Figure::new("stored from a backlog", replayed / began.elapsed().as_secs_f64(), "records/s")
            .beside("stored live, while it comes", live),
    );
    scene.add(Figure::new("the same per second of serve's CPU", replayed / cpu.0, "records/CPU s"));
    scene.add(Figure::new(
        "the same with the engine's CPU",
        replayed / (cpu.0 + cpu.1),
        "records/CPU s",
    ));
    product.stop().await;
    let wire_bytes = requests.plain_bytes as f64 / SHAPE.records as f64;
    let of_log = log_bytes / sent.records as f64;
    scene.add(Figure::new("bytes in the log", of_log, "bytes/record").beside("as sent, not compressed", wire_bytes));
    let stored = stored_bytes(&product).await / sent.records as f64;
    scene.add(Figure::new("bytes in ClickHouse, all tables", stored, "bytes/record").beside("as sent, not compressed", wire_bytes));
    scene
}

/// Records a second, from the first request until everything is stored.
async fn live(requests: &Arc<Requests>, seconds: u64) -> f64 {
    let mut product = Product::start("").await;
    wait::until_up(&product).await;
    let began = Instant::now();
    let sent = load::send(&product.otlp_http, requests, seconds).await;
    wait::until_stored(&product, MODEL, sent.records).await;
    let rate = sent.records as f64 / began.elapsed().as_secs_f64();
    product.stop().await;
    rate
}

/// Reads every frame of a product's log, as its drain does; records a second.
async fn read(product: &Product, records: u64) -> f64 {
    let config = LogConfig {
        max_bytes: None,
        ..LogConfig::new(product.data().join("log"))
    };
    let log = Log::open(config, Clock::System).expect("the log opens");
    let began = Instant::now();
    let mut reader = log.reader(Position::default());
    let mut bytes = 0;
    while let Some(frame) = reader.next_ready().await.expect("the log is read") {
        bytes += frame.payload.len();
    }
    assert!(bytes > 0, "there are frames in the log");
    let seconds = began.elapsed().as_secs_f64();
    log.close().await;
    records as f64 / seconds
}

/// Bytes of all parts of the product's tables.
async fn stored_bytes(product: &Product) -> f64 {
    let engine = StandaloneEngine::start_on(&product.data().join("engine"));
    let query = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()";
    let bytes: u64 = engine.connect().writer().query(query).fetch_one().await.expect("a sum");
    bytes as f64
}
