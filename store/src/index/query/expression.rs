//! The tree that a query is.

use std::ops::Bound;

use super::shape::Shape;
use crate::clock::UnixNanos;

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// Every error.
    All,
    /// Errors that match all of these; at least two.
    And(Vec<Self>),
    /// Errors that match one of these at least; at least two.
    Or(Vec<Self>),
    /// Errors that match so many of these at least.
    AtLeast(usize, Vec<Self>),
    /// Errors that do not match.
    Not(Box<Self>),
    /// The error with this event time and sequence.
    One(UnixNanos, u64),
    /// Words in this order, the last one only begun when `prefix` is set. One word is a phrase of one.
    Text {
        /// Where they stand; `None`: anywhere that people look (message, stack, names, trace and span id).
        field: Option<Text>,
        /// The words, in lower case; never empty.
        words: Vec<String>,
        /// Whether the last word may go on.
        prefix: bool,
    },
    /// A name or id that equals the value, or begins with it.
    Keyword {
        /// Which one.
        field: Keyword,
        /// The value; empty: the error has none.
        value: String,
        /// Whether the name may go on.
        prefix: bool,
    },
    /// An attribute that equals a number, or a text that holds these words in this order.
    Attribute {
        /// Path of the attribute, such as `http.route`.
        path: String,
        /// The value as it was written.
        value: String,
    },
    /// A word or a name of this shape is there.
    Fits {
        /// Where it stands; `None`: a word anywhere that people look (message, stack, names).
        field: Option<Field>,
        /// Its shape; words are in lower case, names and ids as they are kept.
        shape: Shape,
    },
    /// The whole text of an attribute is of this shape, case included.
    Whole {
        /// Path of the attribute.
        path: String,
        /// Its shape.
        shape: Shape,
    },
    /// The name or id is there.
    HasKeyword(Keyword),
    /// The attribute, or one below it, is there.
    HasAttribute(String),
    /// The event time lies between.
    Time(Bound<UnixNanos>, Bound<UnixNanos>),
    /// The attribute is a number that lies between.
    Numbers {
        /// Path of the attribute.
        path: String,
        /// Lower end.
        lower: Bound<Number>,
        /// Upper end.
        upper: Bound<Number>,
    },
}

/// A finite number as written, whole where it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(i64),
    /// A whole number that is larger than those.
    Large(u64),
    /// Any other finite number.
    Real(f64),
}

impl Number {
    /// Reads a finite number.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        if let Ok(large) = text.parse() {
            return Some(Self::Large(large));
        }
        // `parse` would also take "inf", "nan" and "infinity", which no attribute holds.
        let starts_as_number = text
            .trim_start_matches(['+', '-'])
            .starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let real: f64 = text.parse().ok().filter(|_| starts_as_number)?;
        real.is_finite().then_some(Self::Real(real))
    }

    /// Its value.
    pub fn value(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Large(large) => large as f64,
            Self::Real(real) => real,
        }
    }
}

/// Fields with names and ids, compared whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// `ERROR`, `FATAL`, …; written in any case.
    Severity,
    /// Service.
    Service,
    /// Model.
    Model,
    /// Version.
    Version,
    /// Environment.
    Environment,
    /// Trace id.
    TraceId,
    /// Span id.
    SpanId,
    /// Type of the error.
    ErrorType,
    /// Pattern of the message.
    PatternId,
}

impl Keyword {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Severity,
        Self::Service,
        Self::Model,
        Self::Version,
        Self::Environment,
        Self::TraceId,
        Self::SpanId,
        Self::ErrorType,
        Self::PatternId,
    ];

    /// Its name in queries, in the index and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Service => "service",
            Self::Model => "model",
            Self::Version => "version",
            Self::Environment => "environment",
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
            Self::ErrorType => "error_type",
            Self::PatternId => "pattern_id",
        }
    }

    /// Whether its values are of one error or of few: these are no words of the index, but only a column of it.
    pub fn is_id(self) -> bool {
        matches!(self, Self::TraceId | Self::SpanId)
    }

    /// The form in which values are kept and compared.
    pub fn normal(self, value: &str) -> String {
        let mut value = value.to_owned();
        self.normalize(&mut value);
        value
    }

    /// Makes a value [normal](Self::normal).
    pub fn normalize(self, value: &mut String) {
        match self {
            Self::Severity if value.is_ascii() => value.make_ascii_uppercase(),
            Self::Severity => *value = value.to_uppercase(),
            Self::TraceId | Self::SpanId => value.make_ascii_lowercase(),
            _ => {}
        }
    }
}

/// Fields with text, compared word by word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Text {
    /// The message.
    Message,
    /// The stack.
    Stack,
}

impl Text {
    /// Its name in queries, in the index and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Stack => "stack",
        }
    }
}

/// What stands before a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Event time.
    Time,
    /// A name or an id.
    Keyword(Keyword),
    /// The message or the stack.
    Text(Text),
    /// Anything else is an attribute.
    Attribute(String),
}

impl Field {
    /// Finds the field that a name means; the names that OpenTelemetry gives to our fields are taken too.
    pub fn named(name: &str) -> Self {
        match name {
            "time" | "ts" | "timestamp" | "@timestamp" => Self::Time,
            "severity" | "level" => Self::Keyword(Keyword::Severity),
            "service" | "service.name" => Self::Keyword(Keyword::Service),
            "model" | "ml.model.name" => Self::Keyword(Keyword::Model),
            "version" | "ml.model.version" => Self::Keyword(Keyword::Version),
            "environment" | "deployment.environment.name" => Self::Keyword(Keyword::Environment),
            "trace_id" | "trace" | "trace.id" => Self::Keyword(Keyword::TraceId),
            "span_id" | "span" | "span.id" => Self::Keyword(Keyword::SpanId),
            "error_type" | "error.type" | "exception.type" => Self::Keyword(Keyword::ErrorType),
            "pattern_id" => Self::Keyword(Keyword::PatternId),
            "message" | "exception.message" | "error.message" => Self::Text(Text::Message),
            "stack" | "exception.stacktrace" | "error.stack_trace" => Self::Text(Text::Stack),
            other => Self::Attribute(other.strip_prefix("attributes.").unwrap_or(other).to_owned()),
        }
    }
}
