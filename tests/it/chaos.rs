//! `kill -9` under load: what was acknowledged is stored, once, compared by id.
//!
//! `DRIFTLEAD_CHAOS_ROUNDS` sets the number of rounds of each kind (`make chaos`), `DRIFTLEAD_CHAOS_SEED` their moments.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Mutex;

use crate::support::engine::StandaloneEngine;
use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, number, post_logs};
use crate::support::product::{Product, engine_is_there, signal};

const MODEL: &str = "chaos";
const SENDERS: usize = 3;
const RECORDS_PER_REQUEST: usize = 100;
/// Between a sender's requests: 4,000 records a second together, about what a debug build stores; faster ones would only
/// make the backlog that has to be drained at the end.
const PAUSE: Duration = Duration::from_millis(75);

fn rounds() -> usize {
    std::env::var("DRIFTLEAD_CHAOS_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(5)
}

fn moments() -> ChaCha8Rng {
    let seed = std::env::var("DRIFTLEAD_CHAOS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(now_ns);
    println!("DRIFTLEAD_CHAOS_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// Senders that go on through every crash: a request without an answer is sent again, byte for byte, as exporters do.
struct Load {
    running: Arc<AtomicBool>,
    address: Arc<Mutex<String>>,
    acknowledged: Arc<Mutex<HashSet<String>>>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(product: &Product) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let address = Arc::new(Mutex::new(product.otlp_http.clone()));
        let acknowledged = Arc::new(Mutex::new(HashSet::new()));
        let senders = (0..SENDERS)
            .map(|sender| {
                let (running, address, acknowledged) = (running.clone(), address.clone(), acknowledged.clone());
                tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    for request_number in 0.. {
                        if !running.load(Ordering::Relaxed) {
                            return;
                        }
                        let ids: Vec<_> = (0..RECORDS_PER_REQUEST).map(|i| format!("{sender}-{request_number}-{i}")).collect();
                        let records = ids
                            .iter()
                            .map(|id| inference(MODEL, "1", id, now_ns(), vec![number("ml.latency_ms", 3.0)]))
                            .collect();
                        let request = logs_request(records);
                        loop {
                            let to = address.lock().await.clone();
                            if post_logs(&client, &to, &request).await == Some(200) {
                                break;
                            }
                            tokio::time::sleep(Duration::from_millis(30)).await;
                        }
                        acknowledged.lock().await.extend(ids);
                        tokio::time::sleep(PAUSE).await;
                    }
                })
            })
            .collect();
        Self {
            running,
            address,
            acknowledged,
            senders,
        }
    }

    async fn moved_to(&self, product: &Product) {
        self.address.lock().await.clone_from(&product.otlp_http);
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

async fn assert_stored_once(mut product: Product, acknowledged: HashSet<String>) {
    eventually("everything acknowledged is stored", async || {
        let page = product.get(&format!("/models/{MODEL}/inferences?limit=1")).await?;
        (page["total"].as_u64()? >= acknowledged.len() as u64).then_some(())
    })
    .await;
    let stored = product.stored_ids(MODEL).await.expect("the list of inferences");
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains_key(*id)).take(5).collect();
    let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).take(5).collect();
    assert!(
        lost.is_empty() && doubled.is_empty(),
        "lost {lost:?}, doubled {doubled:?} of {}",
        acknowledged.len()
    );
    eventually("the log is drained", async || {
        product.get("/status").await.filter(|status| status["drain"]["backlog_bytes"] == 0)
    })
    .await;
    product.stop().await;
    let engine = StandaloneEngine::start_on(&product.data().join("engine"));
    let raw = "SELECT count(), uniqExact(LogAttributes['ml.request.id']) FROM otel_logs";
    let (rows, ids): (u64, u64) = engine.connect().writer().query(raw).fetch_one().await.unwrap();
    assert_eq!(
        (rows, ids),
        (stored.len() as u64, stored.len() as u64),
        "raw log records and their ids"
    );
    println!("{} acknowledged, {} stored, 0 lost, 0 doubled", acknowledged.len(), stored.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_product_is_killed_under_load() {
    if !engine_is_there() {
        return;
    }
    let mut moments = moments();
    let mut product = Product::start("").await;
    let load = Load::start(&product);
    for _ in 0..rounds() {
        tokio::time::sleep(Duration::from_millis(moments.random_range(200..2_500))).await;
        product.kill();
        product.start_again().await;
        load.moved_to(&product).await;
    }
    let acknowledged = load.stop().await;
    assert_stored_once(product, acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_is_killed_under_load() {
    if !engine_is_there() {
        return;
    }
    let mut moments = moments();
    let product = Product::start("").await;
    let load = Load::start(&product);
    for _ in 0..rounds() {
        let engine = eventually("the engine runs", async || product.engine_process_id()).await;
        tokio::time::sleep(Duration::from_millis(moments.random_range(200..2_500))).await;
        signal(engine, "KILL");
        eventually("a new engine runs", async || {
            product.engine_process_id().filter(|now| *now != engine)
        })
        .await;
    }
    let acknowledged = load.stop().await;
    assert_stored_once(product, acknowledged).await;
}
