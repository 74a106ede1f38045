//! Metrics.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::de::MapAccess;

use super::fields::{FromJson, List, Message, json_fields};
use super::scalars::{
    Counts, Double, Doubles, Enumeration, Flag, Id, MaybeDouble, Named, Signed32, Signed64, Text, Unsigned32, Unsigned64,
};

json_fields!(ExportMetricsServiceRequest {
    "resourceMetrics" | "resource_metrics" => resource_metrics: List<ResourceMetrics>,
});

json_fields!(ResourceMetrics {
    "resource" => resource: Message<Resource>,
    "scopeMetrics" | "scope_metrics" => scope_metrics: List<ScopeMetrics>,
    "schemaUrl" | "schema_url" => schema_url: Text,
});

json_fields!(ScopeMetrics {
    "scope" => scope: Message<InstrumentationScope>,
    "metrics" => metrics: List<Metric>,
    "schemaUrl" | "schema_url" => schema_url: Text,
});

impl FromJson for Metric {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let data = match name {
            "gauge" => map.next_value::<Message<Gauge>>()?.0.map(Data::Gauge),
            "sum" => map.next_value::<Message<Sum>>()?.0.map(Data::Sum),
            "histogram" => map.next_value::<Message<Histogram>>()?.0.map(Data::Histogram),
            "exponentialHistogram" | "exponential_histogram" => {
                map.next_value::<Message<ExponentialHistogram>>()?.0.map(Data::ExponentialHistogram)
            }
            "summary" => map.next_value::<Message<Summary>>()?.0.map(Data::Summary),
            "name" => {
                self.name = map.next_value::<Text>()?.0;
                return Ok(true);
            }
            "description" => {
                self.description = map.next_value::<Text>()?.0;
                return Ok(true);
            }
            "unit" => {
                self.unit = map.next_value::<Text>()?.0;
                return Ok(true);
            }
            "metadata" => {
                self.metadata = map.next_value::<List<KeyValue>>()?.0;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if data.is_some() {
            self.data = data;
        }
        Ok(true)
    }
}

json_fields!(Gauge {
    "dataPoints" | "data_points" => data_points: List<NumberDataPoint>,
});

json_fields!(Sum {
    "dataPoints" | "data_points" => data_points: List<NumberDataPoint>,
    "aggregationTemporality" | "aggregation_temporality" => aggregation_temporality: Enumeration<AggregationTemporality>,
    "isMonotonic" | "is_monotonic" => is_monotonic: Flag,
});

json_fields!(Histogram {
    "dataPoints" | "data_points" => data_points: List<HistogramDataPoint>,
    "aggregationTemporality" | "aggregation_temporality" => aggregation_temporality: Enumeration<AggregationTemporality>,
});

json_fields!(ExponentialHistogram {
    "dataPoints" | "data_points" => data_points: List<ExponentialHistogramDataPoint>,
    "aggregationTemporality" | "aggregation_temporality" => aggregation_temporality: Enumeration<AggregationTemporality>,
});

json_fields!(Summary {
    "dataPoints" | "data_points" => data_points: List<SummaryDataPoint>,
});

impl FromJson for NumberDataPoint {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "asDouble" | "as_double" => {
                self.value = map
                    .next_value::<Option<Double>>()?
                    .map(|number| number_data_point::Value::AsDouble(number.0))
                    .or(self.value);
            }
            "asInt" | "as_int" => {
                self.value = map
                    .next_value::<Option<Signed64>>()?
                    .map(|number| number_data_point::Value::AsInt(number.0))
                    .or(self.value);
            }
            "attributes" => self.attributes = map.next_value::<List<KeyValue>>()?.0,
            "startTimeUnixNano" | "start_time_unix_nano" => self.start_time_unix_nano = map.next_value::<Unsigned64>()?.0,
            "timeUnixNano" | "time_unix_nano" => self.time_unix_nano = map.next_value::<Unsigned64>()?.0,
            "exemplars" => self.exemplars = map.next_value::<List<Exemplar>>()?.0,
            "flags" => self.flags = map.next_value::<Unsigned32>()?.0,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

json_fields!(HistogramDataPoint {
    "attributes" => attributes: List<KeyValue>,
    "startTimeUnixNano" | "start_time_unix_nano" => start_time_unix_nano: Unsigned64,
    "timeUnixNano" | "time_unix_nano" => time_unix_nano: Unsigned64,
    "count" => count: Unsigned64,
    "sum" => sum: MaybeDouble,
    "bucketCounts" | "bucket_counts" => bucket_counts: Counts,
    "explicitBounds" | "explicit_bounds" => explicit_bounds: Doubles,
    "exemplars" => exemplars: List<Exemplar>,
    "flags" => flags: Unsigned32,
    "min" => min: MaybeDouble,
    "max" => max: MaybeDouble,
});

json_fields!(ExponentialHistogramDataPoint {
    "attributes" => attributes: List<KeyValue>,
    "startTimeUnixNano" | "start_time_unix_nano" => start_time_unix_nano: Unsigned64,
    "timeUnixNano" | "time_unix_nano" => time_unix_nano: Unsigned64,
    "count" => count: Unsigned64,
    "sum" => sum: MaybeDouble,
    "scale" => scale: Signed32,
    "zeroCount" | "zero_count" => zero_count: Unsigned64,
    "positive" => positive: Message<Buckets>,
    "negative" => negative: Message<Buckets>,
    "flags" => flags: Unsigned32,
    "exemplars" => exemplars: List<Exemplar>,
    "min" => min: MaybeDouble,
    "max" => max: MaybeDouble,
    "zeroThreshold" | "zero_threshold" => zero_threshold: Double,
});

json_fields!(Buckets {
    "offset" => offset: Signed32,
    "bucketCounts" | "bucket_counts" => bucket_counts: Counts,
});

json_fields!(SummaryDataPoint {
    "attributes" => attributes: List<KeyValue>,
    "startTimeUnixNano" | "start_time_unix_nano" => start_time_unix_nano: Unsigned64,
    "timeUnixNano" | "time_unix_nano" => time_unix_nano: Unsigned64,
    "count" => count: Unsigned64,
    "sum" => sum: Double,
    "quantileValues" | "quantile_values" => quantile_values: List<ValueAtQuantile>,
    "flags" => flags: Unsigned32,
});

json_fields!(ValueAtQuantile {
    "quantile" => quantile: Double,
    "value" => value: Double,
});

impl FromJson for Exemplar {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "asDouble" | "as_double" => {
                self.value = map
                    .next_value::<Option<Double>>()?
                    .map(|number| exemplar::Value::AsDouble(number.0))
                    .or(self.value);
            }
            "asInt" | "as_int" => {
                self.value = map
                    .next_value::<Option<Signed64>>()?
                    .map(|number| exemplar::Value::AsInt(number.0))
                    .or(self.value);
            }
            "filteredAttributes" | "filtered_attributes" => self.filtered_attributes = map.next_value::<List<KeyValue>>()?.0,
            "timeUnixNano" | "time_unix_nano" => self.time_unix_nano = map.next_value::<Unsigned64>()?.0,
            "spanId" | "span_id" => self.span_id = map.next_value::<Id>()?.0,
            "traceId" | "trace_id" => self.trace_id = map.next_value::<Id>()?.0,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Named for AggregationTemporality {
    fn number_of(name: &str) -> Option<i32> {
        Self::from_str_name(name).map(|value| value as i32)
    }
}
