//! The load generator: the same for the product and for its peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::requests::Requests;

/// Connections, each with one request on its way: a group commit can gather as many requests.
pub const CONNECTIONS: usize = 8;
/// Pause of a connection whose request was refused.
const PAUSE: Duration = Duration::from_millis(10);
/// Past this a receiver does not answer any more.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What became of a load.
#[derive(Debug)]
pub struct Sent {
    /// Records of the requests that were answered with success.
    pub records: u64,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Milliseconds from each request to its answer.
    pub milliseconds: Vec<f64>,
    /// Requests that were refused; they were sent again.
    pub refused: u64,
}

impl Sent {
    /// Acknowledged records in a second.
    pub fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

/// Sends requests to `/v1/logs` at `address` (host and port) for so many seconds, or until there are none left.
pub async fn send(address: &str, requests: &Arc<Requests>, seconds: u64) -> Sent {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::spawn(connection(
                format!("http://{address}/v1/logs"),
                requests.clone(),
                next.clone(),
                until,
            ))
        })
        .collect();
    let mut sent = Sent {
        records: 0,
        seconds: 0.0,
        milliseconds: Vec::new(),
        refused: 0,
    };
    for connection in connections {
        let (milliseconds, refused) = connection.await.expect("a connection sends");
        sent.records += (milliseconds.len() * requests.shape.records) as u64;
        sent.milliseconds.extend(milliseconds);
        sent.refused += refused;
    }
    sent.seconds = began.elapsed().as_secs_f64();
    sent
}

/// Sends so many requests a second, each when its time has come, for so many seconds, or until there are none left.
/// Milliseconds are counted from that time on. Nothing is sent twice.
pub async fn send_at(address: &str, requests: &Arc<Requests>, requests_per_second: f64, seconds: u64) -> Sent {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().expect("a client");
    let url = format!("http://{address}/v1/logs");
    let count = ((requests_per_second * seconds as f64) as usize).clamp(1, requests.bodies.len());
    let began = tokio::time::Instant::now();
    let mut sending = Vec::with_capacity(count);
    for (number, body) in requests.bodies.iter().take(count).enumerate() {
        let due = began + Duration::from_secs_f64(number as f64 / requests_per_second);
        tokio::time::sleep_until(due).await;
        let request = client
            .post(&url)
            .header("content-type", "application/x-protobuf")
            .body(body.clone());
        sending.push(tokio::spawn(async move {
            let answer = request.send().await.expect("an answer");
            let is_success = answer.status().is_success();
            let _body = answer.bytes().await;
            is_success.then(|| due.elapsed().as_secs_f64() * 1e3)
        }));
    }
    let mut milliseconds = Vec::with_capacity(count);
    for request in sending {
        milliseconds.extend(request.await.expect("a request is sent"));
    }
    Sent {
        records: (milliseconds.len() * requests.shape.records) as u64,
        seconds: began.elapsed().as_secs_f64(),
        refused: (count - milliseconds.len()) as u64,
        milliseconds,
    }
}

async fn connection(url: String, requests: Arc<Requests>, next: Arc<AtomicUsize>, until: Instant) -> (Vec<f64>, u64) {
    // A client of its own is a connection of its own.
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().expect("a client");
    let (mut milliseconds, mut refused) = (Vec::new(), 0);
    while Instant::now() < until {
        let Some(body) = requests.bodies.get(next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        loop {
            let mut request = client
                .post(&url)
                .header("content-type", "application/x-protobuf")
                .body(body.clone());
            if requests.shape.gzip {
                request = request.header("content-encoding", "gzip");
            }
            let began = Instant::now();
            let answer = request.send().await.expect("an answer");
            let is_success = answer.status().is_success();
            let _body = answer.bytes().await;
            if is_success {
                milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
                break;
            }
            refused += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    (milliseconds, refused)
}
