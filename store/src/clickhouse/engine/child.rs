//! The engine's own process: `driftlead engine`.
//!
//! It takes its orders as one JSON line on standard input, `{"password": …}`, says where it listens as one
//! JSON line on standard output, `{"address": "127.0.0.1:…", "version": …}`, and ends when standard input
//! ends: with its parent, however that dies. Started with a password of its own it stands alone and ends
//! with the signal that its caller turns into `stop`.

use std::fs::File;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::execute::{Engine, MemoryLimits};
use super::library::{Library, LibraryError, exit_at_once};
use super::server;

/// How long a new engine waits for the one before it to let go of the directory.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The file whose lock says that an engine holds the directory.
const LOCK_FILE: &str = "engine.lock";

/// How the engine's process runs.
#[derive(Debug, Clone)]
pub struct ChildConfig {
    /// The library's file.
    pub library: PathBuf,
    /// The data directory; made when it is not there.
    pub directory: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bound of the engine's memory.
    pub memory_bytes: u64,
    /// The password when the process stands alone; `None`: it comes on standard input.
    pub password: Option<String>,
}

/// What the parent says.
#[derive(Serialize, Deserialize)]
pub struct Orders {
    /// The password that requests must carry.
    pub password: String,
}

/// What the child says once it answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where it listens.
    pub address: SocketAddr,
    /// ClickHouse's version.
    pub version: String,
}

/// Why the engine's process ended.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The library cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The directory cannot be made or locked.
    #[error("the engine's directory {directory}: {source}")]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another engine holds the directory.
    #[error("another engine holds {directory}: stop it first")]
    Locked {
        /// The data directory.
        directory: PathBuf,
    },
    /// The parent did not say what to do.
    #[error("no orders on standard input: `driftlead engine` is started by `driftlead serve`, or with --standalone")]
    Orders,
    /// The socket failed.
    #[error("the engine cannot listen on {address}: {source}")]
    Listen {
        /// Where it should listen.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs the engine until `stop` is cancelled or standard input ends. Does not return after a clean end that
/// left threads of the engine running: the process then ends here, with status 0.
///
/// # Errors
/// Why the engine did not start.
pub async fn run(config: ChildConfig, stop: CancellationToken) -> Result<(), ChildError> {
    let password = match config.password {
        Some(password) => password,
        None => orders(stop.clone()).await?.password,
    };
    let _lock = lock(&config.directory).await?;
    let listen_error = |source| ChildError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let limits = MemoryLimits {
        total_bytes: config.memory_bytes,
    };
    let engine = tokio::task::spawn_blocking(move || {
        let library = Library::load(&config.library)?;
        Engine::boot(library, config.directory, limits).map(Arc::new)
    })
    .await
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;

    report(&Report {
        address,
        version: engine.version().to_owned(),
    });
    let idle = server::serve(listener, Arc::clone(&engine), &password, stop).await;
    let closed = matches!(idle, Ok(true)) && tokio::task::spawn_blocking(move || engine.close()).await.unwrap_or(false);
    if !closed {
        exit_at_once(i32::from(idle.is_err()));
    }
    Ok(())
}

/// Reads the orders and watches for the end of standard input, on a thread that may block for ever.
async fn orders(stop: CancellationToken) -> Result<Orders, ChildError> {
    let (sender, orders) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = String::new();
        let read = input.read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
        let _ = std::io::copy(&mut input, &mut std::io::sink());
        stop.cancel();
    });
    let line = orders.await.map_err(|_| ChildError::Orders)?.map_err(|_| ChildError::Orders)?;
    serde_json::from_str(&line).map_err(|_| ChildError::Orders)
}

fn report(report: &Report) {
    let line = serde_json::to_string(report).expect("an address and a version are JSON");
    let mut output = std::io::stdout().lock();
    // A parent that is gone is noticed by the end of standard input.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Makes the directory and waits until no other engine holds it.
async fn lock(directory: &Path) -> Result<File, ChildError> {
    let failed = |source| ChildError::Directory {
        directory: directory.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let path = directory.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(ChildError::Locked {
                    directory: directory.to_path_buf(),
                });
            }
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL_INTERVAL).await,
        }
    }
}
