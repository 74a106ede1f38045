//! Brings the schema up to date: migrations in order, each once, each in a transaction of its own.
//!
//! `schema_migrations` holds what was applied, with a checksum. A folder that has a migration which this
//! version does not know, or one whose text is another, is refused: nothing is guessed about its schema.

use sha2::{Digest, Sha256};
use sqlx::{Row, SqlitePool};

use super::StateError;

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// Counted from 1 without gaps.
    pub number: i64,
    /// What it brings.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// All steps, in order. A released step never changes; a new one is added at the end.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "state",
        sql: include_str!("../../migrations/state/0001_state.sql"),
    },
    Migration {
        number: 2,
        name: "key_rates",
        sql: include_str!("../../migrations/state/0002_key_rates.sql"),
    },
    Migration {
        number: 3,
        name: "patterns",
        sql: include_str!("../../migrations/state/0003_patterns.sql"),
    },
    Migration {
        number: 4,
        name: "searches",
        sql: include_str!("../../migrations/state/0004_searches.sql"),
    },
    Migration {
        number: 5,
        name: "search_rules",
        sql: include_str!("../../migrations/state/0005_search_rules.sql"),
    },
    Migration {
        number: 6,
        name: "clusterings",
        sql: include_str!("../../migrations/state/0006_clusterings.sql"),
    },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number     BIGINT PRIMARY KEY,
    name       TEXT   NOT NULL,
    checksum   TEXT   NOT NULL,
    applied_at TEXT   NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

/// Applies what the database lacks.
pub(super) async fn migrate(pool: &SqlitePool, migrations: &'static [Migration]) -> Result<(), StateError> {
    sqlx::query(TABLE).execute(pool).await?;
    refuse_newer(pool, migrations).await?;
    for migration in migrations {
        apply(pool, migration).await?;
    }
    Ok(())
}

async fn refuse_newer(pool: &SqlitePool, migrations: &[Migration]) -> Result<(), StateError> {
    let known = migrations.last().map_or(0, |last| last.number);
    let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM schema_migrations")
        .fetch_one(pool)
        .await?;
    if found > known {
        return Err(StateError::Newer { found, known });
    }
    Ok(())
}

/// Applies one migration unless it was applied before. The lock is taken first, so of two processes that
/// open the same folder one applies and the other finds it done.
async fn apply(pool: &SqlitePool, migration: &Migration) -> Result<(), StateError> {
    let &Migration { number, name, sql } = migration;
    let checksum = hex::encode(Sha256::digest(sql));
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let applied = sqlx::query("SELECT checksum FROM schema_migrations WHERE number = $1")
        .bind(number)
        .fetch_optional(&mut *transaction)
        .await?;
    if let Some(row) = applied {
        let before: String = row.try_get("checksum")?;
        return if before == checksum {
            Ok(())
        } else {
            Err(StateError::Changed { number, name })
        };
    }
    sqlx::raw_sql(sql)
        .execute(&mut *transaction)
        .await
        .map_err(|source| StateError::Migration { number, name, source })?;
    sqlx::query("INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)")
        .bind(number)
        .bind(name)
        .bind(checksum)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    const FIRST: Migration = Migration {
        number: 1,
        name: "first",
        sql: "CREATE TABLE a (x BIGINT); INSERT INTO a VALUES (1);",
    };
    const SECOND: Migration = Migration {
        number: 2,
        name: "second",
        sql: "CREATE TABLE b (y BIGINT);",
    };
    const BROKEN: Migration = Migration {
        number: 2,
        name: "broken",
        sql: "INSERT INTO a VALUES (2); INSERT INTO missing VALUES (1);",
    };
    const FIRST_CHANGED: Migration = Migration {
        number: 1,
        name: "first",
        sql: "CREATE TABLE c (x BIGINT);",
    };

    async fn pool(folder: &tempfile::TempDir) -> SqlitePool {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(folder.path().join("state.db"))
            .create_if_missing(true);
        SqlitePool::connect_with(options).await.unwrap()
    }

    async fn rows(pool: &SqlitePool) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM a").fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn each_migration_is_applied_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder).await;
        migrate(&pool, &[FIRST]).await.unwrap();
        migrate(&pool, &[FIRST, SECOND]).await.unwrap();
        migrate(&pool, &[FIRST, SECOND]).await.unwrap();
        assert_eq!(rows(&pool).await, 1);
        sqlx::query("INSERT INTO b VALUES (1)").execute(&pool).await.unwrap();
    }

    #[tokio::test]
    async fn a_newer_folder_is_refused_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder).await;
        migrate(&pool, &[FIRST, SECOND]).await.unwrap();
        let error = migrate(&pool, &[FIRST]).await.unwrap_err();
        assert!(matches!(error, StateError::Newer { found: 2, known: 1 }), "{error}");
        assert!(error.to_string().contains("newer Driftlead"), "{error}");
    }

    #[tokio::test]
    async fn a_migration_whose_text_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder).await;
        migrate(&pool, &[FIRST]).await.unwrap();
        let error = migrate(&pool, &[FIRST_CHANGED]).await.unwrap_err();
        assert!(matches!(error, StateError::Changed { number: 1, .. }), "{error}");
    }

    #[tokio::test]
    async fn of_a_failed_migration_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder).await;
        let error = migrate(&pool, &[FIRST, BROKEN]).await.unwrap_err();
        assert!(matches!(error, StateError::Migration { number: 2, .. }), "{error}");
        assert_eq!(rows(&pool).await, 1);
        migrate(&pool, &[FIRST, SECOND]).await.unwrap();
    }

    /// Whichever comes second at whichever moment: the file is new, changes to WAL mode, has no schema yet.
    #[tokio::test]
    async fn processes_that_open_one_new_folder_agree() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state.db");
            let opened = futures_util::future::join_all((0..4).map(|_| State::open(&path))).await;
            for state in opened {
                let applied: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM schema_migrations")
                    .fetch_one(state.unwrap().pool())
                    .await
                    .unwrap();
                assert_eq!(applied, MIGRATIONS.len() as i64);
            }
        }
    }

    #[tokio::test]
    async fn the_state_is_durable_at_commit() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(state.pool()).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(state.pool()).await.unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }
}
