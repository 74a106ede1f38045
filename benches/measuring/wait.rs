//! Waiting for the product to have done its work.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::product::Product;

/// How long work may take: on a slow machine with a debug build minutes; it only ends a run that would never end.
const PATIENCE: Duration = Duration::from_secs(900);

/// Asks every `interval` until there is an answer.
///
/// # Panics
/// There is none for a quarter of an hour.
pub async fn until<T>(what: &str, interval: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "within {PATIENCE:?} it did not happen that {what}");
        tokio::time::sleep(interval).await;
    }
}

/// How often what is waited for for its own sake is asked for: seldom, because asking costs CPU too.
pub const SELDOM: Duration = Duration::from_millis(250);

/// Until the engine answers and its tables are there.
pub async fn until_up(product: &Product) {
    until("the engine is up", SELDOM, async || {
        let status = product.get("/status").await?;
        (status["engine"]["state"] == "up").then_some(())
    })
    .await;
    until("the tables are there", SELDOM, async || product.get("/models").await).await;
}

/// Until everything that was sent of a model is stored and the log is drained.
pub async fn until_stored(product: &Product, model: &str, records: u64) {
    until("everything acknowledged is stored", SELDOM, async || {
        drained(product).await?;
        let page = product.get(&format!("/models/{model}/inferences?limit=1")).await?;
        let total = page["total"].as_u64()?;
        assert!(total <= records, "{total} are stored of {records} that were sent");
        (total == records).then_some(())
    })
    .await;
}

async fn drained(product: &Product) -> Option<Value> {
    product.get("/status").await.filter(|status| status["drain"]["backlog_bytes"] == 0)
}
