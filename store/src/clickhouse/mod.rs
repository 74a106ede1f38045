//! ClickHouse, embedded or by URL: connection, migrations, rows, inserts and queries.

pub mod query;
pub mod signals;

use clickhouse::Client;
pub use clickhouse::error::Error as TelemetryError;

/// Handles to the database: one that writes, one that only reads (`readonly=1`), for whatever pages and
/// the API ask.
#[derive(Clone)]
pub struct ClickHouse {
    writer: Client,
    reader: Client,
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
}
