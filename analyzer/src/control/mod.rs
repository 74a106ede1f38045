//! Control sets, replays and the gate: is a version good enough to serve?
//!
//! Requests come as functions ([`announce_deployment`], [`upload_set`], [`request_replay`]) that only write the
//! state, so they hold through a crash and need no engine. The worker ([`run`]) does the rest: it notices versions
//! that telemetry names first, fixes each release's baseline, queues the replays that a release or a new set
//! calls for, runs them with candle off the async threads, judges them with the pure [`gate`], and publishes
//! the verdict as signals. Each step is one transaction that finds its work in the state again, so a restart at
//! any point repeats a step instead of losing it.
//!
//! Deliberately absent: rolling back. That is for rules to decide and alerting to do.

mod binomial;
mod commands;
pub mod gate;
mod judging;
pub mod mcnemar;
pub mod metrics;
mod plan;
mod publish;
pub mod replay;
mod runner;
pub mod set;
mod sightings;
mod worker;

pub use commands::{
    ControlError, ReplayReport, Uploaded, add_example, announce_deployment, current_set, replay_report, request_replay, upload_set, verdict,
};
pub use worker::{ControlConfig, run};
