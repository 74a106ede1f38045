//! What Driftlead has decided: SQLite in WAL mode with `synchronous=FULL`, one file per noun.

use std::path::Path;
use std::str::FromStr;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// Connections of the pool: SQLite writes one at a time, the others read.
const MAX_CONNECTIONS: u32 = 4;

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A query failed.
    #[error("the state database: {0}")]
    Query(#[from] sqlx::Error),
    /// A stored value does not read back.
    #[error("the state holds a value that this version cannot read: {0}")]
    Value(#[from] serde_json::Error),
}

/// The state database.
#[derive(Debug, Clone)]
pub struct State {
    pool: SqlitePool,
}

impl State {
    /// Opens or creates the database file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        let options = SqliteConnectOptions::from_str("sqlite://")?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// The pool, for the queries of this module's files.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}
