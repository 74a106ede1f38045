//! The error index by itself: how fast errors are written and found, beside plain tantivy on the same documents and files, and
//! how fast patterns are learnt, beside drain3.
//!
//! ```sh
//! scripts/bench search                                        # all of it
//! DRIFTLEAD_BENCH_RECORDS=5000000 scripts/bench search index   # five million errors; some gigabytes of disk
//! ```
#![allow(clippy::unwrap_used, missing_docs)]

mod clickhouse;
mod errors;
mod index;
mod load;
mod patterns;
mod plain;

#[path = "../measuring/mod.rs"]
mod measuring;

use std::process::ExitCode;

/// The product's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let steps: &[measuring::Step] = &[
        ("index", |settings| Box::pin(index::measure(settings))),
        ("clickhouse", |settings| Box::pin(clickhouse::measure(settings))),
        ("patterns", |settings| Box::pin(patterns::measure(settings))),
        ("load", |settings| Box::pin(load::measure(settings))),
    ];
    measuring::run("search", steps).await
}
