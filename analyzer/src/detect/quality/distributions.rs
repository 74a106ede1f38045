//! Measures of the scores of all classes, where the model declares no positive one: what they cost, and how well each tells its class
//! from the rest.

use std::collections::BTreeMap;

use driftlead_store::bucket;
use driftlead_store::clickhouse::query::quality::{ClassScores, LabelledWindow};
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::{MIN_N, Z};
use crate::detect::frame::{Estimate, Frame};
use crate::stats::scored::{ScoreCount, Scored};
use crate::stats::{Undefined, calibration, ranking};

/// Examples that each class has at least, as for F1.
const MIN_OF_A_CLASS: u64 = 5;

/// The signals of a window in which inferences have a score of every class; none where they have not. `scores` are those of each class of all
/// traffic; `None` for a segment, which is not ranked.
pub(super) fn signals_of_window(frame: &Frame<'_>, window: &LabelledWindow, scores: Option<Result<&[ClassScores], String>>) -> Vec<Signal> {
    let losses = &window.distributions;
    let n = losses.n;
    if n == 0 {
        return Vec::new();
    }
    let loss = |sums: (f64, f64)| calibration::mean_loss(n, sums, Z).map(|(value, bounds)| Estimate::bounded(value, bounds));
    let mut measures = vec![(names::BRIER, loss(losses.squared)), (names::LOG_LOSS, loss(losses.logarithmic))];
    measures.extend(scores.map(|scores| (names::ROC_AUC, scores.map_err(Undefined::because).and_then(one_against_rest))));
    let signals = measures.into_iter().map(|(name, measure)| match measure {
        _ if n < MIN_N => frame.insufficient(name, "", n, "insufficient", format!("{n} labelled scores, fewer than {MIN_N}")),
        Ok(estimate) => frame.signal(name, "", estimate, n, json!({ "of": "all_classes" })),
        Err(undefined) => frame.insufficient(name, "", n, "insufficient", undefined.to_string()),
    });
    signals.collect()
}

/// The mean over the classes of how well each one's score tells it from the rest.
fn one_against_rest(scores: &[ClassScores]) -> Result<Estimate, Undefined> {
    let mut of_class: BTreeMap<&str, Vec<ScoreCount>> = BTreeMap::new();
    for scores in scores {
        of_class.entry(&scores.class).or_default().push(ScoreCount {
            score: bucket::middle(scores.key),
            positives: if scores.is_true { scores.n } else { 0 },
            negatives: if scores.is_true { 0 } else { scores.n },
        });
    }
    let mut classes = Vec::with_capacity(of_class.len());
    for (class, counts) in of_class {
        let scored = Scored::of_counts(counts)?;
        if scored.positives() < MIN_OF_A_CLASS {
            let has = scored.positives();
            return Err(Undefined::because(format!(
                "class {class:?} has {has} examples: each takes {MIN_OF_A_CLASS}"
            )));
        }
        classes.push(scored);
    }
    let auc = ranking::one_against_rest_roc_auc(&classes, Z)?;
    Ok(Estimate::bounded(auc.value, auc.bounds))
}

#[cfg(test)]
mod tests {
    use driftlead_store::clickhouse::query::quality::Distributions;
    use driftlead_store::records::SignalState;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    fn scores(rows: &[(&str, f64, bool, u64)]) -> Vec<ClassScores> {
        rows.iter()
            .map(|&(class, score, is_true, n)| ClassScores {
                class: class.to_owned(),
                key: bucket::key_of(score).unwrap(),
                is_true,
                n,
            })
            .collect()
    }

    #[test]
    fn all_classes_are_ranked_and_cost() {
        let window = LabelledWindow {
            distributions: Distributions {
                n: 100,
                squared: (20.0, 8.0),
                logarithmic: (40.0, 30.0),
            },
            ..LabelledWindow::default()
        };
        // a is always told from the rest, b never: half of the pairs are ties.
        let all = scores(&[
            ("a", 0.9, true, 50),
            ("a", 0.1, false, 50),
            ("b", 0.5, true, 50),
            ("b", 0.5, false, 50),
        ]);
        let signals = signals_of_window(&FRAME, &window, Some(Ok(&all)));
        let values: Vec<(&str, f64)> = signals.iter().map(|signal| (signal.name.as_str(), signal.value.unwrap())).collect();
        assert_eq!(values, [(names::BRIER, 0.2), (names::LOG_LOSS, 0.4), (names::ROC_AUC, 0.75)]);
        assert!(
            signals
                .iter()
                .all(|signal| signal.lower < signal.value && signal.value < signal.upper)
        );
        assert_eq!(signals_of_window(&FRAME, &window, None).len(), 2);
        let rare = scores(&[("a", 0.9, true, 4), ("a", 0.1, false, 96)]);
        let signal = signals_of_window(&FRAME, &window, Some(Ok(&rare))).pop().unwrap();
        assert!(signal.state == SignalState::Insufficient && signal.details["reason"].as_str().unwrap().contains("\"a\" has 4"));
        assert_eq!(signals_of_window(&FRAME, &LabelledWindow::default(), Some(Ok(&all))), []);
    }
}
