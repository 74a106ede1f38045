//! Windows, profiles, statistics, signals, control replays and the gate.
//!
//! The flow: the drain marks minutes as dirty; [`run`] computes their buckets and profiles in ClickHouse
//! ([`upkeep`]), compares windows of profiles with what applies to the version ([`reference`], [`drift`],
//! [`stats`]), and emits signals ([`detect`]) into ClickHouse and to alerting. [`control`] replays control
//! examples and judges versions by them. All statistics are pure functions of counts. Deliberately absent:
//! thresholds and alerts, which are alerting's, and SQL, which is the store's.

mod blocking;
pub mod borne_out;
pub mod budget;
pub mod clusters;
mod context;
pub mod control;
pub mod data_check;
mod detect;
pub mod drift;
pub mod embedding_drift;
pub mod embedding_map;
mod error;
pub mod explanation;
mod failures;
pub mod file_drift;
pub mod models;
mod parallel;
pub mod profile;
pub mod reference;
mod report;
pub mod rows;
mod run;
mod sampling;
mod seed;
mod statistics;
pub mod stats;
mod upkeep;
pub mod window;

pub use context::{AnalyzerConfig, DEFAULT_FALSE_ALERTS_PER_MONTH, DEFAULT_MAX_SEGMENTS, WatchedSearches};
pub use error::AnalyzerError;
pub use reference::References;
pub use report::{DriftReport, DriftRequest, EmbeddingReport, FeatureReport, drift_between};
pub use run::run;
pub use statistics::{Measured, Statistics, Tested};
