//! Where and when a pattern was met, and what of it is new.

use super::{PatternId, Template};
use crate::clock::UnixNanos;
use crate::records::ErrorDocument;

/// A pattern in one version of a service or model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternSighting {
    /// The pattern.
    pub pattern: PatternId,
    /// The service, or empty.
    pub service: String,
    /// The model, or empty.
    pub model: String,
    /// The model's version, else the service's, or empty.
    pub version: String,
    /// The environment, or empty.
    pub environment: String,
    /// Event time of its first error there.
    pub first_event_time: UnixNanos,
    /// Event time of its last error there, late by an hour at most.
    pub last_event_time: UnixNanos,
}

impl PatternSighting {
    /// The sighting that one error is.
    pub fn of(pattern: PatternId, error: &ErrorDocument) -> Self {
        Self {
            pattern,
            service: error.service.clone(),
            model: error.model.clone(),
            version: error.version.clone(),
            environment: error.environment.clone(),
            first_event_time: error.time,
            last_event_time: error.time,
        }
    }
}

/// A pattern with its template as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearntPattern {
    /// The pattern.
    pub id: PatternId,
    /// Its template.
    pub template: Template,
}

/// All that is kept of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownPatterns {
    /// In the order in which they were learnt.
    pub patterns: Vec<LearntPattern>,
    /// In no order.
    pub sightings: Vec<PatternSighting>,
}

/// What has to be kept since the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatternNews {
    /// New patterns and those whose template has widened, in the order in which they were met.
    pub patterns: Vec<LearntPattern>,
    /// Sightings that are new, or earlier or later than what is kept of them.
    pub sightings: Vec<PatternSighting>,
    /// Sightings whose last error is older make room.
    pub forget_before: Option<UnixNanos>,
}

impl PatternNews {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.sightings.is_empty() && self.forget_before.is_none()
    }
}
