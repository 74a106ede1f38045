//! Data points of metrics as raw rows.

use std::sync::Arc;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{self, Attributes, MetricPoint, Resource, Scope};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, exemplar, number_data_point,
};

use super::Work;
use super::attributes::pairs_of;
use super::bounds::instant;
use super::cuts::{Cuts, reasons};
use super::origin::{Origin, scope_of};
use crate::ids;

pub(super) fn decode(request: ExportMetricsServiceRequest, work: &mut Work) {
    for group in request.resource_metrics {
        let origin = Origin::read(group.resource, group.schema_url, &mut work.cuts);
        for scope_metrics in group.scope_metrics {
            let scope = scope_of(scope_metrics.scope, scope_metrics.schema_url, &mut work.cuts);
            for metric in scope_metrics.metrics {
                decode_metric(metric, &origin, &scope, work);
            }
        }
    }
}

fn decode_metric(metric: Metric, origin: &Origin, scope: &Arc<Scope>, work: &mut Work) {
    let head = Head {
        resource: &origin.resource,
        scope,
        name: metric.name.into(),
        description: metric.description.into(),
        unit: metric.unit.into(),
    };
    match metric.data {
        Some(Data::Gauge(gauge)) => {
            for point in gauge.data_points {
                let point = head.number_point(point, work, |value| records::Gauge { value });
                work.decoded.metrics.gauges.push(point);
            }
        }
        Some(Data::Sum(sum)) => {
            let (aggregation_temporality, is_monotonic) = (sum.aggregation_temporality, sum.is_monotonic);
            for point in sum.data_points {
                let point = head.number_point(point, work, |value| records::Sum {
                    value,
                    aggregation_temporality,
                    is_monotonic,
                });
                work.decoded.metrics.sums.push(point);
            }
        }
        Some(Data::Histogram(histogram)) => {
            for point in histogram.data_points {
                let point = head.histogram_point(point, histogram.aggregation_temporality, work);
                work.decoded.metrics.histograms.push(point);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for point in histogram.data_points {
                let point = head.exponential_point(point, histogram.aggregation_temporality, work);
                work.decoded.metrics.exponential_histograms.push(point);
            }
        }
        Some(Data::Summary(summary)) => {
            for point in summary.data_points {
                let point = head.summary_point(point, work);
                work.decoded.metrics.summaries.push(point);
            }
        }
        None => {}
    }
}

/// What all points of a metric share.
struct Head<'a> {
    resource: &'a Arc<Resource>,
    scope: &'a Arc<Scope>,
    name: Arc<str>,
    description: Arc<str>,
    unit: Arc<str>,
}

/// What a point states of its time and itself.
struct PointFacts {
    attributes: Vec<KeyValue>,
    start_time_unix_nano: u64,
    time_unix_nano: u64,
    flags: u32,
    exemplars: Vec<Exemplar>,
}

impl Head<'_> {
    fn point<Value>(&self, facts: PointFacts, value: Value, work: &mut Work) -> MetricPoint<Value> {
        let stated = if facts.time_unix_nano == 0 {
            work.received_time
        } else {
            instant(facts.time_unix_nano)
        };
        let placed = work.bounds.place(stated);
        work.set_aside.add(&placed);
        let mut attributes: Attributes = pairs_of(facts.attributes, &mut work.cuts);
        placed.flag(&mut attributes);
        MetricPoint {
            resource: Arc::clone(self.resource),
            scope: Arc::clone(self.scope),
            name: Arc::clone(&self.name),
            description: Arc::clone(&self.description),
            unit: Arc::clone(&self.unit),
            attributes,
            start_time: start_time(facts.start_time_unix_nano, placed.time),
            time: placed.time,
            flags: facts.flags,
            exemplars: facts
                .exemplars
                .into_iter()
                .map(|exemplar| exemplar_of(exemplar, &mut work.cuts))
                .collect(),
            value,
        }
    }

    fn number_point<Value>(&self, point: NumberDataPoint, work: &mut Work, value: impl FnOnce(f64) -> Value) -> MetricPoint<Value> {
        let number = match point.value {
            Some(number_data_point::Value::AsDouble(number)) => number,
            Some(number_data_point::Value::AsInt(number)) => number as f64,
            None => 0.0,
        };
        let facts = PointFacts {
            attributes: point.attributes,
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            flags: point.flags,
            exemplars: point.exemplars,
        };
        self.point(facts, value(number), work)
    }

    fn histogram_point(&self, point: HistogramDataPoint, aggregation_temporality: i32, work: &mut Work) -> MetricPoint<records::Histogram> {
        let value = records::Histogram {
            count: point.count,
            sum: point.sum.unwrap_or_default(),
            bucket_counts: point.bucket_counts,
            explicit_bounds: point.explicit_bounds,
            min: point.min.unwrap_or_default(),
            max: point.max.unwrap_or_default(),
            aggregation_temporality,
        };
        let facts = PointFacts {
            attributes: point.attributes,
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            flags: point.flags,
            exemplars: point.exemplars,
        };
        self.point(facts, value, work)
    }

    fn exponential_point(
        &self,
        point: ExponentialHistogramDataPoint,
        aggregation_temporality: i32,
        work: &mut Work,
    ) -> MetricPoint<records::ExponentialHistogram> {
        let (positive, negative) = (point.positive.unwrap_or_default(), point.negative.unwrap_or_default());
        let value = records::ExponentialHistogram {
            count: point.count,
            sum: point.sum.unwrap_or_default(),
            scale: point.scale,
            zero_count: point.zero_count,
            positive_offset: positive.offset,
            positive_bucket_counts: positive.bucket_counts,
            negative_offset: negative.offset,
            negative_bucket_counts: negative.bucket_counts,
            min: point.min.unwrap_or_default(),
            max: point.max.unwrap_or_default(),
            aggregation_temporality,
        };
        let facts = PointFacts {
            attributes: point.attributes,
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            flags: point.flags,
            exemplars: point.exemplars,
        };
        self.point(facts, value, work)
    }

    fn summary_point(&self, point: SummaryDataPoint, work: &mut Work) -> MetricPoint<records::Summary> {
        let value = records::Summary {
            count: point.count,
            sum: point.sum,
            quantiles: point
                .quantile_values
                .iter()
                .map(|quantile| (quantile.quantile, quantile.value))
                .collect(),
        };
        let facts = PointFacts {
            attributes: point.attributes,
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            flags: point.flags,
            exemplars: Vec::new(),
        };
        self.point(facts, value, work)
    }
}

/// A start that lies after its point says nothing.
fn start_time(start_time_unix_nano: u64, time: UnixNanos) -> UnixNanos {
    let start = instant(start_time_unix_nano);
    if start > time { UnixNanos(0) } else { start }
}

fn exemplar_of(exemplar: Exemplar, cuts: &mut Cuts) -> records::Exemplar {
    let valid = ids::log_ids_valid(&exemplar.trace_id, &exemplar.span_id);
    cuts.add(reasons::INVALID_LINKED_ID, u64::from(!valid));
    records::Exemplar {
        filtered_attributes: pairs_of(exemplar.filtered_attributes, cuts),
        time: instant(exemplar.time_unix_nano),
        value: match exemplar.value {
            Some(exemplar::Value::AsDouble(number)) => number,
            Some(exemplar::Value::AsInt(number)) => number as f64,
            None => 0.0,
        },
        span_id: ids::span_id_text(&exemplar.span_id),
        trace_id: ids::trace_id_text(&exemplar.trace_id),
    }
}
