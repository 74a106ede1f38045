//! Resident memory of each process: idle, under load, and after it.

use std::sync::Arc;
use std::time::Duration;

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load;
use crate::measuring::process::{Memory, memory};
use crate::measuring::requests::{MODEL, Requests, Shape};
use crate::measuring::rotel::{self, Exporter, Rotel};
use crate::measuring::settings::Settings;
use crate::measuring::support::product::Product;
use crate::measuring::wait;

/// What a start leaves behind has been given back by then.
const SETTLE: Duration = Duration::from_secs(15);

/// Measures both processes.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("memory");
    let records = settings.load_records();
    let requests = tokio::task::spawn_blocking(move || Requests::make(Shape::new(1_000, true), records));
    let requests = Arc::new(requests.await.expect("requests are made"));

    let mut product = Product::start("").await;
    wait::until_up(&product).await;
    tokio::time::sleep(SETTLE).await;
    let (serve, engine) = (product.process_id(), product.engine_process_id().expect("the engine runs"));
    let idle = (memory(serve), memory(engine));
    let sent = load::send(&product.otlp_http, &requests, settings.seconds).await;
    wait::until_stored(&product, MODEL, sent.records).await;
    tokio::time::sleep(SETTLE).await;
    let after = (memory(serve), memory(engine));
    product.stop().await;

    let peer = peer(&requests, settings.seconds).await;
    let beside = |figure: Figure, of: fn(Memory) -> f64| figure.beside("rotel, blackhole", peer.map(|(_, after)| of(after)));
    scene.add(Figure::new("serve, resident, idle", idle.0.resident, "MiB").beside("rotel, blackhole", peer.map(|(idle, _)| idle.resident)));
    scene.add(beside(
        Figure::new("serve, resident, after the load", after.0.resident, "MiB"),
        |memory| memory.resident,
    ));
    scene.add(beside(Figure::new("serve, most", after.0.peak, "MiB"), |memory| memory.peak));
    scene.add(Figure::new("engine, resident, idle", idle.1.resident, "MiB"));
    scene.add(Figure::new("engine, resident, after the load", after.1.resident, "MiB").beside("engine idle", idle.1.resident));
    scene.add(Figure::new("engine, most", after.1.peak, "MiB").beside("engine idle", idle.1.resident));
    scene.note(format!(
        "The load: {} inferences, {} by {} connections.",
        sent.records,
        requests.shape,
        load::CONNECTIONS
    ));
    scene
}

/// rotel, idle and after the same load.
async fn peer(requests: &Arc<Requests>, seconds: u64) -> Option<(Memory, Memory)> {
    let rotel = Rotel::start(&rotel::program()?, Exporter::Blackhole).await;
    tokio::time::sleep(SETTLE).await;
    let idle = memory(rotel.process_id());
    load::send(&rotel.otlp_http, requests, seconds).await;
    tokio::time::sleep(SETTLE).await;
    Some((idle, memory(rotel.process_id())))
}
