//! Acknowledged records: per second beside the disk, and per second of CPU beside rotel.
//!
//! Three ways, with the same requests: the product as it is, until everything is stored; the product while its
//! database is away, when it only receives, makes durable and indexes errors; rotel into an engine of the same build
//! and rotel into nothing, which receives and decodes and promises nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::measuring::disk;
use crate::measuring::engine::Engine;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load::{self, CONNECTIONS, Sent};
use crate::measuring::process::cpu_seconds;
use crate::measuring::quantile::quantile;
use crate::measuring::requests::{MODEL, Requests, Shape};
use crate::measuring::rotel::{self, Exporter, Rotel};
use crate::measuring::settings::Settings;
use crate::measuring::support::product::Product;
use crate::measuring::wait;

/// The disk is quick to tell.
const DISK_SECONDS: u64 = 5;
/// A database that is away: nothing listens on the discard port.
pub const NO_DATABASE: &str = "[clickhouse]\nurl = \"http://127.0.0.1:9\"\n";
/// A peer that has stored nothing more for this long will not store the rest.
const STALLED: Duration = Duration::from_secs(10);

/// Seconds of CPU that were used for a load, by process.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Records for which it was used.
    records: u64,
    /// By the receiver.
    receiver: f64,
    /// By the engine, where there is one.
    engine: f64,
}

impl Cost {
    fn per_core_of_receiver(self) -> f64 {
        self.records as f64 / self.receiver.max(f64::EPSILON)
    }

    fn per_core_of_both(self) -> f64 {
        self.records as f64 / (self.receiver + self.engine).max(f64::EPSILON)
    }
}

/// Measures all shapes.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("throughput");
    let rotel = rotel::program();
    if rotel.is_none() {
        scene.note("rotel is not beside these figures: scripts/bench installs it where its package and libpython3 are to be had");
    }
    scene.note(format!(
        "Inferences with 16 features, a prediction and a latency, sent over OTLP/HTTP by {CONNECTIONS} connections that share the \
         machine with what they measure; seconds of CPU until everything is stored, once, compared by count. \"Log only\": the \
         database is away, so requests are received, made durable and looked through for errors. The disk: the same bytes, one \
         fdatasync for {CONNECTIONS} requests."
    ));
    let records = settings.load_records();
    for shape in Shape::ALL {
        eprintln!("   {shape}");
        let requests = tokio::task::spawn_blocking(move || Requests::make(shape, records));
        let requests = Arc::new(requests.await.expect("requests are made"));
        measure_shape(&mut scene, &settings, rotel.as_ref(), &requests).await;
    }
    scene
}

async fn measure_shape(scene: &mut Scene, settings: &Settings, rotel: Option<&PathBuf>, requests: &Arc<Requests>) {
    let shape = requests.shape;
    let seconds = settings.seconds;
    let for_disk = requests.clone();
    let disk = tokio::task::spawn_blocking(move || disk::measure(&for_disk, seconds.min(DISK_SECONDS)));
    let disk = disk.await.expect("the disk is measured");
    let (sent, stored, drain_seconds) = product_until_stored(requests, seconds).await;
    let (_, log_only) = product_without_database(requests, seconds).await;
    let (mut into_engine, mut into_nothing) = (None, None);
    if let Some(program) = rotel {
        into_engine = rotel_into_engine(scene, program, requests, seconds).await;
        into_nothing = Some(rotel_into_nothing(program, requests, seconds).await);
    }
    scene.add(
        Figure::new(
            format!("acknowledged records per second, {shape}"),
            sent.records_per_second(),
            "records/s",
        )
        .beside("disk", disk.records_per_second),
    );
    scene.add(
        Figure::new(
            format!("to an acknowledgement, p95, {shape}"),
            quantile(&sent.milliseconds, 0.95),
            "ms",
        )
        .beside("fdatasync p95", quantile(&disk.milliseconds, 0.95)),
    );
    scene.add(Figure::new(
        format!("from the last acknowledgement to everything stored, {shape}"),
        drain_seconds,
        "s",
    ));
    scene.add(
        Figure::new(
            format!("stored records per second and core of serve, {shape}"),
            stored.per_core_of_receiver(),
            "records/CPU s",
        )
        .beside("rotel into the same engine", into_engine.map(Cost::per_core_of_receiver)),
    );
    scene.add(
        Figure::new(
            format!("the same with the engine's CPU, {shape}"),
            stored.per_core_of_both(),
            "records/CPU s",
        )
        .beside("rotel and the same engine", into_engine.map(Cost::per_core_of_both)),
    );
    scene.add(
        Figure::new(
            format!("acknowledged records per second and core, log only, {shape}"),
            log_only.per_core_of_receiver(),
            "records/CPU s",
        )
        .beside("rotel, blackhole", into_nothing.map(Cost::per_core_of_receiver)),
    );
    if sent.refused > 0 {
        scene.note(format!(
            "{shape}: {} requests were refused for the moment and sent again",
            sent.refused
        ));
    }
}

