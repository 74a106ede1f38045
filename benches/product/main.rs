//! The figures of README.md that are not the collector's: how fresh signals are, drift and search beside peers, memory.
//!
//! ```sh
//! scripts/bench product                           # all of them, peers included
//! cargo bench --bench product -- drift search     # only these scenes
//! ```
#![allow(clippy::unwrap_used, missing_docs)]

mod drift;
mod files;
mod freshness;
mod memory;
mod search;
mod upkeep;
mod windows;

#[path = "../measuring/mod.rs"]
mod measuring;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let steps: &[measuring::Step] = &[
        ("freshness", |_| Box::pin(freshness::measure())),
        ("drift", |settings| Box::pin(drift::measure(settings))),
        ("files", |settings| Box::pin(files::measure(settings))),
        ("search", |settings| Box::pin(search::measure(settings))),
        ("windows", |_| Box::pin(windows::measure())),
        ("upkeep", |settings| Box::pin(upkeep::measure(settings))),
        ("memory", |settings| Box::pin(memory::measure(settings))),
    ];
    measuring::run("product", steps).await
}
