//! Detectors over streams agree with River, confidence sequences with GrowthBook's gbstats, logistic models and how they
//! tell rows apart with scikit-learn, and the discrepancy of vectors with its definition in NumPy.

use std::collections::BTreeMap;

use driftlead_analyzer::stats::adaptive_windowing::{self, AdaptiveWindowing};
use driftlead_analyzer::stats::confidence_sequence;
use driftlead_analyzer::stats::cusum::{self, Cusum, Direction};
use driftlead_analyzer::stats::domain_classifier::{DomainAuc, Feature, Values, domain_auc};
use driftlead_analyzer::stats::logistic;
use driftlead_analyzer::stats::maximum_mean_discrepancy::{self as mmd, MaximumMeanDiscrepancy, Vectors, maximum_mean_discrepancy};
use driftlead_analyzer::stats::page_hinkley::{self, PageHinkley};
use driftlead_store::bucket;
use serde::Deserialize;

use super::{cases, check};

/// Numbers from a seed, by the rule of `Source` in streams.py.
struct Source(u64);

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Uniform,
    Coin,
    Bell,
    Heavy,
}

impl Source {
    fn uniform(&mut self) -> f64 {
        self.0 = (1_103_515_245 * self.0 + 12_345) % (1 << 31);
        (2 * self.0 + 1) as f64 / 2.0_f64.powi(32)
    }

    fn number(&mut self, kind: Kind) -> f64 {
        match kind {
            Kind::Uniform => self.uniform(),
            Kind::Coin => f64::from(u8::from(self.uniform() < 0.25)),
            Kind::Bell => self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2.0,
            Kind::Heavy => {
                let u = self.uniform();
                (2.0 * u - 1.0) / (2.0 * u * (1.0 - u)).sqrt()
            }
        }
    }
}

/// Observations: those of an earlier case, written down, or made from a seed in parts of (kind, n, times, plus).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stream {
    SameAs { same_as: usize },
    Values { number: usize, values: Vec<f64> },
    Made { seed: u64, parts: Vec<(Kind, usize, f64, f64)> },
}

/// The streams that were written down so far.
#[derive(Default)]
struct Streams(BTreeMap<usize, Vec<f64>>);

impl Streams {
    fn observations(&mut self, stream: &Stream) -> Vec<f64> {
        match stream {
            Stream::SameAs { same_as } => self.0[same_as].clone(),
            Stream::Values { number, values } => {
                self.0.insert(*number, values.clone());
                values.clone()
            }
            Stream::Made { seed, parts } => {
                let mut source = Source(*seed);
                let of_part = |(kind, n, times, plus): &(Kind, usize, f64, f64)| {
                    (0..*n).map(|_| plus + times * source.number(*kind)).collect::<Vec<_>>()
                };
                parts.iter().flat_map(of_part).collect()
            }
        }
    }
}

#[test]
fn page_hinkley_alarms_where_river_does() {
    #[derive(Debug, Deserialize)]
    struct Case {
        stream: Stream,
        min_instances: u64,
        delta: f64,
        threshold: f64,
        alpha: f64,
        alarms: Vec<usize>,
    }
    let mut streams = Streams::default();
    let mut n = 0;
    for case in cases::<Case>(include_str!("../../oracle/page_hinkley.json")) {
        let test = PageHinkley {
            min_instances: case.min_instances,
            delta: case.delta,
            threshold: case.threshold,
            alpha: case.alpha,
        };
        let mut state = page_hinkley::State::default();
        let mut found = Vec::new();
        for (index, observation) in streams.observations(&case.stream).into_iter().enumerate() {
            let (next, alarm) = test.observe(&state, observation).unwrap();
            state = next;
            found.extend(alarm.map(|_| index));
        }
        assert_eq!(found, case.alarms, "{test:?}");
        n += found.len();
    }
    assert!(n > 100, "{n} alarms");
}

#[test]
fn adaptive_windows_change_where_those_of_river_do() {
    #[derive(Debug, Deserialize)]
    struct Case {
        stream: Stream,
        delta: f64,
        clock: u64,
        max_buckets: usize,
        min_window_length: u64,
        grace_period: u64,
        /// Where, how many observations are left in the window, and their mean.
        alarms: Vec<(usize, u64, f64)>,
    }
    let mut streams = Streams::default();
    let mut n = 0;
    for case in cases::<Case>(include_str!("../../oracle/adaptive_windowing.json")) {
        let method = AdaptiveWindowing {
            delta: case.delta,
            clock: case.clock,
            max_buckets: case.max_buckets,
            min_window_length: case.min_window_length,
            grace_period: case.grace_period,
        };
        let mut state = adaptive_windowing::State::default();
        let mut found = Vec::new();
        for (index, observation) in streams.observations(&case.stream).into_iter().enumerate() {
            let (next, alarm) = method.observe(&state, observation).unwrap();
            state = next;
            found.extend(alarm.map(|alarm| (index, alarm.newer_n, alarm.newer_mean)));
        }
        let place = |alarms: &[(usize, u64, f64)]| alarms.iter().map(|(index, left, _)| (*index, *left)).collect::<Vec<_>>();
        assert_eq!(place(&found), place(&case.alarms), "{method:?}");
        for (found, expected) in found.iter().zip(&case.alarms) {
            check(found, found.2, expected.2, 1e-9 * expected.2.abs().max(1.0));
        }
        n += found.len();
    }
    assert!(n > 50, "{n} alarms");
}

