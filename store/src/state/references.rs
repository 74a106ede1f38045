//! What windows are compared with: which references there are, and how far their profiles are.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::dirty::DirtyConsumer;
use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// References of a model that a listing returns at most.
const LISTING_LIMIT: i64 = 1_000;

/// Where a reference's rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// Telemetry of a fixed stretch of time.
    Pinned,
    /// Rows that somebody uploaded.
    Uploaded,
    /// Telemetry of the version that was live before.
    PreviousVersion,
    /// Telemetry of the days before the window.
    Trailing,
}

impl ReferenceKind {
    /// As the state keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Uploaded => "uploaded",
            Self::PreviousVersion => "previous_version",
            Self::Trailing => "trailing",
        }
    }
}

/// How far a reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceState {
    /// Its telemetry is not complete yet.
    Waiting,
    /// Windows can be compared with it.
    Profiled,
    /// It cannot be profiled; the reason says why.
    Failed,
}

impl ReferenceState {
    /// As the state keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Profiled => "profiled",
            Self::Failed => "failed",
        }
    }
}

/// A named reference of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReferenceSet {
    /// The model.
    pub model: String,
    /// Its name within the model.
    pub name: String,
    /// Where its rows come from.
    pub kind: ReferenceKind,
    /// Start of the stretch of telemetry.
    pub from: Option<UnixNanos>,
    /// Exclusive end of the stretch of telemetry.
    pub to: Option<UnixNanos>,
    /// The version whose telemetry it is; `None`: of all versions, or of none.
    pub version: Option<String>,
    /// Rows or inferences that it holds.
    pub rows: u64,
    /// How far it is.
    pub state: ReferenceState,
    /// Why it is not profiled.
    pub reason: Option<String>,
    /// Generation of its rows in `reference_profiles`.
    pub generation: u64,
    /// When it was named first.
    pub created_at: UnixNanos,
    /// When it was profiled last.
    pub profiled_at: Option<UnixNanos>,
}

const COLUMNS: &str = "model, name, kind, from_time, to_time, version, rows, state, reason, generation, created_at, profiled_at";

impl FromRow<'_, SqliteRow> for ReferenceSet {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let instant = |column: &str| row.try_get::<Option<i64>, _>(column).map(|nanos| nanos.map(UnixNanos));
        Ok(Self {
            model: row.try_get("model")?,
            name: row.try_get("name")?,
            kind: column::text_enum(row, "kind")?,
            from: instant("from_time")?,
            to: instant("to_time")?,
            version: row.try_get("version")?,
            rows: row.try_get::<i64, _>("rows")?.unsigned_abs(),
            state: column::text_enum(row, "state")?,
            reason: row.try_get("reason")?,
            generation: row.try_get::<i64, _>("generation")?.unsigned_abs(),
            created_at: UnixNanos(row.try_get("created_at")?),
            profiled_at: instant("profiled_at")?,
        })
    }
}

