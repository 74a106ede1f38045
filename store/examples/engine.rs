//! The engine's process alone, for tests that need the engine but not the whole product:
//! `engine engine --directory DIR --library FILE …` understands what the supervisor passes.

use std::path::PathBuf;

use driftlead_store::clickhouse::engine::child::{self, ChildConfig};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let config = ChildConfig {
        library: value("--library").map(PathBuf::from).unwrap_or_default(),
        directory: value("--directory").map(PathBuf::from).unwrap_or_default(),
        listen: value("--listen")
            .and_then(|address| address.parse().ok())
            .unwrap_or(([127, 0, 0, 1], 0).into()),
        memory_bytes: value("--memory-bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(2 << 30),
        password: None,
    };
    match child::run(config, CancellationToken::new()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
