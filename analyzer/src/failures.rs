//! Work that failed, by key: each key waits longer after each failure, and holds up nobody else.

use std::collections::HashMap;
use std::hash::Hash;

use driftlead_store::clock::UnixNanos;

/// First wait of a key, in seconds; it doubles with each failure.
const FIRST_WAIT_SECONDS: i64 = 1;
/// Longest wait of a key, in seconds: what cannot be computed for a while may be computed later, such as a minute that
/// needs more memory than there is.
const MAX_WAIT_SECONDS: i64 = 300;

/// Keys whose work failed.
#[derive(Debug)]
pub(crate) struct Failures<K> {
    by_key: HashMap<K, Failure>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    wait_seconds: i64,
    at: UnixNanos,
}

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self { by_key: HashMap::new() }
    }
}

impl<K: Eq + Hash> Failures<K> {
    /// Whether a key failed last time.
    pub fn holds(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether a key's wait is over, or it has none. A clock that is set back ends all waits.
    pub fn may_try(&self, key: &K, now: UnixNanos) -> bool {
        self.by_key
            .get(key)
            .is_none_or(|failure| now < failure.at || now.seconds_since(failure.at) >= failure.wait_seconds as f64)
    }

    /// A key failed: gives the seconds until it may be tried again.
    pub fn failed(&mut self, key: K, now: UnixNanos) -> i64 {
        let before = self.by_key.get(&key).map(|failure| failure.wait_seconds);
        let wait_seconds = before.map_or(FIRST_WAIT_SECONDS, |before| (before * 2).min(MAX_WAIT_SECONDS));
        self.by_key.insert(key, Failure { wait_seconds, at: now });
        wait_seconds
    }

    /// A key's work is done.
    pub fn succeeded(&mut self, key: &K) {
        self.by_key.remove(key);
    }

    /// Forgets keys that there is no work for any more.
    pub fn retain(&mut self, is_there: impl Fn(&K) -> bool) {
        self.by_key.retain(|key, _| is_there(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_longer_each_time_and_no_other_waits_with_it() {
        let at = UnixNanos::from_seconds;
        let mut failures = Failures::default();
        assert_eq!([failures.failed("a", at(10)), failures.failed("a", at(20))], [1, 2]);
        assert!(!failures.may_try(&"a", at(21)) && failures.may_try(&"a", at(22)));
        assert!(failures.may_try(&"b", at(20)) && failures.may_try(&"a", at(5)));
        for _ in 0..20 {
            assert!(failures.failed("a", at(30)) <= MAX_WAIT_SECONDS);
        }
        failures.succeeded(&"a");
        assert!(failures.may_try(&"a", at(30)) && !failures.holds(&"a"));
    }
}
