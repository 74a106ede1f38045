//! References that know the hour: of a long stretch of telemetry those hours that are the same hour of the week as the window,
//! so that a rhythm of the day or of the week is not drift.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftlead_store::clickhouse::query::profiles::{BlockSize, Profile, ProfileQuery, block_sizes, read_blocks};
use driftlead_store::clickhouse::query::references::ReferenceProfile;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::FeatureCounts;
use serde::Serialize;

use super::resolve::Comparison;
use super::{CacheKey, Reference, ReferenceInfo, References};
use crate::blocking;
use crate::error::AnalyzerError;
use crate::seed::seed_of;
use crate::stats::dispersion::dispersion_within;
use crate::stats::shift::MIN_N_FOR_DECISIONS;
use crate::window::{DAY_SECONDS, HOUR_SECONDS};

const WEEK_SECONDS: i64 = 7 * 86_400;
/// Inferences below which an hour or day of the reference says too little about how they differ.
const MIN_BLOCK_N: u64 = 100;
/// Hours or days that are compared with others of their kind at most.
const MAX_BLOCKS: usize = 52;

/// Which hours or days of a reference are like the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// The same hour of the same day of the week.
    HourOfWeek,
    /// The same hour of any day.
    HourOfDay,
    /// The same day of the week.
    DayOfWeek,
}

impl Matching {
    /// Those that fit a window of this length, the closest first.
    fn of_length(seconds: u32) -> &'static [Self] {
        match seconds {
            HOUR_SECONDS => &[Self::HourOfWeek, Self::HourOfDay],
            DAY_SECONDS => &[Self::DayOfWeek],
            _ => &[],
        }
    }

    pub(crate) fn period_seconds(self) -> i64 {
        match self {
            Self::HourOfWeek | Self::DayOfWeek => WEEK_SECONDS,
            Self::HourOfDay => i64::from(DAY_SECONDS),
        }
    }

    /// Hours or days like the window that there have to be. Days differ more than weeks do.
    fn least_blocks(self) -> usize {
        match self {
            Self::HourOfWeek | Self::DayOfWeek => 3,
            Self::HourOfDay => 5,
        }
    }
}

/// The blocks of a reference that are like a window.
#[derive(Debug, PartialEq)]
struct Matched {
    matching: Matching,
    blocks: Vec<BlockSize>,
}

/// Blocks of a stretch from `from`, of the window's length: those that are like the window, in the closest way in which there
/// are enough of them.
fn matched(blocks: &[BlockSize], from: i64, window_start: i64, seconds: u32) -> Option<Matched> {
    let length = i64::from(seconds);
    Matching::of_length(seconds).iter().find_map(|&matching| {
        let is_like = |block: &&BlockSize| (from + block.block * length - window_start).rem_euclid(matching.period_seconds()) == 0;
        let like: Vec<BlockSize> = blocks.iter().filter(is_like).cloned().collect();
        let inferences: u64 = like.iter().map(|block| block.inferences).sum();
        let is_enough = like.len() >= matching.least_blocks() && inferences >= MIN_N_FOR_DECISIONS;
        is_enough.then_some(Matched { matching, blocks: like })
    })
}

/// Groups of blocks that are like each other, spread evenly over the period, [`MAX_BLOCKS`] blocks in all at most.
fn groups(blocks: &[BlockSize], from: i64, matching: Matching, seconds: u32) -> Vec<Vec<BlockSize>> {
    let phase = |block: &BlockSize| (from + block.block * i64::from(seconds)).rem_euclid(matching.period_seconds());
    let mut by_phase: BTreeMap<i64, Vec<BlockSize>> = BTreeMap::new();
    for block in blocks.iter().filter(|block| block.inferences >= MIN_BLOCK_N) {
        by_phase.entry(phase(block)).or_default().push(block.clone());
    }
    by_phase.retain(|_, blocks| blocks.len() >= matching.least_blocks());
    let size = by_phase.values().map(Vec::len).max().unwrap_or(1);
    let wanted = (MAX_BLOCKS / size.max(1)).max(1);
    // Not a divisor of a day, so that all hours of the day have their turn.
    let mut step = by_phase.len().div_ceil(wanted).max(1);
    if matching == Matching::HourOfWeek && 24 % step == 0 && step > 1 {
        step += 1;
    }
    let mut groups: Vec<Vec<BlockSize>> = by_phase.into_values().step_by(step).collect();
    groups.iter_mut().for_each(|group| group.truncate(MAX_BLOCKS));
    groups
}

