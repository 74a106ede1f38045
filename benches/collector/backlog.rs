//! A backlog of many gigabytes: what it takes in memory, how fast it is stored, and how fresh the present stays meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prost::Message;

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::process::{Memory, children_with, memory};
use crate::measuring::quantile::quantile;
use crate::measuring::settings::Settings;
use crate::measuring::support::engine::StandaloneEngine;
use crate::measuring::support::otlp::{inference, logs_request, now_ns, text};
use crate::measuring::support::product::{Product, signal};
use crate::measuring::wait;

const OLD: &str = "old";
const FRESH: &str = "fresh";
/// With a text of 4 KiB each: requests of a megabyte.
const RECORDS_PER_REQUEST: u64 = 250;
const TEXT_BYTES: usize = 4 << 10;
const SENDERS: u64 = 4;
/// Between two fresh inferences.
const FRESH_INTERVAL: Duration = Duration::from_millis(500);
const SAMPLE: Duration = Duration::from_millis(500);
const SETTLE: Duration = Duration::from_secs(10);

/// Measures one backlog.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("backlog");
    let engine = StandaloneEngine::start();
    let engine_process = children_with("--standalone").pop().expect("the engine's process");
    let mut product = Product::start(&engine.configuration()).await;
    wait::until_up(&product).await;
    tokio::time::sleep(SETTLE).await;
    let serve = product.process_id();
    let idle = memory(serve);

    signal(engine_process, "STOP");
    let most = Most::watch(serve);
    let began = Instant::now();
    let old = pile_up(&product, settings.backlog_mib << 20).await;
    let (built, built_seconds) = (most.stop().await, began.elapsed().as_secs_f64());
    let status = product.get("/status").await.expect("a status");
    let backlog = status["drain"]["backlog_bytes"].as_f64().expect("bytes of the backlog") / f64::from(1 << 20);

    let most = Most::watch(serve);
    let fresh = Fresh::send(&product);
    signal(engine_process, "CONT");
    let began = Instant::now();
    while product
        .get("/status")
        .await
        .is_none_or(|status| status["drain"]["backlog_bytes"] != 0)
    {
        fresh.look(&product).await;
        tokio::time::sleep(wait::SELDOM).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let (drained, (fresh_records, delays)) = (most.stop().await, fresh.stop(&product).await);
    wait::until_stored(&product, OLD, old).await;
    wait::until_stored(&product, FRESH, fresh_records).await;
    product.stop().await;

    scene.add(Figure::new("backlog", backlog, "MiB"));
    scene.add(Figure::new("while it piles up", backlog / built_seconds, "MiB/s"));
    let beside = |name: &str, value: f64| Figure::new(name, value, "MiB").beside("idle", idle.resident);
    scene.add(beside("serve, resident at the most, while it piles up", built).beside("the backlog", backlog));
    scene.add(beside("serve, resident at the most, while it is stored", drained).beside("the backlog", backlog));
    scene.add(Figure::new("while it is stored", backlog / seconds, "MiB/s"));
    scene.add(Figure::new("records stored", old as f64 / seconds, "records/s"));
    scene.add(Figure::new("until it is stored", seconds, "s"));
    for (share, name) in [(0.5, "median"), (0.95, "p95"), (1.0, "most")] {
        scene.add(
            Figure::new(
                format!("a fresh inference until it is stored, meanwhile, {name}"),
                quantile(&delays, share),
                "s",
            )
            .beside("the backlog until it is stored", seconds),
        );
    }
    scene.note(format!(
        "{old} inferences with a text of {TEXT_BYTES} bytes were acknowledged while the database stood still (SIGSTOP), and all of \
         them are stored, once; {fresh_records} fresh ones came meanwhile, one each {FRESH_INTERVAL:?}."
    ));
    scene
}

