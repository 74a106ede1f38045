//! What the index promises, on real files.

mod consumer;
mod crash;
mod lookup;
mod searching;
mod syntax;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::shelf::Shelf;
use super::writers::{Fed, Writers};
use super::{ErrorIndex, IndexConfig, SearchRequest, SearchResponse};
use crate::clock::{Clock, UnixNanos};
use crate::patterns::{Keep, KnownPatterns, Learner, MinerLimits, PatternNews};
use crate::records::ErrorDocument;
use crate::state::StateError;
use crate::wal::Position;

/// "Now" of these tests; days before it are past the retention of 30.
fn now() -> UnixNanos {
    at("2026-10-20T12:00:00Z")
}

fn at(text: &str) -> UnixNanos {
    UnixNanos::parse(text).unwrap()
}

fn clock() -> Clock {
    Clock::manual(now())
}

fn open(folder: &Path) -> ErrorIndex {
    ErrorIndex::open(&IndexConfig::at(folder), &clock()).unwrap()
}

fn writers(index: &ErrorIndex) -> Writers {
    Writers::open(index.shelf.clone(), place(u64::MAX), learner(), index.followers.clone()).unwrap()
}

/// Patterns are of no interest to these tests.
struct KeepNothing;

impl Keep for KeepNothing {
    fn keep(&mut self, _news: &PatternNews) -> Result<(), StateError> {
        Ok(())
    }
}

fn learner() -> Learner {
    Learner::new(KnownPatterns::default(), MinerLimits::default(), Box::new(KeepNothing))
}

fn place(offset: u64) -> Position {
    Position { segment: 1, offset }
}

/// The frame number `number` of a log, with these errors.
fn frame(number: u64, errors: Vec<ErrorDocument>) -> Fed {
    Fed {
        frame: place(number * 100),
        end: place((number + 1) * 100),
        errors,
    }
}

fn error(time: &str, message: &str) -> ErrorDocument {
    ErrorDocument {
        time: at(time),
        severity: "ERROR".into(),
        message: message.into(),
        ..ErrorDocument::default()
    }
}

fn attributes(value: serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    serde_json::from_value(value).unwrap()
}

fn request(query: &str) -> SearchRequest {
    SearchRequest {
        query: query.into(),
        limit: 100,
        ..SearchRequest::default()
    }
}

async fn search(index: &ErrorIndex, query: &str) -> SearchResponse {
    index.search(&request(query)).await.unwrap()
}

async fn messages(index: &ErrorIndex, query: &str) -> Vec<String> {
    let found = search(index, query).await;
    found.hits.into_iter().map(|hit| hit.error.message).collect()
}

/// An index that holds these errors, one frame each.
fn filled(folder: &Path, errors: Vec<ErrorDocument>) -> ErrorIndex {
    let index = open(folder);
    let mut writers = writers(&index);
    for (number, error) in errors.into_iter().enumerate() {
        writers.feed(frame(number as u64, vec![error]), now()).unwrap();
    }
    writers.commit(now()).unwrap();
    index
}

fn sample() -> Vec<ErrorDocument> {
    vec![
        ErrorDocument {
            service: "scorer".into(),
            model: "employment".into(),
            version: "1.1".into(),
            environment: "production".into(),
            error_type: "builtins.ValueError".into(),
            trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
            span_id: "b7ad6b7169203331".into(),
            stack: "Traceback:\n  File \"score.py\", line 12\nValueError: could not convert".into(),
            attributes: attributes(json!({"http.status": 500, "http.route": "/score", "retry": true, "ratio": 0.5, "tags": ["a", "b"]})),
            ..error("2026-10-19T10:00:00Z", "could not convert string to float: 'abc'")
        },
        ErrorDocument {
            service: "gateway".into(),
            version: "1.0".into(),
            severity: "FATAL".into(),
            attributes: attributes(json!({"http.status": 503, "region": "eu-west", "peer": {"name": "db 1"}})),
            ..error("2026-10-19T11:00:00Z", "Connection refused by db-1")
        },
        ErrorDocument {
            service: "scorer".into(),
            model: "intent".into(),
            version: "1.1".into(),
            environment: "staging".into(),
            error_type: "TimeoutError".into(),
            attributes: attributes(json!({"http.status": "504", "when": "2026-10-18T00:00:00Z", "big": 18446744073709551615_u64})),
            ..error(
                "2026-10-18T09:00:00.000000001Z",
                "Zeitüberschreitung: db-1 refused, connection lost <b>",
            )
        },
    ]
}

fn shelf(folder: &Path) -> Arc<Shelf> {
    Arc::new(Shelf::open(folder, 30).unwrap())
}
