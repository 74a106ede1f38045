//! A signal: one number about a model over one window, with how sure it is.

use serde::{Deserialize, Serialize};

use crate::clock::UnixNanos;

/// Whether a signal has a value that may be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// It has a value.
    Ok,
    /// Too few records to say anything; the value is `None`, never 0.
    Insufficient,
}

/// (name, model, version, environment, segment, subject, window end, window length) → value and bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// One of [`names`].
    pub name: String,
    /// The model.
    pub model: String,
    /// The version; empty for all versions together.
    pub version: String,
    /// The environment; empty where the senders state none.
    pub environment: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// What the signal is about within the model (a feature's name), or empty.
    pub subject: String,
    /// Exclusive end of the window by event time.
    pub window_end: UnixNanos,
    /// Length of the window in seconds.
    pub window_seconds: u32,
    /// The value; `None` exactly when `state` is insufficient.
    pub value: Option<f64>,
    /// Lower bound for display.
    pub lower: Option<f64>,
    /// Upper bound for display.
    pub upper: Option<f64>,
    /// The bound that a rule with `above` compares; `None`: the rule compares the value.
    pub decision_lower: Option<f64>,
    /// The bound that a rule with `below` compares; `None`: the rule compares the value.
    pub decision_upper: Option<f64>,
    /// Records in the window.
    pub n: u64,
    /// Records in the reference, 0 where there is none.
    pub reference_n: u64,
    /// More labels or late records are expected.
    pub provisional: bool,
    /// Whether the value may be judged.
    pub state: SignalState,
    /// Bins, reasons, whatever explains the value; an object.
    pub details: serde_json::Value,
}

/// A model that was silent for this long is no longer missed: its `silence_s` ends.
pub const SILENCE_FORGOTTEN_SECONDS: i64 = 7 * 86_400;

