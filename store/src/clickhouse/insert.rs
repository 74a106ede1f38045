//! Inserts of the drain: one block per table, recognised by its token when it comes again.
//!
//! A token alone does not make an insert exact. The engine notes it a moment before the block becomes visible, so
//! an engine that is killed in between has a token without rows, and the same insert is then taken for done. Hence an
//! insert that was tried before ([`Attempt::Again`]) is looked at afterwards: rows of raw telemetry carry their batch
//! and are counted, and what is missing is inserted under another token; rows of `inferences` and `outcomes`, which
//! merge with their equals, are simply inserted under a token of their own.

use std::time::Duration;

use clickhouse::Client;
use xxhash_rust::xxh3::xxh3_64;

use super::blocks::Tabled;
use super::{ClickHouse, TableRows, TelemetryError};
use crate::clock::UnixNanos;
use crate::records::{LogRecord, MetricPoint, SpanRecord};

/// Why an insert was not done.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// It may work later, and may even have been done: the same insert, [`Attempt::Again`], is harmless.
    #[error("{table}: {source}")]
    Unavailable {
        /// The table.
        table: &'static str,
        /// Why.
        source: TelemetryError,
    },
    /// These rows will never be taken, and none of them was.
    #[error("{table} refused the rows: {source}")]
    Refused {
        /// The table.
        table: &'static str,
        /// Why.
        source: TelemetryError,
    },
}

/// Whether the outcome of an earlier try is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Nobody has tried.
    First,
    /// Somebody has, and perhaps with success.
    Again,
}

/// Codes of ClickHouse that mean that these rows cannot be stored, whenever they are tried.
const REFUSALS: [&str; 10] = [
    "Code: 6.",   // CANNOT_PARSE_TEXT
    "Code: 27.",  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    "Code: 33.",  // CANNOT_READ_ALL_DATA
    "Code: 53.",  // TYPE_MISMATCH
    "Code: 69.",  // ARGUMENT_OUT_OF_BOUND
    "Code: 117.", // INCORRECT_DATA
    "Code: 128.", // TOO_LARGE_ARRAY_SIZE
    "Code: 131.", // TOO_LARGE_STRING_SIZE
    "Code: 167.", // QUERY_IS_TOO_LARGE: the engine's bound of one insert; a half of it may fit
    "Code: 321.", // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
];

/// More rows than any batch has: an insert must stay one block, or its token covers only a part of it.
const MAX_BLOCK_ROWS: &str = "10000000";
/// By default a table that merges rows of one key does so within each block before it writes it: four fifths of what an
/// insert into `inferences` costs, though merges and reads take most of that over. The drain gives one row for a key already, and where it did not, a later merge and
/// `FINAL` treat rows of one new part as they treat rows of two.
const MERGE_ON_INSERT: &str = "0";
/// Rows that are still not there after so many more inserts are reported and left: most likely they have expired, for a
/// table drops what its TTL has passed whenever it merges. Each insert loses its rows only to a kill of the engine in one
/// moment of it.
const MAX_REPAIRS: u32 = 3;
/// An insert whose answer was lost may still run, and show its rows a moment later.
const REPAIR_PAUSE: Duration = Duration::from_secs(1);
/// A piece of an insert that the socket does not take for so long: the other side hangs.
pub(super) const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// An insert of the largest batch takes a second or two; one that is not answered after so long is tried again, for its
/// token makes that harmless.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// Inserts the rows, each table's as one block with the token `{token}/{table}`. Returns when they are fsynced: how many
/// are not there although the database has said, each time, that it took them.
///
/// # Errors
/// A table did not take its rows; the tables before it did, and take nothing twice.
pub async fn insert_batch(clickhouse: &ClickHouse, rows: &TableRows, token: &str, attempt: Attempt) -> Result<u64, InsertError> {
    let inserting = Inserting {
        client: clickhouse.writer(),
        token,
        attempt,
    };
    let metrics = &rows.metrics;
    let missing = [
        inserting.raw(&rows.logs).await?,
        inserting.raw(&rows.spans).await?,
        inserting.raw(&metrics.gauges).await?,
        inserting.raw(&metrics.sums).await?,
        inserting.raw(&metrics.histograms).await?,
        inserting.raw(&metrics.exponential_histograms).await?,
        inserting.raw(&metrics.summaries).await?,
    ];
    inserting.merging(&rows.inferences).await?;
    inserting.merging(&rows.outcomes).await?;
    Ok(missing.iter().sum())
}

/// A row of raw telemetry and the time by which its table is partitioned.
trait Timed {
    /// The table's column.
    const TIME_COLUMN: &'static str;
    fn time(&self) -> UnixNanos;
}

impl Timed for LogRecord {
    const TIME_COLUMN: &'static str = "Timestamp";
    fn time(&self) -> UnixNanos {
        self.timestamp
    }
}

impl Timed for SpanRecord {
    const TIME_COLUMN: &'static str = "Timestamp";
    fn time(&self) -> UnixNanos {
        self.timestamp
    }
}

