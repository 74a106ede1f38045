//! Measures of the positive class's scores: how well they rank, and how well they are probabilities.

use driftlead_store::bucket;
use driftlead_store::clickhouse::query::quality::{LabelledScores, LabelledWindow};
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::{MIN_N, Z};
use crate::detect::frame::{Estimate, Frame};
use crate::seed::seed_of;
use crate::stats::bootstrap::{self, Resampling};
use crate::stats::scored::{ScoreCount, Scored};
use crate::stats::{Bounds, Undefined, calibration, ranking};

/// Resamples of the bounds of average precision.
const RESAMPLES: u32 = 1_000;
/// The one-sided error of each of them.
const TAIL: f64 = 0.01;

/// The signals of a window in which there are scores of the positive class; none where there are none.
pub(super) fn signals_of_window(frame: &Frame<'_>, window: &LabelledWindow) -> Vec<Signal> {
    let n = window.scores.iter().map(|scores| scores.n).sum();
    if n == 0 {
        return Vec::new();
    }
    if n < MIN_N {
        let reason = format!("{n} labelled scores, fewer than {MIN_N}");
        let names = [names::ROC_AUC, names::PR_AUC, names::BRIER, names::LOG_LOSS, names::ECE];
        return names
            .map(|name| frame.insufficient(name, "", n, "insufficient", reason.clone()))
            .into();
    }
    let scored = scored(&window.scores);
    let scored = scored.as_ref().map_err(Clone::clone);
    let seed = seed_of(&[frame.model, frame.version, frame.environment, &frame.window.end.to_string()]);
    let losses = &window.losses;
    let loss = |sums: (f64, f64)| match losses.no_probabilities {
        0 => calibration::mean_loss(losses.n, sums, Z).map(|(value, bounds)| Estimate::bounded(value, bounds)),
        some => Err(Undefined::because(format!(
            "{some} scores lie outside of 0 to 1: they are no probabilities"
        ))),
    };
    let roc_auc = scored.clone().and_then(|scored| ranking::roc_auc(scored, Z));
    let measures = [
        (names::ROC_AUC, roc_auc.map(|auc| Estimate::bounded(auc.value, auc.bounds))),
        (names::PR_AUC, scored.clone().and_then(|scored| average_precision(scored, seed))),
        (names::BRIER, loss(losses.squared)),
        (names::LOG_LOSS, loss(losses.logarithmic)),
        (
            names::ECE,
            scored.and_then(calibration::expected_calibration_error).map(Estimate::exact),
        ),
    ];
    let signals = measures.into_iter().map(|(name, measure)| match measure {
        Ok(estimate) => frame.signal(name, "", estimate, n, json!({})),
        Err(undefined) => frame.insufficient(name, "", n, "insufficient", undefined.to_string()),
    });
    signals.collect()
}

/// Each score is the middle of its bucket.
fn scored(scores: &[LabelledScores]) -> Result<Scored, Undefined> {
    Scored::of_counts(scores.iter().map(|scores| ScoreCount {
        score: bucket::middle(scores.key),
        positives: if scores.is_positive { scores.n } else { 0 },
        negatives: if scores.is_positive { 0 } else { scores.n },
    }))
}

fn average_precision(scored: &Scored, seed: u64) -> Result<Estimate, Undefined> {
    let value = ranking::average_precision(scored)?;
    let counts: Vec<u64> = scored
        .counts()
        .iter()
        .flat_map(|count| [count.positives, count.negatives])
        .collect();
    let of = |counts: &[u64]| {
        let pairs = scored.counts().iter().zip(counts.chunks_exact(2));
        let resampled = pairs.map(|(count, drawn)| ScoreCount {
            score: count.score,
            positives: drawn[0],
            negatives: drawn[1],
        });
        ranking::average_precision(&Scored::of_counts(resampled)?)
    };
    let resampling = Resampling {
        resamples: RESAMPLES,
        tail: TAIL,
        seed,
    };
    // Where positives are so few that a resample has none, nothing sure can be said.
    let bounds = bootstrap::percentile(&counts, of, resampling).unwrap_or(Bounds { lower: 0.0, upper: 1.0 });
    Ok(Estimate::bounded(value, bounds))
}

