//! Measures of predicted classes.

use driftlead_store::clickhouse::query::quality::LabelledWindow;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{Signal, names};
use serde_json::{Value, json};

use super::{MIN_N, Z};
use crate::detect::frame::{Estimate, Frame};
use crate::stats::Undefined;
use crate::stats::classification::{Confusion, Measure};

/// Pairs of classes that the details hold, the most frequent first.
const MAX_PAIRS: usize = 100;

/// The signals of a window in which classes were predicted; none where no class was.
pub(super) fn signals_of_window(frame: &Frame<'_>, window: &LabelledWindow, settings: &ModelSettings) -> Vec<Signal> {
    let mut confusion = Confusion::default();
    for (predicted, truth, n) in &window.classes {
        confusion.add(predicted, truth, *n);
    }
    if confusion.n() == 0 {
        return Vec::new();
    }
    signals_of(frame, &confusion, settings)
}

fn signals_of(frame: &Frame<'_>, confusion: &Confusion, settings: &ModelSettings) -> Vec<Signal> {
    let details = details(confusion, settings);
    measures(confusion, settings)
        .into_iter()
        .map(|(name, measure)| match measure {
            _ if confusion.n() < MIN_N => {
                let reason = format!("{} labelled inferences, fewer than {MIN_N}", confusion.n());
                frame.insufficient(name, "", confusion.n(), "insufficient", reason)
            }
            Ok(measure) => frame.signal(
                name,
                "",
                Estimate::bounded(measure.value, measure.bounds),
                confusion.n(),
                details.clone(),
            ),
            Err(undefined) => {
                let code = if settings.positive_class.is_none() {
                    "not_declared"
                } else {
                    "insufficient"
                };
                frame.insufficient(name, "", confusion.n(), code, undefined.to_string())
            }
        })
        .collect()
}

/// Binary with the declared positive class, else micro: with one label for each inference micro precision,
/// recall and F1 are the accuracy. F1 is macro where every class has enough examples; the gate takes it likewise.
fn measures(confusion: &Confusion, settings: &ModelSettings) -> Vec<(&'static str, Result<Measure, Undefined>)> {
    let accuracy = confusion.accuracy(Z);
    match &settings.positive_class {
        Some(class) => {
            let counts = confusion.of_class(class);
            vec![
                (names::ACCURACY, accuracy),
                (names::PRECISION, counts.precision(Z)),
                (names::RECALL, counts.recall(Z)),
                (names::F1, counts.f1(Z)),
                (names::FALSE_POSITIVE_RATIO, counts.false_positive_ratio(Z)),
            ]
        }
        None => vec![
            (names::ACCURACY, accuracy.clone()),
            (names::PRECISION, accuracy.clone()),
            (names::RECALL, accuracy.clone()),
            (names::F1, confusion.macro_f1(Z).or(accuracy)),
            (
                names::FALSE_POSITIVE_RATIO,
                Err(Undefined::because("the model declares no positive_class")),
            ),
        ],
    }
}

fn details(confusion: &Confusion, settings: &ModelSettings) -> Value {
    let mut pairs: Vec<(&str, &str, u64)> = confusion.pairs().collect();
    pairs.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
    let pairs: Vec<Value> = pairs
        .into_iter()
        .take(MAX_PAIRS)
        .map(|(predicted, truth, n)| json!({ "predicted": predicted, "true": truth, "n": n }))
        .collect();
    let macro_f1 = confusion.macro_f1(Z);
    let average = match &macro_f1 {
        _ if settings.positive_class.is_some() => "binary",
        Ok(_) => "macro",
        Err(_) => "micro",
    };
    let mut details = json!({
        "average": average,
        "positive_class": settings.positive_class,
        "confusion": pairs,
    });
    match macro_f1 {
        Ok(macro_f1) => details["macro_f1"] = json!(macro_f1.value),
        Err(undefined) => details["macro_f1"] = json!({ "undefined": undefined.to_string() }),
    }
    details
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::SignalState;

    use super::*;

    const FRAME: Frame<'static> = Frame {
        provisional: true,
        ..Frame::EXAMPLE
    };

    fn confusion(counts: &[(&str, &str, u64)]) -> Confusion {
        let mut confusion = Confusion::default();
        counts.iter().for_each(|(predicted, truth, n)| confusion.add(predicted, truth, *n));
        confusion
    }

    fn value(signals: &[Signal], name: &str) -> Option<f64> {
        signals.iter().find(|signal| signal.name == name).unwrap().value
    }

    #[test]
    fn a_declared_positive_class_makes_the_measures_binary() {
        let settings = ModelSettings {
            positive_class: Some("1".into()),
            ..ModelSettings::undeclared("m")
        };
        let signals = signals_of(
            &FRAME,
            &confusion(&[("1", "1", 60), ("1", "0", 20), ("0", "1", 10), ("0", "0", 10)]),
            &settings,
        );
        assert_eq!(value(&signals, names::ACCURACY), Some(0.7));
        assert_eq!(value(&signals, names::PRECISION), Some(0.75));
        assert_eq!(value(&signals, names::RECALL), Some(60.0 / 70.0));
        assert_eq!(value(&signals, names::F1), Some(0.8));
        assert_eq!(value(&signals, names::FALSE_POSITIVE_RATIO), Some(20.0 / 30.0));
        assert!(signals.iter().all(|signal| signal.provisional && signal.n == 100));
    }

    #[test]
    fn f1_is_macro_where_every_class_has_enough_examples_and_else_micro() {
        let check = |counts: &[(&str, &str, u64)], average: &str, expected: f64| {
            let signals = signals_of(&FRAME, &confusion(counts), &ModelSettings::undeclared("m"));
            let f1 = signals.iter().find(|signal| signal.name == names::F1).unwrap();
            assert_eq!(f1.details["average"], average);
            let value = f1.value.unwrap();
            assert!((value - expected).abs() < 1e-12, "{value} {expected}");
            assert!(f1.decision_lower.unwrap() < value && value <= f1.decision_upper.unwrap());
        };
        // F1 of a: 60 / 70; of b: 10 / 20.
        check(
            &[("a", "a", 30), ("b", "b", 5), ("a", "b", 5), ("b", "a", 5)],
            "macro",
            (60.0 / 70.0 + 0.5) / 2.0,
        );
        // A class that is only predicted is none of the classes: it makes the others' recall lower.
        check(&[("a", "a", 30), ("c", "a", 10)], "macro", 60.0 / 70.0);
        check(&[("a", "a", 30), ("b", "b", 4), ("a", "b", 0)], "micro", 1.0);
    }

    #[test]
    fn without_one_they_are_micro_and_what_needs_it_says_so() {
        let signals = signals_of(
            &FRAME,
            &confusion(&[("a", "a", 30), ("b", "c", 10)]),
            &ModelSettings::undeclared("m"),
        );
        assert_eq!(value(&signals, names::PRECISION), Some(0.75));
        let undefined = signals.iter().find(|signal| signal.name == names::FALSE_POSITIVE_RATIO).unwrap();
        assert_eq!(
            (undefined.state, &undefined.details["unknown"]),
            (SignalState::Insufficient, &json!("not_declared"))
        );
    }

    #[test]
    fn a_handful_of_labels_is_insufficient() {
        let signals = signals_of(&FRAME, &confusion(&[("a", "a", MIN_N - 1)]), &ModelSettings::undeclared("m"));
        assert!(
            signals
                .iter()
                .all(|signal| signal.state == SignalState::Insufficient && signal.value.is_none())
        );
    }
}
