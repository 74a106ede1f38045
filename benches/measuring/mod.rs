//! What the benches share: the real binary on a temporary folder, loads, peers, limits, figures and their table.
//!
//! A bench is a list of [`Step`]s, one a file. Each starts a product of its own, returns [`figure::Figure`]s and asserts
//! nothing about speed; it fails only where the product did not do its work. The table goes to standard output, the same
//! as JSON to `target/bench/NAME.json`, progress to standard error.
// Each bench uses its part of this.
#![allow(dead_code)]

pub mod disk;
pub mod engine;
pub mod figure;
pub mod load;
pub mod machine;
pub mod process;
pub mod python;
pub mod quantile;
pub mod report;
pub mod requests;
pub mod rotel;
pub mod rows;
pub mod settings;
pub mod wait;

#[path = "../../src/demo/census.rs"]
pub mod census;
#[path = "../../tests/it/support/mod.rs"]
pub mod support;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;

use futures_util::FutureExt;

use figure::Scene;
use machine::Machine;
use settings::Settings;

/// A scene while it is measured.
pub type Measuring = Pin<Box<dyn Future<Output = Scene>>>;

/// A scene's name and how it is measured.
pub type Step = (&'static str, fn(Settings) -> Measuring);

/// Measures the scenes that were asked for and writes the report of the bench of this name.
pub async fn run(name: &str, steps: &[Step]) -> ExitCode {
    if !support::product::engine_is_there() {
        return ExitCode::FAILURE;
    }
    let settings = Settings::read();
    let is_known = |asked: &String| steps.iter().any(|(name, _)| name == asked);
    if let Some(unknown) = settings.scenes.iter().find(|asked| !is_known(asked)) {
        let known: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no scene {unknown:?}; there are {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let machine = Machine::read();
    let mut scenes = Vec::new();
    for (name, measure) in steps.iter().filter(|(name, _)| settings.asks_for(name)) {
        eprintln!("── {name}");
        // A scene that fails takes none of the others' figures with it; why it failed is on standard error.
        let measured = AssertUnwindSafe(measure(settings.clone())).catch_unwind().await;
        scenes.push(measured.unwrap_or_else(|_| Scene::failed(name)));
    }
    report::write(name, &settings, &machine, &scenes);
    match scenes.iter().any(|scene| scene.failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
