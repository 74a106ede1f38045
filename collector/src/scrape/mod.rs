//! Fetches metrics from services that expose only `/metrics`: each target on its own clock, through the same way into
//! the log as what is sent.
//!
//! A target that does not answer costs the others nothing and is told by the gauge `up`, which every scrape writes
//! beside `scrape_duration_seconds` and `scrape_samples_scraped`, as Prometheus does.

mod convert;
mod exposition;

use std::time::{Duration, Instant};

use bytes::Bytes;
use driftlead_store::clock::Clock;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admit::KeyGrant;
use crate::body::Compression;
use crate::receive::{Encoding, Receiver, Request};
use crate::signal::Signal;
use convert::Converter;
use exposition::Exposition;

/// Most bytes of a page: a server with some thousand series has one of a megabyte.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Most samples of a page; the others are counted as unreadable.
const MAX_SAMPLES: usize = 100_000;
/// Most targets: each is a task and a page in memory.
pub const MAX_TARGETS: usize = 256;
/// Shortest interval between two scrapes.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// One page to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeTarget {
    /// Its address, such as `http://gpu-1:9400/metrics`.
    pub url: String,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take; at most the interval.
    pub timeout: Duration,
    /// `service.name` of its points.
    pub service: String,
    /// `deployment.environment.name` of its points; empty: none.
    pub environment: String,
    /// Sent as `authorization: Bearer …`.
    pub bearer_token: Option<String>,
}

/// A target that cannot be scraped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// Not an address.
    #[error("[[scrape]] url {url:?} is no address of http or https: {problem}")]
    Url {
        /// As it was written.
        url: String,
        /// Why.
        problem: String,
    },
    /// Too often.
    #[error("[[scrape]] {url}: the interval is shorter than {} s", MIN_INTERVAL.as_secs())]
    Interval {
        /// Whose.
        url: String,
    },
    /// Too many.
    #[error("[[scrape]]: more than {MAX_TARGETS} targets; let an OpenTelemetry Collector gather some of them")]
    TooMany,
    /// The client cannot be made.
    #[error("[[scrape]]: {0}")]
    Client(String),
}

/// Checks targets before anything starts.
///
/// # Errors
/// One of them cannot be scraped.
pub(crate) fn check(targets: &[ScrapeTarget]) -> Result<(), ScrapeError> {
    if targets.len() > MAX_TARGETS {
        return Err(ScrapeError::TooMany);
    }
    for target in targets {
        let wrong = |problem: String| ScrapeError::Url {
            url: target.url.clone(),
            problem,
        };
        let url: reqwest::Url = target.url.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("its scheme is {:?}", url.scheme())));
        }
        if target.interval < MIN_INTERVAL {
            return Err(ScrapeError::Interval { url: target.url.clone() });
        }
    }
    Ok(())
}

