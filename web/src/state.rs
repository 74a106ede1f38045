//! What every handler works on.

use std::sync::Arc;

use driftlead_alerting::commands::Commands;
use driftlead_analyzer::References;
use driftlead_analyzer::clusters::ClusterKeeper;
use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::records::RecordSearch;
use driftlead_store::clock::Clock;
use driftlead_store::index::ErrorIndex;
use driftlead_store::label_delays::LabelDelays;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::state::State;
use driftlead_store::state::keys::KeyRing;
use driftlead_store::wal::Log;

use crate::error::Problem;
use crate::parts::PartsSource;

/// Seconds after which a client asks again while the database is not there.
const RETRY_TELEMETRY_SECONDS: u32 = 5;

/// Handles to everything that the API shows and changes.
pub struct WebState {
    /// Where outcomes go.
    pub log: Log,
    /// Telemetry, inferences and signals.
    pub clickhouse: ClickHouse,
    /// Errors.
    pub index: ErrorIndex,
    /// Log records and spans.
    pub records: RecordSearch,
    /// What windows are compared with.
    pub references: References,
    /// The clusters of models' inferences.
    pub clusters: ClusterKeeper,
    /// What was decided.
    pub state: State,
    /// Who may do what.
    pub keys: KeyRing,
    /// Alerts and actions.
    pub commands: Commands,
    /// What is declared about models.
    pub models: Arc<Vec<ModelSettings>>,
    /// How long labels take.
    pub label_delays: LabelDelays,
    /// `[drift] false_alerts_per_month`: false alerts that are borne, of all models.
    pub false_alerts_per_month: f64,
    /// How the other parts stand.
    pub parts: PartsSource,
    /// The address under which people reach the pages, where it is not the one that is listened on.
    pub public_url: Option<String>,
    /// The time.
    pub clock: Clock,
}

impl WebState {
    /// What is declared about a model, or the defaults.
    pub fn settings(&self, model: &str) -> ModelSettings {
        self.declared(model).cloned().unwrap_or_else(|| ModelSettings::undeclared(model))
    }

    /// What is declared about a model.
    pub fn declared(&self, model: &str) -> Option<&ModelSettings> {
        self.models.iter().find(|settings| settings.name == model)
    }

    /// The database did not answer: 503 to the client, why to the log.
    pub fn telemetry_problem(&self, error: &clickhouse::error::Error) -> Problem {
        telemetry_problem(error)
    }
}

/// The database did not answer: 503 to the client, why to the log.
pub(crate) fn telemetry_problem(error: &clickhouse::error::Error) -> Problem {
    tracing::warn!(%error, "the telemetry cannot be read");
    Problem::unavailable(
        "The telemetry cannot be read at the moment; what was sent is safe in the log.",
        RETRY_TELEMETRY_SECONDS,
    )
}
