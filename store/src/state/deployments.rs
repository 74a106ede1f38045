//! Releases: deployments as announced, and versions first seen in telemetry, with their baselines.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::replays::{self, NewReplay, RequestedBy};
use super::{State, StateError, column, verdicts};
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};

/// How long a release is watched after it took effect, in seconds: 48 hours.
pub const WATCH_SECONDS: i64 = 48 * 3_600;

/// Deployments that one listing returns at most.
const LISTING_LIMIT: i64 = 1_000;

/// What happened to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentEvent {
    /// It is to be judged before it serves.
    Candidate,
    /// It was put into service.
    Live,
    /// It was taken out of service.
    Retired,
    /// Telemetry named it first, nobody announced it.
    Seen,
}

impl DeploymentEvent {
    /// As the state keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::Seen => "seen",
        }
    }
}

/// One event in the life of a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// `dep_…`.
    pub id: String,
    /// The model.
    pub model: String,
    /// The version that it is about.
    pub version: String,
    /// Where it happened; empty where senders state no environment.
    pub environment: String,
    /// What happened.
    pub event: DeploymentEvent,
    /// `api` or `telemetry`.
    pub source: String,
    /// The version that was live when this release was first seen or announced. Fixed once `planned_at`
    /// is set; `None` then means that there was none.
    pub baseline_version: Option<String>,
    /// The retraining that made this version.
    pub retrain_id: Option<String>,
    /// Name of the training reference, when one was uploaded.
    pub reference: Option<String>,
    /// Commit that the version was built from.
    pub commit_id: Option<String>,
    /// Where the version's files lie.
    pub artifact: Option<String>,
    /// Version of the data that it was trained on.
    pub data_version: Option<String>,
    /// The announcement as it came, an object.
    pub body: serde_json::Value,
    /// When it took effect.
    pub at: UnixNanos,
    /// When it was recorded.
    pub created_at: UnixNanos,
    /// Until when the release is watched.
    pub watch_until: UnixNanos,
    /// When the baseline was fixed and the replays were queued.
    pub planned_at: Option<UnixNanos>,
}

/// A version of a model in an environment, and when it was last put into service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedVersion {
    /// The model.
    pub model: String,
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version.
    pub version: String,
    /// When its newest `live` announcement took effect; `None`: there was none.
    pub live_at: Option<UnixNanos>,
}

impl FromRow<'_, SqliteRow> for DeployedVersion {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            model: row.try_get("model")?,
            environment: row.try_get("environment")?,
            version: row.try_get("version")?,
            live_at: row.try_get::<Option<i64>, _>("live_at")?.map(UnixNanos),
        })
    }
}

/// A deployment to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDeployment {
    /// The model.
    pub model: String,
    /// The version that it is about.
    pub version: String,
    /// Where it happens.
    pub environment: String,
    /// What happens.
    pub event: DeploymentEvent,
    /// The retraining that made this version.
    pub retrain_id: Option<String>,
    /// Name of the training reference.
    pub reference: Option<String>,
    /// Commit that the version was built from.
    pub commit_id: Option<String>,
    /// Where the version's files lie.
    pub artifact: Option<String>,
    /// Version of the data that it was trained on.
    pub data_version: Option<String>,
    /// The announcement as it came, an object.
    pub body: serde_json::Value,
    /// When it takes effect.
    pub at: UnixNanos,
}

impl NewDeployment {
    /// A version that telemetry named first.
    pub(super) fn seen(model: &str, version: &str, environment: &str, at: UnixNanos) -> Self {
        Self {
            model: model.to_owned(),
            version: version.to_owned(),
            environment: environment.to_owned(),
            event: DeploymentEvent::Seen,
            retrain_id: None,
            reference: None,
            commit_id: None,
            artifact: None,
            data_version: None,
            body: serde_json::json!({}),
            at,
        }
    }
}

const COLUMNS: &str = "id, model, version, environment, event, source, baseline_version, retrain_id, reference, commit_id, artifact, \
     data_version, body, at, created_at, watch_until, planned_at";

