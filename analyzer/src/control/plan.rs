//! What a release or a new control set calls for: a baseline, fixed once, and replays.

use std::collections::BTreeSet;

use driftlead_store::clickhouse::query::live::{LiveBecause, live_version};
use driftlead_store::clock::UnixNanos;
use driftlead_store::state::control::ControlSet;
use driftlead_store::state::deployments::{Deployment, DeploymentEvent};
use driftlead_store::state::replays::{NewReplay, RequestedBy};

use super::worker::{Context, StepError};

/// Plans every release and every set that is new. One that cannot be planned does not hold up the others; it is tried
/// again at the next turn.
pub(super) async fn plan(context: &Context) -> Result<(), StepError> {
    let mut outcome = Ok(());
    for deployment in context.state.unplanned_deployments().await? {
        outcome = plan_release(context, &deployment).await.and(outcome);
    }
    for set in context.state.unplanned_control_sets().await? {
        outcome = plan_set(context, &set).await.and(outcome);
    }
    outcome
}

async fn plan_release(context: &Context, deployment: &Deployment) -> Result<(), StepError> {
    let now = context.now();
    if deployment.event == DeploymentEvent::Retired {
        context.state.plan_deployment(&deployment.id, None, &[], now).await?;
        return Ok(());
    }
    let baseline = release_baseline(context, deployment).await?;
    let mut replays = Vec::new();
    if let Some(set) = context.state.current_control_set(&deployment.model).await? {
        let version = NewReplay {
            model: deployment.model.clone(),
            version: deployment.version.clone(),
            environment: deployment.environment.clone(),
            set_id: set.id,
            requested_by: RequestedBy::Release,
            deployment_id: Some(deployment.id.clone()),
            baseline: Some(baseline.clone()),
        };
        replays.extend(baseline_replay(&version, baseline.as_deref()));
        replays.push(version);
    }
    context
        .state
        .plan_deployment(&deployment.id, baseline.as_deref(), &replays, now)
        .await?;
    tracing::info!(
        model = deployment.model,
        version = deployment.version,
        event = deployment.event.as_str(),
        baseline = baseline.as_deref().unwrap_or("none"),
        replays = replays.len(),
        "release planned"
    );
    Ok(())
}

/// The version that was live when the release was first seen or announced. A record that follows another of the
/// same release (candidate, then live, then seen in telemetry) keeps the first one's, and so does a return to a version
/// from one that was released after it: that one is no measure, it is what was left.
async fn release_baseline(context: &Context, deployment: &Deployment) -> Result<Option<String>, StepError> {
    let Deployment {
        model,
        version,
        environment,
        at,
        ..
    } = deployment;
    let earlier = context.state.release_of(model, version, environment).await?;
    if let Some(earlier) = &earlier {
        let live = live_version(&context.clickhouse, &context.state, model, environment, None, *at).await?;
        let serves = live.is_some_and(|live| live.because == LiveBecause::Traffic && live.version == *version);
        if serves || earlier.watch_until > *at {
            return Ok(earlier.baseline_version.clone());
        }
    }
    let first_seen = match &earlier {
        Some(_) => None,
        None => first_event_time(context, deployment).await?,
    };
    let began = first_seen.map_or(*at, |first| first.min(*at));
    let live = live_version(&context.clickhouse, &context.state, model, environment, Some(version), began).await?;
    let baseline = live.map(|live| live.version);
    if let (Some(earlier), Some(baseline)) = (&earlier, &baseline) {
        let of_baseline = context.state.release_of(model, baseline, environment).await?;
        if is_return(version, of_baseline.as_ref()) {
            return Ok(earlier.baseline_version.clone());
        }
    }
    Ok(baseline)
}

/// Whether the release that would be the baseline of a version has that version as its own baseline.
fn is_return(version: &str, of_baseline: Option<&Deployment>) -> bool {
    of_baseline.is_some_and(|release| release.baseline_version.as_deref() == Some(version))
}

