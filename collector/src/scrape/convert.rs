//! From a page of Prometheus to an OTLP request, by the rules of OpenTelemetry's compatibility specification
//! (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>): counters become monotonic
//! cumulative sums, histograms and summaries are put together again, everything else is a gauge.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    number_data_point,
};

use super::exposition::{Exposition, Kind, Sample};

/// Name of the scope of scraped points.
const SCOPE: &str = "driftlead/scrape";

/// Remembers since when each series counts: a value that falls was started again.
#[derive(Debug, Default)]
pub(super) struct Converter {
    /// By a hash of name and labels: the last count, and since when it counts in Unix nanoseconds.
    counts: HashMap<u64, (f64, u64)>,
}

/// Labels of a series without those that make it a part of a larger point.
type Labels = Vec<(String, String)>;

#[derive(Debug, Default)]
struct Parts {
    /// Bound or quantile, and its number.
    points: Vec<(f64, f64)>,
    sum: f64,
    count: Option<f64>,
    time_ms: Option<i64>,
}

impl Converter {
    /// The points of a page that was read at `now`, in Unix nanoseconds. Series that are gone are forgotten.
    pub(super) fn convert(&mut self, page: &Exposition<'_>, now: u64) -> ScopeMetrics {
        let mut plain: BTreeMap<&str, Vec<NumberDataPoint>> = BTreeMap::new();
        let mut parts: BTreeMap<&str, BTreeMap<Labels, Parts>> = BTreeMap::new();
        let mut counts = HashMap::new();
        for sample in &page.samples {
            let (family, kind) = family_of(page, sample.name);
            match kind {
                Kind::Histogram | Kind::Summary => collect(parts.entry(family).or_default(), family, kind, sample),
                Kind::Gauge | Kind::Counter => {
                    let mut point = number_point(sample, now);
                    if kind == Kind::Counter {
                        point.start_time_unix_nano = self.since(&mut counts, sample.name, &sample.labels, sample.value, now);
                    }
                    plain.entry(sample.name).or_default().push(point);
                }
            }
        }
        let mut metrics = Vec::new();
        for (name, data_points) in plain {
            let (family, kind) = family_of(page, name);
            let data = match kind {
                Kind::Counter => Data::Sum(Sum {
                    data_points,
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    is_monotonic: true,
                }),
                _ => Data::Gauge(Gauge { data_points }),
            };
            metrics.push(metric(page, name, family, data));
        }
        for (family, series) in parts {
            let data = match page.kinds.get(family) {
                Some(Kind::Summary) => Data::Summary(Summary {
                    data_points: series
                        .into_iter()
                        .map(|(labels, parts)| {
                            let start = self.since(&mut counts, family, &labels, parts.count.unwrap_or_default(), now);
                            summary_point(labels, parts, start, now)
                        })
                        .collect(),
                }),
                _ => Data::Histogram(Histogram {
                    data_points: series
                        .into_iter()
                        .map(|(labels, parts)| {
                            let start = self.since(&mut counts, family, &labels, parts.count.unwrap_or_default(), now);
                            histogram_point(labels, parts, start, now)
                        })
                        .collect(),
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                }),
            };
            metrics.push(metric(page, family, family, data));
        }
        self.counts = counts;
        ScopeMetrics {
            scope: Some(InstrumentationScope {
                name: SCOPE.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            metrics,
            schema_url: String::new(),
        }
    }

    /// Since when a series counts: since it was first seen, or since its count last fell.
    fn since(&self, counts: &mut HashMap<u64, (f64, u64)>, name: &str, labels: &(impl Hash + ?Sized), value: f64, now: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (name, labels).hash(&mut hasher);
        let key = hasher.finish();
        let since = match self.counts.get(&key) {
            Some((last, since)) if value >= *last => *since,
            _ => now,
        };
        counts.insert(key, (value, since));
        since
    }
}

/// The name that types and helps are about, and what it is.
fn family_of<'a>(page: &Exposition<'a>, name: &'a str) -> (&'a str, Kind) {
    if let Some(kind) = page.kinds.get(name) {
        return (name, *kind);
    }
    for suffix in ["_bucket", "_sum", "_count", "_total"] {
        let Some(family) = name.strip_suffix(suffix) else { continue };
        match (page.kinds.get(family), suffix) {
            (Some(Kind::Counter), "_total") => return (family, Kind::Counter),
            (Some(kind @ (Kind::Histogram | Kind::Summary)), "_sum" | "_count") => return (family, *kind),
            (Some(Kind::Histogram), "_bucket") => return (family, Kind::Histogram),
            _ => {}
        }
    }
    (name, Kind::Gauge)
}

fn collect(series: &mut BTreeMap<Labels, Parts>, family: &str, kind: Kind, sample: &Sample<'_>) {
    let place = match kind {
        Kind::Summary => "quantile",
        _ => "le",
    };
    let labels = sample.labels.iter().filter(|(label, _)| *label != place);
    let parts = series
        .entry(labels.map(|(label, value)| ((*label).to_owned(), value.clone())).collect())
        .or_default();
    parts.time_ms = parts.time_ms.or(sample.time_ms);
    match sample.name.strip_prefix(family) {
        Some("_sum") => parts.sum = sample.value,
        Some("_count") => parts.count = Some(sample.value),
        _ => {
            let at = sample
                .labels
                .iter()
                .find(|(label, _)| *label == place)
                .map(|(_, value)| match value.as_str() {
                    "+Inf" => Some(f64::INFINITY),
                    text => text.parse().ok(),
                });
            if let Some(Some(at)) = at {
                parts.points.push((at, sample.value));
            }
        }
    }
}

fn metric(page: &Exposition<'_>, name: &str, family: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: page.helps.get(family).or(page.helps.get(name)).cloned().unwrap_or_default(),
        data: Some(data),
        ..Metric::default()
    }
}

