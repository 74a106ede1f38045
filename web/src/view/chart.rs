//! The four charts of a model in columns.

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::series::ServiceStep;
use driftlead_store::records::Signal;
use serde::Serialize;

use super::latency;

/// Traffic, errors and latencies in even steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ServiceColumns {
    /// Length of a step in seconds.
    pub step_s: i64,
    /// Starts of all steps in Unix seconds.
    pub time: Vec<i64>,
    /// Inferences; `None` where nothing came.
    pub requests: Vec<Option<u64>>,
    /// Failed ones.
    pub errors: Vec<Option<u64>>,
    /// Median latency.
    pub latency_p50_ms: Vec<Option<f64>>,
    /// 95th percentile.
    pub latency_p95_ms: Vec<Option<f64>>,
    /// 99th percentile.
    pub latency_p99_ms: Vec<Option<f64>>,
    /// Inferences with a latency.
    pub latency_n: Vec<Option<u64>>,
    /// Who served.
    pub versions: Vec<VersionColumn>,
}

/// One version's inferences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionColumn {
    /// The version.
    pub version: String,
    /// Its inferences.
    pub requests: Vec<Option<u64>>,
}

#[derive(Default)]
struct Step {
    requests: u64,
    errors: u64,
    latencies: (Vec<i32>, Vec<u64>),
}

/// Every step of [from, until) in Unix seconds, empty ones too.
pub fn service_columns(steps: &[ServiceStep], from: i64, until: i64, step_s: i64) -> ServiceColumns {
    let first = from.div_euclid(step_s) * step_s;
    let time: Vec<i64> = (first..until).step_by(usize::try_from(step_s).unwrap_or(10)).collect();
    let mut totals: BTreeMap<i64, Step> = BTreeMap::new();
    let mut by_version: BTreeMap<&str, BTreeMap<i64, u64>> = BTreeMap::new();
    for step in steps {
        let total = totals.entry(step.start).or_default();
        total.requests += step.requests;
        total.errors += step.errors;
        latency::merge(&mut total.latencies, &step.latencies);
        *by_version.entry(&step.version).or_default().entry(step.start).or_insert(0) += step.requests;
    }
    let column = |value: &dyn Fn(&Step) -> Option<u64>| time.iter().map(|start| totals.get(start).and_then(value)).collect();
    let quantiles = |q: f64| {
        time.iter()
            .map(|start| totals.get(start).and_then(|step| latency::quantile(&step.latencies, q)))
            .collect()
    };
    ServiceColumns {
        step_s,
        requests: column(&|step| Some(step.requests)),
        errors: column(&|step| Some(step.errors)),
        latency_n: column(&|step| Some(step.latencies.1.iter().sum())),
        latency_p50_ms: quantiles(0.5),
        latency_p95_ms: quantiles(0.95),
        latency_p99_ms: quantiles(0.99),
        versions: by_version
            .into_iter()
            .map(|(version, requests)| VersionColumn {
                version: version.to_owned(),
                requests: time.iter().map(|start| requests.get(start).copied()).collect(),
            })
            .collect(),
        time,
    }
}

/// Signals over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SignalColumns {
    /// Length of the windows in seconds.
    pub window_s: u32,
    /// Window ends in Unix seconds, ascending.
    pub time: Vec<i64>,
    /// One line a series.
    pub lines: Vec<SignalLine>,
}

/// One series; its columns are as long as `time`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalLine {
    /// The signal.
    pub signal: String,
    /// The version; empty for all together.
    pub version: String,
    /// The feature.
    pub subject: String,
    /// Values.
    pub value: Vec<Option<f64>>,
    /// Lower bounds.
    pub lower: Vec<Option<f64>>,
    /// Upper bounds.
    pub upper: Vec<Option<f64>>,
    /// Records.
    pub n: Vec<u64>,
    /// Whether more is expected.
    pub provisional: Vec<bool>,
}

/// The points of a few series over the union of their window ends.
pub fn signal_columns(points: &[Signal], window_s: u32) -> SignalColumns {
    let mut time: Vec<i64> = points.iter().map(|point| point.window_end.seconds()).collect();
    time.sort_unstable();
    time.dedup();
    let mut series: BTreeMap<(&str, &str, &str), BTreeMap<i64, &Signal>> = BTreeMap::new();
    for point in points {
        series
            .entry((&point.name, &point.version, &point.subject))
            .or_default()
            .insert(point.window_end.seconds(), point);
    }
    let lines = series.into_iter().map(|((signal, version, subject), points)| {
        let number = |value: fn(&Signal) -> Option<f64>| time.iter().map(|end| points.get(end).and_then(|point| value(point))).collect();
        SignalLine {
            signal: signal.to_owned(),
            version: version.to_owned(),
            subject: subject.to_owned(),
            value: number(|point| point.value),
            lower: number(|point| point.lower),
            upper: number(|point| point.upper),
            n: time.iter().map(|end| points.get(end).map_or(0, |point| point.n)).collect(),
            provisional: time
                .iter()
                .map(|end| points.get(end).is_some_and(|point| point.provisional))
                .collect(),
        }
    });
    SignalColumns {
        window_s,
        lines: lines.collect(),
        time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_steps_are_gaps_and_versions_add_up() {
        let step = |start: i64, version: &str, requests: u64| ServiceStep {
            model: "m".to_owned(),
            environment: String::new(),
            start,
            version: version.to_owned(),
            requests,
            errors: 1,
            latencies: (vec![], vec![]),
        };
        let columns = service_columns(&[step(20, "1", 5), step(20, "2", 6), step(40, "2", 7)], 15, 50, 10);
        assert_eq!(columns.time, [10, 20, 30, 40]);
        assert_eq!(columns.requests, [None, Some(11), None, Some(7)]);
        assert_eq!(columns.errors, [None, Some(2), None, Some(1)]);
        assert_eq!(columns.versions[1].requests, [None, Some(6), None, Some(7)]);
        assert_eq!(columns.latency_p95_ms, [None; 4]);
    }
}
