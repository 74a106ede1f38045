//! What the demo measured, as `--summary` writes it. Every value but `heldout_f1` is read back from the product.

use std::collections::BTreeMap;

use serde::Serialize;

/// The JSON of `--summary`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Inferences reported, by request id.
    pub records_sent: u64,
    /// Inferences that the product lists.
    pub records_stored: u64,
    /// Reported but not listed.
    pub records_lost: u64,
    /// Listed more than once.
    pub records_doubled: u64,
    /// Features for which the drift rule fired.
    pub drifted_features: Vec<String>,
    /// F1 by version from labels.
    pub f1: BTreeMap<String, Option<f64>>,
    /// F1 by version on the rows of 2018 that nobody trained on, computed by the demo itself.
    pub heldout_f1: BTreeMap<String, f64>,
    /// Replays by version.
    pub control: BTreeMap<String, Control>,
    /// Verdicts by version.
    pub gate: BTreeMap<String, String>,
    /// Alerts that were sent.
    pub alerts: Vec<SentAlert>,
    /// The rollback of 1.1.
    pub rollback: Option<Rollback>,
    /// Largest `shift.value` over all features, by version against its reference.
    pub largest_shift: BTreeMap<String, Shift>,
    /// Seconds from the end of the back-fill to the first alert.
    pub first_alert_seconds: Option<f64>,
    /// Seconds from start to the closed loop.
    pub wall_seconds: f64,
}

/// A replay's figures.
#[derive(Debug, Clone, Serialize)]
pub struct Control {
    /// F1 on the control examples.
    pub f1: Option<f64>,
}

/// An alert and where it went.
#[derive(Debug, Clone, Serialize)]
pub struct SentAlert {
    /// The rule's name.
    pub name: String,
    /// Channels and receivers that took it.
    pub sent_to: Vec<String>,
}

/// The rollback's end.
#[derive(Debug, Clone, Serialize)]
pub struct Rollback {
    /// Its state.
    pub state: String,
    /// Seconds from 1.1's first inference to the confirmation.
    pub seconds_to_confirmed: Option<f64>,
}

/// The feature that moved most.
#[derive(Debug, Clone, Serialize)]
pub struct Shift {
    /// Its name.
    pub feature: String,
    /// Its shift.
    pub value: f64,
    /// Inferences compared.
    pub n: u64,
}
