//! Rows of tables: what is written to ClickHouse, made from domain types by pure functions that copy nothing.

mod inference;
mod log;
mod metric;
mod outcome;
mod span;

pub(super) use inference::InferenceRow;
pub(super) use log::LogRow;
pub(super) use metric::{ExponentialHistogramRow, GaugeRow, HistogramRow, SumRow, SummaryRow};
pub(super) use outcome::OutcomeRow;
pub(super) use span::SpanRow;

/// A map as ClickHouse takes it: pairs.
type Map<'a> = &'a [(String, String)];
