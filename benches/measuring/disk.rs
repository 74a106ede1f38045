//! The limit of anything durable: bytes appended to a file, one `fdatasync` a group.

use std::io::Write;
use std::time::{Duration, Instant};

use super::load::CONNECTIONS;
use super::process::thread_cpu_seconds;
use super::requests::Requests;

/// Past this many bytes the file starts again: a disk's cache must not be what is measured, nor the disk be filled.
const FILE_BYTES: u64 = 256 << 20;

/// What the disk takes.
#[derive(Debug)]
pub struct Disk {
    /// Records of these requests in a second.
    pub records_per_second: f64,
    /// Records that were written.
    pub records: f64,
    /// Seconds of this thread's CPU that it took.
    pub cpu_seconds: f64,
    /// Milliseconds of each group: one write, one `fdatasync`.
    pub milliseconds: Vec<f64>,
}

/// Appends groups of as many uncompressed requests as there are connections, on the file system that the product's
/// temporary folders are on.
pub fn measure(requests: &Requests, seconds: u64) -> Disk {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = std::fs::File::create(folder.path().join("log")).expect("a file");
    let group = vec![0x5a; requests.plain_bytes * CONNECTIONS];
    let cpu_before = thread_cpu_seconds();
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let (mut milliseconds, mut written) = (Vec::new(), 0);
    while Instant::now() < until {
        let group_began = Instant::now();
        file.write_all(&group).expect("the disk takes a group");
        file.sync_data().expect("the disk keeps a group");
        milliseconds.push(group_began.elapsed().as_secs_f64() * 1e3);
        written += group.len() as u64;
        if written >= FILE_BYTES {
            file = std::fs::File::create(folder.path().join("log")).expect("a file");
            written = 0;
        }
    }
    let records = milliseconds.len() * CONNECTIONS * requests.shape.records;
    Disk {
        records_per_second: records as f64 / began.elapsed().as_secs_f64(),
        records: records as f64,
        cpu_seconds: thread_cpu_seconds() - cpu_before,
        milliseconds,
    }
}
