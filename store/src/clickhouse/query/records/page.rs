//! The records of one page, whole.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;
use serde_json::Value;

use super::Search;
use super::counts::range;
use crate::clickhouse::TelemetryError;
use crate::clock::UnixNanos;
use crate::index::query::{Expression, Keyword, Text};
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

/// How far back a page reaches.
#[derive(Row, Deserialize)]
struct Edge {
    /// Records that were looked at, the newest first.
    records: u64,
    /// Of them those whose texts come before the bound.
    held: u64,
    /// Event time of the last of these.
    time: i64,
}

/// Reads the page behind `after`; how the records are spread in time saves looking for how far back it reaches.
pub(super) async fn read(
    search: &Search,
    histogram: Option<&Histogram>,
    after: Option<Place>,
    limit: usize,
) -> Result<Page, TelemetryError> {
    // One more than is shown, to know whether there is a next page. Of the instant of the last one some were shown before.
    let of_instant = match after {
        Some(after) => of_instant(search, after.time).await?,
        None => 0,
    };
    let reach = Reach {
        to: match after {
            Some(after) => Some(UnixNanos(after.time.0.saturating_add(1))),
            None => search.to,
        },
        passed: after.map(|after| after.time),
        wanted: limit as u64 + 1 + of_instant,
    };
    let edge = match histogram {
        Some(histogram) => edge(search, step_that_fills(histogram, search.from, reach.to, reach.wanted), reach).await?,
        None => nearest_edge(search, reach).await?,
    };
    let Some(edge) = edge else {
        return Ok(Page {
            hits: Vec::new(),
            next: None,
        });
    };
    let (records, more) = records(search, UnixNanos(edge.time), reach.to, after, limit).await?;
    let hits = hits(search.expression.clone(), records, after).await?;
    let next = hits.last().filter(|_| more || edge.held < edge.records).map(|hit| hit.id.clone());
    Ok(Page { hits, next })
}

/// The record at a place.
pub(super) async fn one(search: &Search, place: Place) -> Result<Option<Hit>, TelemetryError> {
    let condition = search.condition(None, None);
    let sql = format!("{} WHERE {} LIMIT 1", select(search), condition.sql);
    let record: Option<Record> = condition.bind(search.query(&sql)).fetch_optional().await?;
    Ok(record.map(|record| hit(&search.expression, record, place)))
}

/// At most `limit` whole records from `from` on behind `after`, as many as may be held at once; and whether there are more.
async fn records(
    search: &Search,
    from: UnixNanos,
    to: Option<UnixNanos>,
    after: Option<Place>,
    limit: usize,
) -> Result<(Vec<Record>, bool), TelemetryError> {
    let condition = search.condition(Some(from), to);
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
        .param("passed", after.map_or(0, |after| u64::from(after.ordinal) + 1));
    if let Some(after) = after {
        query = query.param("after", after.time.0).param("below", after.sequence);
    }
    let mut rows = query.fetch::<Record>()?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(record) = rows.next().await? {
        bytes += record.message.len() + record.stack.len() + length(&record.attributes) + length(&record.resource);
        if records.len() == limit || (bytes > MAX_HITS_BYTES && !records.is_empty()) {
            return Ok((records, true));
        }
        records.push(record);
    }
    Ok((records, false))
}

/// As pages show them. Long texts take a while to be searched for what matched.
async fn hits(expression: Expression, records: Vec<Record>, after: Option<Place>) -> Result<Vec<Hit>, TelemetryError> {
    let marking = tokio::task::spawn_blocking(move || {
        let mut before = after;
        let marked = records.into_iter().map(|record| {
            let (time, sequence) = (UnixNanos(record.time), record.sequence);
            let ordinal = before
                .filter(|before| (before.time, before.sequence) == (time, sequence))
                .map_or(0, |before| before.ordinal + 1);
            let place = Place { time, sequence, ordinal };
            before = Some(place);
            hit(&expression, record, place)
        });
        marked.collect()
    });
    marking.await.map_err(|error| TelemetryError::Other(Box::new(error)))
}

fn length(pairs: &[(String, String)]) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// What a page may reach.
#[derive(Clone, Copy)]
struct Reach {
    /// Up to and not including this event time.
    to: Option<UnixNanos>,
    /// The instant of which some were shown before.
    passed: Option<UnixNanos>,
    /// How many records are enough.
    wanted: u64,
}

/// How many there are of one instant.
async fn of_instant(search: &Search, time: UnixNanos) -> Result<u64, TelemetryError> {
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
async fn nearest_edge(search: &Search, reach: Reach) -> Result<Option<Edge>, TelemetryError> {
    let (first, last) = range(search).await?;
    let end = reach.to.unwrap_or(last);
    let mut seconds = FIRST_SECONDS;
    loop {
        let from = end.plus_seconds(-seconds).max(first);
        let found = edge(search, Some(from), reach).await?;
        let is_enough = |edge: &Edge| edge.records >= reach.wanted || edge.held < edge.records;
        if from <= first || found.as_ref().is_some_and(is_enough) {
            return Ok(found);
        }
        seconds = seconds.saturating_mul(WIDENS);
    }
}

/// The last of the newest records from `from` on that a page needs and can hold; `None`: there are none.
async fn edge(search: &Search, from: Option<UnixNanos>, reach: Reach) -> Result<Option<Edge>, TelemetryError> {
    let condition = search.condition(from.or(search.from), reach.to);
    let sql = format!(
        "SELECT count() AS records, countIf(before < {MAX_HITS_BYTES}) AS held, \
           toUnixTimestamp64Nano(minIf(Timestamp, before < {MAX_HITS_BYTES})) AS time \
         FROM (SELECT Timestamp, sum(bytes) OVER (ORDER BY Timestamp DESC ROWS UNBOUNDED PRECEDING) - bytes AS before \
           FROM (SELECT Timestamp, if(Timestamp >= fromUnixTimestamp64Nano({{shown:Int64}}), 0, {bytes}) AS bytes \
             FROM {table} WHERE {condition} ORDER BY Timestamp DESC LIMIT {{wanted:UInt64}}))",
        bytes = search.kind.text_bytes(),
        table = search.kind.table(),
        condition = condition.sql,
    );
    let query = condition
        .bind(search.query(&sql))
        .param("shown", reach.passed.map_or(i64::MAX, |passed| passed.0))
        .param("wanted", reach.wanted);
    let edge: Edge = query.fetch_one().await?;
    Ok((edge.records > 0).then_some(edge))
}

fn select(search: &Search) -> String {
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

fn hit(expression: &Expression, record: Record, place: Place) -> Hit {
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
    let needles = needles(expression);
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
