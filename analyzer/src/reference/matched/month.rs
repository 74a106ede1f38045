//! Thirty simulated days of fifty features, hour by hour: traffic with the rhythm of a day and of a week and with noise that
//! is not that of independent requests. Decisions are taken as of telemetry: against the same hours of the four weeks before,
//! inflated as these differ among themselves, within the budget of one false alert a month.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use driftlead_store::clickhouse::query::profiles::{BlockSize, Profile};
use driftlead_store::clickhouse::query::references::ReferenceProfile;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::FeatureCounts;
use driftlead_store::state::references::ReferenceKind;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution, StandardNormal};

use super::*;
use crate::budget::Budget;
use crate::drift::{Compared, FeatureDrift, compare};
use crate::reference::ReferenceInfo;
use crate::window::Window;

const HOUR: i64 = 3_600;
const FEATURES: usize = 50;
const REFERENCE_DAYS: i64 = 28;
const DAYS: i64 = 30;
/// A Monday.
const BEGIN: i64 = 2_900 * 7 * 86_400 + 4 * 86_400;
/// Inferences of an hour on average over the day.
const MEAN_N: f64 = 50_000.0;
/// The threshold of the built-in rule.
const THRESHOLD: f64 = 0.03;
/// What a budget of one false alert a month leaves to the shifts in the hours of all traffic of one model.
const BUDGET: Budget = Budget { errors: 0.05, looks: 720 };

/// How the values of one feature are distributed, and how that goes up and down.
struct Feature {
    is_numeric: bool,
    /// Logarithm of the weight of each value, and how it follows the hour of the day and the weekend.
    values: Vec<[f64; 4]>,
}

fn features() -> Vec<Feature> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let feature = |i: usize| {
        let distinct = [2, 5, 12, 20, 60][i % 5];
        let mut value = |k: usize| {
            let rarer = if i.is_multiple_of(2) { -((k + 1) as f64).ln() } else { 0.0 };
            [
                rarer,
                rng.random::<f64>() * 0.3,
                rng.random::<f64>() * TAU,
                rng.random::<f64>() * 0.2,
            ]
        };
        Feature {
            is_numeric: i % 5 == 4,
            values: (0..distinct).map(&mut value).collect(),
        }
    };
    (0..FEATURES).map(feature).collect()
}

/// One hour: `moved` of the traffic of feature 3 has gone to the values in its upper half.
fn hour(features: &[Feature], number: i64, moved: f64) -> Profile {
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    let turn = TAU * (number % 24) as f64 / 24.0;
    let weekend = f64::from(u8::from(number / 24 % 7 >= 5));
    let inferences = (MEAN_N * (1.0 + 0.5 * turn.sin()) * (1.0 - 0.3 * weekend)) as u64;
    let mut profile = Profile {
        inferences,
        ..Profile::default()
    };
    for (i, feature) in features.iter().enumerate() {
        let noisy = |[weight, amplitude, phase, at_weekend]: &[f64; 4]| {
            let noise: f64 = StandardNormal.sample(&mut rng);
            (weight + amplitude * (turn + phase).sin() + at_weekend * weekend + 0.02 * noise).exp()
        };
        let mut weights: Vec<f64> = feature.values.iter().map(noisy).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        if i == 3 && moved > 0.0 {
            let half = weights.len() / 2;
            let (low, high): (f64, f64) = (weights[..half].iter().sum(), weights[half..].iter().sum());
            weights[..half].iter_mut().for_each(|weight| *weight *= 1.0 - moved / low);
            weights[half..].iter_mut().for_each(|weight| *weight *= 1.0 + moved / high);
        }
        let mut counts = FeatureCounts::default();
        let (mut left, mut mass) = (inferences, 1.0);
        for (k, weight) in weights.iter().enumerate() {
            let n = match k + 1 == weights.len() {
                true => left,
                false => Binomial::new(left, (weight / mass).clamp(0.0, 1.0)).unwrap().sample(&mut rng),
            };
            (left, mass) = (left - n, mass - weight);
            if feature.is_numeric {
                *counts.buckets.entry(1_000 + k as i32).or_default() += n;
            } else {
                counts.add_categories(&format!("value {k}"), n);
            }
        }
        counts.complete_to(inferences);
        profile.features.insert(format!("feature {i}"), counts);
    }
    profile
}

