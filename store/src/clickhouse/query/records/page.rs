//! The records of one page, whole.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;
use serde_json::Value;

use super::Search;
use super::counts::range;
use crate::clickhouse::TelemetryError;
use crate::clock::UnixNanos;
use crate::index::query::{Keyword, Text};
use crate::index::{Histogram, Hit, MAX_HITS_BYTES, SearchError, highlight, needles};
use crate::records::ErrorDocument;

/// Where nothing says how far back a page reaches, so many seconds are tried first, and each time this many times as many.
const FIRST_SECONDS: i64 = 60;
const WIDENS: i64 = 8;

/// Where a record stands in the order of pages, newest first. Records that are the same in everything stand one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub time: UnixNanos,
    pub sequence: u64,
    /// How many that are the same come before it.
    pub ordinal: u32,
}

/// A page.
pub(super) struct Page {
    pub hits: Vec<Hit>,
    /// Cursor of the next one; `None`: there is none.
    pub next: Option<String>,
}

impl Place {
    fn write(self) -> String {
        format!("{:016x}{:016x}{:08x}", self.time.0, self.sequence, self.ordinal)
    }

    /// Reads an id or a cursor.
    pub fn read(text: &str) -> Result<Self, SearchError> {
        let wrong = || SearchError::Cursor(text.chars().take(64).collect());
        if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let part = |from: usize, to: usize| u64::from_str_radix(&text[from..to], 16).map_err(|_| wrong());
        Ok(Self {
            time: UnixNanos(part(0, 16)? as i64),
            sequence: part(16, 32)?,
            ordinal: u32::try_from(part(32, 40)?).map_err(|_| wrong())?,
        })
    }
}

/// A record as it is stored.
#[derive(Row, Deserialize)]
struct Record {
    time: i64,
    sequence: u64,
    severity: String,
    service: String,
    model: String,
    version: String,
    environment: String,
    trace_id: String,
    span_id: String,
    error_type: String,
    message: String,
    stack: String,
    attributes: Vec<(String, String)>,
    resource: Vec<(String, String)>,
    further: Vec<(String, String)>,
}

#[derive(Row, Deserialize)]
struct Edge {
    records: u64,
    time: i64,
}

/// Reads the page behind `after`; how the records are spread in time saves looking for how far back it reaches.
pub(super) async fn read(
    search: &Search<'_>,
    histogram: Option<&Histogram>,
    after: Option<Place>,
    limit: usize,
) -> Result<Page, TelemetryError> {
    let nothing = Page {
        hits: Vec::new(),
        next: None,
    };
    // One more than is shown, to know whether there is a next page. Of the instant of the last one some were shown before.
    let of_instant = match after {
        Some(after) => of_instant(search, after.time).await?,
        None => 0,
    };
    let passed = after.map_or(0, |after| u64::from(after.ordinal) + 1);
    let wanted = limit as u64 + 1 + of_instant;
    let to = match after {
        Some(after) => Some(UnixNanos(after.time.0.saturating_add(1))),
        None => search.to,
    };
    let edge = match histogram {
        Some(histogram) => edge(search, step_that_fills(histogram, search.from, to, wanted), to, wanted).await?,
        None => nearest_edge(search, to, wanted).await?,
    };
    let Some((edge, _)) = edge else {
        return Ok(nothing);
    };
    let condition = search.condition(Some(edge), to);
    let sequence = search.kind.sequence();
    let below = match after {
        Some(_) => format!("AND (Timestamp < fromUnixTimestamp64Nano({{after:Int64}}) OR {sequence} <= {{below:UInt64}})"),
        None => String::new(),
    };
    let sql = format!(
        "{select} WHERE {condition} {below} ORDER BY Timestamp DESC, sequence DESC LIMIT {{wanted:UInt64}} OFFSET {{passed:UInt64}}",
        select = select(search),
        condition = condition.sql,
    );
    let mut query = condition
        .bind(search.query(&sql))
        .param("wanted", limit as u64 + 1)
        .param("passed", passed);
    if let Some(after) = after {
        query = query.param("after", after.time.0).param("below", after.sequence);
    }
    let records: Vec<Record> = query.fetch_all().await?;
    Ok(page(search, records, after, limit))
}

/// The record at a place.
pub(super) async fn one(search: &Search<'_>, place: Place) -> Result<Option<Hit>, TelemetryError> {
    let condition = search.condition(None, None);
    let sql = format!("{} WHERE {} LIMIT 1", select(search), condition.sql);
    let record: Option<Record> = condition.bind(search.query(&sql)).fetch_optional().await?;
    Ok(record.map(|record| hit(search, record, place)))
}

fn page(search: &Search<'_>, records: Vec<Record>, after: Option<Place>, limit: usize) -> Page {
    let found = records.len();
    let mut before = after;
    let (mut hits, mut last, mut bytes) = (Vec::with_capacity(found.min(limit)), None, 0);
    for record in records.into_iter().take(limit) {
        bytes += record.message.len() + record.stack.len() + length(&record.attributes) + length(&record.resource);
        if bytes > MAX_HITS_BYTES && !hits.is_empty() {
            break;
        }
        let (time, sequence) = (UnixNanos(record.time), record.sequence);
        let ordinal = before
            .filter(|before| (before.time, before.sequence) == (time, sequence))
            .map_or(0, |before| before.ordinal + 1);
        let place = Place { time, sequence, ordinal };
        hits.push(hit(search, record, place));
        before = Some(place);
        last = Some(place);
    }
    Page {
        next: last.filter(|_| hits.len() < found).map(Place::write),
        hits,
    }
}

