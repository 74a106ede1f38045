//! Profiling stretches of telemetry.

use std::sync::{Arc, PoisonError};

use driftlead_store::clickhouse::query::generations::profile_generation_between;
use driftlead_store::clickhouse::query::profiles::{ProfileQuery, read_profile};
use driftlead_store::clickhouse::query::references::{ReferenceProfile, write_reference};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::DirtyConsumer;
use driftlead_store::state::references::{ReferenceKind, ReferenceSet, ReferenceState};

use super::resolve::Comparison;
use super::{CacheKey, NoReference, Reference, ReferenceInfo, References, blocks};
use crate::error::AnalyzerError;

/// Age at which minutes may have been deleted: what is older is not profiled again.
const MINUTES_RETAINED_SECONDS: i64 = 13 * 86_400;
/// How long a stretch that has ended waits for late data to be profiled: some senders always have some on its way.
const LONGEST_HOLD_SECONDS: i64 = 300;

/// A stretch of telemetry that does not move, in whole minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub from: UnixNanos,
    pub to: UnixNanos,
    pub version: Option<String>,
}

impl Stretch {
    pub fn new(from: UnixNanos, to: UnixNanos, version: Option<String>) -> Self {
        Self {
            from: from.floor_to(60),
            to: to.floor_to(60),
            version,
        }
    }

    pub fn is_that_of(&self, set: &ReferenceSet) -> bool {
        set.from == Some(self.from) && set.to == Some(self.to) && set.version == self.version
    }

    pub fn is_retained(&self, now: UnixNanos) -> bool {
        self.from.plus_seconds(MINUTES_RETAINED_SECONDS) > now
    }
}

impl References {
    pub(super) async fn newest_generation(&self, model: &str, from: UnixNanos, to: UnixNanos) -> Result<Option<u64>, AnalyzerError> {
        Ok(profile_generation_between(&self.clickhouse, model, from, to).await?)
    }

    /// The profile of a moving stretch of telemetry; `None` where there is no traffic in it.
    pub(super) async fn of_telemetry(&self, of: Comparison<'_>, info: ReferenceInfo) -> Result<Option<Arc<Reference>>, AnalyzerError> {
        let (Some(from), Some(to)) = (info.from, info.to) else {
            return Ok(None);
        };
        let Some(generation) = self.newest_generation(of.model, from, to).await? else {
            return Ok(None);
        };
        let key = CacheKey {
            model: of.model.to_owned(),
            name: info.name.clone(),
            environment: of.environment.to_owned(),
            segment: of.segment.to_owned(),
            from: info.from,
            to: info.to,
            generation,
        };
        if let Some(reference) = self.cached(&key) {
            return Ok((reference.info.rows > 0).then_some(reference));
        }
        let data = self.profile(of, from, to, info.version.as_deref()).await?;
        let info = ReferenceInfo {
            rows: data.profile.inferences,
            ..info
        };
        let reference = self.remember(key, Reference { info, data });
        Ok((reference.info.rows > 0).then_some(reference))
    }

    /// A stretch whose minutes are, or may be, no longer all there, and that was not profiled while they were.
    pub(super) async fn expired(
        &self,
        of: Comparison<'_>,
        name: &str,
        stretch: Stretch,
    ) -> Result<Result<Arc<Reference>, NoReference>, AnalyzerError> {
        let Stretch { from, to, .. } = stretch;
        let reason = format!(
            "the reference from {from} to {to} begins more than {} days ago, and minutes are not kept for longer: pin a later stretch, or \
             upload its rows",
            MINUTES_RETAINED_SECONDS / 86_400
        );
        let known = self.state.reference(of.model, name).await?;
        if known.is_none_or(|set| set.state != ReferenceState::Failed || !stretch.is_that_of(&set)) {
            tracing::warn!(
                model = of.model,
                environment = of.environment,
                reason,
                "a reference cannot be profiled"
            );
            let failed = ReferenceSet {
                model: of.model.to_owned(),
                name: name.to_owned(),
                kind: ReferenceKind::Pinned,
                from: Some(from),
                to: Some(to),
                version: None,
                rows: 0,
                state: ReferenceState::Failed,
                reason: Some(reason.clone()),
                generation: 0,
                created_at: of.now,
                profiled_at: None,
            };
            self.state.put_reference(&failed).await?;
        }
        Ok(Err(NoReference::NoReference(reason)))
    }

