//! What is known of each model's traffic: how far its telemetry is complete, and whether it went silent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use driftlead_store::clickhouse::query::buckets::LastSeen;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::SILENCE_FORGOTTEN_SECONDS;

/// How far the watermark stays behind the newest event: exporters batch for seconds, retries take tens.
pub const WATERMARK_SECONDS: i64 = 60;
/// A model whose newest event is older than this when it arrives sends history, and is never silent.
const HISTORY_SECONDS: f64 = 3_600.0;

/// The traffic of all models.
#[derive(Debug)]
pub struct Activity {
    started: UnixNanos,
    models: Mutex<BTreeMap<String, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    last_arrival: UnixNanos,
    newest: BTreeMap<String, Newest>,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    event: UnixNanos,
    is_live: bool,
}

/// A model that may have stopped sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// The model.
    pub model: String,
    /// The environment.
    pub environment: String,
    /// Event time of its newest inference.
    pub last_seen: UnixNanos,
    /// Seconds since then, or since the start; `None` while the time since the start is shorter than the
    /// silence before it: whether the model is still silent is not known yet.
    pub seconds: Option<f64>,
}

impl Activity {
    /// Of a process that started at `started`: what was silent meanwhile is silent since then.
    pub fn new(started: UnixNanos) -> Self {
        Self {
            started,
            models: Mutex::default(),
        }
    }

    /// Something of a model arrived.
    pub fn note_arrival(&self, model: &str, at: UnixNanos) {
        self.with(|models| {
            let seen = models.entry(model.to_owned()).or_default();
            seen.last_arrival = seen.last_arrival.max(at);
        });
    }

    /// The newest events as telemetry has them at `now`.
    pub fn note_newest(&self, rows: &[LastSeen], now: UnixNanos) {
        self.with(|models| {
            for row in rows {
                let seen = models.entry(row.model.clone()).or_default();
                let event = UnixNanos(row.newest_event);
                let is_live = now.seconds_since(event) < HISTORY_SECONDS;
                let newest = seen.newest.entry(row.environment.clone()).or_insert(Newest { event, is_live });
                if event > newest.event {
                    *newest = Newest { event, is_live };
                }
            }
        });
    }

    /// Up to when a model's telemetry is complete: a minute behind its newest event, moving with the clock
    /// while nothing arrives. `None` for models that were never seen.
    pub fn watermark(&self, model: &str, now: UnixNanos) -> Option<UnixNanos> {
        self.with(|models| {
            let seen = models.get(model)?;
            let newest = seen.newest.values().map(|newest| newest.event).max()?;
            let idle = now.0.saturating_sub(seen.last_arrival.0).max(0);
            Some(UnixNanos(newest.0.saturating_add(idle)).min(now).plus_seconds(-WATERMARK_SECONDS))
        })
    }

    /// The models that were ever seen.
    pub fn models(&self) -> Vec<String> {
        self.with(|models| models.keys().cloned().collect())
    }

    /// The environments in which a model was ever seen.
    pub fn environments(&self, model: &str) -> Vec<String> {
        self.with(|models| {
            models
                .get(model)
                .map_or_else(Vec::new, |seen| seen.newest.keys().cloned().collect())
        })
    }

    /// How long each model has been silent in each environment up to `now`: up to when what was received is known.
    /// History never counts.
    pub fn silences(&self, now: UnixNanos) -> Vec<Silence> {
        self.with(|models| {
            let all = models
                .iter()
                .flat_map(|(model, seen)| seen.newest.iter().map(move |(environment, newest)| (model, environment, newest)));
            all.filter(|(_, _, newest)| newest.is_live && now.seconds_since(newest.event) < SILENCE_FORGOTTEN_SECONDS as f64)
                .map(|(model, environment, newest)| Silence {
                    model: model.clone(),
                    environment: environment.clone(),
                    last_seen: newest.event,
                    seconds: self.silent_for(newest.event, now),
                })
                .collect()
        })
    }

    fn silent_for(&self, newest: UnixNanos, now: UnixNanos) -> Option<f64> {
        let before_start = self.started.seconds_since(newest);
        let since_start = now.seconds_since(self.started);
        if before_start > since_start {
            return None;
        }
        Some(now.seconds_since(newest.max(self.started)).max(0.0))
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Seen>) -> T) -> T {
        act(&mut self.models.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    fn newest(event: i64) -> [LastSeen; 1] {
        [LastSeen {
            model: "m".into(),
            environment: "e".into(),
            newest_event: at(event).0,
        }]
    }

    #[test]
    fn the_watermark_follows_the_newest_event_and_the_clock_when_nothing_arrives() {
        let activity = Activity::new(at(0));
        assert_eq!(activity.watermark("m", at(100_000)), None);
        activity.note_arrival("m", at(100_000));
        activity.note_newest(&newest(50_000), at(100_000));
        assert_eq!(activity.watermark("m", at(100_000)), Some(at(49_940)));
        assert_eq!(activity.watermark("m", at(100_300)), Some(at(50_240)));
        activity.note_arrival("m", at(100_300));
        assert_eq!(
            activity.watermark("m", at(100_300)),
            Some(at(49_940)),
            "what arrives holds it back until it is complete"
        );
        activity.note_newest(&newest(100_400), at(100_300));
        assert_eq!(activity.watermark("m", at(100_300)), Some(at(100_240)), "never ahead of the clock");
    }

    #[test]
    fn history_is_never_silent_and_what_was_missed_while_stopped_does_not_count() {
        let activity = Activity::new(at(90_000));
        activity.note_newest(&newest(10_000), at(100_000));
        assert_eq!(activity.silences(at(100_000)), []);
        activity.note_newest(&newest(99_990), at(100_000));
        assert_eq!(activity.silences(at(100_050))[0].seconds, Some(60.0));

        let restarted = Activity::new(at(100_000));
        restarted.note_newest(&newest(99_000), at(100_000));
        assert_eq!(restarted.silences(at(100_010))[0].seconds, None, "it may have been silent for long");
        assert_eq!(restarted.silences(at(101_000))[0].seconds, Some(1_000.0));
        restarted.note_newest(&newest(100_020), at(100_025));
        assert_eq!(restarted.silences(at(100_030))[0].seconds, Some(10.0), "it speaks again");
    }
}
