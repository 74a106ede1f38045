//! Alert rules that people made from a search.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::alerts::Severity;
use super::audit::{AuditEntry, record_audit_in};
use super::{State, StateError, column};
use crate::clock::UnixNanos;

/// Most rules: each is a search every few seconds.
pub const MAX_SEARCH_RULES: u64 = 100;

/// A rule: more than so many errors that match, within so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRule {
    /// Its name, unique among the rules in use.
    pub name: String,
    /// What errors have to match.
    pub query: String,
    /// Only errors of this environment; `None`: of all.
    pub environment: Option<String>,
    /// It fires above this many.
    pub above: u64,
    /// Length of the time that is looked at, up to now, in seconds.
    pub window_seconds: u32,
    /// How bad it is when it fires.
    pub severity: Severity,
    /// Receivers that are told; `None`: all of them.
    pub notify: Option<Vec<String>>,
    /// Label of the key of who made it.
    pub created_by: String,
    /// When.
    pub created_time: UnixNanos,
}

/// What became of a rule that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptRule {
    /// It is kept.
    Yes,
    /// There is one of this name.
    NameTaken,
    /// There are [`MAX_SEARCH_RULES`] already.
    Full,
}

impl State {
    /// Keeps a rule and records who made it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_search_rule(&self, rule: &SearchRule) -> Result<KeptRule, StateError> {
        let mut transaction = self.begin().await?;
        let (all, same): (i64, i64) = sqlx::query_as("SELECT COUNT(*), COUNT(CASE WHEN name = ? THEN 1 END) FROM search_rules")
            .bind(&rule.name)
            .fetch_one(&mut *transaction)
            .await?;
        if same > 0 {
            return Ok(KeptRule::NameTaken);
        }
        if all.unsigned_abs() >= MAX_SEARCH_RULES {
            return Ok(KeptRule::Full);
        }
        let notify = rule.notify.as_ref().map(serde_json::to_string).transpose();
        sqlx::query(
            "INSERT INTO search_rules (name, query, environment, above, window_seconds, severity, notify, created_by, created_time) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&rule.name)
        .bind(&rule.query)
        .bind(&rule.environment)
        .bind(i64::try_from(rule.above).unwrap_or(i64::MAX))
        .bind(i64::from(rule.window_seconds))
        .bind(rule.severity.as_str())
        .bind(notify.expect("names are JSON"))
        .bind(&rule.created_by)
        .bind(rule.created_time.0)
        .execute(&mut *transaction)
        .await?;
        let audit = AuditEntry::plain("search_rule.make", &rule.name, &rule.created_by, rule.created_time);
        record_audit_in(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(KeptRule::Yes)
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn search_rules(&self) -> Result<Vec<SearchRule>, StateError> {
        let rows = sqlx::query(
            "SELECT name, query, environment, above, window_seconds, severity, notify, created_by, created_time \
             FROM search_rules ORDER BY name",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Forgets a rule and records who did; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_search_rule(&self, name: &str, actor: &str, now: UnixNanos) -> Result<bool, StateError> {
        let mut transaction = self.begin().await?;
        let forgotten = sqlx::query("DELETE FROM search_rules WHERE name = ?")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        if forgotten.rows_affected() == 0 {
            return Ok(false);
        }
        record_audit_in(&mut transaction, &AuditEntry::plain("search_rule.forget", name, actor, now)).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn read(row: &SqliteRow) -> Result<SearchRule, StateError> {
    let whole = |column: &str| row.try_get::<i64, _>(column);
    Ok(SearchRule {
        name: row.try_get("name")?,
        query: row.try_get("query")?,
        environment: row.try_get("environment")?,
        above: u64::try_from(whole("above")?).unwrap_or(0),
        window_seconds: u32::try_from(whole("window_seconds")?).unwrap_or(u32::MAX),
        severity: column::text_enum(row, "severity")?,
        notify: column::optional_json(row, "notify")?,
        created_by: row.try_get("created_by")?,
        created_time: UnixNanos(row.try_get("created_time")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rules_are_kept_as_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let rule = |name: &str, notify: Option<Vec<String>>| SearchRule {
            name: name.into(),
            query: "message:\"a 'b'\"".into(),
            environment: notify.is_some().then(|| "production".into()),
            above: 10,
            window_seconds: 300,
            severity: Severity::Critical,
            notify,
            created_by: "ann".into(),
            created_time: UnixNanos(5),
        };
        let (one, other) = (rule("a", Some(vec!["oncall".into()])), rule("b", None));
        for kept in [&other, &one] {
            assert_eq!(state.keep_search_rule(kept).await.unwrap(), KeptRule::Yes);
        }
        assert_eq!(state.keep_search_rule(&one).await.unwrap(), KeptRule::NameTaken);
        assert_eq!(state.search_rules().await.unwrap(), [one, other]);
        for number in 2..MAX_SEARCH_RULES {
            assert_eq!(
                state.keep_search_rule(&rule(&format!("n{number}"), None)).await.unwrap(),
                KeptRule::Yes
            );
        }
        assert_eq!(state.keep_search_rule(&rule("more", None)).await.unwrap(), KeptRule::Full);
        assert!(state.forget_search_rule("a", "bob", UnixNanos(6)).await.unwrap());
        assert!(!state.forget_search_rule("a", "bob", UnixNanos(6)).await.unwrap());
    }
}
