//! Python packages that `scripts/bench` installed, each set in a folder of its own below `target/bench-python`.

use std::path::PathBuf;

use super::support::product::target_folder;

/// The folder of one set.
pub fn packages(set: &str) -> PathBuf {
    target_folder().join("bench-python").join(set)
}
