//! What the signals of one series and window share.

use driftlead_store::records::{Signal, SignalState};
use serde_json::{Value, json};

use crate::stats::Bounds;
use crate::window::Window;

/// Model, version, environment, segment and window of a signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub model: &'a str,
    /// Empty for all versions together.
    pub version: &'a str,
    pub environment: &'a str,
    /// Empty for all traffic together.
    pub segment: &'a str,
    pub window: Window,
    pub provisional: bool,
}

/// A value with its bounds; the bounds of the decision are those of display unless they are given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub value: f64,
    pub shown: Option<Bounds>,
    pub decided: Option<Bounds>,
}

impl Estimate {
    /// Known exactly.
    pub fn exact(value: f64) -> Self {
        Self {
            value,
            shown: None,
            decided: None,
        }
    }

    /// With the same bounds for display and decision.
    pub fn bounded(value: f64, bounds: Bounds) -> Self {
        Self {
            value,
            shown: Some(bounds),
            decided: Some(bounds),
        }
    }
}

impl<'a> Frame<'a> {
    /// All versions, environments and traffic of a model in a window that has ended.
    pub fn of_all(model: &'a str, window: Window) -> Self {
        Self {
            model,
            version: "",
            environment: "",
            segment: "",
            window,
            provisional: false,
        }
    }
}

impl Frame<'_> {
    /// An hour of a model, for tests.
    #[cfg(test)]
    pub const EXAMPLE: Frame<'static> = Frame {
        model: "m",
        version: "1",
        environment: "",
        segment: "",
        window: Window {
            end: driftlead_store::clock::UnixNanos(360_000_000_000_000),
            seconds: 3_600,
        },
        provisional: false,
    };

    pub fn signal(&self, name: &str, subject: &str, estimate: Estimate, n: u64, details: Value) -> Signal {
        Signal {
            value: Some(estimate.value),
            lower: estimate.shown.map(|bounds| bounds.lower),
            upper: estimate.shown.map(|bounds| bounds.upper),
            decision_lower: estimate.decided.map(|bounds| bounds.lower),
            decision_upper: estimate.decided.map(|bounds| bounds.upper),
            state: SignalState::Ok,
            details,
            ..self.empty(name, subject, n)
        }
    }

    /// Without a value, and why: `code` for programs, `reason` for people.
    pub fn insufficient(&self, name: &str, subject: &str, n: u64, code: &str, reason: impl Into<String>) -> Signal {
        let reason: String = reason.into();
        Signal {
            details: json!({ "unknown": code, "reason": reason }),
            ..self.empty(name, subject, n)
        }
    }

    fn empty(&self, name: &str, subject: &str, n: u64) -> Signal {
        Signal {
            name: name.to_owned(),
            model: self.model.to_owned(),
            version: self.version.to_owned(),
            environment: self.environment.to_owned(),
            segment: self.segment.to_owned(),
            subject: subject.to_owned(),
            window_end: self.window.end,
            window_seconds: self.window.seconds,
            value: None,
            lower: None,
            upper: None,
            decision_lower: None,
            decision_upper: None,
            n,
            reference_n: 0,
            provisional: self.provisional,
            state: SignalState::Insufficient,
            details: json!({}),
        }
    }
}