/// Sends until the log holds so many bytes; the inferences that were acknowledged.
async fn pile_up(product: &Product, bytes: u64) -> u64 {
    let sent_bytes = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (client, url) = (reqwest::Client::new(), format!("http://{}/v1/logs", product.otlp_http));
            let sent_bytes = sent_bytes.clone();
            tokio::spawn(async move {
                let mut acknowledged = 0;
                for request in 0_u64.. {
                    if sent_bytes.load(Ordering::Relaxed) >= bytes {
                        break;
                    }
                    let body = body(sender, request);
                    sent_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                    loop {
                        let post = client.post(&url).header("content-type", "application/x-protobuf");
                        let answer = post.body(body.clone()).send().await.expect("an answer");
                        if answer.status() == 200 {
                            break;
                        }
                        assert_eq!(answer.status(), 429, "only for the moment");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    acknowledged += RECORDS_PER_REQUEST;
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = 0;
    for sender in senders {
        acknowledged += sender.await.expect("a sender");
    }
    acknowledged
}

fn body(sender: u64, request: u64) -> Vec<u8> {
    let record = |index: u64| {
        let number = (sender << 48) + request * RECORDS_PER_REQUEST + index;
        inference(OLD, "1", &format!("old-{number}"), now_ns(), vec![text("context", &words(number))])
    };
    logs_request((0..RECORDS_PER_REQUEST).map(record).collect()).encode_to_vec()
}

/// Some text, another one for each number.
fn words(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut words = String::with_capacity(TEXT_BYTES + 16);
    while words.len() < TEXT_BYTES {
        // xorshift64: enough to choose words.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.push_str(&format!("word{:x} ", state % 4_096));
    }
    words
}

/// The most memory that a process is seen to use.
struct Most {
    running: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<f64>,
}

impl Most {
    fn watch(process: u32) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let goes_on = running.clone();
        let task = tokio::spawn(async move {
            let mut most = 0.0_f64;
            while goes_on.load(Ordering::Relaxed) {
                let Memory { resident, .. } = memory(process);
                most = most.max(resident);
                tokio::time::sleep(SAMPLE).await;
            }
            most
        });
        Self { running, task }
    }

    async fn stop(self) -> f64 {
        self.running.store(false, Ordering::Relaxed);
        self.task.await.expect("memory is watched")
    }
}

/// Inferences that come while the backlog is stored.
struct Fresh {
    running: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<Instant>>>,
    delays: Mutex<Vec<f64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Fresh {
    fn send(product: &Product) -> Self {
        let (running, sent) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<Instant>>>::default());
        let (goes_on, times) = (running.clone(), sent.clone());
        let (client, url) = (product.client.clone(), format!("http://{}/v1/logs", product.otlp_http));
        let task = tokio::spawn(async move {
            for number in 0_u64.. {
                if !goes_on.load(Ordering::Relaxed) {
                    return;
                }
                let request = logs_request(vec![inference(FRESH, "1", &format!("fresh-{number}"), now_ns(), vec![])]);
                let post = client.post(&url).header("content-type", "application/x-protobuf");
                let began = Instant::now();
                let answer = post.body(request.encode_to_vec()).send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
                times.lock().unwrap_or_else(PoisonError::into_inner).push(began);
                tokio::time::sleep(FRESH_INTERVAL).await;
            }
        });
        Self {
            running,
            sent,
            delays: Mutex::default(),
            task,
        }
    }

    /// Looks how many are stored; they are stored in the order in which they were sent.
    async fn look(&self, product: &Product) {
        let page = product.get(&format!("/models/{FRESH}/inferences?limit=1")).await;
        let Some(total) = page.and_then(|page| page["total"].as_u64()) else {
            return;
        };
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = (total as usize).min(sent.len());
        for sent in sent.iter().take(stored).skip(delays.len()) {
            delays.push(sent.elapsed().as_secs_f64());
        }
    }

    /// How many were sent, and the seconds that each took.
    async fn stop(self, product: &Product) -> (u64, Vec<f64>) {
        self.running.store(false, Ordering::Relaxed);
        wait::until("the last fresh inference is sent", wait::SELDOM, async || {
            self.task.is_finished().then_some(())
        })
        .await;
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner).len();
        wait::until("the fresh inferences are stored", wait::SELDOM, async || {
            self.look(product).await;
            (self.delays.lock().unwrap_or_else(PoisonError::into_inner).len() == sent).then_some(())
        })
        .await;
        (sent as u64, self.delays.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
