//! Verdicts of the gate, each with everything that it was made from, so that it can be made again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::replays::NewReplay;
use super::{State, StateError, column};
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};

/// Verdicts that one listing returns at most.
const LISTING_LIMIT: i64 = 1_000;

/// What the gate says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// It may serve.
    Pass,
    /// It is surely worse than allowed.
    Fail,
    /// This set cannot tell.
    Inconclusive,
}

impl VerdictKind {
    /// As the state and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// An example that one of two versions answers rightly and the other wrongly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The example's id.
    pub example: String,
    /// What was expected.
    pub expected: String,
    /// What the baseline answered.
    pub before: String,
    /// What the version answers.
    pub after: String,
    /// Whether the version lost it; else it gained it.
    pub harmed: bool,
    /// The example's segment.
    pub segment: Option<String>,
    /// The example's tags.
    pub tags: Vec<String>,
}

/// A verdict as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// `ver_…`.
    pub id: String,
    /// The model.
    pub model: String,
    /// The version that is judged.
    pub version: String,
    /// The environment whose release it is.
    pub environment: String,
    /// What it was compared with; `None`: only the floor counted.
    pub baseline_version: Option<String>,
    /// The control set.
    pub set_id: String,
    /// The version's replay.
    pub replay_id: String,
    /// The baseline's replay.
    pub baseline_replay_id: Option<String>,
    /// What the gate says.
    pub verdict: VerdictKind,
    /// Why, in words, the weightiest first.
    pub reasons: Vec<String>,
    /// The examples whose answers differ in being right.
    pub flips: Vec<Flip>,
    /// Metrics with bounds, thresholds, seed, what the set could have missed; an object.
    pub details: serde_json::Value,
    /// When it was given.
    pub created_at: UnixNanos,
}

const COLUMNS: &str = "id, model, version, environment, baseline_version, set_id, replay_id, baseline_replay_id, verdict, reasons, flips, details, created_at";

impl FromRow<'_, SqliteRow> for Verdict {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            model: row.try_get("model")?,
            version: row.try_get("version")?,
            environment: row.try_get("environment")?,
            baseline_version: row.try_get("baseline_version")?,
            set_id: row.try_get("set_id")?,
            replay_id: row.try_get("replay_id")?,
            baseline_replay_id: row.try_get("baseline_replay_id")?,
            verdict: column::text_enum(row, "verdict")?,
            reasons: column::json(row, "reasons")?,
            flips: column::json(row, "flips")?,
            details: column::json(row, "details")?,
            created_at: UnixNanos(row.try_get("created_at")?),
        })
    }
}

pub(super) async fn insert(connection: &mut SqliteConnection, verdict: &Verdict) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO verdicts (id, model, version, environment, baseline_version, set_id, replay_id, baseline_replay_id, verdict, reasons, \
         flips, details, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&verdict.id)
    .bind(&verdict.model)
    .bind(&verdict.version)
    .bind(&verdict.environment)
    .bind(&verdict.baseline_version)
    .bind(&verdict.set_id)
    .bind(&verdict.replay_id)
    .bind(&verdict.baseline_replay_id)
    .bind(verdict.verdict.as_str())
    .bind(serde_json::to_string(&verdict.reasons)?)
    .bind(serde_json::to_string(&verdict.flips)?)
    .bind(verdict.details.to_string())
    .bind(verdict.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives the newest verdict on the same version, set and baseline once more, as of `now`, for a release that
/// calls for a replay which was judged before. Without one nothing happens.
pub(super) async fn give_again(connection: &mut SqliteConnection, replay: &NewReplay, now: UnixNanos) -> Result<(), StateError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM verdicts WHERE model = ? AND version = ? AND environment = ? AND set_id = ? \
         AND coalesce(baseline_version, '') = coalesce(?, '') ORDER BY created_at DESC, id DESC LIMIT 1"
    );
    let given: Option<Verdict> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(&replay.model)
        .bind(&replay.version)
        .bind(&replay.environment)
        .bind(&replay.set_id)
        .bind(replay.baseline.clone().flatten())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(given) = given else { return Ok(()) };
    let again = Verdict {
        id: new_id(IdKind::Verdict),
        created_at: now,
        ..given
    };
    insert(connection, &again).await
}

