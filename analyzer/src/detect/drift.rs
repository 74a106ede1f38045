//! Drift signals of one window: shift and what libraries measure, what is missing, of another type, out of range, new.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftlead_store::clickhouse::query::profiles::{
    Profile, ProfileQuery, environments_between, known_features, read_profiles, read_segment_profiles,
};
use driftlead_store::clickhouse::query::segments::segments_served;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{FeatureCounts, Signal, names};
use serde_json::json;

use super::beside::beside;
use super::data_quality::{missing_ratio, new_category_ratio, out_of_range_ratio, type_mismatch_ratio};
use super::frame::{Estimate, Frame};
use super::sampled::Looked;
use super::{causes, clusters, duplicates, embeddings, estimated, experiment, sampled, statistics, texts};
use crate::blocking;
use crate::budget::Budget;
use crate::context::Context;
use crate::drift::{Compared, FeatureDrift, Role, compare, decision_error};
use crate::error::AnalyzerError;
use crate::reference::{Comparison, NoReference, Reference, ReferenceInfo};
use crate::stats::Bounds;
use crate::stats::shift::MIN_N_FOR_DECISIONS;
use crate::window::{DAY_SECONDS, Window};

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
    let mut inferences = 0;
    let settings = Arc::new(context.references.settings(model));
    for environment in environments_between(&context.clickhouse, model, window.start(), window.end).await? {
        let query = ProfileQuery {
            model,
            environment: &environment,
            version: None,
            segment: None,
            from: window.start(),
            until: window.end,
            without: &[],
        };
        let known_since = ProfileQuery {
            from: window.start().plus_seconds(-KNOWN_SECONDS).floor_to(i64::from(DAY_SECONDS)),
            ..query
        };
        let known = known_features(&context.clickhouse, known_since).await?;
        let known: Arc<BTreeSet<String>> = Arc::new(known.into_iter().collect());
        let profiles = read_profiles(&context.clickhouse, query).await?;
        let budget = context.budget(window).shared_by(profiles.len());
        inferences += profiles.values().map(|profile| profile.inferences).sum::<u64>();
        for (version, profile) in profiles {
            let frame = Frame {
                model,
                version: &version,
                environment: &environment,
                segment: "",
                window,
                provisional,
            };
            signals.extend(estimated::signals_of_window(context, frame, &profile.scores, &settings).await?);
            let looked = looked(&profile, budget);
            let new_cluster = clusters::new_cluster_ratio(context, &frame, looked.inferences, looked.decision_error);
            signals.extend(beside(&frame, "new clusters", new_cluster).await);
            let (mut of_version, reference) = compared(context, frame, profile, &known, &settings, budget).await?;
            causes::add(context, &frame, &mut of_version).await;
            signals.extend(of_version);
            let of_texts = texts::signals_of(context, &frame, reference.as_ref(), looked.inferences, looked.decision_error);
            signals.extend(beside(&frame, "texts", of_texts).await);
            if let Some(reference) = &reference {
                let of_samples = sampled::signals_of(context, &frame, reference, looked);
                signals.extend(beside(&frame, "samples", of_samples).await);
            }
        }
        if !provisional {
            signals.extend(of_segments(context, query, window, &known, &settings, budget).await?);
        }
    }
    if !provisional {
        let frame = Frame::of_all(model, window);
        let repeated = duplicates::signals_of_window(context, model, window, inferences, context.budget(window));
        signals.extend(beside(&frame, "duplicates", repeated).await);
        signals.extend(beside(&frame, "experiments", experiment::signals_of_window(context, model, window)).await);
    }
    Ok(signals)
}

/// What a sample of the inferences of a profile is looked at for.
fn looked(profile: &Profile, budget: Budget) -> Looked {
    let features = profile.features.keys().filter(|feature| role(feature) == Role::Feature);
    Looked {
        inferences: profile.inferences,
        features: features.cloned().collect(),
        has_embeddings: profile.embeddings.n() > 0,
        decision_error: budget.decision_error(profile.features.len() + 3),
    }
}

/// The signals of the segments of all versions, each against the same segment of the reference. An hour that still runs has
/// none: nobody decides by it.
async fn of_segments(
    context: &Context,
    query: ProfileQuery<'_>,
    window: Window,
    known: &Arc<BTreeSet<String>>,
    settings: &Arc<ModelSettings>,
    budget: Budget,
) -> Result<Vec<Signal>, AnalyzerError> {
    let served = segments_served(&context.clickhouse, query, MIN_N_FOR_DECISIONS, context.max_segments).await?;
    let segments: BTreeSet<String> = served.iter().map(|of| of.segment.clone()).collect();
    let segments: Vec<String> = segments.into_iter().collect();
    let mut profiles = read_segment_profiles(&context.clickhouse, query, &segments).await?;
    let mut by_version: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for of in served {
        by_version.entry(of.version).or_default().push(of.segment);
    }
    let mut signals = Vec::new();
    for (version, segments) in by_version {
        // A rule about segments looks at all of them.
        let budget = budget.shared_by(segments.len());
        for segment in segments {
            let Some(profile) = profiles.remove(&(version.clone(), segment.clone())) else {
                continue;
            };
            let frame = Frame {
                model: query.model,
                version: &version,
                environment: query.environment,
                segment: &segment,
                window,
                provisional: false,
            };
            signals.extend(compared(context, frame, profile, known, settings, budget).await?.0);
        }
    }
    Ok(signals)
}

