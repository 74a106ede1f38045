//! Signals about releases: the errors that a version brought, and those that it has more often than there were before it.
//!
//! A pattern is *new* when the release's version is the first one in which its model and environment ever had it. It is an
//! *anomaly* when, per inference, it is at least [`MIN_RATIO`] times as frequent since the release as in the 14 days before
//! it, and surely more frequent: the exact test of two Poisson rates ([`more_often_p`]), with both counts divided by how much
//! more the pattern's hours differ than those of a Poisson process, at [`SIGNIFICANCE`] over all patterns and the hours of
//! the watch, in each of which one may look.

use std::collections::{BTreeMap, HashMap};

use driftlead_store::clickhouse::query::buckets::requests_by_version;
use driftlead_store::clock::UnixNanos;
use driftlead_store::index::{ErrorIndex, PatternHours};
use driftlead_store::patterns::{PatternId, PatternSighting};
use driftlead_store::records::{Signal, names};
use driftlead_store::state::deployments::{Deployment, WATCH_SECONDS};
use serde_json::{Value, json};

use super::frame::{Estimate, Frame};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::stats::Bounds;
use crate::stats::poisson::{Rate, more_often_p};
use crate::window::Window;

/// What a release is compared with: so much time before it.
const BEFORE_SECONDS: i64 = 14 * 86_400;
/// Inferences of that time are kept no longer than it, so that the first hours of it go while a release is watched.
const BEFORE_MARGIN_SECONDS: i64 = 3_600;
/// How often that time is looked at again: late records come.
const BEFORE_AGAIN_SECONDS: f64 = 3_600.0;
/// A release that is not watched any more is told of for so long, so that its alerts end.
const OVER_SECONDS: i64 = 3_600;
/// What was told is told again after so long, though nothing changed.
const AGAIN_SECONDS: f64 = 60.0;
/// A pattern with fewer errors is no reason to wake somebody.
const MIN_ERRORS: u64 = 3;
/// Inferences since a release, and before it, without which rates say nothing.
const MIN_REQUESTS: u64 = 20;
/// How many times as frequent an anomaly is at the least.
const MIN_RATIO: f64 = 2.0;
/// Probability that a release without anomalies has one.
const SIGNIFICANCE: f64 = 0.01;
/// Looks that this holds for: one in each hour of the watch.
const LOOKS: f64 = (WATCH_SECONDS / 3_600) as f64;
/// Patterns that a signal names.
const MAX_NAMED: usize = 10;

type Hours = HashMap<PatternId, Vec<u64>>;

/// Watches releases.
pub(crate) struct Releases {
    errors: ErrorIndex,
    /// By release.
    before: HashMap<String, Before>,
    /// By release and signal: what was told last.
    told: HashMap<(String, String), Told>,
}

/// The time before a release.
struct Before {
    looked_at: UnixNanos,
    from: UnixNanos,
    hours: Hours,
    requests: u64,
}

struct Told {
    at: UnixNanos,
    value: Option<f64>,
    sure: Option<f64>,
}

impl Releases {
    /// `None` where there is no error index.
    pub fn new(context: &Context) -> Option<Self> {
        Some(Self {
            errors: context.errors.clone()?,
            before: HashMap::new(),
            told: HashMap::new(),
        })
    }

    /// Computes and emits the signals of all releases that are watched.
    ///
    /// # Errors
    /// The errors, the telemetry or the state cannot be read, or the signals not be written.
    #[tracing::instrument(name = "analyzer.release_signals", level = "debug", skip_all)]
    pub async fn step(&mut self, context: &Context) -> Result<(), AnalyzerError> {
        let now = context.now();
        let releases = context.state.releases_in_watch(None, now.plus_seconds(-OVER_SECONDS)).await?;
        self.before.retain(|id, _| releases.iter().any(|release| release.id == *id));
        self.told.retain(|(id, _), _| releases.iter().any(|release| release.id == *id));
        let mut signals = Vec::new();
        for release in releases.iter().filter(|release| release.planned_at.is_some() && release.at <= now) {
            for signal in self.signals_of(context, release, now).await? {
                if self.is_news(&release.id, &signal, now) {
                    signals.push(signal);
                }
            }
        }
        context.emit(signals).await
    }