fn attributes<'a>(labels: impl IntoIterator<Item = (&'a str, &'a String)>) -> Vec<KeyValue> {
    let attribute = |(label, value): (&str, &String)| KeyValue {
        key: label.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.clone())),
        }),
        ..KeyValue::default()
    };
    labels.into_iter().map(attribute).collect()
}

fn instant(time_ms: Option<i64>, now: u64) -> u64 {
    time_ms
        .and_then(|time_ms| u64::try_from(time_ms).ok()?.checked_mul(1_000_000))
        .unwrap_or(now)
}

fn number_point(sample: &Sample<'_>, now: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(sample.labels.iter().map(|(label, value)| (*label, value))),
        time_unix_nano: instant(sample.time_ms, now),
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// Counts as OTLP has them; what is no count is none.
fn whole(count: f64) -> u64 {
    count.max(0.0) as u64
}

fn histogram_point(labels: Labels, mut parts: Parts, start: u64, now: u64) -> HistogramDataPoint {
    parts.points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let total = parts.count.or(parts.points.last().map(|(_, count)| *count)).unwrap_or_default();
    let explicit_bounds: Vec<f64> = parts
        .points
        .iter()
        .map(|(bound, _)| *bound)
        .filter(|bound| bound.is_finite())
        .collect();
    // What a page counts up to each bound, OTLP counts between them.
    let mut below = 0;
    let mut bucket_counts: Vec<u64> = Vec::with_capacity(explicit_bounds.len() + 1);
    for (_, count) in parts.points.iter().filter(|(bound, _)| bound.is_finite()) {
        let count = whole(*count);
        bucket_counts.push(count.saturating_sub(below));
        below = below.max(count);
    }
    bucket_counts.push(whole(total).saturating_sub(below));
    HistogramDataPoint {
        attributes: attributes(labels.iter().map(|(label, value)| (label.as_str(), value))),
        start_time_unix_nano: start,
        time_unix_nano: instant(parts.time_ms, now),
        count: bucket_counts.iter().sum(),
        sum: Some(parts.sum),
        bucket_counts,
        explicit_bounds,
        ..HistogramDataPoint::default()
    }
}

fn summary_point(labels: Labels, parts: Parts, start: u64, now: u64) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(labels.iter().map(|(label, value)| (label.as_str(), value))),
        start_time_unix_nano: start,
        time_unix_nano: instant(parts.time_ms, now),
        count: whole(parts.count.unwrap_or_default()),
        sum: parts.sum,
        quantile_values: parts
            .points
            .iter()
            .map(|(quantile, value)| ValueAtQuantile {
                quantile: *quantile,
                value: *value,
            })
            .collect(),
        ..SummaryDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",Hostname="n1"} 61
# TYPE requests_total counter
requests_total{code="200"} 7
requests_total{code="500"} 1 1700000000000
# TYPE latency histogram
latency_bucket{code="200",le="0.1"} 3
latency_bucket{code="200",le="+Inf"} 5
latency_bucket{code="200",le="1"} 4
latency_sum{code="200"} 2.5
latency_count{code="200"} 5
# TYPE rpc summary
rpc{quantile="0.5"} 0.2
rpc{quantile="0.99"} 0.9
rpc_sum 12
rpc_count 30
plain_count 4
"#;

    fn converted(converter: &mut Converter, text: &str, now: u64) -> BTreeMap<String, Data> {
        let page = Exposition::read(text, 1_000);
        assert_eq!(page.unreadable, 0);
        let metrics = converter.convert(&page, now).metrics;
        metrics.into_iter().map(|metric| (metric.name, metric.data.unwrap())).collect()
    }

    #[test]
    fn families_become_what_they_are() {
        let metrics = converted(&mut Converter::default(), PAGE, 1_000);
        let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
        assert_eq!(names, ["DCGM_FI_DEV_GPU_TEMP", "latency", "plain_count", "requests_total", "rpc"]);
        let Data::Sum(requests) = &metrics["requests_total"] else {
            panic!()
        };
        assert!(requests.is_monotonic && requests.aggregation_temporality == 2);
        let times: Vec<u64> = requests.data_points.iter().map(|point| point.time_unix_nano).collect();
        assert_eq!(times, [1_000, 1_700_000_000_000_000_000]);
        let Data::Histogram(latency) = &metrics["latency"] else { panic!() };
        let point = &latency.data_points[0];
        assert_eq!(
            (point.bucket_counts.as_slice(), point.explicit_bounds.as_slice()),
            (&[3, 1, 1][..], &[0.1, 1.0][..])
        );
        assert_eq!((point.count, point.sum, point.attributes.len()), (5, Some(2.5), 1));
        let Data::Summary(rpc) = &metrics["rpc"] else { panic!() };
        let quantiles: Vec<(f64, f64)> = rpc.data_points[0].quantile_values.iter().map(|q| (q.quantile, q.value)).collect();
        assert_eq!(
            (quantiles, rpc.data_points[0].count, rpc.data_points[0].sum),
            (vec![(0.5, 0.2), (0.99, 0.9)], 30, 12.0)
        );
        assert!(matches!(metrics["plain_count"], Data::Gauge(_)) && matches!(metrics["DCGM_FI_DEV_GPU_TEMP"], Data::Gauge(_)));
    }

    #[test]
    fn a_count_that_falls_was_started_again() {
        let mut converter = Converter::default();
        let mut since = |value: u32, now: u64| {
            let text = format!("# TYPE a_total counter\na_total {value}");
            let Data::Sum(sum) = &converted(&mut converter, &text, now)["a_total"] else {
                panic!()
            };
            sum.data_points[0].start_time_unix_nano
        };
        assert_eq!(
            [since(5, 10), since(5, 20), since(9, 30), since(2, 40), since(3, 50)],
            [10, 10, 10, 40, 40]
        );
    }

    #[test]
    fn counters_of_openmetrics_are_named_without_their_suffix() {
        let metrics = converted(&mut Converter::default(), "# TYPE a counter\n# HELP a All.\na_total 3\n# EOF", 1);
        assert!(matches!(metrics["a_total"], Data::Sum(_)));
    }

    #[test]
    fn a_broken_histogram_harms_nothing() {
        let metrics = converted(
            &mut Converter::default(),
            "# TYPE h histogram\nh_bucket{le=\"x\"} 1\nh_bucket{le=\"2\"} NaN\nh_bucket{le=\"3\"} -4\nh_count 1e300",
            1,
        );
        let Data::Histogram(h) = &metrics["h"] else { panic!() };
        let point = &h.data_points[0];
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(
            point.count,
            point.bucket_counts.iter().fold(0, |sum: u64, n| sum.saturating_add(*n))
        );
    }
}
