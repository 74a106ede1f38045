//! What the rows of models are made of, and the rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use driftlead_alerting::commands::ActionView;
use driftlead_store::clickhouse::query::live::{LIVE_WINDOW_SECONDS, LiveVersion as Live, VersionTraffic, decide, traffic_by_version};
use driftlead_store::clickhouse::query::series::{CountedVersion, SeriesFilter, ServiceStep, counted_versions, service_steps};
use driftlead_store::clickhouse::query::signals::{SignalFilter, headline_points, headlines};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use driftlead_store::state::actions::{Action, ActionFilter, ActionState};
use driftlead_store::state::alerts::{Alert, AlertFilter, AlertState};
use driftlead_store::state::deployments::{DeployedVersion, Deployment};
use driftlead_store::state::replays::Replay;
use driftlead_store::state::verdicts::VerdictKind;
use driftlead_store::state::versions::SeenVersion;

use super::metrics::SPARK_STEP_SECONDS;
use crate::error::Problem;
use crate::state::WebState;
use crate::view::health;
use crate::view::model::{LiveVersion, ModelRow, known_by, share};
use crate::view::release::ReplaySummary;

pub(super) const DAY_SECONDS: i64 = 86_400;
/// Signals of a day's window may be as old as this and still be the latest.
const LATEST_WITHIN_SECONDS: i64 = 40 * DAY_SECONDS;
/// Service signals describe now: older ones mean that nothing came.
const SERVICE_STALE_SECONDS: i64 = 120;
/// What describes now.
const SERVICE_NAMES: [&str; 4] = [names::REQUEST_RATE, names::ERROR_RATIO, names::LATENCY_P95_MS, names::SILENCE_S];
/// What is measured over hours and days.
const JUDGED_NAMES: [&str; 3] = [names::FEATURE_SHIFT, names::F1, names::ESTIMATED_F1];
/// Ended actions that still count for a model's state.
const FAILED_ACTION_SECONDS: f64 = 86_400.0;
const MAX_ALERTS: u32 = 5_000;
const MAX_ACTIONS: u32 = 1_000;

/// Everything that rows are made of, read in a few queries for all models.
pub(super) struct Known {
    pub(super) now: UnixNanos,
    pub(super) counted: Vec<CountedVersion>,
    pub(super) traffic: Vec<VersionTraffic>,
    pub(super) latest: Vec<Signal>,
    pub(super) steps: Vec<ServiceStep>,
    pub(super) day: Vec<Signal>,
    pub(super) with_spark: bool,
    pub(super) seen: Vec<SeenVersion>,
    pub(super) deployed: Vec<DeployedVersion>,
    pub(super) announced: Vec<Deployment>,
    pub(super) alerts: Vec<Alert>,
    pub(super) actions: Vec<Action>,
    pub(super) open_actions: Vec<ActionView>,
    pub(super) replays: Vec<Replay>,
    pub(super) verdicts: HashMap<String, VerdictKind>,
}

impl Known {
    pub(super) async fn read(app: &WebState, model: Option<&str>, with_spark: bool) -> Result<Self, Problem> {
        let now = app.clock.now();
        let clickhouse = &app.clickhouse;
        let live_since = now.plus_seconds(-LIVE_WINDOW_SECONDS);
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let (service_names, judged_names) = (owned(&SERVICE_NAMES), owned(&JUDGED_NAMES));
        let service = SignalFilter {
            model,
            segment: Some(""),
            names: &service_names,
            ..SignalFilter::of_model("", now.plus_seconds(-SERVICE_STALE_SECONDS), now.plus_seconds(1))
        };
        let judged = SignalFilter {
            names: &judged_names,
            from: now.plus_seconds(-LATEST_WITHIN_SECONDS),
            // A window that still runs ends within its own length.
            until: now.plus_seconds(DAY_SECONDS),
            ..service
        };
        let day_ago = now.plus_seconds(-DAY_SECONDS);
        let steps = SeriesFilter {
            model,
            environment: None,
            version: None,
            from: day_ago,
            until: now,
            step_seconds: SPARK_STEP_SECONDS,
        };
        let spark = async {
            match with_spark {
                true => tokio::try_join!(service_steps(clickhouse, steps), headline_points(clickhouse, judged, day_ago)),
                false => Ok((Vec::new(), Vec::new())),
            }
        };
        let (mut latest, judged, counted, traffic, (steps, day)) = tokio::try_join!(
            headlines(clickhouse, service),
            headlines(clickhouse, judged),
            counted_versions(clickhouse, model),
            traffic_by_version(clickhouse, model, live_since, now),
            spark,
        )
        .map_err(|error| app.telemetry_problem(&error))?;
        latest.extend(judged);
        let wanted_alerts = AlertFilter {
            model: model.map(str::to_owned),
            states: vec![AlertState::Firing, AlertState::Pending],
            limit: MAX_ALERTS,
            ..AlertFilter::default()
        };
        let wanted_actions = ActionFilter {
            model: model.map(str::to_owned),
            limit: MAX_ACTIONS,
            ..ActionFilter::default()
        };
        let actions = app.state.actions(&wanted_actions).await?;
        let open = actions.iter().filter(|action| action.state.is_open()).cloned().collect();
        let replays = app.state.latest_replays(model).await?;
        let replay_ids: Vec<String> = replays.iter().map(|replay| replay.id.clone()).collect();
        Ok(Self {
            now,
            counted,
            traffic,
            latest,
            steps,
            day,
            with_spark,
            seen: app.state.seen_versions(model).await?,
            deployed: app.state.deployed_versions(model).await?,
            announced: app.state.latest_live_deployments(model, now).await?,
            alerts: app.state.alerts(&wanted_alerts).await?,
            open_actions: app.commands.views_of(open).await?,
            actions,
            verdicts: app.state.verdicts_of_replays(&replay_ids).await?,
            replays,
        })
    }