    /// Whether it is another value than before, or was not told for a while.
    fn is_news(&mut self, release: &str, signal: &Signal, now: UnixNanos) -> bool {
        let key = (release.to_owned(), signal.name.clone());
        let known = self.told.get(&key);
        let is_same = known.is_some_and(|told| {
            told.value == signal.value && told.sure == signal.decision_lower && now.seconds_since(told.at) < AGAIN_SECONDS
        });
        if !is_same {
            let told = Told {
                at: now,
                value: signal.value,
                sure: signal.decision_lower,
            };
            self.told.insert(key, told);
        }
        !is_same
    }

    async fn signals_of(&mut self, context: &Context, release: &Deployment, now: UnixNanos) -> Result<[Signal; 2], AnalyzerError> {
        let frame = Frame {
            model: &release.model,
            version: &release.version,
            environment: &release.environment,
            segment: "",
            window: Window { end: now, seconds: 0 },
            provisional: false,
        };
        let unknown = |code: &str, reason: &str| {
            [names::NEW_ERROR_PATTERNS, names::ANOMALIES_IN_WATCH].map(|name| frame.insufficient(name, "", 0, code, reason))
        };
        if release.watch_until <= now {
            return Ok(unknown("over", "the 48 hours after the release are over"));
        }
        let Some(baseline) = &release.baseline_version else {
            return Ok(unknown("no_baseline", "no version served before this one"));
        };
        let since = self
            .errors
            .pattern_hours(&hours_of(release, Some(&release.version), release.at, now))
            .await?;
        let sightings = context
            .state
            .pattern_sightings_of_model(&release.model, &release.environment)
            .await?;
        let new = new_patterns(&since, &sightings, release);
        let before = self.before(context, release, now).await?;
        let requests = requests_by_version(&context.clickhouse, &release.model, &release.environment, release.at, now)
            .await?
            .into_iter()
            .find(|(version, _)| *version == release.version)
            .map_or(0, |(_, requests)| requests);
        let risen = anomalies(&since, requests, before);

        let named: Vec<PatternId> = new.iter().chain(&risen).take(2 * MAX_NAMED).map(|found| found.id).collect();
        let templates = context.state.pattern_templates(&named).await?;
        let details = |found: &[Found]| {
            let patterns: Vec<Value> = found
                .iter()
                .take(MAX_NAMED)
                .map(|found| {
                    let template = templates.get(&found.id).map(ToString::to_string);
                    json!({ "id": found.id, "template": template, "count": found.count, "expected": found.expected, "p": found.p })
                })
                .collect();
            json!({ "since": release.at, "baseline": baseline, "patterns": patterns })
        };
        let sure = new.iter().filter(|found| found.count >= MIN_ERRORS).count() as f64;
        let all = new.len() as f64;
        let of_new = Estimate::bounded(all, Bounds { lower: sure, upper: all });
        let new_signal = frame.signal(names::NEW_ERROR_PATTERNS, "", of_new, requests, details(&new));
        let risen_signal = if requests < MIN_REQUESTS || before.requests < MIN_REQUESTS {
            let reason = format!(
                "there were {requests} inferences since the release and {} before it",
                before.requests
            );
            frame.insufficient(names::ANOMALIES_IN_WATCH, "", requests, "too_few", reason)
        } else {
            Signal {
                reference_n: before.requests,
                ..frame.signal(
                    names::ANOMALIES_IN_WATCH,
                    "",
                    Estimate::exact(risen.len() as f64),
                    requests,
                    details(&risen),
                )
            }
        };
        Ok([new_signal, risen_signal])
    }

    async fn before(&mut self, context: &Context, release: &Deployment, now: UnixNanos) -> Result<&Before, AnalyzerError> {
        let is_fresh = |before: &Before| now.seconds_since(before.looked_at) < BEFORE_AGAIN_SECONDS;
        if !self.before.get(&release.id).is_some_and(is_fresh) {
            let from = release
                .at
                .plus_seconds(-BEFORE_SECONDS)
                .max(now.plus_seconds(BEFORE_MARGIN_SECONDS - BEFORE_SECONDS));
            let hours = self.errors.pattern_hours(&hours_of(release, None, from, release.at)).await?;
            let requests = requests_by_version(&context.clickhouse, &release.model, &release.environment, from, release.at).await?;
            let before = Before {
                looked_at: now,
                from,
                hours,
                requests: requests.iter().map(|(_, requests)| requests).sum(),
            };
            tracing::debug!(model = %release.model, version = %release.version, from = %before.from, requests = before.requests, "looked at the time before a release");
            self.before.insert(release.id.clone(), before);
        }
        Ok(&self.before[&release.id])
    }
}

