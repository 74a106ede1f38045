//! Driftlead's own spans, logs and metrics, sent to itself, as to any other receiver.

use std::net::TcpListener;

use crate::support::engine::StandaloneEngine;
use crate::support::eventually;
use crate::support::otlp::{inference, logs_request, now_ns, post_logs};
use crate::support::product::{Product, engine_is_there};

/// A port that is free at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn driftlead_watches_itself_without_making_more_to_watch() {
    if !engine_is_there() {
        return;
    }
    tokio::join!(watches_itself("grpc"), watches_itself("http/protobuf"));
}

async fn watches_itself(protocol: &str) {
    let (web, grpc, http) = (free_port(), free_port(), free_port());
    let port = if protocol == "grpc" { grpc } else { http };
    let configuration = format!(
        "[listen]\nweb = \"127.0.0.1:{web}\"\notlp_grpc = \"127.0.0.1:{grpc}\"\notlp_http = \"127.0.0.1:{http}\"\n\
             [telemetry]\nendpoint = \"http://127.0.0.1:{port}\"\nprotocol = \"{protocol}\"\nsample_ratio = 1.0\ninterval = \"1s\"\n"
    );
    let mut product = Product::start(&configuration).await;
    let request = logs_request(vec![inference("m", "1", "r-1", now_ns(), vec![])]);
    assert_eq!(post_logs(&product.client, &product.otlp_http, &request).await, Some(200));
    let driftlead = async || {
        let collection = product.get("/collection").await?;
        let services = collection["services"].as_array()?.clone();
        services.into_iter().find(|service| service["name"] == "driftlead")
    };
    eventually("its own telemetry of all three kinds has come, several times", async || {
        let own = driftlead().await?;
        let came = |signal: &str| own[signal].as_u64().unwrap_or(0);
        (came("logs") > 0 && came("traces") > 20 && came("metrics") > 200).then_some(())
    })
    .await;
    let drained = async || {
        eventually("the log is drained", async || {
            product.get("/status").await.filter(|status| status["drain"]["backlog_bytes"] == 0)
        })
        .await
    };
    eventually("the inference is stored", async || {
        product.get("/models/m/inferences?limit=1").await.filter(|page| page["total"] == 1)
    })
    .await;
    drained().await;
    // The span of the batch has ended. A request that is on its way does not hold it yet, the one after it does.
    let mut came = driftlead().await.and_then(|own| own["traces"].as_u64()).unwrap_or(0);
    for _ in 0..2 {
        came = eventually("more spans have come", async || {
            let traces = driftlead().await?["traces"].as_u64()?;
            (traces > came).then_some(traces)
        })
        .await;
    }
    drained().await;
    product.stop().await;
    let engine = StandaloneEngine::start_on(&product.data().join("engine"));
    let clickhouse = engine.connect();
    let count = async |sql: &str| clickhouse.writer().query(sql).fetch_one::<u64>().await.unwrap();
    let received = "SELECT count() FROM otel_traces WHERE ServiceName = 'driftlead' AND SpanName = 'otlp.receive'";
    assert_eq!(
        count(received).await,
        1,
        "{protocol}: a span for the request of another, none for its own"
    );
    for span in ["drain.batch", "alerting.evaluate", "http.request"] {
        let spans = format!("SELECT count() FROM otel_traces WHERE ServiceName = 'driftlead' AND SpanName = '{span}'");
        assert!(count(&spans).await > 0, "{protocol}: {span}");
    }
    let metrics = "SELECT count() FROM otel_metrics_gauge WHERE ServiceName = 'driftlead' AND MetricName = 'driftlead.log_bytes'";
    assert!(count(metrics).await > 1, "{protocol}");
    let logs = "SELECT count() FROM otel_logs WHERE ServiceName = 'driftlead' AND Body = 'requests are accepted'";
    assert_eq!(count(logs).await, 1, "{protocol}");
}
