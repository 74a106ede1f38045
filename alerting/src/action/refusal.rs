//! Why an action does not begin.

use std::fmt;

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{ActionKind, ActionState};

/// Why an action does not begin, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The model has no webhook for it.
    NotConfigured {
        /// What was asked.
        kind: ActionKind,
        /// Of which model.
        model: String,
    },
    /// `approval = "off"`.
    SwitchedOff {
        /// What was asked.
        kind: ActionKind,
        /// Of which model.
        model: String,
    },
    /// One of its kind is under way for this model and environment.
    InProgress {
        /// The one that is under way.
        action: String,
        /// Where it stands.
        state: ActionState,
    },
    /// The last one was too recent for a rule to ask again.
    CoolingDown {
        /// Until when.
        until: UnixNanos,
    },
    /// What this alert asked for has been tried or refused since it fires.
    AlreadyTried {
        /// What was tried.
        action: String,
        /// How it ended.
        state: ActionState,
    },
    /// It is not known what to roll back to.
    NoTarget {
        /// The version that serves, where known.
        from: Option<String>,
    },
    /// The target serves already.
    IsLive {
        /// The target.
        version: String,
    },
    /// Nobody has seen or announced the target.
    UnknownVersion {
        /// The target.
        version: String,
    },
    /// The gate failed the target.
    FailedGate {
        /// The target.
        version: String,
    },
    /// The version that the alert is about does not serve.
    NotServing {
        /// That version.
        version: String,
        /// What serves instead, where known.
        live: Option<String>,
    },
}

impl Refusal {
    /// Whether facts about what serves had to be gathered to find it out.
    pub(crate) fn needs_facts(&self) -> bool {
        matches!(
            self,
            Self::NoTarget { .. } | Self::IsLive { .. } | Self::UnknownVersion { .. } | Self::FailedGate { .. } | Self::NotServing { .. }
        )
    }

    /// For pages and clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured { .. } => "not_configured",
            Self::SwitchedOff { .. } => "switched_off",
            Self::InProgress { .. } => "in_progress",
            Self::CoolingDown { .. } => "cooling_down",
            Self::AlreadyTried { .. } => "already_tried",
            Self::NoTarget { .. } => "no_target",
            Self::IsLive { .. } => "is_live",
            Self::UnknownVersion { .. } => "unknown_version",
            Self::FailedGate { .. } => "failed_gate",
            Self::NotServing { .. } => "not_serving",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured { kind, model } => write!(
                f,
                "no {kind} is configured for {model}: add {kind} = {{ url = \"…\" }} to its [[models]] table",
                kind = kind.as_str()
            ),
            Self::SwitchedOff { kind, model } => write!(f, "{} of {model} is switched off (approval = \"off\")", kind.as_str()),
            Self::InProgress { action, state } => write!(f, "{action} is under way ({}): wait for its end", state.as_str()),
            Self::CoolingDown { until } => write!(f, "the last one was too recent: rules may ask again at {until}"),
            Self::AlreadyTried { action, state } => write!(f, "this alert asked for {action} already, which is {}", state.as_str()),
            Self::NoTarget { from: Some(from) } => write!(f, "{from} has no baseline to go back to: name the version to roll back to"),
            Self::NoTarget { from: None } => write!(f, "no version is known to serve: name the version to roll back to"),
            Self::IsLive { version } => write!(f, "{version} serves already"),
            Self::UnknownVersion { version } => write!(f, "version {version} was never seen nor announced: name one that was"),
            Self::FailedGate { version } => write!(f, "{version} failed the gate: it is never rolled back to"),
            Self::NotServing { version, live: Some(live) } => write!(f, "{version} does not serve: {live} does"),
            Self::NotServing { version, live: None } => write!(f, "{version} does not serve"),
        }
    }
}
