//! Alerts: one row per rule and series, its present state, what receivers were told, and its transitions.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// Transitions of one alert that one listing returns at most, the newest ones.
const TRANSITIONS_LISTED: i64 = 200;

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Series {
    /// The environment; empty where the senders state none.
    pub environment: String,
    /// The model; empty for Driftlead itself.
    pub model: String,
    /// The version; empty for all versions together.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// What within the model (a feature's name), or empty.
    pub subject: String,
}

impl Series {
    /// The canonical form: a JSON array of the five fields.
    pub fn key(&self) -> String {
        serde_json::json!([self.environment, self.model, self.version, self.segment, self.subject]).to_string()
    }

    /// What alerts are grouped by in messages: a JSON array of environment, model and version.
    pub fn group_key(&self) -> String {
        serde_json::json!([self.environment, self.model, self.version]).to_string()
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking at today.
    Warning,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// As the state and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition does not hold.
    Inactive,
    /// It holds, but not yet for as long as the rule asks.
    Pending,
    /// It holds.
    Firing,
    /// It held and no longer does.
    Resolved,
}

impl AlertState {
    /// As the state and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// On which side of its threshold a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Over it.
    Above,
    /// Under it.
    Below,
}

/// What receivers were last told of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Nothing yet, or nothing that is still true for anybody.
    #[default]
    Nothing,
    /// That it fires.
    Firing,
    /// That it was resolved.
    Resolved,
}

/// What alerting has to remember of an alert beside its state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertMemory {
    /// The rule's window in seconds; `None` for signals without windows.
    pub window_seconds: Option<u32>,
    /// What the rule searches for, where it counts errors.
    pub query: Option<String>,
    /// The side on which the rule fires.
    pub side: Option<Side>,
    /// The bound that was compared with the threshold.
    pub bound: Option<f64>,
    /// Records in the window.
    pub n: u64,
    /// Window end at which the condition began to hold: `for` counts from here.
    pub holds_since: Option<UnixNanos>,
    /// The last window was judged while more labels were expected; its final value is judged once more.
    pub last_was_provisional: bool,
    /// Why it is in its present state, in words.
    pub reason: String,
    /// What led to it, in words, as webhooks have it in `because`.
    pub because: Vec<String>,
    /// What receivers were last told.
    pub told: Told,
    /// Who was told.
    pub told_receivers: Vec<String>,
    /// Why receivers are not told at present (a silence, an inhibition, flapping); empty when they are.
    pub quiet_because: String,
    /// The latest starts of firing, for flap damping.
    pub recent_firings: Vec<UnixNanos>,
    /// The latest messages about it in the outbox, newest last.
    pub messages: Vec<String>,
    /// Per action of the rule that was not requested: why.
    pub actions_not_taken: std::collections::BTreeMap<String, String>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// `alr_…`; the same for every time that this rule fires for this series.
    pub id: String,
    /// Name of the rule.
    pub rule: String,
    /// What it is about.
    #[serde(flatten)]
    pub series: Series,
    /// Name of the signal.
    pub signal: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// Start of the present state.
    pub since: UnixNanos,
    /// Since when it fires, or fired last.
    pub firing_since: Option<UnixNanos>,
    /// When it was resolved last.
    pub resolved_at: Option<UnixNanos>,
    /// End of the last window that was judged.
    pub last_window_end: UnixNanos,
    /// When receivers were told last.
    pub last_notified_at: Option<UnixNanos>,
    /// The signal's value when it was last judged.
    pub value: Option<f64>,
    /// Its lower bound.
    pub lower: Option<f64>,
    /// Its upper bound.
    pub upper: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The rule's own words.
    pub why: String,
    /// What else alerting remembers.
    pub memory: AlertMemory,
    /// When the row was written last.
    pub updated_at: UnixNanos,
}

/// One change of an alert's state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertTransition {
    /// The alert.
    pub alert_id: String,
    /// When.
    pub at: UnixNanos,
    /// The state before.
    pub from: AlertState,
    /// The state after.
    pub to: AlertState,
    /// The signal's value then.
    pub value: Option<f64>,
    /// Why, in words.
    pub reason: String,
}

/// One time that an alert fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// The alert as it stands now.
    pub alert: Alert,
    /// When it began to fire.
    pub from: UnixNanos,
    /// When it ended; `None`: it still fires.
    pub to: Option<UnixNanos>,
    /// The signal's value when it began.
    pub value: Option<f64>,
}

impl FromRow<'_, SqliteRow> for Firing {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            alert: Alert::from_row(row)?,
            from: UnixNanos(row.try_get("began_at")?),
            to: row.try_get::<Option<i64>, _>("ended_at")?.map(UnixNanos),
            value: row.try_get("began_value")?,
        })
    }
}

