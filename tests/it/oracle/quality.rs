//! Quality, calibration and estimates without labels agree with scikit-learn, SciPy, statsmodels and NannyML.

use driftlead_analyzer::stats::bootstrap::{self, Resampling};
use driftlead_analyzer::stats::classification::{Measure, OneAgainstRest};
use driftlead_analyzer::stats::estimated_error::{ErrorModel, Observed};
use driftlead_analyzer::stats::estimated_quality::{BinaryEstimator, Calibrator, Decided, MulticlassEstimator, Prediction};
use driftlead_analyzer::stats::isotonic::{Isotonic, Point};
use driftlead_analyzer::stats::regression::Sums;
use driftlead_analyzer::stats::scored::{ScoreCount, Scored};
use driftlead_analyzer::stats::{Bounds, Undefined, calibration, normal, ranking};
use driftlead_store::bucket;
use serde::Deserialize;

use super::{cases, check};

/// Relative, where both sides do the same.
const SAME: f64 = 1e-9;
/// The one-sided error of the bounds in the files.
const TAIL: f64 = 0.025;

fn z() -> f64 {
    normal::from_upper_tail(TAIL)
}

#[track_caller]
fn check_same(what: impl std::fmt::Debug, found: f64, expected: f64) {
    check(what, found, expected, SAME * expected.abs().max(1e-3));
}

/// What the library gives no value for has none here.
#[track_caller]
fn agree(what: impl std::fmt::Debug, found: &Result<f64, Undefined>, expected: Option<f64>) {
    match (found, expected) {
        (Ok(found), Some(expected)) => check_same(what, *found, expected),
        (Err(_), None) => {}
        (found, expected) => panic!("{what:?}: {found:?} instead of {expected:?}"),
    }
}

#[track_caller]
fn check_bounds(what: impl std::fmt::Debug, found: Bounds, expected: (f64, f64)) {
    check_same((&what, "lower"), found.lower, expected.0);
    check_same((&what, "upper"), found.upper, expected.1);
}

/// (score, positives, negatives).
type Counts = Vec<(f64, u64, u64)>;

fn scored(counts: &Counts) -> Scored {
    Scored::of_counts(counts.iter().map(|&(score, positives, negatives)| ScoreCount {
        score,
        positives,
        negatives,
    }))
    .unwrap()
}

/// The same scores as a profile keeps them.
fn of_buckets(counts: &Counts) -> Scored {
    let buckets: Vec<(i32, u64, u64)> = counts
        .iter()
        .map(|&(score, positives, negatives)| (bucket::key_of(score).unwrap(), positives, negatives))
        .collect();
    Scored::of_buckets(&buckets).unwrap()
}

#[derive(Debug, Deserialize)]
struct ScoredCase {
    counts: Counts,
    roc_auc: Option<f64>,
    roc_auc_bounds: Option<(f64, f64)>,
    average_precision: Option<f64>,
    brier: Option<f64>,
    log_loss: Option<f64>,
    ece: Option<f64>,
    bins: Option<Vec<(u64, f64, f64)>>,
}

fn scored_cases() -> Vec<ScoredCase> {
    cases(include_str!("../../oracle/scored.json"))
}

#[test]
fn ranking_agrees_with_scikit_learn_and_statsmodels() {
    for case in scored_cases() {
        let scored = scored(&case.counts);
        let auc = ranking::roc_auc(&scored, z());
        agree("roc_auc", &auc.clone().map(|auc| auc.value), case.roc_auc);
        if let (Ok(auc), Some(expected)) = (auc, case.roc_auc_bounds) {
            check_bounds(&case.counts[..case.counts.len().min(12)], auc.bounds, expected);
        }
        agree("average_precision", &ranking::average_precision(&scored), case.average_precision);
    }
}

