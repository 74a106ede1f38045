//! The domain: what telemetry becomes once it is decoded, in the order in which data meets it.

mod decoded;
mod error_document;
mod inference;
mod outcome;
pub mod outcome_line;
mod profile;
mod signal;
mod telemetry;

pub use decoded::{Decoded, SetAside};
pub use error_document::ErrorDocument;
pub use inference::{Half, InferenceHalf, JoinedInference, RequestId};
pub use outcome::{Outcome, OutcomeKind};
pub use profile::{FeatureCounts, MAX_CATEGORIES, OTHER_CATEGORIES, pseudo};
pub use signal::{SILENCE_FORGOTTEN_SECONDS, Signal, SignalState, names};
pub use telemetry::{
    Attributes, Exemplar, ExponentialHistogram, Gauge, Histogram, LogRecord, MetricPoint, MetricPoints, Resource, Scope, SpanEvent,
    SpanLink, SpanRecord, Sum, Summary,
};
