//! Alerts for tests.

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::alerts::{Alert, AlertMemory, AlertState, Series, Severity, Side};

/// An alert of the model `employment` 1.1 in production, firing since ten in the morning.
pub(crate) fn alert(signal: &str, state: AlertState) -> Alert {
    let since = UnixNanos::parse("2026-11-23T10:00:00Z").unwrap();
    Alert {
        id: format!("alr_{signal}"),
        rule: format!("{signal}-rule"),
        series: Series {
            environment: "production".into(),
            model: "employment".into(),
            version: "1.1".into(),
            ..Series::default()
        },
        signal: signal.into(),
        severity: Severity::Critical,
        state,
        since,
        firing_since: Some(since),
        resolved_at: None,
        last_window_end: since,
        last_notified_at: None,
        value: Some(0.61),
        lower: Some(0.52),
        upper: Some(0.7),
        threshold: Some(0.75),
        why: "The rule's own words.".into(),
        memory: AlertMemory {
            side: Some(Side::Below),
            reason: format!("{signal} 0.61 (0.52–0.7) below 0.75"),
            ..AlertMemory::default()
        },
        updated_at: since,
    }
}
