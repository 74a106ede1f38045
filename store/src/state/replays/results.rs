//! How replays end: their results, and what becomes of their verdicts.

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{COLUMNS, LISTING_LIMIT, Replay, ReplayState};
use crate::clock::UnixNanos;
use crate::state::verdicts::{self, Verdict};
use crate::state::{State, StateError};

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

impl State {
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
