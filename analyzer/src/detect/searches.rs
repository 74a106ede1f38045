//! Signals about searches: how many errors match what a rule searches for.

use std::collections::HashMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::parse;
use driftlead_store::index::{ErrorIndex, SearchError};
use driftlead_store::records::{Signal, WatchedSearch, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::window::Window;

/// What was told is told again after so long, though nothing changed: shorter than the shortest window.
const AGAIN_SECONDS: f64 = 30.0;

/// Counts what watched searches find.
pub(crate) struct Searches {
    errors: ErrorIndex,
    /// By name: what was told last, and when.
    told: HashMap<String, (Signal, UnixNanos)>,
}

impl Searches {
    /// `None` where there is no error index.
    pub fn new(context: &Context) -> Option<Self> {
        Some(Self {
            errors: context.errors.clone()?,
            told: HashMap::new(),
        })
    }

    /// Counts and emits the signals of all searches that rules look at.
    ///
    /// # Errors
    /// The errors cannot be read, or the signals not be written.
    #[tracing::instrument(name = "analyzer.search_signals", level = "debug", skip_all)]
    pub async fn step(&mut self, context: &Context) -> Result<(), AnalyzerError> {
        let searches = context.searches.now();
        self.told.retain(|name, _| searches.iter().any(|search| search.name == *name));
        let mut signals = Vec::new();
        for search in &searches {
            let now = context.now();
            let signal = self.signal_of(search, now).await?;
            if self.is_news(&signal, now) {
                self.told.insert(search.name.clone(), (signal.clone(), now));
                signals.push(signal);
            }
        }
        context.emit(signals).await
    }

    fn is_news(&self, signal: &Signal, now: UnixNanos) -> bool {
        self.told.get(&signal.subject).is_none_or(|(told, at)| {
            let is_same = (told.value, told.window_seconds, &told.details) == (signal.value, signal.window_seconds, &signal.details);
            !is_same || now.seconds_since(*at) >= AGAIN_SECONDS
        })
    }

    async fn signal_of(&self, search: &WatchedSearch, now: UnixNanos) -> Result<Signal, AnalyzerError> {
        let frame = Frame {
            model: "",
            version: "",
            environment: match search.environments.as_slice() {
                [one] => one,
                _ => "",
            },
            window: Window {
                end: now,
                seconds: search.window_seconds,
            },
            provisional: false,
        };
        let unknown = |code: &str, error: SearchError| frame.insufficient(names::MATCHING_ERRORS, &search.name, 0, code, error.to_string());
        let expression = match parse(&search.query, now) {
            Ok(expression) => expression,
            Err(error) => return Ok(unknown("query", error.into())),
        };
        let from = now.plus_seconds(-i64::from(search.window_seconds));
        match self.errors.count(expression, from, &search.environments).await {
            Ok(count) => {
                let details = json!({ "query": search.query });
                Ok(frame.signal(names::MATCHING_ERRORS, &search.name, Estimate::exact(count as f64), count, details))
            }
            Err(error @ (SearchError::TooSlow | SearchError::TooWide(_))) => Ok(unknown("search", error)),
            Err(error) => Err(error.into()),
        }
    }
}
