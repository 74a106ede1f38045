//! Signals about searches: how many errors match what a rule searches for.

use std::collections::HashMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::ErrorIndex;
use driftlead_store::index::query::parse;
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

    /// Counts and emits the signals of all searches that rules look at, one by one: one that fails or takes long says so of
    /// itself and holds up none that was counted before it.
    ///
    /// # Errors
    /// A signal cannot be written.
    #[tracing::instrument(name = "analyzer.search_signals", level = "debug", skip_all)]
    pub async fn step(&mut self, context: &Context) -> Result<(), AnalyzerError> {
        let searches = context.searches.now();
        self.told.retain(|name, _| searches.iter().any(|search| search.name == *name));
        for search in &searches {
            let now = context.now();
            let signal = self.signal_of(search, now).await;
            if self.is_news(&signal, now) {
                context.emit(vec![signal.clone()]).await?;
                self.told.insert(search.name.clone(), (signal, now));
            }
        }
        Ok(())
    }

    fn is_news(&self, signal: &Signal, now: UnixNanos) -> bool {
        self.told.get(&signal.subject).is_none_or(|(told, at)| {
            let is_same = Signal {
                window_end: signal.window_end,
                ..told.clone()
            } == *signal;
            !is_same || now.seconds_since(*at) >= AGAIN_SECONDS
        })
    }

    async fn signal_of(&self, search: &WatchedSearch, now: UnixNanos) -> Signal {
        let frame = Frame {
            model: "",
            version: "",
            environment: search.environment(),
            segment: "",
            window: Window {
                end: now,
                seconds: search.window_seconds,
            },
            provisional: false,
        };
        let from = now.plus_seconds(-i64::from(search.window_seconds));
        let counting = async {
            let expression = parse(&search.query, now)?;
            self.errors.count(expression, (from, now), &search.environments).await
        };
        match counting.await {
            Ok(count) => {
                let details = json!({ "query": search.query });
                frame.signal(names::MATCHING_ERRORS, &search.name, Estimate::exact(count as f64), count, details)
            }
            Err(error) => {
                tracing::warn!(rule = search.name, %error, "the errors that a rule searches for cannot be counted");
                frame.insufficient(names::MATCHING_ERRORS, &search.name, 0, "search", error.to_string())
            }
        }
    }
}
