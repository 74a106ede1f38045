//! `GET /api/v1/search/export`: all that a search finds, as NDJSON or CSV, page by page while it is read.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use driftlead_store::index::{Hit, MAX_LIMIT, SearchRequest};
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::endpoint::Endpoint;
use super::parameters;
use super::search::{environments, problem, search_hit};
use super::sources::{PARAMETER as SOURCE, Source};
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::Query;
use crate::state::WebState;

/// Most records of one file: what a spreadsheet still opens.
const MAX_EXPORTED: usize = 100_000;

const PARAMETERS: &[(&str, &str)] = &[
    ("q", "as in /api/v1/search"),
    ("from", "first event time, RFC 3339"),
    ("to", "end of the event times, exclusive, RFC 3339"),
    ("environment", "only errors of this environment"),
    ("format", "`ndjson` (the default) or `csv`"),
    SOURCE,
];

/// Columns of the CSV; attributes are one of them, as JSON.
const COLUMNS: [&str; 13] = [
    "time",
    "severity",
    "service",
    "model",
    "version",
    "environment",
    "error_type",
    "message",
    "stack",
    "trace_id",
    "span_id",
    "pattern_id",
    "attributes",
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "All that a search finds, newest first, at most 100,000, as NDJSON or CSV.";
    vec![
        Endpoint::get("/api/v1/search/export", summary, export)
            .query(PARAMETERS)
            .content_type("application/x-ndjson"),
    ]
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Ndjson,
    Csv,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    q: String,
    from: Option<String>,
    to: Option<String>,
    environment: Option<String>,
    format: Format,
    source: Source,
}

/// Where the file is.
struct Exporting {
    app: Arc<WebState>,
    source: Source,
    request: SearchRequest,
    format: Format,
    written: usize,
}

async fn export(State(app): State<Arc<WebState>>, Asked(caller): Asked, Query(asked): Query<Parameters>) -> Result<Response, Problem> {
    let (format, source) = (asked.format, asked.source);
    let mut exporting = Exporting {
        request: SearchRequest {
            query: asked.q,
            from: parameters::instant("from", asked.from.as_deref())?,
            // What comes while the file is read does not belong to it.
            to: Some(parameters::instant("to", asked.to.as_deref())?.unwrap_or_else(|| app.clock.now())),
            environments: environments(&caller, asked.environment)?,
            limit: MAX_LIMIT,
            cursor: None,
        },
        source,
        app,
        format,
        written: 0,
    };
    // The first page is read before the answer begins, so that what is wrong is still said as a problem.
    let (first, rest) = exporting.page().await?;
    let rest = stream::unfold(rest.then_some(exporting), |exporting| async {
        let mut exporting = exporting?;
        match exporting.page().await {
            Ok((page, more)) => Some((Ok(page), more.then_some(exporting))),
            // The client sees that the file is not whole: its chunks do not end.
            Err(problem) => Some((Err(io::Error::other(format!("{problem:?}"))), None)),
        }
    });
    let (content_type, ending) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let disposition = format!("attachment; filename=\"{}.{ending}\"", source.file_name());
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    Ok(([(CONTENT_TYPE, content_type.to_owned()), (CONTENT_DISPOSITION, disposition)], body).into_response())
}

impl Exporting {
    /// The next page, and whether there are more.
    async fn page(&mut self) -> Result<(Vec<u8>, bool), Problem> {
        let (found, next) = self.source.page(&self.app, &self.request).await.map_err(problem)?;
        let is_first = self.written == 0;
        let hits: Vec<Hit> = found.into_iter().take(MAX_EXPORTED - self.written).collect();
        self.written += hits.len();
        self.request.cursor = next;
        let more = self.request.cursor.is_some() && self.written < MAX_EXPORTED;
        let page = match self.format {
            Format::Ndjson => ndjson(hits),
            Format::Csv => csv(hits, is_first),
        };
        Ok((page.map_err(|error| Problem::internal(&error))?, more))
    }
}

fn ndjson(hits: Vec<Hit>) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    for hit in hits {
        serde_json::to_writer(&mut page, &search_hit(hit))?;
        page.push(b'\n');
    }
    Ok(page)
}

fn csv(hits: Vec<Hit>, with_head: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if with_head {
        writer.write_record(COLUMNS)?;
    }
    for Hit { error, .. } in hits {
        let pattern = error.pattern.map(|id| id.to_string()).unwrap_or_default();
        let attributes = serde_json::to_string(&error.attributes)?;
        let cells = [
            error.time.to_string(),
            error.severity,
            error.service,
            error.model,
            error.version,
            error.environment,
            error.error_type,
            error.message,
            error.stack,
            error.trace_id,
            error.span_id,
            pattern,
            attributes,
        ];
        writer.write_record(cells.map(harmless))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// A cell that no spreadsheet takes for a formula: what senders write is not to run on whoever opens the file.
fn harmless(cell: String) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}"),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::clock::UnixNanos;
    use driftlead_store::records::ErrorDocument;

    use super::*;

    fn hit(message: &str) -> Hit {
        Hit {
            id: "0".repeat(32),
            error: ErrorDocument {
                time: UnixNanos::from_seconds(0),
                service: "a, b".into(),
                message: message.into(),
                ..ErrorDocument::default()
            },
            highlights: Vec::new(),
        }
    }

    #[test]
    fn a_file_says_what_came_and_runs_nothing() {
        let page = csv(vec![hit("=cmd|' /C calc'!A0"), hit("two\nlines \"quoted\"")], true).unwrap();
        let text = String::from_utf8(page).unwrap();
        assert!(text.starts_with("time,severity,service,"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((&rows[0][2], &rows[0][7]), ("a, b", "'=cmd|' /C calc'!A0"));
        assert_eq!(&rows[1][7], "two\nlines \"quoted\"");
        let lines = String::from_utf8(ndjson(vec![hit("a\nb"), hit("c")]).unwrap()).unwrap();
        let messages: Vec<String> = lines
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["message"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(messages, ["a\nb", "c"]);
    }
}
