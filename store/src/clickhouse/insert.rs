//! Inserts of the drain: one block per table, recognised by its token when it comes again.

use clickhouse::{Client, RowWrite};

use super::rows::{ExponentialHistogramRow, GaugeRow, HistogramRow, InferenceRow, LogRow, OutcomeRow, SpanRow, SumRow, SummaryRow};
use super::{ClickHouse, TableRows, TelemetryError};

/// Why an insert was not done.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// It may work later, and may even have been done: the same insert with the same token is harmless.
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

/// Codes of ClickHouse that mean that these rows cannot be stored, whenever they are tried.
const REFUSALS: [&str; 9] = [
    "Code: 6.",   // CANNOT_PARSE_TEXT
    "Code: 27.",  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    "Code: 33.",  // CANNOT_READ_ALL_DATA
    "Code: 53.",  // TYPE_MISMATCH
    "Code: 69.",  // ARGUMENT_OUT_OF_BOUND
    "Code: 117.", // INCORRECT_DATA
    "Code: 128.", // TOO_LARGE_ARRAY_SIZE
    "Code: 131.", // TOO_LARGE_STRING_SIZE
    "Code: 321.", // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
];

/// Inserts the rows, each table's as one block with the token `{token}/{table}`. Returns when they are fsynced.
///
/// # Errors
/// A table did not take its rows; the tables before it did, and take nothing twice.
pub async fn insert_batch(clickhouse: &ClickHouse, rows: &TableRows, token: &str) -> Result<(), InsertError> {
    let writer = clickhouse.writer();
    let metrics = &rows.metrics;
    insert::<_, LogRow<'static>>(writer, "otel_logs", token, &rows.logs, |log| Some(log.into())).await?;
    insert::<_, SpanRow<'static>>(writer, "otel_traces", token, &rows.spans, |span| Some(span.into())).await?;
    insert::<_, GaugeRow<'static>>(writer, "otel_metrics_gauge", token, &metrics.gauges, |point| Some(point.into())).await?;
    insert::<_, SumRow<'static>>(writer, "otel_metrics_sum", token, &metrics.sums, |point| Some(point.into())).await?;
    insert::<_, HistogramRow<'static>>(writer, "otel_metrics_histogram", token, &metrics.histograms, |point| {
        Some(point.into())
    })
    .await?;
    let exponential = &metrics.exponential_histograms;
    insert::<_, ExponentialHistogramRow<'static>>(writer, "otel_metrics_exponential_histogram", token, exponential, |point| {
        Some(point.into())
    })
    .await?;
    insert::<_, SummaryRow<'static>>(writer, "otel_metrics_summary", token, &metrics.summaries, |point| {
        Some(point.into())
    })
    .await?;
    insert::<_, InferenceRow<'static>>(writer, "inferences", token, &rows.inferences, |inference| {
        InferenceRow::new(inference)
    })
    .await?;
    insert::<_, OutcomeRow<'static>>(writer, "outcomes", token, &rows.outcomes, |outcome| Some(outcome.into())).await
}

/// Inserts the rows of one table. Rows are made one at a time by a function pointer: an iterator of borrowing rows held
/// across an await would not be `Send`.
async fn insert<Record: Sync, R: RowWrite>(
    client: &Client,
    table: &'static str,
    token: &str,
    records: &[Record],
    row_of: for<'a> fn(&'a Record) -> Option<R::Value<'a>>,
) -> Result<(), InsertError> {
    if records.is_empty() {
        return Ok(());
    }
    let attempt = async {
        let mut insert = client
            .insert::<R>(table)
            .await?
            .with_setting("insert_deduplication_token", format!("{token}/{table}"))
            .with_setting("max_insert_block_size", MAX_BLOCK_ROWS)
            .with_setting("min_insert_block_size_rows", MAX_BLOCK_ROWS)
            .with_setting("min_insert_block_size_bytes", "0");
        for record in records {
            if let Some(row) = row_of(record) {
                insert.write(&row).await?;
            }
        }
        insert.end().await
    };
    attempt.await.map_err(|source| classify(table, source))
}

/// More rows than any batch has: an insert must stay one block, or its token covers only a part of it.
const MAX_BLOCK_ROWS: &str = "10000000";

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
