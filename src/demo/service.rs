//! The demo's service: it answers requests with the live version and reports every one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use driftlead_analyzer::models::{FeatureValue as ModelValue, Features};
use driftlead_store::clock::{Clock, UnixNanos};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::api::Label;
use super::census::{CATEGORICAL_FEATURES, NUMERIC_FEATURE, Person};
use super::classifier::Registry;
use super::people::{features, label};
use super::telemetry::{Failed, FeatureValue, Served, Voice};

/// Seconds of one year in the back-fill.
pub const YEAR_SECONDS: i64 = 86_400;
/// Live requests per second while the loop is played.
pub const LIVE_REQUESTS_PER_SECOND: u32 = 600;
/// Live requests per second while the pages are looked at afterwards: nobody's laptop has to hurry for that.
pub const QUIET_REQUESTS_PER_SECOND: u32 = 50;
/// The live loop answers what is due this often.
const TICK: Duration = Duration::from_millis(50);
/// One live request in so many states the age in words, which the model rejects.
const REJECTED_ONE_IN: u32 = 400;
/// How long people take until they know the truth about a live request.
pub const LABEL_DELAY: Duration = Duration::from_secs(2);

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    served: AtomicU64,
    failed: AtomicU64,
}

impl Sent {
    /// Inferences reported so far, failed ones included.
    pub fn total(&self) -> u64 {
        self.served.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }

    /// Failed ones among them.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Id of the request in the back-fill that a person stands for.
pub fn backfill_id(person: &Person) -> String {
    format!("census-{}", person.id)
}

/// Reports one year, its requests evenly spread over the day that begins at `begin`, as fast as the collector takes
/// them; returns when all are acknowledged. Blocks.
///
/// # Errors
/// The model cannot answer, or the collector does not take the reports.
pub fn backfill_year(
    voice: &Voice,
    registry: &Registry,
    version: &str,
    people: &[Person],
    begin: UnixNanos,
    sent: &Sent,
) -> anyhow::Result<()> {
    let classifier = registry.load(version)?;
    let began = Instant::now();
    let probabilities = classifier.probabilities(people)?;
    // The batch is predicted at once; a request's share of that time is its latency.
    let latency_ms = began.elapsed().as_secs_f64() * 1e3 / people.len().max(1) as f64;
    let step_ns = YEAR_SECONDS * UnixNanos::SECOND / people.len().max(1) as i64;
    for ((index, person), probability) in people.iter().enumerate().zip(probabilities) {
        voice.served(&Served {
            request_id: backfill_id(person),
            time_ns: begin.0 + index as i64 * step_ns,
            version: version.to_owned(),
            segment: person.age_group(),
            features: sent_features(person),
            label: label(probability > 0.5).to_owned(),
            score: probability,
            latency_ms,
        });
        sent.served.fetch_add(1, Ordering::Relaxed);
    }
    voice.flush()
}

/// Goes on live: draws people again under new ids, answers with whatever version is live, until `stop`. What is
/// known of each request later goes to `labels`. Blocks.
///
/// # Errors
/// A version cannot be loaded, or the collector does not take the reports.
#[expect(clippy::too_many_arguments, reason = "what a service is wired to")]
pub fn serve_live(
    voice: &Voice,
    registry: &Registry,
    people: &[Person],
    live: &watch::Receiver<String>,
    labels: &mpsc::Sender<(Instant, Label)>,
    sent: &Arc<Sent>,
    requests_per_second: u32,
    stop: &CancellationToken,
    seed: u64,
) -> anyhow::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut version = live.borrow().clone();
    let mut classifier = registry.load(&version)?;
    let clock = Clock::System;
    let began = Instant::now();
    let mut answered = 0_u64;
    // The service may go on live again: ids go on where they ended.
    let ids_from = sent.total();
    while !stop.is_cancelled() {
        if *live.borrow() != version {
            version = live.borrow().clone();
            classifier = registry.load(&version)?;
        }
        let due = (began.elapsed().as_secs_f64() * f64::from(requests_per_second)) as u64;
        while answered < due {
            answered += 1;
            let person = &people[random.random_range(0..people.len())];
            let mut request = features(person);
            if random.random_ratio(1, REJECTED_ONE_IN) {
                spoil(&mut request);
            }
            let request_id = format!("live-{seed}-{}", ids_from + answered);
            let (time, began) = (clock.now(), Instant::now());
            let answer = classifier.answer(std::slice::from_ref(&request)).pop();
            let latency_ms = began.elapsed().as_secs_f64() * 1e3;
            match answer {
                Some(Ok(answer)) => {
                    let score = if &*answer.label == label(true) {
                        answer.score
                    } else {
                        1.0 - answer.score
                    };
                    let label_of_answer = answer.label.to_string();
                    voice.served(&Served {
                        request_id: request_id.clone(),
                        time_ns: time.0,
                        version: version.clone(),
                        segment: person.age_group(),
                        features: sent_features(person),
                        label: label_of_answer,
                        score,
                        latency_ms,
                    });
                    sent.served.fetch_add(1, Ordering::Relaxed);
                    // A full queue means that people are slow to label, which costs a label, not a request.
                    let _ = labels.try_send((Instant::now() + LABEL_DELAY, Label::new(request_id, label(person.employed))));
                }
                Some(Err(error)) => {
                    voice.failed(&Failed {
                        request_id,
                        time_ns: time.0,
                        version: version.clone(),
                        error_type: "InvalidInput".to_owned(),
                        message: error.to_string(),
                        latency_ms,
                    });
                    sent.failed.fetch_add(1, Ordering::Relaxed);
                }
                None => anyhow::bail!("the model gave no answer"),
            }
        }
        std::thread::sleep(TICK);
    }
    voice.flush()
}

/// The age in words, as a form without validation lets it through.
fn spoil(request: &mut Features) {
    request.insert(NUMERIC_FEATURE.to_owned(), ModelValue::Text("not stated".to_owned()));
}

fn sent_features(person: &Person) -> Vec<(&'static str, FeatureValue)> {
    let age = person.age.map_or(FeatureValue::Absent, FeatureValue::Number);
    let categories = person
        .categories
        .iter()
        .map(|value| value.clone().map_or(FeatureValue::Absent, FeatureValue::Category));
    std::iter::once((NUMERIC_FEATURE, age))
        .chain(CATEGORICAL_FEATURES.into_iter().zip(categories))
        .collect()
}