#[test]
fn calibration_agrees_with_scikit_learn() {
    for case in scored_cases() {
        let scored = scored(&case.counts);
        agree("brier", &calibration::brier(&scored), case.brier);
        agree("log_loss", &calibration::log_loss(&scored), case.log_loss);
        if let (Some(ece), Some(expected)) = (case.ece, case.bins) {
            agree("ece", &calibration::expected_calibration_error(&scored), Some(ece));
            let bins = calibration::reliability_bins(&scored, calibration::BINS, z()).unwrap();
            assert_eq!(
                bins.iter().map(|bin| bin.n).collect::<Vec<_>>(),
                expected.iter().map(|bin| bin.0).collect::<Vec<_>>()
            );
            for (bin, (_, mean_score, positive_share)) in bins.iter().zip(expected) {
                check_same(bin, bin.mean_score, mean_score);
                check_same(bin, bin.positive_share, positive_share);
            }
        }
    }
}

#[test]
fn roc_auc_of_many_classes_agrees_with_scikit_learn() {
    #[derive(Debug, Deserialize)]
    struct Case {
        rows: Vec<(Vec<f64>, usize)>,
        roc_auc: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/one_against_rest.json")) {
        let of_class = |class: usize| Scored::of_rows(case.rows.iter().map(|(scores, truth)| (scores[class], *truth == class))).unwrap();
        let classes: Vec<Scored> = (0..case.rows[0].0.len()).map(of_class).collect();
        let auc = ranking::one_against_rest_roc_auc(&classes, z()).unwrap();
        check_same("macro", auc.value, case.roc_auc);
        assert!(auc.bounds.lower < auc.value && auc.value < auc.bounds.upper);
    }
}

/// Draws between 0 and 1, as tests/oracle/quality.py makes them.
fn uniforms(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    }
}

/// Pairs of (truth, prediction), or how to draw them.
#[derive(Debug, Deserialize)]
struct RegressionCase {
    pairs: Option<Vec<(f64, f64)>>,
    drawn: Option<usize>,
    seed: Option<u64>,
    shift: Option<f64>,
    mean_absolute_error: f64,
    bounds: Option<(f64, f64)>,
    root_mean_squared_error: f64,
    mean_error: f64,
    r2: Option<f64>,
}

impl RegressionCase {
    /// As tests/oracle/quality.py draws them.
    fn pairs(&self) -> Vec<(f64, f64)> {
        if let Some(pairs) = &self.pairs {
            return pairs.clone();
        }
        let (mut uniform, shift) = (uniforms(self.seed.unwrap()), self.shift.unwrap());
        let mut one = || {
            let truth = uniform() + shift;
            (truth, truth + (uniform() - 0.375))
        };
        (0..self.drawn.unwrap()).map(|_| one()).collect()
    }
}

#[test]
fn errors_of_a_regression_agree_with_scikit_learn_in_parts_that_are_merged() {
    for case in cases::<RegressionCase>(include_str!("../../oracle/regression.json")) {
        let pairs = case.pairs();
        let mut whole = Sums::default();
        for part in pairs.chunks(pairs.len().div_ceil(7)) {
            let mut sums = Sums::default();
            part.iter().for_each(|&(truth, prediction)| sums.add(truth, prediction, 1));
            whole.merge(&sums);
        }
        let what = (pairs.len(), pairs[0]);
        check_same((what, "mae"), whole.mean_absolute_error().unwrap(), case.mean_absolute_error);
        check_same(
            (what, "rmse"),
            whole.root_mean_squared_error().unwrap(),
            case.root_mean_squared_error,
        );
        check_same((what, "mean error"), whole.mean_error().unwrap(), case.mean_error);
        agree((what, "r2"), &whole.r2(), case.r2);
        match (whole.mean_absolute_error_bounds(z()), case.bounds) {
            (Ok(found), Some(expected)) => check_bounds(what, found, expected),
            (found, expected) => assert!(found.is_err() && expected.is_none(), "{what:?}: {found:?} {expected:?}"),
        }
    }
}

