//! The figures of README.md: the real binary on a temporary folder, measured beside a peer or a limit in the same run.
//!
//! ```sh
//! scripts/bench                                   # everything, peers included
//! cargo bench --bench product -- drift search     # only these scenes
//! ```
//!
//! One scene a file: [`ingest`], [`freshness`], [`drift`], [`search`], [`memory`]. Each starts a product of its own,
//! returns [`figure::Figure`]s and asserts nothing about speed; it fails only where the product did not do its work.
//! The table goes to standard output, the same as JSON to `target/bench/product.json`, progress to standard error.
#![allow(clippy::unwrap_used, missing_docs)]

mod disk;
mod drift;
mod engine;
mod figure;
mod freshness;
mod ingest;
mod load;
mod machine;
mod memory;
mod process;
mod python;
mod quantile;
mod report;
mod requests;
mod rotel;
mod rows;
mod search;
mod settings;
mod wait;

#[allow(dead_code)]
#[path = "../../src/demo/census.rs"]
mod census;
#[allow(dead_code)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;

use futures_util::FutureExt;

use figure::Scene;
use machine::Machine;
use settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    if !support::product::engine_is_there() {
        return ExitCode::FAILURE;
    }
    let settings = Settings::read();
    let machine = Machine::read();
    let mut scenes = Vec::new();
    for scene in &settings.scenes {
        eprintln!("── {scene}");
        let measured: Pin<Box<dyn Future<Output = Scene>>> = match scene.as_str() {
            "ingest" => Box::pin(ingest::measure(settings.clone())),
            "freshness" => Box::pin(freshness::measure()),
            "drift" => Box::pin(drift::measure(settings.clone())),
            "search" => Box::pin(search::measure(settings.clone())),
            "memory" => Box::pin(memory::measure(settings.clone())),
            unknown => {
                eprintln!("there is no scene {unknown:?}; there are {}", settings::SCENES.join(", "));
                return ExitCode::FAILURE;
            }
        };
        // A scene that fails takes none of the others' figures with it; why it failed is on standard error.
        let measured = AssertUnwindSafe(measured).catch_unwind().await;
        scenes.push(measured.unwrap_or_else(|_| Scene::failed(scene)));
    }
    report::write(&settings, &machine, &scenes);
    match scenes.iter().any(|scene| scene.failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
