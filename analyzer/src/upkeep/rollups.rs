//! Keeping `profiles_hour` and `profiles_day` true: an hour is rolled up when the model's watermark has passed it, and again
//! when its minutes changed; a day when all its hours are.

use std::collections::{BTreeMap, HashMap};

use driftlead_store::clickhouse::query::rollups::{
    MINUTES_RETAINED_SECONDS, RollupGeneration, RollupLength, hours_profiled, rollup_generations, write_rollup,
};
use driftlead_store::clock::UnixNanos;

use super::ComputedMinutes;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::failures::Failures;

/// Rollups of one step at most, so that new minutes are profiled between them.
const MAX_ROLLUPS_PER_STEP: usize = 16;
/// Shortest time between two rollups of the same hour or day that late data changes, in seconds.
const LATE_DATA_SECONDS: f64 = 300.0;

/// A model, the begin of an hour or day in Unix seconds, and which of both.
type Key = (i64, RollupLength, String);

/// Hours and days whose rollups are not as their minutes are.
#[derive(Debug, Default)]
pub(crate) struct Rollups {
    /// The generation of the newest minute of each.
    due: BTreeMap<Key, u64>,
    /// When each was rolled up last, of those that may be again soon.
    rolled_at: HashMap<Key, UnixNanos>,
    failures: Failures<Key>,
}

impl Rollups {
    /// What earlier runs left.
    ///
    /// # Errors
    /// The telemetry cannot be read.
    pub async fn load(context: &Context) -> Result<Self, AnalyzerError> {
        let now = context.now();
        let from = now.plus_seconds(-MINUTES_RETAINED_SECONDS).floor_to(RollupLength::Day.seconds());
        let until = now.plus_seconds(RollupLength::Day.seconds());
        let profiled = hours_profiled(&context.clickhouse, None, from, until).await?;
        let rolled = rollup_generations(&context.clickhouse, None, from, until).await?;
        let mut rollups = Self {
            due: stale(&profiled, &rolled),
            ..Self::default()
        };
        rollups.forget(now);
        Ok(rollups)
    }

    /// Minutes were profiled.
    pub fn note(&mut self, profiled: &[ComputedMinutes]) {
        for of_model in profiled {
            for minute in &of_model.minutes {
                for length in [RollupLength::Hour, RollupLength::Day] {
                    let start = minute - minute.rem_euclid(length.seconds());
                    let newest = self.due.entry((start, length, of_model.model.clone())).or_default();
                    *newest = (*newest).max(of_model.generation);
                }
            }
        }
    }

    /// Rolls up what is due, and says whether there is more.
    ///
    /// # Errors
    /// The telemetry cannot be reached; what is left stays due.
    pub async fn step(&mut self, context: &Context) -> Result<bool, AnalyzerError> {
        let now = context.now();
        self.forget(now);
        let mut due = self.due(|model| context.activity.watermark(model, now), now);
        let more = due.len() > MAX_ROLLUPS_PER_STEP;
        due.truncate(MAX_ROLLUPS_PER_STEP);
        for key in due {
            if context.stop.is_cancelled() {
                return Ok(false);
            }
            let (start, length, model) = &key;
            let generation = self.due.get(&key).copied().unwrap_or(0);
            match write_rollup(&context.clickhouse, model, *length, *start, generation).await {
                Ok(()) => {
                    self.due.remove(&key);
                    self.failures.succeeded(&key);
                    self.rolled_at.insert(key, now);
                }
                Err(error) => {
                    let error = AnalyzerError::from(error);
                    let retry_in_s = self.failures.failed(key.clone(), now);
                    if error.is_everybodys() {
                        return Err(error);
                    }
                    tracing::warn!(model, start, seconds = length.seconds(), retry_in_s, %error, "profiles could not be rolled up");
                }
            }
        }
        Ok(more)
    }

    /// What can be rolled up now, the oldest first.
    fn due(&self, watermark: impl Fn(&str) -> Option<UnixNanos>, now: UnixNanos) -> Vec<Key> {
        let is_ripe = |key: &&Key| {
            let (start, length, model) = *key;
            let end = UnixNanos::from_seconds(start + length.seconds());
            let is_complete = watermark(model).is_some_and(|watermark| end <= watermark);
            let is_long_ago = self
                .rolled_at
                .get(*key)
                .is_none_or(|&at| now < at || now.seconds_since(at) >= LATE_DATA_SECONDS);
            let are_hours_rolled = *length == RollupLength::Hour || !self.has_due_hours(*start, model);
            is_complete && is_long_ago && are_hours_rolled && self.failures.may_try(key, now)
        };
        self.due.keys().filter(is_ripe).cloned().collect()
    }

