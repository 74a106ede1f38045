//! What a GPU's exporter says on its page becomes signals, and an alert where it is hot.

use axum::Router;
use axum::routing::get;

use crate::support::eventually;
use crate::support::product::{Product, engine_is_there};

const PAGE: &str = r#"# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100",Hostname="n1"} 91
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-2",device="nvidia1",modelName="NVIDIA H100",Hostname="n1"} 60
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",Hostname="n1"} 97
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",Hostname="n1"} 60000
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",Hostname="n1"} 20000
"#;

const RULES: &str = r#"
[[rules]]
name = "gpu-hot"
signal = "gpu_temperature_c"
above = "85°C"
for = "0s"
severity = "warning"
actions = ["notify"]
why = "The GPU is hot."

[[rules]]
name = "gpu-full"
signal = "gpu_memory_used_ratio"
above = "70%"
for = "0s"
severity = "info"
actions = ["notify"]
why = "The GPU's memory is nearly used up."
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_gpu_is_told_of() {
    if !engine_is_there() {
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/metrics", get(async || PAGE));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let configuration = format!(
        "[[scrape]]\nurl = \"http://{address}/metrics\"\nservice = \"dcgm\"\nenvironment = \"production\"\ninterval = \"1s\"\n\
         [rules]\npaths = [{:?}]\n",
        rules.to_str().unwrap()
    );
    let product = Product::start(&configuration).await;
    let firing = eventually("both rules fire", async || {
        let alerts = product.get("/alerts").await?;
        let mut firing: Vec<_> = alerts["alerts"]
            .as_array()?
            .iter()
            .map(|alert| {
                let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
                (
                    text("rule"),
                    text("subject"),
                    text("environment"),
                    alert["value"].as_f64().unwrap_or_default(),
                )
            })
            .collect();
        firing.sort_by(|a, b| a.0.cmp(&b.0));
        (firing.len() == 2).then_some(firing)
    })
    .await;
    let alert = |rule: &str, value| (rule.to_owned(), "n1/0".to_owned(), "production".to_owned(), value);
    assert_eq!(firing, [alert("gpu-full", 0.75), alert("gpu-hot", 91.0)]);
}
