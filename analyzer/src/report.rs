//! Drift on demand, for the API: `GET /api/v1/models/{model}/drift`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftlead_store::clickhouse::query::generations::newest_profiled_minute;
use driftlead_store::clickhouse::query::positive::Positive;
use driftlead_store::clickhouse::query::profiles::{
    Profile, ProfileQuery, environments_between, known_features, profile_sources, profiles_now, read_profiles_from,
};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::dirty::DirtyConsumer;
use serde::Serialize;

use crate::blocking;
use crate::budget::Budget;
use crate::drift::{Compared, FeatureDrift, Role, ValueKind, compare, decision_error};
use crate::embedding_drift::{self, EmbeddingDrift, NotCompared};
use crate::error::AnalyzerError;
use crate::reference::{Comparison, NoReference, Reference, ReferenceInfo, References};
use crate::statistics::Statistics;
use crate::stats::shift::{Bin, MIN_N_FOR_DECISIONS};
use crate::window::{DAY_SECONDS, HOUR_SECONDS, Window};

/// How far back a feature must have been sent to be compared: the retention of minutes.
const KNOWN_SECONDS: i64 = 14 * 86_400;
/// Minutes that are computed for one look, the newest: those that the watermark has not passed, and some that late data
/// changed. More would make a person wait for seconds.
const MAX_FRESH_MINUTES: usize = 15;

/// What is asked for; what is not said is chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DriftRequest {
    /// The model.
    pub model: String,
    /// The environment; unsaid: the one with the most traffic in the window.
    pub environment: Option<String>,
    /// The version; unsaid: the one with the most traffic in the window.
    pub version: Option<String>,
    /// A segment; unsaid: all traffic together.
    pub segment: Option<String>,
    /// A reference by its name; unsaid: the one that applies to the version.
    pub reference: Option<String>,
    /// Start of the window; unsaid: the latest full hour with enough records, else the latest day.
    pub from: Option<UnixNanos>,
    /// Exclusive end of the window.
    pub to: Option<UnixNanos>,
}

/// How far a version moved from its reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftReport {
    /// The model.
    pub model: String,
    /// The environment.
    pub environment: String,
    /// The version; empty where senders state none, or nothing came.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// Start of the window.
    pub from: UnixNanos,
    /// Exclusive end of the window.
    pub to: UnixNanos,
    /// What it was compared with.
    pub reference: Option<ReferenceInfo>,
    /// Why there is nothing to show: `no_data`, `no_reference` or `reference_waiting`.
    pub unknown: Option<&'static str>,
    /// The same in words.
    pub reason: Option<String>,
    /// Inferences in the window.
    pub n: u64,
    /// Inferences or rows of the reference.
    pub reference_n: u64,
    /// By feature, the one that moved most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureReport>,
    /// Of the embeddings, where there are any on either side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingReport>,
}

/// How far embeddings moved.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EmbeddingReport {
    /// What made those that were compared; empty where senders do not say.
    pub encoder: String,
    /// Numbers in each of them.
    pub dimensions: Option<u32>,
    /// The distance; every part `None` where it is unknown.
    pub shift: ShiftReport,
    /// Why it is unknown, or not fit for a decision.
    pub unknown: Option<&'static str>,
    /// The same in words.
    pub reason: Option<String>,
    /// Projections of 64 along which something surely moved.
    pub moved_projections: usize,
    /// Embeddings of the window that were compared.
    pub n: u64,
    /// Embeddings of the window that were not: of other kinds, or without a direction.
    pub left_out: u64,
    /// Embeddings of the reference that were compared.
    pub reference_n: u64,
}

/// How far one feature moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureReport {
    /// Its name.
    pub feature: String,
    /// Input or answer.
    pub role: Role,
    /// Numbers or categories.
    pub kind: ValueKind,
    /// The distance; every part `None` where it is unknown.
    pub shift: ShiftReport,
    /// Why it is unknown, or not fit for a decision.
    pub unknown: Option<&'static str>,
    /// The same in words.
    pub reason: Option<String>,
    /// p-value of "nothing moved", adjusted for all features.
    pub p_adjusted: Option<f64>,
    /// Inferences in the window.
    pub n: u64,
    /// Inferences or rows of the reference.
    pub reference_n: u64,
    /// Both distributions.
    pub bins: Vec<Bin>,
    /// What libraries measure.
    pub statistics: Statistics,
    /// The factor by which the variance of the decision was inflated.
    pub dispersion: f64,
}