#[test]
fn isotonic_regression_agrees_with_scikit_learn() {
    #[derive(Debug, Deserialize)]
    struct Case {
        points: Vec<(f64, f64, f64)>,
        at: Vec<(f64, f64)>,
    }
    for case in cases::<Case>(include_str!("../../oracle/isotonic.json")) {
        let fitted = Isotonic::fit(case.points.iter().map(|&(x, y, weight)| Point { x, y, weight })).unwrap();
        for (x, expected) in case.at {
            check_same((case.points.len(), x), fitted.at(x), expected);
        }
    }
}

/// How far a bound of ours may be from SciPy's, in deviations of the statistic: with 4,000 resamples each bound varies by 0.04
/// of them on either side, and this is four deviations of the difference.
const OF_RESAMPLING: f64 = 0.25;

#[test]
fn bootstrap_intervals_agree_with_scipy_within_their_variation() {
    #[derive(Debug, Deserialize)]
    struct Case {
        statistic: String,
        cells: Vec<Vec<f64>>,
        percentile: (f64, f64),
        #[serde(rename = "BCa")]
        bias_corrected: (f64, f64),
        standard_error: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/bootstrap.json")) {
        let is_ranking = case.statistic == "average_precision";
        // Cells of labelled scores are two each.
        let values: Vec<f64> = case
            .cells
            .iter()
            .flat_map(|cell| std::iter::repeat_n(cell[0], cell.len() - 1))
            .collect();
        let counts: Vec<u64> = case
            .cells
            .iter()
            .flat_map(|cell| cell[1..].iter().map(|&count| count as u64))
            .collect();
        let statistic = |counts: &[u64]| match case.statistic.as_str() {
            "average_precision" => {
                let pairs = values.chunks(2).zip(counts.chunks(2));
                ranking::average_precision(&Scored::of_counts(pairs.map(|(values, counts)| ScoreCount {
                    score: values[0],
                    positives: counts[0],
                    negatives: counts[1],
                }))?)
            }
            statistic => {
                let n = counts.iter().sum::<u64>() as f64;
                let moment = |centre: f64, power| {
                    let parts = values
                        .iter()
                        .zip(counts)
                        .map(|(value, count)| (value - centre).powi(power) * *count as f64);
                    parts.sum::<f64>() / n
                };
                let mean = moment(0.0, 1);
                Ok(if statistic == "mean" { mean } else { moment(mean, 2).sqrt() })
            }
        };
        let resampling = Resampling {
            resamples: if is_ranking { 4_000 } else { 20_000 },
            tail: TAIL,
            seed: 20,
        };
        let tolerance = OF_RESAMPLING * case.standard_error;
        for (found, expected) in [
            (bootstrap::percentile(&counts, statistic, resampling).unwrap(), case.percentile),
            (
                bootstrap::bias_corrected(&counts, statistic, resampling).unwrap(),
                case.bias_corrected,
            ),
        ] {
            check((&case.statistic, "lower"), found.lower, expected.0, tolerance);
            check((&case.statistic, "upper"), found.upper, expected.1, tolerance);
        }
    }
}

/// How far an estimate of NannyML's may be off where the calibration is the same: it rounds sums of probabilities to five
/// digits.
const SAME_CALIBRATION: f64 = 1e-8;
/// NannyML's standard deviations around an estimate.
const NANNYML_Z: f64 = 3.0;

/// An estimate without labels.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Estimated {
    value: f64,
    error: f64,
}

#[derive(Debug, Deserialize)]
struct Measures {
    accuracy: Estimated,
    precision: Estimated,
    recall: Estimated,
    f1: Estimated,
    roc_auc: Estimated,
}

/// Scores are multiples of a thousandth; those of at least one half were decided positive.
#[derive(Deserialize)]
struct CensusCase {
    positives: Vec<u64>,
    negatives: Vec<u64>,
    needs_calibration: bool,
    chunks: Vec<CensusChunk>,
}

#[derive(Deserialize)]
struct CensusChunk {
    counts: Vec<u64>,
    #[serde(flatten)]
    measures: Measures,
}

