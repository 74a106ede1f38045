//! Taking replays from the queue, running them off the async threads, and ending them with their verdicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use driftlead_store::model_settings::{ModelSettings, RunnerSettings};
use driftlead_store::state::replays::{EndVerdict, FinishedReplay, MAX_REPLAY_ATTEMPTS, NewReplay, Replay, ReplayState, RequestedBy};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::gate::GateSettings;
use super::judging::{self, Judged};
use super::plan;
use super::replay::{Outcomes, ReplayOptions};
use super::set::Input;
use super::worker::{Context, StepError};
use crate::blocking;
use crate::failures::Failures;
use crate::models::{self, address};

/// Longest time for loading a model: a file system that hangs must not hold up every other replay.
const LOAD_DEADLINE: Duration = Duration::from_secs(120);

/// Runs replays, one at a time.
pub(super) struct Runner {
    options: ReplayOptions,
    /// The last turn failed, perhaps after a replay was started and before its end was written.
    interrupted: bool,
    /// Ended replays whose judging failed.
    unjudged: Failures<String>,
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
        Self {
            options,
            interrupted: false,
            unjudged: Failures::default(),
        }
    }

    /// Runs the replay that has waited longest, judges what waited for a baseline, and says whether more is queued.
    /// One at a turn, so that each verdict is published before the next replay begins.
    pub(super) async fn run_next(&mut self, context: &Context) -> Result<bool, StepError> {
        if self.interrupted {
            // Only this worker runs replays, so what is running now is what could not be ended.
            context.state.requeue_running_replays().await?;
            self.interrupted = false;
        }
        let ran = self.run_queued(context).await;
        self.interrupted = ran.is_err();
        let judged = self.judge_owed(context).await;
        let more = ran?;
        judged?;
        Ok(more)
    }

    async fn run_queued(&self, context: &Context) -> Result<bool, StepError> {
        let Some(replay) = context.state.next_queued_replay().await? else {
            return Ok(false);
        };
        if replay.baseline_fixed {
            self.run(context, &replay).await?;
        } else {
            fix_baseline(context, &replay).await?;
        }
        Ok(true)
    }

    async fn judge_owed(&mut self, context: &Context) -> Result<(), StepError> {
        let now = context.now();
        let mut outcome = Ok(());
        for replay in context.state.unjudged_replays().await? {
            if !self.unjudged.may_try(&replay.id, now) {
                continue;
            }
            match judging::judge_later(context, &replay).await {
                Ok(()) => self.unjudged.succeeded(&replay.id),
                Err(error) => {
                    self.unjudged.failed(replay.id, now);
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    #[tracing::instrument(name = "control.replay", level = "debug", skip_all)]
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
        let examples = match judging::examples(context, replay).await? {
            Ok(examples) => examples,
            Err(reason) => return end(context, replay, ended(ReplayState::Failed, reason)).await,
        };
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
            Ok(outcomes) => {
                let settings = gate_settings(&settings, replay);
                // The bootstrap's draws take tens of milliseconds: not on a thread that others wait for.
                blocking::compute(move || judging::finished(&examples, outcomes, &settings))
                    .await
                    .unwrap_or_else(|error| ended(ReplayState::Failed, error.to_string()))
            }
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
    let baseline_replay = plan::baseline_replay(&of, baseline.as_deref());
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
    let deadline = LOAD_DEADLINE + options.deadline + options.timeout;
    let run = move || {
        let model = models::load(&folder, &models::device()).map_err(|error| error.to_string());
        let started = Instant::now();
        match model {
            Ok(model) => super::replay::run(&model, &inputs, &options, &|| started.elapsed(), &|| asked.load(Ordering::Relaxed)).map(Ok),
            Err(reason) => Some(Err(reason)),
        }
    };
    match off_thread(run, deadline, &context.stop).await {
        Off::Ended(answered) => answered,
        Off::Stopped => {
            cancelled.store(true, Ordering::Relaxed);
            None
        }
        Off::Broken(reason) => {
            cancelled.store(true, Ordering::Relaxed);
            Some(Err(reason))
        }
    }
}

/// What came of work on a thread of its own.
#[derive(Debug, PartialEq, Eq)]
enum Off<T> {
    Ended(T),
    /// The process is to stop.
    Stopped,
    /// It panicked or took too long.
    Broken(String),
}

/// Runs work on a thread of its own, not one of the runtime's: the runtime waits for those when the process ends, and a
/// thread cannot be broken off.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static, deadline: Duration, stop: &CancellationToken) -> Off<T> {
    let (sender, mut receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("replay".to_owned());
    if let Err(error) = thread.spawn(move || sender.send(work()).is_ok()) {
        return Off::Broken(format!("no thread for the replay: {error}"));
    }
    tokio::select! {
        ended = tokio::time::timeout(deadline, &mut receiver) => match ended {
            Ok(Ok(value)) => Off::Ended(value),
            Ok(Err(_)) => Off::Broken("the replay broke off".to_owned()),
            Err(_) => Off::Broken(format!("loading the model and replaying it took longer than {} s", deadline.as_secs())),
        },
        () = stop.cancelled() => Off::Stopped,
    }
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
    let judged = judging::judge(context, replay, &finished).await?;
    let verdict = match &judged {
        Judged::Now(verdict) => EndVerdict::Given(verdict),
        Judged::Later => EndVerdict::Owed,
        Judged::Never => EndVerdict::None,
    };
    context.state.finish_replay(&replay.id, &finished, verdict, context.now()).await?;
    tracing::info!(
        model = replay.model,
        version = replay.version,
        replay = replay.id,
        state = finished.state.as_str(),
        reason = finished.reason.as_deref().unwrap_or_default(),
        verdict = match verdict {
            EndVerdict::Given(verdict) => verdict.verdict.as_str(),
            EndVerdict::Owed => "waits for the baseline",
            EndVerdict::None => "none",
        },
        "replay ended"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use driftlead_store::clickhouse::{ClickHouse, ClickHouseConfig};
    use driftlead_store::clock::{Clock, UnixNanos};
    use driftlead_store::state::State;
    use driftlead_store::state::control::{ControlSet, StoredExample};

    use super::*;

    #[tokio::test]
    async fn work_that_panics_hangs_or_is_stopped_comes_back() {
        let stop = CancellationToken::new();
        let minute = Duration::from_secs(60);
        assert_eq!(off_thread(|| 7, minute, &stop).await, Off::Ended(7));
        assert!(matches!(
            off_thread(|| panic!("a model"), minute, &stop).await,
            Off::<()>::Broken(_)
        ));
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = held.recv();
        };
        assert!(matches!(off_thread(hang, Duration::ZERO, &stop).await, Off::Broken(_)));
        drop(hold);
        stop.cancel();
        let (_hold, held) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = held.recv();
        };
        assert_eq!(off_thread(hang, minute, &stop).await, Off::Stopped);
    }

    /// A worker's context whose telemetry nobody answers.
    async fn context(folder: &tempfile::TempDir) -> Context {
        Context {
            clickhouse: ClickHouse::connect(&ClickHouseConfig::default()),
            state: State::open(&folder.path().join("state.db")).await.unwrap(),
            models: Arc::new(vec![ModelSettings {
                runner: Some(RunnerSettings::Candle("file:///nowhere/{version}".into())),
                ..ModelSettings::undeclared("m")
            }]),
            clock: Clock::manual(UnixNanos::from_seconds(1_000)),
            stop: CancellationToken::new(),
        }
    }

    async fn put_set(context: &Context, input: serde_json::Value) {
        let set = ControlSet {
            id: "5e7".into(),
            model: "m".into(),
            examples: 1,
            warnings: Vec::new(),
            created_at: context.now(),
            is_current: true,
        };
        let example = StoredExample {
            position: 0,
            example_id: "1".into(),
            input,
            expected: serde_json::json!({"label": "1"}),
            tags: Vec::new(),
            segment: None,
        };
        context.state.put_control_set(&set, &[example], context.now()).await.unwrap();
    }

    async fn queue(context: &Context, version: &str) -> Replay {
        let new = NewReplay {
            model: "m".into(),
            version: version.into(),
            environment: String::new(),
            set_id: "5e7".into(),
            requested_by: RequestedBy::Api,
            deployment_id: None,
            baseline: Some(None),
        };
        context.state.queue_replay(&new, context.now()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_example_that_cannot_be_read_ends_its_replay_and_not_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let context = context(&folder).await;
        put_set(&context, serde_json::json!({"features": 7})).await;
        let replays = [queue(&context, "1").await, queue(&context, "2").await];
        let mut runner = Runner::new(ReplayOptions::default());
        assert_eq!(runner.run_next(&context).await.ok(), Some(true));
        assert_eq!(runner.run_next(&context).await.ok(), Some(true));
        assert_eq!(runner.run_next(&context).await.ok(), Some(false));
        for replay in replays {
            let ended = context.state.replay(&replay.id).await.unwrap().unwrap();
            assert_eq!((ended.state, ended.verdict_owed), (ReplayState::Failed, false));
            assert!(ended.reason.unwrap().contains("cannot be read"));
        }
    }

    #[tokio::test]
    async fn a_replay_whose_end_could_not_be_written_is_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let context = context(&folder).await;
        put_set(&context, serde_json::json!({"features": {"a": 1}})).await;
        let replay = queue(&context, "1").await;
        context
            .state
            .start_replay(&replay.id, "file:///nowhere", context.now())
            .await
            .unwrap();
        let mut runner = Runner::new(ReplayOptions::default());
        runner.interrupted = true;
        assert_eq!(runner.run_next(&context).await.ok(), Some(true));
        let ended = context.state.replay(&replay.id).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.attempts), (ReplayState::Failed, 2));
    }
}
