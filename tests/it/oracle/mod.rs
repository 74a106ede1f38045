//! Statistics agree with the libraries that their docs name. Expected values are what SciPy, scikit-learn and
//! statsmodels answered, kept in `tests/oracle` with the script that asked them.

mod binned;
mod labels;
mod quality;
mod streams;
mod two_samples;

use std::collections::BTreeMap;

use driftlead_analyzer::control::mcnemar::McNemar;
use driftlead_analyzer::control::metrics::{self, Average, Classes};
use driftlead_analyzer::stats::classification::{Confusion, Measure};
use driftlead_analyzer::stats::miettinen_nurminen::{self, Share};
use driftlead_analyzer::stats::{Undefined, benjamini_hochberg, hypergeometric, normal, poisson, ratio_of_shares, wilson};
use driftlead_store::patterns::{Miner, MinerLimits};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What one file holds beside the names and versions of what it is from.
#[derive(Deserialize)]
struct Expected<T> {
    cases: Vec<T>,
}

/// Reads one file's cases.
fn cases<T: DeserializeOwned>(json: &str) -> Vec<T> {
    let expected: Expected<T> = serde_json::from_str(json).unwrap();
    assert!(!expected.cases.is_empty(), "there is nothing to agree with");
    expected.cases
}

#[track_caller]
fn check(what: impl std::fmt::Debug, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what:?}: {found} instead of {expected}, off by {:e}",
        found - expected
    );
}

