//! What the collector does, beside a peer and the machine's limits of the same run. This process is the load generator;
//! the product and its peers are processes of their own.
//!
//! ```sh
//! scripts/bench collector                                  # all of it, peers included
//! cargo bench --bench collector -- throughput limits       # only these scenes
//! ```
#![allow(clippy::unwrap_used, missing_docs)]

mod backlog;
mod latency;
mod limits;
mod replay;
mod throughput;

#[path = "../measuring/mod.rs"]
mod measuring;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == limits::SINK) {
        limits::run_sink().await;
    }
    let steps: &[measuring::Step] = &[
        ("throughput", |settings| Box::pin(throughput::measure(settings))),
        ("latency", |settings| Box::pin(latency::measure(settings))),
        ("replay", |settings| Box::pin(replay::measure(settings))),
        ("limits", |settings| Box::pin(limits::measure(settings))),
        ("backlog", |settings| Box::pin(backlog::measure(settings))),
    ];
    measuring::run("collector", steps).await
}
