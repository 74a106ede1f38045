//! `GET /api/v1/models/{model}/drift`: how far each feature moved from the reference, with both distributions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_analyzer::{AnalyzerError, DriftReport, DriftRequest, FeatureReport, drift_between};
use driftlead_store::records::names;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::parameters;
use crate::auth::Asked;
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
        .query(&[
            ("environment", "unsaid: the one with the most traffic in the window"),
            ("version", "unsaid: the one with the most traffic in the window"),
            (
                "segment",
                "only this segment of the traffic, against the same segment of the reference; unsaid: all traffic",
            ),
            ("reference", "unsaid: the one that applies to the version"),
            ("from", "start of the window; unsaid: the latest hour or day with enough records"),
            ("to", "end of the window"),
        ]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    environment: Option<String>,
    version: Option<String>,
    segment: Option<String>,
    reference: Option<String>,
    from: Option<String>,
    to: Option<String>,
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
    Query(asked): Query<Parameters>,
) -> Result<Json<Drift>, Problem> {
    let request = DriftRequest {
        model: model.clone(),
        environment: caller.environment(asked.environment)?,
        version: asked.version.filter(|version| !version.is_empty()),
        segment: asked.segment.filter(|segment| !segment.is_empty()),
        reference: asked.reference.filter(|reference| !reference.is_empty()),
        from: parameters::instant("from", asked.from.as_deref())?,
        to: parameters::instant("to", asked.to.as_deref())?,
    };
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
