//! Replays of control sets against versions: what they are and which there are, the queue that the control worker takes
//! from, and results.

mod queue;
mod results;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

pub(super) use self::queue::queue_missing;
pub use self::queue::{MAX_QUEUED_REPLAYS, MAX_REPLAY_ATTEMPTS};
pub use self::results::{EndVerdict, FinishedReplay, ReplayResult};
use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// Replays that one listing returns at most.
const LISTING_LIMIT: i64 = 1_000;

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// It waits for the worker.
    Queued,
    /// The worker has started it.
    Running,
    /// Every example was tried.
    Done,
    /// The version could not be loaded, or gave no answer at all.
    Failed,
    /// There is nothing to run it with; the reason says what to declare.
    Skipped,
}

impl ReplayState {
    /// As the state keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Skipped)
    }
}

/// Why a replay is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestedBy {
    /// Somebody asked for it.
    Api,
    /// A release was announced or seen.
    Release,
    /// A control set was uploaded.
    Set,
    /// Another version is compared with this one.
    Baseline,
}

impl RequestedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Release => "release",
            Self::Set => "set",
            Self::Baseline => "baseline",
        }
    }
}

/// One replay without its results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// `rpl_…`.
    pub id: String,
    /// The model.
    pub model: String,
    /// The version that answers.
    pub version: String,
    /// The environment whose releases it judges.
    pub environment: String,
    /// The control set.
    pub set_id: String,
    /// What ran it, once it was started.
    pub runner: Option<String>,
    /// How far it is.
    pub state: ReplayState,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// Why it is made.
    pub requested_by: RequestedBy,
    /// The release that called for it.
    pub deployment_id: Option<String>,
    /// The version that its verdict compares with, once `baseline_fixed`.
    pub baseline_version: Option<String>,
    /// Whether `baseline_version` is final.
    pub baseline_fixed: bool,
    /// How often it was started.
    pub attempts: u32,
    /// F1, accuracy and latencies, once done; an object.
    pub metrics: Option<serde_json::Value>,
    /// It ended, and its verdict waits for the baseline's replay.
    #[serde(skip)]
    pub verdict_owed: bool,
    /// When it was queued.
    pub created_at: UnixNanos,
    /// When it was started last.
    pub started_at: Option<UnixNanos>,
    /// When it ended.
    pub finished_at: Option<UnixNanos>,
}

/// A replay to be queued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReplay {
    /// The model.
    pub model: String,
    /// The version that is to answer.
    pub version: String,
    /// The environment whose releases it judges.
    pub environment: String,
    /// The control set.
    pub set_id: String,
    /// Why it is made.
    pub requested_by: RequestedBy,
    /// The release that calls for it.
    pub deployment_id: Option<String>,
    /// What its verdict compares with: `Some(None)` is nothing, `None` is not known yet.
    pub baseline: Option<Option<String>>,
}

impl From<Replay> for NewReplay {
    fn from(replay: Replay) -> Self {
        Self {
            model: replay.model,
            version: replay.version,
            environment: replay.environment,
            set_id: replay.set_id,
            requested_by: replay.requested_by,
            deployment_id: replay.deployment_id,
            baseline: replay.baseline_fixed.then_some(replay.baseline_version),
        }
    }
}

const COLUMNS: &str = "id, model, version, environment, set_id, runner, state, reason, requested_by, deployment_id, baseline_version, \
     baseline_fixed, attempts, metrics, verdict_owed, created_at, started_at, finished_at";

impl FromRow<'_, SqliteRow> for Replay {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            model: row.try_get("model")?,
            version: row.try_get("version")?,
            environment: row.try_get("environment")?,
            set_id: row.try_get("set_id")?,
            runner: row.try_get("runner")?,
            state: column::text_enum(row, "state")?,
            reason: row.try_get("reason")?,
            requested_by: column::text_enum(row, "requested_by")?,
            deployment_id: row.try_get("deployment_id")?,
            baseline_version: row.try_get("baseline_version")?,
            baseline_fixed: row.try_get::<i64, _>("baseline_fixed")? != 0,
            attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
            metrics: column::optional_json(row, "metrics")?,
            verdict_owed: row.try_get::<i64, _>("verdict_owed")? != 0,
            created_at: UnixNanos(row.try_get("created_at")?),
            started_at: row.try_get::<Option<i64>, _>("started_at")?.map(UnixNanos),
            finished_at: row.try_get::<Option<i64>, _>("finished_at")?.map(UnixNanos),
        })
    }
}

impl State {
    /// One replay.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn replay(&self, id: &str) -> Result<Option<Replay>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM replays WHERE id = ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The replays of a model, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn replays(&self, model: &str) -> Result<Vec<Replay>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM replays WHERE model = ? ORDER BY created_at DESC, id DESC LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// The newest replay of one model or of all, in every environment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest_replays(&self, model: Option<&str>) -> Result<Vec<Replay>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY model, environment ORDER BY created_at DESC, id DESC) AS place \
             FROM replays WHERE (? IS NULL OR model = ?)) AS ranked WHERE place = 1 ORDER BY model, environment"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(model)
            .fetch_all(self.pool())
            .await?)
    }

    /// The newest replay of a version on a set that was not skipped for another's sake: done before
    /// waiting or running before failed or skipped.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn replay_of_version(
        &self,
        model: &str,
        version: &str,
        environment: &str,
        set_id: &str,
    ) -> Result<Option<Replay>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM replays WHERE model = ? AND version = ? AND environment = ? AND set_id = ? \
             ORDER BY CASE state WHEN 'done' THEN 0 WHEN 'running' THEN 1 WHEN 'queued' THEN 1 ELSE 2 END, created_at DESC, id DESC LIMIT 1"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(version)
            .bind(environment)
            .bind(set_id)
            .fetch_optional(self.pool())
            .await?)
    }
}
