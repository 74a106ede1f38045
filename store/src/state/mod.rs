//! What Driftlead has decided: SQLite in WAL mode with `synchronous=FULL`, one file per noun.
//!
//! [`State::open`] brings the schema up to date ([`migrate`]); after that every noun's file adds methods to
//! [`State`]. A decision with consequences is one transaction ([`State::begin`]): the state that caused it,
//! what it caused, and the row of the outbox that tells others. SQL stays within what PostgreSQL also
//! speaks. Deliberately absent: telemetry, and everything that is computed from it.

pub mod actions;
pub mod alerts;
pub mod audit;
pub mod changes;
pub mod clusterings;
pub mod dirty;
pub mod key_rates;
pub mod keys;
mod migrate;
pub mod outbox;
pub mod patterns;
pub mod search_rules;
pub mod searches;
pub mod settings;
pub mod silences;
pub mod upkeep;

mod column;
pub mod control;
pub mod deployments;
pub mod references;
pub mod replays;
pub mod verdicts;
pub mod versions;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

/// Connections of the pool: SQLite writes one at a time, the others read.
const MAX_CONNECTIONS: u32 = 4;
/// How long opening waits for another process that has the file for itself.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it waits before it tries again.
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A query failed.
    #[error("the state database: {0}")]
    Query(#[from] sqlx::Error),
    /// A stored value does not read back.
    #[error("the state holds a value that this version cannot read: {0}")]
    Value(#[from] serde_json::Error),
    /// A later Driftlead has migrated this folder.
    #[error(
        "the data folder was written by a newer Driftlead (its state has migration {found}, this version knows {known}): \
         start that version or a later one, or choose another folder with --data"
    )]
    Newer {
        /// The latest migration that the folder has.
        found: i64,
        /// The latest migration that this version has.
        known: i64,
    },
    /// The schema of this folder is not the one that this version would have made.
    #[error(
        "migration {number} ({name}) of the state is not the one that this data folder was made with: \
         it comes from a build between releases; choose another folder with --data"
    )]
    Changed {
        /// Number of the migration.
        number: i64,
        /// Its name.
        name: &'static str,
    },
    /// A migration failed; nothing of it was kept.
    #[error("migration {number} ({name}) of the state failed: {source}")]
    Migration {
        /// Number of the migration.
        number: i64,
        /// Its name.
        name: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
}

/// Connects, and waits for another process that opens the same new file. The change to WAL mode needs the
/// file for itself, and SQLite answers it with "locked" at once, whatever the busy timeout: waiting is ours.
async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let deadline = tokio::time::Instant::now() + OPEN_TIMEOUT;
    loop {
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .connect_with(options.clone())
            .await;
        match pool {
            Err(error) if is_locked(&error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(OPEN_AGAIN_AFTER).await;
            }
            opened_or_failed => return opened_or_failed,
        }
    }
}

/// Whether SQLite said `SQLITE_BUSY`, in any of its extended forms (the low byte of the code is 5).
fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// The state database.
#[derive(Debug, Clone)]
pub struct State {
    pool: SqlitePool,
}

impl State {
    /// Opens or creates the database file and applies the migrations that it lacks.
    ///
    /// # Errors
    /// The file cannot be opened, another process has it for itself for longer than 5 s, a newer version
    /// wrote it, or a migration fails.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = connect(options).await?;
        migrate::migrate(&pool, migrate::MIGRATIONS).await?;
        Ok(Self { pool })
    }

    /// The pool, for the queries of this module's files.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that writes. It takes the write lock at once, so that what it reads cannot change
    /// before it writes; it is rolled back when it is dropped without a commit.
    ///
    /// # Errors
    /// Another writer held the lock for longer than SQLite's busy timeout (5 s).
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StateError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Closes all connections, after those in use have been given back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
