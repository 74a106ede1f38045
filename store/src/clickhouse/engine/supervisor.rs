//! Starts the engine's process, watches it, starts it again when it dies, and stops it.
//!
//! The [`ClickHouse`] handle is there at once and stays the same: it finds the engine's present address
//! itself, and while there is none, requests fail with a network error, which callers retry.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::child::{LOCK_PATIENCE, Orders, Report};
use super::library::LibraryError;
use super::server::PROBE_PATH;
use super::{default_memory_bytes, find_library};
use crate::clickhouse::ClickHouse;

/// The engine answers within 2 s of its start where the machine is idle; with years of parts on a slow disk it reads
/// their heads first, and whoever gives it up too early begins again for ever.
const BOOT_PATIENCE: Duration = Duration::from_secs(300);
/// It may first wait for the engine before it to let go of the directory.
const START_PATIENCE: Duration = LOCK_PATIENCE.saturating_add(BOOT_PATIENCE);
/// The first restart comes at once, for what kills an engine is rare; later ones wait twice as long each.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);
/// An engine that ran this long was well: the next restart is a first one again.
const WELL_AFTER: Duration = Duration::from_secs(60);
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);
/// The probe is a query that waits for no other; a loaded machine may still take seconds for it.
const HEALTH_PATIENCE: Duration = Duration::from_secs(20);
/// An engine that does not answer so many times in a row hangs, and is killed.
const HEALTH_MISSES: u32 = 3;
/// Longer than the child's own time to end its requests.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// A line of the engine's standard error is cut here before it is logged.
const LOGGED_LINE_BYTES: usize = 2_000;
const PASSWORD_CHARACTERS: usize = 32;

/// What the supervisor needs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The library's file; `None` looks in the usual places ([`find_library`]).
    pub library: Option<PathBuf>,
    /// The data directory.
    pub directory: PathBuf,
    /// The executable that knows the subcommand `engine`.
    pub executable: PathBuf,
    /// Bound of the engine's memory; `None` takes [`default_memory_bytes`].
    pub memory_bytes: Option<u64>,
}

impl EngineConfig {
    /// Defaults for everything but the directory and the executable.
    pub fn new(directory: impl Into<PathBuf>, executable: impl Into<PathBuf>) -> Self {
        Self {
            library: None,
            directory: directory.into(),
            executable: executable.into(),
            memory_bytes: None,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The library is missing.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The process did not start or did not say where it listens.
    #[error("the engine did not start: {0}")]
    Start(String),
}

/// Where the engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    /// Its process comes up.
    Starting,
    /// It answers.
    Running,
    /// It died and waits to be started again.
    BackingOff,
    /// It was stopped.
    Stopped,
}

/// What is known of the engine now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    /// Where it is in its life.
    pub state: EngineState,
    /// How often it was started again.
    pub restarts: u64,
    /// Its process, while there is one.
    pub process_id: Option<u32>,
    /// ClickHouse's version, once known.
    pub version: Option<String>,
    /// Why it is not running, when it is not.
    pub last_error: Option<String>,
}

/// The engine's keeper.
pub struct Supervisor {
    clickhouse: ClickHouse,
    status: watch::Receiver<EngineStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts the engine and returns at once; must be called within a tokio runtime.
    ///
    /// # Errors
    /// The library is nowhere: the error names the command that fetches it.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let library = find_library(config.library.as_deref(), &config.executable)?;
        let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_CHARACTERS);
        let (address_sender, address) = watch::channel(None);
        let (status_sender, status) = watch::channel(EngineStatus {
            state: EngineState::Starting,
            restarts: 0,
            process_id: None,
            version: None,
            last_error: None,
        });
        let stop = CancellationToken::new();
        let clickhouse = ClickHouse::embedded(address, &password);
        let keeper = Keeper {
            config,
            library,
            password,
            address: address_sender,
            status: status_sender,
            stop: stop.clone(),
        };
        let task = tokio::spawn(keeper.run());
        Ok(Self {
            clickhouse,
            status,
            stop,
            task,
        })
    }

    /// The handle to the database, the same across restarts.
    pub fn clickhouse(&self) -> ClickHouse {
        self.clickhouse.clone()
    }

    /// What is known of the engine now.
    pub fn status(&self) -> EngineStatus {
        self.status.borrow().clone()
    }

    /// Follows the status.
    pub fn watch(&self) -> watch::Receiver<EngineStatus> {
        self.status.clone()
    }

    /// Waits until the engine answers.
    ///
    /// # Errors
    /// It did not within `patience`; says why.
    pub async fn ready(&self, patience: Duration) -> Result<(), EngineError> {
        let mut status = self.status.clone();
        let running = timeout(patience, status.wait_for(|status| status.state == EngineState::Running)).await;
        match running {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let why = self.status.borrow().last_error.clone();
                Err(EngineError::Start(why.unwrap_or_else(|| format!("no answer within {patience:?}"))))
            }
        }
    }

    /// Lets running requests end, closes the engine and waits for its process.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the engine's keeper ended badly");
        }
    }
}

/// The task behind a [`Supervisor`].
struct Keeper {
    config: EngineConfig,
    library: PathBuf,
    password: String,
    address: watch::Sender<Option<SocketAddr>>,
    status: watch::Sender<EngineStatus>,
    stop: CancellationToken,
}

/// A child that answers. Dropping `input` tells it to end.
struct Running {
    process: Child,
    input: ChildStdin,
    report: Report,
}

