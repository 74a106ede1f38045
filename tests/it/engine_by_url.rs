//! The product against a ClickHouse that somebody else started: the same code path as with its own engine.

use crate::support::engine::StandaloneEngine;
use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, post_logs};
use crate::support::product::{Product, engine_is_there};

#[tokio::test]
async fn a_server_given_by_url_is_used_like_the_embedded_engine() {
    if !engine_is_there() {
        return;
    }
    let engine = StandaloneEngine::start();
    let product = Product::start(&engine.configuration()).await;
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