impl FeatureReport {
    /// Of a feature of which nothing is known.
    #[cfg(test)]
    pub(crate) fn empty(feature: &str, role: Role) -> Self {
        feature_report(FeatureDrift {
            feature: feature.to_owned(),
            role,
            kind: ValueKind::Numeric,
            shift: Err(crate::stats::Undefined::because("nothing is known")),
            p_adjusted: None,
            statistics: Statistics::of_profiles(
                ValueKind::Numeric,
                &driftlead_store::records::FeatureCounts::default(),
                &driftlead_store::records::FeatureCounts::default(),
            ),
            dispersion: 1.0,
        })
    }
}

/// The distance with its bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ShiftReport {
    /// The share of the traffic that moved.
    pub value: Option<f64>,
    /// Lower bound for display.
    pub lower: Option<f64>,
    /// Upper bound for display.
    pub upper: Option<f64>,
    /// The bound that rules compare; `None` with too few records.
    pub decision_lower: Option<f64>,
}

/// Compares a window of a model with a reference.
///
/// # Errors
/// Telemetry or state cannot be read, or `from` does not lie before `to`.
pub async fn drift_between(references: &References, request: &DriftRequest, now: UnixNanos) -> Result<DriftReport, AnalyzerError> {
    let window = window_of(references, request, now).await?;
    let (environment, version, profile) = traffic_of(references, request, window).await?;
    let profile = Arc::new(profile);
    let mut report = DriftReport {
        model: request.model.clone(),
        environment: environment.clone(),
        version: version.clone(),
        segment: request.segment.clone().unwrap_or_default(),
        from: window.start(),
        to: window.end,
        reference: None,
        unknown: None,
        reason: None,
        n: profile.inferences,
        reference_n: 0,
        features: Vec::new(),
        embedding: None,
    };
    if profile.inferences == 0 {
        report.unknown = Some("no_data");
        report.reason = Some("there are no inferences of this version in the window".to_owned());
        return Ok(report);
    }
    let comparison = Comparison {
        model: &request.model,
        version: &version,
        environment: &environment,
        segment: request.segment.as_deref().unwrap_or_default(),
        window_start: window.start(),
        window_seconds: window.seconds,
        now,
    };
    let reference = match &request.reference {
        Some(name) => references.named(comparison, name).await?,
        None => references.applying_to(comparison).await?,
    };
    match reference {
        Ok(reference) => fill(references, &mut report, &reference, &profile, window).await?,
        Err(why) => {
            report.unknown = Some(match why {
                NoReference::NoReference(_) => "no_reference",
                NoReference::ReferenceWaiting(_) => "reference_waiting",
            });
            report.reason = Some(why.to_string());
        }
    }
    Ok(report)
}

async fn fill(
    references: &References,
    report: &mut DriftReport,
    reference: &Arc<Reference>,
    profile: &Arc<Profile>,
    window: Window,
) -> Result<(), AnalyzerError> {
    let known = known(references, report, reference, profile, window).await?;
    let [model, version, segment] = [&report.model, &report.version, &report.segment].map(String::clone);
    let (compared_with, profile) = (Arc::clone(reference), Arc::clone(profile));
    let (mut features, embedding) = blocking::compute(move || {
        // Somebody looks once: what rules decide is in the signals.
        let compared = Compared {
            model: &model,
            version: &version,
            segment: &segment,
            window,
            budget: Budget::ONE_LOOK,
        };
        let drifts = compare(compared, &compared_with, &profile, &known);
        let decision_error = decision_error(compared, &compared_with, drifts.len());
        let embedding = embedding_drift::compare(compared, decision_error, &compared_with, &profile.embeddings);
        let features: Vec<FeatureReport> = drifts.into_iter().map(feature_report).collect();
        (features, embedding.map(embedding_report))
    })
    .await?;
    features.sort_by(|a, b| {
        b.shift
            .value
            .unwrap_or(-1.0)
            .total_cmp(&a.shift.value.unwrap_or(-1.0))
            .then_with(|| a.feature.cmp(&b.feature))
    });
    report.reference = Some(reference.info.clone());
    report.reference_n = reference.info.rows;
    report.features = features;
    report.embedding = embedding;
    Ok(())
}

