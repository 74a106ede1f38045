//! Which reference applies to a version.

use std::sync::Arc;

use driftlead_store::clickhouse::query::references::read_reference;
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ReferenceSettings;
use driftlead_store::state::references::{ReferenceKind, ReferenceSet, ReferenceState};

use super::telemetry::Stretch;
use super::{CacheKey, NoReference, Reference, ReferenceInfo, References};
use crate::error::AnalyzerError;
use crate::stats::shift::MIN_N_FOR_DECISIONS;
use crate::window::{DAY_SECONDS, HOUR_SECONDS};

/// Days before a window that it is compared with unless the settings say otherwise.
const TRAILING_DAYS: u32 = 28;

/// Between the name of a profile and the segment that it is about.
pub(super) const OF_SEGMENT: char = '\u{1}';

/// What a window is about.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The model.
    pub model: &'a str,
    /// The version; empty where senders state none.
    pub version: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The segment; empty for all traffic together.
    pub segment: &'a str,
    /// Start of the window: a reference of the days before ends there.
    pub window_start: UnixNanos,
    /// Length of the window in seconds: of a long reference the same hours or days are taken.
    pub window_seconds: u32,
    /// Now.
    pub now: UnixNanos,
}

impl Comparison<'_> {
    /// The name under which the profile of a stretch is kept: every environment has its own, and so has every segment.
    pub(super) fn kept_as(&self, stretch: &str) -> String {
        let Self { environment, segment, .. } = self;
        if segment.is_empty() {
            format!("{stretch}/{environment}")
        } else {
            format!("{stretch}/{environment}{OF_SEGMENT}{segment}")
        }
    }
}

type Found = Result<Result<Arc<Reference>, NoReference>, AnalyzerError>;

impl References {
    /// The reference that applies to a window.
    ///
    /// # Errors
    /// Telemetry or state cannot be read. That there is no reference is no error: the inner result says why.
    pub async fn applying_to(&self, of: Comparison<'_>) -> Found {
        let found = self.applying(of).await?;
        self.found_like_the_window(of, found).await
    }

    async fn found_like_the_window(&self, of: Comparison<'_>, found: Result<Arc<Reference>, NoReference>) -> Found {
        match found {
            Ok(reference) => Ok(Ok(self.like_the_window(of, reference).await?)),
            Err(why) => Ok(Err(why)),
        }
    }

    async fn applying(&self, of: Comparison<'_>) -> Found {
        if let Some(name) = self.state.training_reference(of.model, of.version, of.environment).await? {
            return self.of_name(of, &name).await;
        }
        match self.settings(of.model).reference {
            Some(ReferenceSettings::Pinned(from, to)) => match (UnixNanos::parse(&from), UnixNanos::parse(&to)) {
                (Ok(from), Ok(to)) if from < to => self.pinned(of, &of.kept_as("@pinned"), Stretch::new(from, to, None)).await,
                _ => Ok(Err(NoReference::NoReference(format!(
                    "the pinned reference from {from:?} to {to:?} is no stretch of time"
                )))),
            },
            Some(ReferenceSettings::Uploaded(name)) => self.of_name(of, &name).await,
            Some(ReferenceSettings::Trailing(days)) => self.trailing(of, days).await,
            Some(ReferenceSettings::PreviousVersion) | None => self.previous_or_trailing(of).await,
        }
    }

    /// The reference of this name: an uploaded or pinned one, `trailing` or `previous_version`.
    ///
    /// # Errors
    /// As [`References::applying_to`].
    pub async fn named(&self, of: Comparison<'_>, name: &str) -> Found {
        let found = self.of_name(of, name).await?;
        self.found_like_the_window(of, found).await
    }

    async fn of_name(&self, of: Comparison<'_>, name: &str) -> Found {
        match self.state.reference(of.model, name).await? {
            Some(set) => match (set.kind, set.from, set.to) {
                (ReferenceKind::Pinned, Some(from), Some(to)) => self.named_stretch(of, set, from, to).await,
                _ => self.kept(of, &set).await,
            },
            None if name == ReferenceKind::Trailing.as_str() => self.trailing(of, TRAILING_DAYS).await,
            None if name == ReferenceKind::PreviousVersion.as_str() => self.previous_or_trailing(of).await,
            None => Ok(Err(NoReference::NoReference(format!(
                "there is no reference {name:?} of this model: upload it with PUT …/references/{name}"
            )))),
        }
    }

    /// A stretch that somebody named: every environment has its own profile of it.
    pub(super) async fn named_stretch(&self, of: Comparison<'_>, set: ReferenceSet, from: UnixNanos, to: UnixNanos) -> Found {
        let kept_as = of.kept_as(&format!("@stretch/{}", set.name));
        let found = self.pinned(of, &kept_as, Stretch::new(from, to, None)).await?;
        match &found {
            Ok(reference) if set.state != ReferenceState::Profiled => {
                let profiled = ReferenceSet {
                    state: ReferenceState::Profiled,
                    reason: None,
                    rows: reference.info.rows,
                    profiled_at: Some(of.now),
                    ..set
                };
                self.state.put_reference(&profiled).await?;
            }
            Err(NoReference::NoReference(reason)) if set.state == ReferenceState::Waiting => {
                let failed = ReferenceSet {
                    state: ReferenceState::Failed,
                    reason: Some(reason.clone()),
                    ..set
                };
                self.state.put_reference(&failed).await?;
            }
            _ => {}
        }
        Ok(found)
    }