/// The names of all signals.
pub mod names {
    /// Inferences per second.
    pub const REQUEST_RATE: &str = "request_rate";
    /// Share of inferences that failed.
    pub const ERROR_RATIO: &str = "error_ratio";
    /// Failed inferences per second.
    pub const ERRORS_PER_SECOND: &str = "errors_per_second";
    /// Median latency in milliseconds.
    pub const LATENCY_P50_MS: &str = "latency_p50_ms";
    /// 95th percentile of latency in milliseconds.
    pub const LATENCY_P95_MS: &str = "latency_p95_ms";
    /// 99th percentile of latency in milliseconds.
    pub const LATENCY_P99_MS: &str = "latency_p99_ms";
    /// Seconds since the model's last inference.
    pub const SILENCE_S: &str = "silence_s";
    /// Share of inferences without the feature.
    pub const MISSING_RATIO: &str = "missing_ratio";
    /// Share of values that the reference never had.
    pub const NEW_CATEGORY_RATIO: &str = "new_category_ratio";
    /// Share of values that lie outside of what is declared for the feature, or of what the reference has.
    pub const OUT_OF_RANGE_RATIO: &str = "out_of_range_ratio";
    /// Share of values that are texts where the reference has numbers, or numbers where it has texts.
    pub const TYPE_MISMATCH_RATIO: &str = "type_mismatch_ratio";
    /// Share of embeddings whose length is not the usual one.
    pub const SHAPE_MISMATCH_RATIO: &str = "shape_mismatch_ratio";
    /// Share of inferences whose input another one of the window has too: all but one of each.
    pub const DUPLICATE_RATIO: &str = "duplicate_ratio";
    /// Total-variation distance of a feature between reference and window.
    pub const FEATURE_SHIFT: &str = "feature_shift";
    /// The same for the prediction.
    pub const PREDICTION_SHIFT: &str = "prediction_shift";
    /// Share of the embeddings that moved since the reference, as far as their projections show.
    pub const EMBEDDING_SHIFT: &str = "embedding_shift";
    /// The age in days that 95 % of the embeddings are younger than.
    pub const EMBEDDING_AGE_DAYS: &str = "embedding_age_days";
    /// How far stored embeddings lie from what the encoder makes of the same texts now: one minus the cosine, in the mean.
    pub const EMBEDDING_STALENESS: &str = "embedding_staleness";
    /// Share of the nearest neighbours of stored embeddings that are still the nearest when all are embedded anew.
    pub const NEIGHBOURS_KEPT: &str = "neighbours_kept";
    /// Share of words that the tokenizer does not know or that the reference never had.
    pub const STALE_TOKEN_RATIO: &str = "stale_token_ratio";
    /// Population stability index of a feature or a prediction.
    pub const PSI: &str = "psi";
    /// Kolmogorov–Smirnov statistic of a number.
    pub const KS: &str = "ks";
    /// Jensen–Shannon distance to base 2.
    pub const JS: &str = "js";
    /// Wasserstein distance of a number, in its unit.
    pub const WASSERSTEIN: &str = "wasserstein";
    /// Statistic of the two-sample chi-square test.
    pub const CHI2: &str = "chi2";
    /// Hellinger distance.
    pub const HELLINGER: &str = "hellinger";
    /// Share of inferences that lie in clusters which were not there before the last week.
    pub const NEW_CLUSTER_RATIO: &str = "new_cluster_ratio";
    /// Squared maximum mean discrepancy of embeddings.
    pub const MMD: &str = "mmd";
    /// ROC-AUC of a model that tells the window from the reference: 0.5 where it cannot.
    pub const DOMAIN_AUC: &str = "domain_auc";
    /// Share of labelled inferences that were right.
    pub const ACCURACY: &str = "accuracy";
    /// Share of positive predictions that were right.
    pub const PRECISION: &str = "precision";
    /// Share of positives that were found.
    pub const RECALL: &str = "recall";
    /// Harmonic mean of precision and recall.
    pub const F1: &str = "f1";
    /// Share of negatives predicted positive.
    pub const FALSE_POSITIVE_RATIO: &str = "false_positive_ratio";
    /// Probability that a positive's score lies above a negative's.
    pub const ROC_AUC: &str = "roc_auc";
    /// Average precision over all thresholds of the score.
    pub const PR_AUC: &str = "pr_auc";
    /// Mean squared difference between score and label.
    pub const BRIER: &str = "brier";
    /// Mean negative logarithm of what the true label was given.
    pub const LOG_LOSS: &str = "log_loss";
    /// How far shares of positives are from scores, in the mean.
    pub const ECE: &str = "ece";
    /// Mean error of predicted numbers, without its sign.
    pub const MAE: &str = "mae";
    /// Root of the mean squared error of predicted numbers.
    pub const RMSE: &str = "rmse";
    /// Share of the inferences that people judged which they judged incorrect.
    pub const INCORRECT_RATIO: &str = "incorrect_ratio";
    /// Accuracy that can be expected without labels.
    pub const ESTIMATED_ACCURACY: &str = "estimated_accuracy";
    /// F1 that can be expected without labels.
    pub const ESTIMATED_F1: &str = "estimated_f1";
    /// Share of the quality of its first days that a version loses in 30 days.
    pub const QUALITY_DECAY_PER_MONTH: &str = "quality_decay_per_month";
    /// 1 when the gate's verdict on the version is `fail`, else 0.
    pub const GATE_FAILED: &str = "gate_failed";
    /// F1 on the control set.
    pub const CONTROL_F1: &str = "control_f1";
    /// Accuracy on the control set.
    pub const CONTROL_ACCURACY: &str = "control_accuracy";
    /// 95th percentile of latency on the control set, in milliseconds.
    pub const CONTROL_LATENCY_P95_MS: &str = "control_latency_p95_ms";
    /// Relative fall of F1 on the control set against the baseline.
    pub const CONTROL_DROP: &str = "control_drop";
    /// Error patterns that a release brought: met in its 48 hours, and in no version before it.
    pub const NEW_ERROR_PATTERNS: &str = "new_error_patterns";
    /// Error patterns that are surely more frequent since a release than in the 14 days before it.
    pub const ANOMALIES_IN_WATCH: &str = "anomalies_in_watch";
    /// Errors that match what a rule searches for.
    pub const MATCHING_ERRORS: &str = "matching_errors";
    /// By how much more an arm converts than the control arm, relative to it.
    pub const CONVERSION_LIFT: &str = "conversion_lift";
    /// The largest difference between the share of an arm and the one that it is meant to have.
    pub const SAMPLE_RATIO_MISMATCH: &str = "sample_ratio_mismatch";
    /// Temperature of a GPU in degrees Celsius.
    pub const GPU_TEMPERATURE_C: &str = "gpu_temperature_c";
    /// Share of the time in which a GPU computed.
    pub const GPU_UTILISATION: &str = "gpu_utilisation";
    /// Share of a GPU's memory that is used.
    pub const GPU_MEMORY_USED_RATIO: &str = "gpu_memory_used_ratio";
    /// Share of its throughput that a GPU loses by being warmer than usual.
    pub const GPU_THROTTLE_LOSS: &str = "gpu_throttle_loss";
    /// Bytes in the log that are not drained yet.
    pub const LOG_BACKLOG_BYTES: &str = "log_backlog_bytes";
    /// Age of the oldest record that is not drained yet, in seconds.
    pub const INGEST_LAG_S: &str = "ingest_lag_s";
    /// Restarts of the embedded engine since the start.
    pub const ENGINE_RESTARTS: &str = "engine_restarts";
    /// Records refused or cut since the start.
    pub const DROPPED_RECORDS: &str = "dropped_records";
}