fn census_cases() -> Vec<CensusCase> {
    cases(include_str!("../../oracle/estimated_quality.json"))
}

const MILLI: usize = 1_000;

impl CensusCase {
    fn reference(&self) -> Counts {
        let both = self.positives.iter().zip(&self.negatives).enumerate();
        both.map(|(score, (&positives, &negatives))| (score as f64 / MILLI as f64, positives, negatives))
            .collect()
    }

    fn decisions(&self) -> OneAgainstRest {
        let (below, above) = (..MILLI / 2, MILLI / 2..);
        OneAgainstRest {
            true_positives: self.positives[above.clone()].iter().sum(),
            false_positives: self.negatives[above].iter().sum(),
            false_negatives: self.positives[below].iter().sum(),
            true_negatives: self.negatives[below].iter().sum(),
        }
    }
}

impl CensusChunk {
    fn decided(&self) -> Counts {
        let decide = |(score, &n): (usize, &u64)| {
            let (positives, negatives) = if score >= MILLI / 2 { (n, 0) } else { (0, n) };
            (score as f64 / MILLI as f64, positives, negatives)
        };
        self.counts.iter().enumerate().map(decide).collect()
    }
}

/// Whether to calibrate is judged by random splits, here by others than NannyML's. On the large references nearly every seed
/// decides as it does; on the small one calibration helps so little that two of three decide otherwise, and this is one that
/// decides alike, so that what follows from the decision can be compared.
const SEED: u64 = 42;

#[test]
fn estimates_of_the_census_agree_with_nannyml() {
    for case in census_cases() {
        let estimator = BinaryEstimator::learn(&scored(&case.reference()), case.decisions(), SEED).unwrap();
        assert_eq!(matches!(estimator.calibrator(), Calibrator::Isotonic(_)), case.needs_calibration);
        for (at, chunk) in case.chunks.iter().enumerate() {
            let found = estimator.estimate(&Decided(scored(&chunk.decided())), NANNYML_Z).unwrap();
            let expected = &chunk.measures;
            for (name, found, expected, has_the_same_error) in [
                ("accuracy", found.accuracy, expected.accuracy, true),
                ("precision", found.precision, expected.precision, true),
                ("recall", found.recall, expected.recall, true),
                ("f1", found.f1, expected.f1, true),
                ("roc_auc", found.roc_auc, expected.roc_auc, false),
            ] {
                let found = found.unwrap();
                check((name, at), found.value, expected.value, SAME_CALIBRATION);
                let upper = (expected.value + NANNYML_Z * expected.error).min(1.0);
                if has_the_same_error {
                    check((name, at, "upper"), found.bounds.upper, upper, SAME_CALIBRATION);
                } else {
                    assert!(found.bounds.upper >= upper - SAME_CALIBRATION, "{name}: {found:?} {expected:?}");
                }
            }
        }
    }
}

/// Where several inferences have one score of a class but other probabilities, NannyML's ROC-AUC depends on their order: it is
/// off by up to this from ours, which counts ties by half.
const ORDER_OF_TIES: f64 = 1e-5;

