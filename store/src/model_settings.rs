//! `[[models]]` of the configuration: what the user declares about a model. All of it is optional; a
//! model that only sends telemetry is watched with the defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Default of `f1_floor`.
pub const DEFAULT_F1_FLOOR: f64 = 0.85;
/// Default of `latency_budget_ms`.
pub const DEFAULT_LATENCY_BUDGET_MS: f64 = 500.0;
/// What `label_delay` is in seconds as long as nothing is declared and nothing was learnt: one day.
pub const DEFAULT_LABEL_DELAY_SECONDS: u64 = 86_400;

/// One `[[models]]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The model's name as telemetry has it.
    pub name: String,
    /// The class that precision, recall and F1 are about.
    pub positive_class: Option<String>,
    /// What `ml.prediction.score` is the probability of, where the model declares a `positive_class`.
    #[serde(default)]
    pub score_of: ScoreOf,
    /// What the values of numeric features have to lie in; of the others the reference shows it.
    #[serde(default)]
    pub ranges: BTreeMap<String, Range>,
    /// The gate's floor of F1 and the rules' default threshold, from 0 to 1.
    #[serde(default = "default_f1_floor")]
    pub f1_floor: f64,
    /// Budget of the 95th percentile of latency, in milliseconds.
    #[serde(default = "default_latency_budget_ms")]
    pub latency_budget_ms: f64,
    /// How long labels usually take, such as `1d`, `30m` or `0s`; unset: as long as most of the last days took.
    #[serde(default, with = "crate::model_settings::duration::optional")]
    pub label_delay: Option<std::time::Duration>,
    /// What windows are compared with; unset: the previous version, else the 28 days before.
    pub reference: Option<ReferenceSettings>,
    /// Of weeks of telemetry take the hours that are the same hour of the week as the window: a rhythm is not drift.
    #[serde(default = "default_match_reference")]
    pub match_reference: bool,
    /// What clusters of inferences are looked for in; unset: none are. An inference that says no segment belongs to that of its cluster.
    pub clusters: Option<ClustersOf>,
    /// A `file://` folder with the encoder of the model's texts: stored embeddings are compared with what it makes now. `{version}` may
    /// stand for the version.
    pub encoder: Option<String>,
    /// How traffic is split among arms, where it is.
    pub experiment: Option<ExperimentSettings>,
    /// How versions are replayed; without one replays are `skipped`, with that reason.
    pub runner: Option<RunnerSettings>,
    /// How a version is rolled back.
    pub rollback: Option<ActionSettings>,
    /// How a retraining is started.
    pub retrain: Option<ActionSettings>,
    /// Compare F1 and accuracy as points instead of with their bounds.
    #[serde(default)]
    pub strict_gate: bool,
}

impl ModelSettings {
    /// The settings of a model of which nothing is declared.
    pub fn undeclared(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            positive_class: None,
            score_of: ScoreOf::default(),
            ranges: BTreeMap::new(),
            f1_floor: DEFAULT_F1_FLOOR,
            latency_budget_ms: DEFAULT_LATENCY_BUDGET_MS,
            label_delay: None,
            reference: None,
            match_reference: true,
            clusters: None,
            encoder: None,
            experiment: None,
            runner: None,
            rollback: None,
            retrain: None,
            strict_gate: false,
        }
    }
}

/// Whose probability a score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreOf {
    /// The positive class's, whatever was predicted.
    #[default]
    PositiveClass,
    /// The predicted class's.
    PredictedClass,
}

/// The numbers from the first to the second, both of them included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 2]", into = "[f64; 2]")]
pub struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// The least number.
    pub fn low(self) -> f64 {
        self.low
    }

    /// The greatest number.
    pub fn high(self) -> f64 {
        self.high
    }
}

impl TryFrom<[f64; 2]> for Range {
    type Error = String;

    fn try_from([low, high]: [f64; 2]) -> Result<Self, String> {
        if low.is_finite() && high.is_finite() && low <= high {
            Ok(Self { low, high })
        } else {
            Err(format!(
                "[{low}, {high}] is not a range: write the least number and then the greatest, such as [0, 1]"
            ))
        }
    }
}

impl From<Range> for [f64; 2] {
    fn from(range: Range) -> Self {
        [range.low, range.high]
    }
}

/// What windows of a model are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReferenceSettings {
    /// Telemetry from the first instant to the second (RFC 3339, or dates).
    Pinned(String, String),
    /// Rows uploaded under this name.
    Uploaded(String),
    /// The version that was live before.
    PreviousVersion,
    /// This many days before the window.
    Trailing(u32),
}

/// What inferences are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClustersOf {
    /// Their embeddings.
    Embeddings,
    /// Their features.
    Features,
}

/// How traffic is split among the arms of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "StatedExperiment")]
pub struct ExperimentSettings {
    /// The arm that the others are compared with.
    pub control: String,
    /// The share of the traffic that each arm is meant to have, 1 in all; empty: not stated.
    #[serde(default)]
    pub shares: BTreeMap<String, f64>,
}

