//! What profiles cost beside storing: the CPU of all processes until inferences are stored and merged, and what is used when their
//! minutes are profiled, compared and rolled up. A minute is profiled 60 s after it, so the two follow each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load;
use crate::measuring::process::cpu_seconds;
use crate::measuring::requests::{MODEL, Requests, Shape};
use crate::measuring::settings::Settings;
use crate::measuring::support::product::Product;
use crate::measuring::wait;

/// What a start leaves behind is done by then.
const SETTLE: Duration = Duration::from_secs(20);
/// How long nothing happens, to see what that costs.
const IDLE: Duration = Duration::from_secs(20);
/// From the end of the load until just before its first minute may be profiled: what was inserted is merged meanwhile.
const MERGING: Duration = Duration::from_secs(52);
/// From then on until all minutes are profiled and their hour is compared.
const PROFILING: Duration = Duration::from_secs(110);
/// The share of the CPU of storing that profiles may cost.
const LIMIT: f64 = 0.30;

/// Measures one load.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("upkeep");
    let records = settings.load_records();
    let mut product = Product::start("").await;
    wait::until_up(&product).await;
    tokio::time::sleep(SETTLE).await;
    let processes = [product.process_id(), product.engine_process_id().expect("the engine runs")];
    let used = || processes.iter().map(|process| cpu_seconds(*process)).sum::<f64>();

    let before = used();
    tokio::time::sleep(IDLE).await;
    let idle = (used() - before) / IDLE.as_secs_f64();

    let requests = tokio::task::spawn_blocking(move || Requests::make(Shape::new(1_000, false), records));
    let requests = Arc::new(requests.await.expect("requests are made"));
    let (began, at_start) = (Instant::now(), used());
    let sent = load::send(&product.otlp_http, &requests, settings.seconds).await;
    let ended = Instant::now();
    wait::until_stored(&product, MODEL, sent.records).await;
    assert!(ended.elapsed() < MERGING, "what was sent is stored before its minutes are profiled");
    tokio::time::sleep(MERGING.saturating_sub(ended.elapsed())).await;
    let storing = used() - at_start - idle * began.elapsed().as_secs_f64();

    let (began, at_start) = (Instant::now(), used());
    tokio::time::sleep(PROFILING).await;
    let profiling = used() - at_start - idle * began.elapsed().as_secs_f64();
    let profiled = product.get(&format!("/models/{MODEL}/drift")).await;
    product.stop().await;

    let per_million = |seconds: f64| seconds * 1e6 / sent.records as f64;
    let name = format!("a million of {} inferences", sent.records);
    scene.add(Figure::new(
        format!("{name}: log, tables, buckets, merges"),
        per_million(storing),
        "s of CPU",
    ));
    scene.add(Figure::new(
        format!("{name}: profiles, windows, rollups"),
        per_million(profiling),
        "s of CPU",
    ));
    scene.add(Figure::new("profiles, windows and rollups, share of the former", profiling / storing, "").beside("limit", Some(LIMIT)));
    scene.note(format!(
        "{} by {} connections, {idle:.3} s of CPU a second when nothing happens, which is taken off. The window had {} inferences at the end.",
        requests.shape,
        load::CONNECTIONS,
        profiled.as_ref().and_then(|report| report["n"].as_u64()).unwrap_or(0)
    ));
    scene
}
