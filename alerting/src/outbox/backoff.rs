//! How long to wait before the next attempt: exponential, with jitter, never shorter than the receiver asks.

use std::time::Duration;

/// How often and how patiently a kind of message is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Attempts after which a message is given up.
    pub max_attempts: u32,
    /// Wait after the first failure; it doubles with each.
    pub first_wait: Duration,
    /// Longest wait.
    pub max_wait: Duration,
}

/// Alerts and news of actions: about three and a half hours, which outlasts most maintenance of a receiver.
pub const NOTIFICATIONS: Policy = Policy {
    max_attempts: 30,
    first_wait: Duration::from_secs(1),
    max_wait: Duration::from_secs(600),
};

/// Requests to deployers and trainers: about five minutes, then people have to know that it failed.
pub const REQUESTS: Policy = Policy {
    max_attempts: 12,
    first_wait: Duration::from_secs(1),
    max_wait: Duration::from_secs(60),
};

impl Policy {
    /// The wait after the given number of attempts. `jitter` from 0 to 1 spreads it over its upper half, so
    /// that messages that failed together are not sent together again.
    pub fn wait(&self, attempts: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
        /// Larger exponents change nothing: the longest wait is reached long before.
        const MAX_DOUBLINGS: u32 = 20;
        let doublings = attempts.saturating_sub(1).min(MAX_DOUBLINGS);
        let full = self.first_wait.saturating_mul(1 << doublings).min(self.max_wait);
        let spread = full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        spread.max(retry_after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        let seconds = |attempts| NOTIFICATIONS.wait(attempts, None, 1.0).as_secs();
        assert_eq!([1, 2, 3, 4, 10, 11, 30].map(seconds), [1, 2, 4, 8, 512, 600, 600]);
        assert_eq!(REQUESTS.wait(1, None, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn a_request_is_given_up_before_its_deadline() {
        let longest: Duration = (1..REQUESTS.max_attempts).map(|attempts| REQUESTS.wait(attempts, None, 1.0)).sum();
        let attempts = crate::notify::ATTEMPT_TIMEOUT * REQUESTS.max_attempts;
        assert!(longest + attempts < Duration::from_secs(crate::action::ROLLBACK_DEADLINE_SECONDS as u64));
    }

    proptest! {
        #[test]
        fn a_wait_is_within_its_bounds(attempts in 0u32..1_000, jitter in 0.0f64..1.0, asked in proptest::option::of(0u64..4_000)) {
            let asked = asked.map(Duration::from_secs);
            let wait = NOTIFICATIONS.wait(attempts, asked, jitter);
            prop_assert!(wait >= NOTIFICATIONS.first_wait / 2);
            prop_assert!(wait >= asked.unwrap_or_default());
            prop_assert!(wait <= NOTIFICATIONS.max_wait.max(asked.unwrap_or_default()));
        }
    }
}
