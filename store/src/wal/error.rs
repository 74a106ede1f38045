//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};

/// The log cannot be opened, read or committed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the log open.
    #[error("the log in {} is open in another process: stop that one first, or use another data folder", path.display())]
    Locked {
        /// The log's folder.
        path: PathBuf,
    },
    /// A later release wrote this log.
    #[error("{} was written by a newer release (format {version}): use that release", path.display())]
    NewerFormat {
        /// The segment's file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// The file that says what a consumer has committed does not read back.
    #[error("{} is damaged ({reason}): restore it from a backup; without it, it is unknown what is stored already", path.display())]
    Consumer {
        /// The consumer's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The name of a consumer is not a plain word.
    #[error("{name:?} cannot name a consumer: use lower-case letters, digits and _")]
    ConsumerName {
        /// The name.
        name: String,
    },
}

impl LogError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A request was not taken. Everything but [`AppendError::TooLarge`] is worth trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log has reached its bound, or the disk is full.
    #[error("the log is full ({bytes} of {max_bytes} bytes): {reason}")]
    Full {
        /// Bytes in the log.
        bytes: u64,
        /// Its bound.
        max_bytes: u64,
        /// The bound, or what the disk said.
        reason: String,
    },
    /// A write or an fsync failed before: nothing is taken until the process is started again.
    #[error("the log takes nothing until a restart: {reason}")]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// The log is closing.
    #[error("the log is closing")]
    Closed,
    /// The frame can never fit.
    #[error("a frame of {bytes} bytes exceeds the {max_bytes} that the log can take")]
    TooLarge {
        /// Bytes of the frame.
        bytes: u64,
        /// The most that fits.
        max_bytes: u64,
    },
}

impl AppendError {
    /// Whether the client should try again.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::TooLarge { .. })
    }
}
