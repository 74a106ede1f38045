//! Drift signals of one window: shift and what libraries measure, what is missing, of another type, out of range, new.

use std::collections::BTreeSet;
use std::sync::Arc;

use driftlead_store::clickhouse::query::profiles::{Profile, ProfileQuery, environments_between, known_features, read_profiles};
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{FeatureCounts, Signal, names};
use serde_json::json;

use super::data_quality::{missing_ratio, new_category_ratio, out_of_range_ratio, type_mismatch_ratio};
use super::frame::{Estimate, Frame};
use super::{embeddings, estimated, statistics};
use crate::blocking;
use crate::context::Context;
use crate::drift::{Compared, FeatureDrift, Role, compare, decisions};
use crate::error::AnalyzerError;
use crate::reference::{Comparison, NoReference, Reference};
use crate::stats::Bounds;
use crate::stats::shift::MIN_N_FOR_DECISIONS;
use crate::window::Window;

/// How far back a feature must have been sent to be compared: the retention of minutes.
const KNOWN_SECONDS: i64 = 14 * 86_400;

/// The signals of all versions and environments of a model in a window.
pub(super) async fn signals_of_window(
    context: &Context,
    model: &str,
    window: Window,
    provisional: bool,
) -> Result<Vec<Signal>, AnalyzerError> {
    let mut signals = Vec::new();
    let settings = Arc::new(context.references.settings(model));
    for environment in environments_between(&context.clickhouse, model, window.start(), window.end).await? {
        let known = known_features(
            &context.clickhouse,
            model,
            &environment,
            window.start().plus_seconds(-KNOWN_SECONDS),
        )
        .await?;
        let known: Arc<BTreeSet<String>> = Arc::new(known.into_iter().collect());
        let query = ProfileQuery {
            model,
            environment: &environment,
            version: None,
            from: window.start(),
            until: window.end,
            without: &[],
        };
        for (version, profile) in read_profiles(&context.clickhouse, query).await? {
            let comparison = Comparison {
                model,
                version: &version,
                environment: &environment,
                window_start: window.start(),
                now: context.now(),
            };
            let reference = context.references.applying_to(comparison).await?;
            let frame = Frame {
                model,
                version: &version,
                environment: &environment,
                window,
                provisional,
            };
            signals.extend(estimated::signals_of_window(context, frame, &profile.scores, &settings).await?);
            let looks = context.days.looks(window);
            let (model, environment, version) = (model.to_owned(), environment.clone(), version.clone());
            let (known, settings) = (Arc::clone(&known), Arc::clone(&settings));
            let of_version = blocking::compute(move || {
                let frame = Frame {
                    model: &model,
                    version: &version,
                    environment: &environment,
                    window,
                    provisional,
                };
                match reference {
                    Ok(reference) => against(&frame, &reference, &profile, &known, &settings, looks),
                    Err(why) => without_reference(&frame, &profile, &why, &settings, looks),
                }
            });
            signals.extend(of_version.await?);
        }
    }
    Ok(signals)
}

/// All signals of a version against its reference.
pub(super) fn against(
    frame: &Frame<'_>,
    reference: &Reference,
    profile: &Profile,
    known: &BTreeSet<String>,
    settings: &ModelSettings,
    looks: u64,
) -> Vec<Signal> {
    let compared = Compared {
        model: frame.model,
        version: frame.version,
        window: frame.window,
        looks,
    };
    let drifts = compare(compared, reference, profile, known);
    let decisions = decisions(compared, reference, drifts.len());
    let mut signals = embeddings::against(frame, compared, reference, &profile.embeddings, decisions);
    for drift in &drifts {
        let (feature, counts) = (&drift.feature, profile.feature(&drift.feature));
        let before = &reference.data.profile.features[feature];
        signals.push(shift_signal(frame, drift, reference));
        signals.extend(statistics::signals_of(frame, drift, counts.present(), before.present()));
        if drift.role == Role::Feature {
            signals.extend(of_data(frame, feature, &counts, Some(before), settings, decisions));
            signals.extend(new_category_ratio(frame, feature, &counts, before, decisions));
        }
    }
    signals
}

/// What is wrong with the values of a feature, whatever was usual.
fn of_data(
    frame: &Frame<'_>,
    feature: &str,
    counts: &FeatureCounts,
    reference: Option<&FeatureCounts>,
    settings: &ModelSettings,
    decisions: u64,
) -> Vec<Signal> {
    let declared = settings.ranges.get(feature).copied();
    let mut signals = vec![missing_ratio(frame, feature, counts, decisions)];
    signals.extend(type_mismatch_ratio(frame, feature, counts, reference, decisions));
    signals.extend(out_of_range_ratio(frame, feature, counts, reference, declared, decisions));
    signals
}

/// What can be said of a window alone; its shift is unknown, and why.
fn without_reference(frame: &Frame<'_>, profile: &Profile, why: &NoReference, settings: &ModelSettings, looks: u64) -> Vec<Signal> {
    let code = match why {
        NoReference::NoReference(_) => "no_reference",
        NoReference::ReferenceWaiting(_) => "reference_waiting",
    };
    let decisions = (profile.features.len() as u64 + u64::from(profile.embeddings.n() > 0)) * looks;
    let mut signals = embeddings::without_reference(frame, &profile.embeddings, code, &why.to_string(), decisions);
    for (feature, counts) in &profile.features {
        signals.push(frame.insufficient(shift_name(role(feature)), feature, counts.inferences, code, why.to_string()));
        if role(feature) == Role::Feature {
            signals.extend(of_data(frame, feature, counts, None, settings, decisions));
        }
    }
    signals
}

fn shift_signal(frame: &Frame<'_>, drift: &FeatureDrift, reference: &Reference) -> Signal {
    let name = shift_name(drift.role);
    let shift = match &drift.shift {
        Ok(shift) => shift,
        Err(undefined) => return frame.insufficient(name, &drift.feature, 0, "insufficient", undefined.to_string()),
    };
    let details = json!({
        "reference": reference.info,
        "kind": drift.kind,
        "p": shift.p_value,
        "p_adjusted": drift.p_adjusted,
        "dispersion": drift.dispersion,
        "bins": shift.bins,
    });
    let (Some(lower), Some(upper)) = (shift.decision_lower, shift.decision_upper) else {
        let reason = format!(
            "{} inferences against {} of the reference: a decision takes {MIN_N_FOR_DECISIONS} on either side",
            shift.n, shift.reference_n
        );
        let mut signal = frame.insufficient(name, &drift.feature, shift.n, "insufficient", reason);
        if let (Some(known), Some(more)) = (signal.details.as_object_mut(), details.as_object()) {
            known.extend(more.clone());
        }
        return Signal {
            reference_n: shift.reference_n,
            ..signal
        };
    };
    let estimate = Estimate {
        value: shift.value,
        shown: Some(Bounds {
            lower: shift.lower,
            upper: shift.upper,
        }),
        decided: Some(Bounds { lower, upper }),
    };
    let signal = frame.signal(name, &drift.feature, estimate, shift.n, details);
    Signal {
        reference_n: shift.reference_n,
        ..signal
    }
}

fn role(feature: &str) -> Role {
    if driftlead_store::records::pseudo::is_prediction(feature) {
        Role::Prediction
    } else {
        Role::Feature
    }
}

fn shift_name(role: Role) -> &'static str {
    match role {
        Role::Feature => names::FEATURE_SHIFT,
        Role::Prediction => names::PREDICTION_SHIFT,
    }
}
