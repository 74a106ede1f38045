//! Outcomes that come as log events: `ml.outcome` and GenAI's `gen_ai.evaluation.result`.
//!
//! `ml.outcome` names the model and the request as an inference does, and says what became known by
//! `ml.outcome.label`, `ml.outcome.verdict` or `ml.outcome.value`; `ml.outcome.kind` decides when several
//! are there, `ml.outcome.id`, or else the record's time, tells outcomes of one request apart. An evaluation is a verdict when its label
//! says pass or fail, else its score is kept as a value, each under the evaluation's name.

use driftlead_store::records::outcome_line::{MAX_LABEL_BYTES, label_of_number, verdict_of_text};
use driftlead_store::records::{Outcome, OutcomeKind};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::Work;
use super::attributes::{cut, text_of_named, value_of_named};
use super::cuts::{Cuts, reasons};
use super::predictions::{Facts, Told};
use crate::limits::MAX_NAME_BYTES;

const OUTCOME_EVENT: &str = "ml.outcome";
const EVALUATION_EVENT: &str = "gen_ai.evaluation.result";

/// Whether a log event of this name tells of an outcome.
pub(super) fn is_outcome(event_name: &str) -> bool {
    event_name == OUTCOME_EVENT || event_name == EVALUATION_EVENT
}

/// Adds the outcome that the event tells of.
pub(super) fn decode(event_name: &str, told: &Told<'_>, work: &mut Work) {
    // What is wrong with its other attributes is counted when the record is read for what it is.
    let mut facts = Facts::read(told.attributes, &mut Cuts::default());
    let kind = match event_name {
        OUTCOME_EVENT => own_kind(told.attributes),
        _ => evaluation_kind(told.attributes),
    };
    let id_attribute = if event_name == OUTCOME_EVENT {
        "ml.outcome.id"
    } else {
        "gen_ai.evaluation.name"
    };
    let id = text_of_named(told.attributes, id_attribute).unwrap_or_default();
    // An evaluation names the span or the response that it judges, not the model: the drain knows whose it is.
    let model = facts.model.take().or_else(|| told.origin.model.clone()).unwrap_or_default();
    let request_id = facts.request_id.take().or_else(|| told.span_reference());
    match (model, request_id, kind) {
        (_, None, _) => work.cuts.add(reasons::OUTCOME_WITHOUT_REQUEST, 1),
        (_, _, None) => work.cuts.add(reasons::OUTCOME_WITHOUT_VALUE, 1),
        // A part of a label is another label: the API refuses such a one, too.
        (_, _, Some(OutcomeKind::Label(label))) if label.len() > MAX_LABEL_BYTES => {
            work.cuts.add(reasons::OUTCOME_LABEL_TOO_LONG, 1);
        }
        (model, Some(request_id), Some(kind)) => {
            let at = if work.bounds.in_windows(told.event_time) {
                told.event_time
            } else {
                work.received_time
            };
            let id = if id.is_empty() && at != work.received_time {
                Outcome::id_of_instant(at)
            } else {
                cut(id, MAX_NAME_BYTES, reasons::NAME_TOO_LONG, &mut work.cuts)
            };
            work.decoded.outcomes.push(Outcome {
                model,
                request_id,
                kind,
                id,
                at,
                received_time: work.received_time,
            });
        }
    }
}

fn own_kind(attributes: &[KeyValue]) -> Option<OutcomeKind> {
    match text_of_named(attributes, "ml.outcome.kind").as_deref() {
        Some("label") => label(attributes),
        Some("verdict") => verdict(attributes, "ml.outcome.verdict"),
        Some("conversion") => conversion(attributes, "ml.outcome.value"),
        Some(_) => None,
        None => label(attributes)
            .or_else(|| verdict(attributes, "ml.outcome.verdict"))
            .or_else(|| conversion(attributes, "ml.outcome.value")),
    }
}

fn evaluation_kind(attributes: &[KeyValue]) -> Option<OutcomeKind> {
    verdict(attributes, "gen_ai.evaluation.score.label").or_else(|| conversion(attributes, "gen_ai.evaluation.score.value"))
}

fn label(attributes: &[KeyValue]) -> Option<OutcomeKind> {
    let label = match &value_of_named(attributes, "ml.outcome.label")?.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) if number.is_finite() => label_of_number(*number),
        Some(Value::BoolValue(label)) => label.to_string(),
        _ => return None,
    };
    (!label.is_empty()).then_some(OutcomeKind::Label(label))
}

fn verdict(attributes: &[KeyValue], name: &str) -> Option<OutcomeKind> {
    match &value_of_named(attributes, name)?.value {
        Some(Value::BoolValue(verdict)) => Some(OutcomeKind::Verdict(*verdict)),
        Some(Value::StringValue(text)) => verdict_of_text(text).map(OutcomeKind::Verdict),
        _ => None,
    }
}

fn conversion(attributes: &[KeyValue], name: &str) -> Option<OutcomeKind> {
    match value_of_named(attributes, name)?.value {
        Some(Value::DoubleValue(value)) if value.is_finite() => Some(OutcomeKind::Conversion(value)),
        Some(Value::IntValue(value)) => Some(OutcomeKind::Conversion(value as f64)),
        _ => None,
    }
}
