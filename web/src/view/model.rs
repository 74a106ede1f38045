//! A model as the list and its own page show it.

use std::time::Duration;

use driftlead_store::clickhouse::query::live::{LiveBecause, VersionTraffic};
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::{Approval, ModelSettings as Declared, RunnerSettings};
use serde::Serialize;

use super::action::Action;
use super::health::Health;
use super::metric::Metric;
use super::release::{ReplaySummary, Verdict};

/// One row of the list: a model in an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelRow {
    /// The model.
    pub name: String,
    /// The environment.
    pub environment: String,
    /// What serves.
    pub live: Option<LiveVersion>,
    /// How it is.
    pub health: Health,
    /// Inferences counted.
    pub inferences: u64,
    /// Event time of the newest inference.
    pub last_seen_at: Option<UnixNanos>,
    /// Its main numbers.
    pub metrics: ModelMetrics,
    /// The last replay.
    pub last_replay: Option<ReplaySummary>,
    /// Actions under way.
    pub open_actions: Vec<Action>,
}

/// The main numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelMetrics {
    /// Inferences per second.
    pub request_rate: Metric,
    /// Share of failures.
    pub error_ratio: Metric,
    /// 95th percentile of latency.
    pub latency_p95_ms: Metric,
    /// The feature that moved most.
    pub feature_shift: Metric,
    /// F1 on labels.
    pub f1: Metric,
    /// F1 without labels.
    pub estimated_f1: Metric,
    /// Seconds since the last inference.
    pub silence_s: Metric,
}

/// What serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveVersion {
    /// The version.
    pub version: String,
    /// Since when.
    pub since: Option<UnixNanos>,
    /// How that is known.
    pub known_by: &'static str,
    /// Share of the last 20 s of traffic.
    pub share: Option<f64>,
}

/// How the pages call the ways of knowing what is live.
pub fn known_by(because: LiveBecause) -> &'static str {
    match because {
        LiveBecause::Traffic => "traffic",
        LiveBecause::Announced => "deployment",
        LiveBecause::LastSeen => "last_seen",
    }
}

/// A version's share of the traffic of one model and environment.
pub fn share(traffic: &[VersionTraffic], version: &str) -> Option<f64> {
    let total: u64 = traffic.iter().map(|row| row.inferences).sum();
    let own: u64 = traffic.iter().filter(|row| row.version == version).map(|row| row.inferences).sum();
    (total > 0).then(|| own as f64 / total as f64)
}

/// What is declared about a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSettings {
    /// Whether anything is.
    pub declared: bool,
    /// The class that F1 is about.
    pub positive_class: Option<String>,
    /// The gate's floor.
    pub f1_floor: f64,
    /// Budget of the 95th percentile of latency.
    pub latency_budget_ms: f64,
    /// How long labels take.
    pub label_delay_s: u64,
    /// How versions are replayed.
    pub runner: Option<&'static str>,
    /// Who has to agree to a rollback.
    pub rollback: Option<Approval>,
    /// Who has to agree to a retraining.
    pub retrain: Option<Approval>,
}

impl ModelSettings {
    /// From the configuration.
    pub fn new(settings: &Declared, declared: bool, label_delay: Duration) -> Self {
        Self {
            declared,
            positive_class: settings.positive_class.clone(),
            f1_floor: settings.f1_floor,
            latency_budget_ms: settings.latency_budget_ms,
            label_delay_s: label_delay.as_secs(),
            runner: settings.runner.as_ref().map(|runner| match runner {
                RunnerSettings::Candle(_) => "candle",
                RunnerSettings::Http(_) => "http",
            }),
            rollback: settings.rollback.as_ref().map(|action| action.approval),
            retrain: settings.retrain.as_ref().map(|action| action.approval),
        }
    }
}

/// One version of a model in an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionRow {
    /// The version.
    pub version: String,
    /// The environment.
    pub environment: String,
    /// `live`, `candidate`, `retired` or `seen`.
    pub state: &'static str,
    /// Share of the last 20 s of traffic.
    pub share: Option<f64>,
    /// First inference.
    pub first_seen_at: Option<UnixNanos>,
    /// Last inference.
    pub last_seen_at: Option<UnixNanos>,
    /// When it was announced as live.
    pub deployed_at: Option<UnixNanos>,
    /// Inferences counted.
    pub inferences: u64,
    /// What it is compared with.
    pub baseline_version: Option<String>,
    /// Its commit.
    pub commit: Option<String>,
    /// Its files.
    pub artifact: Option<String>,
    /// Its data.
    pub data_version: Option<String>,
    /// The retraining that made it.
    pub retrain_id: Option<String>,
    /// Until when it is watched.
    pub watch_until: Option<UnixNanos>,
    /// Its last replay.
    pub replay: Option<ReplaySummary>,
    /// What the gate said.
    pub verdict: Option<Verdict>,
    /// F1 on labels.
    pub f1: Option<Metric>,
    /// Whether one may roll back to it.
    pub rollback: RollbackOption,
}

/// Whether "Roll back to this version" is offered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RollbackOption {
    /// Whether it is.
    pub allowed: bool,
    /// Why not.
    pub refusal: Option<&'static str>,
    /// No gate ever judged it.
    pub ungated: bool,
    /// End of the cool-down.
    pub cooling_down_until: Option<UnixNanos>,
}
