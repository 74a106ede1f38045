//! The people who know the truth: labels arrive a little after each live request.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::api::{Api, Label};

/// Labels that may wait: a minute and more of live traffic.
pub const MAX_WAITING_LABELS: usize = 50_000;
/// Labels are handed over this often.
const INTERVAL: Duration = Duration::from_secs(1);

/// Hands over labels once they are due, until the service is gone.
///
/// # Errors
/// The server does not take them.
pub async fn run(api: Api, mut labels: mpsc::Receiver<(Instant, Label)>) -> anyhow::Result<()> {
    let mut due = Vec::new();
    while let Some((at, label)) = labels.recv().await {
        tokio::time::sleep_until(at.into()).await;
        due.push(label);
        let handed_over_at = tokio::time::Instant::now() + INTERVAL;
        // There is always a next label: only the clock ends what is handed over at once.
        while tokio::time::Instant::now() < handed_over_at {
            let Ok(Some((at, label))) = tokio::time::timeout_at(handed_over_at, labels.recv()).await else {
                break;
            };
            tokio::time::sleep_until(at.into()).await;
            due.push(label);
        }
        api.label(&due).await?;
        due.clear();
    }
    Ok(())
}
