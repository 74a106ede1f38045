//! An engine that stands alone, as an operator could run it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use driftlead_store::clickhouse::{ClickHouse, ClickHouseConfig};
use tempfile::TempDir;

const PASSWORD: &str = "a password of the test";

/// A running engine. Dropping it kills it.
pub struct StandaloneEngine {
    child: Child,
    url: String,
    _folder: Option<TempDir>,
}

impl StandaloneEngine {
    /// An engine with a folder of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut engine = Self::start_on(folder.path());
        engine._folder = Some(folder);
        engine
    }

    /// An engine on a folder that no other engine holds.
    pub fn start_on(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_driftlead"))
            .args(["engine", "--standalone", "--directory"])
            .arg(directory)
            .env("DRIFTLEAD_ENGINE__PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the engine starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("its standard output is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the engine says where it listens");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        let url = format!("http://{}", ready["address"].as_str().expect("an address"));
        Self { child, url, _folder: None }
    }

    /// `[clickhouse]` for a product that is to use it.
    pub fn configuration(&self) -> String {
        format!("[clickhouse]\nurl = \"{}\"\npassword = \"{PASSWORD}\"\n", self.url)
    }

    /// A connection of one's own.
    pub fn connect(&self) -> ClickHouse {
        ClickHouse::connect(&ClickHouseConfig {
            url: self.url.clone(),
            password: PASSWORD.to_owned(),
            ..ClickHouseConfig::default()
        })
    }
}

impl Drop for StandaloneEngine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
