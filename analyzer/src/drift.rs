//! Drift of every feature between a window and its reference: what signals and the API are made from.

use std::borrow::Cow;
use std::collections::BTreeSet;

use driftlead_store::clickhouse::query::profiles::Profile;
use driftlead_store::records::{FeatureCounts, pseudo};
use serde::Serialize;

use crate::budget::Budget;
use crate::parallel;
use crate::reference::Reference;
use crate::seed::seed_of;
use crate::statistics::Statistics;
use crate::stats::shift::{Shift, ShiftOptions, shift};
use crate::stats::{Undefined, benjamini_hochberg};
use crate::window::Window;

/// Whether a feature is an input or what the model answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An input.
    Feature,
    /// A prediction's label, score or value.
    Prediction,
}

/// What a feature's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// Numbers.
    Numeric,
    /// Categories.
    Categorical,
}

/// How far one feature moved.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureDrift {
    /// Its name.
    pub feature: String,
    /// Input or answer.
    pub role: Role,
    /// Numbers or categories.
    pub kind: ValueKind,
    /// The distance with its bounds, or why there is none.
    pub shift: Result<Shift, Undefined>,
    /// Its p-value adjusted for all features of the comparison.
    pub p_adjusted: Option<f64>,
    /// What libraries measure.
    pub statistics: Statistics,
    /// The factor by which the variance of the decision was inflated.
    pub dispersion: f64,
}

/// What is compared, and how sure decisions have to be.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// The model.
    pub model: &'a str,
    /// The version.
    pub version: &'a str,
    /// The segment; empty for all traffic together.
    pub segment: &'a str,
    /// The window.
    pub window: Window,
    /// How often decisions may be wrong.
    pub budget: Budget,
}

/// Compares every feature of a window with the reference, in alphabetical order. `known` are the features
/// that the model ever sent: columns of an uploaded reference that are none of them are left out, and so
/// is what the reference does not know.
pub fn compare(compared: Compared<'_>, reference: &Reference, window: &Profile, known: &BTreeSet<String>) -> Vec<FeatureDrift> {
    let features: Vec<&String> = reference
        .data
        .profile
        .features
        .keys()
        .filter(|feature| known.contains(*feature))
        .collect();
    let decision_error = decision_error(compared, reference, features.len());
    let mut drifts = parallel::map(&features, |feature| {
        compare_feature(compared, reference, window, feature, decision_error)
    });
    adjust(&mut drifts);
    drifts
}

fn compare_feature(compared: Compared<'_>, reference: &Reference, window: &Profile, feature: &str, decision_error: f64) -> FeatureDrift {
    let counts = match window.features.get(feature) {
        Some(counts) => Cow::Borrowed(counts),
        None => Cow::Owned(window.feature(feature)),
    };
    let before = &reference.data.profile.features[feature];
    let dispersion = reference.dispersion(feature, compared.window.seconds);
    let seed = seed_of(&[
        compared.model,
        compared.version,
        compared.segment,
        feature,
        &compared.window.end.to_string(),
    ]);
    let kind = kind(before, &counts);
    let options = ShiftOptions {
        seed,
        decision_error,
        dispersion,
    };
    FeatureDrift {
        statistics: Statistics::of_profiles(kind, before, &counts),
        feature: feature.to_owned(),
        role: if pseudo::is_prediction(feature) {
            Role::Prediction
        } else {
            Role::Feature
        },
        kind,
        shift: shift(before, &counts, options),
        p_adjusted: None,
        dispersion,
    }
}

/// The error of each decision: those on so many features share what is allowed, and that on embeddings where the reference has
/// any.
pub(crate) fn decision_error(compared: Compared<'_>, reference: &Reference, features: usize) -> f64 {
    let embeddings = usize::from(reference.data.profile.embeddings.n() > 0);
    compared.budget.decision_error(features + embeddings)
}

fn adjust(drifts: &mut [FeatureDrift]) {
    let defined: Vec<f64> = drifts
        .iter()
        .filter_map(|drift| drift.shift.as_ref().ok().map(|shift| shift.p_value))
        .collect();
    let adjusted = benjamini_hochberg::adjust(&defined);
    let with_value = drifts.iter_mut().filter(|drift| drift.shift.is_ok());
    for (drift, p) in with_value.zip(adjusted) {
        drift.p_adjusted = Some(p);
    }
}

fn kind(reference: &FeatureCounts, window: &FeatureCounts) -> ValueKind {
    let numbers = |counts: &FeatureCounts| counts.numbers() + counts.nan + counts.positive_infinity + counts.negative_infinity;
    let is_numeric = match numbers(window) + window.categories() {
        0 => numbers(reference) >= reference.categories(),
        _ => numbers(window) >= window.categories(),
    };
    if is_numeric { ValueKind::Numeric } else { ValueKind::Categorical }
}