#[cfg(test)]
mod tests {
    use driftlead_store::clickhouse::query::quality::Losses;
    use driftlead_store::records::SignalState;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    /// Scores with how many of them are positive, and how many not.
    fn window(scores: &[(f64, u64, u64)]) -> LabelledWindow {
        let mut window = LabelledWindow::default();
        for &(score, positives, negatives) in scores {
            for (is_positive, n) in [(true, positives), (false, negatives)] {
                let key = bucket::key_of(score).unwrap();
                window.scores.push(LabelledScores {
                    key,
                    is_decided: score >= 0.5,
                    is_positive,
                    n,
                });
                if !(0.0..=1.0).contains(&score) {
                    window.losses.no_probabilities += n;
                    continue;
                }
                let squared = (score - f64::from(u8::from(is_positive))).powi(2);
                let sums = &mut window.losses;
                sums.n += n;
                sums.squared.0 += squared * n as f64;
                sums.squared.1 += squared * squared * n as f64;
            }
        }
        window
    }

    fn find(signals: &[Signal], name: &str) -> Signal {
        signals.iter().find(|signal| signal.name == name).unwrap().clone()
    }

    #[test]
    fn scores_are_ranked_and_compared_with_the_truth() {
        let window = window(&[(0.25, 10, 90), (0.75, 60, 40)]);
        let signals = signals_of_window(&FRAME, &window);
        // 0.5 · (10 · 90 + 60 · 40) ties and 60 · 90 pairs in order, of 70 · 130.
        let auc = find(&signals, names::ROC_AUC);
        assert!((auc.value.unwrap() - (0.5 * 3_300.0 + 5_400.0) / 9_100.0).abs() < 1e-12);
        assert!(auc.lower < auc.value && auc.value < auc.upper && auc.n == 200);
        // 0.6 up to a recall of 6/7, then 0.35.
        let precision = find(&signals, names::PR_AUC);
        assert!((precision.value.unwrap() - (0.6 * 6.0 + 0.35) / 7.0).abs() < 1e-12);
        assert!(precision.lower < precision.value && precision.value < precision.upper);
        let brier = find(&signals, names::BRIER);
        let expected = (10.0 * 0.5625 + 90.0 * 0.0625 + 60.0 * 0.0625 + 40.0 * 0.5625) / 200.0;
        assert!((brier.value.unwrap() - expected).abs() < 1e-12 && brier.lower < brier.value);
        // Shares of 0.1 and 0.6 against scores of 0.25 and 0.75, which are the middles of their buckets.
        let error = find(&signals, names::ECE).value.unwrap();
        assert!((error - 0.15).abs() < 0.005, "{error}");
    }

    #[test]
    fn scores_that_are_no_probabilities_rank_and_have_no_loss() {
        let signals = signals_of_window(&FRAME, &window(&[(-2.0, 5, 50), (3.0, 50, 5)]));
        assert!(find(&signals, names::ROC_AUC).value.unwrap() > 0.9);
        for name in [names::BRIER, names::LOG_LOSS, names::ECE] {
            assert_eq!(find(&signals, name).state, SignalState::Insufficient, "{name}");
        }
        assert!(signals_of_window(&FRAME, &LabelledWindow::default()).is_empty());
        let few = signals_of_window(&FRAME, &window(&[(0.5, 9, 9)]));
        assert!(few.iter().all(|signal| signal.state == SignalState::Insufficient && signal.n == 18));
        let one_class = signals_of_window(&FRAME, &window(&[(0.5, 0, 99)]));
        assert_eq!(find(&one_class, names::ROC_AUC).details["reason"], "no label is positive");
        assert_eq!(Losses::default().n, 0);
    }
}