async fn product_until_stored(requests: &Arc<Requests>, seconds: u64) -> (Sent, Cost, f64) {
    let mut product = Product::start("").await;
    wait::until_up(&product).await;
    let (serve, engine) = (product.process_id(), product.engine_process_id().expect("the engine runs"));
    let before = (cpu_seconds(serve), cpu_seconds(engine));
    let sent = load::send(&product.otlp_http, requests, seconds).await;
    let acknowledged = Instant::now();
    wait::until_stored(&product, MODEL, sent.records).await;
    let drain_seconds = acknowledged.elapsed().as_secs_f64();
    let cost = Cost {
        records: sent.records,
        receiver: cpu_seconds(serve) - before.0,
        engine: cpu_seconds(engine) - before.1,
    };
    product.stop().await;
    (sent, cost, drain_seconds)
}

async fn product_without_database(requests: &Arc<Requests>, seconds: u64) -> (Sent, Cost) {
    let mut product = Product::start(NO_DATABASE).await;
    let serve = product.process_id();
    let before = cpu_seconds(serve);
    let sent = load::send(&product.otlp_http, requests, seconds).await;
    let cost = Cost {
        records: sent.records,
        receiver: cpu_seconds(serve) - before,
        engine: 0.0,
    };
    product.kill();
    (sent, cost)
}

async fn rotel_into_nothing(program: &PathBuf, requests: &Arc<Requests>, seconds: u64) -> Cost {
    let rotel = Rotel::start(program, Exporter::Blackhole).await;
    let before = cpu_seconds(rotel.process_id());
    let sent = load::send(&rotel.otlp_http, requests, seconds).await;
    Cost {
        records: sent.records,
        receiver: cpu_seconds(rotel.process_id()) - before,
        engine: 0.0,
    }
}

/// Counts what arrived: rotel answers before it has stored anything.
async fn rotel_into_engine(scene: &mut Scene, program: &PathBuf, requests: &Arc<Requests>, seconds: u64) -> Option<Cost> {
    let engine = Engine::start().await;
    let rotel = Rotel::start(program, Exporter::ClickHouse(&engine)).await;
    let before = (cpu_seconds(rotel.process_id()), cpu_seconds(engine.process_id));
    let sent = load::send(&rotel.otlp_http, requests, seconds).await;
    let records = rows_at_rest(&engine, sent.records).await;
    let cost = Cost {
        records,
        receiver: cpu_seconds(rotel.process_id()) - before.0,
        engine: cpu_seconds(engine.process_id) - before.1,
    };
    if records < sent.records {
        scene.note(format!(
            "{}: rotel stored {records} of {} records that it had acknowledged; its figure counts what it stored",
            requests.shape, sent.records
        ));
    }
    (records > 0).then_some(cost)
}

/// Rows of `otel_logs` once all are there, or once no more come.
async fn rows_at_rest(engine: &Engine, expected: u64) -> u64 {
    let database = engine.connect();
    let (mut rows, mut changed) = (0, Instant::now());
    while rows < expected && changed.elapsed() < STALLED {
        tokio::time::sleep(wait::SELDOM).await;
        let counted: u64 = database
            .reader()
            .query("SELECT count() FROM otel_logs")
            .fetch_one()
            .await
            .expect("a count");
        if counted != rows {
            (rows, changed) = (counted, Instant::now());
        }
    }
    rows
}