/// What the gate says of a version at present, read in a transaction.
///
/// # Errors
/// The database cannot be read.
pub async fn latest_kind(
    connection: &mut SqliteConnection,
    model: &str,
    version: &str,
    environment: &str,
) -> Result<Option<VerdictKind>, StateError> {
    let row = sqlx::query(
        "SELECT verdict FROM verdicts WHERE model = ? AND version = ? AND environment = ? ORDER BY created_at DESC, id DESC LIMIT 1",
    )
    .bind(model)
    .bind(version)
    .bind(environment)
    .fetch_optional(connection)
    .await?;
    Ok(row.as_ref().map(|row| column::text_enum(row, "verdict")).transpose()?)
}

impl State {
    /// Keeps a verdict on a replay whose results are written already.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn insert_verdict(&self, verdict: &Verdict) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, verdict).await?;
        sqlx::query("UPDATE replays SET verdict_owed = 0 WHERE id = ?")
            .bind(&verdict.replay_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The newest verdict on a version, in one environment or in any.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest_verdict(&self, model: &str, version: &str, environment: Option<&str>) -> Result<Option<Verdict>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM verdicts WHERE model = ? AND version = ? AND (? IS NULL OR environment = ?) \
             ORDER BY created_at DESC, id DESC LIMIT 1"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(version)
            .bind(environment)
            .bind(environment)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The verdict on one replay.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn verdict_of_replay(&self, replay_id: &str) -> Result<Option<Verdict>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM verdicts WHERE replay_id = ? ORDER BY created_at DESC, id DESC LIMIT 1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(replay_id)
            .fetch_optional(self.pool())
            .await?)
    }

    /// What the gate says of each of these replays, by the replay's id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn verdicts_of_replays(&self, replay_ids: &[String]) -> Result<HashMap<String, VerdictKind>, StateError> {
        let mut verdicts = HashMap::new();
        for ids in replay_ids.chunks(column::MAX_LISTED) {
            let mut query = sqlx::QueryBuilder::new("SELECT replay_id, verdict FROM verdicts WHERE replay_id IN ");
            column::push_list(&mut query, ids);
            // Of several on one replay the newest comes last and stays.
            query.push(" ORDER BY created_at, id");
            for row in query.build().fetch_all(self.pool()).await? {
                verdicts.insert(row.try_get("replay_id")?, column::text_enum(&row, "verdict")?);
            }
        }
        Ok(verdicts)
    }

    /// The newest verdict on every version of a model in an environment, by version.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest_verdicts(&self, model: &str, environment: &str) -> Result<HashMap<String, Verdict>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY version ORDER BY created_at DESC, id DESC) AS place \
             FROM verdicts WHERE model = ? AND environment = ?) AS ranked WHERE place = 1"
        );
        let verdicts: Vec<Verdict> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(environment)
            .fetch_all(self.pool())
            .await?;
        Ok(verdicts.into_iter().map(|verdict| (verdict.version.clone(), verdict)).collect())
    }

    /// The verdicts on the versions of a model, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn verdicts(&self, model: &str) -> Result<Vec<Verdict>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM verdicts WHERE model = ? ORDER BY created_at DESC, id DESC LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Verdicts whose signals were not published yet, the oldest first. Not by a cursor in time: a clock that is set
    /// back would hide new ones behind it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unpublished_verdicts(&self, limit: u32) -> Result<Vec<Verdict>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM verdicts WHERE published_at IS NULL ORDER BY created_at, id LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?)
    }

    /// Says that a verdict's signals were published.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn verdict_published(&self, id: &str, now: UnixNanos) -> Result<(), StateError> {
        sqlx::query("UPDATE verdicts SET published_at = ? WHERE id = ?")
            .bind(now.0)
            .bind(id)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::deployments::{DeploymentEvent, NewDeployment};
    use super::super::replays::RequestedBy;
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_800_000_000 * UnixNanos::SECOND);

    fn verdict(kind: VerdictKind, baseline: Option<&str>, at: UnixNanos) -> Verdict {
        Verdict {
            id: new_id(IdKind::Verdict),
            model: "employment".into(),
            version: "1.1".into(),
            environment: "production".into(),
            baseline_version: baseline.map(str::to_owned),
            set_id: "set".into(),
            replay_id: "rpl_1".into(),
            baseline_replay_id: None,
            verdict: kind,
            reasons: vec!["It is worse.".into()],
            flips: vec![],
            details: serde_json::json!({}),
            created_at: at,
        }
    }

    fn replay(baseline: Option<&str>) -> NewReplay {
        NewReplay {
            model: "employment".into(),
            version: "1.1".into(),
            environment: "production".into(),
            set_id: "set".into(),
            requested_by: RequestedBy::Release,
            deployment_id: None,
            baseline: Some(baseline.map(str::to_owned)),
        }
    }

    async fn announce(state: &State, event: DeploymentEvent, at: UnixNanos) -> String {
        let deployment = NewDeployment {
            event,
            ..NewDeployment::seen("employment", "1.1", "production", at)
        };
        state.insert_deployment(&deployment, at).await.unwrap().id
    }

    #[tokio::test]
    async fn a_release_that_was_judged_before_is_given_its_verdict_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        state.insert_verdict(&verdict(VerdictKind::Fail, Some("1.0"), NOW)).await.unwrap();
        let later = NOW.plus_seconds(3_600);
        let id = announce(&state, DeploymentEvent::Live, later).await;
        for _twice in 0..2 {
            state
                .plan_deployment(&id, Some("1.0"), &[replay(Some("1.0"))], later)
                .await
                .unwrap();
        }
        let verdicts = state.verdicts("employment").await.unwrap();
        assert_eq!(verdicts.len(), 2);
        assert_eq!((verdicts[0].verdict, verdicts[0].created_at), (VerdictKind::Fail, later));
        assert_ne!(verdicts[0].id, verdicts[1].id);

        // Against another baseline nothing was judged yet: the replay is queued, and its verdict comes.
        let id = announce(&state, DeploymentEvent::Live, later).await;
        state
            .plan_deployment(&id, Some("0.9"), &[replay(Some("0.9"))], later)
            .await
            .unwrap();
        assert_eq!(state.verdicts("employment").await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn of_several_verdicts_the_newest_counts() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        for (kind, seconds) in [(VerdictKind::Pass, 0), (VerdictKind::Fail, 10)] {
            state.insert_verdict(&verdict(kind, None, NOW.plus_seconds(seconds))).await.unwrap();
        }
        let by_replay = state.verdicts_of_replays(&["rpl_1".into(), "rpl_2".into()]).await.unwrap();
        assert_eq!(by_replay, HashMap::from([("rpl_1".to_owned(), VerdictKind::Fail)]));
        let latest = state.latest_verdicts("employment", "production").await.unwrap();
        assert_eq!(latest["1.1"].verdict, VerdictKind::Fail);
        assert!(state.latest_verdicts("employment", "staging").await.unwrap().is_empty());
        let mut transaction = state.begin().await.unwrap();
        let kind = latest_kind(&mut transaction, "employment", "1.1", "production").await.unwrap();
        assert_eq!(kind, Some(VerdictKind::Fail));
    }

    #[tokio::test]
    async fn a_verdict_is_published_once_whatever_the_clock_does() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let verdict = |id: &str, at: i64| Verdict {
            id: id.into(),
            model: "m".into(),
            version: "1".into(),
            environment: String::new(),
            baseline_version: None,
            set_id: "s".into(),
            replay_id: id.into(),
            baseline_replay_id: None,
            verdict: VerdictKind::Pass,
            reasons: Vec::new(),
            flips: Vec::new(),
            details: serde_json::json!({}),
            created_at: UnixNanos(at),
        };
        let waiting = async || -> Vec<String> {
            let unpublished = state.unpublished_verdicts(10).await.unwrap();
            unpublished.into_iter().map(|verdict| verdict.id).collect()
        };
        state.insert_verdict(&verdict("b", 100)).await.unwrap();
        state.verdict_published("b", UnixNanos(101)).await.unwrap();
        // The clock was set back.
        state.insert_verdict(&verdict("a", 50)).await.unwrap();
        assert_eq!(waiting().await, ["a"]);
        state.verdict_published("a", UnixNanos(51)).await.unwrap();
        assert_eq!(waiting().await, Vec::<String>::new());
    }
}
