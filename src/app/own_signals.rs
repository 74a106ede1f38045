//! Driftlead's own signals: how far it is behind, and what it lost or refused, so that rules can be about it too.

use std::time::Duration;

use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::records::{Signal, SignalState, names};
use driftlead_web::{Parts, PartsSource};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often they are measured: as often as the signals of models.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures until the token fires.
///
/// # Errors
/// None; the type is that of the other parts.
pub async fn run(parts: PartsSource, signals: mpsc::Sender<Vec<Signal>>, clock: Clock, token: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while token.run_until_cancelled(ticks.tick()).await.is_some() {
        let measured = measure(&parts(), clock.now());
        // Where alerting has ended the token fires next.
        if let Some(Err(_)) = token.run_until_cancelled(signals.send(measured)).await {
            tracing::debug!("nobody takes Driftlead's own signals: alerting has stopped");
        }
    }
    Ok(())
}

fn measure(parts: &Parts, now: UnixNanos) -> Vec<Signal> {
    let refused: u64 = parts.collector.refused_records.iter().map(|refused| refused.count).sum();
    let dropped = refused + parts.drain.missing_rows;
    [
        (names::LOG_BACKLOG_BYTES, parts.drain.backlog_bytes as f64),
        (names::INGEST_LAG_S, parts.drain.lag_s),
        (names::ENGINE_RESTARTS, parts.engine.restarts as f64),
        (names::DROPPED_RECORDS, dropped as f64),
    ]
    .into_iter()
    .map(|(name, value)| signal(name, value, now))
    .collect()
}

fn signal(name: &str, value: f64, now: UnixNanos) -> Signal {
    Signal {
        name: name.to_owned(),
        model: String::new(),
        version: String::new(),
        environment: String::new(),
        segment: String::new(),
        subject: String::new(),
        window_end: now,
        window_seconds: 0,
        value: Some(value),
        lower: None,
        upper: None,
        decision_lower: None,
        decision_upper: None,
        n: 1,
        reference_n: 0,
        provisional: false,
        state: SignalState::Ok,
        details: serde_json::json!({}),
    }
}

#[cfg(test)]
mod tests {
    use driftlead_web::parts::{Addresses, CollectorPart, Counted, DrainPart, EngineKind, EnginePart, EngineState};

    use super::*;

    #[test]
    fn what_stands_still_and_what_is_lost_is_a_number() {
        let refused = |reason: &str, count| Counted {
            reason: reason.into(),
            count,
        };
        let parts = Parts {
            started_at: UnixNanos(0),
            listen: Addresses::default(),
            drain: DrainPart {
                lag_s: 12.5,
                backlog_bytes: 4_096,
                missing_rows: 4,
                ..DrainPart::default()
            },
            engine: EnginePart {
                kind: EngineKind::Embedded,
                state: EngineState::Up,
                since: UnixNanos(0),
                restarts: 2,
                message: None,
            },
            collector: CollectorPart {
                refused_records: vec![refused("bad_id", 3)],
                ..CollectorPart::default()
            },
        };
        let measured = measure(&parts, UnixNanos(7));
        let values: Vec<_> = measured.iter().map(|signal| (signal.name.as_str(), signal.value)).collect();
        assert_eq!(
            values,
            [
                (names::LOG_BACKLOG_BYTES, Some(4_096.0)),
                (names::INGEST_LAG_S, Some(12.5)),
                (names::ENGINE_RESTARTS, Some(2.0)),
                (names::DROPPED_RECORDS, Some(7.0)),
            ]
        );
        for signal in &measured {
            let known = driftlead_alerting::catalogue::find(&signal.name).unwrap();
            assert!(!known.about_a_model && signal.window_end == UnixNanos(7), "{}", signal.name);
        }
    }
}