#[test]
fn estimates_of_three_classes_agree_with_nannyml() {
    /// Twentieths of each class, the decided class, in the reference the true class, how many.
    type Rows = Vec<Vec<u64>>;
    #[derive(Deserialize)]
    struct Case {
        reference: Rows,
        calibrated: Vec<bool>,
        chunks: Vec<Chunk>,
    }
    #[derive(Deserialize)]
    struct Chunk {
        predictions: Rows,
        #[serde(flatten)]
        measures: Measures,
    }
    let prediction = |row: &[u64]| Prediction {
        probabilities: row[..3].iter().map(|&twentieths| twentieths as f64 / 20.0).collect(),
        decided: row[3] as usize,
        count: row[row.len() - 1],
    };
    for case in cases::<Case>(include_str!("../../oracle/estimated_quality_of_classes.json")) {
        let reference: Vec<(Prediction, usize)> = case.reference.iter().map(|row| (prediction(row), row[4] as usize)).collect();
        let estimator = MulticlassEstimator::learn(&reference, SEED).unwrap();
        let calibrated: Vec<bool> = estimator
            .calibrators()
            .map(|calibrator| matches!(calibrator, Calibrator::Isotonic(_)))
            .collect();
        assert_eq!(calibrated, case.calibrated);
        for chunk in case.chunks {
            let window: Vec<Prediction> = chunk.predictions.iter().map(|row| prediction(row)).collect();
            let found = estimator.estimate(&window, NANNYML_Z).unwrap();
            let expected = chunk.measures;
            let near = |name, found: Result<Measure, Undefined>, expected: Estimated, tolerance| {
                let found = found.unwrap();
                check(name, found.value, expected.value, tolerance);
                assert!(
                    found.bounds.upper >= (expected.value + NANNYML_Z * expected.error).min(1.0) - tolerance,
                    "{name}"
                );
            };
            near("accuracy", found.accuracy, expected.accuracy, SAME_CALIBRATION);
            near("precision", found.precision, expected.precision, SAME_CALIBRATION);
            near("recall", found.recall, expected.recall, SAME_CALIBRATION);
            near("f1", found.f1, expected.f1, SAME_CALIBRATION);
            near("roc_auc", found.roc_auc, expected.roc_auc, ORDER_OF_TIES);
        }
    }
}

/// How far buckets move measures of a model that is not sure of mistakes: pairs of one bucket are ties to what ranks; scores
/// are 0.4 % off to what compares them with labels; and where scores are rounded, all that lie on the edge of one of the ten
/// bins of a calibration error can fall into the next.
const BUCKETING: [(&str, f64); 5] = [
    ("roc_auc", 5e-4),
    ("average_precision", 2e-3),
    ("brier", 1e-4),
    ("log_loss", 2e-3),
    ("ece", 1e-2),
];

#[test]
fn buckets_move_measures_by_little() {
    let measure = |name: &str, scored: &Scored| match name {
        "roc_auc" => ranking::roc_auc(scored, z()).map(|auc| auc.value),
        "average_precision" => ranking::average_precision(scored),
        "brier" => calibration::brier(scored),
        "log_loss" => calibration::log_loss(scored),
        _ => calibration::expected_calibration_error(scored),
    };
    let cases = scored_cases();
    let of_many: Vec<&ScoredCase> = cases.iter().filter(|case| case.counts.len() >= 50).collect();
    assert!(of_many.len() >= 5);
    for case in of_many {
        for (name, tolerance) in BUCKETING {
            let exact = measure(name, &scored(&case.counts));
            let bucketed = measure(name, &of_buckets(&case.counts));
            match (exact, bucketed) {
                (Ok(exact), Ok(bucketed)) => check((name, case.counts.len()), bucketed, exact, tolerance),
                // Scores that are no probabilities are none in buckets either.
                (exact, bucketed) => assert!(exact.is_err() && bucketed.is_err(), "{name}: {exact:?} {bucketed:?}"),
            }
        }
    }
}

/// How far estimated errors may be from those of NannyML's boosted trees, as a share of them.
const OF_ANOTHER_MODEL: f64 = 0.03;

/// How to draw inferences.
#[derive(Deserialize)]
struct Drawn {
    n: usize,
    seed: u64,
    lean: f64,
}

impl Drawn {
    /// As tests/oracle/quality.py draws them.
    fn inferences(&self) -> Vec<Observed> {
        let mut uniform = uniforms(self.seed);
        let mut one = || {
            let mut feature = || {
                let (low, high, chosen) = (uniform(), uniform(), uniform());
                if chosen < self.lean { low.max(high) } else { low }
            };
            let (a, b) = (feature(), feature());
            Observed {
                at: vec![500.0 + 600.0 * a - 300.0 * b, a, b],
                error: (uniform() + uniform() - 1.0) * (50.0 + 400.0 * (a * b)),
                count: 1,
            }
        };
        (0..self.n).map(|_| one()).collect()
    }
}

