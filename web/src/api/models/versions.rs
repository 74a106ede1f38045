//! The versions of one model, the one deployed last first.

use std::collections::{BTreeSet, HashMap};

use driftlead_store::records::names;
use driftlead_store::state::deployments::DeploymentEvent;

use super::known::Known;
use crate::error::Problem;
use crate::state::WebState;
use crate::view::metric::Metric;
use crate::view::model::{RollbackOption, VersionRow, share};
use crate::view::release::{ReplaySummary, Verdict};

impl Known {
    pub(super) async fn versions(
        &self,
        app: &WebState,
        model: &str,
        environment: &str,
        live: Option<&str>,
    ) -> Result<Vec<VersionRow>, Problem> {
        let seen = self
            .seen
            .iter()
            .filter(|seen| seen.environment == environment)
            .map(|seen| seen.version.clone());
        let announced = self
            .deployed
            .iter()
            .filter(|row| row.environment == environment)
            .map(|row| row.version.clone());
        let versions: BTreeSet<String> = seen.chain(announced).collect();
        let replays = app.state.replays(model).await?;
        let deployments = app.state.deployments(Some(model)).await?;
        let verdicts = app.state.latest_verdicts(model, environment).await?;
        let offered: Vec<_> = versions
            .iter()
            .map(|version| (version.as_str(), verdicts.get(version).map(|verdict| verdict.verdict)))
            .collect();
        let options = app.commands.rollback_options(model, environment, &offered, live).await?;
        let options: HashMap<&str, _> = offered.iter().map(|(version, _)| *version).zip(options).collect();
        let traffic = self.traffic_of(model, environment);
        let mut rows = Vec::new();
        for version in versions.iter().cloned() {
            let seen = self
                .seen
                .iter()
                .find(|seen| seen.environment == environment && seen.version == version);
            let release = deployments
                .iter()
                .find(|deployment| deployment.environment == environment && deployment.version == version);
            let deployed = self
                .deployed
                .iter()
                .find(|row| row.environment == environment && row.version == version);
            let verdict = verdicts.get(&version).cloned();
            let refusal = options.get(version.as_str()).and_then(|option| option.refusal.as_ref());
            let replay = replays
                .iter()
                .find(|replay| replay.environment == environment && replay.version == version);
            let f1 = self
                .latest
                .iter()
                .filter(|signal| signal.name == names::F1 && signal.environment == environment && signal.version == version);
            let f1 = f1.max_by_key(|signal| (signal.value.is_some(), signal.window_end));
            let counted = self
                .counted
                .iter()
                .filter(|row| row.environment == environment && row.version == version);
            rows.push(VersionRow {
                state: version_state(release.map(|release| release.event), live == Some(&version)),
                share: share(&traffic, &version),
                first_seen_at: seen.map(|seen| seen.first_event_time),
                last_seen_at: seen.map(|seen| seen.last_event_time),
                deployed_at: deployed.and_then(|row| row.live_at),
                inferences: counted.map(|row| row.inferences).sum(),
                baseline_version: release.and_then(|release| release.baseline_version.clone()),
                commit: release.and_then(|release| release.commit_id.clone()),
                artifact: release.and_then(|release| release.artifact.clone()),
                data_version: release.and_then(|release| release.data_version.clone()),
                retrain_id: release.and_then(|release| release.retrain_id.clone()),
                watch_until: release.map(|release| release.watch_until),
                replay: replay.map(|replay| {
                    let its = verdict.as_ref().filter(|verdict| verdict.replay_id == replay.id);
                    ReplaySummary::new(replay, its.map(|verdict| verdict.verdict))
                }),
                f1: f1.map(|signal| Metric::from_signal(names::F1, Some(signal), "no_labels")),
                rollback: RollbackOption {
                    allowed: refusal.is_none(),
                    refusal: refusal.map(|refusal| refusal.code()),
                    ungated: verdict.is_none(),
                    // A person need not wait for it.
                    cooling_down_until: None,
                },
                verdict: verdict.map(Verdict::from),
                environment: environment.to_owned(),
                version,
            });
        }
        rows.sort_by(|a, b| (b.deployed_at.or(b.first_seen_at), &b.version).cmp(&(a.deployed_at.or(a.first_seen_at), &a.version)));
        Ok(rows)
    }
}

fn version_state(event: Option<DeploymentEvent>, is_live: bool) -> &'static str {
    match event {
        _ if is_live => "live",
        Some(DeploymentEvent::Candidate) => "candidate",
        Some(DeploymentEvent::Retired | DeploymentEvent::Live) => "retired",
        Some(DeploymentEvent::Seen) | None => "seen",
    }
}
