//! What rules may be about: the signals that exist, their units, windows and thresholds by name.

use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::names;

/// What a signal's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share from 0 to 1; thresholds may be written `"3%"`.
    Ratio,
    /// Milliseconds; `"500ms"`, `"2s"`.
    Milliseconds,
    /// Seconds; `"90s"`, `"15m"`.
    Seconds,
    /// Days; `"30d"`, `"12h"`.
    Days,
    /// Events a second.
    PerSecond,
    /// Bytes; `"10MiB"`.
    Bytes,
    /// Degrees Celsius.
    Celsius,
    /// A number of things; also 0 or 1 for no and yes.
    Count,
    /// A statistic, or a length in the unit of what is measured.
    Number,
}

/// Over what a signal is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// The last 60 s, every few seconds.
    Service,
    /// One hour or one day; a rule says which.
    HourOrDay,
    /// Up to now, as long as the rule says, every few seconds: of a search that the rule names.
    Search,
    /// An instant: a verdict, a backlog.
    None,
}

/// A threshold that every model sets for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelThreshold {
    /// `f1_floor`.
    F1Floor,
    /// `latency_budget_ms`.
    LatencyBudgetMs,
}

impl ModelThreshold {
    /// As rules write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F1Floor => "f1_floor",
            Self::LatencyBudgetMs => "latency_budget_ms",
        }
    }

    /// What it is for a model.
    pub fn of(self, settings: &ModelSettings) -> f64 {
        match self {
            Self::F1Floor => settings.f1_floor,
            Self::LatencyBudgetMs => settings.latency_budget_ms,
        }
    }
}

/// A signal that rules may be about.
#[derive(Debug, PartialEq, Eq)]
pub struct SignalKind {
    /// Its name.
    pub name: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// Over what it is computed.
    pub windows: Windows,
    /// It waits for labels: windows are looked at until `label_delay` later.
    pub by_labels: bool,
    /// It is about a model; else about hardware or Driftlead itself, which nobody rolls back.
    pub about_a_model: bool,
    /// It is guessed at without labels: no reason to roll back.
    pub is_estimate: bool,
    /// The setting of a model that a rule may name as threshold.
    pub model_threshold: Option<ModelThreshold>,
}

const fn signal(name: &'static str, unit: Unit, windows: Windows) -> SignalKind {
    SignalKind {
        name,
        unit,
        windows,
        by_labels: false,
        about_a_model: true,
        is_estimate: false,
        model_threshold: None,
    }
}

const fn latency(name: &'static str, windows: Windows) -> SignalKind {
    SignalKind {
        model_threshold: Some(ModelThreshold::LatencyBudgetMs),
        ..signal(name, Unit::Milliseconds, windows)
    }
}

const fn by_labels(name: &'static str) -> SignalKind {
    SignalKind {
        by_labels: true,
        ..signal(name, Unit::Ratio, Windows::HourOrDay)
    }
}

const fn number_by_labels(name: &'static str) -> SignalKind {
    SignalKind {
        unit: Unit::Number,
        ..by_labels(name)
    }
}

const fn estimated(name: &'static str) -> SignalKind {
    SignalKind {
        is_estimate: true,
        ..signal(name, Unit::Ratio, Windows::HourOrDay)
    }
}

const fn f1(kind: SignalKind) -> SignalKind {
    SignalKind {
        model_threshold: Some(ModelThreshold::F1Floor),
        ..kind
    }
}

/// About a GPU of a host, which the signal's subject names.
const fn of_hardware(name: &'static str, unit: Unit) -> SignalKind {
    SignalKind {
        about_a_model: false,
        ..signal(name, unit, Windows::Service)
    }
}

const fn of_driftlead(name: &'static str, unit: Unit) -> SignalKind {
    SignalKind {
        about_a_model: false,
        ..signal(name, unit, Windows::None)
    }
}

/// 1 while the rule files on disk cannot be used and the rules from before are kept. Raised by alerting
/// itself.
pub const RULES_INVALID: &str = "rules_invalid";

