//! The end of the product while its database hangs: in time, and nothing that was acknowledged is lost.

use std::time::Duration;

use prost::Message;

use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns};
use crate::support::product::{Product, engine_is_there, signal};

const MODEL: &str = "stop";
/// Below the 90 s after which service managers kill: 20 for what is being done, 15 for the engine, and some for slow machines.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_does_not_hold_up_the_end() {
    if !engine_is_there() {
        return;
    }
    let mut product = Product::start("").await;
    let send = async |product: &Product, id: String| {
        let request = logs_request(vec![inference(MODEL, "1", &id, now_ns(), Vec::new())]);
        let post = product.client.post(format!("http://{}/v1/logs", product.otlp_http));
        let answer = post
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await;
        assert_eq!(answer.unwrap().status(), 200);
    };
    let stored = async |product: &Product, count: u64| {
        let page = product.get(&format!("/models/{MODEL}/inferences?limit=1")).await?;
        (page["total"] == count).then_some(())
    };
    send(&product, "before".to_owned()).await;
    eventually("it is stored", async || stored(&product, 1).await).await;
    let engine = eventually("the engine runs", async || product.engine_process_id()).await;
    signal(engine, "STOP");
    for number in 0..20 {
        send(&product, format!("while it hangs {number}")).await;
    }
    // A batch is made twice a second: by then its insert is under way.
    eventually("they wait for the database", async || {
        let status = product.get("/status").await?;
        (status["drain"]["lag_s"].as_f64()? >= 2.0).then_some(())
    })
    .await;
    product.stop_within(PATIENCE).await;
    product.start_again().await;
    eventually("everything is stored, once", async || stored(&product, 21).await).await;
}
