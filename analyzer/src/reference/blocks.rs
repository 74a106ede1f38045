//! How much the reference's own windows differ: blocks of an hour and of a day.

use std::collections::{BTreeMap, BTreeSet};

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::profiles::{BlockSize, Profile, ProfileQuery, block_sizes, read_blocks};
use driftlead_store::embedding::PROJECTIONS;
use driftlead_store::records::{EmbeddingKind, Embeddings, FeatureCounts};

use crate::blocking;
use crate::embedding_drift::projection_name;
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
        by_feature.insert(feature.clone(), factors(of(hours), of(days)));
    }
    by_feature.extend(of_embeddings(model, hours, days));
    by_feature
}

fn factors(by_hour: Option<f64>, by_day: Option<f64>) -> BTreeMap<u32, f64> {
    let by_length = [(HOUR_SECONDS, by_hour), (DAY_SECONDS, by_day.or(by_hour))];
    let known = by_length.into_iter().filter_map(|(seconds, factor)| Some((seconds, factor?)));
    known.collect()
}

/// The same of each projection of the usual kind of embeddings.
fn of_embeddings(model: &str, hours: &[Profile], days: &[Profile]) -> BTreeMap<String, BTreeMap<u32, f64>> {
    let mut all = Embeddings::default();
    hours.iter().for_each(|block| all.merge(&block.embeddings));
    let Some(kind) = all.usual_kind() else {
        return BTreeMap::new();
    };
    let by_projection = (0..PROJECTIONS).map(|projection| {
        let name = projection_name(projection);
        let of = |blocks: &[Profile]| {
            let counts: Vec<FeatureCounts> = blocks.iter().map(|block| along(block, kind, projection)).collect();
            dispersion(&counts, seed_of(&[model, &name]))
        };
        let factors = factors(of(hours), of(days));
        (name, factors)
    });
    by_projection.collect()
}

fn along(block: &Profile, kind: &EmbeddingKind, projection: usize) -> FeatureCounts {
    let mut counts = FeatureCounts::default();
    if let Some(directions) = block.embeddings.directions.get(kind) {
        let buckets = (0..).zip(directions.projections()[projection]);
        counts.buckets = buckets.filter(|&(_, n)| n > 0).collect();
        counts.complete_to(directions.n());
    }
    counts
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
    use driftlead_store::embedding::buckets_of;

    use super::*;

    /// Blocks of vectors, each of which came `repeats` times.
    fn blocks_of_vectors(repeats: u64) -> Vec<Profile> {
        let mut state = 1_u64;
        let mut number = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        let mut block = || {
            let kind = EmbeddingKind {
                dimensions: 24,
                encoder: String::new(),
            };
            let mut profile = Profile::default();
            profile.embeddings.kinds.insert(kind.clone(), 960);
            let directions = profile.embeddings.directions.entry(kind).or_default();
            for _ in 0..960 / repeats {
                let buckets = buckets_of(&std::array::from_fn::<f32, 24, _>(|_| number())).unwrap();
                (0..repeats).for_each(|_| directions.add(buckets));
            }
            profile
        };
        (0..12).map(|_| block()).collect()
    }

    #[test]
    fn every_projection_says_how_much_it_varies() {
        let mean = |repeats| {
            let factors = of_blocks("m", &blocks_of_vectors(repeats), &[]);
            assert_eq!(factors.len(), PROJECTIONS);
            let of_days: Vec<f64> = factors.values().map(|by_length| by_length[&DAY_SECONDS]).collect();
            assert!(
                factors
                    .values()
                    .all(|by_length| by_length[&HOUR_SECONDS] == by_length[&DAY_SECONDS])
            );
            of_days.iter().sum::<f64>() / of_days.len() as f64
        };
        let (independent, repeated) = (mean(1), mean(8));
        assert!(independent < 1.6 && repeated > 4.0, "{independent} {repeated}");
        assert!(of_blocks("m", &vec![Profile::default(); 12], &[]).is_empty());
    }

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
