//! The machine that was measured on.

use std::fs;

use driftlead_store::clock::Clock;
use serde::Serialize;

/// The machine, when, and what was measured.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Start of the run, RFC 3339.
    pub measured_at: String,
    /// Version of Driftlead.
    pub version: &'static str,
    /// Commit, where Git tells it; with `-dirty` when files differ from it.
    pub commit: Option<String>,
    /// `release` or `debug`.
    pub build: &'static str,
    /// Name of the processor.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// Kernel.
    pub kernel: String,
    /// File system of the data folders.
    pub file_system: String,
    /// Load average of the minute before: what else ran.
    pub load_before: String,
}

impl Machine {
    /// As it is now.
    pub fn read() -> Self {
        let line_of = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            value.trim_start_matches([' ', '\t', ':']).trim().to_owned()
        };
        let kibibytes: f64 = line_of("/proc/meminfo", "MemTotal")
            .trim_end_matches("kB")
            .trim()
            .parse()
            .unwrap_or(0.0);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            measured_at: Clock::System.now().floor_to(1).to_string(),
            version: env!("CARGO_PKG_VERSION"),
            commit: said_by("git", &["describe", "--always", "--dirty"]),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            processor: line_of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kibibytes / (1024.0 * 1024.0),
            kernel: said_by("uname", &["-sr"]).unwrap_or_default(),
            file_system: said_by("stat", &["-f", "-c", "%T", &std::env::temp_dir().display().to_string()]).unwrap_or_default(),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
