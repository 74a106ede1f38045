//! How much a key may send, and how much it sent.
//!
//! Each limit is an account that fills at its rate up to [`BURST_SECONDS`] of it. A request is let in while no
//! account is overdrawn and is paid for afterwards, when its size is known: a batch larger than the account holds
//! is taken, too, and what it overdraws is waited for. So no batch is too large to ever make progress, and over
//! time a key sends what it may and no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Seconds of its rate that an account holds at most: two intervals of an exporter that sends every 5 s.
pub const BURST_SECONDS: f64 = 10.0;
/// Longest wait that a refused client is told; a large debt is asked about again.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a key may send, over time; unset: as much as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyRate {
    /// Log records, spans, data points and outcomes a second.
    pub records_per_second: Option<u64>,
    /// Bytes of bodies a second, after decompression.
    pub bytes_per_second: Option<u64>,
}

impl KeyRate {
    /// Whether nothing is limited.
    pub fn is_unlimited(self) -> bool {
        self == Self::default()
    }
}

/// What one limit still allows.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// Below 0: overdrawn.
    balance: f64,
    filled_at: Instant,
}

impl Account {
    fn full(per_second: f64, now: Instant) -> Self {
        Self {
            balance: per_second * BURST_SECONDS,
            filled_at: now,
        }
    }

    fn fill(&mut self, per_second: f64, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.balance = (self.balance + seconds * per_second).min(per_second * BURST_SECONDS);
        self.filled_at = now;
    }

    /// How long it takes until something may be sent.
    fn wait(&self, per_second: f64) -> Option<Duration> {
        (self.balance < 0.0).then(|| Duration::try_from_secs_f64(-self.balance / per_second).map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT)))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Accounts {
    records: Option<Account>,
    bytes: Option<Account>,
}

impl Accounts {
    /// The accounts that this rate has, each with its rate, filled.
    fn fill(&mut self, rate: KeyRate, now: Instant) -> impl Iterator<Item = (f64, &mut Account)> {
        let limits = [
            (&mut self.records, rate.records_per_second),
            (&mut self.bytes, rate.bytes_per_second),
        ];
        limits.into_iter().filter_map(move |(account, limit)| {
            // A limit of 0 would never fill; one a second is the lowest that means something.
            let per_second = limit?.max(1) as f64;
            let account = account.get_or_insert_with(|| Account::full(per_second, now));
            account.fill(per_second, now);
            Some((per_second, account))
        })
    }
}

/// The accounts of all keys. Clones share them. There is one entry for each key that has a limit, so it is as
/// bounded as the keys are; a restart fills all accounts.
#[derive(Debug, Clone, Default)]
pub struct RateLimiter {
    accounts: Arc<Mutex<HashMap<String, Accounts>>>,
}

impl RateLimiter {
    /// Whether the key may send now.
    ///
    /// # Errors
    /// How long it has to wait first.
    pub fn check(&self, key_id: &str, rate: KeyRate, now: Instant) -> Result<(), Duration> {
        if rate.is_unlimited() {
            return Ok(());
        }
        let mut all = self.lock();
        let waits = all
            .entry(key_id.to_owned())
            .or_default()
            .fill(rate, now)
            .filter_map(|(per_second, account)| account.wait(per_second));
        match waits.max() {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    /// Pays for a request.
    pub fn charge(&self, key_id: &str, rate: KeyRate, records: u64, bytes: u64, now: Instant) {
        if rate.is_unlimited() {
            return;
        }
        let mut all = self.lock();
        let accounts = all.entry(key_id.to_owned()).or_default();
        for _ in accounts.fill(rate, now) {}
        for (account, cost) in [(&mut accounts.records, records), (&mut accounts.bytes, bytes)] {
            if let Some(account) = account {
                account.balance -= cost as f64;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Accounts>> {
        // An account is whole between any two of its changes.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: KeyRate = KeyRate {
        records_per_second: Some(100),
        bytes_per_second: Some(10_000),
    };

    #[test]
    fn over_time_a_key_sends_what_it_may() {
        let limiter = RateLimiter::default();
        let start = Instant::now();
        let mut sent = 0;
        // Batches of 30 records, offered ten times as fast as they may come.
        for tick in 0..1_000 {
            let now = start + Duration::from_millis(30 * tick);
            if limiter.check("k", RATE, now).is_ok() {
                limiter.charge("k", RATE, 30, 30, now);
                sent += 30;
            }
        }
        let allowed = 100 * 30 + 100 * BURST_SECONDS as u64;
        assert!((allowed..=allowed + 60).contains(&sent), "{sent} of {allowed}");
    }

    #[test]
    fn a_batch_larger_than_the_account_is_taken_and_waited_for() {
        let limiter = RateLimiter::default();
        let start = Instant::now();
        assert_eq!(limiter.check("k", RATE, start), Ok(()));
        limiter.charge("k", RATE, 1_500, 0, start);
        assert_eq!(limiter.check("k", RATE, start), Err(Duration::from_secs(5)));
        assert_eq!(limiter.check("other", RATE, start), Ok(()));
        assert_eq!(limiter.check("k", RATE, start + Duration::from_secs(5)), Ok(()));
        limiter.charge("k", RATE, 1_000_000, 0, start);
        assert_eq!(limiter.check("k", RATE, start), Err(MAX_WAIT));
    }

    #[test]
    fn the_limit_that_is_reached_first_holds() {
        let limiter = RateLimiter::default();
        let start = Instant::now();
        limiter.charge("k", RATE, 1, 120_000, start);
        assert_eq!(limiter.check("k", RATE, start), Err(Duration::from_secs(2)));
        let records_only = KeyRate {
            bytes_per_second: None,
            ..RATE
        };
        assert_eq!(
            limiter.check("k", records_only, start),
            Ok(()),
            "a limit that was lifted holds no more"
        );
    }

    #[test]
    fn an_account_holds_no_more_than_its_burst() {
        let limiter = RateLimiter::default();
        let start = Instant::now();
        limiter.charge("k", RATE, 0, 0, start);
        let later = start + Duration::from_secs(86_400);
        assert_eq!(limiter.check("k", RATE, later), Ok(()));
        limiter.charge("k", RATE, 1_001, 0, later);
        assert!(limiter.check("k", RATE, later).is_err());
    }

    #[test]
    fn no_limit_costs_nothing() {
        let limiter = RateLimiter::default();
        limiter.charge("k", KeyRate::default(), u64::MAX, u64::MAX, Instant::now());
        assert_eq!(limiter.check("k", KeyRate::default(), Instant::now()), Ok(()));
        assert!(limiter.lock().is_empty());
    }
}
