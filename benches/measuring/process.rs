//! What a process has used, as `/proc` tells it.

use std::fs;

/// Ticks of a second in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that Linux gives programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of CPU, in user and kernel mode, of all threads of a process since it started.
///
/// # Panics
/// There is no such process.
pub fn cpu_seconds(process_id: u32) -> f64 {
    cpu_seconds_of(&format!("/proc/{process_id}/stat"))
}

/// The same of this thread alone.
pub fn thread_cpu_seconds() -> f64 {
    cpu_seconds_of("/proc/thread-self/stat")
}

fn cpu_seconds_of(path: &str) -> f64 {
    let stat = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The name before the bracket may hold anything; after it come state (3rd field) …, utime (14th), stime (15th).
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name in brackets") + 1..]
        .split_whitespace()
        .collect();
    let ticks = |field: usize| fields[field - 3].parse::<f64>().expect("a number of ticks");
    (ticks(14) + ticks(15)) / TICKS_PER_SECOND
}

/// Memory of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: f64,
    /// Resident at the most so far.
    pub peak: f64,
}

/// Memory of a process.
///
/// # Panics
/// There is no such process.
pub fn memory(process_id: u32) -> Memory {
    let path = format!("/proc/{process_id}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
        let kibibytes = line.trim_end_matches("kB").trim().parse::<f64>().expect("a number of kB");
        kibibytes / 1024.0
    };
    Memory {
        resident: mebibytes("VmRSS:"),
        peak: mebibytes("VmHWM:"),
    }
}

/// Children of this process whose command line holds the argument.
pub fn children_with(argument: &str) -> Vec<u32> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids = children.flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    ids.filter(|id| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())
    })
    .filter_map(|id| id.parse().ok())
    .collect()
}