/// [`ExperimentSettings`] as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedExperiment {
    control: String,
    #[serde(default)]
    shares: BTreeMap<String, f64>,
}

/// How far the shares of all arms together may be from 1.
const SHARE_ROUNDING: f64 = 1e-6;

impl TryFrom<StatedExperiment> for ExperimentSettings {
    type Error = String;

    fn try_from(StatedExperiment { control, shares }: StatedExperiment) -> Result<Self, String> {
        if shares.is_empty() {
            return Ok(Self { control, shares });
        }
        if shares.values().any(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err("the share of an arm is a number between 0 and 1, such as 0.1".to_owned());
        }
        let total: f64 = shares.values().sum();
        if (total - 1.0).abs() > SHARE_ROUNDING {
            return Err(format!("the shares of all arms are 1 together, these are {total}"));
        }
        if !shares.contains_key(&control) {
            return Err(format!("the control arm {control:?} has no share: state one of each arm"));
        }
        Ok(Self { control, shares })
    }
}

/// How a version is replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RunnerSettings {
    /// A `file://` folder that candle loads; `{version}` stands for the version.
    Candle(String),
    /// An inference server.
    Http(String),
}

/// A webhook that acts, and who has to agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSettings {
    /// Where the request goes.
    pub url: String,
    /// Who has to agree.
    #[serde(default)]
    pub approval: Approval,
    /// Secret that signs the request: `whsec_…` (base64), or none.
    pub secret: Option<String>,
    /// Shortest time between two actions of this kind, such as `10m`.
    #[serde(default = "default_cool_down", with = "crate::model_settings::duration")]
    pub cool_down: std::time::Duration,
}

/// Who has to agree to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody.
    Auto,
    /// A person with the scope `operate`.
    #[default]
    Ask,
    /// It never happens.
    Off,
}

fn default_match_reference() -> bool {
    true
}

fn default_f1_floor() -> f64 {
    DEFAULT_F1_FLOOR
}

fn default_latency_budget_ms() -> f64 {
    DEFAULT_LATENCY_BUDGET_MS
}

fn default_cool_down() -> std::time::Duration {
    std::time::Duration::from_secs(600)
}

/// Durations as people write them: `500ms`, `30s`, `10m`, `1h`, `1d`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Reads a whole number with one of the units ms, s, m, h, d.
    ///
    /// # Errors
    /// The text says what was expected.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let wrong = || format!("{text:?} is not a duration: write a whole number and a unit, such as 500ms, 30s, 10m, 1h or 1d");
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let seconds = |per_unit: u64| number.checked_mul(per_unit).map(Duration::from_secs).ok_or_else(wrong);
        match unit {
            "ms" => Ok(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            "d" => seconds(86_400),
            _ => Err(wrong()),
        }
    }

    /// Writes the largest unit that divides the duration.
    pub fn format(duration: Duration) -> String {
        let millis = duration.as_millis();
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis.is_multiple_of(length) && (millis > 0 || unit == "s") {
                return format!("{}{unit}", millis / length);
            }
        }
        format!("{millis}ms")
    }

    /// For `#[serde(with = …)]`.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(serde::de::Error::custom)
    }

    /// For `#[serde(with = …)]`.
    ///
    /// # Errors
    /// Only those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*duration))
    }

    /// For `#[serde(default, with = …)]` of what may be unset.
    pub mod optional {
        use std::time::Duration;

        use serde::{Deserializer, Serializer};

        /// Reads what is set.
        ///
        /// # Errors
        /// As [`super::parse`].
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }

        /// Writes what is set.
        ///
        /// # Errors
        /// Only those of the serializer.
        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{ExperimentSettings, duration};

    #[test]
    fn shares_of_arms_are_one_in_all() {
        let read = |stated: serde_json::Value| serde_json::from_value::<ExperimentSettings>(stated).map_err(|error| error.to_string());
        let stated = read(json!({"control": "old", "shares": {"old": 0.9, "new": 0.1}})).unwrap();
        assert_eq!((stated.control.as_str(), stated.shares["new"]), ("old", 0.1));
        assert!(read(json!({"control": "old"})).unwrap().shares.is_empty());
        for (stated, expected) in [
            (json!({"control": "old", "shares": {"old": 0.9, "new": 0.2}}), "1 together"),
            (json!({"control": "old", "shares": {"old": 1.0}}), "between 0 and 1"),
            (json!({"control": "older", "shares": {"old": 0.9, "new": 0.1}}), "has no share"),
            (json!({"shares": {}}), "control"),
        ] {
            let error = read(stated.clone()).unwrap_err();
            assert!(error.contains(expected), "{stated}: {error}");
        }
    }

    #[test]
    fn durations_read_back_as_written() {
        for (text, expected) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(duration::parse(text), Ok(Duration::from_millis(expected)));
            assert_eq!(duration::format(Duration::from_millis(expected)), text);
        }
        for wrong in ["", "s", "1", "1w", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(duration::parse(wrong).is_err(), "{wrong}");
        }
    }
}