impl State {
    /// Records a reference, or what became of it; the instant of its first naming stays.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn put_reference(&self, set: &ReferenceSet) -> Result<(), StateError> {
        sqlx::query(
            "INSERT INTO reference_sets (model, name, kind, from_time, to_time, version, rows, state, reason, generation, created_at, \
             profiled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (model, name) DO UPDATE SET kind = excluded.kind, from_time = excluded.from_time, to_time = excluded.to_time, \
             version = excluded.version, rows = excluded.rows, state = excluded.state, reason = excluded.reason, \
             generation = excluded.generation, profiled_at = excluded.profiled_at",
        )
        .bind(&set.model)
        .bind(&set.name)
        .bind(set.kind.as_str())
        .bind(set.from.map(|at| at.0))
        .bind(set.to.map(|at| at.0))
        .bind(&set.version)
        .bind(set.rows.cast_signed())
        .bind(set.state.as_str())
        .bind(&set.reason)
        .bind(set.generation.cast_signed())
        .bind(set.created_at.0)
        .bind(set.profiled_at.map(|at| at.0))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// A reference by its name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn reference(&self, model: &str, name: &str) -> Result<Option<ReferenceSet>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM reference_sets WHERE model = ? AND name = ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(name)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The references of a model, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn references(&self, model: &str) -> Result<Vec<ReferenceSet>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM reference_sets WHERE model = ? ORDER BY created_at DESC, name LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Stretches of telemetry that somebody named, that have ended, and that are not profiled yet; the first to end
    /// first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn waiting_stretches(&self, now: UnixNanos) -> Result<Vec<ReferenceSet>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM reference_sets WHERE state = 'waiting' AND kind = 'pinned' AND to_time <= ? \
             ORDER BY to_time, model, name LIMIT ?"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.0)
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Whether anything of a model between two instants still has to be computed again for a consumer.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_dirty_between(&self, consumer: DirtyConsumer, model: &str, from: UnixNanos, to: UnixNanos) -> Result<bool, StateError> {
        let found: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT 1 FROM dirty_minutes WHERE consumer = ? AND model = ? AND minute < ? AND minute + seconds > ? LIMIT 1) AS found",
        )
        .bind(consumer.name())
        .bind(model)
        .bind(to.seconds())
        .bind(from.seconds())
        .fetch_one(self.pool())
        .await?;
        Ok(found > 0)
    }

    /// The training reference that the newest deployment of a version named, if any did.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn training_reference(&self, model: &str, version: &str, environment: &str) -> Result<Option<String>, StateError> {
        Ok(sqlx::query_scalar(
            "SELECT reference FROM deployments WHERE model = ? AND version = ? AND environment = ? AND reference IS NOT NULL \
             ORDER BY created_at DESC, id DESC LIMIT 1",
        )
        .bind(model)
        .bind(version)
        .bind(environment)
        .fetch_optional(self.pool())
        .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reference_keeps_its_first_naming_and_takes_what_became_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let waiting = ReferenceSet {
            model: "m".into(),
            name: "training".into(),
            kind: ReferenceKind::Pinned,
            from: Some(UnixNanos(1)),
            to: Some(UnixNanos(2)),
            version: None,
            rows: 0,
            state: ReferenceState::Waiting,
            reason: Some("telemetry is not complete".into()),
            generation: 0,
            created_at: UnixNanos(3),
            profiled_at: None,
        };
        state.put_reference(&waiting).await.unwrap();
        for (now, expected) in [(1, 0), (2, 1)] {
            assert_eq!(state.waiting_stretches(UnixNanos(now)).await.unwrap().len(), expected);
        }
        let profiled = ReferenceSet {
            rows: 10,
            state: ReferenceState::Profiled,
            reason: None,
            generation: 7,
            created_at: UnixNanos(9),
            profiled_at: Some(UnixNanos(9)),
            ..waiting
        };
        state.put_reference(&profiled).await.unwrap();
        let expected = ReferenceSet {
            created_at: UnixNanos(3),
            ..profiled
        };
        assert_eq!(state.reference("m", "training").await.unwrap(), Some(expected.clone()));
        assert_eq!(state.references("m").await.unwrap(), [expected]);
        assert_eq!(state.waiting_stretches(UnixNanos(9)).await.unwrap(), []);
        assert_eq!(state.reference("m", "other").await.unwrap(), None);
        assert_eq!(state.training_reference("m", "1.0", "production").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_stretch_is_dirty_while_a_minute_of_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let at = UnixNanos::from_seconds;
        state
            .mark_dirty(&[DirtyConsumer::Profiles], &[("m".to_owned(), at(130))])
            .await
            .unwrap();
        for (consumer, model, from, to, expected) in [
            (DirtyConsumer::Profiles, "m", 120, 180, true),
            (DirtyConsumer::Profiles, "m", 60, 120, false),
            (DirtyConsumer::Profiles, "m", 180, 240, false),
            (DirtyConsumer::Profiles, "n", 120, 180, false),
            (DirtyConsumer::Buckets, "m", 120, 180, false),
        ] {
            assert_eq!(
                state.is_dirty_between(consumer, model, at(from), at(to)).await.unwrap(),
                expected,
                "{model} {from} {to}"
            );
        }
    }
}
