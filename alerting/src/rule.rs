//! A rule: which signals, compared with what, for how long, and what follows. Types that cannot be wrong.
//!
//! Rules are written in TOML (`[[rules]]`, see `dashboards/rules/`); [`parse`] reads a file and names
//! everything that is wrong in it by file and rule, with what to do.

pub mod parse;
pub mod search;
mod threshold;

use std::time::Duration;

use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::{Signal, WatchedSearch};
use driftlead_store::state::actions::ActionKind;
use driftlead_store::state::alerts::{Severity, Side};

use crate::catalogue::{ModelThreshold, SignalKind, Windows};

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique among the rules in use.
    pub name: String,
    /// The signal that it looks at.
    pub signal: &'static SignalKind,
    /// The window in seconds, where the signal has several.
    pub window_seconds: Option<u32>,
    /// What it searches for, where it counts the errors that match.
    pub search: Option<RuleSearch>,
    /// Over or under the threshold.
    pub side: Side,
    /// The threshold.
    pub threshold: Threshold,
    /// How long the condition has to hold before the rule fires.
    pub hold: Duration,
    /// Models that it is about.
    pub models: Patterns,
    /// Environments; unset: all.
    pub environments: Option<Patterns>,
    /// Segments; unset: all traffic together.
    pub segments: Option<Patterns>,
    /// Versions; unset: all.
    pub versions: Option<Patterns>,
    /// How bad it is when it fires.
    pub severity: Severity,
    /// Who is told.
    pub notify: Notify,
    /// What is done.
    pub actions: Vec<ActionKind>,
    /// What no data means.
    pub no_data: NoData,
    /// The rule's own words: what it means and what to do.
    pub why: String,
}

/// What a rule searches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSearch {
    /// As people type it.
    pub query: String,
    /// Only errors of these environments; empty: of all.
    pub environments: Vec<String>,
}

/// What a signal is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// A number in the signal's unit.
    Number(f64),
    /// The model's own setting.
    OfModel(ModelThreshold),
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// `notify`: every receiver.
    Everybody,
    /// `notify:<name>`: these; empty: nobody, the alert is on the pages only.
    Receivers(Vec<String>),
}

/// What it means when there is no data, or too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// The alert stays as it is.
    #[default]
    Keep,
    /// The condition does not hold.
    Ok,
    /// The condition holds.
    Alert,
}

/// Names in which `*` stands for any text; one of them has to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// From patterns as written.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Whether one of them matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| matches_pattern(pattern.as_bytes(), name.as_bytes()))
    }
}

impl Rule {
    /// Whether the rule looks at this series of its signal.
    pub fn is_about(&self, environment: &str, model: &str, version: &str, segment: &str) -> bool {
        self.models.matches(model)
            && self
                .segments
                .as_ref()
                .map_or(segment.is_empty(), |segments| segments.matches(segment))
            && self
                .environments
                .as_ref()
                .is_none_or(|environments| environments.matches(environment))
            && self.versions.as_ref().is_none_or(|versions| versions.matches(version))
    }

    /// Whether the rule judges this signal: its name is known to be the rule's.
    pub fn covers(&self, signal: &Signal) -> bool {
        let is_about = match self.search {
            // The signal was counted for this rule, and for no other.
            Some(_) => signal.subject == self.name,
            None => self.is_about(&signal.environment, &signal.model, &signal.version, &signal.segment),
        };
        is_about && self.window_seconds.is_none_or(|seconds| seconds == signal.window_seconds)
    }

    /// The search whose errors are to be counted for it.
    pub fn watched_search(&self) -> Option<WatchedSearch> {
        let search = self.search.as_ref()?;
        Some(WatchedSearch {
            name: self.name.clone(),
            query: search.query.clone(),
            environments: search.environments.clone(),
            window_seconds: self.window_seconds?,
        })
    }

    /// What the rule compares with for a model.
    pub fn threshold_of(&self, settings: &ModelSettings) -> f64 {
        match self.threshold {
            Threshold::Number(number) => number,
            Threshold::OfModel(setting) => setting.of(settings),
        }
    }

    /// Seconds that one window covers; for signals of an instant `None`.
    pub fn window_length(&self) -> Option<u32> {
        /// Service signals look at the last minute.
        const SERVICE_WINDOW_SECONDS: u32 = 60;
        match self.signal.windows {
            Windows::Service => Some(SERVICE_WINDOW_SECONDS),
            Windows::HourOrDay | Windows::Search => self.window_seconds,
            Windows::None => None,
        }
    }
}

/// Greedy matching with one point to come back to, so its time is bounded by the product of the lengths.
fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "employment", true),
            ("employment", "employment", true),
            ("employment", "employment2", false),
            ("emp*", "employment", true),
            ("*ment", "employment", true),
            ("e*m*t", "employment", true),
            ("e*x*t", "employment", false),
            ("", "", true),
            ("", "x", false),
            ("**", "x", true),
            ("*a*b", "aab", true),
            ("*ab", "aabab", true),
        ] {
            assert_eq!(Patterns::new(vec![pattern.into()]).matches(name), expected, "{pattern} {name}");
        }
    }
}