/// Scrapes all targets until `token` fires.
///
/// # Errors
/// The client cannot be made.
pub(crate) async fn run(targets: Vec<ScrapeTarget>, receiver: Receiver, clock: Clock, token: CancellationToken) -> Result<(), ScrapeError> {
    if targets.is_empty() {
        return Ok(());
    }
    let client = reqwest::Client::builder()
        .user_agent(concat!("driftlead/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ScrapeError::Client(error.to_string()))?;
    let tasks = TaskTracker::new();
    for target in targets {
        let job = Job {
            target,
            client: client.clone(),
            receiver: receiver.clone(),
            clock: clock.clone(),
            converter: Converter::default(),
        };
        tasks.spawn(job.run(token.clone()));
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

struct Job {
    target: ScrapeTarget,
    client: reqwest::Client,
    receiver: Receiver,
    clock: Clock,
    converter: Converter,
}

/// How a scrape went.
struct Fetched {
    page: Result<String, String>,
    seconds: f64,
}

impl Job {
    async fn run(mut self, token: CancellationToken) {
        let mut ticks = interval(self.target.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut was_up = true;
        while token.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(fetched) = token.run_until_cancelled(self.fetch()).await else {
                return;
            };
            let is_up = fetched.page.is_ok();
            if let Err(problem) = &fetched.page
                && was_up
            {
                tracing::warn!(service = self.target.service, problem, "a target cannot be scraped");
            }
            was_up = is_up;
            self.keep(fetched).await;
        }
    }

    async fn fetch(&self) -> Fetched {
        let began = Instant::now();
        let fetching = tokio::time::timeout(self.target.timeout.min(self.target.interval), self.page());
        let page = fetching
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", self.target.timeout.as_secs_f64())));
        Fetched {
            page,
            seconds: began.elapsed().as_secs_f64(),
        }
    }

    async fn page(&self) -> Result<String, String> {
        // Errors of the client name the address, which may hold a password.
        let problem = |error: reqwest::Error| error.without_url().to_string();
        let mut request = self.client.get(&self.target.url).header(reqwest::header::ACCEPT, ACCEPT);
        if let Some(token) = &self.target.bearer_token {
            request = request.bearer_auth(token);
        }
        let mut response = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(problem)?;
        let mut page = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(problem)? {
            if page.len() + piece.len() > MAX_PAGE_BYTES {
                return Err(format!("the page is larger than {MAX_PAGE_BYTES} bytes"));
            }
            page.extend_from_slice(&piece);
        }
        String::from_utf8(page).map_err(|_| "the page is not UTF-8".to_owned())
    }

    /// Takes what was fetched the way of any other request. What the log refuses is fetched anew next time.
    async fn keep(&mut self, fetched: Fetched) {
        let now = u64::try_from(self.clock.now().0).unwrap_or_default();
        let mut scopes = Vec::new();
        let mut samples = 0;
        if let Ok(page) = &fetched.page {
            let page = Exposition::read(page, MAX_SAMPLES);
            samples = page.samples.len();
            if page.unreadable > 0 {
                tracing::debug!(
                    service = self.target.service,
                    lines = page.unreadable,
                    "lines of a page cannot be read"
                );
            }
            scopes.push(self.converter.convert(&page, now));
        }
        scopes.push(self.own(&fetched, samples, now));
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource()),
                scope_metrics: scopes,
                schema_url: String::new(),
            }],
        };
        let request = Request {
            signal: Signal::Metrics,
            encoding: Encoding::Protobuf,
            compression: Compression::Identity,
            grant: KeyGrant::default(),
            body: Bytes::from(request.encode_to_vec()),
            held: self.receiver.status().bytes_in_flight().hold(),
        };
        if let Err(refusal) = self.receiver.receive(request).await {
            self.receiver.status().refused_request(refusal.reason());
            tracing::debug!(service = self.target.service, %refusal, "what was scraped was not kept");
        }
    }

    fn resource(&self) -> Resource {
        let url: Option<reqwest::Url> = self.target.url.parse().ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default().to_owned();
        let port = url.as_ref().and_then(reqwest::Url::port_or_known_default).unwrap_or_default();
        let instance = format!("{host}:{port}");
        let pairs = [
            ("service.name", self.target.service.clone()),
            ("service.instance.id", instance),
            ("server.address", host),
            ("server.port", port.to_string()),
            ("deployment.environment.name", self.target.environment.clone()),
        ];
        let stated = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Resource {
            attributes: stated
                .map(|(key, value)| KeyValue {
                    key: key.to_owned(),
                    value: Some(AnyValue {
                        value: Some(Value::StringValue(value)),
                    }),
                    ..KeyValue::default()
                })
                .collect(),
            ..Resource::default()
        }
    }

    /// What Prometheus writes of each scrape.
    fn own(&self, fetched: &Fetched, samples: usize, now: u64) -> ScopeMetrics {
        let gauge = |name: &str, unit: &str, value: f64| Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            data: Some(Data::Gauge(Gauge {
                data_points: vec![NumberDataPoint {
                    time_unix_nano: now,
                    value: Some(number_data_point::Value::AsDouble(value)),
                    ..NumberDataPoint::default()
                }],
            })),
            ..Metric::default()
        };
        ScopeMetrics {
            metrics: vec![
                gauge("up", "1", f64::from(u8::from(fetched.page.is_ok()))),
                gauge("scrape_duration_seconds", "s", fetched.seconds),
                gauge("scrape_samples_scraped", "1", samples as f64),
            ],
            ..ScopeMetrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, seconds: u64) -> ScrapeTarget {
        ScrapeTarget {
            url: url.to_owned(),
            interval: Duration::from_secs(seconds),
            timeout: Duration::from_secs(1),
            service: "s".to_owned(),
            environment: String::new(),
            bearer_token: None,
        }
    }

    #[test]
    fn targets_are_checked() {
        assert_eq!(check(&[target("http://gpu-1:9400/metrics", 15), target("https://h/m", 1)]), Ok(()));
        for (wrong, expected) in [
            (target("gpu-1:9400/metrics", 15), "http or https"),
            (target("file:///etc/passwd", 15), "http or https"),
            (target("http://", 15), "http or https"),
            (target("http://h/", 0), "shorter than 1 s"),
        ] {
            let error = check(std::slice::from_ref(&wrong)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(check(&vec![target("http://h/", 15); MAX_TARGETS + 1]), Err(ScrapeError::TooMany));
    }
}
