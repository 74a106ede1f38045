//! Why traffic moved: which features, by shift times importance; which part of the traffic carries it; which values grew and shrank;
//! what that does to the quality that can be expected.
//!
//! Shifts and distributions come from profiles, as in [`crate::report`]. Whatever needs features of one inference side by side comes
//! from a sample of the inferences of the window and of the reference's stretch of telemetry ([`crate::sampling`]): importance by a model
//! that tells the two apart ([`importance`]), the segments that carry a shift ([`cells`], [`crate::stats::slice_search`]), the effect
//! on expected quality ([`effect`]). A reference that is no telemetry has no rows to look at: then only profiles speak.

mod cells;
mod effect;
mod grown;
mod importance;

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::labelled_scores::{ScoresOf, labelled_scores};
use driftlead_store::clickhouse::query::positive::Positive;
use driftlead_store::clickhouse::query::quality::LabelledScores;
use driftlead_store::clickhouse::query::samples::SampledInference;
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ModelSettings;
use serde::Serialize;

use crate::blocking;
use crate::drift::Role;
use crate::error::AnalyzerError;
use crate::reference::{ReferenceInfo, References};
use crate::report::{DriftReport, DriftRequest, FeatureReport, ShiftReport, drift_between};
use crate::sampling::columns::{Columns, SEGMENT};
use crate::sampling::{Rows, Sides, Wanted};
use crate::seed::seed_of;
use crate::stats::slice_search::{self, Options, Slice};
use cells::Cells;
pub use cells::SliceCondition;
pub use effect::Effect;
pub use grown::Change;
pub use importance::{DomainAucReport, Importance, ImportanceSource, read as read_importance};

/// Inferences of a side that are sampled.
const WANTED_ROWS: u64 = 50_000;
/// Features that slices are cut along, those that moved most.
const MAX_DIMENSIONS: usize = 40;
/// Features that a model is asked to tell the sides apart by, those that moved most.
const MAX_TOLD: usize = 40;
/// How often slices may be blamed where none is to blame.
const SLICE_ERROR: f64 = 0.01;
/// Days of labels that scores are calibrated by.
const LEARNT_SECONDS: i64 = 28 * 86_400;

/// Why the traffic of a window is not that of the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The model.
    pub model: String,
    /// Where it runs.
    pub environment: String,
    /// The version.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// Start of the window.
    pub from: UnixNanos,
    /// Exclusive end of the window.
    pub to: UnixNanos,
    /// What it is compared with.
    pub reference: Option<ReferenceInfo>,
    /// Why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Inferences of the reference and of the window that were looked at one by one.
    pub sampled: Sampled,
    /// How much features matter.
    pub importance: Importance,
    /// Features by shift times importance, those that explain most first.
    pub features: Vec<RankedFeature>,
    /// The feature that was asked for, else the first.
    pub explained: Option<Explained>,
}

/// How many inferences were looked at one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sampled {
    /// Of the reference.
    pub reference_n: usize,
    /// Of the window.
    pub n: usize,
    /// Why there are none.
    pub reason: Option<String>,
}

/// A feature with what it has to do with the drift.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedFeature {
    /// Its name.
    pub feature: String,
    /// Input or answer.
    pub role: Role,
    /// How far it moved.
    pub shift: ShiftReport,
    /// Its share of all importance; `None` where that is unknown, and for what the model answered.
    pub importance: Option<f64>,
    /// Shift times importance; the shift alone where no importance is known.
    pub score: Option<f64>,
}

/// What moved within one feature, and where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The feature.
    pub feature: String,
    /// Bins that the window has surely more of, those that grew most first.
    pub grew: Vec<Change>,
    /// Bins that it has surely less of.
    pub shrank: Vec<Change>,
    /// The parts of the traffic that carry the growth.
    pub slices: Slices,
    /// What the shift does to the accuracy that can be expected.
    pub effect: Effect,
}

/// The parts of the traffic that carry a growth.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Slices {
    /// How many were tried.
    pub tried: usize,
    /// Those that surely carry more than their share, the largest excess first; none where the growth is spread evenly.
    pub found: Vec<SliceReport>,
    /// Why nothing was searched.
    pub reason: Option<String>,
}

