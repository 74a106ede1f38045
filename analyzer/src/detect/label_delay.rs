//! Learns how long labels of models take for which nobody declares it.

use std::time::Duration;

use driftlead_store::clickhouse::query::quality::label_delay;
use driftlead_store::clock::UnixNanos;

use crate::context::Context;
use crate::error::AnalyzerError;

/// How often it is learnt anew.
const INTERVAL_SECONDS: f64 = 3_600.0;
/// Labels that came in this time are learnt from.
const LEARNT_SECONDS: i64 = 7 * 86_400;
/// Labels below which nothing is learnt.
const MIN_LABELS: u64 = 100;
/// The step to which a delay is rounded up: a shorter one is nobody's business.
const STEP_SECONDS: u64 = 60;

/// When delays were learnt last.
#[derive(Debug, Default)]
pub(crate) struct LearntDelays {
    at: Option<UnixNanos>,
}

impl LearntDelays {
    /// Learns for the first time.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub async fn load(context: &Context) -> Result<Self, AnalyzerError> {
        let mut delays = Self::default();
        delays.step(context).await?;
        Ok(delays)
    }

    /// Looks at the labels of the last days, once an hour.
    ///
    /// # Errors
    /// The telemetry cannot be read at all.
    pub async fn step(&mut self, context: &Context) -> Result<(), AnalyzerError> {
        let now = context.now();
        if self.at.is_some_and(|at| now.seconds_since(at) < INTERVAL_SECONDS) {
            return Ok(());
        }
        for model in context.activity.models() {
            if context.references.settings(&model).label_delay.is_some() {
                continue;
            }
            let seen = label_delay(&context.clickhouse, &model, now.plus_seconds(-LEARNT_SECONDS)).await;
            let seen = match seen.map_err(AnalyzerError::from) {
                Ok(seen) => seen,
                Err(error) if error.is_everybodys() => return Err(error),
                // Quality does not wait for it: what was known before holds on.
                Err(error) => {
                    tracing::warn!(model, %error, "how long labels take could not be learnt; it is tried again in an hour");
                    continue;
                }
            };
            if seen.labels >= MIN_LABELS {
                let delay = rounded(seen.seconds);
                tracing::debug!(
                    model,
                    delay_s = delay.as_secs(),
                    labels = seen.labels,
                    "learnt how long labels take"
                );
                context.label_delays.learn(&model, delay);
            }
        }
        self.at = Some(now);
        Ok(())
    }
}

fn rounded(seconds: f64) -> Duration {
    let steps = (seconds.max(0.0) / STEP_SECONDS as f64).ceil().max(1.0);
    Duration::from_secs(STEP_SECONDS.saturating_mul(steps as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_whole_minutes_and_never_none() {
        assert_eq!([-5.0, 0.0, 59.0, 61.0].map(|seconds| rounded(seconds).as_secs()), [60, 60, 60, 120]);
    }
}