async fn first_event_time(context: &Context, deployment: &Deployment) -> Result<Option<UnixNanos>, StepError> {
    let seen = context.state.seen_versions(Some(&deployment.model)).await?;
    Ok(seen
        .iter()
        .find(|seen| seen.version == deployment.version && seen.environment == deployment.environment)
        .map(|seen| seen.first_event_time))
}

/// The live version and every version under watch are replayed on a new set.
async fn plan_set(context: &Context, set: &ControlSet) -> Result<(), StepError> {
    let now = context.now();
    let mut targets: BTreeSet<(String, String)> = context
        .state
        .releases_in_watch(Some(&set.model), now)
        .await?
        .into_iter()
        .map(|release| (release.environment, release.version))
        .collect();
    let environments: BTreeSet<String> = context
        .state
        .seen_versions(Some(&set.model))
        .await?
        .into_iter()
        .map(|seen| seen.environment)
        .chain(targets.iter().map(|(environment, _)| environment.clone()))
        .collect();
    for environment in environments {
        if let Some(live) = live_version(&context.clickhouse, &context.state, &set.model, &environment, None, now).await? {
            targets.insert((environment, live.version));
        }
    }
    let (mut replays, mut baselines) = (Vec::new(), Vec::new());
    for (environment, version) in targets {
        let release = context.state.release_of(&set.model, &version, &environment).await?;
        let baseline = release.as_ref().and_then(|release| release.baseline_version.clone());
        let replay = NewReplay {
            model: set.model.clone(),
            version,
            environment,
            set_id: set.id.clone(),
            requested_by: RequestedBy::Set,
            deployment_id: release.map(|release| release.id),
            baseline: Some(baseline.clone()),
        };
        baselines.extend(baseline_replay(&replay, baseline.as_deref()));
        replays.push(replay);
    }
    // Last: a version that is replayed for itself is a baseline as well, the other way round it is not.
    replays.append(&mut baselines);
    context.state.plan_control_set(set, &replays, now).await?;
    tracing::info!(
        model = set.model,
        examples = set.examples,
        replays = replays.len(),
        "control set planned"
    );
    Ok(())
}

/// Fixes what the verdict on a requested replay compares with: its release's baseline, else the live version.
pub(super) async fn replay_baseline(context: &Context, model: &str, version: &str, environment: &str) -> Result<Option<String>, StepError> {
    if let Some(release) = context.state.release_of(model, version, environment).await? {
        return Ok(release.baseline_version);
    }
    let live = live_version(
        &context.clickhouse,
        &context.state,
        model,
        environment,
        Some(version),
        context.now(),
    )
    .await?;
    Ok(live.map(|live| live.version))
}

/// The replay of a baseline on the same set. It is compared with nothing: only the version is judged.
pub(super) fn baseline_replay(of: &NewReplay, baseline: Option<&str>) -> Option<NewReplay> {
    Some(NewReplay {
        version: baseline?.to_owned(),
        requested_by: RequestedBy::Baseline,
        baseline: Some(None),
        ..of.clone()
    })
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::State;
    use driftlead_store::state::deployments::NewDeployment;

    use super::*;

    #[tokio::test]
    async fn going_back_from_a_version_that_was_compared_with_this_one_is_a_return() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        let new = NewDeployment {
            model: "m".into(),
            version: "1.1".into(),
            environment: String::new(),
            event: DeploymentEvent::Live,
            retrain_id: None,
            reference: None,
            commit_id: None,
            artifact: None,
            data_version: None,
            body: serde_json::json!({}),
            at: UnixNanos(1),
        };
        let bad = state.insert_deployment(&new, UnixNanos(1)).await.unwrap();
        state.plan_deployment(&bad.id, Some("1.0"), &[], UnixNanos(2)).await.unwrap();
        let bad = state.release_of("m", "1.1", "").await.unwrap();
        for (version, of_baseline, expected) in [("1.0", bad.as_ref(), true), ("1.2", bad.as_ref(), false), ("1.0", None, false)] {
            assert_eq!(is_return(version, of_baseline), expected, "{version}");
        }
    }
}
