//! The embedded engine: ClickHouse as a library, in a child process of its own.
//!
//! [`Supervisor`] starts `driftlead engine`, watches it and starts it again; [`child::run`] is that process:
//! it loads the library ([`library`], the only module with `unsafe`) and serves the part of ClickHouse's
//! HTTP interface that clients use ([`server`]), so that the rest of the product cannot tell the engine from
//! a server. It is a process of its own because the library can crash, and takes nothing with it then.
//!
//! A request's way: [`server`] (password, bounds) → [`request`] (URL, form, compression) → [`statement`]
//! (insert or not) → [`execute`] (a connection, its settings, one statement) → pieces → [`format`],
//! [`compression`] → the socket. Errors have ClickHouse's codes and texts ([`exception`]).

pub mod child;
mod compression;
mod exception;
mod execute;
mod format;
mod library;
mod request;
pub mod server;
mod statement;
mod supervisor;

use std::path::{Path, PathBuf};

pub use exception::{Exception, code_in};
pub use library::LibraryError;
pub use supervisor::{EngineConfig, EngineError, EngineState, EngineStatus, Supervisor};

/// Environment variable that names the library's file.
pub const LIBRARY_VARIABLE: &str = "DRIFTLEAD_ENGINE__LIBRARY";
/// Environment variable with the password of an engine that stands alone.
pub const PASSWORD_VARIABLE: &str = "DRIFTLEAD_ENGINE__PASSWORD";

/// The least memory that the engine gets, and the most that it takes by default.
const MEMORY_RANGE: std::ops::RangeInclusive<u64> = (1 << 30)..=(8 << 30);

/// Where the library lies: `configured`, else the environment, else `libchdb.so` beside the executable,
/// else in the folder `engine` next to the executable's own.
///
/// # Errors
/// Nothing is there; the error names the command that fetches the library.
pub fn find_library(configured: Option<&Path>, executable: &Path) -> Result<PathBuf, LibraryError> {
    let named = configured
        .map(Path::to_path_buf)
        .or_else(|| std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from));
    let folder = executable.parent().unwrap_or(Path::new("."));
    let candidates = match named {
        Some(path) => vec![path],
        None => vec![folder.join("libchdb.so"), folder.join("../engine/libchdb.so")],
    };
    let missing = || LibraryError::Load {
        path: candidates.last().cloned().unwrap_or_default(),
        reason: "there is no such file".to_owned(),
    };
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(missing)
}

/// The default bound of the engine's memory: a third of the machine's, between 1 and 8 GiB.
pub fn default_memory_bytes() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let third = total.unwrap_or(0) * 1024 / 3;
    third.clamp(*MEMORY_RANGE.start(), *MEMORY_RANGE.end())
}