/// Every signal that rules may be about.
pub static SIGNALS: &[SignalKind] = &[
    signal(names::REQUEST_RATE, Unit::PerSecond, Windows::Service),
    signal(names::ERROR_RATIO, Unit::Ratio, Windows::Service),
    signal(names::ERRORS_PER_SECOND, Unit::PerSecond, Windows::Service),
    latency(names::LATENCY_P50_MS, Windows::Service),
    latency(names::LATENCY_P95_MS, Windows::Service),
    latency(names::LATENCY_P99_MS, Windows::Service),
    signal(names::SILENCE_S, Unit::Seconds, Windows::Service),
    signal(names::MISSING_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::NEW_CATEGORY_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::OUT_OF_RANGE_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::TYPE_MISMATCH_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::SHAPE_MISMATCH_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::DUPLICATE_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::FEATURE_SHIFT, Unit::Ratio, Windows::HourOrDay),
    signal(names::PREDICTION_SHIFT, Unit::Ratio, Windows::HourOrDay),
    signal(names::EMBEDDING_SHIFT, Unit::Ratio, Windows::HourOrDay),
    signal(names::EMBEDDING_AGE_DAYS, Unit::Days, Windows::HourOrDay),
    signal(names::EMBEDDING_STALENESS, Unit::Ratio, Windows::HourOrDay),
    signal(names::NEIGHBOURS_KEPT, Unit::Ratio, Windows::HourOrDay),
    signal(names::STALE_TOKEN_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::PSI, Unit::Number, Windows::HourOrDay),
    signal(names::KS, Unit::Ratio, Windows::HourOrDay),
    signal(names::JS, Unit::Ratio, Windows::HourOrDay),
    signal(names::WASSERSTEIN, Unit::Number, Windows::HourOrDay),
    signal(names::CHI2, Unit::Number, Windows::HourOrDay),
    signal(names::HELLINGER, Unit::Ratio, Windows::HourOrDay),
    signal(names::NEW_CLUSTER_RATIO, Unit::Ratio, Windows::HourOrDay),
    signal(names::MMD, Unit::Number, Windows::HourOrDay),
    signal(names::DOMAIN_AUC, Unit::Ratio, Windows::HourOrDay),
    by_labels(names::ACCURACY),
    by_labels(names::PRECISION),
    by_labels(names::RECALL),
    f1(by_labels(names::F1)),
    by_labels(names::FALSE_POSITIVE_RATIO),
    by_labels(names::ROC_AUC),
    by_labels(names::PR_AUC),
    by_labels(names::BRIER),
    number_by_labels(names::LOG_LOSS),
    by_labels(names::ECE),
    number_by_labels(names::MAE),
    number_by_labels(names::RMSE),
    by_labels(names::INCORRECT_RATIO),
    by_labels(names::QUALITY_DECAY_PER_MONTH),
    estimated(names::ESTIMATED_ACCURACY),
    f1(estimated(names::ESTIMATED_F1)),
    by_labels(names::CONVERSION_LIFT),
    signal(names::SAMPLE_RATIO_MISMATCH, Unit::Ratio, Windows::HourOrDay),
    signal(names::GATE_FAILED, Unit::Count, Windows::None),
    f1(signal(names::CONTROL_F1, Unit::Ratio, Windows::None)),
    signal(names::CONTROL_ACCURACY, Unit::Ratio, Windows::None),
    latency(names::CONTROL_LATENCY_P95_MS, Windows::None),
    signal(names::CONTROL_DROP, Unit::Ratio, Windows::None),
    signal(names::NEW_ERROR_PATTERNS, Unit::Count, Windows::None),
    signal(names::ANOMALIES_IN_WATCH, Unit::Count, Windows::None),
    SignalKind {
        about_a_model: false,
        ..signal(names::MATCHING_ERRORS, Unit::Count, Windows::Search)
    },
    of_hardware(names::GPU_TEMPERATURE_C, Unit::Celsius),
    of_hardware(names::GPU_UTILISATION, Unit::Ratio),
    of_hardware(names::GPU_MEMORY_USED_RATIO, Unit::Ratio),
    of_hardware(names::GPU_THROTTLE_LOSS, Unit::Ratio),
    of_driftlead(names::LOG_BACKLOG_BYTES, Unit::Bytes),
    of_driftlead(names::INGEST_LAG_S, Unit::Seconds),
    of_driftlead(names::ENGINE_RESTARTS, Unit::Count),
    of_driftlead(names::DROPPED_RECORDS, Unit::Count),
    of_driftlead(RULES_INVALID, Unit::Count),
];

/// The signal of this name.
pub fn find(name: &str) -> Option<&'static SignalKind> {
    SIGNALS.iter().find(|signal| signal.name == name)
}

/// The name that was probably meant, for messages about one that does not exist.
pub fn nearest(name: &str) -> &'static str {
    let nearest = SIGNALS.iter().min_by_key(|signal| edits(name, signal.name));
    nearest.map_or("", |signal| signal.name)
}

/// Levenshtein distance in characters.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probable_name_is_found() {
        for (written, meant) in [
            ("feature_shif", "feature_shift"),
            ("error_rate", "error_ratio"),
            ("latency_p95", "latency_p95_ms"),
        ] {
            assert_eq!(nearest(written), meant);
        }
    }

    #[test]
    fn every_signal_is_listed_once() {
        for signal in SIGNALS {
            assert_eq!(
                SIGNALS.iter().filter(|other| other.name == signal.name).count(),
                1,
                "{}",
                signal.name
            );
        }
    }
}
