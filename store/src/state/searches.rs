//! Searches that people keep under a name, for everybody who signs in.

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::audit::{AuditEntry, record_audit_in};
use super::{State, StateError};
use crate::clock::UnixNanos;
use crate::ids::{IdKind, new_id};

/// Most searches that are kept.
pub const MAX_SEARCHES: u64 = 500;

/// A search under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavedSearch {
    /// Its id, `sea_…`.
    pub id: String,
    /// What people call it; no two have the same.
    pub name: String,
    /// The parameters of the page's address, without the `?`.
    pub address: String,
    /// Who kept it.
    pub created_by: String,
    /// When.
    pub created_time: UnixNanos,
}

/// What became of a search that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is.
    Yes(SavedSearch),
    /// Another one has its name.
    NameTaken,
    /// There are [`MAX_SEARCHES`] already.
    Full,
}

impl State {
    /// Keeps a search and records who did, both or neither.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_search(&self, name: &str, address: &str, actor: &str, now: UnixNanos) -> Result<Kept, StateError> {
        let mut transaction = self.begin().await?;
        let (all, same): (i64, i64) = sqlx::query_as("SELECT COUNT(*), COALESCE(SUM(name = ?), 0) FROM searches")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await?;
        if same > 0 {
            return Ok(Kept::NameTaken);
        }
        if all.unsigned_abs() >= MAX_SEARCHES {
            return Ok(Kept::Full);
        }
        let search = SavedSearch {
            id: new_id(IdKind::Search),
            name: name.to_owned(),
            address: address.to_owned(),
            created_by: actor.to_owned(),
            created_time: now,
        };
        sqlx::query("INSERT INTO searches (id, name, address, created_by, created_time) VALUES (?, ?, ?, ?, ?)")
            .bind(&search.id)
            .bind(&search.name)
            .bind(&search.address)
            .bind(&search.created_by)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        record_audit_in(&mut transaction, &AuditEntry::plain("search.keep", &search.id, actor, now)).await?;
        transaction.commit().await?;
        Ok(Kept::Yes(search))
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn searches(&self) -> Result<Vec<SavedSearch>, StateError> {
        let rows = sqlx::query("SELECT id, name, address, created_by, created_time FROM searches ORDER BY name")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Forgets a search and records who did; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_search(&self, id: &str, actor: &str, now: UnixNanos) -> Result<bool, StateError> {
        let mut transaction = self.begin().await?;
        let forgotten = sqlx::query("DELETE FROM searches WHERE id = ?")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if forgotten.rows_affected() == 0 {
            return Ok(false);
        }
        record_audit_in(&mut transaction, &AuditEntry::plain("search.forget", id, actor, now)).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn read(row: &SqliteRow) -> Result<SavedSearch, StateError> {
    Ok(SavedSearch {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        created_by: row.try_get("created_by")?,
        created_time: UnixNanos(row.try_get("created_time")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn searches_are_kept_under_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let now = UnixNanos::from_seconds(5);
        let keep = async |name: &str| state.keep_search(name, "q=a&range=24h", "ann", now).await.unwrap();
        let Kept::Yes(first) = keep("timeouts").await else {
            panic!("it is kept")
        };
        assert_eq!(keep("timeouts").await, Kept::NameTaken);
        assert_eq!(state.searches().await.unwrap(), std::slice::from_ref(&first));
        for n in 1..MAX_SEARCHES {
            assert!(matches!(keep(&format!("number {n}")).await, Kept::Yes(_)));
        }
        assert_eq!(keep("one more").await, Kept::Full);
        assert!(state.forget_search(&first.id, "bob", now).await.unwrap());
        assert!(!state.forget_search(&first.id, "bob", now).await.unwrap());
        assert!(matches!(keep("timeouts").await, Kept::Yes(_)));
    }
}