    /// What the version before did in the days before the release, else what all did before the window.
    async fn previous_or_trailing(&self, of: Comparison<'_>) -> Found {
        if let Some(release) = self.state.release_of(of.model, of.version, of.environment).await?
            && let Some(baseline) = release.baseline_version
        {
            let from = release.at.plus_seconds(-i64::from(TRAILING_DAYS) * i64::from(DAY_SECONDS));
            let name = of.kept_as(&format!("@previous/{}", of.version));
            let found = self.pinned(of, &name, Stretch::new(from, release.at, Some(baseline))).await?;
            if found.as_ref().is_ok_and(|reference| reference.info.rows >= MIN_N_FOR_DECISIONS) {
                return Ok(found);
            }
        }
        self.trailing(of, TRAILING_DAYS).await
    }

    /// The days before the window's day; where they hold too little, all that lies before the window.
    async fn trailing(&self, of: Comparison<'_>, days: u32) -> Found {
        let length = i64::from(days) * i64::from(DAY_SECONDS);
        let mut last = Err(NoReference::NoReference(format!(
            "there is no traffic in the {days} days before the window"
        )));
        for step in [DAY_SECONDS, HOUR_SECONDS, 60] {
            let to = of.window_start.floor_to(i64::from(step));
            let info = ReferenceInfo {
                name: ReferenceKind::Trailing.as_str().to_owned(),
                kind: ReferenceKind::Trailing,
                version: None,
                from: Some(to.plus_seconds(-length)),
                to: Some(to),
                rows: 0,
                matching: None,
            };
            if let Some(reference) = self.of_telemetry(of, info).await? {
                let is_enough = reference.info.rows >= MIN_N_FOR_DECISIONS;
                last = Ok(reference);
                if is_enough {
                    break;
                }
            }
        }
        Ok(last)
    }

    /// A stretch of telemetry that does not move: as it was profiled once, profiled now if it is complete
    /// and was not, or again if late data came for it.
    pub(super) async fn pinned(&self, of: Comparison<'_>, name: &str, stretch: Stretch) -> Found {
        let known = self.state.reference(of.model, name).await?.filter(|set| stretch.is_that_of(set));
        let profiled = known.filter(|set| set.state == ReferenceState::Profiled);
        let newest = self.newest_generation(of.model, stretch.from, stretch.to).await?;
        // Of a named stretch all has to be there; what a version did before a release is taken as far as it is kept.
        if profiled.is_none() && stretch.version.is_none() && !stretch.is_retained(of.now) {
            return self.expired(of, name, stretch).await;
        }
        match (profiled, self.why_waiting(of, name, &stretch, newest).await?) {
            (Some(set), None) if newest.is_some_and(|newest| newest > set.generation) && stretch.is_retained(of.now) => {
                self.profile_and_keep(of, name, stretch, newest.unwrap_or(0)).await
            }
            // What was profiled before stays in use until what changed it is complete.
            (Some(set), _) => self.kept(of, &set).await,
            (None, None) => self.profile_and_keep(of, name, stretch, newest.unwrap_or(0)).await,
            (None, Some(waiting)) => Ok(Err(waiting)),
        }
    }

    /// A reference whose profile is kept in `reference_profiles`.
    async fn kept(&self, of: Comparison<'_>, set: &ReferenceSet) -> Found {
        if !of.segment.is_empty() && set.kind == ReferenceKind::Uploaded {
            return Ok(Err(NoReference::NoReference(format!(
                "the uploaded reference {:?} does not say which of its rows belong to the segment {:?}",
                set.name, of.segment
            ))));
        }
        match set.state {
            ReferenceState::Profiled => {}
            ReferenceState::Waiting => {
                let reason = set
                    .reason
                    .clone()
                    .unwrap_or_else(|| format!("the reference {:?} is not profiled yet", set.name));
                return Ok(Err(NoReference::ReferenceWaiting(reason)));
            }
            ReferenceState::Failed => {
                let reason = set.reason.clone().unwrap_or_default();
                return Ok(Err(NoReference::NoReference(format!(
                    "the reference {:?} could not be profiled: {reason}",
                    set.name
                ))));
            }
        }
        if let Some(reference) = self.cached(&CacheKey::of_set(set)) {
            return Ok(Ok(reference));
        }
        let data = read_reference(&self.clickhouse, of.model, &set.name, set.generation).await?;
        if set.rows > 0 && data.profile.features.is_empty() && data.profile.embeddings.n() == 0 {
            let reason = "its profile is not there: upload its rows again";
            let failed = ReferenceSet {
                state: ReferenceState::Failed,
                reason: Some(reason.to_owned()),
                ..set.clone()
            };
            self.state.put_reference(&failed).await?;
            return Ok(Err(NoReference::NoReference(format!(
                "the reference {:?} is lost: {reason}",
                set.name
            ))));
        }
        Ok(Ok(self.of_set(set, data)))
    }
}
