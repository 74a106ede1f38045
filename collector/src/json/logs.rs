//! Log records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::fields::{List, Message, json_fields};
use super::scalars::{Enumeration, Id, Named, Text, Unsigned32, Unsigned64};

json_fields!(ExportLogsServiceRequest {
    "resourceLogs" | "resource_logs" => resource_logs: List<ResourceLogs>,
});

json_fields!(ResourceLogs {
    "resource" => resource: Message<Resource>,
    "scopeLogs" | "scope_logs" => scope_logs: List<ScopeLogs>,
    "schemaUrl" | "schema_url" => schema_url: Text,
});

json_fields!(ScopeLogs {
    "scope" => scope: Message<InstrumentationScope>,
    "logRecords" | "log_records" => log_records: List<LogRecord>,
    "schemaUrl" | "schema_url" => schema_url: Text,
});

json_fields!(LogRecord {
    "timeUnixNano" | "time_unix_nano" => time_unix_nano: Unsigned64,
    "observedTimeUnixNano" | "observed_time_unix_nano" => observed_time_unix_nano: Unsigned64,
    "severityNumber" | "severity_number" => severity_number: Enumeration<SeverityNumber>,
    "severityText" | "severity_text" => severity_text: Text,
    "body" => body: Message<AnyValue>,
    "attributes" => attributes: List<KeyValue>,
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count: Unsigned32,
    "flags" => flags: Unsigned32,
    "traceId" | "trace_id" => trace_id: Id,
    "spanId" | "span_id" => span_id: Id,
    "eventName" | "event_name" => event_name: Text,
});

impl Named for SeverityNumber {
    fn number_of(name: &str) -> Option<i32> {
        Self::from_str_name(name).map(|value| value as i32)
    }
}
