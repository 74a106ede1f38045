//! Integration tests: the real binary as a user runs it, one module a property.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

mod bad_input;
mod blocks;
mod chaos;
mod check_data;
mod clusters;
mod disk;
mod elasticsearch;
mod embedding_profiles;
mod embedding_simulation;
mod embeddings;
mod engine_by_url;
mod errors;
mod examples;
mod experiments;
mod explanation;
mod hardware;
mod hostile;
mod inserts;
mod oracle;
mod own_telemetry;
mod pipeline;
mod quality;
mod records;
mod rollups;
mod search_limits;
mod search_rules;
mod segments;
mod shift_census;
mod shift_simulation;
mod stock_exporters;
mod stop;
mod texts;
