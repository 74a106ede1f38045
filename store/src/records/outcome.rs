//! What became known of an inference later: the truth, a person's verdict, a conversion.

use crate::clock::UnixNanos;

/// Kind and value of an outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum OutcomeKind {
    /// The truth: a class, or a number written as text.
    Label(String),
    /// A person pressed Correct (`true`) or Incorrect.
    Verdict(bool),
    /// A conversion of this value.
    Conversion(f64),
}

impl OutcomeKind {
    /// `label`, `verdict` or `conversion`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Label(_) => "label",
            Self::Verdict(_) => "verdict",
            Self::Conversion(_) => "conversion",
        }
    }
}

/// One outcome. Idempotent by (model, request id, kind, `id` or `at`): the last received wins.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The model that inferred; empty where a decoded event names none, until the drain has found it.
    pub model: String,
    /// The inference that it belongs to, which may not have arrived yet.
    pub request_id: String,
    /// What became known.
    pub kind: OutcomeKind,
    /// The sender's own id of this outcome, else [`Outcome::id_of_instant`] of the `at` that it stated, else
    /// empty.
    pub id: String,
    /// When it became known, by the sender's clock, else when it was received.
    pub at: UnixNanos,
    /// When the frame was received.
    pub received_time: UnixNanos,
}

impl Outcome {
    /// Tells outcomes apart that have no id of their own: by when they became known.
    pub fn id_of_instant(at: UnixNanos) -> String {
        format!("at:{}", at.0)
    }
}
