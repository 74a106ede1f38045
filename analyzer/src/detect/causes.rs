//! What carries a shift that is sure, told with the signal, so that the alert that it makes says where to look.

use std::time::Duration;

use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::frame::Frame;
use super::sampled::is_looked_at;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::explanation::{Explained, explain};
use crate::report::DriftRequest;

/// A lower bound of decision from which on it is worth a look at inferences one by one.
const WORTH_A_LOOK: f64 = 0.01;
/// Features of a window that are looked into, those that surely moved most.
const MAX_FEATURES: usize = 3;
/// How long the signals of a window wait for it.
const PATIENCE: Duration = Duration::from_secs(8);

/// Adds to the details of the surest shifts of a window the parts of the traffic that carry them, as `carried_by`, and what they do
/// to the accuracy that can be expected, as `expected_accuracy_change`. A window of long ago, by which nobody decides, is left alone;
/// so is one whose inferences cannot be read in time.
pub(super) async fn add(context: &Context, frame: &Frame<'_>, signals: &mut [Signal]) {
    if !is_looked_at(frame, context.now()) {
        return;
    }
    let sure = |signal: &Signal| signal.decision_lower.filter(|lower| *lower > WORTH_A_LOOK);
    let mut moved: Vec<&mut Signal> = signals
        .iter_mut()
        .filter(|signal| [names::FEATURE_SHIFT, names::PREDICTION_SHIFT].contains(&signal.name.as_str()) && sure(signal).is_some())
        .collect();
    moved.sort_by(|a, b| sure(b).unwrap_or(0.0).total_cmp(&sure(a).unwrap_or(0.0)));
    moved.truncate(MAX_FEATURES);
    let look = async {
        for signal in moved {
            match look_into(context, frame, &signal.subject).await {
                Ok(Some(explained)) => tell(signal, &explained),
                Ok(None) => {}
                Err(error) => tracing::warn!(model = frame.model, feature = signal.subject, %error, "what carries a shift cannot be read"),
            }
        }
    };
    if tokio::time::timeout(PATIENCE, look).await.is_err() {
        tracing::debug!(model = frame.model, "what carries the shifts of a window took too long to read");
    }
}

async fn look_into(context: &Context, frame: &Frame<'_>, feature: &str) -> Result<Option<Explained>, AnalyzerError> {
    let request = DriftRequest {
        model: frame.model.to_owned(),
        environment: Some(frame.environment.to_owned()),
        version: Some(frame.version.to_owned()),
        segment: None,
        reference: None,
        from: Some(frame.window.start()),
        to: Some(frame.window.end),
    };
    Ok(explain(&context.references, &request, Some(feature), context.now())
        .await?
        .explained)
}

fn tell(signal: &mut Signal, explained: &Explained) {
    let Some(details) = signal.details.as_object_mut() else { return };
    let slices: Vec<String> = explained
        .slices
        .found
        .iter()
        .map(crate::explanation::SliceReport::in_words)
        .collect();
    if !slices.is_empty() {
        details.insert("carried_by".to_owned(), json!(slices));
    }
    if let (Some(value), Some(lower), Some(upper)) = (explained.effect.value, explained.effect.lower, explained.effect.upper) {
        details.insert(
            "expected_accuracy_change".to_owned(),
            json!({ "value": value, "lower": lower, "upper": upper }),
        );
    }
}
