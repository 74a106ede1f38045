//! The shapes of OTLP's messages, as far as a walk over their bytes has to know them.

/// Highest field number of any OTLP message, plus one.
const FIELDS: usize = 17;

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A field that no schema names: skipped by its wire type.
    Unknown,
    /// Integers, enums and booleans.
    Varint,
    /// `fixed32`.
    Fixed32,
    /// `fixed64`, `sfixed64` and `double`.
    Fixed64,
    /// Repeated `fixed64` or `double`, packed or one by one.
    PackedFixed64,
    /// Repeated integers, packed or one by one.
    PackedVarint,
    /// `string`.
    Text,
    /// A `string` that every record below carries in its row.
    SharedText,
    /// `bytes`.
    Bytes,
    /// A `string` in which anything may stand: the name of a span, the message of a status.
    FreeText,
    /// The value of an attribute as a whole number.
    IntValue,
    /// The value of an attribute as a string.
    TextValue,
    /// The value of an attribute as bytes.
    BytesValue,
    /// Name of an attribute.
    Key,
    /// Name of a log record's event.
    EventName,
    /// Trace id of a record.
    TraceId,
    /// Span id of a record.
    SpanId,
    /// Parent of a span.
    ParentSpanId,
    /// One of the attributes that the limit counts.
    Attribute,
    /// The body of a log record, whose length has no limit of its own.
    Body(&'static Schema),
    /// A message.
    Message(&'static Schema),
}

/// What a message is to the walk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing in particular.
    Plain,
    /// `ResourceLogs` and its like.
    Group,
    /// The resource of a group.
    Resource,
    /// The scope of records.
    Scope,
    /// A log record.
    Log,
    /// A span.
    Span,
    /// A data point.
    Point,
    /// A value, which may nest.
    Value,
}

/// Fields of a message by number.
pub(super) struct Schema {
    pub(super) role: Role,
    fields: [Kind; FIELDS],
}

impl Schema {
    const fn new(role: Role, fields: &[(usize, Kind)]) -> Self {
        let mut by_number = [Kind::Unknown; FIELDS];
        let mut i = 0;
        while i < fields.len() {
            by_number[fields[i].0] = fields[i].1;
            i += 1;
        }
        Self { role, fields: by_number }
    }

    pub(super) fn field(&self, number: u32) -> Kind {
        self.fields.get(number as usize).copied().unwrap_or(Kind::Unknown)
    }
}

use Kind::{
    Attribute, Body, Bytes, BytesValue, EventName, Fixed32, Fixed64, FreeText, IntValue, Key, Message, PackedFixed64, PackedVarint,
    ParentSpanId, SharedText, SpanId, Text, TextValue, TraceId, Varint,
};

pub(super) static KEY_VALUE: Schema = Schema::new(Role::Plain, &[(1, Key), (2, Message(&VALUE)), (3, Varint)]);

static VALUE: Schema = Schema::new(
    Role::Value,
    &[
        (1, TextValue),
        (2, Varint),
        (3, IntValue),
        (4, Fixed64),
        (5, Message(&ARRAY)),
        (6, Message(&LIST)),
        (7, BytesValue),
        (8, Varint),
    ],
);

static ARRAY: Schema = Schema::new(Role::Plain, &[(1, Message(&VALUE))]);
static LIST: Schema = Schema::new(Role::Plain, &[(1, Message(&KEY_VALUE))]);

static SCOPE: Schema = Schema::new(Role::Scope, &[(1, Text), (2, Text), (3, Attribute), (4, Varint)]);
static ENTITY: Schema = Schema::new(Role::Plain, &[(1, Text), (2, Text), (3, Text), (4, Text)]);
static RESOURCE: Schema = Schema::new(Role::Resource, &[(1, Attribute), (2, Varint), (3, Message(&ENTITY))]);

