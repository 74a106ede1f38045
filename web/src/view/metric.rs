//! One signal's latest value as a page shows it: with bounds, threshold, and the reason where there is none.

use driftlead_alerting::pack::Rules;
use driftlead_alerting::rule::Rule;
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{Signal, SignalState};
use driftlead_store::state::alerts::{Severity, Side};
use serde::Serialize;

/// A rule's threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// Which side is bad.
    pub side: Side,
    /// In the signal's unit.
    pub value: f64,
    /// How bad it is past it.
    pub severity: Severity,
    /// The rule's name.
    pub rule: String,
}

/// Values in even steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spark {
    /// Start of the first step in Unix seconds.
    pub from: i64,
    /// Length of a step in seconds.
    pub step_s: i64,
    /// One value a step; `None` is an empty step.
    pub values: Vec<Option<f64>>,
}

/// One signal's latest value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub signal: &'static str,
    /// The value.
    pub value: Option<f64>,
    /// Why there is none.
    pub unknown: Option<&'static str>,
    /// Lower bound.
    pub lower: Option<f64>,
    /// Upper bound.
    pub upper: Option<f64>,
    /// Records behind it.
    pub n: u64,
    /// Records of the reference.
    pub reference_n: u64,
    /// End of its window.
    pub at: Option<UnixNanos>,
    /// Length of its window in seconds.
    pub window_s: u32,
    /// The feature that it is about, or empty.
    pub subject: String,
    /// More labels or late records are expected.
    pub provisional: bool,
    /// The strictest rule on it.
    pub threshold: Option<Threshold>,
    /// The last 24 h.
    pub spark: Option<Spark>,
}

/// The codes that pages have words for.
const CODES: [&str; 3] = ["no_reference", "reference_waiting", "switched_off"];

fn why_unknown(signal: &Signal) -> &'static str {
    let said = signal.details["unknown"].as_str().unwrap_or_default();
    CODES.into_iter().find(|code| *code == said).unwrap_or("insufficient")
}

impl Metric {
    /// A metric without a value, and why.
    pub fn unknown(signal: &'static str, why: &'static str) -> Self {
        Self {
            signal,
            value: None,
            unknown: Some(why),
            lower: None,
            upper: None,
            n: 0,
            reference_n: 0,
            at: None,
            window_s: 0,
            subject: String::new(),
            provisional: false,
            threshold: None,
            spark: None,
        }
    }

    /// From the latest point, where there is one; `absent` says why there is none otherwise.
    pub fn from_signal(name: &'static str, signal: Option<&Signal>, absent: &'static str) -> Self {
        let Some(signal) = signal else { return Self::unknown(name, absent) };
        Self {
            value: signal.value,
            unknown: (signal.state == SignalState::Insufficient || signal.value.is_none()).then(|| why_unknown(signal)),
            lower: signal.lower,
            upper: signal.upper,
            n: signal.n,
            reference_n: signal.reference_n,
            at: Some(signal.window_end),
            window_s: signal.window_seconds,
            subject: signal.subject.clone(),
            provisional: signal.provisional,
            ..Self::unknown(name, absent)
        }
    }

    /// With the strictest rule's threshold.
    pub fn with_threshold(mut self, threshold: Option<Threshold>) -> Self {
        self.threshold = threshold;
        self
    }

    /// With the last 24 h.
    pub fn with_spark(mut self, spark: Option<Spark>) -> Self {
        self.spark = spark;
        self
    }
}

/// The strictest rule on a signal of a model: the lowest `above`, the highest `below`.
pub fn strictest(rules: &Rules, signal: &str, settings: &ModelSettings, environment: &str) -> Option<Threshold> {
    let thresholds = rules
        .on_signal(signal)
        .iter()
        .filter(|rule| rule.is_about(environment, &settings.name, "", ""));
    let thresholds = thresholds.map(|rule| threshold(rule, settings));
    thresholds.min_by(|a, b| strictness(a).total_cmp(&strictness(b)))
}

/// A rule's threshold for a model.
pub fn threshold(rule: &Rule, settings: &ModelSettings) -> Threshold {
    Threshold {
        side: rule.side,
        value: rule.threshold_of(settings),
        severity: rule.severity,
        rule: rule.name.clone(),
    }
}

fn strictness(threshold: &Threshold) -> f64 {
    match threshold.side {
        Side::Above => threshold.value,
        Side::Below => -threshold.value,
    }
}
