//! The numbers of a model's row, with their last 24 hours.

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::series::ServiceStep;
use driftlead_store::records::{Signal, names};

use super::known::{DAY_SECONDS, Known};
use crate::state::WebState;
use crate::view::latency;
use crate::view::metric::{Metric, Spark, strictest};
use crate::view::model::ModelMetrics;

/// Length of a step of the small charts: 48 of them.
pub(super) const SPARK_STEP_SECONDS: i64 = 1_800;

impl Known {
    pub(super) fn metrics(&self, app: &WebState, model: &str, environment: &str) -> ModelMetrics {
        let settings = app.settings(model);
        let rules = app.commands.rules();
        let of = |name: &'static str| {
            self.latest
                .iter()
                .filter(move |signal| signal.name == name && signal.model == model && signal.environment == environment)
        };
        let live = self.live(model, environment).map(|live| live.version).unwrap_or_default();
        // What describes the model as a whole, else the version that serves, else the latest.
        let now_of =
            |name: &'static str| of(name).max_by_key(|signal| (signal.version.is_empty(), signal.version == live, signal.window_end));
        let service = |name: &'static str, spark: Option<Spark>| {
            Metric::from_signal(name, now_of(name), "no_data")
                .with_threshold(strictest(&rules, name, &settings, environment))
                .with_spark(spark)
        };
        // The live version's own, else all versions together; the newest window, and in it the feature that moved most.
        let judged = |name: &'static str, absent: &'static str| {
            let candidates = of(name).filter(|signal| signal.version == live || signal.version.is_empty());
            let best = candidates.max_by(|a, b| {
                let rank = |signal: &Signal| (signal.value.is_some(), signal.window_end, signal.version == live);
                rank(a)
                    .cmp(&rank(b))
                    .then_with(|| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)))
            });
            Metric::from_signal(name, best, absent)
                .with_threshold(strictest(&rules, name, &settings, environment))
                .with_spark(self.signal_spark(name, best))
        };
        ModelMetrics {
            request_rate: service(
                names::REQUEST_RATE,
                self.service_spark(model, environment, |step| Some(step.requests as f64 / SPARK_STEP_SECONDS as f64)),
            ),
            error_ratio: service(
                names::ERROR_RATIO,
                self.service_spark(model, environment, |step| Some(step.errors as f64 / step.requests.max(1) as f64)),
            ),
            latency_p95_ms: service(
                names::LATENCY_P95_MS,
                self.service_spark(model, environment, |step| latency::quantile(&step.latencies, 0.95)),
            ),
            feature_shift: judged(names::FEATURE_SHIFT, "no_reference"),
            f1: judged(names::F1, "no_labels"),
            estimated_f1: judged(names::ESTIMATED_F1, "not_computed"),
            silence_s: service(names::SILENCE_S, None),
        }
    }

    fn service_spark(&self, model: &str, environment: &str, value: impl Fn(&ServiceStep) -> Option<f64>) -> Option<Spark> {
        if !self.with_spark {
            return None;
        }
        let mut totals: BTreeMap<i64, ServiceStep> = BTreeMap::new();
        for step in self
            .steps
            .iter()
            .filter(|step| step.model == model && step.environment == environment)
        {
            totals
                .entry(step.start)
                .and_modify(|total| {
                    total.requests += step.requests;
                    total.errors += step.errors;
                    latency::merge(&mut total.latencies, &step.latencies);
                })
                .or_insert_with(|| step.clone());
        }
        Some(self.spark(|start| totals.get(&start).and_then(&value)))
    }

    fn signal_spark(&self, name: &str, like: Option<&Signal>) -> Option<Spark> {
        let like = like.filter(|_| self.with_spark)?;
        let is_same = |signal: &&Signal| {
            signal.name == name
                && (
                    &signal.model,
                    &signal.environment,
                    &signal.version,
                    &signal.subject,
                    signal.window_seconds,
                ) == (&like.model, &like.environment, &like.version, &like.subject, like.window_seconds)
        };
        let points: BTreeMap<i64, Option<f64>> = self
            .day
            .iter()
            .filter(is_same)
            .map(|signal| {
                (
                    (signal.window_end.seconds() - 1).div_euclid(SPARK_STEP_SECONDS) * SPARK_STEP_SECONDS,
                    signal.value,
                )
            })
            .collect();
        Some(self.spark(|start| points.get(&start).copied().flatten()))
    }

    fn spark(&self, value: impl Fn(i64) -> Option<f64>) -> Spark {
        let from = self.now.plus_seconds(-DAY_SECONDS).floor_to(SPARK_STEP_SECONDS).seconds();
        let starts = (from..self.now.seconds()).step_by(SPARK_STEP_SECONDS as usize);
        Spark {
            from,
            step_s: SPARK_STEP_SECONDS,
            values: starts.map(value).collect(),
        }
    }
}
