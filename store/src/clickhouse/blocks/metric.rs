//! `otel_metrics_…`: one table per kind of point; the columns that all have are listed once.

use clickhouse::native::Block;

use super::values::{Instant, Pairs};
use super::{Columns, Tabled};
use crate::clickhouse::TelemetryError;
use crate::records::{Exemplar, ExponentialHistogram, Gauge, Histogram, MetricPoint, Sum, Summary};

impl<'a, Value> Columns<'a, MetricPoint<Value>> {
    /// The columns of all kinds.
    fn with_point(self, batch: u64) -> Result<Self, TelemetryError> {
        self.with("ResourceAttributes", |point| Pairs(&point.resource.attributes))?
            .with("ResourceSchemaUrl", |point| point.resource.schema_url.as_str())?
            .with("ScopeName", |point| point.scope.name.as_str())?
            .with("ScopeVersion", |point| point.scope.version.as_str())?
            .with("ScopeAttributes", |point| Pairs(&point.scope.attributes))?
            .with("ScopeDroppedAttrCount", |point| point.scope.dropped_attributes_count)?
            .with("ScopeSchemaUrl", |point| point.scope.schema_url.as_str())?
            .with("ServiceName", |point| point.resource.service_name.as_str())?
            .with("MetricName", |point| &*point.name)?
            .with("MetricDescription", |point| &*point.description)?
            .with("MetricUnit", |point| &*point.unit)?
            .with("Attributes", |point| Pairs(&point.attributes))?
            .with("StartTimeUnix", |point| Instant(point.start_time))?
            .with("TimeUnix", |point| Instant(point.time))?
            .with("Flags", |point| point.flags)?
            .with("DriftleadBatch", |_| batch)
    }

    /// The columns of the kinds that have exemplars.
    fn with_exemplars(self) -> Result<Self, TelemetryError> {
        fn exemplars<'a, Value, T>(value: impl Fn(&'a Exemplar) -> T) -> impl Fn(&'a MetricPoint<Value>) -> Vec<T> {
            move |point| point.exemplars.iter().map(&value).collect()
        }
        self.with(
            "Exemplars.FilteredAttributes",
            exemplars(|exemplar| Pairs(&exemplar.filtered_attributes)),
        )?
        .with("Exemplars.TimeUnix", exemplars(|exemplar| Instant(exemplar.time)))?
        .with("Exemplars.Value", exemplars(|exemplar| exemplar.value))?
        .with("Exemplars.SpanId", exemplars(|exemplar| exemplar.span_id.as_str()))?
        .with("Exemplars.TraceId", exemplars(|exemplar| exemplar.trace_id.as_str()))
    }
}

impl Tabled for MetricPoint<Gauge> {
    const TABLE: &'static str = "otel_metrics_gauge";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with_point(batch)?
            .with_exemplars()?
            .with("Value", |point| point.value.value)?
            .build()
    }
}

impl Tabled for MetricPoint<Sum> {
    const TABLE: &'static str = "otel_metrics_sum";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with_point(batch)?
            .with_exemplars()?
            .with("Value", |point| point.value.value)?
            .with("AggregationTemporality", |point| point.value.aggregation_temporality)?
            .with("IsMonotonic", |point| point.value.is_monotonic)?
            .build()
    }
}

impl Tabled for MetricPoint<Histogram> {
    const TABLE: &'static str = "otel_metrics_histogram";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with_point(batch)?
            .with_exemplars()?
            .with("Count", |point| point.value.count)?
            .with("Sum", |point| point.value.sum)?
            .with("BucketCounts", |point| point.value.bucket_counts.as_slice())?
            .with("ExplicitBounds", |point| point.value.explicit_bounds.as_slice())?
            .with("Min", |point| point.value.min)?
            .with("Max", |point| point.value.max)?
            .with("AggregationTemporality", |point| point.value.aggregation_temporality)?
            .build()
    }
}

impl Tabled for MetricPoint<ExponentialHistogram> {
    const TABLE: &'static str = "otel_metrics_exponential_histogram";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with_point(batch)?
            .with_exemplars()?
            .with("Count", |point| point.value.count)?
            .with("Sum", |point| point.value.sum)?
            .with("Scale", |point| point.value.scale)?
            .with("ZeroCount", |point| point.value.zero_count)?
            .with("PositiveOffset", |point| point.value.positive_offset)?
            .with("PositiveBucketCounts", |point| point.value.positive_bucket_counts.as_slice())?
            .with("NegativeOffset", |point| point.value.negative_offset)?
            .with("NegativeBucketCounts", |point| point.value.negative_bucket_counts.as_slice())?
            .with("Min", |point| point.value.min)?
            .with("Max", |point| point.value.max)?
            .with("AggregationTemporality", |point| point.value.aggregation_temporality)?
            .build()
    }
}

impl Tabled for MetricPoint<Summary> {
    const TABLE: &'static str = "otel_metrics_summary";

    fn block(records: &[Self], batch: u64) -> Result<Block, TelemetryError> {
        type Point = MetricPoint<Summary>;
        let quantiles = |point: &Point| -> Vec<f64> { point.value.quantiles.iter().map(|(quantile, _)| *quantile).collect() };
        let values = |point: &Point| -> Vec<f64> { point.value.quantiles.iter().map(|(_, value)| *value).collect() };
        Columns::of(records)
            .with_point(batch)?
            .with("Count", |point| point.value.count)?
            .with("Sum", |point| point.value.sum)?
            .with("ValueAtQuantiles.Quantile", quantiles)?
            .with("ValueAtQuantiles.Value", values)?
            .build()
    }
}
