//! Pages of metrics are fetched and kept like what is sent; a target that fails is told by `up` and harms no other.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use driftlead_collector::{CollectorConfig, ScrapeTarget};
use driftlead_store::records::Decoded;

use support::{Server, Setup};

const PAGE: &str =
    "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\nDCGM_FI_DEV_GPU_TEMP{gpu=\"0\"} 61\n# TYPE requests_total counter\nrequests_total 7\nbroken {\n";

async fn page_server(is_up: Arc<AtomicBool>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = async |State(is_up): State<Arc<AtomicBool>>, headers: HeaderMap| {
        let is_known = headers.get("authorization").is_some_and(|value| value == "Bearer secret");
        match (is_known, is_up.load(Ordering::Relaxed)) {
            (false, _) => (StatusCode::UNAUTHORIZED, String::new()),
            (true, false) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            (true, true) => (StatusCode::OK, PAGE.to_owned()),
        }
    };
    let router = Router::new().route("/metrics", get(page)).with_state(is_up);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn target(service: &str, url: String, token: &str) -> ScrapeTarget {
    ScrapeTarget {
        url,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        service: service.to_owned(),
        environment: "production".to_owned(),
        bearer_token: Some(token.to_owned()),
    }
}

/// Values of a gauge of a service, in the order in which they came.
fn gauges(all: &[Decoded], service: &str, name: &str) -> Vec<f64> {
    all.iter()
        .flat_map(|decoded| &decoded.metrics.gauges)
        .filter(|point| point.resource.service_name == service && &*point.name == name)
        .map(|point| point.value.value)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_fetched_and_kept() {
    // As the program does at its start.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let is_up = Arc::new(AtomicBool::new(true));
    let address = page_server(is_up.clone()).await;
    let url = format!("http://{address}/metrics");
    let config = CollectorConfig {
        scrape: vec![
            target("gpus", url.clone(), "secret"),
            target("stranger", url, "wrong"),
            target("nobody", "http://127.0.0.1:9/metrics".to_owned(), "secret"),
        ],
        ..CollectorConfig::default()
    };
    let server = Server::start(Setup {
        config,
        ..Setup::default()
    })
    .await;
    let until = async |condition: &dyn Fn(&[Decoded]) -> bool| {
        for _ in 0..600 {
            if condition(&server.decoded().await) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it does not happen");
    };
    until(&|all| {
        gauges(all, "gpus", "up").contains(&1.0)
            && gauges(all, "stranger", "up").contains(&0.0)
            && gauges(all, "nobody", "up").contains(&0.0)
    })
    .await;
    let all = server.decoded().await;
    assert_eq!(gauges(&all, "gpus", "DCGM_FI_DEV_GPU_TEMP")[0], 61.0);
    assert_eq!(gauges(&all, "gpus", "scrape_samples_scraped")[0], 2.0);
    let sum = all
        .iter()
        .flat_map(|decoded| &decoded.metrics.sums)
        .find(|point| &*point.name == "requests_total")
        .unwrap();
    assert!(sum.value.is_monotonic && sum.value.value == 7.0);
    is_up.store(false, Ordering::Relaxed);
    until(&|all| gauges(all, "gpus", "up").contains(&0.0)).await;
    is_up.store(true, Ordering::Relaxed);
    until(&|all| gauges(all, "gpus", "up").last() == Some(&1.0)).await;
    server.stop().await;
}