/// The features that are compared where the reference has them: those of the window, and those that were sent shortly before it.
async fn known(
    references: &References,
    report: &DriftReport,
    reference: &Reference,
    profile: &Profile,
    window: Window,
) -> Result<BTreeSet<String>, AnalyzerError> {
    // What was sent for the first time in the last minute is not among the profiles yet.
    let mut known: BTreeSet<String> = profile.features.keys().cloned().collect();
    let of_reference = &reference.data.profile.features;
    if of_reference.keys().all(|feature| known.contains(feature)) {
        return Ok(known);
    }
    let known_since = ProfileQuery {
        model: &report.model,
        environment: &report.environment,
        version: None,
        segment: None,
        from: window.start().plus_seconds(-KNOWN_SECONDS).floor_to(i64::from(DAY_SECONDS)),
        until: window.end,
        without: &[],
    };
    known.extend(known_features(references.clickhouse(), known_since).await?);
    Ok(known)
}

fn embedding_report(found: Result<EmbeddingDrift, NotCompared>) -> EmbeddingReport {
    let drift = match found {
        Ok(drift) => drift,
        Err(why) => {
            return EmbeddingReport {
                unknown: Some(why.code),
                reason: Some(why.reason),
                ..EmbeddingReport::default()
            };
        }
    };
    let shift = drift.shift;
    let is_decided = shift.decision_lower.is_some();
    EmbeddingReport {
        encoder: drift.kind.encoder,
        dimensions: Some(drift.kind.dimensions),
        shift: ShiftReport {
            value: Some(shift.value),
            lower: Some(shift.lower),
            upper: Some(shift.upper),
            decision_lower: shift.decision_lower,
        },
        unknown: (!is_decided).then_some("insufficient"),
        reason: (!is_decided).then(|| format!("a decision takes {MIN_N_FOR_DECISIONS} embeddings on either side")),
        moved_projections: shift.moved_projections,
        n: shift.n,
        left_out: drift.left_out,
        reference_n: shift.reference_n,
    }
}

fn feature_report(drift: FeatureDrift) -> FeatureReport {
    let mut report = FeatureReport {
        feature: drift.feature,
        role: drift.role,
        kind: drift.kind,
        shift: ShiftReport::default(),
        unknown: None,
        reason: None,
        p_adjusted: drift.p_adjusted,
        n: 0,
        reference_n: 0,
        bins: Vec::new(),
        statistics: drift.statistics,
        dispersion: drift.dispersion,
    };
    match drift.shift {
        Ok(shift) => {
            if shift.decision_lower.is_none() {
                report.unknown = Some("insufficient");
                report.reason = Some(format!("a decision takes {MIN_N_FOR_DECISIONS} inferences on either side"));
            }
            report.shift = ShiftReport {
                value: Some(shift.value),
                lower: Some(shift.lower),
                upper: Some(shift.upper),
                decision_lower: shift.decision_lower,
            };
            (report.n, report.reference_n, report.bins) = (shift.n, shift.reference_n, shift.bins);
        }
        Err(undefined) => {
            report.unknown = Some("insufficient");
            report.reason = Some(undefined.to_string());
        }
    }
    report
}

async fn window_of(references: &References, request: &DriftRequest, now: UnixNanos) -> Result<Window, AnalyzerError> {
    if let (Some(from), Some(to)) = (request.from, request.to) {
        let (from, to) = (from.floor_to(60), to.floor_to(60));
        let seconds = u32::try_from(to.seconds() - from.seconds()).ok().filter(|&seconds| seconds > 0);
        let wrong = || AnalyzerError::Reference(format!("from {from} to {to} there is no minute: `from` has to lie before `to`"));
        return Ok(Window {
            end: to,
            seconds: seconds.ok_or_else(wrong)?,
        });
    }
    let until = match request.to {
        Some(to) => to.floor_to(60),
        None => newest_minute(references, &request.model, now)
            .await?
            .map_or(now, |minute| minute.plus_seconds(60)),
    };
    if let Some(from) = request.from {
        return window_from(from, until, now);
    }
    let hour = Window {
        end: until.floor_to(i64::from(HOUR_SECONDS)),
        seconds: HOUR_SECONDS,
    };
    let (_, _, profile) = traffic_of(references, request, hour).await?;
    let is_enough = profile.inferences >= MIN_N_FOR_DECISIONS;
    Ok(if is_enough {
        hour
    } else {
        Window {
            end: until,
            seconds: DAY_SECONDS,
        }
    })
}

