//! The analyzer's tasks: one keeps buckets and service signals, one profiles and drift, one quality. Each
//! repeats its step until it is stopped; a step that fails is taken again, because all that it works from is
//! durable.

use std::sync::Arc;
use std::time::Duration;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clock::Clock;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::Signal;
use driftlead_store::state::State;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::{AnalyzerConfig, Context};
use crate::detect::{self, DriftWindows, LateLabels, LearntDelays};
use crate::error::AnalyzerError;
use crate::reference::{self, References};
use crate::upkeep::{self, Activity, Buckets, Generations, Profiles, Rollups};
use crate::window::Days;

/// How often dirty minutes are looked for.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How often service signals are computed.
const SERVICE_INTERVAL: Duration = Duration::from_secs(5);
/// How often references are looked for that can be profiled now.
const REFERENCES_INTERVAL: Duration = Duration::from_secs(30);
/// How often late labels are looked for.
const QUALITY_INTERVAL: Duration = Duration::from_secs(2);
/// How often the errors of releases are looked at.
const RELEASES_INTERVAL: Duration = Duration::from_secs(15);
/// How often models are looked at whose clusters are not found yet.
const CLUSTERS_INTERVAL: Duration = Duration::from_secs(15);
/// How often hardware signals are computed: as often as its exporters send.
const HARDWARE_INTERVAL: Duration = Duration::from_secs(15);
/// First wait after a failure; it doubles up to [`MAX_BACK_OFF`].
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
/// Longest wait after a failure: an engine that restarts is back within seconds.
const MAX_BACK_OFF: Duration = Duration::from_secs(15);

/// Runs until it is stopped: keeps buckets and profiles, and emits signals into ClickHouse and the channel.
///
/// # Errors
/// None at present: what fails is logged and taken again.
pub async fn run(
    config: AnalyzerConfig,
    clickhouse: ClickHouse,
    state: State,
    settings: Vec<ModelSettings>,
    clock: Clock,
    signals: mpsc::Sender<Vec<Signal>>,
    stop: CancellationToken,
) -> Result<(), AnalyzerError> {
    let context = Context {
        references: References::new(clickhouse.clone(), state.clone(), settings),
        keeps_texts: config.keeps_texts,
        clusters: config.clusters,
        activity: Arc::new(Activity::new(clock.now())),
        days: Arc::new(Days::new(&config.evaluate_at)),
        quality_interval: config.quality_interval,
        drain: config.drain,
        errors: config.errors,
        searches: config.searches,
        label_delays: config.label_delays,
        max_segments: config.max_segments,
        false_alerts_per_month: config.false_alerts_per_month,
        clickhouse,
        state,
        clock,
        signals,
        stop,
    };
    let work = async {
        let Some(generations) = loaded(&context, "load", || upkeep::load(&context)).await else {
            return;
        };
        tokio::join!(
            serve(&context, &generations),
            watch_drift(&context, &generations),
            watch_quality(&context),
            watch_hardware(&context),
            watch_releases(&context),
            watch_clusters(&context),
            watch_searches(&context)
        );
    };
    // A step that is under way may wait a minute for the database. It is not waited for: any step is taken again after the
    // next start, as after a crash.
    let _dropped = context.stop.run_until_cancelled(work).await;
    Ok(())
}

/// Buckets and service signals.
async fn serve(context: &Context, generations: &Generations) {
    let mut buckets = Buckets::new();
    let mut last_signals = None;
    let mut last_minute = None;
    let mut back_off = BackOff::new("service signals");
    while !context.stop.is_cancelled() {
        let is_time = last_signals.is_none_or(|at: tokio::time::Instant| at.elapsed() >= SERVICE_INTERVAL);
        let step = async {
            let more = buckets.step(context, generations).await?;
            if is_time {
                detect::emit_service_signals(context).await?;
                last_minute = detect::emit_segment_signals(context, last_minute).await?;
            }
            Ok(if more { Duration::ZERO } else { UPKEEP_INTERVAL })
        };
        let started = tokio::time::Instant::now();
        let result = step.await;
        if is_time && result.is_ok() {
            last_signals = Some(started);
        }
        back_off.wait_after(result, &context.stop).await;
    }
}

