//! Statistics of two samples agree with SciPy's; `tests/oracle/two_samples.py` asked it.

use driftlead_analyzer::stats::sample::Sample;
use driftlead_analyzer::stats::{
    anderson_darling, cramer_von_mises, energy_distance, kolmogorov, kolmogorov_smirnov, mann_whitney, wasserstein,
};
use serde::Deserialize;

use super::{cases, check};

/// Relative, where both sides compute the same thing.
const SAME: f64 = 1e-9;
/// Absolute, for p of the limiting law of Cramér and von Mises in its tail: SciPy takes it as what a sum, which stops at terms of
/// 1e-7, leaves of 1.
const SCIPY_STOPS: f64 = 1e-7;
/// Where that tail begins: before it the sum has converged.
const TAIL: f64 = 1e-3;

/// A sample as its rows or as a formula of exactly rounded operations, which gives the same rows in Python.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Rows {
    Listed(Vec<f64>),
    Formula {
        shape: Shape,
        seed: u32,
        n: usize,
        shift: f64,
        scale: f64,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Uniform,
    Student,
    Tied,
}

impl Shape {
    fn of(self, u: f64) -> f64 {
        match self {
            Self::Uniform => u,
            Self::Student => (2.0 * u - 1.0) / (2.0 * u * (1.0 - u)).sqrt(),
            Self::Tied => (50.0 * u).floor(),
        }
    }
}

impl Rows {
    fn sample(&self) -> Sample {
        match self {
            Self::Listed(rows) => Sample::of_rows(rows).unwrap(),
            Self::Formula {
                shape,
                seed,
                n,
                shift,
                scale,
            } => {
                let mut state = *seed;
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let u = (f64::from(state >> 8) + 0.5) / 16_777_216.0;
                    shift + scale * shape.of(u)
                };
                Sample::of_rows(&(0..*n).map(|_| next()).collect::<Vec<_>>()).unwrap()
            }
        }
    }

    /// For messages.
    fn name(&self) -> String {
        match self {
            Self::Listed(rows) => format!("{} rows", rows.len()),
            Self::Formula { .. } => format!("{self:?}"),
        }
    }
}

/// One pair of samples; nothing is expected where SciPy has no answer.
#[derive(Debug, Deserialize)]
struct Case<T> {
    reference: Rows,
    current: Rows,
    expected: Option<T>,
}

impl<T> Case<T> {
    fn samples(&self) -> (Sample, Sample) {
        (self.reference.sample(), self.current.sample())
    }

    fn name(&self) -> String {
        format!("{} and {}", self.reference.name(), self.current.name())
    }
}

/// Within [`SAME`] of the expected value.
#[track_caller]
fn agree(what: &str, found: f64, expected: f64) {
    check(what, found, expected, SAME * expected.abs() + 1e-300);
}

#[test]
fn largest_distances_and_their_p_agree_with_scipy() {
    #[derive(Deserialize)]
    struct Expected {
        statistic: f64,
        place: Option<f64>,
        p: f64,
    }
    for case in cases::<Case<Expected>>(include_str!("../../oracle/kolmogorov_smirnov.json")) {
        let (reference, current) = case.samples();
        let found = kolmogorov_smirnov::test(&reference, &current);
        let expected = case.expected.as_ref().unwrap();
        agree(&case.name(), found.statistic, expected.statistic);
        agree(&case.name(), found.p, expected.p);
        if let Some(place) = expected.place {
            assert_eq!(found.place, place, "{}", case.name());
        }
    }
}

#[test]
fn the_law_of_kolmogorov_agrees_with_scipy() {
    #[derive(Debug, Deserialize)]
    struct Case {
        n: u64,
        distance: f64,
        tail: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/kolmogorov.json")) {
        check(
            &case,
            kolmogorov::upper_tail(case.n, case.distance),
            case.tail,
            SAME * case.tail + 1e-300,
        );
    }
}

#[test]
fn wasserstein_distances_agree_with_scipy() {
    #[derive(Deserialize)]
    struct Expected {
        distance: f64,
        normed: f64,
    }
    for case in cases::<Case<Expected>>(include_str!("../../oracle/wasserstein.json")) {
        let (reference, current) = case.samples();
        let found = wasserstein::distance(&reference, &current).unwrap();
        let expected = case.expected.as_ref().unwrap();
        agree(&case.name(), found.distance, expected.distance);
        agree(&case.name(), found.normed, expected.normed);
    }
}

#[test]
fn energy_distances_agree_with_scipy() {
    #[derive(Deserialize)]
    struct Expected {
        distance: f64,
    }
    for case in cases::<Case<Expected>>(include_str!("../../oracle/energy_distance.json")) {
        let (reference, current) = case.samples();
        let found = energy_distance::distance(&reference, &current).unwrap();
        agree(&case.name(), found, case.expected.as_ref().unwrap().distance);
    }
}

#[derive(Deserialize)]
struct StatisticAndP {
    statistic: f64,
    p: Option<f64>,
}

#[test]
fn mean_squared_distances_agree_with_scipy() {
    for case in cases::<Case<StatisticAndP>>(include_str!("../../oracle/cramer_von_mises.json")) {
        let (reference, current) = case.samples();
        match (cramer_von_mises::test(&reference, &current), &case.expected) {
            (Ok(found), Some(expected)) => {
                agree(&case.name(), found.statistic, expected.statistic);
                let p = expected.p.unwrap();
                let tolerance = if found.is_exact || p > TAIL { SAME * p } else { SCIPY_STOPS };
                check(case.name(), found.p, p, tolerance);
            }
            (Err(_), None) => {}
            (found, _) => panic!("{}: {found:?}", case.name()),
        }
    }
}

#[test]
fn distances_with_weight_in_the_tails_agree_with_scipy() {
    for case in cases::<Case<StatisticAndP>>(include_str!("../../oracle/anderson_darling.json")) {
        let (reference, current) = case.samples();
        match (anderson_darling::test(&reference, &current), &case.expected) {
            (Ok(found), Some(expected)) => {
                check(
                    case.name(),
                    found.statistic,
                    expected.statistic,
                    SAME * expected.statistic.abs().max(1.0),
                );
                agree(&case.name(), found.p.clipped(), expected.p.unwrap());
            }
            (Err(_), None) => {}
            (found, _) => panic!("{}: {found:?}", case.name()),
        }
    }
}

#[test]
fn rank_sums_agree_with_scipy() {
    for case in cases::<Case<StatisticAndP>>(include_str!("../../oracle/mann_whitney.json")) {
        let (reference, current) = case.samples();
        let found = mann_whitney::test(&reference, &current);
        let expected = case.expected.as_ref().unwrap();
        agree(&case.name(), found.statistic, expected.statistic);
        agree(&case.name(), found.p, expected.p.unwrap());
    }
}