#[test]
fn estimated_errors_are_near_those_of_nannyml() {
    #[derive(Deserialize)]
    struct Case {
        reference: Drawn,
        windows: Vec<Window>,
    }
    #[derive(Deserialize)]
    struct Window {
        #[serde(flatten)]
        drawn: Drawn,
        mae: OfError,
        rmse: OfError,
    }
    #[derive(Deserialize)]
    struct OfError {
        estimated: f64,
        realised: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/estimated_error.json")) {
        let model = ErrorModel::learn(&case.reference.inferences()).unwrap();
        for window in case.windows {
            let numbers: Vec<(Vec<f64>, u64)> = window.drawn.inferences().into_iter().map(|row| (row.at, row.count)).collect();
            let found = model.estimate(&numbers, NANNYML_Z).unwrap();
            assert!(found.bounds.lower <= window.mae.realised && window.mae.realised <= found.bounds.upper);
            check("mae", found.mean_absolute_error / window.mae.estimated, 1.0, OF_ANOTHER_MODEL);
            check("rmse", found.root_mean_squared_error / window.rmse.estimated, 1.0, OF_ANOTHER_MODEL);
        }
    }
}

/// How far buckets move an estimate of quality where both sides are calibrated: a fraction of its sampling error.
const BUCKETING_OF_ESTIMATES: f64 = 5e-4;
/// How far buckets move an estimate of errors, as a share of it: inferences fall into another leaf only at its edges.
const BUCKETING_OF_ERRORS: f64 = 5e-3;

#[test]
fn buckets_move_estimates_by_little() {
    // The small reference is left out: whether calibration helps there is so close that buckets tip it.
    for case in census_cases().into_iter().filter(|case| case.needs_calibration) {
        let exact = BinaryEstimator::learn(&scored(&case.reference()), case.decisions(), SEED).unwrap();
        let bucketed = BinaryEstimator::learn(&of_buckets(&case.reference()), case.decisions(), SEED).unwrap();
        for chunk in &case.chunks {
            let expected = exact.estimate(&Decided(scored(&chunk.decided())), z()).unwrap();
            let found = bucketed.estimate(&Decided(of_buckets(&chunk.decided())), z()).unwrap();
            for (name, found, expected) in [
                ("accuracy", found.accuracy, expected.accuracy),
                ("precision", found.precision, expected.precision),
                ("recall", found.recall, expected.recall),
                ("f1", found.f1, expected.f1),
                ("roc_auc", found.roc_auc, expected.roc_auc),
            ] {
                check(name, found.unwrap().value, expected.unwrap().value, BUCKETING_OF_ESTIMATES);
            }
        }
    }
    let in_bucket = |number: f64| bucket::middle(bucket::key_of(number).unwrap());
    let reference = Drawn {
        n: 20_000,
        seed: 1,
        lean: 0.0,
    }
    .inferences();
    let model = ErrorModel::learn(&reference).unwrap();
    let moved = reference.into_iter().map(|row| Observed {
        at: row.at.into_iter().map(in_bucket).collect(),
        ..row
    });
    let bucketed = ErrorModel::learn(&moved.collect::<Vec<_>>()).unwrap();
    let window = Drawn {
        n: 5_000,
        seed: 2,
        lean: 1.0,
    }
    .inferences();
    let exact: Vec<(Vec<f64>, u64)> = window.iter().map(|row| (row.at.clone(), 1)).collect();
    let moved: Vec<(Vec<f64>, u64)> = window
        .into_iter()
        .map(|row| (row.at.into_iter().map(in_bucket).collect(), 1))
        .collect();
    let expected = model.estimate(&exact, z()).unwrap().mean_absolute_error;
    let found = bucketed.estimate(&moved, z()).unwrap().mean_absolute_error;
    check("error", found / expected, 1.0, BUCKETING_OF_ERRORS);
}
