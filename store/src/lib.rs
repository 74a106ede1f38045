//! Everything durable: the log, the drain, ClickHouse, the error index and the state.
//!
//! The flow: the collector appends admitted requests to the log ([`wal`]); the drain ([`drain`])
//! reads them back, decodes them with the [`drain::Decode`] that the root injects, and inserts
//! batches into ClickHouse ([`clickhouse`]); the index consumer ([`index`]) reads the same log and
//! keeps the errors searchable. What is decided (deployments, alerts, actions, the outbox) lives in
//! SQLite ([`state`]), one transaction per decision.
//!
//! Domain types are in [`records`]; rows of tables and wire types are separate and converted by pure
//! functions. All SQL of the product lives in this crate. Deliberately absent: OTLP (the collector
//! owns it) and every judgement about models (the analyzer and alerting own those).

pub mod bucket;
pub mod clickhouse;
pub mod clock;
pub mod clusters;
pub mod drain;
mod durable_file;
pub mod embedding;
pub mod ids;
pub mod index;
pub mod label_delays;
pub mod model_settings;
pub mod patterns;
pub mod records;
pub mod state;
pub mod upkeep;
pub mod wal;
