//! What the queries that compute whole minutes share.

use clickhouse::query::Query;

/// Which arms serve traffic: the others are seen, but never counted as traffic.
pub(super) const SERVES: &str = "arm NOT IN ('shadow', 'replay', 'drill')";

/// Halves of one request lie at most this far apart in event time; a second that comes later is marked as partial and
/// counts for nothing.
const HALVES_APART_SECONDS: i64 = 900;

/// The inferences of dirty minutes, deduplicated, as a table expression; [`bind_dirty`] gives it its
/// parameters and settings. A half's hour is that of the first half that was seen, so an inference lies at most one
/// hour of key behind the hour of its event.
///
/// An hour of key may hold millions. Request ids are in no order, but each part of the table holds what came in one
/// stretch of time, so the index of event times leaves out the parts that hold neither the minutes nor the other
/// halves of what lies in them. The minutes themselves are compared by a hash, which no index can use: a half in a
/// minute before would be left out, and its other half counted as a request of its own.
pub(super) fn dirty_inferences(columns: &str) -> String {
    format!(
        "(SELECT {columns} FROM whole_inferences \
          WHERE model = {{model:String}} AND partial = 0 \
            AND key_hour >= toStartOfHour(toDateTime({{first:UInt32}}, 'UTC')) \
            AND key_hour <= toStartOfHour(toDateTime({{last:UInt32}}, 'UTC')) + INTERVAL 1 HOUR \
            AND event_time >= toDateTime({{first:UInt32}}, 'UTC') - INTERVAL {HALVES_APART_SECONDS} SECOND \
            AND event_time < toDateTime({{last:UInt32}}, 'UTC') + INTERVAL {HALVES_APART_SECONDS} SECOND + INTERVAL 1 MINUTE \
            AND intHash64(toUnixTimestamp(toStartOfMinute(event_time))) IN (SELECT intHash64(arrayJoin({{minutes:Array(UInt32)}}))))"
    )
}

pub(super) fn bind_dirty(query: Query, model: &str, minutes: &[i64]) -> Query {
    let minutes: Vec<u32> = minutes.iter().filter_map(|&minute| u32::try_from(minute).ok()).collect();
    query
        .with_setting("do_not_merge_across_partitions_select_final", "1")
        .with_setting("use_skip_indexes_if_final", "1")
        .with_setting("use_skip_indexes_if_final_exact_mode", "0")
        .param("model", model)
        .param("first", minutes.iter().min().copied().unwrap_or(0))
        .param("last", minutes.iter().max().copied().unwrap_or(0))
        .param("minutes", minutes)
}

/// The key of [`crate::bucket`] of a finite number, 0 for what is not finite, in SQL.
pub(super) fn bucket_key(number: &str) -> String {
    format!(
        "if(isFinite({number}) AND {number} != 0, \
           if({number} < 0, -1, 1) * toInt32(bitShiftRight(reinterpretAsUInt64(abs({number})), 45) + 1), 0)"
    )
}
