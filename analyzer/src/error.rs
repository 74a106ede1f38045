//! What can go wrong in the analyzer.

use driftlead_store::clickhouse::TelemetryError;
use driftlead_store::state::StateError;

use crate::profile::RowsError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzerError {
    /// The telemetry cannot be read or written: the engine is down or refuses.
    #[error("the telemetry cannot be read or written: {0}")]
    Telemetry(#[from] TelemetryError),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// Uploaded rows do not read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A reference's name or stretch of time is not one.
    #[error("{0}")]
    Reference(String),
}
