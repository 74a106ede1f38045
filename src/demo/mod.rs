//! The demo: the real server, and around it, over the wire, everything that a model in production has around it.

pub mod api;
pub mod census;
pub mod exporter;
pub mod server;
pub mod smtp_sink;
pub mod systems;
pub mod telemetry;
