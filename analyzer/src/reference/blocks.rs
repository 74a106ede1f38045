//! How much the reference's own windows differ: blocks of an hour and of a day.

use std::collections::{BTreeMap, BTreeSet};

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::profiles::{BlockSize, Profile, ProfileQuery, block_sizes, read_blocks};
use driftlead_store::records::FeatureCounts;

use crate::blocking;
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
    let hours = blocks(clickhouse, stretch, HOUR_SECONDS).await?;
    if hours.len() < MIN_BLOCKS {
        return Ok(BTreeMap::new());
    }
    let days = blocks(clickhouse, stretch, DAY_SECONDS).await?;
    let model = stretch.model.to_owned();
    blocking::compute(move || of_blocks(&model, &hours, &days)).await
}

fn of_blocks(model: &str, hours: &[Profile], days: &[Profile]) -> BTreeMap<String, BTreeMap<u32, f64>> {
    let mut by_feature: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
    let features: BTreeSet<&String> = hours.iter().flat_map(|block| block.features.keys()).collect();
    for feature in features {
        let of = |blocks: &[Profile]| -> Option<f64> {
            let counts: Vec<FeatureCounts> = blocks.iter().map(|block| block.feature(feature)).collect();
            dispersion(&counts, seed_of(&[model, feature]))
        };
        let by_hour = of(hours);
        let factors = by_feature.entry(feature.clone()).or_default();
        factors.extend(by_hour.map(|factor| (HOUR_SECONDS, factor)));
        factors.extend(of(days).or(by_hour).map(|factor| (DAY_SECONDS, factor)));
    }
    by_feature
}

/// Some blocks of the stretch, evenly spread over those with enough in them, each with all of its categories.
async fn blocks(clickhouse: &ClickHouse, stretch: ProfileQuery<'_>, seconds: u32) -> Result<Vec<Profile>, AnalyzerError> {
    let chosen = chosen(block_sizes(clickhouse, stretch, seconds).await?);
    Ok(read_blocks(clickhouse, stretch, seconds, &chosen).await?.into_values().collect())
}

/// At most [`MAX_BLOCKS`] blocks with enough inferences, evenly spread.
fn chosen(mut blocks: Vec<BlockSize>) -> Vec<BlockSize> {
    blocks.retain(|block| block.inferences >= MIN_BLOCK_N);
    let step = blocks.len().div_ceil(MAX_BLOCKS).max(1);
    blocks.into_iter().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_enough_in_them_are_spread_evenly() {
        let of = |numbers: std::ops::Range<i64>, inferences: fn(i64) -> u64| {
            let block = |block| BlockSize {
                block,
                inferences: inferences(block),
                values: 0,
            };
            let chosen = chosen(numbers.map(block).collect());
            chosen.into_iter().map(|block| block.block).collect::<Vec<_>>()
        };
        let numbers = of(0..672, |number| if number % 2 == 0 { 1_000 } else { MIN_BLOCK_N - 1 });
        assert!(numbers.len() <= MAX_BLOCKS && numbers.len() > MAX_BLOCKS / 2, "{}", numbers.len());
        assert!(numbers.iter().all(|number| number % 2 == 0));
        assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] == numbers[1] - numbers[0]));
        assert_eq!(of(7..8, |_| MIN_BLOCK_N), [7]);
        assert_eq!(of(7..9, |_| 0), Vec::<i64>::new());
    }
}
