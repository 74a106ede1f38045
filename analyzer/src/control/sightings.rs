//! Versions that telemetry names: noticed within a second, written to the state when they are new.

use std::collections::HashMap;

use driftlead_store::clickhouse::query::live::{LIVE_WINDOW_SECONDS, traffic_by_version, version_sightings};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::versions::SeenVersion;
use driftlead_store::state::{State, StateError};

use super::worker::{Context, StepError};

/// How often the time of a version's last inference is written to the state: every look would be an fsync a second.
const REFRESH_SECONDS: i64 = 30;

/// New versions that are asked telemetry for in one look, so that a sender that puts request ids there cannot hold up the rest.
const MAX_QUERIES_PER_LOOK: usize = 100;

/// Longest pause before a sighting that the joined inferences did not confirm is looked at again.
const MAX_PAUSE_SECONDS: i64 = 60;

type Key = (String, String, String);

/// What was noticed so far.
#[derive(Debug)]
pub(super) struct Sightings {
    known: HashMap<Key, Known>,
    doubtful: HashMap<Key, Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    last_event_time: UnixNanos,
    written_at: UnixNanos,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    pause_seconds: i64,
    again_at: UnixNanos,
}

impl Sightings {
    pub(super) async fn load(state: &State) -> Result<Self, StateError> {
        let known = state.seen_versions(None).await?.into_iter().map(|seen| {
            let known = Known {
                last_event_time: seen.last_event_time,
                written_at: UnixNanos::default(),
            };
            (key_of(&seen), known)
        });
        Ok(Self {
            known: known.collect(),
            doubtful: HashMap::new(),
        })
    }

    /// Looks once and writes what is new.
    pub(super) async fn notice(&mut self, context: &Context) -> Result<(), StepError> {
        let now = context.now();
        let mut to_write = Vec::new();
        let mut queries = 0;
        for seen in version_sightings(&context.clickhouse).await? {
            let key = key_of(&seen);
            let fresh = match self.known.get(&key) {
                Some(known) => {
                    seen.last_event_time > known.last_event_time && now.seconds_since(known.written_at) >= REFRESH_SECONDS as f64
                }
                None if queries == MAX_QUERIES_PER_LOOK || self.is_paused(&key, now) => false,
                None => {
                    queries += 1;
                    self.confirmed(context, &key, &seen, now).await?
                }
            };
            if fresh {
                to_write.push(seen);
            }
        }
        let noted = context.state.note_versions(&to_write, now).await?;
        if noted.new > 0 || noted.refused > 0 {
            tracing::info!(new = noted.new, refused = noted.refused, "versions were seen for the first time");
        }
        for seen in to_write {
            let known = Known {
                last_event_time: seen.last_event_time,
                written_at: now,
            };
            self.known.insert(key_of(&seen), known);
        }
        Ok(())
    }

    /// Whether a version that was not confirmed has to wait; it takes nobody's place meanwhile.
    fn is_paused(&self, key: &Key, now: UnixNanos) -> bool {
        self.doubtful.get(key).is_some_and(|doubt| now < doubt.again_at)
    }

    /// Whether inferences carry the version once their halves are joined: a span may name the service's version
    /// where its log record, in another batch, names the model's.
    async fn confirmed(&mut self, context: &Context, key: &Key, seen: &SeenVersion, now: UnixNanos) -> Result<bool, StepError> {
        let until = seen.first_event_time.plus_seconds(LIVE_WINDOW_SECONDS);
        let traffic = traffic_by_version(&context.clickhouse, Some(&seen.model), seen.first_event_time, until).await?;
        let confirmed = traffic
            .iter()
            .any(|row| row.version == seen.version && row.environment == seen.environment);
        if confirmed {
            self.doubtful.remove(key);
        } else {
            let doubt = self.doubtful.get(key);
            let pause_seconds = doubt.map_or(1, |doubt| (doubt.pause_seconds * 2).min(MAX_PAUSE_SECONDS));
            let again_at = now.plus_seconds(pause_seconds);
            self.doubtful.insert(key.clone(), Doubt { pause_seconds, again_at });
        }
        Ok(confirmed)
    }
}

fn key_of(seen: &SeenVersion) -> Key {
    (seen.model.clone(), seen.version.clone(), seen.environment.clone())
}
