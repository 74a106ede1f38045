//! Patterns of messages: what is left of an error's message when what varies is taken out of it.
//!
//! The method is Drain (He, Zhu, Zheng, Lyu: Drain: An Online Log Parsing Approach with Fixed Depth Tree, ICWS 2017): messages
//! of one number of words that begin alike are compared word by word with the templates that are there, and the one that
//! shares most words takes the message; words in which they differ become a gap. Before that, what is a number, an id or an
//! address by its looks is masked ([`mask`]), so that most messages are their template from the first one on.
//!
//! A pattern's id is a hash of its first message after masking. It is kept with the template, so it stays the same when the
//! template loses words and when the process starts again; and two nodes that meet the same message first agree on it.
//!
//! The index's consumer has a [`Learner`]: it gives each error its pattern before the error is written, and keeps what is new
//! (templates, and in which version a pattern was met first) in the state before the errors are committed.

mod learner;
mod mask;
mod miner;
mod sighting;
mod template;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use learner::{Keep, Learner};
pub use miner::{Miner, MinerLimits, Taken};
pub use sighting::{KnownPatterns, LearntPattern, PatternNews, PatternSighting};
pub use template::Template;

/// Names a pattern: 16 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PatternId(pub u64);

impl fmt::Display for PatternId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<PatternId> for String {
    fn from(id: PatternId) -> Self {
        id.to_string()
    }
}

/// A text that is not the id of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a pattern: 16 hex digits")]
pub struct NotAPatternId(String);

impl std::str::FromStr for PatternId {
    type Err = NotAPatternId;

    fn from_str(text: &str) -> Result<Self, NotAPatternId> {
        let wrong = || NotAPatternId(text.chars().take(64).collect());
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for PatternId {
    type Error = NotAPatternId;

    fn try_from(text: String) -> Result<Self, NotAPatternId> {
        text.parse()
    }
}