impl References {
    /// The part of a reference that is like the window, where it is telemetry of weeks; the reference itself where it is not,
    /// or where the model's settings say so.
    pub(super) async fn like_the_window(&self, of: Comparison<'_>, reference: Arc<Reference>) -> Result<Arc<Reference>, AnalyzerError> {
        let found = self.matching(of, &reference.info).await?;
        Ok(found.unwrap_or(reference))
    }

    async fn matching(&self, of: Comparison<'_>, info: &ReferenceInfo) -> Result<Option<Arc<Reference>>, AnalyzerError> {
        let (Some(from), Some(to)) = (info.from, info.to) else {
            return Ok(None);
        };
        let length = i64::from(of.window_seconds);
        let is_long = Matching::of_length(of.window_seconds)
            .iter()
            .any(|matching| to.seconds() - from.seconds() >= matching.period_seconds() * (matching.least_blocks() as i64 - 1));
        let begins_whole = length > 0 && of.window_start.floor_to(length) == of.window_start;
        if !is_long || !begins_whole || !self.settings(of.model).match_reference {
            return Ok(None);
        }
        let Some(generation) = self.newest_generation(of.model, from, to).await? else {
            return Ok(None);
        };
        // Blocks begin where windows do.
        let from = UnixNanos::from_seconds((from.seconds() + length - 1).div_euclid(length) * length);
        let phase = of.window_start.seconds().rem_euclid(WEEK_SECONDS);
        let key = |name: &str| CacheKey {
            model: of.model.to_owned(),
            name: format!("{}\u{1}{name}", info.name),
            environment: of.environment.to_owned(),
            segment: of.segment.to_owned(),
            from: Some(from),
            to: Some(to),
            generation,
        };
        let own = key(&format!("{}+{phase}", of.window_seconds));
        if let Some(reference) = self.cached(&own) {
            return Ok(Some(reference));
        }
        let query = ProfileQuery {
            model: of.model,
            environment: of.environment,
            version: info.version.as_deref(),
            segment: Some(of.segment).filter(|segment| !segment.is_empty()),
            from,
            until: to,
            without: &[],
        };
        let blocks = block_sizes(self.clickhouse(), query, of.window_seconds).await?;
        let Some(found) = matched(&blocks, from.seconds(), of.window_start.seconds(), of.window_seconds) else {
            return Ok(None);
        };
        let mut profile = Profile::default();
        for of_block in read_blocks(self.clickhouse(), query, of.window_seconds, &found.blocks)
            .await?
            .values()
        {
            profile.merge(of_block);
        }
        // How blocks differ from others like them is the same for all windows of the day.
        let shared = key(&format!("dispersion of {} {:?}", of.window_seconds, found.matching));
        let dispersion = match self.cached(&shared) {
            Some(known) => known.data.dispersion.clone(),
            None => {
                let groups = groups(&blocks, from.seconds(), found.matching, of.window_seconds);
                let dispersion = dispersions(self, query, of.window_seconds, groups).await?;
                let data = ReferenceProfile {
                    dispersion: dispersion.clone(),
                    ..ReferenceProfile::default()
                };
                self.remember(shared, Reference { info: info.clone(), data });
                dispersion
            }
        };
        let info = ReferenceInfo {
            rows: profile.inferences,
            matching: Some(found.matching),
            ..info.clone()
        };
        let data = ReferenceProfile { profile, dispersion };
        Ok(Some(self.remember(own, Reference { info, data })))
    }
}

/// By feature the factor by which the variance of windows of this length is inflated.
async fn dispersions(
    references: &References,
    query: ProfileQuery<'_>,
    seconds: u32,
    groups: Vec<Vec<BlockSize>>,
) -> Result<BTreeMap<String, BTreeMap<u32, f64>>, AnalyzerError> {
    let all: Vec<BlockSize> = groups.iter().flatten().cloned().collect();
    let profiles = read_blocks(references.clickhouse(), query, seconds, &all).await?;
    let model = query.model.to_owned();
    blocking::compute(move || {
        let features: std::collections::BTreeSet<&String> = profiles.values().flat_map(|profile| profile.features.keys()).collect();
        let of = |feature: &str| {
            let counts = |group: &Vec<BlockSize>| -> Vec<FeatureCounts> {
                let profiles = group.iter().filter_map(|block| profiles.get(&block.block));
                profiles.map(|profile| profile.feature(feature)).collect()
            };
            let groups: Vec<Vec<FeatureCounts>> = groups.iter().map(counts).collect();
            dispersion_within(&groups, seed_of(&[&model, feature]))
        };
        let factors = features
            .iter()
            .filter_map(|feature| Some(((*feature).clone(), BTreeMap::from([(seconds, of(feature)?)]))));
        factors.collect()
    })
    .await
}

#[cfg(test)]
mod month;
#[cfg(test)]
mod tests;
