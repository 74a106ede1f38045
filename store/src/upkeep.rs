//! Deletes, now and then, what nobody will ask for any more and no TTL knows.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clickhouse::query::upkeep::delete_old_generations;
use crate::clickhouse::{ClickHouse, TelemetryError};
use crate::clock::{Clock, UnixNanos};
use crate::state::{State, StateError};

/// What is deleted grows by some rows a day.
const INTERVAL: Duration = Duration::from_secs(6 * 3_600);

/// Why something was not deleted.
#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the database: {0}")]
    Telemetry(#[from] TelemetryError),
}

/// Deletes at once and then every six hours, until `token` fires. What fails is tried again the next time.
pub async fn run(clickhouse: ClickHouse, state: State, clock: Clock, token: CancellationToken) {
    loop {
        if let Err(error) = delete(&clickhouse, &state, clock.now()).await {
            tracing::warn!(%error, "what is old cannot be deleted; tried again in six hours");
        }
        if token.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

async fn delete(clickhouse: &ClickHouse, state: &State, now: UnixNanos) -> Result<(), UpkeepError> {
    let deleted = state.delete_old(now).await?;
    let generations = delete_old_generations(clickhouse, &state.settled_generations(now).await?).await?;
    tracing::debug!(?deleted, generations, "what is old was deleted");
    Ok(())
}
