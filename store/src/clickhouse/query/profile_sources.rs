//! From which tables the profile of a stretch of time is read: whole days and hours where their rollups are current, minutes
//! for the rest.

use std::collections::{BTreeMap, BTreeSet};

use clickhouse::error::Error;

use super::minutes::SERVES;
use super::profiles::{Cut, ProfileQuery};
use super::rollups::{MINUTES_RETAINED_SECONDS, RollupGeneration, RollupLength, hours_profiled, rollup_generations};
use crate::clickhouse::ClickHouse;
use crate::clock::{Clock, UnixNanos};

const HOUR: i64 = RollupLength::Hour.seconds();
const DAY: i64 = RollupLength::Day.seconds();

/// What of a stretch is read from which table, as Unix seconds of begins: the same for all environments, versions and segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The whole stretch.
    from: i64,
    until: i64,
    days: BTreeSet<i64>,
    /// Beside those of the days.
    hours: BTreeSet<i64>,
}

impl Sources {
    /// Of a stretch that is cut into blocks: no block shares a rollup with another.
    pub(super) async fn of(clickhouse: &ClickHouse, query: ProfileQuery<'_>, cut: Cut<'_>) -> Result<Self, Error> {
        let (from, until) = (query.from.seconds().max(0), query.until.seconds().max(0));
        if until - from < HOUR {
            return Ok(Self::minutes_alone(from, until));
        }
        let model = Some(query.model);
        let (rolled, profiled) = tokio::try_join!(
            rollup_generations(clickhouse, model, query.from, query.until),
            hours_profiled(clickhouse, model, query.from.floor_to(HOUR), query.until),
        )?;
        Ok(Self::choose(&rolled, &profiled, query, cut, Clock::System.now()))
    }

    fn minutes_alone(from: i64, until: i64) -> Self {
        Self {
            from,
            until,
            days: BTreeSet::new(),
            hours: BTreeSet::new(),
        }
    }

    fn choose(rolled: &[RollupGeneration], profiled: &[RollupGeneration], query: ProfileQuery<'_>, cut: Cut<'_>, now: UnixNanos) -> Self {
        let (from, until) = (query.from.seconds().max(0), query.until.seconds().max(0));
        let profiled: BTreeMap<i64, u64> = profiled.iter().map(|of| (of.begin, of.generation)).collect();
        let frozen_before = now.seconds() - MINUTES_RETAINED_SECONDS;
        let is_current = |of: &RollupGeneration, length: i64| {
            let end = of.begin + length;
            let newest = profiled.range(of.begin..end).map(|(_, &generation)| generation).max();
            let is_true = of.generation >= newest.unwrap_or(0) || of.begin < frozen_before;
            let is_left_out = query.without.iter().any(|&minute| (of.begin..end).contains(&minute));
            let is_inside = from <= of.begin && end <= until;
            let is_of_one_block = cut.seconds % length == 0 && (of.begin - from) % length == 0 || cut.is_whole();
            i64::from(of.seconds) == length && is_true && is_inside && is_of_one_block && !is_left_out
        };
        let of_length = |length: i64| -> BTreeSet<i64> {
            let current = rolled.iter().filter(|of| is_current(of, length));
            current.map(|of| of.begin).collect()
        };
        let days = of_length(DAY);
        let hours = of_length(HOUR)
            .into_iter()
            .filter(|hour| !days.contains(&(hour - hour.rem_euclid(DAY))))
            .collect();
        Self { from, until, days, hours }
    }

    /// The stretch in which all lies that no rollup holds: where the minutes are read, and of them those outside the rollups.
    fn uncovered(&self) -> (i64, i64) {
        let ends: BTreeMap<i64, i64> = self
            .days
            .iter()
            .map(|&day| (day, day + DAY))
            .chain(self.hours.iter().map(|&hour| (hour, hour + HOUR)))
            .collect();
        let mut first = self.from;
        while let Some(&end) = ends.get(&first) {
            first = end;
        }
        let begins: BTreeMap<i64, i64> = ends.iter().map(|(&begin, &end)| (end, begin)).collect();
        let mut last = self.until;
        while last > first
            && let Some(&begin) = begins.get(&last)
        {
            last = begin;
        }
        (first, last.max(first))
    }

