//! What can go wrong in the analyzer.

use driftlead_store::clickhouse::TelemetryError;
use driftlead_store::index::SearchError;
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
    /// The errors cannot be searched.
    #[error(transparent)]
    Errors(#[from] SearchError),
    /// A reference's name or stretch of time is not one.
    #[error("{0}")]
    Reference(String),
    /// A computation panicked.
    #[error("a computation broke off: {0}")]
    BrokeOff(String),
}

impl AnalyzerError {
    /// Whether all other work would fail as well: the engine is not there, or the state is not. Everything else is
    /// the fault of what was computed, and must not hold up the rest.
    pub(crate) fn is_everybodys(&self) -> bool {
        match self {
            Self::Telemetry(error) => matches!(error, TelemetryError::Network(_) | TelemetryError::TimedOut),
            Self::State(_) => true,
            Self::Rows(_) | Self::Errors(_) | Self::Reference(_) | Self::BrokeOff(_) => false,
        }
    }
}