/// The window that begins at `from` and ends with what is known; where that lies before it, with the present.
fn window_from(from: UnixNanos, until: UnixNanos, now: UnixNanos) -> Result<Window, AnalyzerError> {
    let from = from.floor_to(60);
    let end = if until > from { until } else { now.floor_to(60).plus_seconds(60) };
    let seconds = u32::try_from(end.seconds() - from.seconds()).ok().filter(|&seconds| seconds > 0);
    let wrong = || {
        AnalyzerError::Reference(format!(
            "`from` is {from}, there is no traffic from then on: it has to lie in the past"
        ))
    };
    Ok(Window {
        end,
        seconds: seconds.ok_or_else(wrong)?,
    })
}

/// The newest minute with inferences, profiled or not.
async fn newest_minute(references: &References, model: &str, now: UnixNanos) -> Result<Option<UnixNanos>, AnalyzerError> {
    let profiled = newest_profiled_minute(references.clickhouse(), model).await?;
    let since = now.plus_seconds(-KNOWN_SECONDS);
    let dirty = references
        .state()
        .dirty_minutes_between(DirtyConsumer::Profiles, model, since, now.plus_seconds(i64::from(HOUR_SECONDS)), 1)
        .await?;
    Ok(profiled.max(dirty.first().map(|&minute| UnixNanos::from_seconds(minute))))
}

/// The minutes of a window that are not profiled as they are now, and their profiles by environment and version.
async fn fresh(
    references: &References,
    request: &DriftRequest,
    window: Window,
) -> Result<(Vec<i64>, BTreeMap<(String, String), Profile>), AnalyzerError> {
    let minutes = references
        .state()
        .dirty_minutes_between(
            DirtyConsumer::Profiles,
            &request.model,
            window.start(),
            window.end,
            MAX_FRESH_MINUTES,
        )
        .await?;
    let settings = references.settings(&request.model);
    let profiles = profiles_now(
        references.clickhouse(),
        &request.model,
        Positive::of(&settings),
        request.segment.as_deref(),
        &minutes,
    )
    .await?;
    Ok((minutes, profiles))
}

/// The environment and version that are asked for, or those with the most traffic, and their profile.
async fn traffic_of(references: &References, request: &DriftRequest, window: Window) -> Result<(String, String, Profile), AnalyzerError> {
    let (without, fresh) = fresh(references, request, window).await?;
    let whole = ProfileQuery {
        model: &request.model,
        environment: request.environment.as_deref().unwrap_or_default(),
        version: request.version.as_deref(),
        segment: request.segment.as_deref(),
        from: window.start(),
        until: window.end,
        without: &without,
    };
    let clickhouse = references.clickhouse();
    let asked = async {
        match &request.environment {
            Some(environment) => Ok(vec![environment.clone()]),
            None => environments_between(clickhouse, &request.model, window.start(), window.end).await,
        }
    };
    let (environments, sources) = tokio::try_join!(asked, profile_sources(clickhouse, whole))?;
    let is_asked = |environment: &str| request.environment.as_deref().is_none_or(|asked| asked == environment);
    let of_fresh = fresh.keys().map(|(environment, _)| environment.clone());
    let environments: BTreeSet<String> = environments
        .into_iter()
        .chain(of_fresh.filter(|environment| is_asked(environment)))
        .collect();
    let mut best = (
        request.environment.clone().unwrap_or_default(),
        request.version.clone().unwrap_or_default(),
        Profile::default(),
    );
    for environment in environments {
        let query = ProfileQuery {
            environment: &environment,
            ..whole
        };
        let mut profiles = read_profiles_from(clickhouse, query, &sources).await?;
        let is_asked_for = |version: &String| request.version.as_ref().is_none_or(|asked| asked == version);
        for ((_, version), profile) in fresh
            .iter()
            .filter(|((of, version), _)| *of == environment && is_asked_for(version))
        {
            profiles.entry(version.clone()).or_default().merge(profile);
        }
        for (version, profile) in profiles {
            if profile.inferences > best.2.inferences {
                best = (environment.clone(), version, profile);
            }
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_from_an_instant_ends_with_what_is_known_and_is_never_another() {
        let at = UnixNanos::from_seconds;
        let check = |from: i64, until: i64, expected: Option<(i64, u32)>| {
            let window = window_from(at(from), at(until), at(100_030)).ok();
            assert_eq!(
                window.map(|window| (window.end.seconds(), window.seconds)),
                expected,
                "{from} {until}"
            );
        };
        check(96_000, 99_960, Some((99_960, 3_960)));
        // Nothing came since: the window is empty, not the last day.
        check(99_960, 99_000, Some((100_080, 120)));
        check(200_000, 99_000, None);
    }
}
