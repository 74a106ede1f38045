//! Service signals: traffic, errors, latency and silence of the last minute.

use driftlead_store::clickhouse::query::buckets::ServiceWindow;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use crate::stats::{quantile, wilson};
use crate::window::Window;

/// Length of the window in seconds.
pub(super) const WINDOW_SECONDS: u32 = 60;
/// Records below which a ratio or a percentile says nothing.
const MIN_N: u64 = 20;
/// One-sided 99 % bounds, for display and decision: rules ask for several looks in a row (`for`).
const Z: f64 = 2.3263478740408408;

/// All signals of one version, or of one segment of it.
pub(super) fn signals_of_version(seen: &ServiceWindow, end: UnixNanos) -> Vec<Signal> {
    let frame = Frame {
        model: &seen.model,
        version: &seen.version,
        environment: &seen.environment,
        segment: &seen.segment,
        window: Window {
            end,
            seconds: WINDOW_SECONDS,
        },
        provisional: false,
    };
    let n = seen.requests;
    let per_second = |count: u64| Estimate::exact(count as f64 / f64::from(WINDOW_SECONDS));
    let mut signals = vec![
        frame.signal(names::REQUEST_RATE, "", per_second(n), n, json!({})),
        frame.signal(
            names::ERRORS_PER_SECOND,
            "",
            per_second(seen.errors),
            n,
            json!({ "errors": seen.errors }),
        ),
        error_ratio(&frame, seen),
    ];
    signals.extend(latencies(&frame, seen));
    signals
}

fn error_ratio(frame: &Frame<'_>, seen: &ServiceWindow) -> Signal {
    let (errors, n) = (seen.errors, seen.requests);
    if n < MIN_N {
        return too_few(frame, names::ERROR_RATIO, n);
    }
    let bounds = wilson::bounds(errors as f64, n as f64, Z);
    frame.signal(
        names::ERROR_RATIO,
        "",
        Estimate::bounded(errors as f64 / n as f64, bounds),
        n,
        json!({ "errors": errors }),
    )
}

fn latencies(frame: &Frame<'_>, seen: &ServiceWindow) -> Vec<Signal> {
    let counts: Vec<(i32, u64)> = seen.latencies.0.iter().copied().zip(seen.latencies.1.iter().copied()).collect();
    let n: u64 = counts.iter().map(|(_, count)| count).sum();
    [
        (names::LATENCY_P50_MS, 0.5),
        (names::LATENCY_P95_MS, 0.95),
        (names::LATENCY_P99_MS, 0.99),
    ]
    .into_iter()
    .map(|(name, share)| match quantile::quantile(&counts, share, Z) {
        Ok(found) if n >= MIN_N => frame.signal(name, "", Estimate::bounded(found.value, found.bounds), n, json!({})),
        _ => too_few(frame, name, n),
    })
    .collect()
}

fn too_few(frame: &Frame<'_>, name: &str, n: u64) -> Signal {
    let code = if n == 0 { "no_data" } else { "insufficient" };
    frame.insufficient(name, "", n, code, format!("{n} records in the last minute, fewer than {MIN_N}"))
}

/// A model that stopped sending, whatever its versions.
pub(super) fn silence(model: &str, environment: &str, silent_s: Option<f64>, last_seen: UnixNanos, now: UnixNanos) -> Signal {
    let frame = Frame {
        model,
        version: "",
        environment,
        segment: "",
        window: Window {
            end: now,
            seconds: WINDOW_SECONDS,
        },
        provisional: false,
    };
    match silent_s {
        Some(silent_s) => frame.signal(
            names::SILENCE_S,
            "",
            Estimate::exact(silent_s),
            0,
            json!({ "last_seen": last_seen }),
        ),
        None => {
            let reason = "Driftlead was started after its last inference, too short a time ago to say";
            frame.insufficient(names::SILENCE_S, "", 0, "insufficient", reason.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::bucket;
    use driftlead_store::records::SignalState;

    use super::*;

    fn seen(requests: u64, errors: u64, latency_ms: f64) -> ServiceWindow {
        ServiceWindow {
            model: "m".into(),
            environment: "production".into(),
            version: "1".into(),
            segment: String::new(),
            requests,
            errors,
            latencies: (vec![bucket::key_of(latency_ms).unwrap()], vec![requests]),
        }
    }

    fn find(signals: &[Signal], name: &str) -> Signal {
        signals.iter().find(|signal| signal.name == name).unwrap().clone()
    }

    #[test]
    fn a_minute_of_traffic_has_its_rate_its_errors_and_its_percentiles() {
        let signals = signals_of_version(&seen(600, 30, 20.0), UnixNanos::from_seconds(60));
        assert_eq!(find(&signals, names::REQUEST_RATE).value, Some(10.0));
        assert_eq!(find(&signals, names::ERRORS_PER_SECOND).value, Some(0.5));
        let ratio = find(&signals, names::ERROR_RATIO);
        assert_eq!(ratio.value, Some(0.05));
        assert!(ratio.decision_lower.unwrap() > 0.03 && ratio.upper.unwrap() < 0.08);
        let p95 = find(&signals, names::LATENCY_P95_MS).value.unwrap();
        assert!((p95 / 20.0 - 1.0).abs() < 0.005, "{p95}");
    }

    #[test]
    fn too_few_records_have_a_rate_but_no_ratio() {
        let signals = signals_of_version(&seen(MIN_N - 1, 0, 20.0), UnixNanos::from_seconds(60));
        assert_eq!(find(&signals, names::REQUEST_RATE).state, SignalState::Ok);
        for name in [names::ERROR_RATIO, names::LATENCY_P95_MS] {
            let signal = find(&signals, name);
            assert_eq!((signal.state, signal.value), (SignalState::Insufficient, None));
        }
        let silent = signals_of_version(&seen(0, 0, 20.0), UnixNanos::from_seconds(60));
        assert_eq!(find(&silent, names::REQUEST_RATE).value, Some(0.0));
        assert_eq!(find(&silent, names::ERROR_RATIO).details["unknown"], "no_data");
    }
}
