//! Splits the rows of a batch into units: the rows of one table and one day. A unit is one block of one
//! partition, so ClickHouse takes all of it or nothing.

use std::collections::BTreeMap;

use crate::clickhouse::TableRows;
use crate::clock::UnixNanos;
use crate::records::{Decoded, JoinedInference, MetricPoint, MetricPoints};

const DAY_SECONDS: i64 = 86_400;

/// The tables that the drain writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Table {
    Logs,
    Spans,
    Gauges,
    Sums,
    Histograms,
    ExponentialHistograms,
    Summaries,
    Inferences,
    Outcomes,
}

impl Table {
    /// The name under which its rows are counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Gauges => "gauges",
            Self::Sums => "sums",
            Self::Histograms => "histograms",
            Self::ExponentialHistograms => "exponential_histograms",
            Self::Summaries => "summaries",
            Self::Inferences => "inferences",
            Self::Outcomes => "outcomes",
        }
    }
}

/// What names a unit within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UnitKey {
    pub table: Table,
    /// Days since 1970; 0 for the table without partitions by day.
    pub day: i64,
}

impl std::fmt::Display for UnitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.table.name(), self.day)
    }
}

/// The rows of a unit and how many they are.
#[derive(Default)]
pub(super) struct Unit {
    pub rows: TableRows,
    pub count: u64,
}

/// The units of a batch, in the order in which they are inserted.
pub(super) type Units = BTreeMap<UnitKey, Unit>;

/// Splits decoded frames, whose halves have been joined into `inferences`.
pub(super) fn split(decoded: Vec<Decoded>, inferences: Vec<JoinedInference>) -> Units {
    let mut units = Units::new();
    for decoded in decoded {
        sort(
            &mut units,
            Table::Logs,
            decoded.logs,
            |log| day(log.timestamp),
            |rows| &mut rows.logs,
        );
        sort(
            &mut units,
            Table::Spans,
            decoded.spans,
            |span| day(span.timestamp),
            |rows| &mut rows.spans,
        );
        split_metrics(&mut units, decoded.metrics);
        sort(&mut units, Table::Outcomes, decoded.outcomes, |_| 0, |rows| &mut rows.outcomes);
    }
    sort(
        &mut units,
        Table::Inferences,
        inferences,
        |row| row.key_hour.div_euclid(DAY_SECONDS),
        |rows| &mut rows.inferences,
    );
    units
}

fn split_metrics(units: &mut Units, metrics: MetricPoints) {
    sort(units, Table::Gauges, metrics.gauges, point_day, |rows| &mut rows.metrics.gauges);
    sort(units, Table::Sums, metrics.sums, point_day, |rows| &mut rows.metrics.sums);
    sort(units, Table::Histograms, metrics.histograms, point_day, |rows| {
        &mut rows.metrics.histograms
    });
    sort(
        units,
        Table::ExponentialHistograms,
        metrics.exponential_histograms,
        point_day,
        |rows| &mut rows.metrics.exponential_histograms,
    );
    sort(units, Table::Summaries, metrics.summaries, point_day, |rows| {
        &mut rows.metrics.summaries
    });
}

fn point_day<V>(point: &MetricPoint<V>) -> i64 {
    day(point.time)
}

fn day(at: UnixNanos) -> i64 {
    at.seconds().div_euclid(DAY_SECONDS)
}

/// Appends each row to its unit. Rows come mostly in runs of one day: the map is asked once per run.
fn sort<R>(units: &mut Units, table: Table, rows: Vec<R>, day_of: impl Fn(&R) -> i64, place: impl Fn(&mut TableRows) -> &mut Vec<R>) {
    let mut rows = rows.into_iter().peekable();
    while let Some(first) = rows.next() {
        let day = day_of(&first);
        let unit = units.entry(UnitKey { table, day }).or_default();
        let target = place(&mut unit.rows);
        let before = target.len();
        target.push(first);
        while let Some(row) = rows.next_if(|row| day_of(row) == day) {
            target.push(row);
        }
        unit.count += (target.len() - before) as u64;
    }
}
