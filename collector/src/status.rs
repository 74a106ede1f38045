//! What came, what was refused and what will be cut, per service and by reason: for /metrics and the pages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftlead_store::clock::UnixNanos;

use crate::admit::BytesInFlight;
use crate::limits::{MAX_NAME_BYTES, MAX_SERVICES_COUNTED, OTHER_SERVICES};
use crate::recent::Recent;
use crate::signal::Signal;

/// Counts by reason.
pub type ByReason = BTreeMap<&'static str, u64>;

/// Counters of the collector since its start. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct CollectorStatus {
    counts: Arc<Mutex<CollectorCounts>>,
    bytes_in_flight: BytesInFlight,
}

/// The counters at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectorCounts {
    /// Per `service.name`; at most [`MAX_SERVICES_COUNTED`], the rest under [`OTHER_SERVICES`].
    pub services: BTreeMap<String, ServiceCounts>,
    /// Requests answered with success.
    pub requests_accepted: u64,
    /// Of those, requests that repeated an earlier one and were not kept again.
    pub requests_repeated: u64,
    /// Of those, requests of which something was redacted.
    pub requests_redacted: u64,
    /// Requests refused, by [`Refusal::reason`](crate::refusal::Refusal::reason).
    pub requests_refused: ByReason,
    /// Bytes of the accepted requests' bodies after decompression.
    pub bytes_accepted: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Bytes of bodies that are held now.
    pub bytes_in_flight: u64,
}

/// What one service sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceCounts {
    /// When its last request was answered with success.
    pub last_seen: UnixNanos,
    /// Log records kept.
    pub log_records: u64,
    /// Spans kept.
    pub spans: u64,
    /// Data points of metrics kept.
    pub data_points: u64,
    recent: Recent,
    /// Records refused, by reason.
    pub refused: ByReason,
    /// Attributes and values that are cut when they are decoded, by reason.
    pub cut: ByReason,
}

impl ServiceCounts {
    /// Records kept in the last minute.
    pub fn last_minute(&self, now: UnixNanos) -> u64 {
        self.recent.of_last_minute(now)
    }
}

/// What one request holds of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceShare {
    /// `service.name`, or empty.
    pub service: String,
    /// Records that are kept.
    pub records: u64,
    /// Records that are refused, by reason.
    pub refused: ByReason,
    /// What is cut, by reason.
    pub cut: ByReason,
}

impl CollectorStatus {
    /// The counters now.
    pub fn counts(&self) -> CollectorCounts {
        let mut counts = self.lock().clone();
        counts.bytes_in_flight = self.bytes_in_flight.held() as u64;
        counts
    }

    /// The bound of bytes in flight.
    pub fn bytes_in_flight(&self) -> &BytesInFlight {
        &self.bytes_in_flight
    }

    /// Counts an accepted request.
    pub fn accepted(&self, signal: Signal, shares: &[ServiceShare], bytes: u64, redacted: bool, now: UnixNanos) {
        let mut counts = self.lock();
        counts.requests_accepted += 1;
        counts.requests_redacted += u64::from(redacted);
        counts.bytes_accepted += bytes;
        for share in shares {
            let service = counts.service(&share.service);
            service.last_seen = service.last_seen.max(now);
            service.recent.add(share.records, now);
            match signal {
                Signal::Logs => service.log_records += share.records,
                Signal::Traces => service.spans += share.records,
                Signal::Metrics => service.data_points += share.records,
            }
            add_all(&mut service.refused, &share.refused);
            add_all(&mut service.cut, &share.cut);
        }
    }

    /// Counts an accepted request that repeated an earlier one.
    pub fn repeated(&self) {
        let mut counts = self.lock();
        counts.requests_accepted += 1;
        counts.requests_repeated += 1;
    }

    /// Counts a refused request.
    pub fn refused_request(&self, reason: &'static str) {
        *self.lock().requests_refused.entry(reason).or_default() += 1;
    }

    /// Counts the records of a refused request whose content is known.
    pub fn refused_records(&self, reason: &'static str, shares: &[ServiceShare]) {
        let mut counts = self.lock();
        for share in shares {
            *counts.service(&share.service).refused.entry(reason).or_default() += share.records;
        }
    }

    /// Counts a connection until the returned value is dropped.
    pub fn connection(&self) -> OpenConnection {
        self.lock().connections += 1;
        OpenConnection(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, CollectorCounts> {
        // Counters stay true to what was counted even if a holder of the lock panicked.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CollectorCounts {
    fn service(&mut self, name: &str) -> &mut ServiceCounts {
        let known = self.services.contains_key(name);
        let counted = known || (self.services.len() < MAX_SERVICES_COUNTED && name.len() <= MAX_NAME_BYTES);
        self.services
            .entry(if counted { name } else { OTHER_SERVICES }.to_owned())
            .or_default()
    }
}

fn add_all(sum: &mut ByReason, more: &ByReason) {
    for (reason, count) in more {
        *sum.entry(reason).or_default() += count;
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub struct OpenConnection(CollectorStatus);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.lock().connections -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(service: &str, records: u64) -> ServiceShare {
        ServiceShare {
            service: service.to_owned(),
            records,
            ..ServiceShare::default()
        }
    }

    #[test]
    fn services_beyond_the_bound_are_counted_together() {
        let status = CollectorStatus::default();
        for i in 0..MAX_SERVICES_COUNTED + 10 {
            status.accepted(Signal::Logs, &[share(&format!("s{i}"), 1)], 1, false, UnixNanos(1));
        }
        status.accepted(
            Signal::Traces,
            &[share("s1", 2), share(&"x".repeat(MAX_NAME_BYTES + 1), 3)],
            1,
            false,
            UnixNanos(2),
        );
        let counts = status.counts();
        assert_eq!(counts.services.len(), MAX_SERVICES_COUNTED + 1);
        assert_eq!(counts.services[OTHER_SERVICES].log_records, 10);
        assert_eq!(counts.services[OTHER_SERVICES].spans, 3);
        assert_eq!((counts.services["s1"].log_records, counts.services["s1"].spans), (1, 2));
        assert_eq!(counts.services["s1"].last_seen, UnixNanos(2));
        assert_eq!(counts.services["s1"].last_minute(UnixNanos::from_seconds(10)), 3);
    }

    #[test]
    fn refused_records_are_counted_with_their_service() {
        let status = CollectorStatus::default();
        status.refused_request("log_full");
        status.refused_records("log_full", &[share("a", 5)]);
        status.refused_request("malformed");
        let counts = status.counts();
        assert_eq!(counts.services["a"].refused["log_full"], 5);
        assert_eq!(counts.requests_refused, BTreeMap::from([("log_full", 1), ("malformed", 1)]));
    }

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let status = CollectorStatus::default();
        let (first, second) = (status.connection(), status.connection());
        drop(first);
        assert_eq!(status.counts().connections, 1);
        drop(second);
        assert_eq!(status.counts().connections, 0);
    }
}
