//! Replays of control sets against versions: the queue that the control worker takes from, and results.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::verdicts::{self, Verdict};
use super::{State, StateError, column};
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};

/// Replays that may wait at once: more than any sane pipeline asks for, few enough that a runaway one is noticed.
pub const MAX_QUEUED_REPLAYS: i64 = 1_000;

/// How often a replay is started before it counts as failed: a model that kills the process must not do it for ever.
pub const MAX_REPLAY_ATTEMPTS: u32 = 3;

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

/// What a version answered to one example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayResult {
    /// The example's place in the set.
    pub position: u64,
    /// The answer, a class or a number as text; `None` exactly when there is an error.
    pub answer: Option<String>,
    /// Score of the answer.
    pub score: Option<f64>,
    /// Median of the warm runs, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Whether the answer is what was expected.
    pub correct: bool,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// What becomes of its verdict when a replay ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EndVerdict<'a> {
    /// It is this one.
    Given(&'a Verdict),
    /// It is given once the baseline has been replayed.
    Owed,
    /// There is none: nothing was measured, or it was only another version's baseline.
    None,
}

/// How a replay ended.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedReplay {
    /// One of the final states.
    pub state: ReplayState,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// F1, accuracy and latencies; an object.
    pub metrics: Option<serde_json::Value>,
    /// One per example that was tried.
    pub results: Vec<ReplayResult>,
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

impl FromRow<'_, SqliteRow> for ReplayResult {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: row.try_get::<i64, _>("position")?.unsigned_abs(),
            answer: row.try_get("answer")?,
            score: row.try_get("score")?,
            latency_ms: row.try_get("latency_ms")?,
            correct: row.try_get::<i64, _>("correct")? != 0,
            error: row.try_get("error")?,
        })
    }
}

async fn insert(connection: &mut SqliteConnection, new: &NewReplay, now: UnixNanos) -> Result<Replay, StateError> {
    let replay = Replay {
        id: new_id(IdKind::Replay),
        model: new.model.clone(),
        version: new.version.clone(),
        environment: new.environment.clone(),
        set_id: new.set_id.clone(),
        runner: None,
        state: ReplayState::Queued,
        reason: None,
        requested_by: new.requested_by,
        deployment_id: new.deployment_id.clone(),
        baseline_version: new.baseline.clone().flatten(),
        baseline_fixed: new.baseline.is_some(),
        attempts: 0,
        metrics: None,
        verdict_owed: false,
        created_at: now,
        started_at: None,
        finished_at: None,
    };
    sqlx::query(
        "INSERT INTO replays (id, model, version, environment, set_id, state, requested_by, deployment_id, baseline_version, \
         baseline_fixed, attempts, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
    )
    .bind(&replay.id)
    .bind(&replay.model)
    .bind(&replay.version)
    .bind(&replay.environment)
    .bind(&replay.set_id)
    .bind(replay.state.as_str())
    .bind(replay.requested_by.as_str())
    .bind(&replay.deployment_id)
    .bind(&replay.baseline_version)
    .bind(i64::from(replay.baseline_fixed))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(replay)
}

/// Queues those of `replays` that are neither waiting, running nor done for the same set, version, environment and
/// baseline. Any replay will do as another's baseline, but a baseline's replay gets no verdict, so it will do for
/// nothing else.
pub(super) async fn queue_missing(connection: &mut SqliteConnection, replays: &[NewReplay], now: UnixNanos) -> Result<(), StateError> {
    for new in replays {
        let (there,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM replays WHERE model = ? AND version = ? AND environment = ? AND set_id = ? \
             AND state IN ('queued', 'running', 'done') \
             AND (? = 'baseline' OR (requested_by <> 'baseline' \
               AND (baseline_fixed = 0 OR coalesce(baseline_version, '') = coalesce(?, ''))))",
        )
        .bind(&new.model)
        .bind(&new.version)
        .bind(&new.environment)
        .bind(&new.set_id)
        .bind(new.requested_by.as_str())
        .bind(new.baseline.clone().flatten())
        .fetch_one(&mut *connection)
        .await?;
        if there == 0 {
            insert(connection, new, now).await?;
        }
    }
    Ok(())
}

/// Makes a replay that waits as a baseline one that is asked for.
async fn ask_for(connection: &mut SqliteConnection, waiting: &mut Replay, new: &NewReplay) -> Result<(), StateError> {
    waiting.requested_by = new.requested_by;
    waiting.deployment_id.clone_from(&new.deployment_id);
    waiting.baseline_version = new.baseline.clone().flatten();
    waiting.baseline_fixed = new.baseline.is_some();
    sqlx::query("UPDATE replays SET requested_by = ?, deployment_id = ?, baseline_version = ?, baseline_fixed = ? WHERE id = ?")
        .bind(waiting.requested_by.as_str())
        .bind(&waiting.deployment_id)
        .bind(&waiting.baseline_version)
        .bind(i64::from(waiting.baseline_fixed))
        .bind(&waiting.id)
        .execute(connection)
        .await?;
    Ok(())
}

