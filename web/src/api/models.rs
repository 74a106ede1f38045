//! `GET /api/v1/models` and `GET /api/v1/models/{model}`: what is watched, and how it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use driftlead_alerting::commands::ActionView;
use driftlead_store::clickhouse::query::live::{LIVE_WINDOW_SECONDS, LiveVersion as Live, VersionTraffic, decide, traffic_by_version};
use driftlead_store::clickhouse::query::series::{CountedVersion, SeriesFilter, ServiceStep, counted_versions, service_steps};
use driftlead_store::clickhouse::query::signals::{SignalFilter, headline_points, headlines};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use driftlead_store::state::actions::{Action, ActionFilter, ActionState};
use driftlead_store::state::alerts::{Alert, AlertFilter, AlertState};
use driftlead_store::state::deployments::{DeployedVersion, Deployment, DeploymentEvent};
use driftlead_store::state::replays::Replay;
use driftlead_store::state::verdicts::VerdictKind;
use driftlead_store::state::versions::SeenVersion;
use serde::{Deserialize, Serialize};

use super::answers::{ListAnswers, Question};
use super::endpoint::Endpoint;
use crate::auth::{Asked, Caller};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::health;
use crate::view::latency;
use crate::view::metric::{Metric, Spark, strictest};
use crate::view::model::{LiveVersion, ModelMetrics, ModelRow, ModelSettings, RollbackOption, VersionRow, known_by, share};
use crate::view::release::{ReplaySummary, Verdict};

const DAY_SECONDS: i64 = 86_400;
/// Signals of a day's window may be as old as this and still be the latest.
const LATEST_WITHIN_SECONDS: i64 = 40 * DAY_SECONDS;
/// Length of a step of the small charts: 48 of them.
const SPARK_STEP_SECONDS: i64 = 1_800;
/// Service signals describe now: older ones mean that nothing came.
const SERVICE_STALE_SECONDS: i64 = 120;
/// What describes now.
const SERVICE_NAMES: [&str; 4] = [names::REQUEST_RATE, names::ERROR_RATIO, names::LATENCY_P95_MS, names::SILENCE_S];
/// What is measured over hours and days.
const JUDGED_NAMES: [&str; 2] = [names::FEATURE_SHIFT, names::F1];
/// Ended actions that still count for a model's state.
const FAILED_ACTION_SECONDS: f64 = 86_400.0;
const MAX_ALERTS: u32 = 5_000;
const MAX_ACTIONS: u32 = 1_000;

const PARAMETERS: &[(&str, &str)] = &[
    ("environment", "only this environment"),
    ("spark", "false: without the last 24 h of each metric"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/models", "Models, worst first, one row per model and environment.", list).query(PARAMETERS),
        Endpoint::get("/api/v1/models/{model}", "One model with its versions.", show).query(PARAMETERS),
    ]
}

/// Which models.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsQuery {
    environment: Option<String>,
    spark: Option<bool>,
}

/// The list.
#[derive(Debug, Serialize)]
pub struct ModelsResponse {
    at: UnixNanos,
    models: Vec<ModelRow>,
    environments: BTreeSet<String>,
}

/// One model.
#[derive(Debug, Serialize)]
pub struct ModelResponse {
    at: UnixNanos,
    model: ModelRow,
    environments: BTreeSet<String>,
    segments: Vec<String>,
    settings: ModelSettings,
    versions: Vec<VersionRow>,
}

