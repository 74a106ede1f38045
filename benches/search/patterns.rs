//! Learning patterns, beside drain3 on the same messages.

use std::process::Command;
use std::time::Instant;

use driftlead_store::clock::UnixNanos;
use driftlead_store::patterns::{Keep, KnownPatterns, Learner, MinerLimits, PatternNews};
use driftlead_store::state::StateError;

use crate::errors::Errors;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::python::packages;
use crate::measuring::settings::Settings;

/// Messages: enough for drain3 to run for some seconds.
const MESSAGES: usize = 100_000;

struct KeepNothing;

impl Keep for KeepNothing {
    fn keep(&mut self, _news: &PatternNews) -> Result<(), StateError> {
        Ok(())
    }
}

/// Measures.
pub async fn measure(_settings: Settings) -> Scene {
    let mut scene = Scene::new("patterns");
    let mut errors = Errors::new(UnixNanos::default(), 1).take(MESSAGES);
    errors.iter_mut().for_each(|error| error.stack.clear());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.txt");
    let lines: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let mut learner = Learner::new(KnownPatterns::default(), MinerLimits::default(), Box::new(KeepNothing));
    let began = Instant::now();
    errors.iter_mut().for_each(|error| learner.take(error));
    let ours = MESSAGES as f64 / began.elapsed().as_secs_f64();
    let peer = drain3(&path);
    scene.add(Figure::new("messages given a pattern, one thread", ours, "messages/s").beside("drain3", peer));
    if peer.is_none() {
        scene.note("drain3 is not there: `scripts/bench search` installs it");
    }
    scene
}

/// Messages per second of drain3 with the masks of its own example.
fn drain3(messages: &std::path::Path) -> Option<f64> {
    let output = Command::new("python3")
        .env("PYTHONPATH", packages("drain3"))
        .args(["benches/peer_patterns.py".as_ref(), messages.as_os_str()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
