//! Silences: which alerts nobody wants to hear of until when, by whom and why.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::audit::{AuditEntry, record_audit_in};
use super::{State, StateError};
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};

const COLUMNS: &str = "id, matchers, reason, author, starts_at, ends_at, created_at";

/// Which alerts a silence covers: those that equal every field that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matchers {
    /// Name of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Environment; the empty text is the one of senders that state none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Subject, such as a feature's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// What an alert is about, for [`Matchers::matches`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AlertLabels<'a> {
    /// Name of the rule.
    pub rule: &'a str,
    /// Model.
    pub model: &'a str,
    /// Version.
    pub version: &'a str,
    /// Environment.
    pub environment: &'a str,
    /// Segment.
    pub segment: &'a str,
    /// Signal.
    pub signal: &'a str,
    /// Subject.
    pub subject: &'a str,
}

impl Matchers {
    /// Whether no field is set; such a silence would cover everything and is refused at the edge.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an alert with these labels is covered.
    pub fn matches(&self, alert: &AlertLabels<'_>) -> bool {
        [
            (&self.rule, alert.rule),
            (&self.model, alert.model),
            (&self.version, alert.version),
            (&self.environment, alert.environment),
            (&self.segment, alert.segment),
            (&self.signal, alert.signal),
            (&self.subject, alert.subject),
        ]
        .into_iter()
        .all(|(wanted, actual)| wanted.as_deref().is_none_or(|wanted| wanted == actual))
    }
}

/// A silence. It covers `starts_at <= now < ends_at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Its id, `sil_…`.
    pub id: String,
    /// Which alerts it covers.
    pub matchers: Matchers,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// From when.
    pub starts_at: UnixNanos,
    /// Until when.
    pub ends_at: UnixNanos,
    /// When it was made.
    pub created_at: UnixNanos,
}

/// A silence that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// Which alerts it covers.
    pub matchers: Matchers,
    /// Why.
    pub reason: String,
    /// Who makes it.
    pub author: String,
    /// From when.
    pub starts_at: UnixNanos,
    /// Until when.
    pub ends_at: UnixNanos,
}

impl State {
    /// Makes a silence and records who did, both or neither.
    ///
    /// # Errors
    /// The database fails.
    pub async fn create_silence(&self, new: NewSilence, now: UnixNanos) -> Result<Silence, StateError> {
        let silence = Silence {
            id: new_id(IdKind::Silence),
            matchers: new.matchers,
            reason: new.reason,
            author: new.author,
            starts_at: new.starts_at,
            ends_at: new.ends_at,
            created_at: now,
        };
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO silences (id, matchers, reason, author, starts_at, ends_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&silence.id)
        .bind(serde_json::to_string(&silence.matchers)?)
        .bind(&silence.reason)
        .bind(&silence.author)
        .bind(silence.starts_at.0)
        .bind(silence.ends_at.0)
        .bind(silence.created_at.0)
        .execute(&mut *transaction)
        .await?;
        record_audit_in(
            &mut transaction,
            &AuditEntry::plain("silence.create", &silence.id, &silence.author, now),
        )
        .await?;
        transaction.commit().await?;
        Ok(silence)
    }

    /// One silence.
    ///
    /// # Errors
    /// The database fails, or the silence does not read back.
    pub async fn silence(&self, id: &str) -> Result<Option<Silence>, StateError> {
        sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM silences WHERE id = $1")))
            .bind(id)
            .fetch_optional(self.pool())
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// Silences that cover this instant.
    ///
    /// # Errors
    /// The database fails, or a silence does not read back.
    pub async fn active_silences(&self, now: UnixNanos) -> Result<Vec<Silence>, StateError> {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM silences WHERE starts_at <= $1 AND ends_at > $1 ORDER BY ends_at, id"
        )))
        .bind(now.0)
        .fetch_all(self.pool())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// The silences that end last, ended ones too, at most `limit`.
    ///
    /// # Errors
    /// The database fails, or a silence does not read back.
    pub async fn silences(&self, limit: u32) -> Result<Vec<Silence>, StateError> {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM silences ORDER BY ends_at DESC, id DESC LIMIT $1"
        )))
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Ends a silence now and records who did; it stays on record. `false` where there is none of this id that
    /// still covers.
    ///
    /// # Errors
    /// The database fails.
    pub async fn end_silence(&self, id: &str, ended_by: &str, now: UnixNanos) -> Result<bool, StateError> {
        let mut transaction = self.begin().await?;
        let ended = sqlx::query("UPDATE silences SET ends_at = $2 WHERE id = $1 AND ends_at > $2")
            .bind(id)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        record_audit_in(&mut transaction, &AuditEntry::plain("silence.end", id, ended_by, now)).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn read(row: &SqliteRow) -> Result<Silence, StateError> {
    Ok(Silence {
        id: row.try_get("id")?,
        matchers: serde_json::from_str(row.try_get("matchers")?)?,
        reason: row.try_get("reason")?,
        author: row.try_get("author")?,
        starts_at: UnixNanos(row.try_get("starts_at")?),
        ends_at: UnixNanos(row.try_get("ends_at")?),
        created_at: UnixNanos(row.try_get("created_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matchers(json: &str) -> Matchers {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_silence_covers_what_equals_all_its_fields() {
        let alert = AlertLabels {
            rule: "slow",
            model: "employment",
            version: "1.1",
            environment: "",
            ..AlertLabels::default()
        };
        for (json, expected) in [
            (r#"{"model": "employment"}"#, true),
            (r#"{"model": "employment", "version": "1.1"}"#, true),
            (r#"{"model": "employment", "version": "1.0"}"#, false),
            (r#"{"environment": ""}"#, true),
            (r#"{"environment": "production"}"#, false),
            (r#"{"subject": "AGEP"}"#, false),
        ] {
            assert_eq!(matchers(json).matches(&alert), expected, "{json}");
        }
        assert!(matchers("{}").is_empty());
        assert!(serde_json::from_str::<Matchers>(r#"{"modell": "x"}"#).is_err());
    }

    #[tokio::test]
    async fn a_silence_covers_from_its_start_until_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let new = NewSilence {
            matchers: matchers(r#"{"model": "employment"}"#),
            reason: "planned".into(),
            author: "ana".into(),
            starts_at: UnixNanos(100),
            ends_at: UnixNanos(200),
        };
        let silence = state.create_silence(new, UnixNanos(50)).await.unwrap();
        for (now, active) in [(99, 0), (100, 1), (199, 1), (200, 0)] {
            assert_eq!(state.active_silences(UnixNanos(now)).await.unwrap().len(), active, "{now}");
        }
        assert!(state.end_silence(&silence.id, "bo", UnixNanos(150)).await.unwrap());
        assert!(!state.end_silence(&silence.id, "bo", UnixNanos(160)).await.unwrap());
        assert_eq!(state.active_silences(UnixNanos(150)).await.unwrap(), []);
        assert_eq!(state.silences(10).await.unwrap()[0].ends_at, UnixNanos(150));
        assert_eq!(state.silence(&silence.id).await.unwrap().unwrap().ends_at, UnixNanos(150));
        let audit = state.audit_entries(10).await.unwrap();
        let done: Vec<_> = audit.iter().map(|entry| (entry.action.as_str(), entry.actor.as_str())).collect();
        assert_eq!(done, [("silence.end", "bo"), ("silence.create", silence.author.as_str())]);
    }
}