    /// Why a stretch cannot be profiled yet.
    pub(super) async fn why_waiting(
        &self,
        of: Comparison<'_>,
        name: &str,
        stretch: &Stretch,
        newest: Option<u64>,
    ) -> Result<Option<NoReference>, AnalyzerError> {
        let Stretch { from, to, .. } = *stretch;
        let waiting = |reason: String| Ok(Some(NoReference::ReferenceWaiting(reason)));
        if newest.is_none() {
            return waiting(format!("there is no telemetry from {from} to {to} yet"));
        }
        if to > of.now {
            return waiting(format!("the reference lasts until {to}"));
        }
        let is_dirty = self.state.is_dirty_between(DirtyConsumer::Profiles, of.model, from, to).await?;
        if self.has_to_wait(of, name, is_dirty) {
            return waiting(format!("telemetry from {from} to {to} is still being profiled"));
        }
        Ok(None)
    }

    /// Whether a stretch waits on: while it is dirty, but not for ever.
    fn has_to_wait(&self, of: Comparison<'_>, name: &str, is_dirty: bool) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (of.model.to_owned(), name.to_owned());
        if !is_dirty {
            held.remove(&key);
            return false;
        }
        let since = *held.entry(key).or_insert(of.now);
        of.now.seconds_since(since) < LONGEST_HOLD_SECONDS as f64
    }

    /// Profiles a stretch that does not move, and keeps it.
    pub(super) async fn profile_and_keep(
        &self,
        of: Comparison<'_>,
        name: &str,
        stretch: Stretch,
        generation: u64,
    ) -> Result<Result<Arc<Reference>, NoReference>, AnalyzerError> {
        let data = self.profile(of, stretch.from, stretch.to, stretch.version.as_deref()).await?;
        write_reference(&self.clickhouse, of.model, name, generation, &data).await?;
        let set = ReferenceSet {
            model: of.model.to_owned(),
            name: name.to_owned(),
            kind: if stretch.version.is_some() {
                ReferenceKind::PreviousVersion
            } else {
                ReferenceKind::Pinned
            },
            from: Some(stretch.from),
            to: Some(stretch.to),
            version: stretch.version,
            rows: data.profile.inferences,
            state: ReferenceState::Profiled,
            reason: None,
            generation,
            created_at: of.now,
            profiled_at: Some(of.now),
        };
        self.state.put_reference(&set).await?;
        Ok(Ok(self.of_set(&set, data)))
    }

    async fn profile(
        &self,
        of: Comparison<'_>,
        from: UnixNanos,
        to: UnixNanos,
        version: Option<&str>,
    ) -> Result<ReferenceProfile, AnalyzerError> {
        let query = ProfileQuery {
            model: of.model,
            environment: of.environment,
            version,
            segment: Some(of.segment).filter(|segment| !segment.is_empty()),
            from,
            until: to,
            without: &[],
        };
        let profile = read_profile(&self.clickhouse, query).await?;
        let dispersion = blocks::dispersions(&self.clickhouse, query).await?;
        Ok(ReferenceProfile { profile, dispersion })
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::clickhouse::{ClickHouse, ClickHouseConfig};
    use driftlead_store::state::State;

    use super::*;

    #[tokio::test]
    async fn a_stretch_waits_for_late_data_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let references = References::new(ClickHouse::connect(&ClickHouseConfig::default()), state, Vec::new());
        for (seconds, is_dirty, expected) in [
            (0, true, true),
            (299, true, true),
            (300, true, false),
            (400, false, false),
            (401, true, true),
        ] {
            let now = UnixNanos::from_seconds(1_000 + seconds);
            let of = Comparison {
                model: "m",
                version: "",
                environment: "",
                segment: "",
                window_start: now,
                window_seconds: 0,
                now,
            };
            assert_eq!(references.has_to_wait(of, "r", is_dirty), expected, "{seconds} {is_dirty}");
        }
    }

    #[test]
    fn a_stretch_is_retained_until_its_first_minute_may_be_gone() {
        let from = UnixNanos::parse("2026-10-01").unwrap();
        let stretch = Stretch::new(from, from.plus_seconds(3 * 86_400), None);
        for (days, expected) in [(3, true), (12, true), (13, false), (30, false)] {
            assert_eq!(stretch.is_retained(from.plus_seconds(days * 86_400)), expected, "{days}");
        }
    }
}