/// A part of the traffic and what it carries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SliceReport {
    /// All of them hold.
    pub conditions: Vec<SliceCondition>,
    /// Its share of the reference.
    pub reference_share: f64,
    /// Its share of the window.
    pub current_share: f64,
    /// Share of the values that grew within it, in the reference.
    pub reference_grown: f64,
    /// The same in the window.
    pub current_grown: f64,
    /// The share of the growth that it carries: above 1 where those values shrank elsewhere.
    pub carried: f64,
    /// Lower bound of it, at 99 % for all slices that are told of.
    pub carried_lower: f64,
    /// Upper bound of it, likewise.
    pub carried_upper: f64,
}

/// Says why a window of a model moved; `feature` is the one whose inside is looked at.
///
/// # Errors
/// Telemetry or state cannot be read, `from` does not lie before `to`, or the model does not have such a feature.
pub async fn explain(
    references: &References,
    request: &DriftRequest,
    feature: Option<&str>,
    now: UnixNanos,
) -> Result<Explanation, AnalyzerError> {
    let report = drift_between(references, request, now).await?;
    let mut explanation = Explanation {
        model: report.model.clone(),
        environment: report.environment.clone(),
        version: report.version.clone(),
        segment: report.segment.clone(),
        from: report.from,
        to: report.to,
        reference: report.reference.clone(),
        unknown: report.unknown,
        reason: report.reason.clone(),
        sampled: Sampled::default(),
        importance: Importance::default(),
        features: Vec::new(),
        explained: None,
    };
    if report.features.is_empty() {
        return Ok(explanation);
    }
    if let Some(wanted) = feature
        && !report.features.iter().any(|known| known.feature == wanted)
    {
        return Err(AnalyzerError::Reference(format!(
            "{wanted:?} is no feature that reference and window can be compared in: the answer of …/drift lists them"
        )));
    }
    let settings = references.settings(&report.model);
    let sides = Sides {
        model: &report.model,
        environment: &report.environment,
        version: &report.version,
        segment: &report.segment,
        from: report.from,
        to: report.to,
        inferences: report.n,
        reference: report.reference.as_ref(),
        positive: Positive::of(&settings),
    };
    let rows = sides.sample(references.clickhouse(), Wanted::rows(WANTED_ROWS)).await?;
    let stated = importance::of_deployment(references.state(), &report.model, &report.version, &report.environment).await?;
    let learnt = learnt_scores(references, &report, &settings).await?;
    let wanted = feature.map(str::to_owned);
    blocking::compute(move || {
        fill(&mut explanation, &report, rows, stated, &learnt, &settings, wanted);
        explanation
    })
    .await
}

/// What scores turned out to mean in the weeks before the window.
async fn learnt_scores(
    references: &References,
    report: &DriftReport,
    settings: &ModelSettings,
) -> Result<Vec<LabelledScores>, AnalyzerError> {
    if settings.positive_class.is_none() {
        return Ok(Vec::new());
    }
    let of = ScoresOf {
        model: &report.model,
        environment: &report.environment,
        version: &report.version,
    };
    Ok(labelled_scores(references.clickhouse(), of, report.from.plus_seconds(-LEARNT_SECONDS), report.from).await?)
}

