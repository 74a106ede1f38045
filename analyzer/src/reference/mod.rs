//! References: what windows are compared with.
//!
//! Which one applies to a version is decided in this order: the training profile that its deployment
//! named, else what the model's settings say, else the telemetry of the version that was live before, else
//! the days before the window. Stretches of telemetry that do not move, and uploaded rows, are profiled
//! once and kept in `reference_profiles`; the days before a window are profiled from the minutes that lie
//! there. Deliberately absent: any change of a reference that somebody named, unless late data belongs to
//! it.

mod blocks;
mod ended;
mod matched;
mod resolve;
mod telemetry;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::references::ReferenceProfile;
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::state::State;
use driftlead_store::state::references::{ReferenceKind, ReferenceSet};
use serde::Serialize;

pub(crate) use ended::profile_what_ended;
pub use matched::Matching;
pub use resolve::Comparison;
pub use upload::RowsFormat;

/// Buckets and categories of the profiles that are kept in memory, all together: those of the versions and segments that
/// serve now, of some hundred models, in some hundred megabytes.
const MAX_CACHED_CELLS: usize = 4_000_000;

/// Where a reference comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReferenceInfo {
    /// Its name within the model.
    pub name: String,
    /// What its rows are.
    pub kind: ReferenceKind,
    /// The version whose telemetry it is.
    pub version: Option<String>,
    /// Start of the stretch of telemetry.
    pub from: Option<UnixNanos>,
    /// Exclusive end of the stretch of telemetry.
    pub to: Option<UnixNanos>,
    /// Rows or inferences that it holds.
    pub rows: u64,
    /// Which hours or days of the stretch it is made of; `None`: all.
    pub matching: Option<Matching>,
}

/// A reference that windows can be compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Where it comes from.
    pub info: ReferenceInfo,
    /// Its profile.
    pub data: ReferenceProfile,
}

impl Reference {
    /// By how much the variance of a feature's decisions is inflated for windows of this length; 1 where
    /// the reference cannot say.
    pub fn dispersion(&self, feature: &str, window_seconds: u32) -> f64 {
        let by_length = self.data.dispersion.get(feature);
        let nearest = by_length.and_then(|factors| factors.iter().min_by_key(|(seconds, _)| seconds.abs_diff(window_seconds)));
        nearest.map_or(1.0, |(_, &factor)| factor.max(1.0))
    }

    /// Buckets and categories that it holds, and one for each feature.
    fn cells(&self) -> usize {
        let features = self.data.profile.features.values();
        features.map(|counts| counts.buckets.len() + counts.values.len() + 1).sum()
    }
}

/// Why there is nothing to compare with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "code", content = "reason", rename_all = "snake_case")]
pub enum NoReference {
    /// There is none.
    #[error("{0}")]
    NoReference(String),
    /// It is not profiled yet.
    #[error("{0}")]
    ReferenceWaiting(String),
}

/// All references of all models. Cheap to clone; clones share what they have read.
#[derive(Clone)]
pub struct References {
    clickhouse: ClickHouse,
    state: State,
    settings: Arc<Vec<ModelSettings>>,
    cache: Arc<Mutex<Cache>>,
    /// Since when stretches (model and name) wait for late data.
    held: Arc<Mutex<HashMap<(String, String), UnixNanos>>>,
}

#[derive(Debug, Default)]
struct Cache {
    references: HashMap<CacheKey, Arc<Reference>>,
    cells: usize,
}

/// A profile and the generation that it was made from: one that late data changed has another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    model: String,
    name: String,
    environment: String,
    segment: String,
    from: Option<UnixNanos>,
    to: Option<UnixNanos>,
    generation: u64,
}

impl CacheKey {
    fn of_set(set: &ReferenceSet) -> Self {
        Self {
            model: set.model.clone(),
            name: set.name.clone(),
            environment: String::new(),
            segment: String::new(),
            from: set.from,
            to: set.to,
            generation: set.generation,
        }
    }
}

impl References {
    /// Of the models that these settings declare, and of all others with the defaults.
    pub fn new(clickhouse: ClickHouse, state: State, settings: Vec<ModelSettings>) -> Self {
        Self {
            clickhouse,
            state,
            settings: Arc::new(settings),
            cache: Arc::default(),
            held: Arc::default(),
        }
    }

    pub(crate) fn clickhouse(&self) -> &ClickHouse {
        &self.clickhouse
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The settings of a model.
    pub fn settings(&self, model: &str) -> ModelSettings {
        let declared = self.settings.iter().find(|settings| settings.name == model);
        declared.cloned().unwrap_or_else(|| ModelSettings::undeclared(model))
    }

    /// A reference that is kept, from its profile.
    fn of_set(&self, set: &ReferenceSet, data: ReferenceProfile) -> Arc<Reference> {
        let info = ReferenceInfo {
            name: shown_name(set),
            kind: set.kind,
            version: set.version.clone(),
            from: set.from,
            to: set.to,
            rows: set.rows,
            matching: None,
        };
        self.remember(CacheKey::of_set(set), Reference { info, data })
    }

    fn cached(&self, key: &CacheKey) -> Option<Arc<Reference>> {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .references
            .get(key)
            .cloned()
    }

    fn remember(&self, key: CacheKey, reference: Reference) -> Arc<Reference> {
        let reference = Arc::new(reference);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = reference.cells();
        if cache.cells + cells > MAX_CACHED_CELLS {
            *cache = Cache::default();
        }
        if let Some(before) = cache.references.insert(key, Arc::clone(&reference)) {
            cache.cells -= before.cells();
        }
        cache.cells += cells;
        reference
    }
}

/// Names that begin with @ are the analyzer's own: `@pinned/production`, `@previous/1.1/production`,
/// `@stretch/<name>/production`. People see what they wrote, or the kind.
fn shown_name(set: &ReferenceSet) -> String {
    let all_traffic = set.name.split_once(resolve::OF_SEGMENT).map_or(set.name.as_str(), |(name, _)| name);
    let named = all_traffic
        .strip_prefix("@stretch/")
        .and_then(|rest| rest.rsplit_once('/'))
        .map(|(name, _)| name);
    match named {
        Some(name) => name.to_owned(),
        None if set.name.starts_with('@') => set.kind.as_str().to_owned(),
        None => set.name.clone(),
    }
}