impl FromRow<'_, SqliteRow> for Deployment {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            model: row.try_get("model")?,
            version: row.try_get("version")?,
            environment: row.try_get("environment")?,
            event: column::text_enum(row, "event")?,
            source: row.try_get("source")?,
            baseline_version: row.try_get("baseline_version")?,
            retrain_id: row.try_get("retrain_id")?,
            reference: row.try_get("reference")?,
            commit_id: row.try_get("commit_id")?,
            artifact: row.try_get("artifact")?,
            data_version: row.try_get("data_version")?,
            body: column::json(row, "body")?,
            at: UnixNanos(row.try_get("at")?),
            created_at: UnixNanos(row.try_get("created_at")?),
            watch_until: UnixNanos(row.try_get("watch_until")?),
            planned_at: row.try_get::<Option<i64>, _>("planned_at")?.map(UnixNanos),
        })
    }
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewDeployment,
    source: &str,
    now: UnixNanos,
) -> Result<Deployment, StateError> {
    let watched = matches!(
        new.event,
        DeploymentEvent::Candidate | DeploymentEvent::Live | DeploymentEvent::Seen
    );
    let deployment = Deployment {
        id: new_id(IdKind::Deployment),
        model: new.model.clone(),
        version: new.version.clone(),
        environment: new.environment.clone(),
        event: new.event,
        source: source.to_owned(),
        baseline_version: None,
        retrain_id: new.retrain_id.clone(),
        reference: new.reference.clone(),
        commit_id: new.commit_id.clone(),
        artifact: new.artifact.clone(),
        data_version: new.data_version.clone(),
        body: new.body.clone(),
        at: new.at,
        created_at: now,
        watch_until: if watched { new.at.plus_seconds(WATCH_SECONDS) } else { new.at },
        planned_at: None,
    };
    sqlx::query(
        "INSERT INTO deployments (id, model, version, environment, event, source, retrain_id, reference, commit_id, artifact, \
         data_version, body, at, created_at, watch_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&deployment.id)
    .bind(&deployment.model)
    .bind(&deployment.version)
    .bind(&deployment.environment)
    .bind(deployment.event.as_str())
    .bind(source)
    .bind(&deployment.retrain_id)
    .bind(&deployment.reference)
    .bind(&deployment.commit_id)
    .bind(&deployment.artifact)
    .bind(&deployment.data_version)
    .bind(deployment.body.to_string())
    .bind(deployment.at.0)
    .bind(now.0)
    .bind(deployment.watch_until.0)
    .execute(connection)
    .await?;
    Ok(deployment)
}

impl State {
    /// Records an announcement. Its baseline and replays are planned soon after by the control worker.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn insert_deployment(&self, new: &NewDeployment, now: UnixNanos) -> Result<Deployment, StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        let deployment = insert(&mut transaction, new, "api", now).await?;
        transaction.commit().await?;
        Ok(deployment)
    }

    /// The deployments of one model, or of all, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deployments(&self, model: Option<&str>) -> Result<Vec<Deployment>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM deployments WHERE (? IS NULL OR model = ?) ORDER BY created_at DESC, id DESC LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(model)
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Deployments whose baseline is not fixed yet, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unplanned_deployments(&self) -> Result<Vec<Deployment>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM deployments WHERE planned_at IS NULL ORDER BY created_at, id LIMIT ?");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Releases that are being watched at `now`: the newest record of each version and environment, unless
    /// that says it was retired.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn releases_in_watch(&self, model: Option<&str>, now: UnixNanos) -> Result<Vec<Deployment>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deployments AS d WHERE (? IS NULL OR model = ?) AND watch_until > ? AND event <> 'retired' AND NOT EXISTS \
             (SELECT 1 FROM deployments AS newer WHERE newer.model = d.model AND newer.version = d.version \
              AND newer.environment = d.environment AND (newer.created_at > d.created_at OR (newer.created_at = d.created_at AND newer.id > d.id))) \
             ORDER BY created_at, id LIMIT ?"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(model)
            .bind(now.0)
            .bind(LISTING_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// The newest record of a version whose baseline is fixed: the release that gate, watch and rollback go by.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn release_of(&self, model: &str, version: &str, environment: &str) -> Result<Option<Deployment>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deployments WHERE model = ? AND version = ? AND environment = ? AND planned_at IS NOT NULL \
             AND event <> 'retired' ORDER BY created_at DESC, id DESC LIMIT 1"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(version)
            .bind(environment)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The newest `live` announcement that took effect at or before `at` and whose version was not retired
    /// since, leaving out `except`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest_live_deployment(
        &self,
        model: &str,
        environment: &str,
        except: Option<&str>,
        at: UnixNanos,
    ) -> Result<Option<Deployment>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deployments AS d WHERE model = ? AND environment = ? AND event = 'live' AND at <= ? \
             AND (? IS NULL OR version <> ?) AND NOT EXISTS (SELECT 1 FROM deployments AS r WHERE r.model = d.model \
             AND r.environment = d.environment AND r.version = d.version AND r.event = 'retired' AND r.at >= d.at AND r.at <= ?) \
             ORDER BY at DESC, created_at DESC, id DESC LIMIT 1"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(environment)
            .bind(at.0)
            .bind(except)
            .bind(except)
            .bind(at.0)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The announcement that [`State::latest_live_deployment`] gives, of one model or of all, in every
    /// environment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest_live_deployments(&self, model: Option<&str>, at: UnixNanos) -> Result<Vec<Deployment>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY model, environment ORDER BY at DESC, created_at DESC, id DESC) \
             AS place FROM deployments AS d WHERE (? IS NULL OR model = ?) AND event = 'live' AND at <= ? \
             AND NOT EXISTS (SELECT 1 FROM deployments AS r WHERE r.model = d.model AND r.environment = d.environment \
             AND r.version = d.version AND r.event = 'retired' AND r.at >= d.at AND r.at <= ?)) AS ranked \
             WHERE place = 1 ORDER BY model, environment"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(model)
            .bind(at.0)
            .bind(at.0)
            .fetch_all(self.pool())
            .await?)
    }

    /// Every version that was announced or seen, of one model or of all, and when it was last put into service.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deployed_versions(&self, model: Option<&str>) -> Result<Vec<DeployedVersion>, StateError> {
        Ok(sqlx::query_as(
            "SELECT model, environment, version, MAX(CASE WHEN event = 'live' THEN at END) AS live_at FROM deployments \
             WHERE (? IS NULL OR model = ?) GROUP BY model, environment, version ORDER BY model, environment, version",
        )
        .bind(model)
        .bind(model)
        .fetch_all(self.pool())
        .await?)
    }

    /// The models that telemetry or an announcement names in any of these environments.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn models_in(&self, environments: &[String]) -> Result<BTreeSet<String>, StateError> {
        let mut models = BTreeSet::new();
        for environments in environments.chunks(column::MAX_LISTED) {
            let mut query = sqlx::QueryBuilder::new("SELECT model FROM model_versions WHERE environment IN ");
            column::push_list(&mut query, environments);
            query.push(" UNION SELECT model FROM deployments WHERE environment IN ");
            column::push_list(&mut query, environments);
            models.extend(query.build_query_scalar::<String>().fetch_all(self.pool()).await?);
        }
        Ok(models)
    }

    /// The first deployment of a model in an environment that names a retraining as what made its version.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deployment_of_retraining(
        &self,
        retrain_id: &str,
        model: &str,
        environment: &str,
    ) -> Result<Option<Deployment>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deployments WHERE retrain_id = ? AND model = ? AND environment = ? AND event IN ('candidate', 'live') \
             ORDER BY created_at, id LIMIT 1"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(retrain_id)
            .bind(model)
            .bind(environment)
            .fetch_optional(self.pool())
            .await?)
    }

    /// Fixes the baseline of a deployment and queues the replays that it calls for, in one transaction. Where
    /// a release's replay is done and judged already, its verdict is given again for this release: who put a
    /// version into service after its verdict has to hear of it. Doing it again changes nothing.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn plan_deployment(
        &self,
        id: &str,
        baseline_version: Option<&str>,
        replays: &[NewReplay],
        now: UnixNanos,
    ) -> Result<(), StateError> {
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        let planned = sqlx::query("UPDATE deployments SET baseline_version = ?, planned_at = ? WHERE id = ? AND planned_at IS NULL")
            .bind(baseline_version)
            .bind(now.0)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if planned.rows_affected() == 1 {
            replays::queue_missing(&mut transaction, replays, now).await?;
            for replay in replays.iter().filter(|replay| replay.requested_by == RequestedBy::Release) {
                verdicts::give_again(&mut transaction, replay, now).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
