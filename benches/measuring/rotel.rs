//! A peer: rotel, an OpenTelemetry collector in Rust, which PyPI's package `rotel` bundles as a program.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::engine::Engine;
use super::python;
use super::wait;

/// Where rotel sends what it takes.
pub enum Exporter<'a> {
    /// Nowhere: receive, decode, batch, drop.
    Blackhole,
    /// Into `otel_logs` of an engine, a block at a time, as its `async_insert=false` has it.
    ClickHouse(&'a Engine),
}

/// A running rotel. Dropping it kills it.
pub struct Rotel {
    child: Child,
    /// OTLP over HTTP, host and port.
    pub otlp_http: String,
    _folder: TempDir,
}

/// The program, where `scripts/bench` has installed it.
pub fn program() -> Option<PathBuf> {
    let program = python::packages("rotel").join("rotel/rotel-agent");
    let works = Command::new(&program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    works.then_some(program)
}

impl Rotel {
    /// Starts it and waits until it takes connections.
    pub async fn start(program: &PathBuf, exporter: Exporter<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (grpc, http) = (free_address(), free_address());
        let mut command = Command::new(program);
        command
            .arg("start")
            .args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http, "--pid-file"])
            .arg(folder.path().join("rotel.pid"));
        match exporter {
            Exporter::Blackhole => command.args(["--exporter", "blackhole"]),
            Exporter::ClickHouse(engine) => command
                .args(["--exporter", "clickhouse", "--clickhouse-exporter-endpoint", &engine.url])
                .args([
                    "--clickhouse-exporter-user",
                    "default",
                    "--clickhouse-exporter-password",
                    &engine.password,
                ])
                .args(["--clickhouse-exporter-database", driftlead_store::clickhouse::DEFAULT_DATABASE])
                .args([
                    "--clickhouse-exporter-compression",
                    "none",
                    "--clickhouse-exporter-async-insert",
                    "false",
                ]),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rotel starts");
        wait::until("rotel takes connections", Duration::from_millis(20), async || {
            tokio::net::TcpStream::connect(&http).await.ok()
        })
        .await;
        Self {
            child,
            otlp_http: http,
            _folder: folder,
        }
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