impl State {
    /// Queues a replay that somebody asked for. One that still waits for the same set, version and
    /// environment is returned in its place (one that waits as a baseline becomes the one that is asked for, so
    /// that it gets a verdict); `None` when [`MAX_QUEUED_REPLAYS`] wait already.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn queue_replay(&self, new: &NewReplay, now: UnixNanos) -> Result<Option<Replay>, StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM replays WHERE model = ? AND version = ? AND environment = ? AND set_id = ? AND state = 'queued' \
             ORDER BY CASE requested_by WHEN 'baseline' THEN 1 ELSE 0 END, created_at, id LIMIT 1"
        );
        let waiting: Option<Replay> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&new.model)
            .bind(&new.version)
            .bind(&new.environment)
            .bind(&new.set_id)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(mut waiting) = waiting {
            if waiting.requested_by == RequestedBy::Baseline && new.requested_by != RequestedBy::Baseline {
                ask_for(&mut transaction, &mut waiting, new).await?;
                transaction.commit().await?;
            }
            return Ok(Some(waiting));
        }
        let (queued,): (i64,) = sqlx::query_as("SELECT count(*) FROM replays WHERE state = 'queued'")
            .fetch_one(&mut *transaction)
            .await?;
        if queued >= MAX_QUEUED_REPLAYS {
            return Ok(None);
        }
        let replay = insert(&mut transaction, new, now).await?;
        transaction.commit().await?;
        Ok(Some(replay))
    }

    /// Queues those of `replays` that are neither waiting, running nor done for the same set, version and
    /// environment.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn queue_missing_replays(&self, replays: &[NewReplay], now: UnixNanos) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        queue_missing(&mut transaction, replays, now).await?;
        transaction.commit().await?;
        Ok(())
    }

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

    /// The replay that has waited longest; baselines go before the versions that are compared with them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_queued_replay(&self) -> Result<Option<Replay>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM replays WHERE state = 'queued' \
             ORDER BY CASE requested_by WHEN 'baseline' THEN 0 ELSE 1 END, created_at, id LIMIT 1"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_optional(self.pool()).await?)
    }

    /// Fixes what a waiting replay's verdict compares with, and queues the baseline's own replay, in one
    /// transaction.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn fix_replay_baseline(
        &self,
        id: &str,
        baseline_version: Option<&str>,
        baseline_replay: Option<&NewReplay>,
        now: UnixNanos,
    ) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE replays SET baseline_version = ?, baseline_fixed = 1 WHERE id = ? AND baseline_fixed = 0")
            .bind(baseline_version)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if let Some(baseline_replay) = baseline_replay {
            queue_missing(&mut transaction, std::slice::from_ref(baseline_replay), now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Marks a replay as running with what runs it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn start_replay(&self, id: &str, runner: &str, now: UnixNanos) -> Result<(), StateError> {
        sqlx::query("UPDATE replays SET state = 'running', runner = ?, started_at = ?, attempts = attempts + 1 WHERE id = ?")
            .bind(runner)
            .bind(now.0)
            .bind(id)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Puts one running replay back into the queue as if it had not been started: the process stops orderly.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn return_replay(&self, id: &str) -> Result<(), StateError> {
        sqlx::query("UPDATE replays SET state = 'queued', attempts = attempts - 1 WHERE id = ? AND state = 'running'")
            .bind(id)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Puts replays that were running back into the queue: the process ended, or their end could not be written.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn requeue_running_replays(&self) -> Result<u64, StateError> {
        let requeued = sqlx::query("UPDATE replays SET state = 'queued' WHERE state = 'running'")
            .execute(self.pool())
            .await?;
        Ok(requeued.rows_affected())
    }

    /// Writes how a replay ended, its results, and what becomes of its verdict, in one transaction.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn finish_replay(
        &self,
        id: &str,
        finished: &FinishedReplay,
        verdict: EndVerdict<'_>,
        now: UnixNanos,
    ) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE replays SET state = ?, reason = ?, metrics = ?, verdict_owed = ?, finished_at = ? WHERE id = ?")
            .bind(finished.state.as_str())
            .bind(&finished.reason)
            .bind(finished.metrics.as_ref().map(ToString::to_string))
            .bind(i64::from(verdict == EndVerdict::Owed))
            .bind(now.0)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM replay_results WHERE replay_id = ?")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        for result in &finished.results {
            sqlx::query(
                "INSERT INTO replay_results (replay_id, position, answer, score, latency_ms, correct, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(id)
            .bind(result.position as i64)
            .bind(&result.answer)
            .bind(result.score)
            .bind(result.latency_ms)
            .bind(i64::from(result.correct))
            .bind(&result.error)
            .execute(&mut *transaction)
            .await?;
        }
        if let EndVerdict::Given(verdict) = verdict {
            verdicts::insert(&mut transaction, verdict).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The results of a replay in the order of the set.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn replay_results(&self, id: &str) -> Result<Vec<ReplayResult>, StateError> {
        Ok(sqlx::query_as(
            "SELECT position, answer, score, latency_ms, correct, error FROM replay_results WHERE replay_id = ? ORDER BY position",
        )
        .bind(id)
        .fetch_all(self.pool())
        .await?)
    }

    /// Ended replays whose verdict waits for their baseline's replay, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unjudged_replays(&self) -> Result<Vec<Replay>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM replays WHERE verdict_owed = 1 ORDER BY created_at, id LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Says that a replay gets no verdict after all.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn owe_no_verdict(&self, id: &str) -> Result<(), StateError> {
        sqlx::query("UPDATE replays SET verdict_owed = 0 WHERE id = ?")
            .bind(id)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::verdicts::VerdictKind;

    async fn state() -> (State, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        (state, folder)
    }

    fn new(version: &str, requested_by: RequestedBy, baseline: Option<Option<&str>>) -> NewReplay {
        NewReplay {
            model: "m".into(),
            version: version.into(),
            environment: String::new(),
            set_id: "s".into(),
            requested_by,
            deployment_id: None,
            baseline: baseline.map(|version| version.map(Into::into)),
        }
    }

    fn verdict_on(replay: &Replay) -> Verdict {
        Verdict {
            id: new_id(IdKind::Verdict),
            model: replay.model.clone(),
            version: replay.version.clone(),
            environment: replay.environment.clone(),
            baseline_version: replay.baseline_version.clone(),
            set_id: replay.set_id.clone(),
            replay_id: replay.id.clone(),
            baseline_replay_id: None,
            verdict: VerdictKind::Pass,
            reasons: Vec::new(),
            flips: Vec::new(),
            details: serde_json::json!({}),
            created_at: UnixNanos(5),
        }
    }

    const DONE: FinishedReplay = FinishedReplay {
        state: ReplayState::Done,
        reason: None,
        metrics: None,
        results: Vec::new(),
    };

    #[tokio::test]
    async fn a_baseline_will_do_as_a_baseline_and_for_nothing_else() {
        let (state, _folder) = state().await;
        let baseline = new("1.0", RequestedBy::Baseline, Some(None));
        let release = new("1.0", RequestedBy::Release, Some(None));
        for (replays, waiting) in [
            (vec![baseline.clone()], 1),
            (vec![baseline.clone()], 1),
            (vec![release.clone()], 2),
            (vec![release, baseline], 2),
        ] {
            state.queue_missing_replays(&replays, UnixNanos(1)).await.unwrap();
            assert_eq!(state.replays("m").await.unwrap().len(), waiting);
        }
    }

    #[tokio::test]
    async fn a_waiting_baseline_that_somebody_asks_for_gets_a_verdict() {
        let (state, _folder) = state().await;
        let baseline = new("1.0", RequestedBy::Baseline, Some(None));
        state.queue_missing_replays(&[baseline], UnixNanos(1)).await.unwrap();
        let asked = state
            .queue_replay(&new("1.0", RequestedBy::Api, None), UnixNanos(2))
            .await
            .unwrap()
            .unwrap();
        let kept = state.replays("m").await.unwrap();
        assert_eq!(kept, [asked]);
        assert_eq!((kept[0].requested_by, kept[0].baseline_fixed), (RequestedBy::Api, false));
    }

    #[tokio::test]
    async fn a_verdict_is_owed_until_it_is_given_or_called_off() {
        let (state, _folder) = state().await;
        let mut replays = Vec::new();
        for version in ["1", "2", "3", "4"] {
            replays.extend(
                state
                    .queue_replay(&new(version, RequestedBy::Api, None), UnixNanos(1))
                    .await
                    .unwrap(),
            );
        }
        let given = verdict_on(&replays[0]);
        for (replay, verdict) in replays
            .iter()
            .zip([EndVerdict::Given(&given), EndVerdict::Owed, EndVerdict::Owed, EndVerdict::None])
        {
            state.finish_replay(&replay.id, &DONE, verdict, UnixNanos(2)).await.unwrap();
        }
        let owed = async || -> Vec<String> {
            let unjudged = state.unjudged_replays().await.unwrap();
            unjudged.into_iter().map(|replay| replay.version).collect()
        };
        assert_eq!(owed().await, ["2", "3"]);
        state.insert_verdict(&verdict_on(&replays[1])).await.unwrap();
        assert_eq!(owed().await, ["3"]);
        state.owe_no_verdict(&replays[2].id).await.unwrap();
        assert_eq!(owed().await, Vec::<String>::new());
    }
}