/// The decisions about each hour of the month, that of each feature that exceeded the threshold, the surest first.
fn alerts(hours: &[Profile]) -> BTreeMap<i64, Vec<FeatureDrift>> {
    let known = hours[0].features.keys().cloned().collect();
    let mut alerts = BTreeMap::new();
    let mut dispersion: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
    for number in REFERENCE_DAYS * 24..(REFERENCE_DAYS + DAYS) * 24 {
        let first = (number / 24 - REFERENCE_DAYS) * 24;
        let from = BEGIN + first * HOUR;
        let blocks: Vec<BlockSize> = (0..REFERENCE_DAYS * 24)
            .map(|block| BlockSize {
                block,
                inferences: hours[(first + block) as usize].inferences,
                values: 0,
            })
            .collect();
        let of = |block: &BlockSize| &hours[(first + block.block) as usize];
        // The product does so once a day; a week makes no difference here.
        if (number - REFERENCE_DAYS * 24) % 168 == 0 {
            let groups = groups(&blocks, from, Matching::HourOfWeek, HOUR_SECONDS);
            for feature in hours[0].features.keys() {
                let counts = |group: &Vec<BlockSize>| group.iter().map(|block| of(block).feature(feature)).collect();
                let groups: Vec<Vec<FeatureCounts>> = groups.iter().map(counts).collect();
                let factor = dispersion_within(&groups, seed_of(&["m", feature])).unwrap();
                dispersion.insert(feature.clone(), BTreeMap::from([(HOUR_SECONDS, factor)]));
            }
        }
        let start = BEGIN + number * HOUR;
        let found = matched(&blocks, from, start, HOUR_SECONDS).unwrap();
        assert_eq!((found.matching, found.blocks.len()), (Matching::HourOfWeek, 4));
        let mut profile = Profile::default();
        found.blocks.iter().for_each(|block| profile.merge(of(block)));
        let reference = Reference {
            info: ReferenceInfo {
                name: "trailing".into(),
                kind: ReferenceKind::Trailing,
                version: None,
                from: None,
                to: None,
                rows: profile.inferences,
                matching: Some(found.matching),
            },
            data: ReferenceProfile {
                profile,
                dispersion: dispersion.clone(),
            },
        };
        let compared = Compared {
            model: "m",
            version: "1",
            segment: "",
            window: Window {
                end: UnixNanos::from_seconds(start + HOUR),
                seconds: HOUR_SECONDS,
            },
            budget: BUDGET,
        };
        let lower = |drift: &FeatureDrift| drift.shift.as_ref().ok().and_then(|shift| shift.decision_lower).unwrap_or(0.0);
        let mut above = compare(compared, &reference, &hours[number as usize], &known);
        above.retain(|drift| lower(drift) > THRESHOLD);
        above.sort_by(|a, b| lower(b).total_cmp(&lower(a)));
        if !above.is_empty() {
            alerts.insert(number, above);
        }
    }
    alerts
}

#[test]
fn a_month_of_rhythm_and_noise_alerts_at_most_once_and_a_drift_is_found_within_two_hours() {
    let features = features();
    let noon = (REFERENCE_DAYS + 15) * 24 + 12;
    let mut hours: Vec<Profile> = (0..(REFERENCE_DAYS + DAYS) * 24)
        .map(|number| hour(&features, number, 0.0))
        .collect();
    let quiet = alerts(&hours);
    assert!(quiet.len() <= 1, "{:?}", quiet.keys().collect::<Vec<_>>());

    for number in noon..(REFERENCE_DAYS + DAYS) * 24 {
        hours[number as usize] = hour(&features, number, 0.06);
    }
    let drifted = alerts(&hours);
    let first = *drifted.range(noon..).next().expect("the drift is found").0;
    assert!(first < noon + 2, "found after {} windows", first - noon + 1);
    assert_eq!(drifted[&first][0].feature, "feature 3");
    let wrong: usize = drifted.values().flatten().filter(|drift| drift.feature != "feature 3").count();
    assert!(wrong <= 1, "{wrong}");
}
