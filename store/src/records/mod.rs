//! The domain: what telemetry becomes once it is decoded, in the order in which data meets it.

mod decoded;
mod embeddings;
mod error_document;
mod inference;
mod outcome;
pub mod outcome_line;
mod profile;
mod request_id;
mod signal;
mod telemetry;
mod watched_search;

/// Longest name in bytes: of models, versions, environments, services, features, attributes, ids and labels.
pub const MAX_NAME_BYTES: usize = 256;

pub use decoded::{Decoded, SetAside};
pub use embeddings::{Directions, EmbeddingKind, Embeddings};
pub use error_document::{AllAttributes, ErrorDocument, FoundErrors};
pub use inference::{Half, InferenceHalf, JoinedInference};
pub use outcome::{Outcome, OutcomeKind};
pub use profile::{DecidedScores, FeatureCounts, MAX_CATEGORIES, OTHER_CATEGORIES, pseudo};
pub use request_id::{RequestId, bounded_request_id};
pub use signal::{SILENCE_FORGOTTEN_SECONDS, Signal, SignalState, names};
pub use telemetry::{
    Attributes, Exemplar, ExponentialHistogram, Gauge, Histogram, LogRecord, MetricPoint, MetricPoints, Resource, Scope, SpanEvent,
    SpanLink, SpanRecord, Sum, Summary,
};
pub use watched_search::WatchedSearch;
