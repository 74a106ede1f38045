//! The domain: what telemetry becomes once it is decoded, in the order in which data meets it.

mod decoded;
mod error_document;
mod inference;
mod outcome;
pub mod outcome_line;
mod profile;
mod signal;
mod telemetry;

/// Longest name in bytes: of models, versions, environments, services, features, attributes, ids and labels.
pub const MAX_NAME_BYTES: usize = 256;

pub use decoded::{Decoded, SetAside};
pub use error_document::ErrorDocument;
pub use inference::{Half, InferenceHalf, JoinedInference, RequestId};
pub use outcome::{Outcome, OutcomeKind};
pub use profile::{FeatureCounts, MAX_CATEGORIES, OTHER_CATEGORIES, pseudo};
pub use signal::{Signal, SignalState, names};
pub use telemetry::{
    Attributes, Exemplar, ExponentialHistogram, Gauge, Histogram, LogRecord, MetricPoint, MetricPoints, Resource, Scope, SpanEvent,
    SpanLink, SpanRecord, Sum, Summary,
};
