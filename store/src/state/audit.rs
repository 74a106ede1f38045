//! Who did what: one row for everything that a person or a key changed.

use serde_json::Value;
use sqlx::{Row, Sqlite, Transaction};

use super::{State, StateError};
use crate::clock::UnixNanos;

/// One thing that was done. Holds names and ids, never a secret and never an input's text.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixNanos,
    /// Label and id of the key, or `loopback` where no keys exist, or the part of the product that acted.
    pub actor: String,
    /// What was done, such as `rollback.request` or `key.revoke`.
    pub action: String,
    /// What it was done to, such as a model's name or an id.
    pub subject: String,
    /// What else is worth knowing; an object.
    pub details: Value,
}

impl AuditEntry {
    /// Who did what to what, with no details.
    pub fn plain(action: &str, subject: &str, actor: &str, at: UnixNanos) -> Self {
        Self {
            at,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            details: Value::Object(serde_json::Map::new()),
        }
    }
}

const INSERT: &str = "INSERT INTO audit (at, actor, action, subject, details) VALUES ($1, $2, $3, $4, $5)";

impl State {
    /// Records one thing that was done.
    ///
    /// # Errors
    /// The database fails.
    pub async fn record_audit(&self, entry: &AuditEntry) -> Result<(), StateError> {
        bind(entry)?.execute(self.pool()).await?;
        Ok(())
    }

    /// The newest entries, newest first.
    ///
    /// # Errors
    /// The database fails, or an entry does not read back.
    pub async fn audit_entries(&self, limit: u32) -> Result<Vec<AuditEntry>, StateError> {
        sqlx::query("SELECT at, actor, action, subject, details FROM audit ORDER BY at DESC, rowid DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?
            .iter()
            .map(|row| {
                Ok(AuditEntry {
                    at: UnixNanos(row.try_get("at")?),
                    actor: row.try_get("actor")?,
                    action: row.try_get("action")?,
                    subject: row.try_get("subject")?,
                    details: serde_json::from_str(row.try_get("details")?)?,
                })
            })
            .collect()
    }
}

/// Records one thing in the transaction that does it, so that neither exists without the other.
///
/// # Errors
/// The database fails.
pub async fn record_audit_in(transaction: &mut Transaction<'static, Sqlite>, entry: &AuditEntry) -> Result<(), StateError> {
    bind(entry)?.execute(&mut **transaction).await?;
    Ok(())
}

fn bind(entry: &AuditEntry) -> Result<sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>, StateError> {
    Ok(sqlx::query(INSERT)
        .bind(entry.at.0)
        .bind(entry.actor.clone())
        .bind(entry.action.clone())
        .bind(entry.subject.clone())
        .bind(serde_json::to_string(&entry.details)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(at: i64, action: &str) -> AuditEntry {
        AuditEntry {
            at: UnixNanos(at),
            actor: "deployer (key_1)".into(),
            action: action.into(),
            subject: "employment".into(),
            details: json!({"to": "1.0"}),
        }
    }

    #[tokio::test]
    async fn entries_come_newest_first_and_only_when_committed() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        state.record_audit(&entry(1, "rollback.request")).await.unwrap();
        let mut transaction = state.begin().await.unwrap();
        record_audit_in(&mut transaction, &entry(2, "key.create")).await.unwrap();
        transaction.commit().await.unwrap();
        let mut dropped = state.begin().await.unwrap();
        record_audit_in(&mut dropped, &entry(3, "never")).await.unwrap();
        drop(dropped);
        let entries = state.audit_entries(10).await.unwrap();
        assert_eq!(entries, [entry(2, "key.create"), entry(1, "rollback.request")]);
        assert_eq!(state.audit_entries(1).await.unwrap().len(), 1);
    }
}