    /// Forgets environments that the caller may not see.
    pub(super) fn keep(&mut self, sees: impl Fn(&str) -> bool) {
        self.counted.retain(|row| sees(&row.environment));
        self.seen.retain(|row| sees(&row.environment));
        self.deployed.retain(|row| sees(&row.environment));
    }

    /// Every model and environment that telemetry or an announcement names.
    pub(super) fn places(&self) -> BTreeSet<(String, String)> {
        let counted = self.counted.iter().map(|row| (&row.model, &row.environment));
        let seen = self.seen.iter().map(|row| (&row.model, &row.environment));
        let announced = self.deployed.iter().map(|row| (&row.model, &row.environment));
        counted
            .chain(seen)
            .chain(announced)
            .map(|(model, environment)| (model.clone(), environment.clone()))
            .collect()
    }

    pub(super) fn row(&self, app: &WebState, model: &str, environment: &str) -> ModelRow {
        let alerts: Vec<Alert> = self
            .alerts
            .iter()
            .filter(|alert| alert.series.model == model && alert.series.environment == environment)
            .cloned()
            .collect();
        let actions: Vec<Action> = self
            .actions
            .iter()
            .filter(|action| action.model == model && action.environment == environment)
            .cloned()
            .collect();
        let is_recent = |action: &&Action| {
            action
                .finished_at
                .is_none_or(|end| self.now.seconds_since(end) < FAILED_ACTION_SECONDS)
        };
        let recent: Vec<Action> = latest_of_each_kind(&actions).into_iter().filter(is_recent).cloned().collect();
        let counted = || {
            self.counted
                .iter()
                .filter(|row| row.model == model && row.environment == environment)
        };
        let open_actions = self
            .open_actions
            .iter()
            .filter(|view| view.action.model == model && view.action.environment == environment);
        let last_seen = self
            .seen
            .iter()
            .filter(|seen| seen.model == model && seen.environment == environment)
            .map(|seen| seen.last_event_time)
            // Sightings are noted now and then; of what sends, the traffic knows better.
            .chain(self.traffic_of(model, environment).iter().map(|row| UnixNanos(row.last_event_time)))
            .max();
        let last_replay = self
            .replays
            .iter()
            .find(|replay| replay.model == model && replay.environment == environment)
            .map(|replay| ReplaySummary::new(replay, self.verdicts.get(&replay.id).copied()));
        ModelRow {
            name: model.to_owned(),
            environment: environment.to_owned(),
            live: self.live(model, environment).map(|live| self.live_view(model, environment, live)),
            health: health::judge(&alerts, &recent, counted().next().is_some()),
            inferences: counted().map(|row| row.inferences).sum(),
            last_seen_at: last_seen,
            metrics: self.metrics(app, model, environment),
            last_replay,
            open_actions: open_actions.cloned().map(crate::view::action::Action::from).collect(),
        }
    }

    pub(super) fn live(&self, model: &str, environment: &str) -> Option<Live> {
        let traffic = self.traffic_of(model, environment);
        let announced = self
            .announced
            .iter()
            .find(|deployment| deployment.model == model && deployment.environment == environment);
        // The last seen first, as who acts has it.
        let last_seen = self
            .seen
            .iter()
            .find(|seen| seen.model == model && seen.environment == environment && seen.first_event_time < self.now);
        decide(&traffic, announced, last_seen)
    }

    fn live_view(&self, model: &str, environment: &str, live: Live) -> LiveVersion {
        let traffic = self.traffic_of(model, environment);
        let deployed = self
            .deployed
            .iter()
            .find(|row| row.model == model && row.environment == environment && row.version == live.version)
            .and_then(|row| row.live_at);
        let first_seen = self
            .seen
            .iter()
            .find(|seen| seen.model == model && seen.environment == environment && seen.version == live.version);
        LiveVersion {
            since: deployed.or(first_seen.map(|seen| seen.first_event_time)),
            known_by: known_by(live.because),
            share: share(&traffic, &live.version),
            version: live.version,
        }
    }

    pub(super) fn traffic_of(&self, model: &str, environment: &str) -> Vec<VersionTraffic> {
        self.traffic
            .iter()
            .filter(|row| row.model == model && row.environment == environment)
            .cloned()
            .collect()
    }
}

/// Of each kind the action that was requested last: an old failure is history once a newer one ended well.
fn latest_of_each_kind(actions: &[Action]) -> Vec<&Action> {
    let mut latest: BTreeMap<&str, &Action> = BTreeMap::new();
    for action in actions.iter().filter(|action| action.state != ActionState::Dismissed) {
        let newest = latest.entry(action.kind.as_str()).or_insert(action);
        if action.requested_at > newest.requested_at {
            *newest = action;
        }
    }
    latest.into_values().collect()
}
