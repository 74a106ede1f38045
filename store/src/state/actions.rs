//! Actions: rollbacks and retrainings, where they stand, and what happened to each.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// Actions that are read at most when their worker looks at those that are not finished: far more than one
/// a model and kind, which is what can be open.
const OPEN_LIMIT: i64 = 20_000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// The version before serves again.
    Rollback,
    /// A new version is trained.
    Retrain,
}

impl ActionKind {
    /// As the state, the API and rules have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Retrain => "retrain",
        }
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Waits for a person's approval.
    Asked,
    /// Approved, its webhook is being delivered.
    Requested,
    /// The deployer or trainer answered 2xx.
    Accepted,
    /// Telemetry shows that the target serves.
    Confirmed,
    /// Accepted, but too little traffic to see what serves.
    Unobserved,
    /// Accepted, but not seen to have happened in time.
    Overdue,
    /// The webhook could not be delivered, or nobody agreed in time.
    Failed,
    /// A deployment named the retraining.
    Done,
    /// The version that the retraining made was rolled back.
    Undone,
    /// A person refused it.
    Dismissed,
}

impl ActionState {
    /// As the state and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Unobserved => "unobserved",
            Self::Overdue => "overdue",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Dismissed => "dismissed",
        }
    }

    /// Whether the action is under way: no other of its kind begins for the same model and environment.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Requested | Self::Accepted)
    }
}

/// What else is kept of an action.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ActionDetails {
    /// Who is told how it goes.
    pub receivers: Vec<String>,
    /// The target was never gated.
    pub target_ungated: bool,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// The target's commit.
    pub to_commit: Option<String>,
    /// The target's artifact.
    pub to_artifact: Option<String>,
    /// For a retraining: the examples since then are new.
    pub new_examples_since: Option<UnixNanos>,
    /// For a retraining: the version that it made.
    pub made_version: Option<String>,
    /// What telemetry showed when it was finished, in words.
    pub evidence: Option<String>,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// `act_…`.
    pub id: String,
    /// What is done.
    pub kind: ActionKind,
    /// To which model.
    pub model: String,
    /// Where; empty where senders state no environment.
    pub environment: String,
    /// For a rollback: the version that is taken out of service.
    pub from_version: Option<String>,
    /// For a rollback: the version that is to serve again.
    pub to_version: Option<String>,
    /// For a retraining: what the deployment that comes of it names.
    pub retrain_id: Option<String>,
    /// Where it stands.
    pub state: ActionState,
    /// What led to it, in words.
    pub because: Vec<String>,
    /// The rule that asked for it.
    pub rule: Option<String>,
    /// The alert that asked for it.
    pub alert_id: Option<String>,
    /// `rule`, or the label of the key that asked.
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: UnixNanos,
    /// When the deployer or trainer answered 2xx.
    pub accepted_at: Option<UnixNanos>,
    /// When it came to its end.
    pub finished_at: Option<UnixNanos>,
    /// Until when it has to have happened.
    pub deadline: UnixNanos,
    /// What else is kept.
    pub details: ActionDetails,
    /// When the row was written last.
    pub updated_at: UnixNanos,
}

/// A step of an action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionEvent {
    /// The action.
    #[serde(skip)]
    pub action_id: String,
    /// When.
    pub at: UnixNanos,
    /// The state that it came to.
    pub state: ActionState,
    /// Why, in words.
    pub note: String,
}

/// Which actions are listed.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// Only this model's.
    pub model: Option<String>,
    /// Only this environment's.
    pub environment: Option<String>,
    /// Only those not finished before this instant.
    pub from: Option<UnixNanos>,
    /// Only those requested before this instant.
    pub to: Option<UnixNanos>,
    /// Only those that are under way.
    pub open_only: bool,
    /// At most this many.
    pub limit: u32,
}

const COLUMNS: &str = "id, kind, model, environment, from_version, to_version, retrain_id, state, because, rule, alert_id, requested_by, \
     requested_at, accepted_at, finished_at, deadline, details, updated_at";

impl FromRow<'_, SqliteRow> for Action {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let instant = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(UnixNanos));
        Ok(Self {
            id: row.try_get("id")?,
            kind: column::text_enum(row, "kind")?,
            model: row.try_get("model")?,
            environment: row.try_get("environment")?,
            from_version: row.try_get("from_version")?,
            to_version: row.try_get("to_version")?,
            retrain_id: row.try_get("retrain_id")?,
            state: column::text_enum(row, "state")?,
            because: column::json(row, "because")?,
            rule: row.try_get("rule")?,
            alert_id: row.try_get("alert_id")?,
            requested_by: row.try_get("requested_by")?,
            requested_at: UnixNanos(row.try_get("requested_at")?),
            accepted_at: instant("accepted_at")?,
            finished_at: instant("finished_at")?,
            deadline: UnixNanos(row.try_get("deadline")?),
            details: column::json(row, "details")?,
            updated_at: UnixNanos(row.try_get("updated_at")?),
        })
    }
}

impl FromRow<'_, SqliteRow> for ActionEvent {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            action_id: row.try_get("action_id")?,
            at: UnixNanos(row.try_get("at")?),
            state: column::text_enum(row, "state")?,
            note: row.try_get("note")?,
        })
    }
}

