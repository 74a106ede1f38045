//! Every query that reads from or maintains ClickHouse, one file per noun.

pub mod buckets;
pub mod duplicates;
pub mod experiments;
pub mod generations;
pub mod hardware;
pub mod inferences;
pub mod labelled_scores;
pub mod live;
mod minutes;
pub mod positive;
mod profile_sources;
pub mod profiles;
pub mod quality;
pub mod raw;
pub mod records;
pub mod references;
pub mod rollups;
pub mod samples;
pub mod segments;
pub mod series;
pub mod serving;
pub mod signals;
pub mod traces;
pub mod upkeep;

/// Where senders of raw telemetry state the environment.
const RESOURCE_ENVIRONMENT: &str =
    "coalesce(nullIf(ResourceAttributes['deployment.environment.name'], ''), ResourceAttributes['deployment.environment'])";