#[test]
fn cumulative_sums_alarm_where_their_definition_does() {
    #[derive(Debug, Deserialize)]
    struct Case {
        stream: Stream,
        target: f64,
        allowance: f64,
        decision_interval: f64,
        count: usize,
        alarms: Vec<(usize, Direction, f64)>,
    }
    let mut streams = Streams::default();
    for case in cases::<Case>(include_str!("../../oracle/cusum.json")) {
        let chart = Cusum {
            target: case.target,
            allowance: case.allowance,
            decision_interval: case.decision_interval,
        };
        let mut state = cusum::State::default();
        let mut found = Vec::new();
        for (index, observation) in streams.observations(&case.stream).into_iter().enumerate() {
            let (next, alarm) = chart.observe(&state, observation).unwrap();
            state = next;
            found.extend(alarm.map(|alarm| (index, alarm.direction, alarm.sum)));
        }
        assert_eq!(found.len(), case.count, "{chart:?}");
        for (found, expected) in found.iter().zip(&case.alarms) {
            assert_eq!((found.0, found.1), (expected.0, expected.1), "{chart:?}");
            check(found, found.2, expected.2, 1e-9 * expected.2.max(1.0));
        }
    }
}

#[test]
fn confidence_sequences_are_as_wide_as_those_of_growthbook() {
    #[derive(Debug, Deserialize)]
    struct Case {
        variance: f64,
        n: u64,
        alpha: f64,
        half_width: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/confidence_sequence.json")) {
        let found = confidence_sequence::half_width(case.variance, case.n, case.alpha).unwrap();
        check(&case, found, case.half_width, 1e-12 * case.half_width);
    }
}

/// The discrepancy is a difference of means of numbers up to 1, all of which both sides round.
const DISCREPANCY: f64 = 1e-12;
/// A sample of a thousand vectors a side estimates that of all of them to about so much, in three dimensions.
const SAMPLED_DISCREPANCY: f64 = 0.01;
/// What it changes when every number of a vector is the middle of its bucket, at most 0.4 % off, as a share of the kernel's
/// range of 1.
const DISCREPANCY_OF_BUCKETS: f64 = 0.005;
const PERMUTATIONS: u32 = 2_000;

#[test]
fn discrepancies_agree_with_their_definition_and_their_p_within_what_permutations_say() {
    #[derive(Debug, Deserialize)]
    struct Case {
        dimension: usize,
        reference: Vec<f32>,
        current: Vec<f32>,
        squared: Option<f64>,
        bandwidth: Option<f64>,
        p: Option<f64>,
        permutations: u32,
    }
    let of = |reference: &[f32], current: &[f32], dimension: usize| {
        let [reference, current] = [reference, current].map(|side| Vectors::of(side, dimension).unwrap());
        maximum_mean_discrepancy(reference, current, PERMUTATIONS, 1)
    };
    let mut moved_by_buckets = 0.0_f64;
    for case in cases::<Case>(include_str!("../../oracle/maximum_mean_discrepancy.json")) {
        let what = (case.dimension, case.reference.len(), case.current.len());
        let found = of(&case.reference, &case.current, case.dimension);
        let (Some(squared), Some(bandwidth), Some(p)) = (case.squared, case.bandwidth, case.p) else {
            assert!(found.is_err(), "{what:?}: {found:?}");
            continue;
        };
        let found = found.unwrap();
        check(what, found.squared, squared, DISCREPANCY);
        check(what, found.bandwidth, bandwidth, 1e-12 * bandwidth);
        // Five standard deviations of the difference of two shares, and one permutation each.
        let each = 1.0 / f64::from(PERMUTATIONS) + 1.0 / f64::from(case.permutations);
        check(what, found.p_value, p, 5.0 * (p * (1.0 - p) * each).sqrt() + each);
        // Far from zero buckets are wider than what tells these vectors apart.
        if case.reference[0] < 1e5 {
            let middles = |side: &[f32]| side.iter().map(|number| middle(f64::from(*number)) as f32).collect::<Vec<_>>();
            let bucketed = of(&middles(&case.reference), &middles(&case.current), case.dimension).unwrap();
            moved_by_buckets = moved_by_buckets.max((bucketed.squared - squared).abs());
        }
    }
    println!("buckets move the squared discrepancy by {moved_by_buckets}");
    assert!(moved_by_buckets <= DISCREPANCY_OF_BUCKETS, "{moved_by_buckets}");
}

