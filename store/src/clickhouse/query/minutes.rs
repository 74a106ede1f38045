//! What the queries that compute whole minutes share.

use clickhouse::query::Query;

/// Which arms serve traffic: the others are seen, but never counted as traffic.
pub(super) const SERVES: &str = "arm NOT IN ('shadow', 'replay', 'drill')";

/// Few minutes are read without the parts of the table that end this long before them, in seconds: the halves of most
/// requests lie closer. Those of the others are looked for.
const PARTS_BEFORE_SECONDS: i64 = 120;
/// A longer stretch of minutes is read with all of its hours, in seconds: little could be left out.
const SHORT_STRETCH_SECONDS: i64 = 900;

/// The inferences of dirty minutes, deduplicated, as a table expression; [`bind_dirty`] gives it its
/// parameters and settings. A half's hour is that of the first half that was seen, so an inference lies at most one
/// hour of key behind the hour of its event.
///
/// An hour of key may hold millions, and the minutes that are asked for each second are its last ones. Request ids are
/// in no order, but each part of the table holds what came in one stretch of time, so the index of event times leaves
/// out the parts that end before `since`. A request that began in one of those is not of these minutes: it is found by
/// its other half and left out as well. Later parts are all read, for the later halves. The minutes themselves are
/// compared by a hash, which no index can use: a half in the minute before would be left out, and its other half counted
/// as a request of its own.
pub(super) fn dirty_inferences(columns: &str) -> String {
    const KEYS: &str = "model = {model:String} AND key_hour >= toStartOfHour(toDateTime({first:UInt32}, 'UTC')) \
        AND key_hour <= toStartOfHour(toDateTime({last:UInt32}, 'UTC')) + INTERVAL 1 HOUR";
    format!(
        "(SELECT {columns} FROM whole_inferences \
          WHERE {KEYS} AND partial = 0 \
            AND intHash64(toUnixTimestamp(toStartOfMinute(event_time))) IN (SELECT intHash64(arrayJoin({{minutes:Array(UInt32)}}))) \
            AND event_time >= toDateTime({{since:UInt32}}, 'UTC') \
            AND request_id NOT IN (\
              SELECT request_id FROM inferences WHERE {KEYS} AND event_time < toDateTime({{since:UInt32}}, 'UTC') AND request_id IN (\
                SELECT request_id FROM inferences WHERE {KEYS} \
                  AND event_time >= toDateTime({{first:UInt32}}, 'UTC') AND event_time < toDateTime({{until:UInt32}}, 'UTC'))))"
    )
}

pub(super) fn bind_dirty(query: Query, model: &str, minutes: &[i64]) -> Query {
    let minutes: Vec<u32> = minutes.iter().filter_map(|&minute| u32::try_from(minute).ok()).collect();
    let (first, last) = (
        minutes.iter().min().copied().unwrap_or(0),
        minutes.iter().max().copied().unwrap_or(0),
    );
    let (since, until) = looked_for(first, last);
    query
        .with_setting("do_not_merge_across_partitions_select_final", "1")
        .with_setting("use_skip_indexes_if_final", "1")
        .with_setting("use_skip_indexes_if_final_exact_mode", "0")
        .param("model", model)
        .param("first", first)
        .param("last", last)
        .param("since", since)
        .param("until", until)
        .param("minutes", minutes)
}

/// From when on parts are read, and up to when requests that began before are looked for; zeros where all is read.
fn looked_for(first: u32, last: u32) -> (u32, u32) {
    if i64::from(last) - i64::from(first) > SHORT_STRETCH_SECONDS {
        return (0, 0);
    }
    let since = i64::from(first) - PARTS_BEFORE_SECONDS;
    (u32::try_from(since).unwrap_or(0), last.saturating_add(60))
}

/// The key of [`crate::bucket`] of a finite number, 0 for what is not finite, in SQL.
pub(super) fn bucket_key(number: &str) -> String {
    format!(
        "if(isFinite({number}) AND {number} != 0, \
           if({number} < 0, -1, 1) * toInt32(bitShiftRight(reinterpretAsUInt64(abs({number})), 45) + 1), 0)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_minutes_are_read_without_what_ended_before_them_and_many_with_all_of_their_hours() {
        for (first, last, expected) in [
            (6_000, 6_000, (5_880, 6_060)),
            (6_000, 6_900, (5_880, 6_960)),
            (6_000, 6_960, (0, 0)),
            (60, 60, (0, 120)),
        ] {
            assert_eq!(looked_for(first, last), expected, "{first} {last}");
        }
    }
}
