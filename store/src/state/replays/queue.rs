//! The queue of replays: what is asked for, what waits, what runs.

use sqlx::SqliteConnection;

use super::{COLUMNS, NewReplay, Replay, ReplayState, RequestedBy};
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};
use crate::state::{State, StateError};

/// Replays that may wait at once: more than any sane pipeline asks for, few enough that a runaway one is noticed.
pub const MAX_QUEUED_REPLAYS: i64 = 1_000;

/// How often a replay is started before it counts as failed: a model that kills the process must not do it for ever.
pub const MAX_REPLAY_ATTEMPTS: u32 = 3;

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
pub(in crate::state) async fn queue_missing(
    connection: &mut SqliteConnection,
    replays: &[NewReplay],
    now: UnixNanos,
) -> Result<(), StateError> {
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
}