fn middle(number: f64) -> f64 {
    bucket::middle(bucket::key_of(number).unwrap())
}

#[test]
fn a_sample_of_many_vectors_estimates_the_discrepancy_of_all() {
    #[derive(Debug, Deserialize)]
    struct Case {
        seed: u64,
        n: usize,
        dimension: usize,
        shift: f64,
        squared: f64,
        bandwidth: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/large_discrepancy.json")) {
        let mut source = Source(case.seed);
        let [reference, current] = [0.0, case.shift].map(|plus| {
            let numbers = (0..case.n * case.dimension).map(|_| (plus + source.number(Kind::Bell)) as f32);
            numbers.collect::<Vec<f32>>()
        });
        let [reference, current] = [&reference, &current].map(|side| Vectors::of(side, case.dimension).unwrap());
        let found: MaximumMeanDiscrepancy = maximum_mean_discrepancy(reference, current, 200, 1).unwrap();
        assert_eq!((found.reference_n, found.n, found.is_sampled), (mmd::MAX_ROWS, mmd::MAX_ROWS, true));
        check(&case, found.squared, case.squared, SAMPLED_DISCREPANCY);
        check(&case, found.bandwidth / case.bandwidth, 1.0, 0.05);
        assert_eq!(found.p_value < 0.01, case.shift > 0.0, "{found:?}");
    }
}

/// Both sides stop a few digits before the last: coefficients of about 1 are found to this much, larger ones in proportion.
const COEFFICIENTS: f64 = 1e-8;

#[test]
fn logistic_models_have_the_coefficients_of_scikit_learn() {
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Rows {
        Written { rows: Vec<Vec<f64>>, outcomes: Vec<bool> },
        Made { seed: u64, n: usize },
    }
    #[derive(Debug, Deserialize)]
    struct Case {
        #[serde(flatten)]
        rows: Rows,
        intercept: f64,
        coefficients: Vec<f64>,
    }
    for case in cases::<Case>(include_str!("../../oracle/logistic.json")) {
        let (rows, outcomes) = match case.rows {
            Rows::Written { rows, outcomes } => (rows, outcomes),
            Rows::Made { seed, n } => {
                let mut source = Source(seed);
                let kinds = [Kind::Bell, Kind::Heavy, Kind::Coin, Kind::Uniform];
                let rows: Vec<Vec<f64>> = (0..n).map(|_| kinds.map(|kind| source.number(kind)).to_vec()).collect();
                let outcomes = rows
                    .iter()
                    .map(|row| source.uniform() < 0.3 + 0.2 * row[2] + 0.1 * row[0])
                    .collect();
                (rows, outcomes)
            }
        };
        let found = logistic::fit(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), &outcomes).unwrap();
        let expected = [&[case.intercept], case.coefficients.as_slice()].concat();
        let found = [&[found.intercept], found.coefficients.as_slice()].concat();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            check(
                (rows.len(), &case.coefficients),
                *found,
                *expected,
                COEFFICIENTS * expected.abs().max(1.0),
            );
        }
    }
}

/// The folds are others, and what is absent is filled in before the folds here and within them there.
const AUC: f64 = 0.05;
/// The same for a feature's part in it.
const DROP: f64 = 0.06;
/// What it changes when every number is the middle of its bucket, at most 0.4 % off.
const AUC_OF_BUCKETS: f64 = 0.01;
const Z: f64 = 2.0;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Column {
    Numbers(Vec<Option<f64>>),
    Categories(Vec<Option<String>>),
}

