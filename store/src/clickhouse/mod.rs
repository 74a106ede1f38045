//! ClickHouse, embedded or by URL: connection, migrations, blocks, inserts and queries.
//!
//! One SQL dialect, one client (the `clickhouse` crate over HTTP), two ways to run it: the embedded engine
//! ([`engine`]) and a server ([`ClickHouseConfig`]). Nothing but this module and its queries knows SQL, and
//! no text from outside is ever part of a statement: it is bound as a parameter.

mod blocks;
mod config;
pub mod engine;
pub mod insert;
pub mod migrate;
pub mod query;
pub mod signals;
mod table_rows;
pub mod text_index;

use std::time::Duration;

use clickhouse::Client;
pub use clickhouse::error::Error as TelemetryError;
pub use table_rows::TableRows;

pub use config::{ClickHouseConfig, DEFAULT_DATABASE};

/// A server that takes longer for the least of queries is as good as down.
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Handles to the database: one that writes, one that only reads (`readonly=1`), for whatever pages and
/// the API ask.
#[derive(Clone)]
pub struct ClickHouse {
    /// Names no database, for making it.
    unscoped: Client,
    writer: Client,
    reader: Client,
    database: String,
}

impl ClickHouse {
    /// For inserts and maintenance.
    pub fn writer(&self) -> &Client {
        &self.writer
    }

    /// For everything that reads.
    pub fn reader(&self) -> &Client {
        &self.reader
    }

    /// Makes the database where there is none.
    pub(crate) async fn create_database(&self) -> Result<(), TelemetryError> {
        // The name comes from the configuration, not from a user of the API; quoted all the same.
        let name = self.database.replace('`', "``");
        self.unscoped
            .query(&format!("CREATE DATABASE IF NOT EXISTS `{name}`"))
            .execute()
            .await
    }

    /// Asks whether the database answers.
    ///
    /// # Errors
    /// It does not, or not in time.
    pub async fn ping(&self) -> Result<(), TelemetryError> {
        let asking = tokio::time::timeout(PING_PATIENCE, self.unscoped.query("SELECT 1").fetch_one::<u8>());
        asking.await.unwrap_or(Err(TelemetryError::TimedOut)).map(|_| ())
    }

    /// The database that holds everything.
    pub fn database(&self) -> &str {
        &self.database
    }
}
