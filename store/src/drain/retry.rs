//! Trying again for ever, ever more slowly: the drain never drops and never skips.

use std::fmt::Display;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Pace;
use super::status::StatusHandle;

/// The drain was told to end. What is not done stays in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// How steps of the drain are tried again.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub status: StatusHandle,
    pub cancel: CancellationToken,
    pub pace: Pace,
}

impl Retry {
    /// The pauses of one step.
    pub fn pauses(&self) -> Pauses<'_> {
        Pauses {
            retry: self,
            next: self.pace.first_pause,
            failures: 0,
        }
    }
}

/// The pauses between the attempts of one step.
pub(super) struct Pauses<'a> {
    retry: &'a Retry,
    next: Duration,
    failures: u32,
}

impl Pauses<'_> {
    /// Takes note of a failure and waits.
    pub async fn after(&mut self, step: &'static str, error: impl Display) -> Result<(), Stopped> {
        self.failures += 1;
        let error = error.to_string();
        if self.failures.is_power_of_two() {
            tracing::warn!(step, error, failures = self.failures, "draining waits and tries again");
        }
        self.retry.status.failed(format!("{step}: {error}"));
        let pause = self.next;
        self.next = (pause * 2).min(self.retry.pace.longest_pause);
        tokio::select! {
            () = self.retry.cancel.cancelled() => Err(Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}