/// Patterns are the clusters of drain3, up to their names: adjusted Rand index (Hubert and Arabie 1985).
#[test]
fn patterns_agree_with_drain3() {
    let mut miner = Miner::new(MinerLimits::default());
    let (mut ours, mut theirs, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for (message, cluster) in cases::<(String, u64)>(include_str!("../../oracle/patterns.json")) {
        let id = miner.take(&message).id().0;
        ours.push((id, 0));
        theirs.push((0, cluster));
        both.push((id, cluster));
    }
    let n = ours.len() as f64;
    let (ours, theirs, both) = (equal_pairs(&ours), equal_pairs(&theirs), equal_pairs(&both));
    let by_chance = ours * theirs / (n * (n - 1.0) / 2.0);
    let index = (both - by_chance) / ((ours + theirs) / 2.0 - by_chance);
    println!("{n} messages, {} patterns, adjusted Rand index {index:.4}", miner.len());
    assert!(index >= 0.95, "adjusted Rand index {index}");
}

/// How many pairs are of one kind.
fn equal_pairs(kinds: &[(u64, u64)]) -> f64 {
    let mut counts: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    for kind in kinds {
        *counts.entry(*kind).or_default() += 1.0;
    }
    counts.values().map(|n| n * (n - 1.0) / 2.0).sum()
}

#[test]
fn normal_tails_agree_with_scipy() {
    #[derive(Debug, Deserialize)]
    struct Case {
        tail: f64,
        quantile: Option<f64>,
        z: f64,
        tail_of_z: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/normal.json")) {
        check(&case, normal::from_upper_tail(case.tail), case.z, 1e-9);
        check(&case, normal::upper_tail(case.z) / case.tail_of_z, 1.0, 1e-9);
        if let Some(quantile) = case.quantile {
            check(&case, normal::from_upper_tail(case.tail), quantile, 1e-9);
        }
    }
}

#[test]
fn wilson_bounds_agree_with_statsmodels() {
    #[derive(Debug, Deserialize)]
    struct Case {
        successes: u64,
        n: u64,
        tail: f64,
        lower: f64,
        upper: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/wilson.json")) {
        let bounds = wilson::bounds(case.successes as f64, case.n as f64, normal::from_upper_tail(case.tail));
        check(&case, bounds.lower, case.lower, 1e-12);
        check(&case, bounds.upper, case.upper, 1e-12);
    }
}

/// The bound is where SciPy's root finder sees the statistic of the paper's definition at the quantile.
#[test]
fn score_bounds_of_a_difference_agree_with_their_definition_and_statsmodels() {
    #[derive(Debug, Deserialize)]
    struct Case {
        current: (f64, f64),
        reference: (f64, f64),
        tail: f64,
        lower: f64,
        p: f64,
    }
    let share = |(successes, n)| Share { successes, n };
    for case in cases::<Case>(include_str!("../../oracle/miettinen_nurminen.json")) {
        let (current, reference) = (share(case.current), share(case.reference));
        let lower = miettinen_nurminen::lower(current, reference, normal::from_upper_tail(case.tail));
        check(&case, lower, case.lower, 1e-8);
        check(&case, miettinen_nurminen::p_value(current, reference), case.p, 1e-9 * case.p);
    }
}

#[test]
fn score_bounds_of_a_ratio_agree_with_statsmodels() {
    #[derive(Debug, Deserialize)]
    struct Case {
        current: (f64, f64),
        reference: (f64, f64),
        tail: f64,
        lower: f64,
        upper: f64,
    }
    let share = |(successes, n)| Share { successes, n };
    for case in cases::<Case>(include_str!("../../oracle/ratio_of_shares.json")) {
        let z = normal::from_upper_tail(case.tail);
        let bounds = ratio_of_shares::bounds(share(case.current), share(case.reference), z).unwrap();
        check(&case, bounds.lower, case.lower, 1e-9 * case.lower);
        check(&case, bounds.upper, case.upper, 1e-9 * case.upper);
    }
}

#[test]
fn mcnemar_agrees_with_the_binomial_test_of_scipy() {
    #[derive(Debug, Deserialize)]
    struct Case {
        lost: u64,
        gained: u64,
        p: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/mcnemar.json")) {
        check(&case, McNemar::test(case.lost, case.gained).p, case.p, 1e-9 * case.p);
    }
}

#[test]
fn adjusted_p_values_agree_with_scipy() {
    #[derive(Debug, Deserialize)]
    struct Case {
        p: Vec<f64>,
        adjusted: Vec<f64>,
    }
    for case in cases::<Case>(include_str!("../../oracle/benjamini_hochberg.json")) {
        let found = benjamini_hochberg::adjust(&case.p);
        assert_eq!(found.len(), case.adjusted.len());
        for (&found, &expected) in found.iter().zip(&case.adjusted) {
            check(&case, found, expected, 1e-14);
        }
    }
}

#[test]
fn probabilities_of_draws_agree_with_scipy() {
    #[derive(Debug, Deserialize)]
    struct Case {
        population: u64,
        marked: u64,
        draws: u64,
        drawn: u64,
        log_probability: f64,
    }
    // The logarithms of factorials reach 8e7, whose last bit is 1e-8.
    for case in cases::<Case>(include_str!("../../oracle/hypergeometric.json")) {
        let found = hypergeometric::log_probability(case.population, case.marked, case.draws, case.drawn);
        check(&case, found, case.log_probability, 1e-6);
    }
}

#[test]
fn rates_are_compared_as_scipy_compares_them() {
    #[derive(Debug, Deserialize)]
    struct Case {
        now: (u64, f64),
        before: (u64, f64),
        p: f64,
    }
    let rate = |(events, exposure)| poisson::Rate { events, exposure };
    for case in cases::<Case>(include_str!("../../oracle/poisson.json")) {
        let found = poisson::more_often_p(rate(case.now), rate(case.before));
        // Logarithms of factorials of a million have their last bit at 1e-9.
        check(&case, found / case.p, 1.0, 1e-7);
    }
}

#[test]
fn quantiles_agree_with_numpy() {
    #[derive(Debug, Deserialize)]
    struct Case {
        sorted: Vec<f64>,
        level: f64,
        quantile: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/quantile.json")) {
        check(&case, metrics::quantile(&case.sorted, case.level).unwrap(), case.quantile, 1e-12);
    }
}

/// Predicted class, true class, and how many examples.
type Pairs = Vec<(String, String, u64)>;

/// The scores of one sample; `None` where scikit-learn calls one ill-defined.
#[derive(Debug, Deserialize)]
struct Scores {
    pairs: Pairs,
    accuracy: f64,
    micro: OfClass,
    macro_f1_of_true_classes: f64,
    micro_f1_of_true_classes: f64,
    classes: BTreeMap<String, OfClass>,
}

#[derive(Debug, Deserialize)]
struct OfClass {
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

/// Deviations of the bounds, which these tests do not look at.
const Z: f64 = 2.0;

#[test]
fn scores_of_late_labels_agree_with_scikit_learn() {
    for case in cases::<Scores>(include_str!("../../oracle/classification.json")) {
        let mut confusion = Confusion::default();
        case.pairs
            .iter()
            .for_each(|(predicted, truth, n)| confusion.add(predicted, truth, *n));
        let accuracy = confusion.accuracy(Z).unwrap().value;
        check("accuracy", accuracy, case.accuracy, 1e-12);
        // One label an example: micro scores are the accuracy, as signals without a positive class have it.
        for micro in [case.micro.precision, case.micro.recall, case.micro.f1] {
            check("micro", accuracy, micro.unwrap(), 1e-12);
        }
        for (class, expected) in &case.classes {
            let counts = confusion.of_class(class);
            agree((class, "precision"), counts.precision(Z), expected.precision);
            agree((class, "recall"), counts.recall(Z), expected.recall);
            agree((class, "f1"), counts.f1(Z), expected.f1);
        }
        match confusion.macro_f1(Z) {
            Ok(macro_f1) => check("macro", macro_f1.value, case.macro_f1_of_true_classes, 1e-12),
            Err(_) => assert!(has_rare_class(&case.pairs), "{:?}", case.pairs),
        }
    }
}

/// What scikit-learn calls ill-defined has no value and says why.
#[track_caller]
fn agree(what: (&str, &str), found: Result<Measure, Undefined>, expected: Option<f64>) {
    match (found, expected) {
        (Ok(found), Some(expected)) => check(what, found.value, expected, 1e-12),
        (Err(_), None) => {}
        (found, expected) => panic!("{what:?}: {found:?} instead of {expected:?}"),
    }
}

/// Whether a class that occurs has fewer than 5 true examples, so that macro F1 is not given.
fn has_rare_class(pairs: &Pairs) -> bool {
    let mut examples: BTreeMap<&str, u64> = BTreeMap::new();
    for (predicted, truth, n) in pairs {
        *examples.entry(truth).or_default() += n;
        examples.entry(predicted).or_default();
    }
    examples.values().any(|&n| n < 5)
}

#[test]
fn scores_of_control_examples_agree_with_scikit_learn() {
    let mut averages = Vec::new();
    for case in cases::<Scores>(include_str!("../../oracle/classification.json")) {
        let examples: Vec<(&str, &str)> = case
            .pairs
            .iter()
            .flat_map(|(predicted, truth, n)| std::iter::repeat_n((predicted.as_str(), truth.as_str()), *n as usize))
            .collect();
        let f1 = |positive: Option<&str>| {
            let classes = Classes::of(examples.iter().map(|(_, truth)| *truth), positive)?;
            let pairs = examples.iter().filter_map(|(predicted, truth)| classes.pair(truth, predicted));
            Some((classes.average(), classes.f1(pairs)?))
        };
        let (average, over_classes) = f1(None).unwrap();
        let expected = match average {
            Average::Macro => case.macro_f1_of_true_classes,
            _ => case.micro_f1_of_true_classes,
        };
        check(average, over_classes, expected, 1e-12);
        averages.push(average);
        for (class, scores) in &case.classes {
            let is_expected_somewhere = case.pairs.iter().any(|(_, truth, _)| truth == class);
            match f1(Some(class)) {
                Some((_, found)) => check(class, found, scores.f1.unwrap(), 1e-12),
                None => assert!(!is_expected_somewhere, "{class} has no F1"),
            }
        }
    }
    assert!(averages.contains(&Average::Macro) && averages.contains(&Average::Micro));
}