fn hours_of(release: &Deployment, version: Option<&str>, from: UnixNanos, to: UnixNanos) -> PatternHours {
    PatternHours {
        model: release.model.clone(),
        environment: release.environment.clone(),
        version: version.map(str::to_owned),
        from,
        to,
    }
}

/// A pattern that a signal is about.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    id: PatternId,
    /// Errors since the release.
    count: u64,
    /// Errors that the time before would have let expect.
    expected: Option<f64>,
    p: Option<f64>,
}

/// Patterns that no other version had before, the most frequent first.
fn new_patterns(since: &Hours, sightings: &[PatternSighting], release: &Deployment) -> Vec<Found> {
    let mut first: HashMap<PatternId, &PatternSighting> = HashMap::new();
    // They come in the order of their first errors.
    for seen in sightings {
        first.entry(seen.pattern).or_insert(seen);
    }
    // As a candidate the version may have met them before it was put into service.
    let earliest = release.at.plus_seconds(-WATCH_SECONDS);
    let is_new = |id: &PatternId| {
        first
            .get(id)
            .is_some_and(|seen| seen.version == release.version && seen.first_event_time >= earliest)
    };
    let mut found: Vec<Found> = since
        .iter()
        .filter(|(id, _)| is_new(id))
        .map(|(id, hours)| Found {
            id: *id,
            count: hours.iter().sum(),
            expected: None,
            p: None,
        })
        .collect();
    found.sort_by_key(|found| (std::cmp::Reverse(found.count), found.id));
    found
}

/// Patterns that are surely more frequent than before, the surest first.
fn anomalies(since: &Hours, requests: u64, before: &Before) -> Vec<Found> {
    if requests == 0 || before.requests == 0 {
        return Vec::new();
    }
    let level = SIGNIFICANCE / (since.len().max(1) as f64 * LOOKS);
    let (exposure, exposure_before) = (requests as f64, before.requests as f64);
    let mut found: BTreeMap<(u64, PatternId), Found> = BTreeMap::new();
    for (id, hours) in since {
        let count: u64 = hours.iter().sum();
        let hours_before: &[u64] = before.hours.get(id).map_or(&[], Vec::as_slice);
        let count_before: u64 = hours_before.iter().sum();
        // Half an error more, so that a pattern that never was has a rate, too.
        let expected = (count_before as f64 + 0.5) / exposure_before * exposure;
        if count < MIN_ERRORS || (count as f64) < MIN_RATIO * expected {
            continue;
        }
        let dispersion = dispersion(hours_before);
        let now = Rate {
            events: (count as f64 / dispersion).floor() as u64,
            exposure,
        };
        let then = Rate {
            events: (count_before as f64 / dispersion).ceil() as u64,
            exposure: exposure_before,
        };
        let p = more_often_p(now, then);
        if p <= level {
            let found_one = Found {
                id: *id,
                count,
                expected: Some(expected),
                p: Some(p),
            };
            // Positive floats are ordered as their bits are.
            found.insert((p.to_bits(), *id), found_one);
        }
    }
    found.into_values().collect()
}