impl<V> Timed for MetricPoint<V> {
    const TIME_COLUMN: &'static str = "TimeUnix";
    fn time(&self) -> UnixNanos {
        self.time
    }
}

struct Inserting<'a> {
    client: &'a Client,
    token: &'a str,
    attempt: Attempt,
}

impl Inserting<'_> {
    /// Rows of a table that keeps every row that it is given; returns how many are missing in the end.
    async fn raw<Record: Timed + Tabled>(&self, records: &[Record]) -> Result<u64, InsertError> {
        let table = Record::TABLE;
        let token = format!("{}/{table}", self.token);
        let batch = xxh3_64(token.as_bytes());
        self.insert(&token, batch, records).await?;
        if self.attempt == Attempt::First || records.is_empty() {
            return Ok(0);
        }
        for repair in 1..=MAX_REPAIRS {
            if self.missing(batch, records).await? == 0 {
                return Ok(0);
            }
            tokio::time::sleep(REPAIR_PAUSE).await;
            if self.missing(batch, records).await? == 0 {
                return Ok(0);
            }
            tracing::warn!(
                table,
                rows = records.len(),
                repair,
                "a block was noted as inserted but is not there: it is inserted again"
            );
            self.insert(&format!("{token}/{repair}"), batch, records).await?;
        }
        let missing = self.missing(batch, records).await?;
        if missing > 0 {
            tracing::error!(
                table,
                rows = records.len(),
                missing,
                "rows are not there although every insert of them succeeded"
            );
        }
        Ok(missing)
    }

    /// Rows of a table that merges rows of one key: the same row twice is that row.
    async fn merging<Record: Tabled>(&self, records: &[Record]) -> Result<(), InsertError> {
        let table = Record::TABLE;
        let token = match self.attempt {
            Attempt::First => format!("{}/{table}", self.token),
            Attempt::Again => format!("{}/{table}/{:016x}", self.token, rand::random::<u64>()),
        };
        self.insert(&token, 0, records).await
    }

    async fn insert<Record: Tabled>(&self, token: &str, batch: u64, records: &[Record]) -> Result<(), InsertError> {
        if records.is_empty() {
            return Ok(());
        }
        let attempt = async {
            let block = Record::block(records, batch)?;
            let mut insert = self
                .client
                .insert_native(Record::TABLE)
                .with_timeouts(Some(SEND_PATIENCE), Some(ANSWER_PATIENCE))
                .with_setting("insert_deduplication_token", token)
                .with_setting("max_insert_block_size", MAX_BLOCK_ROWS)
                .with_setting("min_insert_block_size_rows", MAX_BLOCK_ROWS)
                .with_setting("min_insert_block_size_bytes", "0")
                .with_setting("optimize_on_insert", MERGE_ON_INSERT);
            insert.write(&block).await?;
            insert.end().await
        };
        attempt.await.map_err(|source| classify(Record::TABLE, source))
    }

    /// How many rows of the block the table does not have. A block is one part, so that is all of them or none.
    async fn missing<Record: Timed + Tabled>(&self, batch: u64, records: &[Record]) -> Result<u64, InsertError> {
        let table = Record::TABLE;
        let times = || records.iter().map(Timed::time);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(0);
        };
        let time = Record::TIME_COLUMN;
        let sql = format!(
            "SELECT count() FROM {table} WHERE DriftleadBatch = {{batch:UInt64}} \
             AND {time} BETWEEN fromUnixTimestamp64Nano({{first:Int64}}) AND fromUnixTimestamp64Nano({{last:Int64}})"
        );
        let query = self
            .client
            .query(&sql)
            .param("batch", batch)
            .param("first", first.0)
            .param("last", last.0);
        let counting = tokio::time::timeout(ANSWER_PATIENCE, query.fetch_one::<u64>());
        let counted = counting.await.unwrap_or(Err(TelemetryError::TimedOut));
        let stored = counted.map_err(|source| InsertError::Unavailable { table, source })?;
        Ok((records.len() as u64).saturating_sub(stored))
    }
}

fn classify(table: &'static str, source: TelemetryError) -> InsertError {
    let refused = match &source {
        TelemetryError::BadResponse(text) => REFUSALS.iter().any(|code| text.contains(code)),
        _ => false,
    };
    if refused {
        InsertError::Refused { table, source }
    } else {
        InsertError::Unavailable { table, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_can_be_stored_is_told_from_what_may_work_later() {
        for (text, refused) in [
            ("Code: 117. DB::Exception: Incorrect data. (INCORRECT_DATA)", true),
            (
                "Code: 167. DB::Exception: The body is larger than 268435456 bytes. (QUERY_IS_TOO_LARGE)",
                true,
            ),
            ("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", false),
            ("Code: 202. DB::Exception: Too many queries. (TOO_MANY_SIMULTANEOUS_QUERIES)", false),
        ] {
            let error = classify("otel_logs", TelemetryError::BadResponse(text.to_owned()));
            assert_eq!(matches!(error, InsertError::Refused { .. }), refused, "{text}");
        }
    }
}