fn fill(
    explanation: &mut Explanation,
    report: &DriftReport,
    rows: Rows,
    stated: Option<BTreeMap<String, f64>>,
    learnt: &[LabelledScores],
    settings: &ModelSettings,
    wanted: Option<String>,
) {
    let seed = seed_of(&[&report.model, &report.version, "explanation", &report.to.to_string()]);
    let (columns, rows) = match rows {
        Ok(rows) => (Some(Columns::of([&rows[0], &rows[1]])), rows),
        Err(reason) => {
            explanation.sampled.reason = Some(reason);
            (None, [Vec::new(), Vec::new()])
        }
    };
    [explanation.sampled.reference_n, explanation.sampled.n] = [rows[0].len(), rows[1].len()];
    let inputs: Vec<String> = report
        .features
        .iter()
        .filter(|feature| feature.role == Role::Feature)
        .take(MAX_TOLD)
        .map(|feature| feature.feature.clone())
        .collect();
    explanation.importance = match (&columns, stated) {
        (Some(columns), stated) => importance::importance(stated, columns, &inputs, seed),
        (None, Some(by_feature)) => Importance {
            source: Some(ImportanceSource::Deployment),
            by_feature,
            ..Importance::default()
        },
        (None, None) => Importance {
            reason: explanation.sampled.reason.clone(),
            ..Importance::default()
        },
    };
    explanation.features = ranked(&report.features, &explanation.importance);
    let wanted = wanted.or_else(|| explanation.features.first().map(|first| first.feature.clone()));
    let Some(feature) = report.features.iter().find(|feature| Some(&feature.feature) == wanted.as_ref()) else {
        return;
    };
    let (grew, shrank) = grown::changes(&feature.bins);
    let (slices, effect) = match &columns {
        None => {
            let reason = explanation.sampled.reason.clone().unwrap_or_default();
            let slices = Slices {
                reason: Some(reason.clone()),
                ..Slices::default()
            };
            (slices, Effect::unknown(reason))
        }
        Some(columns) => (
            slices(columns, feature, &grew, &report.features),
            effect_of(columns, feature, &rows, learnt, settings, seed),
        ),
    };
    explanation.explained = Some(Explained {
        feature: feature.feature.clone(),
        grew,
        shrank,
        slices,
        effect,
    });
}

/// Features that moved and matter come first. What the model answered moved because of them: it comes last.
fn ranked(features: &[FeatureReport], importance: &Importance) -> Vec<RankedFeature> {
    let mut ranked: Vec<RankedFeature> = features
        .iter()
        .map(|feature| {
            let is_input = feature.role == Role::Feature;
            let known = importance.source.is_some() && is_input;
            let weight = known.then(|| importance.by_feature.get(&feature.feature).copied().unwrap_or(0.0));
            RankedFeature {
                feature: feature.feature.clone(),
                role: feature.role,
                shift: feature.shift,
                importance: weight,
                score: feature.shift.value.map(|value| value * weight.unwrap_or(1.0)),
            }
        })
        .collect();
    // Of equal scores, as of features that do not matter, the one that moved more comes first: the sort is stable.
    ranked.sort_by(|a, b| {
        let is_answer = |feature: &RankedFeature| feature.role == Role::Prediction;
        let score = |feature: &RankedFeature| feature.score.unwrap_or(-1.0);
        is_answer(a).cmp(&is_answer(b)).then_with(|| score(b).total_cmp(&score(a)))
    });
    ranked
}

fn slices(columns: &Columns, feature: &FeatureReport, grew: &[Change], features: &[FeatureReport]) -> Slices {
    let because = |reason: &str| Slices {
        reason: Some(reason.to_owned()),
        ..Slices::default()
    };
    let Some(column) = columns.by_feature.get(&feature.feature) else {
        return because("no sampled inference has this feature");
    };
    if grew.is_empty() {
        return because("no value of this feature surely grew");
    }
    let grown = grown::grown_rows(column, &feature.bins, grew);
    let others = features
        .iter()
        .filter(|other| other.role == Role::Feature && other.feature != feature.feature)
        .map(|other| other.feature.as_str())
        .take(MAX_DIMENSIONS - 1)
        .chain([SEGMENT]);
    let cells: Vec<Cells> = others
        .filter_map(|name| Some(Cells::of(name, columns.by_feature.get(name)?)))
        .collect();
    let options = Options {
        error: SLICE_ERROR,
        dispersion: feature.dispersion,
    };
    let dimensions: Vec<slice_search::Dimension> = cells.iter().map(|cells| cells.dimension.clone()).collect();
    match slice_search::search(&dimensions, [&grown[0], &grown[1]], options) {
        Ok(found) => Slices {
            tried: found.tried,
            found: found.slices.iter().map(|slice| slice_report(&cells, slice)).collect(),
            reason: None,
        },
        Err(undefined) => because(&undefined.to_string()),
    }
}

fn slice_report(cells: &[Cells], slice: &Slice) -> SliceReport {
    let measured = &slice.measured;
    let conditions = slice.conditions.iter();
    SliceReport {
        conditions: conditions
            .map(|condition| cells[condition.dimension].condition(*condition))
            .collect(),
        reference_share: measured.traffic[0],
        current_share: measured.traffic[1],
        reference_grown: measured.grown[0],
        current_grown: measured.grown[1],
        carried: measured.carried.value,
        carried_lower: measured.carried.bounds.lower,
        carried_upper: measured.carried.bounds.upper,
    }
}