fn length(pairs: &[(String, String)]) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// How many there are of one instant.
async fn of_instant(search: &Search<'_>, time: UnixNanos) -> Result<u64, TelemetryError> {
    let condition = search.condition(Some(time), Some(UnixNanos(time.0.saturating_add(1))));
    let sql = format!("SELECT count() FROM {} WHERE {}", search.kind.table(), condition.sql);
    condition.bind(search.query(&sql)).fetch_one().await
}

/// The start of the last step that a page of so many records reaches into; `None`: they are fewer.
fn step_that_fills(histogram: &Histogram, from: Option<UnixNanos>, to: Option<UnixNanos>, wanted: u64) -> Option<UnixNanos> {
    let start = |step: usize| UnixNanos::from_seconds(histogram.from_seconds + step as i64 * histogram.step_seconds);
    let mut held = 0;
    let step = (0..histogram.counts.len()).rev().find(|step| {
        // What of a step lies behind the end is not known.
        if to.is_none_or(|to| start(step + 1) <= to) {
            held += histogram.counts[*step];
        }
        held >= wanted
    })?;
    Some(from.map_or(start(step), |from| from.max(start(step))))
}

/// The same without knowing how the records are spread: longer and longer stretches before the end are looked at.
async fn nearest_edge(search: &Search<'_>, to: Option<UnixNanos>, wanted: u64) -> Result<Option<(UnixNanos, u64)>, TelemetryError> {
    let (first, last) = range(search).await?;
    let end = to.unwrap_or(last);
    let mut seconds = FIRST_SECONDS;
    loop {
        let from = end.plus_seconds(-seconds).max(first);
        let found = edge(search, Some(from), to, wanted).await?;
        if from <= first || found.is_some_and(|(_, records)| records >= wanted) {
            return Ok(found);
        }
        seconds = seconds.saturating_mul(WIDENS);
    }
}

/// The instant of the last of the `wanted` newest records from `from` on, and how many there are. `None`: there are none.
async fn edge(
    search: &Search<'_>,
    from: Option<UnixNanos>,
    to: Option<UnixNanos>,
    wanted: u64,
) -> Result<Option<(UnixNanos, u64)>, TelemetryError> {
    let condition = search.condition(from.or(search.from), to);
    let sql = format!(
        "SELECT count() AS records, toUnixTimestamp64Nano(min(Timestamp)) AS time \
         FROM (SELECT Timestamp FROM {} WHERE {} ORDER BY Timestamp DESC LIMIT {{wanted:UInt64}})",
        search.kind.table(),
        condition.sql
    );
    let edge: Edge = condition.bind(search.query(&sql)).param("wanted", wanted).fetch_one().await?;
    Ok((edge.records > 0).then_some((UnixNanos(edge.time), edge.records)))
}

fn select(search: &Search<'_>) -> String {
    let kind = search.kind;
    let further = kind.further().iter();
    let further: Vec<String> = further.map(|(name, text)| format!("('{name}', {text})")).collect();
    let column = |keyword: Keyword| format!("{} AS {}", kind.keyword(keyword), keyword.name());
    let keywords = [
        Keyword::Severity,
        Keyword::Service,
        Keyword::Model,
        Keyword::Version,
        Keyword::Environment,
        Keyword::TraceId,
        Keyword::SpanId,
        Keyword::ErrorType,
    ];
    format!(
        "SELECT toUnixTimestamp64Nano(Timestamp) AS time, {sequence} AS sequence, {keywords}, {message} AS message, {stack} AS stack, \
           CAST({attributes}, 'Array(Tuple(String, String))') AS attributes, \
           CAST(ResourceAttributes, 'Array(Tuple(String, String))') AS resource, \
           CAST([{further}], 'Array(Tuple(String, String))') AS further \
         FROM {table}",
        sequence = kind.sequence(),
        keywords = keywords.map(column).join(", "),
        message = kind.message(),
        stack = kind.stack(),
        attributes = kind.attributes(),
        further = further.join(", "),
        table = kind.table(),
    )
}

fn hit(search: &Search<'_>, record: Record, place: Place) -> Hit {
    let mut attributes: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in record.resource {
        attributes.insert(format!("resource.{name}"), Value::String(value));
    }
    for (name, value) in record.attributes {
        attributes.insert(name, Value::String(value));
    }
    for (name, value) in record.further.into_iter().filter(|(_, value)| !value.is_empty()) {
        let value = match (name.as_str(), value.parse::<f64>()) {
            ("latency_ms", Ok(number)) => Value::from(number),
            _ => Value::String(value),
        };
        attributes.insert(name, value);
    }
    let error = ErrorDocument {
        time: UnixNanos(record.time),
        severity: record.severity,
        service: record.service,
        model: record.model,
        version: record.version,
        environment: record.environment,
        trace_id: record.trace_id,
        span_id: record.span_id,
        error_type: record.error_type,
        message: record.message,
        stack: record.stack,
        attributes,
        shared: Vec::new(),
        pattern: None,
    };
    let needles = needles(&search.expression);
    let highlights = [(Text::Message, &error.message), (Text::Stack, &error.stack)]
        .into_iter()
        .filter_map(|(field, text)| highlight(field, text, &needles).map(|parts| (field, parts)))
        .collect();
    Hit {
        id: place.write(),
        error,
        highlights,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for place in [
            Place {
                time: UnixNanos(-1),
                sequence: u64::MAX,
                ordinal: 7,
            },
            Place {
                time: UnixNanos(1_795_698_474_861_492_081),
                sequence: 0,
                ordinal: 0,
            },
        ] {
            assert_eq!(Place::read(&place.write()).unwrap(), place);
        }
        for wrong in ["", "x", &"g".repeat(40), &"0".repeat(41), &"é".repeat(20)] {
            assert!(Place::read(wrong).is_err(), "{wrong}");
        }
    }
}
