//! The tables of raw telemetry as the search sees them: where a field of the query language lies in each.

use crate::index::query::Keyword;

/// Which records are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Log records, of every severity.
    Logs,
    /// Spans, of every status.
    Traces,
}

/// Before the names of attributes that the resource has, as in the error index.
const OF_RESOURCE: &str = "resource.";
/// How long it took, in milliseconds, as in the error index.
const LATENCY: &str = "latency_ms";

/// An attribute: where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Under this key of a column that is a map from names to texts.
    Key {
        /// The column.
        map: &'static str,
        /// The key.
        key: &'a str,
    },
    /// An expression that is a text; empty: there is none.
    Text(&'static str),
    /// An expression that is a number.
    Number(&'static str),
}

impl RecordKind {
    /// The table.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Logs => "otel_logs",
            Self::Traces => "otel_traces",
        }
    }

    /// The name or id of each record, as a text; empty: there is none.
    pub(super) fn keyword(self, keyword: Keyword) -> &'static str {
        match (self, keyword) {
            // As the error index has it where the record is an error.
            (Self::Logs, Keyword::Severity) => {
                "multiIf(SeverityNumber >= 21, 'FATAL', SeverityNumber >= 17, 'ERROR', SeverityNumber >= 13, 'WARN', \
                 SeverityNumber >= 9, 'INFO', SeverityNumber >= 5, 'DEBUG', SeverityNumber >= 1, 'TRACE', \
                 transform(upper(trimBoth(SeverityText)), ['CRITICAL', 'WARNING'], ['FATAL', 'WARN'], upper(trimBoth(SeverityText))))"
            }
            (Self::Traces, Keyword::Severity) => "upper(toString(StatusCode))",
            (_, Keyword::Service) => "toString(ServiceName)",
            (_, Keyword::Model) => "toString(DriftleadModel)",
            (_, Keyword::Version) => "toString(DriftleadVersion)",
            (_, Keyword::Environment) => "toString(DriftleadEnvironment)",
            (_, Keyword::TraceId) => "TraceId",
            (_, Keyword::SpanId) => "SpanId",
            (Self::Logs, Keyword::ErrorType) => "coalesce(nullIf(LogAttributes['error.type'], ''), LogAttributes['exception.type'])",
            (Self::Traces, Keyword::ErrorType) => {
                "coalesce(nullIf(SpanAttributes['error.type'], ''), \
                 arrayFirst(found -> found != '', arrayMap(event -> event['exception.type'], `Events.Attributes`)))"
            }
            // Only errors have patterns.
            (_, Keyword::PatternId) => "''",
        }
    }

    /// What a record says: texts that are searched one after the other, the second where its condition holds.
    pub(super) fn messages(self) -> [(&'static str, Option<&'static str>); 2] {
        match self {
            Self::Logs => [("Body", None), ("EventName", Some("empty(Body)"))],
            Self::Traces => [("SpanName", None), ("StatusMessage", Some("notEmpty(StatusMessage)"))],
        }
    }

    /// The message as it is shown.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Logs => "if(empty(Body), EventName, Body)",
            Self::Traces => "if(empty(StatusMessage), toString(SpanName), concat(toString(SpanName), ': ', StatusMessage))",
        }
    }

    /// Bytes of the text of a record whose length nothing bounds.
    pub(super) fn text_bytes(self) -> &'static str {
        match self {
            Self::Logs => "length(Body)",
            Self::Traces => "length(StatusMessage)",
        }
    }

    /// The stack.
    pub(super) fn stack(self) -> &'static str {
        match self {
            Self::Logs => "LogAttributes['exception.stacktrace']",
            Self::Traces => "arrayFirst(found -> found != '', arrayMap(event -> event['exception.stacktrace'], `Events.Attributes`))",
        }
    }

    /// The column with the record's own attributes.
    pub(super) fn attributes(self) -> &'static str {
        match self {
            Self::Logs => "LogAttributes",
            Self::Traces => "SpanAttributes",
        }
    }

    /// What is shown among the attributes though it is not one of the sender's: names and texts; empty ones are left out.
    pub(super) fn further(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Logs => &[("event.name", "EventName"), ("scope.name", "ScopeName")],
            Self::Traces => &[
                ("span.name", "toString(SpanName)"),
                ("span.kind", "toString(SpanKind)"),
                ("span.parent_id", "ParentSpanId"),
                ("scope.name", "ScopeName"),
                (LATENCY, "toString(Duration / 1e6)"),
            ],
        }
    }

    /// Where an attribute lies.
    pub(super) fn attribute(self, path: &str) -> Place<'_> {
        if let Some(key) = path.strip_prefix(OF_RESOURCE) {
            return Place::Key {
                map: "ResourceAttributes",
                key,
            };
        }
        if (self, path) == (Self::Traces, LATENCY) {
            return Place::Number("Duration / 1e6");
        }
        if (self, path) == (Self::Logs, "event.name") {
            // Some senders have it among the attributes.
            return Place::Text("coalesce(nullIf(EventName, ''), LogAttributes['event.name'])");
        }
        if (self, path) == (Self::Logs, LATENCY) {
            return Place::Text("coalesce(nullIf(LogAttributes['latency_ms'], ''), LogAttributes['ml.latency_ms'])");
        }
        match self.further().iter().find(|(name, _)| *name == path) {
            Some((_, text)) => Place::Text(text),
            None => Place::Key {
                map: self.attributes(),
                key: path,
            },
        }
    }

    /// What records are counted by: the name in queries and answers, and the text.
    pub(super) fn facets(self) -> Vec<(&'static str, &'static str)> {
        let keywords = [
            Keyword::Model,
            Keyword::Version,
            Keyword::Service,
            Keyword::Environment,
            Keyword::Severity,
        ];
        let mut facets: Vec<_> = keywords.map(|keyword| (keyword.name(), self.keyword(keyword))).into();
        let further: &[&str] = match self {
            Self::Logs => &["event.name"],
            Self::Traces => &["span.name", "span.kind"],
        };
        facets.extend(self.further().iter().filter(|(name, _)| further.contains(name)));
        facets
    }

    /// Tells records of one instant apart. Those with the same are the same in everything that is shown.
    pub(super) fn sequence(self) -> &'static str {
        match self {
            Self::Logs => {
                "cityHash64(ServiceName, TraceId, SpanId, SeverityNumber, SeverityText, Body, EventName, ScopeName, \
                 toString(LogAttributes), toString(ResourceAttributes))"
            }
            Self::Traces => {
                "cityHash64(ServiceName, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, Duration, StatusCode, StatusMessage, ScopeName, \
                 toString(SpanAttributes), toString(ResourceAttributes), toString(`Events.Attributes`))"
            }
        }
    }
}