fn effect_of(
    columns: &Columns,
    feature: &FeatureReport,
    rows: &[Vec<SampledInference>; 2],
    learnt: &[LabelledScores],
    settings: &ModelSettings,
    seed: u64,
) -> Effect {
    let Some(class) = &settings.positive_class else {
        return Effect::unknown("the model declares no positive class, so its scores say nothing of its accuracy");
    };
    let Some(column) = columns.by_feature.get(&feature.feature) else {
        return Effect::unknown("no sampled inference has this feature");
    };
    match effect::probabilities(learnt, [&rows[0], &rows[1]], class, seed) {
        Ok(right) => effect::effect(column, &feature.bins, &right),
        Err(undefined) => Effect::unknown(undefined.to_string()),
    }
}

/// Shared by signals and alerts: the parts of the traffic that carry a shift, in words a person reads first.
impl SliceReport {
    /// `plan = free and 20 ≤ hours < 40: 82 % of it on 6 % of the traffic`.
    pub fn in_words(&self) -> String {
        let conditions: Vec<String> = self.conditions.iter().map(SliceCondition::in_words).collect();
        format!(
            "{}: {:.0} % of it on {:.1} % of the traffic",
            conditions.join(" and "),
            100.0 * self.carried,
            100.0 * self.current_share
        )
    }
}

impl SliceCondition {
    /// `20 ≤ hours < 40`, `plan = free`, `age is absent`.
    pub fn in_words(&self) -> String {
        let name = &self.feature;
        match (&self.value, self.special, self.from, self.to) {
            (Some(value), ..) => format!("{name} = {value}"),
            (None, Some(special), ..) => format!("{name} is {}", special.in_words()),
            (None, None, Some(from), Some(to)) => format!("{from} ≤ {name} < {to}"),
            (None, None, Some(from), None) => format!("{name} ≥ {from}"),
            (None, None, None, Some(to)) => format!("{name} < {to}"),
            (None, None, None, None) => format!("{name} is a number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_said_in_words() {
        let condition = |feature: &str| SliceCondition {
            feature: feature.into(),
            ..SliceCondition::default()
        };
        let slice = SliceReport {
            conditions: vec![
                SliceCondition {
                    value: Some("free".into()),
                    ..condition("plan")
                },
                SliceCondition {
                    from: Some(20.0),
                    to: Some(40.5),
                    ..condition("hours")
                },
            ],
            reference_share: 0.05,
            current_share: 0.0612,
            reference_grown: 0.1,
            current_grown: 0.9,
            carried: 0.816,
            carried_lower: 0.7,
            carried_upper: 0.9,
        };
        assert_eq!(
            slice.in_words(),
            "plan = free and 20 ≤ hours < 40.5: 82 % of it on 6.1 % of the traffic"
        );
    }

    #[test]
    fn what_matters_comes_before_what_only_moved_and_answers_come_last() {
        let feature = |name: &str, role: Role, value: f64| FeatureReport {
            shift: ShiftReport {
                value: Some(value),
                ..ShiftReport::default()
            },
            ..FeatureReport::empty(name, role)
        };
        let features = [
            feature("prediction.label", Role::Prediction, 0.9),
            feature("noise", Role::Feature, 0.5),
            feature("age", Role::Feature, 0.2),
            feature("unstated", Role::Feature, 0.1),
        ];
        let names = |importance: &Importance| {
            let ranked = ranked(&features, importance);
            ranked.iter().map(|feature| feature.feature.clone()).collect::<Vec<_>>()
        };
        let stated = Importance {
            source: Some(ImportanceSource::Deployment),
            by_feature: BTreeMap::from([("age".to_owned(), 0.9), ("noise".to_owned(), 0.1)]),
            ..Importance::default()
        };
        assert_eq!(names(&stated), ["age", "noise", "unstated", "prediction.label"]);
        assert_eq!(names(&Importance::default()), ["noise", "age", "unstated", "prediction.label"]);
    }
}
