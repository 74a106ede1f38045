//! A small disk of its own, for what happens when one is full or cannot be written.

use std::path::Path;
use std::process::Command;

/// A file system in memory, unmounted at the end.
pub struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts one of so many MiB at a folder, which is made. `None`, said loudly, where this process may not mount.
    pub fn mount(folder: &'a Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: a disk that fills or cannot be written: this process may not mount one");
        }
        mounted.then_some(Self(folder))
    }

    /// From now on nothing can be written.
    ///
    /// # Panics
    /// A file on it is open for writing.
    pub fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "the disk cannot be made read-only");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).output();
    }
}
