//! What the integration tests share: the real product as a process, and a sender of real OTLP.

pub mod engine;
pub mod otlp;
pub mod product;

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take: generous, because machines are shared; conditions end the wait, not this.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `probe` gives a value and returns it.
///
/// # Panics
/// The condition does not come true within [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "within {PATIENCE:?} it did not happen that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
