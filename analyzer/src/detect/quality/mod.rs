//! Quality of a window from labels and verdicts that came late: a file for each kind of prediction.

mod classes;
mod distributions;
mod scores;
mod values;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use driftlead_store::clickhouse::query::buckets::requests_by_version;
use driftlead_store::clickhouse::query::labelled_scores::{ScoresOf, keep_labelled_scores};
use driftlead_store::clickhouse::query::positive::Positive;
use driftlead_store::clickhouse::query::quality::{
    ClassScores, LabelledOf, LabelledWindow, class_scores, labelled_windows, segments_in_window,
};
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::frame::Frame;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::window::{HOUR_SECONDS, Window};

/// Labelled inferences below which quality says nothing.
const MIN_N: u64 = 30;
/// What tells most of quality, the best first, and whether more of it is better.
pub(crate) const MEASURES: [(&str, bool); 4] = [
    (names::F1, true),
    (names::ACCURACY, true),
    (names::MAE, false),
    (names::INCORRECT_RATIO, false),
];
/// One-sided 99 % bounds.
pub(crate) const Z: f64 = 2.3263478740408408;

/// The signals of all versions and environments of a model in a window, of all traffic together and of each segment.
pub(super) async fn signals_of_window(context: &Context, model: &str, window: Window) -> Result<Vec<Signal>, AnalyzerError> {
    let settings = context.references.settings(model);
    let (from, until) = (window.start(), window.end);
    let of_segments = segments_in_window(&context.clickhouse, model, from, until, MIN_N, context.max_segments).await?;
    let segments: BTreeSet<String> = of_segments.keys().map(|of| of.segment.clone()).collect();
    let segments: Vec<String> = segments.into_iter().collect();
    let positive = Positive::of(&settings);
    let labelled = labelled_windows(&context.clickhouse, model, positive, &segments, from, until).await?;
    let has_distributions = labelled.values().any(|known| known.distributions.n > 0);
    let by_class = if has_distributions {
        Some(class_scores(&context.clickhouse, model, from, until).await?)
    } else {
        None
    };
    let are_labels_due = window
        .end
        .0
        .saturating_add(i64::try_from(context.label_delays.of(&settings).as_nanos()).unwrap_or(i64::MAX))
        > context.now().0;
    let mut requests: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let mut signals = Vec::new();
    for (of, known) in &labelled {
        let LabelledOf {
            environment,
            version,
            segment,
        } = of;
        let frame = Frame {
            model,
            version,
            environment,
            segment,
            window,
            provisional: are_labels_due,
        };
        if !segment.is_empty() {
            // A segment of another version, or of another environment, has too little traffic here.
            if let Some(&served) = of_segments.get(of) {
                signals.extend(signals_of(&frame, known, None, Some(served), &settings));
            }
            continue;
        }
        let served = match requests.get(environment.as_str()) {
            Some(served) => served,
            None => {
                let served = requests_by_version(&context.clickhouse, model, environment, window.start(), window.end).await?;
                requests.entry(environment).or_insert(served.into_iter().collect())
            }
        };
        if window.seconds == HOUR_SECONDS && !known.scores.is_empty() {
            let of = ScoresOf {
                model,
                environment,
                version,
            };
            keep_labelled_scores(&context.clickhouse, of, window.start(), &known.scores, context.now()).await?;
        }
        let of_classes = by_class.as_ref().map(|by_class| match by_class {
            Some(by_class) => Ok(by_class.get(&(environment.clone(), version.clone())).map_or(&[][..], Vec::as_slice)),
            None => Err("there are too many classes and scores to rank".to_owned()),
        });
        signals.extend(signals_of(&frame, known, of_classes, served.get(version).copied(), &settings));
    }
    Ok(signals)
}

/// `served` are the inferences of the version in the window, where that is known: with it the signals say how many of the
/// labels have come.
fn signals_of(
    frame: &Frame<'_>,
    window: &LabelledWindow,
    of_classes: Option<Result<&[ClassScores], String>>,
    served: Option<u64>,
    settings: &ModelSettings,
) -> Vec<Signal> {
    let mut signals = classes::signals_of_window(frame, window, settings);
    signals.extend(scores::signals_of_window(frame, window));
    signals.extend(distributions::signals_of_window(frame, window, of_classes));
    signals.extend(values::signals_of_window(frame, window));
    signals.extend(verdicts::signal_of_window(frame, window));
    for signal in &mut signals {
        // Halves that came late may be labelled before they are counted.
        let arrived = served.map(|served| (signal.n as f64 / served.max(1) as f64).min(1.0));
        if let Some(details) = signal.details.as_object_mut() {
            details.insert("inferences".to_owned(), json!(served));
            details.insert("arrived".to_owned(), json!(arrived));
        }
    }
    signals
}