/// The mean ROC-AUC of several seeds, and each feature's mean drop.
fn told_apart(features: &[Feature<'_>], seeds: u64) -> (f64, BTreeMap<String, f64>) {
    let found: Vec<DomainAuc> = (0..seeds).map(|seed| domain_auc(features, Z, seed).unwrap()).collect();
    let mut drops = BTreeMap::new();
    for contribution in found.iter().flat_map(|one| &one.contributions) {
        *drops.entry(contribution.feature.clone()).or_default() += contribution.drop / seeds as f64;
    }
    (found.iter().map(|one| one.auc.value).sum::<f64>() / seeds as f64, drops)
}

#[test]
fn rows_are_told_apart_as_by_scikit_learn() {
    #[derive(Debug, Deserialize)]
    struct Side {
        name: String,
        reference: Column,
        current: Column,
    }
    #[derive(Debug, Deserialize)]
    struct Case {
        features: Vec<Side>,
        repeats: u64,
        auc: f64,
        drops: Vec<f64>,
    }
    let texts = |column: &Column| match column {
        Column::Categories(values) => values.clone(),
        Column::Numbers(_) => Vec::new(),
    };
    let numbers = |column: &Column, is_bucketed: bool| match column {
        Column::Numbers(values) if is_bucketed => values.iter().map(|value| value.map(middle)).collect(),
        Column::Numbers(values) => values.clone(),
        Column::Categories(_) => Vec::new(),
    };
    let (mut farthest, mut farthest_drop, mut moved_by_buckets) = (0.0_f64, 0.0_f64, 0.0_f64);
    for case in cases::<Case>(include_str!("../../oracle/domain_classifier.json")) {
        let texts: Vec<[Vec<Option<String>>; 2]> = case
            .features
            .iter()
            .map(|side| [texts(&side.reference), texts(&side.current)])
            .collect();
        let texts: Vec<[Vec<Option<&str>>; 2]> = texts
            .iter()
            .map(|sides| [&sides[0], &sides[1]].map(|side| side.iter().map(Option::as_deref).collect()))
            .collect();
        let told = |is_bucketed: bool| {
            let numbers: Vec<[Vec<Option<f64>>; 2]> = case
                .features
                .iter()
                .map(|side| [numbers(&side.reference, is_bucketed), numbers(&side.current, is_bucketed)])
                .collect();
            let features = case.features.iter().zip(numbers.iter().zip(&texts));
            let features: Vec<Feature<'_>> = features
                .map(|(side, (numbers, texts))| Feature {
                    name: &side.name,
                    values: match side.reference {
                        Column::Numbers(_) => Values::Numbers {
                            reference: &numbers[0],
                            current: &numbers[1],
                        },
                        Column::Categories(_) => Values::Categories {
                            reference: &texts[0],
                            current: &texts[1],
                        },
                    },
                })
                .collect();
            told_apart(&features, case.repeats)
        };
        let (auc, drops) = told(false);
        let what: Vec<&str> = case.features.iter().map(|side| side.name.as_str()).collect();
        println!("{what:?} {auc:.4} {:.4} {drops:.3?} {:.3?}", case.auc, case.drops);
        check(&what, auc, case.auc, AUC);
        farthest = farthest.max((auc - case.auc).abs());
        for (side, expected) in case.features.iter().zip(&case.drops) {
            check(&side.name, drops[&side.name], *expected, DROP);
            farthest_drop = farthest_drop.max((drops[&side.name] - expected).abs());
        }
        moved_by_buckets = moved_by_buckets.max((told(true).0 - auc).abs());
    }
    println!("ROC-AUC is off by {farthest} at most, drops by {farthest_drop}, buckets move it by {moved_by_buckets}");
    assert!(moved_by_buckets <= AUC_OF_BUCKETS, "{moved_by_buckets}");
}

#[test]
fn a_sample_of_many_rows_is_told_apart_as_all_of_them() {
    #[derive(Debug, Deserialize)]
    struct Case {
        seed: u64,
        n: usize,
        shift: f64,
        auc: f64,
    }
    let kinds = ["0", "1", "2", "3", "4", "5", "6", "7"];
    for case in cases::<Case>(include_str!("../../oracle/large_domains.json")) {
        let mut source = Source(case.seed);
        let mut numbers: [[Vec<Option<f64>>; 2]; 3] = Default::default();
        let mut categories: [Vec<Option<&str>>; 2] = Default::default();
        for (side, plus) in [0.0, case.shift].into_iter().enumerate() {
            for _ in 0..case.n {
                numbers[0][side].push(Some(plus + source.number(Kind::Bell)));
                numbers[1][side].push(Some(source.number(Kind::Bell)));
                numbers[2][side].push(Some(source.number(Kind::Heavy)));
                categories[side].push(Some(kinds[(8.0 * source.uniform()) as usize]));
            }
        }
        let mut features: Vec<Feature<'_>> = ["moved", "still", "heavy"]
            .into_iter()
            .zip(&numbers)
            .map(|(name, [reference, current])| Feature {
                name,
                values: Values::Numbers { reference, current },
            })
            .collect();
        features.push(Feature {
            name: "kind",
            values: Values::Categories {
                reference: &categories[0],
                current: &categories[1],
            },
        });
        let found = domain_auc(&features, Z, 1).unwrap();
        assert!(found.is_sampled, "{found:?}");
        check(&case, found.auc.value, case.auc, AUC);
        let expected = if case.shift == 0.0 { 0.5 } else { case.auc };
        assert!(
            found.auc.bounds.lower <= expected && expected <= found.auc.bounds.upper,
            "{found:?}"
        );
        assert!(case.shift == 0.0 || found.contributions[0].feature == "moved", "{found:?}");
    }
}