/// The signals of the traffic of a frame against the reference that applies to it, and which one that is.
async fn compared(
    context: &Context,
    frame: Frame<'_>,
    profile: Profile,
    known: &Arc<BTreeSet<String>>,
    settings: &Arc<ModelSettings>,
    budget: Budget,
) -> Result<(Vec<Signal>, Option<ReferenceInfo>), AnalyzerError> {
    let Frame { window, provisional, .. } = frame;
    let comparison = Comparison {
        model: frame.model,
        version: frame.version,
        environment: frame.environment,
        segment: frame.segment,
        window_start: window.start(),
        window_seconds: window.seconds,
        now: context.now(),
    };
    let reference = context.references.applying_to(comparison).await?;
    let [model, version, environment, segment] = [frame.model, frame.version, frame.environment, frame.segment].map(str::to_owned);
    let (known, settings) = (Arc::clone(known), Arc::clone(settings));
    let applied = reference.as_ref().ok().map(|reference| reference.info.clone());
    let signals = blocking::compute(move || {
        let frame = Frame {
            model: &model,
            version: &version,
            environment: &environment,
            segment: &segment,
            window,
            provisional,
        };
        match reference {
            Ok(reference) => against(&frame, &reference, &profile, &known, &settings, budget),
            Err(why) => without_reference(&frame, &profile, &why, &settings, budget),
        }
    });
    Ok((signals.await?, applied))
}

/// All signals of a version against its reference.
pub(super) fn against(
    frame: &Frame<'_>,
    reference: &Reference,
    profile: &Profile,
    known: &BTreeSet<String>,
    settings: &ModelSettings,
    budget: Budget,
) -> Vec<Signal> {
    if reference.info.rows == 0 {
        let why = NoReference::NoReference(format!(
            "the reference has no inferences of the segment {:?}: it is new",
            frame.segment
        ));
        return without_reference(frame, profile, &why, settings, budget);
    }
    let compared = Compared {
        model: frame.model,
        version: frame.version,
        segment: frame.segment,
        window: frame.window,
        budget,
    };
    let drifts = compare(compared, reference, profile, known);
    let decision_error = decision_error(compared, reference, drifts.len());
    let mut signals = embeddings::against(frame, compared, reference, &profile.embeddings, decision_error);
    for drift in &drifts {
        let (feature, counts) = (&drift.feature, profile.feature(&drift.feature));
        let before = &reference.data.profile.features[feature];
        signals.push(shift_signal(frame, drift, reference));
        if frame.segment.is_empty() {
            signals.extend(statistics::signals_of(frame, drift, counts.present(), before.present()));
        }
        if drift.role == Role::Feature {
            signals.extend(of_data(frame, feature, &counts, Some(before), settings, decision_error));
            signals.extend(new_category_ratio(frame, feature, &counts, before, decision_error));
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
    decision_error: f64,
) -> Vec<Signal> {
    let declared = settings.ranges.get(feature).copied();
    let mut signals = vec![missing_ratio(frame, feature, counts, decision_error)];
    signals.extend(type_mismatch_ratio(frame, feature, counts, reference, decision_error));
    signals.extend(out_of_range_ratio(frame, feature, counts, reference, declared, decision_error));
    signals
}

/// What can be said of a window alone; its shift is unknown, and why.
fn without_reference(frame: &Frame<'_>, profile: &Profile, why: &NoReference, settings: &ModelSettings, budget: Budget) -> Vec<Signal> {
    let code = match why {
        NoReference::NoReference(_) => "no_reference",
        NoReference::ReferenceWaiting(_) => "reference_waiting",
    };
    let decision_error = budget.decision_error(profile.features.len() + usize::from(profile.embeddings.n() > 0));
    let mut signals = embeddings::without_reference(frame, &profile.embeddings, code, &why.to_string(), decision_error);
    for (feature, counts) in &profile.features {
        signals.push(frame.insufficient(shift_name(role(feature)), feature, counts.inferences, code, why.to_string()));
        if role(feature) == Role::Feature {
            signals.extend(of_data(frame, feature, counts, None, settings, decision_error));
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
