//! Identifiers that Driftlead gives out: a prefix that says what it names, and a time-ordered UUID.

use uuid::Uuid;

/// What an identifier names; its prefix is part of the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A rollback or a retraining.
    Action,
    /// An alert.
    Alert,
    /// A deployment event.
    Deployment,
    /// A message in the outbox; the `webhook-id` of every attempt to deliver it.
    Message,
    /// A control replay.
    Replay,
    /// A retraining as the trainer names it.
    Retrain,
    /// A silence.
    Silence,
    /// A verdict of the gate.
    Verdict,
    /// An API key.
    Key,
    /// A point in time of the error index.
    Point,
    /// A search that is kept under a name.
    Search,
}

impl IdKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Action => "act",
            Self::Alert => "alr",
            Self::Deployment => "dep",
            Self::Message => "msg",
            Self::Replay => "rpl",
            Self::Retrain => "rtr",
            Self::Silence => "sil",
            Self::Verdict => "ver",
            Self::Key => "key",
            Self::Point => "pit",
            Self::Search => "sea",
        }
    }
}

/// A new identifier such as `act_0198…`: sorts by the time it was made.
pub fn new_id(kind: IdKind) -> String {
    format!("{}_{}", kind.prefix(), Uuid::now_v7().simple())
}