/// Writes an action, new or changed, and the step that brought it to its present state.
///
/// # Errors
/// The database cannot be written.
pub async fn save(connection: &mut SqliteConnection, action: &Action, note: &str) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO actions (id, kind, model, environment, from_version, to_version, retrain_id, state, because, rule, alert_id, \
         requested_by, requested_at, accepted_at, finished_at, deadline, details, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, because = excluded.because, accepted_at = excluded.accepted_at, \
         finished_at = excluded.finished_at, deadline = excluded.deadline, details = excluded.details, updated_at = excluded.updated_at",
    )
    .bind(&action.id)
    .bind(action.kind.as_str())
    .bind(&action.model)
    .bind(&action.environment)
    .bind(&action.from_version)
    .bind(&action.to_version)
    .bind(&action.retrain_id)
    .bind(action.state.as_str())
    .bind(serde_json::to_string(&action.because)?)
    .bind(&action.rule)
    .bind(&action.alert_id)
    .bind(&action.requested_by)
    .bind(action.requested_at.0)
    .bind(action.accepted_at.map(|at| at.0))
    .bind(action.finished_at.map(|at| at.0))
    .bind(action.deadline.0)
    .bind(serde_json::to_string(&action.details)?)
    .bind(action.updated_at.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO action_events (action_id, at, state, note) VALUES ($1, $2, $3, $4) ON CONFLICT (action_id, at, state) DO NOTHING",
    )
    .bind(&action.id)
    .bind(action.updated_at.0)
    .bind(action.state.as_str())
    .bind(note)
    .execute(connection)
    .await?;
    Ok(())
}

/// One action, read in a transaction.
///
/// # Errors
/// The database cannot be read.
pub async fn get(connection: &mut SqliteConnection, id: &str) -> Result<Option<Action>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM actions WHERE id = $1");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await?)
}

/// The actions of one kind for a model and environment, the newest first, read in a transaction.
///
/// # Errors
/// The database cannot be read.
pub async fn latest(
    connection: &mut SqliteConnection,
    kind: ActionKind,
    model: &str,
    environment: &str,
    limit: u32,
) -> Result<Vec<Action>, StateError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM actions WHERE kind = $1 AND model = $2 AND environment = $3 ORDER BY requested_at DESC, id DESC LIMIT $4"
    );
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(kind.as_str())
        .bind(model)
        .bind(environment)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?)
}

impl State {
    /// Actions by model, environment and time, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn actions(&self, filter: &ActionFilter) -> Result<Vec<Action>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM actions WHERE ($1 IS NULL OR model = $1) AND ($2 IS NULL OR environment = $2) \
             AND ($3 IS NULL OR finished_at IS NULL OR finished_at >= $3) AND ($4 IS NULL OR requested_at < $4) \
             AND (NOT $5 OR state IN ('asked', 'requested', 'accepted')) ORDER BY requested_at DESC, id DESC LIMIT $6"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&filter.model)
            .bind(&filter.environment)
            .bind(filter.from.map(|at| at.0))
            .bind(filter.to.map(|at| at.0))
            .bind(filter.open_only)
            .bind(i64::from(filter.limit))
            .fetch_all(self.pool())
            .await?)
    }

    /// One action.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn action(&self, id: &str) -> Result<Option<Action>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM actions WHERE id = $1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.pool())
            .await?)
    }

    /// Actions whose end can still come from outside: those under way, and retrainings whose version can be
    /// deployed late or rolled back.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unsettled_actions(&self, retrained_after: UnixNanos) -> Result<Vec<Action>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM actions WHERE state IN ('asked', 'requested', 'accepted') \
             OR (kind = 'retrain' AND state IN ('overdue', 'done') AND requested_at >= $1) ORDER BY requested_at, id LIMIT $2"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(retrained_after.0)
            .bind(OPEN_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// Rollbacks that took a version out of service since `since`: confirmed by telemetry, or accepted by the
    /// deployer without traffic to see it by.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn rollbacks_finished_since(&self, since: UnixNanos) -> Result<Vec<Action>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM actions WHERE kind = 'rollback' AND state IN ('confirmed', 'unobserved') AND finished_at >= $1 \
             ORDER BY finished_at, id LIMIT $2"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(since.0)
            .bind(OPEN_LIMIT)
            .fetch_all(self.pool())
            .await?)
    }

    /// The actions that any of these alerts asked for, the newest first, at most `each` of one alert.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn actions_of_alerts(&self, alert_ids: &[String], each: u32) -> Result<Vec<Action>, StateError> {
        let mut actions = Vec::new();
        for ids in alert_ids.chunks(column::MAX_LISTED) {
            let mut query = sqlx::QueryBuilder::new(format!(
                "SELECT {COLUMNS} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY alert_id ORDER BY requested_at DESC, id DESC) AS place \
                 FROM actions WHERE alert_id IN "
            ));
            column::push_list(&mut query, ids);
            query.push(") AS ranked WHERE place <= ").push_bind(i64::from(each));
            query.push(" ORDER BY requested_at DESC, id DESC");
            actions.extend(query.build_query_as::<Action>().fetch_all(self.pool()).await?);
        }
        Ok(actions)
    }

    /// The steps of actions, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn action_events(&self, action_ids: &[String]) -> Result<Vec<ActionEvent>, StateError> {
        let mut events = Vec::new();
        for ids in action_ids.chunks(column::MAX_LISTED) {
            let mut query = sqlx::QueryBuilder::new("SELECT action_id, at, state, note FROM action_events WHERE action_id IN ");
            column::push_list(&mut query, ids);
            query.push(" ORDER BY at, state");
            events.extend(query.build_query_as::<ActionEvent>().fetch_all(self.pool()).await?);
        }
        Ok(events)
    }
}
