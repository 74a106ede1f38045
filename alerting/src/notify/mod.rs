//! What is said, and how it travels: a message is rendered once, when it is decided, and sent as it was
//! rendered at every attempt.
//!
//! [`notice`] holds what can be said and the JSON of it; [`webhook`] posts it with the headers of
//! [`signature`]; [`email`] renders and sends it as plain text. Deliberately absent: deciding whom to tell
//! ([`crate::route`]) and trying again ([`crate::outbox`]).

pub mod email;
pub mod notice;
pub mod number;
pub mod signature;
pub mod webhook;

use std::time::Duration;

/// How an attempt to deliver ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The receiver took it.
    Delivered {
        /// Status of its answer, where the channel has one.
        status: Option<u16>,
    },
    /// It did not; trying again may help.
    Failed {
        /// Status of its answer, where there was one.
        status: Option<u16>,
        /// What went wrong, without addresses or secrets.
        error: String,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It never will.
    Impossible {
        /// Status of its answer, where there was one.
        status: Option<u16>,
        /// Why, without addresses or secrets.
        error: String,
    },
}

/// One attempt takes at most this long. A claim's lease is longer, so that no message is sent by two at once.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
