//! Windows, profiles, statistics, signals, control replays and the gate.

pub mod control;
pub mod models;
pub mod stats;
