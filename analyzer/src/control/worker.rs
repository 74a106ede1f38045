//! The task that does what releases, sets and requests call for.

use std::sync::Arc;
use std::time::Duration;

use driftlead_store::clickhouse::query::live::LiveError;
use driftlead_store::clickhouse::{ClickHouse, TelemetryError};
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::Signal;
use driftlead_store::state::{State, StateError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::publish::Publisher;
use super::replay::ReplayOptions;
use super::runner::Runner;
use super::sightings::Sightings;

/// How often the state is asked for work: a verdict should not wait, and the question is one index look-up.
const DEFAULT_QUEUE_INTERVAL: Duration = Duration::from_millis(250);

/// How often telemetry is asked for new versions: a bad release should be judged within seconds of its first answer.
const DEFAULT_SIGHTINGS_INTERVAL: Duration = Duration::from_secs(1);

/// How the control worker works.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// How often the state is asked for work.
    pub queue_interval: Duration,
    /// How often telemetry is asked for new versions.
    pub sightings_interval: Duration,
    /// Bounds of a replay.
    pub replay: ReplayOptions,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            queue_interval: DEFAULT_QUEUE_INTERVAL,
            sightings_interval: DEFAULT_SIGHTINGS_INTERVAL,
            replay: ReplayOptions::default(),
        }
    }
}

/// Why a step of the worker was not done. It is tried again at the next turn.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("the telemetry cannot be read or written: {0}")]
    Telemetry(#[from] TelemetryError),
    #[error("a verdict cannot be written as JSON: {0}")]
    Verdict(#[from] serde_json::Error),
}

/// What every step is given.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) clickhouse: ClickHouse,
    pub(super) state: State,
    pub(super) models: Arc<Vec<ModelSettings>>,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

impl Context {
    pub(super) fn settings(&self, model: &str) -> ModelSettings {
        let declared = self.models.iter().find(|settings| settings.name == model);
        declared.cloned().unwrap_or_else(|| ModelSettings::undeclared(model))
    }

    pub(super) fn now(&self) -> UnixNanos {
        self.clock.now()
    }
}

/// Notices new versions, fixes baselines, runs queued replays, gives verdicts and publishes them, until `stop`.
/// Replays that were running when the process ended are run again. Every failure is tried again at the next turn.
///
/// # Errors
/// The state cannot be used at the start.
pub async fn run(
    config: ControlConfig,
    clickhouse: ClickHouse,
    state: State,
    models: Vec<ModelSettings>,
    clock: Clock,
    signals: mpsc::Sender<Vec<Signal>>,
    stop: CancellationToken,
) -> Result<(), StateError> {
    let requeued = state.requeue_running_replays().await?;
    if requeued > 0 {
        tracing::info!(requeued, "replays that a restart interrupted are run again");
    }
    let context = Context {
        clickhouse,
        state,
        models: Arc::new(models),
        clock,
        stop: stop.clone(),
    };
    let mut sightings = Sightings::load(&context.state).await?;
    let mut publisher = Publisher::new(signals);
    let mut runner = Runner::new(config.replay);
    let mut look = tokio::time::interval(config.sightings_interval);
    let mut turn = tokio::time::interval(config.queue_interval);
    for timer in [&mut look, &mut turn] {
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    let (mut looking, mut working, mut publishing) = (
        Health::new("noticing versions"),
        Health::new("replays"),
        Health::new("verdicts as signals"),
    );
    let mut more = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = look.tick() => looking.report(sightings.notice(&context).await),
            _ = turn.tick(), if !more => {}
            () = std::future::ready(()), if more => {}
        }
        let worked = work(&context, &mut runner).await;
        more = *worked.as_ref().unwrap_or(&false);
        working.report(worked.map(|_| ()));
        publishing.report(publisher.publish(&context).await);
    }
}

/// Plans what is new, runs the next that is queued, and says whether there are more.
async fn work(context: &Context, runner: &mut Runner) -> Result<bool, StepError> {
    let planned = super::plan::plan(context).await;
    // A release that cannot be planned while the engine restarts does not hold up replays that can run.
    let ran = runner.run_next(context).await;
    planned.and(ran)
}

/// Logs when a step begins to fail and when it works again, not every time in between.
struct Health {
    step: &'static str,
    failing: bool,
}

impl Health {
    fn new(step: &'static str) -> Self {
        Self { step, failing: false }
    }

    fn report(&mut self, outcome: Result<(), StepError>) {
        match outcome {
            Err(error) if !self.failing => {
                tracing::warn!(step = self.step, %error, "control: a step failed and is tried again");
                self.failing = true;
            }
            Ok(()) if self.failing => {
                tracing::info!(step = self.step, "control: the step works again");
                self.failing = false;
            }
            _ => {}
        }
    }
}
