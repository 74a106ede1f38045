//! How much is measured: environment and arguments.

/// Seconds of a load: long enough for several segments of the log and thousands of groups.
const DEFAULT_SECONDS: u64 = 15;
/// Errors that are searched; a window of drift holds half as many inferences, a file ten times as many
/// rows, a load at most as many.
const DEFAULT_RECORDS: usize = 100_000;

/// 10 GiB: many times the memory that the product uses.
const DEFAULT_BACKLOG_MIB: u64 = 10 << 10;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seconds of each load: `DRIFTLEAD_BENCH_SECONDS`.
    pub seconds: u64,
    /// Error records of the scene `search`, from which the other sizes follow: `DRIFTLEAD_BENCH_RECORDS`.
    pub records: usize,
    /// MiB of the log that pile up in the scene `backlog`: `DRIFTLEAD_BENCH_BACKLOG_MIB`.
    pub backlog_mib: u64,
    /// The scenes that were asked for; none: all of them.
    pub scenes: Vec<String>,
}

impl Settings {
    /// From the environment and the command line.
    pub fn read() -> Self {
        // Cargo adds `--bench`.
        let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
        Self {
            seconds: number("DRIFTLEAD_BENCH_SECONDS").unwrap_or(DEFAULT_SECONDS).max(1),
            records: number("DRIFTLEAD_BENCH_RECORDS")
                .map_or(DEFAULT_RECORDS, |records| records as usize)
                .max(1),
            backlog_mib: number("DRIFTLEAD_BENCH_BACKLOG_MIB").unwrap_or(DEFAULT_BACKLOG_MIB).max(1),
            scenes: asked,
        }
    }

    /// Whether a scene is to be measured.
    pub fn asks_for(&self, scene: &str) -> bool {
        self.scenes.is_empty() || self.scenes.iter().any(|asked| asked == scene)
    }

    /// Rows of either side of a drift window.
    pub fn window_rows(&self) -> usize {
        self.records / 2
    }

    /// Rows of either file that is compared.
    pub fn file_rows(&self) -> usize {
        self.records * 10
    }

    /// Inferences that a load may send at most.
    pub fn load_records(&self) -> usize {
        self.records * 10
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no whole number")))
}
