//! What the analyzer's tasks share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::signals::insert_signals;
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::drain::StatusHandle;
use driftlead_store::index::ErrorIndex;
use driftlead_store::label_delays::LabelDelays;
use driftlead_store::records::{Signal, WatchedSearch};
use driftlead_store::state::State;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::clusters::ClusterKeeper;
use crate::error::AnalyzerError;
use crate::reference::References;
use crate::upkeep::Activity;
use crate::window::{Days, Window};

/// How often quality is computed again for one window while labels keep coming.
const DEFAULT_QUALITY_INTERVAL: Duration = Duration::from_secs(300);

/// Segments of a version that have signals of their own unless the settings say otherwise.
pub const DEFAULT_MAX_SEGMENTS: u64 = 20;

/// False alerts of drift and data quality that are borne in 30 days unless the settings say otherwise.
pub const DEFAULT_FALSE_ALERTS_PER_MONTH: f64 = 1.0;
/// Lengths of the windows that rules look at: hours and days.
const WINDOW_LENGTHS: f64 = 2.0;
/// What is decided about a feature of a window: its shift, and how much is missing, new, of another type and out of range.
const DECISIONS_OF_A_FEATURE: f64 = 5.0;

/// The searches that rules look at, as they are at present.
#[derive(Clone)]
pub struct WatchedSearches(Arc<dyn Fn() -> Vec<WatchedSearch> + Send + Sync>);

impl WatchedSearches {
    /// Asked for every few seconds.
    pub fn new(source: impl Fn() -> Vec<WatchedSearch> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    pub(crate) fn now(&self) -> Vec<WatchedSearch> {
        (self.0)()
    }
}

impl fmt::Debug for WatchedSearches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedSearches").field(&self.now()).finish()
    }
}

/// How the analyzer runs.
#[derive(Debug, Clone)]
pub struct AnalyzerConfig {
    /// `[drift] evaluate_at`: when days end; midnight UTC where there are none.
    pub evaluate_at: Vec<UnixNanos>,
    /// Shortest time between two computations of a window's quality while labels keep coming.
    pub quality_interval: Duration,
    /// How the drain stands: what it has not drained yet is neither silence nor a complete window.
    pub drain: StatusHandle,
    /// The error index, for the signals about releases; `None`: there are none of these.
    pub errors: Option<ErrorIndex>,
    /// The searches that rules look at.
    pub searches: WatchedSearches,
    /// Where it is told how long labels take.
    pub label_delays: LabelDelays,
    /// `[privacy] keep_text`: whether there are texts to look at.
    pub keeps_texts: bool,
    /// The clusters that the drain assigns inferences to; `None`: none are looked for.
    pub clusters: Option<ClusterKeeper>,
    /// `[drift] segments`: how many segments of a version have signals of their own, those with the most traffic.
    pub max_segments: u64,
    /// `[drift] false_alerts_per_month`: false alerts of drift and data quality that are borne in 30 days, of all models.
    pub false_alerts_per_month: f64,
}

impl Default for AnalyzerConfig {
    fn default() -> Self {
        Self {
            evaluate_at: Vec::new(),
            quality_interval: DEFAULT_QUALITY_INTERVAL,
            drain: StatusHandle::default(),
            errors: None,
            searches: WatchedSearches::new(Vec::new),
            label_delays: LabelDelays::default(),
            keeps_texts: false,
            clusters: None,
            max_segments: DEFAULT_MAX_SEGMENTS,
            false_alerts_per_month: DEFAULT_FALSE_ALERTS_PER_MONTH,
        }
    }
}

/// Shared by the tasks; cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub clickhouse: ClickHouse,
    pub state: State,
    pub references: References,
    pub keeps_texts: bool,
    pub clusters: Option<ClusterKeeper>,
    pub activity: Arc<Activity>,
    pub days: Arc<Days>,
    pub quality_interval: Duration,
    pub drain: StatusHandle,
    pub errors: Option<ErrorIndex>,
    pub searches: WatchedSearches,
    pub label_delays: LabelDelays,
    pub max_segments: u64,
    pub false_alerts_per_month: f64,
    pub clock: Clock,
    pub signals: mpsc::Sender<Vec<Signal>>,
    pub stop: CancellationToken,
}

impl Context {
    pub fn now(&self) -> UnixNanos {
        self.clock.now()
    }

    /// How long labels of a model take.
    pub fn label_delay(&self, model: &str) -> Duration {
        self.label_delays.of(&self.references.settings(model))
    }

    /// What a look at a window of one model and environment may cost: the false alerts that are borne are shared evenly by all
    /// models and environments, by hours and days, by all traffic and the segments, and by what is decided about a feature.
    pub fn budget(&self, window: Window) -> Budget {
        let models = self.activity.models();
        let places: usize = models.iter().map(|model| self.activity.environments(model).len().max(1)).sum();
        let kinds = if self.max_segments == 0 { 1.0 } else { 2.0 };
        Budget {
            errors: self.false_alerts_per_month / (places.max(1) as f64 * WINDOW_LENGTHS * kinds * DECISIONS_OF_A_FEATURE),
            looks: self.days.looks(window),
        }
    }

    /// Up to when what was received is in the tables: now, less the drain's lag.
    pub fn drained_until(&self) -> UnixNanos {
        let now = self.now();
        now.plus_seconds(-(self.drain.get().lag_seconds(now).ceil() as i64))
    }

    /// Writes signals, and tells alerting of those whose window has ended: rules judge a window once.
    pub async fn emit(&self, mut signals: Vec<Signal>) -> Result<(), AnalyzerError> {
        if signals.is_empty() {
            return Ok(());
        }
        let now = self.now();
        insert_signals(&self.clickhouse, &signals, now).await?;
        signals.retain(|signal| signal.window_end <= now);
        if signals.is_empty() {
            return Ok(());
        }
        tokio::select! {
            sent = self.signals.send(signals) => {
                if sent.is_err() {
                    tracing::debug!("nobody takes signals: alerting has stopped");
                }
            }
            () = self.stop.cancelled() => {}
        }
        Ok(())
    }
}