/// Which alerts are listed.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Only this model's.
    pub model: Option<String>,
    /// Only this environment's.
    pub environment: Option<String>,
    /// Only those in one of these states; empty: all that ever fired or pend.
    pub states: Vec<AlertState>,
    /// Only those that were active after this instant.
    pub from: Option<UnixNanos>,
    /// Only those that became active before this instant.
    pub to: Option<UnixNanos>,
    /// At most this many.
    pub limit: u32,
}

const COLUMNS: &str = "id, rule, series, model, version, environment, segment, subject, signal, severity, state, since, firing_since, \
     resolved_at, last_window_end, last_notified_at, value, lower, upper, threshold, why, details, updated_at";

impl FromRow<'_, SqliteRow> for Alert {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let instant = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(UnixNanos));
        Ok(Self {
            id: row.try_get("id")?,
            rule: row.try_get("rule")?,
            series: Series {
                environment: row.try_get("environment")?,
                model: row.try_get("model")?,
                version: row.try_get("version")?,
                segment: row.try_get("segment")?,
                subject: row.try_get("subject")?,
            },
            signal: row.try_get("signal")?,
            severity: column::text_enum(row, "severity")?,
            state: column::text_enum(row, "state")?,
            since: UnixNanos(row.try_get("since")?),
            firing_since: instant("firing_since")?,
            resolved_at: instant("resolved_at")?,
            last_window_end: UnixNanos(row.try_get("last_window_end")?),
            last_notified_at: instant("last_notified_at")?,
            value: row.try_get("value")?,
            lower: row.try_get("lower")?,
            upper: row.try_get("upper")?,
            threshold: row.try_get("threshold")?,
            why: row.try_get("why")?,
            memory: column::json(row, "details")?,
            updated_at: UnixNanos(row.try_get("updated_at")?),
        })
    }
}

impl FromRow<'_, SqliteRow> for AlertTransition {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            alert_id: row.try_get("alert_id")?,
            at: UnixNanos(row.try_get("at")?),
            from: column::text_enum(row, "from_state")?,
            to: column::text_enum(row, "to_state")?,
            value: row.try_get("value")?,
            reason: row.try_get("reason")?,
        })
    }
}

/// Writes an alert; a row of the same rule and series is replaced.
///
/// # Errors
/// The database cannot be written.
pub async fn save(connection: &mut SqliteConnection, alert: &Alert) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO alerts (id, rule, series, group_key, model, version, environment, segment, subject, signal, severity, state, since, \
         firing_since, resolved_at, last_window_end, last_notified_at, value, lower, upper, threshold, why, details, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24) \
         ON CONFLICT (rule, series) DO UPDATE SET signal = excluded.signal, severity = excluded.severity, state = excluded.state, \
         since = excluded.since, firing_since = excluded.firing_since, resolved_at = excluded.resolved_at, \
         last_window_end = excluded.last_window_end, last_notified_at = excluded.last_notified_at, value = excluded.value, \
         lower = excluded.lower, upper = excluded.upper, threshold = excluded.threshold, why = excluded.why, \
         details = excluded.details, updated_at = excluded.updated_at",
    )
    .bind(&alert.id)
    .bind(&alert.rule)
    .bind(alert.series.key())
    .bind(alert.series.group_key())
    .bind(&alert.series.model)
    .bind(&alert.series.version)
    .bind(&alert.series.environment)
    .bind(&alert.series.segment)
    .bind(&alert.series.subject)
    .bind(&alert.signal)
    .bind(alert.severity.as_str())
    .bind(alert.state.as_str())
    .bind(alert.since.0)
    .bind(alert.firing_since.map(|at| at.0))
    .bind(alert.resolved_at.map(|at| at.0))
    .bind(alert.last_window_end.0)
    .bind(alert.last_notified_at.map(|at| at.0))
    .bind(alert.value)
    .bind(alert.lower)
    .bind(alert.upper)
    .bind(alert.threshold)
    .bind(&alert.why)
    .bind(serde_json::to_string(&alert.memory)?)
    .bind(alert.updated_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Records a change of state.
///
/// # Errors
/// The database cannot be written.
pub async fn insert_transition(connection: &mut SqliteConnection, transition: &AlertTransition) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO alert_transitions (alert_id, at, from_state, to_state, value, reason) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (alert_id, at, to_state) DO NOTHING",
    )
    .bind(&transition.alert_id)
    .bind(transition.at.0)
    .bind(transition.from.as_str())
    .bind(transition.to.as_str())
    .bind(transition.value)
    .bind(&transition.reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes alerts that were resolved before `before`, with their transitions, so that versions that are
/// gone leave nothing for ever.
///
/// # Errors
/// The database cannot be written.
pub async fn delete_resolved_before(connection: &mut SqliteConnection, before: UnixNanos) -> Result<u64, StateError> {
    const OLD: &str = "state IN ('inactive', 'resolved') AND updated_at < $1";
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "DELETE FROM alert_transitions WHERE alert_id IN (SELECT id FROM alerts WHERE {OLD})"
    )))
    .bind(before.0)
    .execute(&mut *connection)
    .await?;
    let deleted = sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM alerts WHERE {OLD}")))
        .bind(before.0)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected())
}