/// How many times as much the counts of hours vary as those of a Poisson process: variance over mean, at least 1.
fn dispersion(hours: &[u64]) -> f64 {
    let n = hours.len() as f64;
    let mean = hours.iter().sum::<u64>() as f64 / n;
    if hours.len() < 2 || mean == 0.0 {
        return 1.0;
    }
    let variance = hours.iter().map(|&count| (count as f64 - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (variance / mean).max(1.0)
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::deployments::DeploymentEvent;

    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> UnixNanos {
        UnixNanos::from_seconds(100 * DAY + seconds)
    }

    fn release() -> Deployment {
        Deployment {
            id: "dep_1".into(),
            model: "m".into(),
            version: "1.1".into(),
            environment: String::new(),
            event: DeploymentEvent::Live,
            source: "api".into(),
            baseline_version: Some("1.0".into()),
            retrain_id: None,
            reference: None,
            commit_id: None,
            artifact: None,
            data_version: None,
            body: json!({}),
            at: at(0),
            created_at: at(0),
            watch_until: at(WATCH_SECONDS),
            planned_at: Some(at(0)),
        }
    }

    fn seen(pattern: u64, version: &str, first: i64) -> PatternSighting {
        PatternSighting {
            pattern: PatternId(pattern),
            service: "s".into(),
            model: "m".into(),
            version: version.into(),
            environment: String::new(),
            first_event_time: at(first),
            last_event_time: at(first),
        }
    }

    fn hours(counts: &[(u64, &[u64])]) -> Hours {
        counts.iter().map(|(id, hours)| (PatternId(*id), hours.to_vec())).collect()
    }

    fn ids(found: &[Found]) -> Vec<u64> {
        found.iter().map(|found| found.id.0).collect()
    }

    #[test]
    fn a_pattern_is_new_when_no_version_had_it_before() {
        let since = hours(&[(1, &[1, 1]), (2, &[9]), (3, &[4]), (4, &[5]), (5, &[6])]);
        let sightings = [
            seen(5, "1.1", -30 * DAY),
            seen(3, "1.0", -DAY),
            seen(4, "1.1", -DAY),
            seen(1, "1.1", 60),
            seen(2, "1.1", 70),
            seen(3, "1.1", 80),
            seen(1, "1.0", 90),
        ];
        // 3 is known from 1.0, 4 was met by the candidate the day before, 5 by the same version a month ago.
        assert_eq!(ids(&new_patterns(&since, &sightings, &release())), [2, 4, 1]);
    }

    fn before(hours: Hours, requests: u64) -> Before {
        Before {
            looked_at: at(0),
            from: at(-14 * DAY),
            hours,
            requests,
        }
    }

    #[test]
    fn only_what_is_surely_more_frequent_is_an_anomaly() {
        let steady = [10u64; 336];
        let mut bursts = [0u64; 336];
        for hour in (0..336).step_by(48) {
            bursts[hour] = 480;
        }
        let before = before(hours(&[(1, &steady), (2, &steady), (3, &bursts), (4, &[1, 1])]), 336_000);
        // An hour with as much traffic as before: 10 errors are usual, 15 may be chance, 60 are not.
        for (count, is_one) in [(10, false), (15, false), (60, true)] {
            let found = anomalies(&hours(&[(1, &[count])]), 1_000, &before);
            assert_eq!(ids(&found) == [1], is_one, "{count}");
        }
        assert!(
            anomalies(&hours(&[(1, &[60])]), 10_000, &before).is_empty(),
            "ten times the traffic"
        );
        assert!(
            anomalies(&hours(&[(3, &[60])]), 1_000, &before).is_empty(),
            "it always came in bursts"
        );
        assert_eq!(ids(&anomalies(&hours(&[(9, &[5])]), 1_000, &before)), [9], "it never was");
        assert!(
            anomalies(&hours(&[(9, &[2])]), 1_000, &before).is_empty(),
            "too few to wake somebody"
        );
        let both = anomalies(&hours(&[(1, &[60]), (2, &[300]), (4, &[0])]), 1_000, &before);
        assert_eq!(ids(&both), [2, 1], "the surest first");
        assert!((both[0].expected.unwrap() - 10.0).abs() < 0.01);
        assert!(anomalies(&hours(&[(1, &[60])]), 0, &before).is_empty());
    }

    /// The whole watch, looked at every hour, with traffic as before it.
    #[test]
    fn releases_without_anomalies_are_left_alone() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut alarms = 0;
        let releases = 200;
        for _ in 0..releases {
            let rates: Vec<f64> = (0..20).map(|_| 10f64.powf(rng.random_range(-2.0..2.0))).collect();
            let mut draw = |hours: usize| -> Hours {
                let count = |rate: f64, rng: &mut rand_chacha::ChaCha8Rng| {
                    // Twice as much in every second hour, so that hours differ more than chance makes them.
                    let rate = rate * if rng.random() { 1.5 } else { 0.5 };
                    let mut left: f64 = rate;
                    let mut count = 0;
                    loop {
                        left += rng.random::<f64>().ln();
                        if left < 0.0 {
                            return count;
                        }
                        count += 1;
                    }
                };
                let of = |(id, rate): (usize, &f64)| (PatternId(id as u64), (0..hours).map(|_| count(*rate, &mut rng)).collect());
                rates.iter().enumerate().map(of).collect()
            };
            let before = before(draw(336), 336_000);
            let whole = draw(48);
            let is_alarm = (1..=48).any(|hour| {
                let since = whole.iter().map(|(id, counts)| (*id, counts[..hour].to_vec())).collect();
                !anomalies(&since, 1_000 * hour as u64, &before).is_empty()
            });
            alarms += u32::from(is_alarm);
        }
        assert!(alarms <= releases / 50, "{alarms} of {releases}");
    }
}
