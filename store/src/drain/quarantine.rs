//! Frames that ClickHouse refuses, set aside as files so that they block nothing and are not lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::durable_file;
use crate::wal::Frame;

/// Most bytes set aside. Past it something is wrong that is not in the data, and the drain waits instead.
pub(super) const MAX_QUARANTINE_BYTES: u64 = 1 << 30;
const EXTENSION: &str = "frame";

/// The folder of frames that were set aside: for each a line of JSON that says what it is and why, then the
/// payload.
#[derive(Debug)]
pub(super) struct Quarantine {
    directory: PathBuf,
}

impl Quarantine {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// The file system refused.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        durable_file::sync_parent(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// Sets a frame aside, durably. Doing so again changes nothing.
    ///
    /// # Errors
    /// The file system refused, or the folder is full.
    pub fn add(&self, frame: &Frame, unit: &str, reason: &str) -> io::Result<()> {
        let unit_name = unit.replace('/', "-");
        let name = format!(
            "{:020}-{:012}-{unit_name}.{EXTENSION}",
            frame.position.segment, frame.position.offset
        );
        let path = self.directory.join(name);
        if path.exists() {
            return Ok(());
        }
        if self.bytes()? + frame.payload.len() as u64 > MAX_QUARANTINE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "the quarantine is full: look at its files and remove them",
            ));
        }
        let description = json!({
            "segment": frame.position.segment,
            "offset": frame.position.offset,
            "kind": format!("{:?}", frame.kind),
            "received_time": frame.received_time,
            "key_id": frame.key_id,
            "rows": unit,
            "reason": reason,
        });
        let mut content = description.to_string().into_bytes();
        content.push(b'\n');
        content.extend_from_slice(&frame.payload);
        durable_file::replace(&path, &content)
    }

    /// Bytes set aside.
    ///
    /// # Errors
    /// The file system refused.
    pub fn bytes(&self) -> io::Result<u64> {
        fs::read_dir(&self.directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
    }
}
