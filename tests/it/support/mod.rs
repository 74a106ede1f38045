//! What the integration tests share: the real product as a process, and a sender of real OTLP.

pub mod disk;
pub mod engine;
pub mod otlp;
pub mod packages;
pub mod product;
pub mod proxy;

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take: generous, because machines are shared; conditions end the wait, not this.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `probe` gives a value and returns it.
///
/// # Panics
/// The condition does not come true within [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, probe: impl FnMut() -> F) -> T {
    eventually_within(PATIENCE, what, probe).await
}

/// Likewise, for what takes longer.
///
/// # Panics
/// The condition does not come true within `patience`.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(patience: Duration, what: &str, mut probe: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(began.elapsed() < patience, "within {patience:?} it did not happen that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
