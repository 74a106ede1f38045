//! Why an alert is in its state, in words.

use std::fmt;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::duration;
use driftlead_store::state::alerts::Side;

use crate::notify::number::short;
use crate::rule::NoData;

/// A value and what it was compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Name of the signal.
    pub signal: &'static str,
    /// What it is about within the model, or empty.
    pub subject: String,
    /// The value.
    pub value: f64,
    /// Its lower bound for display.
    pub lower: Option<f64>,
    /// Its upper bound for display.
    pub upper: Option<f64>,
    /// The bound that was compared; `None`: the value was.
    pub bound: Option<f64>,
    /// On which side of the threshold the rule fires.
    pub side: Side,
    /// The threshold.
    pub threshold: f64,
    /// Whether the condition holds.
    pub holds: bool,
}

/// Why there is nothing to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDataBecause {
    /// So many records are too few to say anything.
    TooFew(u64),
    /// The series was last reported for a window that ended then.
    NotReported(UnixNanos),
}

/// Why an alert is in its state.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The value was compared.
    Compared(Comparison),
    /// The condition holds, but not for long enough yet.
    Waits(Comparison, Duration),
    /// There is no data, which means what the rule says.
    NoData {
        /// Why there is none.
        because: NoDataBecause,
        /// What that means.
        means: NoData,
    },
    /// The version was rolled back.
    RolledBack {
        /// The version.
        version: String,
        /// The action.
        action: String,
    },
    /// Other versions serve now.
    NoLongerServes {
        /// The version.
        version: String,
    },
    /// The model was silent for so long that nobody misses it any more.
    Forgotten,
    /// The rule was taken out of the files.
    RuleRemoved,
    /// The rule counts errors of other environments now.
    CountsElsewhere,
}

impl Reason {
    /// What a webhook has in `because`.
    pub fn because(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signal)?;
        if !self.subject.is_empty() {
            write!(f, " of {}", self.subject)?;
        }
        write!(f, " {}", short(self.value))?;
        if let (Some(lower), Some(upper)) = (self.lower, self.upper) {
            write!(f, " ({}–{})", short(lower), short(upper))?;
        }
        let (side, opposite, at) = match self.side {
            Side::Above => ("above", "not surely above", "at least"),
            Side::Below => ("below", "not surely below", "at most"),
        };
        match (self.holds, self.bound) {
            (true, None) => write!(f, " {side} {}", short(self.threshold)),
            (true, Some(bound)) => write!(f, ", surely {at} {}, {side} {}", short(bound), short(self.threshold)),
            (false, None) => write!(f, " not {side} {}", short(self.threshold)),
            (false, Some(_)) => write!(f, " {opposite} {}", short(self.threshold)),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compared(comparison) => comparison.fmt(f),
            Self::Waits(comparison, hold) => write!(f, "{comparison}; it fires when that lasts {}", duration::format(*hold)),
            Self::NoData { because, means } => {
                match because {
                    NoDataBecause::TooFew(n) => write!(f, "{n} records are too few to say anything")?,
                    NoDataBecause::NotReported(last) => write!(f, "not reported since {last}")?,
                }
                f.write_str(match means {
                    NoData::Keep => ", which changes nothing",
                    NoData::Ok => ", which the rule takes as well",
                    NoData::Alert => ", which the rule takes as bad",
                })
            }
            Self::RolledBack { version, action } => write!(f, "{version} was rolled back ({action})"),
            Self::NoLongerServes { version } => write!(f, "{version} no longer serves"),
            Self::Forgotten => f.write_str("the model was silent for a week and is no longer missed"),
            Self::RuleRemoved => f.write_str("the rule is no longer in use"),
            Self::CountsElsewhere => f.write_str("the rule counts errors of other environments now"),
        }
    }
}
