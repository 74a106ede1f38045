//! The Driftlead server that the demo watches at work: the same binary, started as a user starts it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::process::{Child, Command};

/// The server has to be up within this time.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The server has to end within this time once it is asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the server listens, as its ready file says.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    /// Pages and API.
    pub web: String,
    /// OTLP over gRPC.
    pub otlp_grpc: String,
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addresses: Addresses,
}

impl Server {
    /// Starts `driftlead serve` with this configuration and data folder and waits until it takes requests. Its own
    /// output goes to `server.log` in the data folder.
    ///
    /// # Errors
    /// It does not start; the error names the log file.
    pub async fn start(configuration: &Path, data: &Path) -> anyhow::Result<Self> {
        let ready = data.join("ready.json");
        let log_path = data.join("server.log");
        match std::fs::remove_file(&ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("cannot remove the last ready file"),
            _ => {}
        }
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .context("cannot write the server's log")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .args([
                Path::new("--config"),
                configuration,
                Path::new("--data"),
                &data.join("data"),
                Path::new("--ready-file"),
                &ready,
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the server")?;
        let addresses = tokio::select! {
            addresses = read_when_written(ready) => addresses?,
            status = child.wait() => bail!("the server ended at once ({}): see {}", status?, log_path.display()),
            () = tokio::time::sleep(START_TIMEOUT) => bail!("the server did not start within {START_TIMEOUT:?}: see {}", log_path.display()),
        };
        Ok(Self { child, addresses })
    }

    /// Asks the server to end, as Ctrl-C does, and waits for it.
    ///
    /// # Errors
    /// It does not end in time (it is killed then).
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.child.id() {
            Command::new("kill")
                .args(["-TERM", &id.to_string()])
                .status()
                .await
                .context("cannot signal the server")?;
        }
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(status) => {
                status?;
                Ok(())
            }
            Err(_) => {
                self.child.kill().await?;
                bail!("the server did not end within {STOP_TIMEOUT:?}")
            }
        }
    }
}

async fn read_when_written(path: PathBuf) -> anyhow::Result<Addresses> {
    loop {
        match tokio::fs::read(&path).await {
            Ok(bytes) => return serde_json::from_slice(&bytes).context("the ready file"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error).context("the ready file"),
        }
    }
}