impl Keeper {
    async fn run(self) {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            let started = Instant::now();
            let why = match self.start().await {
                Ok(running) => match self.watch(running).await {
                    Some(why) => why,
                    None => break,
                },
                Err(why) => why,
            };
            if self.stop.is_cancelled() {
                break;
            }
            if started.elapsed() >= WELL_AFTER {
                back_off = FIRST_BACK_OFF;
            }
            tracing::warn!(why, ?back_off, "the engine is down and will be started again");
            self.status.send_modify(|status| {
                status.state = EngineState::BackingOff;
                status.process_id = None;
                status.last_error = Some(why);
            });
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(back_off) => {}
            }
            back_off = (back_off * 2).min(LONGEST_BACK_OFF);
            self.status.send_modify(|status| {
                status.state = EngineState::Starting;
                status.restarts += 1;
            });
        }
        self.status.send_modify(|status| {
            status.state = EngineState::Stopped;
            status.process_id = None;
        });
    }

    /// Starts a child and waits for its address.
    async fn start(&self) -> Result<Running, String> {
        let memory_bytes = self.config.memory_bytes.unwrap_or_else(default_memory_bytes);
        let mut process = Command::new(&self.config.executable)
            .arg("engine")
            .arg("--directory")
            .arg(&self.config.directory)
            .arg("--library")
            .arg(&self.library)
            .args(["--listen", "127.0.0.1:0"])
            .args(["--memory-bytes", &memory_bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C in the terminal is for the parent, which stops the engine in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.config.executable.display()))?;
        self.status.send_modify(|status| status.process_id = process.id());
        let mut input = process.stdin.take().expect("standard input is piped");
        let output = process.stdout.take().expect("standard output is piped");
        let errors = process.stderr.take().expect("standard error is piped");
        let complaints = tokio::spawn(relay(errors));

        let orders = serde_json::to_string(&Orders {
            password: self.password.clone(),
        })
        .expect("a string is JSON");
        let reported = async {
            input.write_all(orders.as_bytes()).await?;
            input.write_all(b"\n").await?;
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).await?;
            serde_json::from_str::<Report>(&line).map_err(std::io::Error::other)
        };
        let reported = tokio::select! {
            reported = timeout(START_PATIENCE, reported) => reported,
            () = self.stop.cancelled() => Ok(Err(std::io::Error::other("stopped"))),
        };
        match reported {
            Ok(Ok(report)) => Ok(Running { process, input, report }),
            late_or_failed => {
                let _ = process.start_kill();
                let status = process.wait().await.map(|status| status.to_string()).unwrap_or_default();
                let complaint = complaints.await.ok().flatten();
                let reason = match late_or_failed {
                    Err(_) => format!("it did not answer within {START_PATIENCE:?}"),
                    Ok(_) => status,
                };
                Err(complaint.unwrap_or(reason))
            }
        }
    }

    /// Watches a running child until it dies (why) or is stopped (`None`).
    async fn watch(&self, mut running: Running) -> Option<String> {
        tracing::info!(address = %running.report.address, version = running.report.version, "the engine answers");
        self.status.send_modify(|status| {
            status.state = EngineState::Running;
            status.version = Some(running.report.version.clone());
            status.last_error = None;
        });
        self.address.send_replace(Some(running.report.address));
        let why = tokio::select! {
            status = running.process.wait() => Some(match status {
                Ok(status) => format!("its process ended: {status}"),
                Err(error) => format!("its process is lost: {error}"),
            }),
            () = until_unhealthy(running.report.address, &self.password) => Some("it does not answer".to_owned()),
            () = self.stop.cancelled() => None,
        };
        if why.is_none() {
            drop(running.input);
            if timeout(STOP_PATIENCE, running.process.wait()).await.is_ok() {
                self.address.send_replace(None);
                return None;
            }
            tracing::warn!("the engine did not end in time and is killed");
        }
        self.address.send_replace(None);
        let _ = running.process.kill().await;
        why
    }
}

/// Logs the child's standard error, line by line, and gives the last line.
async fn relay(errors: ChildStderr) -> Option<String> {
    let mut lines = BufReader::new(errors).split(b'\n');
    let mut last = None;
    while let Ok(Some(mut line)) = lines.next_segment().await {
        line.truncate(LOGGED_LINE_BYTES);
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !line.is_empty() {
            tracing::warn!(target: "driftlead::engine", "{line}");
            last = Some(line);
        }
    }
    last
}

/// Returns when the engine misses several health checks in a row.
async fn until_unhealthy(address: SocketAddr, password: &str) {
    let mut misses = 0;
    while misses < HEALTH_MISSES {
        tokio::time::sleep(HEALTH_INTERVAL).await;
        let answers = matches!(timeout(HEALTH_PATIENCE, probe(address, password)).await, Ok(Ok(true)));
        misses = if answers { 0 } else { misses + 1 };
    }
}

/// Whether a query is answered. An error is an answer too: whoever is out of memory does not hang.
async fn probe(address: SocketAddr, password: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {PROBE_PATH} HTTP/1.1\r\nHost: engine\r\nX-ClickHouse-Key: {password}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0_u8; 9];
    stream.read_exact(&mut start).await?;
    Ok(&start == b"HTTP/1.1 ")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_engine_that_takes_connections_and_answers_none_does_not_pass() {
        let check = async |answer: &'static str, expected: bool| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                (String::from_utf8_lossy(&request[..length]).into_owned(), stream)
            });
            let answered = timeout(Duration::from_millis(300), probe(address, "secret")).await;
            assert_eq!(matches!(answered, Ok(Ok(true))), expected, "{answer}");
            let (request, _) = serving.await.unwrap();
            assert!(request.starts_with("GET /probe ") && request.contains("secret"), "{request}");
        };
        check("HTTP/1.1 200 OK\r\n\r\n", true).await;
        check("HTTP/1.1 500 Internal Server Error\r\n\r\nCode: 241", true).await;
        check("", false).await;
    }
}
