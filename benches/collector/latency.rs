//! How long an acknowledgement takes while half of what can be taken comes.
//!
//! Requests are sent when their time has come, whether the ones before are answered or not, and the wait is counted from
//! then: a receiver that stalls is not spared the requests that it kept from being sent.

use std::sync::Arc;

use crate::measuring::disk;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::load::{self, Sent};
use crate::measuring::quantile::quantile;
use crate::measuring::requests::{Requests, Shape};
use crate::measuring::rotel::{self, Exporter, Rotel};
use crate::measuring::settings::Settings;
use crate::measuring::support::product::Product;
use crate::measuring::wait;
use crate::throughput::NO_DATABASE;

/// The disk is quick to tell.
const DISK_SECONDS: u64 = 5;
const SHAPES: [Shape; 2] = [Shape::new(100, false), Shape::new(1_000, false)];

/// Measures both sizes of a request.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("latency");
    scene.note(
        "Milliseconds from the time at which a request is due to its answer, at half of the records a second that eight \
         connections could send before. The product makes each durable before it answers, rotel answers from memory; the \
         generator and, where it says so, the database have the same two cores. The disk: one write and one fdatasync of \
         eight requests.",
    );
    for shape in SHAPES {
        eprintln!("   {shape}");
        let records = settings.load_records();
        let requests = tokio::task::spawn_blocking(move || Requests::make(shape, records));
        measure_shape(&mut scene, &settings, &Arc::new(requests.await.expect("requests are made"))).await;
    }
    scene
}

async fn measure_shape(scene: &mut Scene, settings: &Settings, requests: &Arc<Requests>) {
    let (shape, seconds) = (requests.shape, settings.seconds);
    let for_disk = requests.clone();
    let disk = tokio::task::spawn_blocking(move || disk::measure(&for_disk, seconds.min(DISK_SECONDS)));
    let disk = disk.await.expect("the disk is measured");

    let mut alone = Product::start(NO_DATABASE).await;
    let (half, sent) = at_half_load(&alone.otlp_http, requests, seconds).await;
    alone.kill();
    let peer = match rotel::program() {
        Some(program) => {
            let rotel = Rotel::start(&program, Exporter::Blackhole).await;
            Some(load::send_at(&rotel.otlp_http, requests, half, seconds).await)
        }
        None => None,
    };
    for (share, name) in [(0.5, "median"), (0.99, "p99")] {
        let of = |sent: &Sent| quantile(&sent.milliseconds, share);
        scene.add(
            Figure::new(
                format!("to an acknowledgement, {name}, {half:.0} requests/s, log only, {shape}"),
                of(&sent),
                "ms",
            )
            .beside("rotel, blackhole", peer.as_ref().map(of))
            .beside(format!("fdatasync, {name}"), quantile(&disk.milliseconds, share)),
        );
    }

    let mut whole = Product::start("").await;
    wait::until_up(&whole).await;
    let (half, sent) = at_half_load(&whole.otlp_http, requests, seconds).await;
    whole.stop().await;
    scene.add(
        Figure::new(
            format!("to an acknowledgement, p99, {half:.0} requests/s, everything behind it, {shape}"),
            quantile(&sent.milliseconds, 0.99),
            "ms",
        )
        .beside("fdatasync, p99", quantile(&disk.milliseconds, 0.99)),
    );
}

/// Finds what can be taken with one half of the requests and sends the other at half of it; requests a second, and what
/// became of them.
async fn at_half_load(address: &str, requests: &Arc<Requests>, seconds: u64) -> (f64, Sent) {
    let (first, second) = requests.halves();
    let full = load::send(address, &Arc::new(first), seconds).await;
    let half = full.records_per_second() / requests.shape.records as f64 / 2.0;
    (half, load::send_at(address, &Arc::new(second), half, seconds).await)
}
