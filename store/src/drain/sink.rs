//! Where batches go: ClickHouse and the state's dirty set; in tests a model of both.

use std::future::Future;

use super::dirty::Dirty;
use crate::clickhouse::insert::{Attempt, InsertError, insert_batch};
use crate::clickhouse::{ClickHouse, TableRows};
use crate::state::State;
use crate::state::dirty::DirtyConsumer;

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SinkError {
    /// It may work later; it may even have been done. The same step with the same token, [`Attempt::Again`], is harmless.
    Unavailable(String),
    /// These rows will never be taken, and nothing of them was. The reason names no content.
    Refused(String),
}

/// Takes units of rows, each exactly once per token, and marks.
pub(super) trait Sink: Send + Sync {
    /// Stores rows of one table and one day; returns how many are missing although they were taken.
    fn insert(&self, rows: &TableRows, token: &str, attempt: Attempt) -> impl Future<Output = Result<u64, SinkError>> + Send;
    /// Marks what has to be computed again.
    fn mark(&self, dirty: &Dirty) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// The real thing.
pub(super) struct Stores {
    pub clickhouse: ClickHouse,
    pub state: State,
}

impl Sink for Stores {
    async fn insert(&self, rows: &TableRows, token: &str, attempt: Attempt) -> Result<u64, SinkError> {
        let inserted = insert_batch(&self.clickhouse, rows, token, attempt).await;
        inserted.map_err(|error| match error {
            InsertError::Unavailable { .. } => SinkError::Unavailable(error.to_string()),
            InsertError::Refused { .. } => SinkError::Refused(error.to_string()),
        })
    }

    async fn mark(&self, dirty: &Dirty) -> Result<(), SinkError> {
        let computed = [DirtyConsumer::Buckets, DirtyConsumer::Profiles];
        let unavailable = |error: crate::state::StateError| SinkError::Unavailable(error.to_string());
        self.state.mark_dirty(&computed, &dirty.inferences).await.map_err(unavailable)?;
        let quality = self.state.mark_dirty(&[DirtyConsumer::Quality], &dirty.judged);
        quality.await.map_err(unavailable)?;
        let outcomes = self.state.mark_dirty(&[DirtyConsumer::Outcomes], &dirty.outcomes_received);
        outcomes.await.map_err(unavailable)
    }
}
