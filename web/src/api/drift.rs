//! `GET /api/v1/models/{model}/drift`: how far each feature moved from the reference, with both distributions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::{AnalyzerError, DriftReport, DriftRequest, FeatureReport, drift_between};
use driftlead_store::records::names;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::metric::strictest;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/drift",
            "Per feature: shift with bounds, p-value, both histograms; the most shifted first.",
            show,
        )
        .query(&WINDOW_PARAMETERS),
    ]
}

/// What says which window is compared with what.
pub(super) const WINDOW_PARAMETERS: [(&str, &str); 6] = [
    ("environment", "unsaid: the one with the most traffic in the window"),
    ("version", "unsaid: the one with the most traffic in the window"),
    (
        "segment",
        "only this segment of the traffic, against the same segment of the reference; unsaid: all traffic",
    ),
    ("reference", "unsaid: the one that applies to the version"),
    ("from", "start of the window; unsaid: the latest hour or day with enough records"),
    ("to", "end of the window"),
];

/// [`WINDOW_PARAMETERS`] as they are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WindowParameters {
    pub environment: Option<String>,
    pub version: Option<String>,
    pub segment: Option<String>,
    pub reference: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl WindowParameters {
    /// What the caller asks for, as far as they may see it.
    pub fn request(self, model: &str, caller: &Caller) -> Result<DriftRequest, Problem> {
        let stated = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(DriftRequest {
            model: model.to_owned(),
            environment: caller.environment(self.environment)?,
            version: stated(self.version),
            segment: stated(self.segment),
            reference: stated(self.reference),
            from: parameters::instant("from", self.from.as_deref())?,
            to: parameters::instant("to", self.to.as_deref())?,
        })
    }
}

#[derive(Debug, Serialize)]
struct Drift {
    #[serde(flatten)]
    report: DriftReport,
    /// Of the strictest rule on `feature_shift`.
    threshold: Option<f64>,
    features: Vec<Feature>,
}

#[derive(Debug, Serialize)]
struct Feature {
    #[serde(flatten)]
    report: FeatureReport,
    /// Whether `decision_lower` exceeds the threshold; `None` where it cannot be said.
    drifted: Option<bool>,
}

async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<WindowParameters>,
) -> Result<Json<Drift>, Problem> {
    let request = asked.request(&model, &caller)?;
    let mut report = drift_between(&app.references, &request, app.clock.now())
        .await
        .map_err(|error| problem(&app, error))?;
    let rule = strictest(
        &app.commands.rules(),
        names::FEATURE_SHIFT,
        &app.settings(&model),
        &report.environment,
    );
    let threshold = rule.map(|rule| rule.value);
    let features = std::mem::take(&mut report.features).into_iter().map(|feature| Feature {
        drifted: feature
            .shift
            .decision_lower
            .zip(threshold)
            .map(|(lower, threshold)| lower > threshold),
        report: feature,
    });
    let features = features.collect();
    Ok(Json(Drift {
        report,
        threshold,
        features,
    }))
}

/// What the analyzer answers, as a problem.
pub(super) fn problem(app: &WebState, error: AnalyzerError) -> Problem {
    match error {
        AnalyzerError::Reference(detail) => Problem::unprocessable(detail),
        AnalyzerError::Rows(error) => Problem::unprocessable(error.to_string()),
        AnalyzerError::Telemetry(error) => app.telemetry_problem(&error),
        other => Problem::internal(&other),
    }
}
