//! Who may send, and how much at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use driftlead_store::state::key_rates::KeyRate;
use futures_util::future::BoxFuture;

use crate::limits::MAX_BYTES_IN_FLIGHT;
use crate::refusal::Refusal;

/// Who sends, as its key says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyGrant {
    /// Id of the key; empty where no keys are configured.
    pub key_id: String,
    /// Environments that the key may send for; empty: all of them.
    pub environments: Vec<String>,
    /// How much the key may send.
    pub rate: KeyRate,
}

/// Why a key is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// Keys are configured and the request has none.
    Missing,
    /// No such key, or a revoked one.
    Unknown,
    /// The key lacks the scope `ingest`.
    Scope,
    /// The key has sent more than its rate allows.
    TooFast {
        /// How long it has to wait.
        wait: Duration,
    },
    /// The keys cannot be read at the moment.
    Unavailable,
}

/// Knows the keys. Implemented over the state; where no keys are configured everybody is let in (and the
/// product listens on loopback only).
pub trait KeyChecker: Send + Sync + 'static {
    /// Judges the key of one request: the text after `Bearer `, `None` without one. Called once per request,
    /// so an implementation over a database keeps a short-lived cache.
    fn check<'a>(&'a self, key: Option<&'a str>) -> BoxFuture<'a, Result<KeyGrant, KeyRefusal>>;

    /// Whether any key is configured; without one, browsers' requests are held to loopback origins.
    fn keys_required(&self) -> BoxFuture<'_, bool>;

    /// Counts what a key sent against its rate.
    fn charge(&self, grant: &KeyGrant, records: u64, bytes: u64);
}

/// Lets everybody in: no keys are configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeys;

impl KeyChecker for NoKeys {
    fn check<'a>(&'a self, _key: Option<&'a str>) -> BoxFuture<'a, Result<KeyGrant, KeyRefusal>> {
        Box::pin(async { Ok(KeyGrant::default()) })
    }

    fn keys_required(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn charge(&self, _grant: &KeyGrant, _records: u64, _bytes: u64) {}
}

impl KeyGrant {
    /// Whether the key may send for an environment (empty where the sender states none).
    pub fn permits(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|permitted| permitted == environment)
    }
}

/// The bytes of all bodies held at once. Bytes are taken, never waited for: requests that each hold a part
/// and wait for the rest would wait for each other.
#[derive(Debug, Clone)]
pub struct BytesInFlight {
    held: Arc<AtomicUsize>,
    limit: usize,
}

/// Bytes that one request holds; given back when dropped.
#[derive(Debug)]
pub struct HeldBytes {
    held: Arc<AtomicUsize>,
    limit: usize,
    own: usize,
}

impl Default for BytesInFlight {
    fn default() -> Self {
        Self::new(MAX_BYTES_IN_FLIGHT)
    }
}

impl BytesInFlight {
    /// At most `limit` bytes at once.
    pub fn new(limit: usize) -> Self {
        Self {
            held: Arc::default(),
            limit,
        }
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// For one request, which holds nothing yet.
    pub fn hold(&self) -> HeldBytes {
        HeldBytes {
            held: Arc::clone(&self.held),
            limit: self.limit,
            own: 0,
        }
    }
}

impl HeldBytes {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when that would exceed the limit; nothing is taken then.
    pub fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(bytes).filter(|sum| *sum <= self.limit)
            })
            .map_err(|_| Refusal::Busy)?;
        self.own += bytes;
        Ok(())
    }

    /// Gives back all but `bytes`.
    pub fn keep(&mut self, bytes: usize) {
        self.give_back(self.own.saturating_sub(bytes));
    }

    /// Gives `bytes` back, at most what is held.
    pub fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.own);
        self.own -= bytes;
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.held.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_and_come_back() {
        let bytes = BytesInFlight::new(100);
        let (mut first, mut second) = (bytes.hold(), bytes.hold());
        first.take(60).unwrap();
        assert!(matches!(second.take(41), Err(Refusal::Busy)));
        second.take(40).unwrap();
        assert_eq!(bytes.held(), 100);
        first.give_back(5);
        first.keep(50);
        first.keep(70);
        second.take(10).unwrap();
        drop(first);
        assert_eq!(bytes.held(), 50);
        drop(second);
        assert_eq!(bytes.held(), 0);
    }

    #[test]
    fn a_key_may_be_held_to_environments() {
        let all = KeyGrant::default();
        assert!(all.permits("") && all.permits("production"));
        let one = KeyGrant {
            key_id: "k".into(),
            environments: vec!["staging".into()],
            ..KeyGrant::default()
        };
        assert!(one.permits("staging") && !one.permits("production") && !one.permits(""));
    }
}
