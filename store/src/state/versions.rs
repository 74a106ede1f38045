//! The versions that telemetry has named, and when.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::deployments::{self, NewDeployment};
use super::{State, StateError};
use crate::clock::UnixNanos;

/// Versions of one model that are kept; a sender that puts a request's id where the version belongs must not
/// fill the state.
pub const MAX_VERSIONS_PER_MODEL: i64 = 1_000;

/// A version that was not seen for this long makes room for a new one, in seconds: 30 days. Not earlier: a sender of
/// ever new versions would push out those that serve.
const FORGOTTEN_SECONDS: i64 = 30 * 86_400;

/// A version as telemetry shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenVersion {
    /// The model.
    pub model: String,
    /// The version; never empty.
    pub version: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// Event time of its first inference.
    pub first_event_time: UnixNanos,
    /// Event time of its last inference.
    pub last_event_time: UnixNanos,
}

impl FromRow<'_, SqliteRow> for SeenVersion {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            model: row.try_get("model")?,
            version: row.try_get("version")?,
            environment: row.try_get("environment")?,
            first_event_time: UnixNanos(row.try_get("first_event_time")?),
            last_event_time: UnixNanos(row.try_get("last_event_time")?),
        })
    }
}

/// What [`State::note_versions`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NotedVersions {
    /// Versions that were not known before.
    pub new: u64,
    /// Versions that were not kept because their model has [`MAX_VERSIONS_PER_MODEL`].
    pub refused: u64,
}

/// Forgets the version of a model that was seen longest ago, if that is long enough.
async fn forget_oldest(connection: &mut SqliteConnection, model: &str, now: UnixNanos) -> Result<bool, StateError> {
    let forgotten = sqlx::query(
        "DELETE FROM model_versions WHERE (model, version, environment) IN (SELECT model, version, environment FROM model_versions \
         WHERE model = ? AND last_event_time < ? ORDER BY last_event_time, version, environment LIMIT 1)",
    )
    .bind(model)
    .bind(now.plus_seconds(-FORGOTTEN_SECONDS).0)
    .execute(connection)
    .await?;
    Ok(forgotten.rows_affected() > 0)
}

impl State {
    /// The versions of one model, or of all, the last seen first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn seen_versions(&self, model: Option<&str>) -> Result<Vec<SeenVersion>, StateError> {
        Ok(sqlx::query_as(
            "SELECT model, version, environment, first_event_time, last_event_time FROM model_versions WHERE (? IS NULL OR model = ?) \
             ORDER BY last_event_time DESC, model, version, environment",
        )
        .bind(model)
        .bind(model)
        .fetch_all(self.pool())
        .await?)
    }

    /// Records versions with the times that telemetry shows now. A version that is new and that nobody
    /// announced gets a `seen` deployment in the same transaction.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn note_versions(&self, versions: &[SeenVersion], now: UnixNanos) -> Result<NotedVersions, StateError> {
        let mut noted = NotedVersions::default();
        if versions.is_empty() {
            return Ok(noted);
        }
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        for seen in versions {
            let moved = sqlx::query(
                "UPDATE model_versions SET \
                 first_event_time = CASE WHEN first_event_time <= ? THEN first_event_time ELSE ? END, \
                 last_event_time = CASE WHEN last_event_time >= ? THEN last_event_time ELSE ? END \
                 WHERE model = ? AND version = ? AND environment = ?",
            )
            .bind(seen.first_event_time.0)
            .bind(seen.first_event_time.0)
            .bind(seen.last_event_time.0)
            .bind(seen.last_event_time.0)
            .bind(&seen.model)
            .bind(&seen.version)
            .bind(&seen.environment)
            .execute(&mut *transaction)
            .await?;
            if moved.rows_affected() > 0 {
                continue;
            }
            let (kept,): (i64,) = sqlx::query_as("SELECT count(*) FROM model_versions WHERE model = ?")
                .bind(&seen.model)
                .fetch_one(&mut *transaction)
                .await?;
            if kept >= MAX_VERSIONS_PER_MODEL && !forget_oldest(&mut transaction, &seen.model, now).await? {
                noted.refused += 1;
                continue;
            }
            sqlx::query(
                "INSERT INTO model_versions (model, version, environment, first_event_time, last_event_time, first_seen_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(&seen.model)
            .bind(&seen.version)
            .bind(&seen.environment)
            .bind(seen.first_event_time.0)
            .bind(seen.last_event_time.0)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
            noted.new += 1;
            let (announced,): (i64,) = sqlx::query_as(
                "SELECT count(*) FROM deployments WHERE model = ? AND version = ? AND environment = ? AND event <> 'retired'",
            )
            .bind(&seen.model)
            .bind(&seen.version)
            .bind(&seen.environment)
            .fetch_one(&mut *transaction)
            .await?;
            if announced == 0 {
                let release = NewDeployment::seen(&seen.model, &seen.version, &seen.environment, seen.first_event_time);
                deployments::insert(&mut transaction, &release, "telemetry", now).await?;
            }
        }
        transaction.commit().await?;
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_model_forgets_what_was_long_not_seen_and_refuses_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let now = UnixNanos::from_seconds(100 * 86_400);
        let seen = |version: String, days_ago: i64| SeenVersion {
            model: "m".into(),
            version,
            environment: String::new(),
            first_event_time: now.plus_seconds(-days_ago * 86_400),
            last_event_time: now.plus_seconds(-days_ago * 86_400),
        };
        let recent = (1..MAX_VERSIONS_PER_MODEL).map(|i| seen(format!("recent {i}"), 1));
        let all: Vec<SeenVersion> = recent.chain([seen("old".into(), 31)]).collect();
        let noted = state.note_versions(&all, now).await.unwrap();
        assert_eq!((noted.new, noted.refused), (MAX_VERSIONS_PER_MODEL.unsigned_abs(), 0));
        let noted = state
            .note_versions(&[seen("new".into(), 0), seen("one more".into(), 0)], now)
            .await
            .unwrap();
        assert_eq!((noted.new, noted.refused), (1, 1));
        let kept = state.seen_versions(Some("m")).await.unwrap();
        assert!(kept.iter().any(|kept| kept.version == "new") && kept.iter().all(|kept| kept.version != "old"));
    }
}