    fn has_due_hours(&self, day: i64, model: &str) -> bool {
        let hours = (0..RollupLength::Day.seconds()).step_by(3_600);
        hours
            .map(|into| (day + into, RollupLength::Hour, model.to_owned()))
            .any(|hour| self.due.contains_key(&hour))
    }

    /// Forgets what may have lost minutes: its rollup stays as it is.
    fn forget(&mut self, now: UnixNanos) {
        let oldest = now.plus_seconds(-MINUTES_RETAINED_SECONDS).seconds();
        self.due.retain(|(start, ..), _| *start >= oldest);
        self.rolled_at.retain(|_, at| now.seconds_since(*at) < LATE_DATA_SECONDS);
        let due = &self.due;
        self.failures.retain(|key| due.contains_key(key));
    }
}

/// Hours and days that have newer minutes than their rollups.
fn stale(profiled: &[RollupGeneration], rolled: &[RollupGeneration]) -> BTreeMap<Key, u64> {
    let mut due: BTreeMap<Key, u64> = BTreeMap::new();
    for hour in profiled {
        for length in [RollupLength::Hour, RollupLength::Day] {
            let start = hour.begin - hour.begin.rem_euclid(length.seconds());
            let newest = due.entry((start, length, hour.model.clone())).or_default();
            *newest = (*newest).max(hour.generation);
        }
    }
    for of in rolled {
        let length = [RollupLength::Hour, RollupLength::Day]
            .into_iter()
            .find(|length| length.seconds() == i64::from(of.seconds));
        let Some(length) = length else { continue };
        let key = (of.begin, length, of.model.clone());
        if due.get(&key).is_some_and(|&newest| newest <= of.generation) {
            due.remove(&key);
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 86_400;
    const START: i64 = 100 * DAY;

    fn computed(minutes: &[i64], generation: u64) -> ComputedMinutes {
        ComputedMinutes {
            model: "m".into(),
            minutes: minutes.to_vec(),
            generation,
        }
    }

    fn due(rollups: &Rollups, now: i64) -> Vec<(i64, RollupLength)> {
        let at = UnixNanos::from_seconds;
        let keys = rollups.due(|_| Some(at(now)), at(now)).into_iter();
        keys.map(|(start, length, _)| (start, length)).collect()
    }

    fn done(rollups: &mut Rollups, key: (i64, RollupLength), now: i64) {
        let key = (key.0, key.1, "m".to_owned());
        rollups.due.remove(&key);
        rollups.rolled_at.insert(key, UnixNanos::from_seconds(now));
    }

    #[test]
    fn an_hour_waits_for_its_end_and_a_day_for_its_hours() {
        let mut rollups = Rollups::default();
        rollups.note(&[computed(&[START, START + 60, START + 23 * HOUR], 7)]);
        assert_eq!(due(&rollups, START + HOUR - 1), []);
        assert_eq!(due(&rollups, START + HOUR), [(START, RollupLength::Hour)]);
        done(&mut rollups, (START, RollupLength::Hour), START + HOUR);
        assert_eq!(due(&rollups, START + DAY), [(START + 23 * HOUR, RollupLength::Hour)]);
        done(&mut rollups, (START + 23 * HOUR, RollupLength::Hour), START + DAY);
        assert_eq!(due(&rollups, START + DAY), [(START, RollupLength::Day)]);
    }

    #[test]
    fn late_data_rolls_up_again_but_not_at_once() {
        let mut rollups = Rollups::default();
        rollups.note(&[computed(&[START], 7)]);
        let now = START + 2 * HOUR;
        done(&mut rollups, (START, RollupLength::Hour), now);
        rollups.note(&[computed(&[START], 8)]);
        assert_eq!(due(&rollups, now + 299), []);
        assert_eq!(due(&rollups, now + 300), [(START, RollupLength::Hour)]);
        rollups.forget(UnixNanos::from_seconds(START + 20 * DAY));
        assert!(rollups.due.is_empty());
    }

    #[test]
    fn what_an_earlier_run_left_is_found() {
        let of = |seconds: i64, begin: i64, generation: u64| RollupGeneration {
            model: "m".into(),
            seconds: u32::try_from(seconds).unwrap(),
            begin,
            generation,
        };
        let profiled = [of(HOUR, START, 5), of(HOUR, START + HOUR, 6)];
        let left = stale(&profiled, &[of(HOUR, START, 5), of(HOUR, START + HOUR, 5), of(DAY, START, 5)]);
        let left: Vec<_> = left
            .into_iter()
            .map(|((start, length, _), generation)| (start, length, generation))
            .collect();
        assert_eq!(left, [(START, RollupLength::Day, 6), (START + HOUR, RollupLength::Hour, 6)]);
        assert!(stale(&profiled, &[of(HOUR, START, 5), of(HOUR, START + HOUR, 6), of(DAY, START, 6)]).is_empty());
    }
}
