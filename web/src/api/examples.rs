//! `POST /api/v1/models/{model}/control/examples`: an inference of production becomes a control example.

use std::sync::Arc;

use axum::extract::State;
use driftlead_analyzer::control::set::{Example, Expected, Input};
use driftlead_analyzer::control::{Uploaded, add_example};
use driftlead_analyzer::models::{FeatureValue, Features};
use driftlead_store::clickhouse::query::inferences::{InferenceFilter, ListedInference, page_of_inferences};
use driftlead_store::records::MAX_NAME_BYTES;
use serde::Deserialize;

use super::control::problem;
use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Body, Path};
use crate::state::WebState;

/// The tag of examples that came from production.
const TAG: &str = "production";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::post(
        "/api/v1/models/{model}/control/examples",
        "Put an inference into the model's control set, with the label that it should have had: {request_id, label}. An inference that is in it already gets the new label.",
        add,
    )]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    request_id: String,
    label: String,
}

/// A set is the model's in all its environments, so whoever changes it has to see them all.
async fn add(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Body(asked): Body<Add>,
) -> Result<axum::Json<Uploaded>, Problem> {
    caller.check_all_environments("A control set")?;
    let label = asked.label.trim();
    if label.is_empty() || label.len() > MAX_NAME_BYTES {
        return Err(Problem::unprocessable(format!("label has from 1 to {MAX_NAME_BYTES} bytes.")));
    }
    let filter = InferenceFilter {
        model: model.clone(),
        environments: Vec::new(),
        version: None,
        session: None,
        request: Some(asked.request_id.clone()),
        from: None,
        to: None,
    };
    let found = page_of_inferences(&app.clickhouse, &filter, None, 1).await;
    let found = found.map_err(|error| app.telemetry_problem(&error))?.into_iter().next();
    let inference =
        found.ok_or_else(|| Problem::not_found(format!("The model {model:?} has no inference {:?} that is kept.", asked.request_id)))?;
    let example = example(inference, label)?;
    let added = add_example(&app.state, &app.settings(&model), example, app.clock.now()).await;
    added.map(axum::Json).map_err(problem)
}

fn example(inference: ListedInference, label: &str) -> Result<Example, Problem> {
    if inference.prediction_value.is_some() && inference.prediction_label.is_none() {
        return Err(Problem::unprocessable(
            "This model answers with numbers: upload its examples as a set, with how far off an answer may be.",
        ));
    }
    let numbers = inference.numeric_features.into_iter().filter(|(_, value)| value.is_finite());
    let numbers = numbers.map(|(name, value)| (name, FeatureValue::Number(value)));
    let texts = inference
        .categorical_features
        .into_iter()
        .map(|(name, value)| (name, FeatureValue::Text(value)));
    let features: Features = numbers.chain(texts).collect();
    if features.is_empty() {
        return Err(Problem::unprocessable(
            "What the model was given is not kept of this inference: send its features, or upload the example as part of a set.",
        ));
    }
    Ok(Example {
        id: inference.request_id,
        input: Input {
            features,
            ..Input::default()
        },
        expected: Expected::Label(label.to_owned()),
        tags: vec![TAG.to_owned()],
        segment: Some(inference.segment).filter(|segment| !segment.is_empty()),
    })
}