/// Profiles and drift.
async fn watch_drift(context: &Context, generations: &Generations) {
    let Some(mut windows) = loaded(context, "drift windows", || DriftWindows::load(context)).await else {
        return;
    };
    let Some(mut rollups) = loaded(context, "rollups", || Rollups::load(context)).await else {
        return;
    };
    let mut profiles = Profiles::new();
    let mut last_references = None;
    let mut back_off = BackOff::new("drift");
    while !context.stop.is_cancelled() {
        let is_time = last_references.is_none_or(|at: tokio::time::Instant| at.elapsed() >= REFERENCES_INTERVAL);
        let mut computed = Vec::new();
        let step = async {
            let more_profiles = profiles.step(context, generations, &mut computed).await;
            windows.note(&context.days, &computed);
            rollups.note(&computed);
            let more_profiles = more_profiles?;
            // Before the windows, which read them.
            let more_rollups = rollups.step(context).await?;
            let more_windows = windows.step(context).await?;
            if is_time {
                reference::profile_what_ended(context).await?;
            }
            Ok(if more_profiles || more_rollups || more_windows {
                Duration::ZERO
            } else {
                UPKEEP_INTERVAL
            })
        };
        let started = tokio::time::Instant::now();
        let result = step.await;
        if is_time && result.is_ok() {
            last_references = Some(started);
        }
        back_off.wait_after(result, &context.stop).await;
    }
}

/// Quality from late labels.
async fn watch_quality(context: &Context) {
    // Which windows are looked at again depends on how long labels take.
    let Some(mut delays) = loaded(context, "label delays", || LearntDelays::load(context)).await else {
        return;
    };
    let mut labels = LateLabels::load(context);
    let mut back_off = BackOff::new("quality");
    while !context.stop.is_cancelled() {
        let step = async {
            delays.step(context).await?;
            let more = labels.step(context).await?;
            Ok(if more { Duration::ZERO } else { QUALITY_INTERVAL })
        };
        let result = step.await;
        back_off.wait_after(result, &context.stop).await;
    }
}

/// What GPUs say of themselves.
async fn watch_hardware(context: &Context) {
    let mut back_off = BackOff::new("hardware");
    while !context.stop.is_cancelled() {
        let result = detect::emit_hardware_signals(context).await.map(|()| HARDWARE_INTERVAL);
        back_off.wait_after(result, &context.stop).await;
    }
}

/// What errors releases brought.
async fn watch_releases(context: &Context) {
    let Some(mut releases) = detect::Releases::new(context) else {
        return;
    };
    let mut back_off = BackOff::new("errors of releases");
    while !context.stop.is_cancelled() {
        let result = releases.step(context).await.map(|()| RELEASES_INTERVAL);
        back_off.wait_after(result, &context.stop).await;
    }
}

/// The clusters of models that have none yet.
async fn watch_clusters(context: &Context) {
    let Some(clusters) = &context.clusters else { return };
    let mut back_off = BackOff::new("clusters");
    while !context.stop.is_cancelled() {
        let result = clusters.step(context.now()).await.map(|()| CLUSTERS_INTERVAL);
        back_off.wait_after(result, &context.stop).await;
    }
}

/// What rules search for.
async fn watch_searches(context: &Context) {
    let Some(mut searches) = detect::Searches::new(context) else {
        return;
    };
    let mut back_off = BackOff::new("searches of rules");
    while !context.stop.is_cancelled() {
        let result = searches.step(context).await.map(|()| SERVICE_INTERVAL);
        back_off.wait_after(result, &context.stop).await;
    }
}

/// Takes a step until it succeeds; `None` when stopped before.
async fn loaded<T, F: Future<Output = Result<T, AnalyzerError>>>(context: &Context, name: &'static str, step: impl Fn() -> F) -> Option<T> {
    let mut back_off = BackOff::new(name);
    while !context.stop.is_cancelled() {
        match step().await {
            Ok(value) => return Some(value),
            Err(error) => back_off.wait_after(Err(error), &context.stop).await,
        }
    }
    None
}

/// Waits between the steps of a task, longer after failures.
struct BackOff {
    name: &'static str,
    wait: Duration,
}

impl BackOff {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            wait: FIRST_BACK_OFF,
        }
    }

    async fn wait_after(&mut self, result: Result<Duration, AnalyzerError>, stop: &CancellationToken) {
        let wait = match result {
            Ok(wait) => {
                self.wait = FIRST_BACK_OFF;
                wait
            }
            Err(error) => {
                tracing::warn!(task = self.name, %error, retry_in_ms = self.wait.as_millis() as u64, "a step of the analyzer failed and is taken again");
                let wait = self.wait;
                self.wait = (self.wait * 2).min(MAX_BACK_OFF);
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}
