//! The product against a ClickHouse that somebody else started: the same code path as with its own engine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, post_logs};
use crate::support::product::{Product, engine_is_there};

/// An engine of its own, as an operator could run it.
struct StandaloneEngine {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

const PASSWORD: &str = "a password of the test";

impl StandaloneEngine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_driftlead"))
            .args(["engine", "--standalone", "--directory"])
            .arg(folder.path())
            .env("DRIFTLEAD_ENGINE__PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = format!("http://{}", ready["address"].as_str().unwrap());
        Self {
            child,
            url,
            _folder: folder,
        }
    }
}

impl Drop for StandaloneEngine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_server_given_by_url_is_used_like_the_embedded_engine() {
    if !engine_is_there() {
        return;
    }
    let engine = StandaloneEngine::start();
    let product = Product::start(&format!("[clickhouse]\nurl = \"{}\"\npassword = \"{PASSWORD}\"\n", engine.url)).await;
    let request = logs_request(
        (0..20)
            .map(|i| inference("elsewhere", "1", &format!("u{i}"), now_ns(), vec![]))
            .collect(),
    );
    assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
    eventually("the inferences are stored", async || {
        product.get("/models/elsewhere/inferences").await.filter(|page| page["total"] == 20)
    })
    .await;
    assert_eq!(product.engine_process_id(), None, "the product starts no engine of its own");
    let status = product.get("/status").await.unwrap();
    assert_eq!(status["engine"]["kind"], "server");
}