impl State {
    /// Every alert that is kept, for alerting's start.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn all_alerts(&self) -> Result<Vec<Alert>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM alerts");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(self.pool()).await?)
    }

    /// Alerts by model, environment, state and time: firing first, the most severe first, then the newest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StateError> {
        let wanted = |state: AlertState| match filter.states.as_slice() {
            [] => state != AlertState::Inactive,
            states => states.contains(&state),
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM alerts WHERE ($1 IS NULL OR model = $1) AND ($2 IS NULL OR environment = $2) \
             AND (($3 AND state = 'inactive') OR ($4 AND state = 'pending') OR ($5 AND state = 'firing') OR ($6 AND state = 'resolved')) \
             AND ($7 IS NULL OR state IN ('pending', 'firing') OR resolved_at >= $7) \
             AND ($8 IS NULL OR COALESCE(firing_since, since) < $8) \
             ORDER BY CASE state WHEN 'firing' THEN 0 WHEN 'pending' THEN 1 ELSE 2 END, \
             CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, since DESC, id DESC LIMIT $9"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&filter.model)
            .bind(&filter.environment)
            .bind(wanted(AlertState::Inactive))
            .bind(wanted(AlertState::Pending))
            .bind(wanted(AlertState::Firing))
            .bind(wanted(AlertState::Resolved))
            .bind(filter.from.map(|at| at.0))
            .bind(filter.to.map(|at| at.0))
            .bind(i64::from(filter.limit))
            .fetch_all(self.pool())
            .await?)
    }

    /// One alert.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn alert(&self, id: &str) -> Result<Option<Alert>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM alerts WHERE id = $1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.pool())
            .await?)
    }

    /// The changes of an alert's state, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn alert_transitions(&self, alert_id: &str) -> Result<Vec<AlertTransition>, StateError> {
        self.transitions_of(&[alert_id.to_owned()]).await
    }

    /// The changes of several alerts, the oldest first, of each the latest ones.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn transitions_of(&self, alert_ids: &[String]) -> Result<Vec<AlertTransition>, StateError> {
        let mut transitions = Vec::new();
        for ids in alert_ids.chunks(column::MAX_LISTED) {
            let mut query = sqlx::QueryBuilder::new(
                "SELECT alert_id, at, from_state, to_state, value, reason FROM (\
                 SELECT *, ROW_NUMBER() OVER (PARTITION BY alert_id ORDER BY at DESC) AS place FROM alert_transitions WHERE alert_id IN ",
            );
            column::push_list(&mut query, ids);
            query.push(") AS ranked WHERE place <= ").push_bind(TRANSITIONS_LISTED);
            query.push(" ORDER BY at");
            transitions.extend(query.build_query_as::<AlertTransition>().fetch_all(self.pool()).await?);
        }
        Ok(transitions)
    }

    /// The times that alerts of a model fired and that overlap `from` up to and not including `to`, the newest
    /// first: an alert that fired three times is there three times.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn firings(
        &self,
        model: &str,
        environment: Option<&str>,
        from: UnixNanos,
        to: UnixNanos,
        limit: u32,
    ) -> Result<Vec<Firing>, StateError> {
        let sql = format!(
            "SELECT * FROM (\
             SELECT {COLUMNS}, began.at AS began_at, began.value AS began_value, \
             (SELECT MIN(ended.at) FROM alert_transitions AS ended \
              WHERE ended.alert_id = began.alert_id AND ended.from_state = 'firing' AND ended.at > began.at) AS ended_at \
             FROM alert_transitions AS began JOIN alerts ON alerts.id = began.alert_id \
             WHERE began.to_state = 'firing' AND began.at < $4 AND alerts.model = $1 AND ($2 IS NULL OR alerts.environment = $2)) AS firings \
             WHERE ended_at IS NULL OR ended_at >= $3 ORDER BY began_at DESC, id DESC LIMIT $5",
            COLUMNS = COLUMNS.replace("value,", "alerts.value AS value,"),
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model)
            .bind(environment)
            .bind(from.0)
            .bind(to.0)
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?)
    }
}

#[cfg(test)]
mod tests;
