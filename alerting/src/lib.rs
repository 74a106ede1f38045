//! Rules, alerts, the outbox, notifications and actions.
//!
//! The flow: signals come from the analyzer through a channel; [`evaluate`] judges each by the rules that
//! are about it ([`rule`], [`pack`]) and says why an alert changes; [`route`] decides who is told; one
//! transaction writes alerts, transitions, actions ([`action`]) and messages; `outbox` delivers the
//! messages through [`notify`], at least once; the actions' worker follows what was asked for until
//! telemetry or a deployment shows what became of it. [`commands`] is what people do through the API.
//!
//! This crate owns the formats of rule files and of webhook bodies. Deliberately absent: computing signals
//! (the analyzer), SQL (the store), HTTP (the web), and carrying out a rollback or a training, which the
//! user's own systems do.

pub mod action;
mod book;
pub mod catalogue;
pub mod commands;
pub mod config;
mod consequence;
pub mod evaluate;
mod evaluator;
mod looked;
pub mod notify;
mod outbox;
pub mod pack;
pub mod problem;
pub mod route;
pub mod rule;
mod run;
pub mod search_rules;
mod shared;
#[cfg(test)]
mod testing;
mod upkeep;

pub use commands::Commands;
pub use pack::{RuleSet, check};
pub use run::{AlertingError, run};
