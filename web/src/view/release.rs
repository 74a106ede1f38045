//! Releases, replays and verdicts.

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::deployments::{Deployment as StoredDeployment, DeploymentEvent};
use driftlead_store::state::replays::{Replay, ReplayState};
use driftlead_store::state::verdicts::{Verdict as StoredVerdict, VerdictKind};
use serde::Serialize;

/// A release.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// `dep_…`.
    pub id: String,
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// The environment.
    pub environment: String,
    /// What happened.
    pub event: DeploymentEvent,
    /// `api` or `telemetry`.
    pub source: String,
    /// When it took effect.
    pub at: UnixNanos,
    /// What it is compared with.
    pub baseline_version: Option<String>,
    /// The retraining that made it.
    pub retrain_id: Option<String>,
    /// Its commit.
    pub commit: Option<String>,
    /// Its files.
    pub artifact: Option<String>,
    /// Its data.
    pub data_version: Option<String>,
}

impl From<StoredDeployment> for Deployment {
    fn from(stored: StoredDeployment) -> Self {
        Self {
            id: stored.id,
            model: stored.model,
            version: stored.version,
            environment: stored.environment,
            event: stored.event,
            source: stored.source,
            at: stored.at,
            baseline_version: stored.baseline_version,
            retrain_id: stored.retrain_id,
            commit: stored.commit_id,
            artifact: stored.artifact,
            data_version: stored.data_version,
        }
    }
}

/// A replay in a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplaySummary {
    /// `rpl_…`.
    pub id: String,
    /// The version that answered.
    pub version: String,
    /// How far it is.
    pub state: ReplayState,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// When it ended, else when it was queued.
    pub at: UnixNanos,
    /// Examples of the set.
    pub examples: u64,
    /// F1.
    pub f1: Option<f64>,
    /// Accuracy.
    pub accuracy: Option<f64>,
    /// 95th percentile of latency.
    pub latency_p95_ms: Option<f64>,
    /// What the gate said.
    pub verdict: Option<VerdictKind>,
}

impl ReplaySummary {
    /// From the replay and its verdict.
    pub fn new(replay: &Replay, verdict: Option<VerdictKind>) -> Self {
        let metrics = replay.metrics.as_ref().unwrap_or(&serde_json::Value::Null);
        let metric = |name: &str| number(&metrics[name]);
        let examples = |name: &str| metrics[name].as_u64().unwrap_or(0);
        Self {
            id: replay.id.clone(),
            version: replay.version.clone(),
            state: replay.state,
            reason: replay.reason.clone(),
            at: replay.finished_at.unwrap_or(replay.created_at),
            examples: examples("answered") + examples("unanswered"),
            f1: metric("f1"),
            accuracy: metric("accuracy"),
            latency_p95_ms: median(&metrics["p95_ms"]),
            verdict,
        }
    }
}

/// A number, or the `value` of an object with bounds.
fn number(value: &serde_json::Value) -> Option<f64> {
    value.as_f64().or_else(|| value["value"].as_f64())
}

/// The middle one of the warm runs' values.
fn median(values: &serde_json::Value) -> Option<f64> {
    let mut values: Vec<f64> = values.as_array()?.iter().filter_map(serde_json::Value::as_f64).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// `ver_…`.
    pub id: String,
    /// The version that is judged.
    pub version: String,
    /// What it was compared with.
    pub baseline_version: Option<String>,
    /// What the gate says.
    pub verdict: VerdictKind,
    /// Why.
    pub reasons: Vec<String>,
    /// Examples that changed between right and wrong.
    pub flips: Vec<Flip>,
    /// When.
    pub at: UnixNanos,
}

/// One example that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// Its id.
    pub example: String,
    /// What was expected.
    pub expected: String,
    /// What the baseline answered.
    pub baseline: String,
    /// What the version answers.
    pub candidate: String,
    /// `right` or `wrong`.
    pub became: &'static str,
}

impl From<StoredVerdict> for Verdict {
    fn from(stored: StoredVerdict) -> Self {
        let flips = stored.flips.into_iter().map(|flip| Flip {
            example: flip.example,
            expected: flip.expected,
            baseline: flip.before,
            candidate: flip.after,
            became: if flip.harmed { "wrong" } else { "right" },
        });
        Self {
            id: stored.id,
            version: stored.version,
            baseline_version: stored.baseline_version,
            verdict: stored.verdict,
            reasons: stored.reasons,
            flips: flips.collect(),
            at: stored.created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::replays::RequestedBy;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replay_shows_what_was_measured() {
        let replay = Replay {
            id: "rpl_1".into(),
            model: "m".into(),
            version: "1".into(),
            environment: String::new(),
            set_id: "s".into(),
            runner: None,
            state: ReplayState::Done,
            reason: None,
            requested_by: RequestedBy::Api,
            deployment_id: None,
            baseline_version: None,
            baseline_fixed: true,
            attempts: 1,
            verdict_owed: false,
            metrics: Some(json!({
                "f1": {"value": 0.8, "lower": 0.7, "upper": 0.9}, "accuracy": {"value": 0.82, "lower": 0.7, "upper": 0.9},
                "average": "binary", "answered": 98, "unanswered": 2, "p95_ms": [12.0, 9.0, 10.0],
            })),
            created_at: UnixNanos(1),
            started_at: Some(UnixNanos(2)),
            finished_at: Some(UnixNanos(3)),
        };
        let summary = ReplaySummary::new(&replay, Some(VerdictKind::Pass));
        assert_eq!((summary.examples, summary.f1, summary.accuracy), (100, Some(0.8), Some(0.82)));
        assert_eq!((summary.latency_p95_ms, summary.verdict), (Some(10.0), Some(VerdictKind::Pass)));
        let waiting = ReplaySummary::new(&Replay { metrics: None, ..replay }, None);
        assert_eq!((waiting.examples, waiting.f1, waiting.latency_p95_ms), (0, None, None));
    }
}
