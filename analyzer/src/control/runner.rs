//! Taking replays from the queue, running them off the async threads, and ending them with their verdicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use driftlead_store::model_settings::{ModelSettings, RunnerSettings};
use driftlead_store::state::replays::{FinishedReplay, MAX_REPLAY_ATTEMPTS, NewReplay, Replay, ReplayState, RequestedBy};

use super::gate::GateSettings;
use super::judging::{self, Judged};
use super::plan;
use super::replay::{Outcomes, ReplayOptions};
use super::set::{Example, Input};
use super::worker::{Context, StepError};
use crate::models::{self, address};

/// Replays that one turn runs at most, so that new versions are noticed in between.
const MAX_REPLAYS_PER_TURN: usize = 10;

/// Runs replays.
pub(super) struct Runner {
    options: ReplayOptions,
}

/// How the version can be run.
enum Way {
    /// With candle, from a folder under this address.
    Candle(String),
    /// Not at all, with the reason.
    None(String),
}

impl Runner {
    pub(super) fn new(options: ReplayOptions) -> Self {
        Self { options }
    }

    /// Runs what is queued, and judges what waited for a baseline.
    pub(super) async fn run_queued(&self, context: &Context) -> Result<(), StepError> {
        for _ in 0..MAX_REPLAYS_PER_TURN {
            let Some(replay) = context.state.next_queued_replay().await? else {
                break;
            };
            if !replay.baseline_fixed {
                fix_baseline(context, &replay).await?;
                continue;
            }
            self.run(context, &replay).await?;
            if context.stop.is_cancelled() {
                return Ok(());
            }
        }
        for replay in context.state.unjudged_replays().await? {
            judging::judge_later(context, &replay).await?;
        }
        Ok(())
    }

    async fn run(&self, context: &Context, replay: &Replay) -> Result<(), StepError> {
        let settings = context.settings(&replay.model);
        let address = match way(&settings) {
            Way::Candle(address) => address,
            Way::None(reason) => return end(context, replay, ended(ReplayState::Skipped, reason)).await,
        };
        if replay.attempts >= MAX_REPLAY_ATTEMPTS {
            let reason = format!("it was started {} times and never came to an end", replay.attempts);
            return end(context, replay, ended(ReplayState::Failed, reason)).await;
        }
        let stored = context.state.control_examples(&replay.model, &replay.set_id).await?;
        let examples: Vec<Example> = stored.into_iter().map(Example::from_stored).collect::<Result<_, _>>()?;
        context.state.start_replay(&replay.id, &address, context.now()).await?;
        let inputs = examples.iter().map(|example| example.input.clone()).collect();
        let answered = match run_candle(context, &address, &replay.version, inputs, self.options.clone()).await {
            Some(answered) => answered,
            None => {
                context.state.return_replay(&replay.id).await?;
                return Ok(());
            }
        };
        let finished = match answered {
            Ok(outcomes) => judging::finished(&examples, outcomes, &gate_settings(&settings, replay)),
            Err(reason) => ended(ReplayState::Failed, reason),
        };
        end(context, replay, finished).await
    }
}

/// What the gate holds a model to; the seed is the set's, so that the same replays give the same verdict.
pub(super) fn gate_settings(settings: &ModelSettings, replay: &Replay) -> GateSettings {
    GateSettings {
        positive_class: settings.positive_class.clone(),
        f1_floor: settings.f1_floor,
        latency_budget_ms: settings.latency_budget_ms,
        strict: settings.strict_gate,
        seed: replay
            .set_id
            .get(..16)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok())
            .unwrap_or_default(),
    }
}

fn way(settings: &ModelSettings) -> Way {
    match &settings.runner {
        Some(RunnerSettings::Candle(address)) => Way::Candle(address.clone()),
        Some(RunnerSettings::Http(_)) => Way::None(format!(
            "the http runner of {:?} is not there in this version of Driftlead: declare runner = {{ candle = \"file:///…/{{version}}\" }}",
            settings.name
        )),
        None => Way::None(format!(
            "the model {:?} declares no runner: add runner = {{ candle = \"file:///…/{{version}}\" }} to its [[models]] table",
            settings.name
        )),
    }
}

async fn fix_baseline(context: &Context, replay: &Replay) -> Result<(), StepError> {
    let baseline = plan::replay_baseline(context, &replay.model, &replay.version, &replay.environment).await?;
    let of = NewReplay {
        model: replay.model.clone(),
        version: replay.version.clone(),
        environment: replay.environment.clone(),
        set_id: replay.set_id.clone(),
        requested_by: RequestedBy::Baseline,
        deployment_id: None,
        baseline: None,
    };
    let baseline_replay = plan::baseline_replay(context, &of, baseline.as_deref()).await?;
    context
        .state
        .fix_replay_baseline(&replay.id, baseline.as_deref(), baseline_replay.as_ref(), context.now())
        .await?;
    Ok(())
}

/// Loads the version and runs the set; `None` when the process is to stop.
async fn run_candle(
    context: &Context,
    address: &str,
    version: &str,
    inputs: Vec<Input>,
    options: ReplayOptions,
) -> Option<Result<Outcomes, String>> {
    let folder = match address::version_folder(address, version) {
        Ok(folder) => folder,
        Err(error) => return Some(Err(error.to_string())),
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    let asked = cancelled.clone();
    let mut task = tokio::task::spawn_blocking(move || {
        let model = models::load(&folder, &models::device()).map_err(|error| error.to_string());
        let started = Instant::now();
        match model {
            Ok(model) => super::replay::run(&model, &inputs, &options, &|| started.elapsed(), &|| asked.load(Ordering::Relaxed)).map(Ok),
            Err(reason) => Some(Err(reason)),
        }
    });
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = context.stop.cancelled() => {
            cancelled.store(true, Ordering::Relaxed);
            task.await
        }
    };
    ended.unwrap_or_else(|error| Some(Err(format!("the replay broke off: {error}"))))
}

fn ended(state: ReplayState, reason: String) -> FinishedReplay {
    FinishedReplay {
        state,
        reason: Some(reason),
        metrics: None,
        results: Vec::new(),
    }
}

/// Writes the end, with the verdict where the baseline is known already.
async fn end(context: &Context, replay: &Replay, finished: FinishedReplay) -> Result<(), StepError> {
    let verdict = match judging::judge(context, replay, &finished).await? {
        Judged::Now(verdict) => Some(*verdict),
        Judged::Later | Judged::Never => None,
    };
    context
        .state
        .finish_replay(&replay.id, &finished, verdict.as_ref(), context.now())
        .await?;
    tracing::info!(
        model = replay.model,
        version = replay.version,
        replay = replay.id,
        state = finished.state.as_str(),
        reason = finished.reason.as_deref().unwrap_or_default(),
        verdict = verdict.as_ref().map_or("none yet", |verdict| verdict.verdict.as_str()),
        "replay ended"
    );
    Ok(())
}
