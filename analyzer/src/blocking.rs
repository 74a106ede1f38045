//! Computations that take longer than a task may hold its thread.

use crate::error::AnalyzerError;

/// Runs a computation off the async threads.
///
/// # Errors
/// It panicked, or the process ends.
pub(crate) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AnalyzerError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| AnalyzerError::BrokeOff(error.to_string()))
}
