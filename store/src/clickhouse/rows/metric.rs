//! `otel_metrics_…`: one table per kind of point; the columns that all have are listed once.

use clickhouse::Row;
use serde::Serialize;

use super::Map;
use crate::records::{ExponentialHistogram, Gauge, Histogram, MetricPoint, Sum, Summary};

/// Makes a row type with the columns that all points have and those of its kind, `exemplars` for the kinds that have
/// them. The crate that writes rows needs a flat struct.
macro_rules! metric_row {
    ($(#[$doc:meta])* $row:ident, $value:ty, exemplars |$point:ident, $v:ident| { $($columns:tt)* }) => {
        metric_row!(
            $(#[$doc])*
            $row, $value, |$point, $v| {
                $($columns)*
                #[serde(rename = "Exemplars.FilteredAttributes")]
                exemplar_attributes: Vec<Map<'a>> = $point.exemplars.iter().map(|exemplar| exemplar.filtered_attributes.as_slice()).collect(),
                #[serde(rename = "Exemplars.TimeUnix")]
                exemplar_times: Vec<i64> = $point.exemplars.iter().map(|exemplar| exemplar.time.0).collect(),
                #[serde(rename = "Exemplars.Value")]
                exemplar_values: Vec<f64> = $point.exemplars.iter().map(|exemplar| exemplar.value).collect(),
                #[serde(rename = "Exemplars.SpanId")]
                exemplar_span_ids: Vec<&'a str> = $point.exemplars.iter().map(|exemplar| exemplar.span_id.as_str()).collect(),
                #[serde(rename = "Exemplars.TraceId")]
                exemplar_trace_ids: Vec<&'a str> = $point.exemplars.iter().map(|exemplar| exemplar.trace_id.as_str()).collect(),
            }
        );
    };
    ($(#[$doc:meta])* $row:ident, $value:ty, |$point:ident, $v:ident| { $($(#[$rename:meta])? $column:ident: $type:ty = $from:expr,)* }) => {
        $(#[$doc])*
        #[derive(Row, Serialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $row<'a> {
            resource_attributes: Map<'a>,
            resource_schema_url: &'a str,
            scope_name: &'a str,
            scope_version: &'a str,
            scope_attributes: Map<'a>,
            scope_dropped_attr_count: u32,
            scope_schema_url: &'a str,
            service_name: &'a str,
            metric_name: &'a str,
            metric_description: &'a str,
            metric_unit: &'a str,
            attributes: Map<'a>,
            start_time_unix: i64,
            time_unix: i64,
            flags: u32,
            $($(#[$rename])? $column: $type,)*
            driftlead_batch: u64,
        }

        impl<'a> $row<'a> {
            /// The row of a point that is inserted with this batch.
            pub fn new($point: &'a MetricPoint<$value>, batch: u64) -> Option<Self> {
                let $v = &$point.value;
                Some(Self {
                    resource_attributes: &$point.resource.attributes,
                    resource_schema_url: &$point.resource.schema_url,
                    scope_name: &$point.scope.name,
                    scope_version: &$point.scope.version,
                    scope_attributes: &$point.scope.attributes,
                    scope_dropped_attr_count: $point.scope.dropped_attributes_count,
                    scope_schema_url: &$point.scope.schema_url,
                    service_name: &$point.resource.service_name,
                    metric_name: &$point.name,
                    metric_description: &$point.description,
                    metric_unit: &$point.unit,
                    attributes: &$point.attributes,
                    start_time_unix: $point.start_time.0,
                    time_unix: $point.time.0,
                    flags: $point.flags,
                    $($column: $from,)*
                    driftlead_batch: batch,
                })
            }
        }
    };
}

metric_row!(
    /// A point of a gauge.
    GaugeRow, Gauge, exemplars |point, v| { value: f64 = v.value, }
);

metric_row!(
    /// A point of a sum.
    SumRow, Sum, exemplars |point, v| {
        value: f64 = v.value,
        aggregation_temporality: i32 = v.aggregation_temporality,
        is_monotonic: bool = v.is_monotonic,
    }
);

metric_row!(
    /// A point of a histogram.
    HistogramRow, Histogram, exemplars |point, v| {
        count: u64 = v.count,
        sum: f64 = v.sum,
        bucket_counts: &'a [u64] = &v.bucket_counts,
        explicit_bounds: &'a [f64] = &v.explicit_bounds,
        min: f64 = v.min,
        max: f64 = v.max,
        aggregation_temporality: i32 = v.aggregation_temporality,
    }
);

metric_row!(
    /// A point of an exponential histogram.
    ExponentialHistogramRow, ExponentialHistogram, exemplars |point, v| {
        count: u64 = v.count,
        sum: f64 = v.sum,
        scale: i32 = v.scale,
        zero_count: u64 = v.zero_count,
        positive_offset: i32 = v.positive_offset,
        positive_bucket_counts: &'a [u64] = &v.positive_bucket_counts,
        negative_offset: i32 = v.negative_offset,
        negative_bucket_counts: &'a [u64] = &v.negative_bucket_counts,
        min: f64 = v.min,
        max: f64 = v.max,
        aggregation_temporality: i32 = v.aggregation_temporality,
    }
);

metric_row!(
    /// A point of a summary.
    SummaryRow, Summary, |point, v| {
        count: u64 = v.count,
        sum: f64 = v.sum,
        #[serde(rename = "ValueAtQuantiles.Quantile")]
        quantiles: Vec<f64> = v.quantiles.iter().map(|(quantile, _)| *quantile).collect(),
        #[serde(rename = "ValueAtQuantiles.Value")]
        values: Vec<f64> = v.quantiles.iter().map(|(_, value)| *value).collect(),
    }
);
