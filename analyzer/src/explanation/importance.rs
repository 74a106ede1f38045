//! How much each feature matters: what the deployment says, else how much it does to tell the window from the reference.

use std::collections::BTreeMap;

use driftlead_store::state::State;
use driftlead_store::state::deployments::Deployment;
use serde::Serialize;
use serde_json::Value as Json;

use crate::error::AnalyzerError;
use crate::sampling::columns::Columns;
use crate::stats::Undefined;
use crate::stats::domain_classifier::{DomainAuc, domain_auc};

/// The bounds of the domain classifier, one-sided at 99 %.
const Z: f64 = 2.326;

/// Where the importance of features comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceSource {
    /// The deployment of the version said it.
    Deployment,
    /// A model that tells the window from the reference uses them so much.
    DomainClassifier,
}

/// How well a model tells the window from the reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DomainAucReport {
    /// Cross-validated ROC-AUC: 0.5 where nothing tells them apart.
    pub value: f64,
    /// Lower bound at 99 %.
    pub lower: f64,
    /// Upper bound at 99 %.
    pub upper: f64,
}

/// The importance of features.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Importance {
    /// Where it comes from; `None` where it is unknown.
    pub source: Option<ImportanceSource>,
    /// Why it is unknown.
    pub reason: Option<String>,
    /// How well the window is told from the reference; `None` where that is unknown.
    pub domain_auc: Option<DomainAucReport>,
    /// By feature, not negative, 1 in all.
    #[serde(skip)]
    pub by_feature: BTreeMap<String, f64>,
}

/// What the newest deployment of a version that says it says: `{"importance": {feature: number}}`.
pub(super) async fn of_deployment(
    state: &State,
    model: &str,
    version: &str,
    environment: &str,
) -> Result<Option<BTreeMap<String, f64>>, AnalyzerError> {
    let said = |deployment: &Deployment| deployment.version == version && deployment.environment == environment;
    let deployments = state.deployments(Some(model)).await?;
    let newest = deployments.iter().filter(|deployment| said(deployment));
    Ok(newest
        .filter_map(|deployment| read(&deployment.body["importance"]).ok().flatten())
        .next())
}

/// The importance that a deployment states, 1 in all; `None` where it states none.
///
/// # Errors
/// It is no object of numbers that are finite and not negative, or all are 0: in words.
pub fn read(stated: &Json) -> Result<Option<BTreeMap<String, f64>>, String> {
    let features = match stated {
        Json::Null => return Ok(None),
        Json::Object(features) => features,
        _ => return Err("importance has to be an object of numbers by feature".to_owned()),
    };
    let mut by_feature = BTreeMap::new();
    for (feature, number) in features {
        match number.as_f64().filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => by_feature.insert(feature.clone(), number),
            None => return Err(format!("importance of {feature:?} has to be a number from 0 on, it is {number}")),
        };
    }
    let total: f64 = by_feature.values().sum();
    if total <= 0.0 || !total.is_finite() {
        return Err("importance has to name a feature that matters: all are 0".to_owned());
    }
    Ok(Some(
        by_feature.into_iter().map(|(feature, number)| (feature, number / total)).collect(),
    ))
}

/// That of a deployment where it is stated, else by a model that tells the sides apart; with that model's AUC in both cases.
pub(super) fn importance(stated: Option<BTreeMap<String, f64>>, columns: &Columns, features: &[String], seed: u64) -> Importance {
    let split = columns.split(features.iter());
    let told = domain_auc(&Columns::features(&split), Z, seed);
    let auc = told.as_ref().ok().map(|found| DomainAucReport {
        value: found.auc.value,
        lower: found.auc.bounds.lower,
        upper: found.auc.bounds.upper,
    });
    if let Some(by_feature) = stated {
        return Importance {
            source: Some(ImportanceSource::Deployment),
            reason: None,
            domain_auc: auc,
            by_feature,
        };
    }
    match told.and_then(|found| of_classifier(&found)) {
        Ok(by_feature) => Importance {
            source: Some(ImportanceSource::DomainClassifier),
            reason: None,
            domain_auc: auc,
            by_feature,
        },
        Err(undefined) => Importance {
            reason: Some(undefined.to_string()),
            domain_auc: auc,
            ..Importance::default()
        },
    }
}

fn of_classifier(found: &DomainAuc) -> Result<BTreeMap<String, f64>, Undefined> {
    let drop = |contribution: &crate::stats::domain_classifier::Contribution| contribution.drop.max(0.0);
    let total: f64 = found.contributions.iter().map(drop).sum();
    if found.auc.bounds.lower <= 0.5 || total <= 0.0 {
        return Err(Undefined::because(
            "a linear model cannot tell the window from the reference, so it says of no feature that it matters",
        ));
    }
    Ok(found
        .contributions
        .iter()
        .map(|contribution| (contribution.feature.clone(), drop(contribution) / total))
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_deployment_states_is_checked_and_made_to_one() {
        let shares = read(&json!({"age": 3, "city": 1.0, "noise": 0})).unwrap().unwrap();
        assert_eq!((shares["age"], shares["city"], shares["noise"]), (0.75, 0.25, 0.0));
        assert_eq!(read(&Json::Null), Ok(None));
        for (stated, expected) in [
            (json!([1]), "has to be an object"),
            (json!({"age": -1}), "\"age\" has to be a number from 0 on"),
            (json!({"age": "much"}), "\"age\" has to be a number from 0 on"),
            (json!({"age": 0}), "all are 0"),
            (json!({}), "all are 0"),
        ] {
            assert!(read(&stated).unwrap_err().contains(expected), "{stated}");
        }
    }
}