    pub(super) fn bind(&self, query: clickhouse::query::Query) -> clickhouse::query::Query {
        let seconds = |of: &BTreeSet<i64>| of.iter().filter_map(|&start| u32::try_from(start).ok()).collect::<Vec<u32>>();
        let bounds = |of: &BTreeSet<i64>| (of.first().copied().unwrap_or(0), of.last().map_or(0, |last| last + 1));
        let ((first_day, last_day), (first_hour, last_hour)) = (bounds(&self.days), bounds(&self.hours));
        let (first_minute, last_minute) = self.uncovered();
        query
            .param("days", seconds(&self.days))
            .param("hours", seconds(&self.hours))
            .param("first_day", first_day)
            .param("last_day", last_day)
            .param("first_hour", first_hour)
            .param("last_hour", last_hour)
            .param("first_minute", first_minute)
            .param("last_minute", last_minute)
    }
}

impl Sources {
    /// The chosen rows that are current and of traffic that was served, with the number of their block, as a table expression with a
    /// condition, to which more can be added by AND. A table from which nothing is read is left out: planning takes longer than reading.
    pub(super) fn current_profiles(&self, columns: &str) -> String {
        let of = |table: &str, start: &str, condition: &str| {
            format!(
                "SELECT model, {start} AS begin, generation, version, feature, {columns}, \
                   if(empty({{segments:Array(String)}}), '', segment) AS part, '{table}' AS source \
                 FROM {table} FINAL \
                 WHERE model = {{model:String}} AND environment = {{environment:String}} AND {condition} \
                   AND ({{any_version:Bool}} OR version = {{version:String}}) \
                   AND ({{any_segment:Bool}} OR segment = {{segment:String}}) \
                   AND (empty({{segments:Array(String)}}) OR has({{segments:Array(String)}}, segment)) AND {SERVES}"
            )
        };
        let (first_minute, last_minute) = self.uncovered();
        let has_rollups = !self.days.is_empty() || !self.hours.is_empty();
        let has_minutes = first_minute < last_minute || !has_rollups;
        let (mut rows, mut generations) = (Vec::new(), Vec::new());
        if has_minutes {
            rows.push(of(
                "profiles_minute",
                "minute",
                "minute >= toDateTime({first_minute:Int64}, 'UTC') AND minute < toDateTime({last_minute:Int64}, 'UTC') \
                 AND NOT has({hours:Array(UInt32)}, toUnixTimestamp(toStartOfHour(minute))) \
                 AND NOT has({days:Array(UInt32)}, toUnixTimestamp(toDateTime(toStartOfDay(minute), 'UTC'))) \
                 AND NOT has({without:Array(UInt32)}, toUnixTimestamp(minute))",
            ));
            generations.push(
                "SELECT 'profiles_minute' AS source, minute AS begin, max(generation) AS current FROM minute_generations \
                 WHERE consumer = 'profiles' AND model = {model:String} \
                   AND minute >= toDateTime({first_minute:Int64}, 'UTC') AND minute < toDateTime({last_minute:Int64}, 'UTC') \
                 GROUP BY minute",
            );
        }
        if !self.hours.is_empty() {
            rows.push(of(
                "profiles_hour",
                "start",
                "start >= toDateTime({first_hour:Int64}, 'UTC') AND start < toDateTime({last_hour:Int64}, 'UTC') \
                 AND has({hours:Array(UInt32)}, toUnixTimestamp(start))",
            ));
        }
        if !self.days.is_empty() {
            rows.push(of(
                "profiles_day",
                "start",
                "start >= toDateTime({first_day:Int64}, 'UTC') AND start < toDateTime({last_day:Int64}, 'UTC') \
                 AND has({days:Array(UInt32)}, toUnixTimestamp(start))",
            ));
        }
        if has_rollups {
            generations.push(
                "SELECT if(seconds = 3600, 'profiles_hour', 'profiles_day') AS source, start AS begin, max(generation) AS current \
                 FROM rollup_generations \
                 WHERE model = {model:String} AND start >= toDateTime({from:Int64}, 'UTC') AND start < toDateTime({until:Int64}, 'UTC') \
                 GROUP BY seconds, start",
            );
        }
        format!(
            "(SELECT *, intDiv(toInt64(toUnixTimestamp(begin)) - {{from:Int64}}, {{block:Int64}}) AS block FROM ({rows})) AS profiles \
             INNER JOIN ({generations}) AS generations USING (source, begin) \
             WHERE generation >= current AND (empty({{blocks:Array(Int64)}}) OR has({{blocks:Array(Int64)}}, block))",
            rows = rows.join(" UNION ALL "),
            generations = generations.join(" UNION ALL "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 100 * DAY;

    fn of(length: RollupLength, begin: i64, generation: u64) -> RollupGeneration {
        RollupGeneration {
            model: "m".into(),
            seconds: u32::try_from(length.seconds()).unwrap(),
            begin,
            generation,
        }
    }

    fn query(from: i64, until: i64, without: &[i64]) -> ProfileQuery<'_> {
        ProfileQuery {
            model: "m",
            environment: "",
            version: None,
            segment: None,
            from: UnixNanos::from_seconds(from),
            until: UnixNanos::from_seconds(until),
            without,
        }
    }

    /// Two days whose hours were all profiled at generation 5, all rolled up, the first as a day.
    fn two_days() -> (Vec<RollupGeneration>, Vec<RollupGeneration>) {
        let first = NOW - 2 * DAY;
        let hours: Vec<RollupGeneration> = (0..48).map(|hour| of(RollupLength::Hour, first + hour * HOUR, 5)).collect();
        let rolled = hours.iter().cloned().chain([of(RollupLength::Day, first, 5)]).collect();
        (rolled, hours)
    }

    fn chosen(from: i64, until: i64, without: &[i64], cut: Cut<'_>) -> Sources {
        let (rolled, profiled) = two_days();
        Sources::choose(&rolled, &profiled, query(from, until, without), cut, UnixNanos::from_seconds(NOW))
    }

    #[test]
    fn days_are_read_before_hours_and_those_before_minutes() {
        let first = NOW - 2 * DAY;
        let whole = chosen(first, NOW, &[], Cut::WHOLE);
        assert_eq!((whole.days.len(), whole.hours.len(), whole.uncovered()), (1, 24, (NOW, NOW)));
        // From within an hour: that hour's minutes, and hours for the rest of the day.
        let part = chosen(first + 600, NOW - 600, &[], Cut::WHOLE);
        assert_eq!((part.days.len(), part.hours.len()), (0, 46));
        assert_eq!(part.uncovered(), (first + 600, NOW - 600));
        let edge = chosen(first, NOW + 600, &[], Cut::WHOLE);
        assert_eq!(edge.uncovered(), (NOW, NOW + 600));
    }

    #[test]
    fn blocks_share_no_rollup_and_minutes_that_are_left_out_none_at_all() {
        let first = NOW - 2 * DAY;
        let cut = |seconds: i64| Cut { seconds, ..Cut::WHOLE };
        assert_eq!(
            (
                chosen(first, NOW, &[], cut(HOUR)).days.len(),
                chosen(first, NOW, &[], cut(HOUR)).hours.len()
            ),
            (0, 48)
        );
        assert_eq!(chosen(first, NOW, &[], cut(DAY)).days.len(), 1);
        // Days that begin at noon are made of hours, hours that begin at ten past of minutes.
        let noon = chosen(first + DAY / 2, NOW, &[], cut(DAY));
        assert_eq!((noon.days.len(), noon.hours.len()), (0, 36));
        assert_eq!(chosen(first + 600, NOW, &[], cut(HOUR)).hours.len(), 0);
        let without = chosen(first, NOW, &[first + 60], Cut::WHOLE);
        assert_eq!((without.days.len(), without.hours.len()), (0, 47));
        assert_eq!(without.uncovered(), (first, first + HOUR));
    }

    #[test]
    fn what_newer_minutes_changed_is_not_read_unless_the_minutes_may_be_gone() {
        let (rolled, mut profiled) = two_days();
        profiled[3].generation = 6;
        let at = |now: i64| {
            let query = query(NOW - 2 * DAY, NOW, &[]);
            let sources = Sources::choose(&rolled, &profiled, query, Cut::WHOLE, UnixNanos::from_seconds(now));
            (sources.days.len(), sources.hours.len())
        };
        assert_eq!(at(NOW), (0, 47));
        assert_eq!(at(NOW + 20 * DAY), (1, 24));
    }
}
