//! How much the reference's own windows differ: blocks of an hour and of a day.

use std::collections::{BTreeMap, BTreeSet};

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::profiles::{Profile, ProfileQuery, read_profiles};
use driftlead_store::records::FeatureCounts;

use crate::error::AnalyzerError;
use crate::seed::seed_of;
use crate::stats::dispersion::{MIN_BLOCKS, dispersion};
use crate::window::{DAY_SECONDS, HOUR_SECONDS};

/// Inferences below which a block says too little.
const MIN_BLOCK_N: u64 = 100;
/// Blocks that are compared at most: the mean of so many squares varies by 20 %.
const MAX_BLOCKS: usize = 48;

/// By feature and length of windows the factor by which the variance is inflated. For days the blocks are
/// days where the reference has eight of them, else hours: traffic that depends within minutes shows there
/// as well.
pub(super) async fn dispersions(
    clickhouse: &ClickHouse,
    stretch: ProfileQuery<'_>,
) -> Result<BTreeMap<String, BTreeMap<u32, f64>>, AnalyzerError> {
    let mut by_feature: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
    let hours = blocks(clickhouse, stretch, HOUR_SECONDS).await?;
    if hours.len() < MIN_BLOCKS {
        return Ok(by_feature);
    }
    let days = join(&hours, i64::from(DAY_SECONDS / HOUR_SECONDS));
    let hours: Vec<Profile> = evenly(hours.into_values().collect());
    let days: Vec<Profile> = evenly(days);
    let features: BTreeSet<&String> = hours.iter().flat_map(|block| block.features.keys()).collect();
    for feature in features {
        let of = |blocks: &[Profile]| -> Option<f64> {
            let counts: Vec<FeatureCounts> = blocks.iter().map(|block| block.feature(feature)).collect();
            dispersion(&counts, seed_of(&[stretch.model, feature]))
        };
        let by_hour = of(&hours);
        let factors = by_feature.entry(feature.clone()).or_default();
        factors.extend(by_hour.map(|factor| (HOUR_SECONDS, factor)));
        factors.extend(of(&days).or(by_hour).map(|factor| (DAY_SECONDS, factor)));
    }
    Ok(by_feature)
}

async fn blocks(clickhouse: &ClickHouse, stretch: ProfileQuery<'_>, seconds: u32) -> Result<BTreeMap<i64, Profile>, AnalyzerError> {
    let query = ProfileQuery {
        block_seconds: Some(i64::from(seconds)),
        ..stretch
    };
    let mut blocks: BTreeMap<i64, Profile> = BTreeMap::new();
    for ((block, _), profile) in read_profiles(clickhouse, query).await? {
        blocks.entry(block).or_default().merge(&profile);
    }
    blocks.retain(|_, profile| profile.inferences >= MIN_BLOCK_N);
    Ok(blocks)
}

/// Joins blocks to ones that are `times` as long; incomplete ones count as they are.
fn join(blocks: &BTreeMap<i64, Profile>, times: i64) -> Vec<Profile> {
    let mut joined: BTreeMap<i64, Profile> = BTreeMap::new();
    for (block, profile) in blocks {
        joined.entry(block.div_euclid(times)).or_default().merge(profile);
    }
    joined.into_values().collect()
}

fn evenly(blocks: Vec<Profile>) -> Vec<Profile> {
    let step = blocks.len().div_ceil(MAX_BLOCKS).max(1);
    blocks.into_iter().step_by(step).collect()
}