pub(super) static LOGS_REQUEST: Schema = Schema::new(Role::Plain, &[(1, Message(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Schema = Schema::new(Role::Group, &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_LOGS)), (3, SharedText)]);
static SCOPE_LOGS: Schema = Schema::new(Role::Plain, &[(1, Message(&SCOPE)), (2, Message(&LOG_RECORD)), (3, SharedText)]);
static LOG_RECORD: Schema = Schema::new(
    Role::Log,
    &[
        (1, Fixed64),
        (2, Varint),
        (3, Text),
        (5, Body(&VALUE)),
        (6, Attribute),
        (7, Varint),
        (8, Fixed32),
        (9, TraceId),
        (10, SpanId),
        (11, Fixed64),
        (12, EventName),
    ],
);

pub(super) static TRACES_REQUEST: Schema = Schema::new(Role::Plain, &[(1, Message(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Schema = Schema::new(Role::Group, &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_SPANS)), (3, SharedText)]);
static SCOPE_SPANS: Schema = Schema::new(Role::Plain, &[(1, Message(&SCOPE)), (2, Message(&SPAN)), (3, SharedText)]);
static SPAN: Schema = Schema::new(
    Role::Span,
    &[
        (1, TraceId),
        (2, SpanId),
        (3, Text),
        (4, ParentSpanId),
        (5, FreeText),
        (6, Varint),
        (7, Fixed64),
        (8, Fixed64),
        (9, Attribute),
        (10, Varint),
        (11, Message(&SPAN_EVENT)),
        (12, Varint),
        (13, Message(&SPAN_LINK)),
        (14, Varint),
        (15, Message(&SPAN_STATUS)),
        (16, Fixed32),
    ],
);
static SPAN_EVENT: Schema = Schema::new(Role::Plain, &[(1, Fixed64), (2, Text), (3, Attribute), (4, Varint)]);
static SPAN_LINK: Schema = Schema::new(
    Role::Plain,
    &[(1, Bytes), (2, Bytes), (3, Text), (4, Attribute), (5, Varint), (6, Fixed32)],
);
static SPAN_STATUS: Schema = Schema::new(Role::Plain, &[(2, FreeText), (3, Varint)]);

pub(super) static METRICS_REQUEST: Schema = Schema::new(Role::Plain, &[(1, Message(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Schema = Schema::new(
    Role::Group,
    &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_METRICS)), (3, SharedText)],
);
static SCOPE_METRICS: Schema = Schema::new(Role::Plain, &[(1, Message(&SCOPE)), (2, Message(&METRIC)), (3, SharedText)]);
static METRIC: Schema = Schema::new(
    Role::Plain,
    &[
        (1, SharedText),
        (2, SharedText),
        (3, SharedText),
        (5, Message(&GAUGE)),
        (7, Message(&SUM)),
        (9, Message(&HISTOGRAM)),
        (10, Message(&EXPONENTIAL_HISTOGRAM)),
        (11, Message(&SUMMARY)),
        (12, Attribute),
    ],
);
static GAUGE: Schema = Schema::new(Role::Plain, &[(1, Message(&NUMBER_POINT))]);
static SUM: Schema = Schema::new(Role::Plain, &[(1, Message(&NUMBER_POINT)), (2, Varint), (3, Varint)]);
static HISTOGRAM: Schema = Schema::new(Role::Plain, &[(1, Message(&HISTOGRAM_POINT)), (2, Varint)]);
static EXPONENTIAL_HISTOGRAM: Schema = Schema::new(Role::Plain, &[(1, Message(&EXPONENTIAL_POINT)), (2, Varint)]);
static SUMMARY: Schema = Schema::new(Role::Plain, &[(1, Message(&SUMMARY_POINT))]);
static NUMBER_POINT: Schema = Schema::new(
    Role::Point,
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Message(&EXEMPLAR)),
        (6, Fixed64),
        (7, Attribute),
        (8, Varint),
    ],
);
static HISTOGRAM_POINT: Schema = Schema::new(
    Role::Point,
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, PackedFixed64),
        (7, PackedFixed64),
        (8, Message(&EXEMPLAR)),
        (9, Attribute),
        (10, Varint),
        (11, Fixed64),
        (12, Fixed64),
    ],
);
static EXPONENTIAL_POINT: Schema = Schema::new(
    Role::Point,
    &[
        (1, Attribute),
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Varint),
        (7, Fixed64),
        (8, Message(&BUCKETS)),
        (9, Message(&BUCKETS)),
        (10, Varint),
        (11, Message(&EXEMPLAR)),
        (12, Fixed64),
        (13, Fixed64),
        (14, Fixed64),
    ],
);
static BUCKETS: Schema = Schema::new(Role::Plain, &[(1, Varint), (2, PackedVarint)]);
static SUMMARY_POINT: Schema = Schema::new(
    Role::Point,
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Message(&QUANTILE)),
        (7, Attribute),
        (8, Varint),
    ],
);
static QUANTILE: Schema = Schema::new(Role::Plain, &[(1, Fixed64), (2, Fixed64)]);
static EXEMPLAR: Schema = Schema::new(
    Role::Plain,
    &[(2, Fixed64), (3, Fixed64), (4, Bytes), (5, Bytes), (6, Fixed64), (7, Attribute)],
);
