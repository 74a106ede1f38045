//! `driftlead engine`: the embedded ClickHouse engine, a child process of `driftlead serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use driftlead_store::clickhouse::engine::child::{self, ChildConfig};
use driftlead_store::clickhouse::engine::{LIBRARY_VARIABLE, PASSWORD_VARIABLE, default_memory_bytes, find_library};
use tokio_util::sync::CancellationToken;

/// Arguments of `driftlead engine`.
#[derive(Debug, clap::Args)]
pub struct EngineArguments {
    /// Folder of the data.
    #[arg(long)]
    directory: PathBuf,
    /// File of the library; else the usual places.
    #[arg(long, env = LIBRARY_VARIABLE)]
    library: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Bound of the engine's memory.
    #[arg(long)]
    memory_bytes: Option<u64>,
    /// Run without a parent: the password comes from DRIFTLEAD_ENGINE__PASSWORD, and Ctrl-C or SIGTERM ends it.
    #[arg(long)]
    standalone: bool,
}

/// Runs the engine until its parent or a signal ends it.
///
/// # Errors
/// The library is missing, the directory is held by another engine, or the address is taken.
pub async fn run(arguments: EngineArguments) -> anyhow::Result<()> {
    let executable = std::env::current_exe().context("where this program lies")?;
    let stop = CancellationToken::new();
    let password = match arguments.standalone {
        true => Some(std::env::var(PASSWORD_VARIABLE).with_context(|| format!("--standalone needs {PASSWORD_VARIABLE}"))?),
        false => None,
    };
    if arguments.standalone {
        tokio::spawn(cancel_on_signal(stop.clone()));
    }
    let config = ChildConfig {
        library: find_library(arguments.library.as_deref(), &executable)?,
        directory: arguments.directory,
        listen: arguments.listen,
        memory_bytes: arguments.memory_bytes.unwrap_or_else(default_memory_bytes),
        password,
    };
    Ok(child::run(config, stop).await?)
}

async fn cancel_on_signal(stop: CancellationToken) {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
    stop.cancel();
}
