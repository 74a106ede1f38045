//! The product as a user runs it: the binary, a data folder, a configuration.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, eventually_within};

/// Ports that are free, whichever they are.
pub const FREE_PORTS: &str = "[listen]\nweb = \"127.0.0.1:0\"\notlp_grpc = \"127.0.0.1:0\"\notlp_http = \"127.0.0.1:0\"\n";

/// A running product and its folder. Dropping it kills it.
pub struct Product {
    folder: TempDir,
    child: Option<Child>,
    /// Pages and API, host and port.
    pub web: String,
    /// OTLP over gRPC.
    pub otlp_grpc: String,
    /// OTLP over HTTP.
    pub otlp_http: String,
    /// A client for all of them.
    pub client: reqwest::Client,
}

/// Whether the engine's library is there; without it tests say so loudly and are skipped.
pub fn engine_is_there() -> bool {
    let there = std::env::var_os("DRIFTLEAD_ENGINE__LIBRARY").is_some() || target_folder().join("engine/libchdb.so").exists();
    if !there {
        eprintln!("SKIPPED: the engine's library is missing; run `make engine`");
    }
    there
}

/// The folder that holds `debug/` and `engine/`.
pub fn target_folder() -> PathBuf {
    let executable = Path::new(env!("CARGO_BIN_EXE_driftlead"));
    executable
        .parent()
        .and_then(Path::parent)
        .expect("the executable lies in target/<profile>")
        .to_owned()
}

impl Product {
    /// Starts with the defaults and what `configuration` (TOML) says beside `[listen]`.
    pub async fn start(configuration: &str) -> Self {
        let mut product = Self::prepare(configuration);
        product.start_again().await;
        product
    }

    /// Writes the configuration, and does not start.
    pub fn prepare(configuration: &str) -> Self {
        // Fails when a test before installed it, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        let product = Self {
            folder,
            child: None,
            web: String::new(),
            otlp_grpc: String::new(),
            otlp_http: String::new(),
            client,
        };
        product.configure(configuration);
        product
    }

    /// Writes another configuration, for the next start.
    pub fn configure(&self, configuration: &str) {
        // A test that has to know the ports before says which.
        let listen = if configuration.contains("[listen]") { "" } else { FREE_PORTS };
        let path = self.folder.path().join("driftlead.toml");
        std::fs::write(path, format!("{configuration}\n{listen}")).expect("the configuration is written");
    }

    /// Starts the binary on the same folder and waits for its ready file.
    pub async fn start_again(&mut self) {
        let ready = self.folder.path().join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log file");
        let child = Command::new(env!("CARGO_BIN_EXE_driftlead"))
            .arg("serve")
            .args([Path::new("--config"), &self.folder.path().join("driftlead.toml")])
            .args([Path::new("--data"), &self.data()])
            .args([Path::new("--ready-file"), &ready])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file twice"))
            .stderr(log)
            .spawn()
            .expect("the product starts");
        self.child = Some(child);
        let began = Instant::now();
        let addresses: HashMap<String, String> = loop {
            if let Some(addresses) = std::fs::read(&ready).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                break addresses;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "the product did not start ({ended:?}):\n{}",
                self.log_text()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.web = addresses["web"].clone();
        self.otlp_grpc = addresses["otlp_grpc"].clone();
        self.otlp_http = addresses["otlp_http"].clone();
    }

    /// `kill -9`, then waits for the process to be gone. Its engine ends by itself.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the product to end as a service manager does and waits until it has.
    pub async fn stop(&mut self) {
        self.stop_within(PATIENCE).await;
    }

    /// Likewise, with a bound of the test's own.
    pub async fn stop_within(&mut self, patience: Duration) {
        let Some(mut child) = self.child.take() else { return };
        signal(child.id(), "TERM");
        let status = eventually_within(patience, "the product ends after SIGTERM", || {
            std::future::ready(child.try_wait().ok().flatten())
        })
        .await;
        assert!(status.success(), "the product ended with {status}:\n{}", self.log_text());
    }

    /// The process id of the running product.
    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("the product runs").id()
    }

    /// The process id of its engine, once there is one.
    pub fn engine_process_id(&self) -> Option<u32> {
        let product = self.process_id();
        let children = std::fs::read_to_string(format!("/proc/{product}/task/{product}/children")).ok();
        let of_threads = || {
            std::fs::read_dir(format!("/proc/{product}/task"))
                .ok()
                .into_iter()
                .flatten()
                .flatten()
                .find_map(|thread| {
                    std::fs::read_to_string(thread.path().join("children"))
                        .ok()?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
        };
        children
            .and_then(|children| children.split_whitespace().next()?.parse().ok())
            .or_else(of_threads)
    }

    /// Memory of the running product, in MiB.
    pub fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).expect("the product runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a line of memory");
        let kibibytes: u64 = line.trim_end_matches("kB").trim().parse().expect("a number of kB");
        kibibytes / 1024
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the product has said so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// `GET` of a path under `/api/v1`; `None` when there is no 2xx with JSON.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let response = self.client.get(self.url(path)).send().await.ok()?;
        response.error_for_status().ok()?.json().await.ok()
    }

    /// `POST` of JSON to a path under `/api/v1`: status and JSON (`null` when there is none).
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.client.post(self.url(path)).json(body).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// The address of a path under `/api/v1`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.web)
    }

    /// How often each request id of a model is stored.
    pub async fn stored_ids(&self, model: &str) -> Option<HashMap<String, u32>> {
        let mut stored = HashMap::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/models/{model}/inferences?limit=5000{cursor}")).await?;
            for item in page["items"].as_array()? {
                *stored.entry(item["request_id"].as_str()?.to_owned()).or_insert(0) += 1;
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some(stored),
            }
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("product.log")
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let text = self.log_text();
            let tail: Vec<_> = text.lines().rev().take(60).collect();
            eprintln!(
                "the product's last words:\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
    }
}

/// Sends a signal to a process.
pub fn signal(process_id: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process_id.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {process_id} failed");
}
