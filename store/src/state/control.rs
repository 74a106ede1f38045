//! Control sets: immutable, named by the hash of their content, one of them current per model.

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::replays::{self, NewReplay};
use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// A control set without its examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlSet {
    /// SHA-256 of the content in canonical form, 64 hex digits.
    pub id: String,
    /// The model that it belongs to.
    pub model: String,
    /// How many examples it holds.
    pub examples: u64,
    /// What is unwise about it.
    pub warnings: Vec<String>,
    /// When it was uploaded first.
    pub created_at: UnixNanos,
    /// Whether it is the one that releases are judged by.
    pub is_current: bool,
}

/// One example of a set as the state keeps it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredExample {
    /// Its place in the set, from 0.
    pub position: u64,
    /// Its id, unique in the set.
    pub example_id: String,
    /// What the model is given, JSON.
    pub input: serde_json::Value,
    /// What it should answer, JSON.
    pub expected: serde_json::Value,
    /// Free words to group examples by.
    pub tags: Vec<String>,
    /// The segment of users or traffic that it stands for.
    pub segment: Option<String>,
}

const COLUMNS: &str = "id, model, examples, warnings, created_at, is_current";

impl FromRow<'_, SqliteRow> for ControlSet {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            model: row.try_get("model")?,
            examples: row.try_get::<i64, _>("examples")?.unsigned_abs(),
            warnings: column::json(row, "warnings")?,
            created_at: UnixNanos(row.try_get("created_at")?),
            is_current: row.try_get::<i64, _>("is_current")? != 0,
        })
    }
}

impl FromRow<'_, SqliteRow> for StoredExample {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: row.try_get::<i64, _>("position")?.unsigned_abs(),
            example_id: row.try_get("example_id")?,
            input: column::json(row, "input")?,
            expected: column::json(row, "expected")?,
            tags: column::json(row, "tags")?,
            segment: row.try_get("segment")?,
        })
    }
}

impl State {
    /// Stores a set and makes it the model's current one. A set that is there already is only made current;
    /// its examples are what the hash says they are.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn put_control_set(&self, set: &ControlSet, examples: &[StoredExample], now: UnixNanos) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE control_sets SET is_current = 0 WHERE model = ?")
            .bind(&set.model)
            .execute(&mut *transaction)
            .await?;
        let known = sqlx::query("UPDATE control_sets SET is_current = 1, planned_at = NULL WHERE model = ? AND id = ?")
            .bind(&set.model)
            .bind(&set.id)
            .execute(&mut *transaction)
            .await?;
        if known.rows_affected() == 0 {
            sqlx::query("INSERT INTO control_sets (id, model, examples, warnings, created_at, is_current) VALUES (?, ?, ?, ?, ?, 1)")
                .bind(&set.id)
                .bind(&set.model)
                .bind(examples.len() as i64)
                .bind(serde_json::to_string(&set.warnings)?)
                .bind(now.0)
                .execute(&mut *transaction)
                .await?;
            for example in examples {
                sqlx::query(
                    "INSERT INTO control_examples (model, set_id, position, example_id, input, expected, tags, segment) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(&set.model)
                .bind(&set.id)
                .bind(example.position as i64)
                .bind(&example.example_id)
                .bind(example.input.to_string())
                .bind(example.expected.to_string())
                .bind(serde_json::to_string(&example.tags)?)
                .bind(&example.segment)
                .execute(&mut *transaction)
                .await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The set that releases of a model are judged by.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn current_control_set(&self, model: &str) -> Result<Option<ControlSet>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM control_sets WHERE model = ? AND is_current = 1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .fetch_optional(self.pool())
            .await?)
    }

    /// All sets of a model, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn control_sets(&self, model: &str) -> Result<Vec<ControlSet>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM control_sets WHERE model = ? ORDER BY created_at DESC, id");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(model).fetch_all(self.pool()).await?)
    }

    /// The examples of a set in their order; empty when there is no such set.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn control_examples(&self, model: &str, set_id: &str) -> Result<Vec<StoredExample>, StateError> {
        Ok(sqlx::query_as(
            "SELECT position, example_id, input, expected, tags, segment FROM control_examples WHERE model = ? AND set_id = ? ORDER BY position",
        )
        .bind(model)
        .bind(set_id)
        .fetch_all(self.pool())
        .await?)
    }

    /// Current sets whose replays are not queued yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unplanned_control_sets(&self) -> Result<Vec<ControlSet>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM control_sets WHERE is_current = 1 AND planned_at IS NULL ORDER BY created_at, id");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(self.pool()).await?)
    }

    /// Queues the replays that a new set calls for, in one transaction. Doing it again changes nothing.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn plan_control_set(&self, set: &ControlSet, replays: &[NewReplay], now: UnixNanos) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        let planned = sqlx::query("UPDATE control_sets SET planned_at = ? WHERE model = ? AND id = ? AND planned_at IS NULL")
            .bind(now.0)
            .bind(&set.model)
            .bind(&set.id)
            .execute(&mut *transaction)
            .await?;
        if planned.rows_affected() == 1 {
            replays::queue_missing(&mut transaction, replays, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
