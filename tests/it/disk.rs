//! A disk that cannot be written when the product starts.

use std::path::Path;
use std::process::Command;

use crate::support::disk::SmallDisk;
use crate::support::product::FREE_PORTS;

#[test]
fn a_read_only_disk_is_named_before_anything_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let Some(disk) = SmallDisk::mount(&data, 16) else { return };
    disk.make_read_only();
    let configuration = folder.path().join("driftlead.toml");
    std::fs::write(&configuration, FREE_PORTS).unwrap();
    let ready = folder.path().join("ready.json");
    let output = Command::new(env!("CARGO_BIN_EXE_driftlead"))
        .arg("serve")
        .args([Path::new("--config"), &configuration])
        .args([Path::new("--data"), &data])
        .args([Path::new("--ready-file"), &ready])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{error}");
    assert!(
        error.contains(&data.display().to_string()) && error.contains("Read-only file system"),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
    assert!(!ready.exists());
}
