//! Blocks of tables: what is written to ClickHouse, column by column, made from domain types by pure functions.
//!
//! A block goes as it is into the engine's memory (format `Native`): read as rows, an inference with its log record cost the
//! engine 28 µs before anything was done with it, as columns 4 µs.

mod inference;
mod log;
mod metric;
mod outcome;
mod span;
mod values;

use clickhouse::native::Block;
use clickhouse::native::builder::BlockBuilder;
use clickhouse::native::encode::Encode;

use super::TelemetryError;

/// Records of one table.
pub(super) trait Tabled: Sized + Sync {
    /// The table.
    const TABLE: &'static str;

    /// The records as a block; rows of raw telemetry name the batch.
    ///
    /// # Errors
    /// There are no records, or a column does not have the type that it says: a mistake in this module.
    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError>;
}

/// A block that is being made of records, a column after the other.
struct Columns<'a, Record> {
    records: Vec<&'a Record>,
    block: BlockBuilder,
}

impl<'a, Record> Columns<'a, Record> {
    fn of(records: impl IntoIterator<Item = &'a Record>) -> Self {
        Self {
            records: records.into_iter().collect(),
            block: BlockBuilder::new(),
        }
    }

    /// Adds a column with this value of each record.
    fn with<T: Encode>(mut self, name: &str, value: impl Fn(&'a Record) -> T) -> Result<Self, TelemetryError> {
        let mut column = self.block.upsert_column::<T>(name).map_err(other)?;
        column
            .add_all(self.records.iter().map(|record| value(record)))
            .map_err(TelemetryError::Other)?;
        Ok(self)
    }

    fn build(mut self) -> Result<Block, TelemetryError> {
        self.block.build().map_err(other)
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> TelemetryError {
    TelemetryError::Other(Box::new(error))
}