/// The list, worst first. Every open page asks for it, so callers who see the same share one answer a second.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn list(
    State(app): State<Arc<WebState>>,
    State(answers): State<ListAnswers>,
    Asked(caller): Asked,
    Query(query): Query<ModelsQuery>,
) -> Result<Response, Problem> {
    let question = Question {
        sees: caller.environments().to_vec(),
        environment: query.environment.clone(),
        with_spark: query.spark.unwrap_or(true),
    };
    let body = answers.answer(question, app.clock.now(), read_list(&app, &caller, &query)).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn read_list(app: &WebState, caller: &Caller, query: &ModelsQuery) -> Result<Bytes, Problem> {
    let mut known = Known::read(app, None, query.spark.unwrap_or(true)).await?;
    known.keep(|environment| caller.sees(environment));
    let environments = known.places().into_iter().map(|(_, environment)| environment).collect();
    let mut models = Vec::new();
    for (model, environment) in known.places() {
        if query.environment.as_ref().is_none_or(|wanted| *wanted == environment) {
            models.push(known.row(app, &model, &environment));
        }
    }
    models.sort_by(|a, b| {
        b.health
            .state
            .cmp(&a.health.state)
            .then_with(|| a.name.cmp(&b.name))
            .then_with(|| a.environment.cmp(&b.environment))
    });
    let response = ModelsResponse {
        at: known.now,
        models,
        environments,
    };
    let body = serde_json::to_vec(&response).map_err(|error| Problem::internal(&error))?;
    Ok(Bytes::from(body))
}

/// One model with its versions.
///
/// # Errors
/// 404 for a model that nobody ever named, 503 when the database does not answer.
pub async fn show(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(query): Query<ModelsQuery>,
) -> Result<Json<ModelResponse>, Problem> {
    let mut known = Known::read(&app, Some(&model), query.spark.unwrap_or(true)).await?;
    known.keep(|environment| caller.sees(environment));
    let environments: BTreeSet<String> = known.places().into_iter().map(|(_, environment)| environment).collect();
    let busiest = known.counted.iter().max_by_key(|row| row.newest).map(|row| row.environment.clone());
    let environment = query.environment.or(busiest).or_else(|| environments.first().cloned());
    let Some(environment) = environment.filter(|environment| environments.contains(environment)) else {
        return Err(Problem::not_found(format!(
            "No telemetry, deployment or configuration names the model {model} there."
        )));
    };
    let row = known.row(&app, &model, &environment);
    let live = row.live.as_ref().map(|live| live.version.clone());
    let settings = ModelSettings::new(&app.settings(&model), app.declared(&model).is_some());
    let versions = known.versions(&app, &model, &environment, live.as_deref()).await?;
    Ok(Json(ModelResponse {
        at: known.now,
        model: row,
        environments,
        segments: Vec::new(),
        settings,
        versions,
    }))
}

/// Everything that rows are made of, read in a few queries for all models.
struct Known {
    now: UnixNanos,
    counted: Vec<CountedVersion>,
    traffic: Vec<VersionTraffic>,
    latest: Vec<Signal>,
    steps: Vec<ServiceStep>,
    day: Vec<Signal>,
    with_spark: bool,
    seen: Vec<SeenVersion>,
    deployed: Vec<DeployedVersion>,
    announced: Vec<Deployment>,
    alerts: Vec<Alert>,
    actions: Vec<Action>,
    open_actions: Vec<ActionView>,
    replays: Vec<Replay>,
    verdicts: HashMap<String, VerdictKind>,
}

impl Known {
    async fn read(app: &WebState, model: Option<&str>, with_spark: bool) -> Result<Self, Problem> {
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
    fn keep(&mut self, sees: impl Fn(&str) -> bool) {
        self.counted.retain(|row| sees(&row.environment));
        self.seen.retain(|row| sees(&row.environment));
        self.deployed.retain(|row| sees(&row.environment));
    }

    /// Every model and environment that telemetry or an announcement names.
    fn places(&self) -> BTreeSet<(String, String)> {
        let counted = self.counted.iter().map(|row| (&row.model, &row.environment));
        let seen = self.seen.iter().map(|row| (&row.model, &row.environment));
        let announced = self.deployed.iter().map(|row| (&row.model, &row.environment));
        counted
            .chain(seen)
            .chain(announced)
            .map(|(model, environment)| (model.clone(), environment.clone()))
            .collect()
    }

    fn row(&self, app: &WebState, model: &str, environment: &str) -> ModelRow {
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

    fn live(&self, model: &str, environment: &str) -> Option<Live> {
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

    fn traffic_of(&self, model: &str, environment: &str) -> Vec<VersionTraffic> {
        self.traffic
            .iter()
            .filter(|row| row.model == model && row.environment == environment)
            .cloned()
            .collect()
    }

    fn metrics(&self, app: &WebState, model: &str, environment: &str) -> ModelMetrics {
        let settings = app.settings(model);
        let rules = app.commands.rules();
        let of = |name: &'static str| {
            self.latest
                .iter()
                .filter(move |signal| signal.name == name && signal.model == model && signal.environment == environment)
        };
        let live = self.live(model, environment).map(|live| live.version).unwrap_or_default();
        // What describes the model as a whole, else the version that serves, else the latest.
        let now_of =
            |name: &'static str| of(name).max_by_key(|signal| (signal.version.is_empty(), signal.version == live, signal.window_end));
        let service = |name: &'static str, spark: Option<Spark>| {
            Metric::from_signal(name, now_of(name), "no_data")
                .with_threshold(strictest(&rules, name, &settings, environment))
                .with_spark(spark)
        };
        // The live version's own, else all versions together; the newest window, and in it the feature that moved most.
        let judged = |name: &'static str, absent: &'static str| {
            let candidates = of(name).filter(|signal| signal.version == live || signal.version.is_empty());
            let best = candidates.max_by(|a, b| {
                let rank = |signal: &Signal| (signal.value.is_some(), signal.window_end, signal.version == live);
                rank(a)
                    .cmp(&rank(b))
                    .then_with(|| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)))
            });
            Metric::from_signal(name, best, absent)
                .with_threshold(strictest(&rules, name, &settings, environment))
                .with_spark(self.signal_spark(name, best))
        };
        ModelMetrics {
            request_rate: service(
                names::REQUEST_RATE,
                self.service_spark(model, environment, |step| Some(step.requests as f64 / SPARK_STEP_SECONDS as f64)),
            ),
            error_ratio: service(
                names::ERROR_RATIO,
                self.service_spark(model, environment, |step| Some(step.errors as f64 / step.requests.max(1) as f64)),
            ),
            latency_p95_ms: service(
                names::LATENCY_P95_MS,
                self.service_spark(model, environment, |step| latency::quantile(&step.latencies, 0.95)),
            ),
            feature_shift: judged(names::FEATURE_SHIFT, "no_reference"),
            f1: judged(names::F1, "no_labels"),
            estimated_f1: Metric::unknown("estimated_f1", "not_computed"),
            silence_s: service(names::SILENCE_S, None),
        }
    }

    fn service_spark(&self, model: &str, environment: &str, value: impl Fn(&ServiceStep) -> Option<f64>) -> Option<Spark> {
        if !self.with_spark {
            return None;
        }
        let mut totals: BTreeMap<i64, ServiceStep> = BTreeMap::new();
        for step in self
            .steps
            .iter()
            .filter(|step| step.model == model && step.environment == environment)
        {
            totals
                .entry(step.start)
                .and_modify(|total| {
                    total.requests += step.requests;
                    total.errors += step.errors;
                    latency::merge(&mut total.latencies, &step.latencies);
                })
                .or_insert_with(|| step.clone());
        }
        Some(self.spark(|start| totals.get(&start).and_then(&value)))
    }

    fn signal_spark(&self, name: &str, like: Option<&Signal>) -> Option<Spark> {
        let like = like.filter(|_| self.with_spark)?;
        let is_same = |signal: &&Signal| {
            signal.name == name
                && (
                    &signal.model,
                    &signal.environment,
                    &signal.version,
                    &signal.subject,
                    signal.window_seconds,
                ) == (&like.model, &like.environment, &like.version, &like.subject, like.window_seconds)
        };
        let points: BTreeMap<i64, Option<f64>> = self
            .day
            .iter()
            .filter(is_same)
            .map(|signal| {
                (
                    (signal.window_end.seconds() - 1).div_euclid(SPARK_STEP_SECONDS) * SPARK_STEP_SECONDS,
                    signal.value,
                )
            })
            .collect();
        Some(self.spark(|start| points.get(&start).copied().flatten()))
    }

    fn spark(&self, value: impl Fn(i64) -> Option<f64>) -> Spark {
        let from = self.now.plus_seconds(-DAY_SECONDS).floor_to(SPARK_STEP_SECONDS).seconds();
        let starts = (from..self.now.seconds()).step_by(SPARK_STEP_SECONDS as usize);
        Spark {
            from,
            step_s: SPARK_STEP_SECONDS,
            values: starts.map(value).collect(),
        }
    }

    async fn versions(&self, app: &WebState, model: &str, environment: &str, live: Option<&str>) -> Result<Vec<VersionRow>, Problem> {
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

fn version_state(event: Option<DeploymentEvent>, is_live: bool) -> &'static str {
    match event {
        _ if is_live => "live",
        Some(DeploymentEvent::Candidate) => "candidate",
        Some(DeploymentEvent::Retired | DeploymentEvent::Live) => "retired",
        Some(DeploymentEvent::Seen) | None => "seen",
    }
}
