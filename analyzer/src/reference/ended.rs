//! Profiling named stretches of telemetry as soon as they have ended: their minutes are kept for days, the window that is
//! first compared with them may come later.

use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ReferenceSettings;
use driftlead_store::state::references::ReferenceState;

use super::resolve::Comparison;
use super::telemetry::Stretch;
use crate::context::Context;
use crate::error::AnalyzerError;

/// Profiles the pinned references that have ended and are complete.
///
/// # Errors
/// Telemetry or state cannot be reached. A reference that cannot be profiled is no error: it is looked at again.
pub(crate) async fn profile_what_ended(context: &Context) -> Result<(), AnalyzerError> {
    for model in context.activity.models() {
        if let Some(stretch) = declared(context, &model) {
            for environment in context.activity.environments(&model) {
                let of = of(&model, &environment, context.now());
                log(profile_declared(context, of, stretch.clone()).await, &model)?;
            }
        }
    }
    for set in context.state.waiting_stretches(context.now()).await? {
        let (Some(from), Some(to)) = (set.from, set.to) else { continue };
        for environment in context.activity.environments(&set.model) {
            let of = of(&set.model, &environment, context.now());
            let found = context.references.named_stretch(of, set.clone(), from, to).await;
            log(found.map(|_| ()), &set.model)?;
        }
    }
    Ok(())
}

fn declared(context: &Context, model: &str) -> Option<Stretch> {
    let Some(ReferenceSettings::Pinned(from, to)) = context.references.settings(model).reference else {
        return None;
    };
    let (from, to) = (UnixNanos::parse(&from).ok()?, UnixNanos::parse(&to).ok()?);
    (from < to && to <= context.now()).then(|| Stretch::new(from, to, None))
}

async fn profile_declared(context: &Context, of: Comparison<'_>, stretch: Stretch) -> Result<(), AnalyzerError> {
    let name = of.kept_as("@pinned");
    let known = context.state.reference(of.model, &name).await?;
    let is_settled = known.is_some_and(|set| set.state != ReferenceState::Waiting && stretch.is_that_of(&set));
    if !is_settled {
        // Why it cannot be profiled yet is said where a window is compared with it.
        let _ = context.references.pinned(of, &name, stretch).await?;
    }
    Ok(())
}

fn of<'a>(model: &'a str, environment: &'a str, now: UnixNanos) -> Comparison<'a> {
    Comparison {
        model,
        version: "",
        environment,
        segment: "",
        window_start: now,
        window_seconds: 0,
        now,
    }
}

fn log(outcome: Result<(), AnalyzerError>, model: &str) -> Result<(), AnalyzerError> {
    match outcome {
        Err(error) if !error.is_everybodys() => {
            tracing::warn!(model, %error, "a reference could not be profiled; it is tried again");
            Ok(())
        }
        other => other,
    }
}
