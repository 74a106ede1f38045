//! How many records a search finds: in all, by step of time, and by the values of some fields, in one pass.

use clickhouse::Row;
use serde::Deserialize;

use super::Search;
use crate::clickhouse::TelemetryError;
use crate::clock::UnixNanos;
use crate::index::{Facet, Histogram, MAX_SHOWN_VALUES, MAX_STEPS, steps_over};

/// Most groups of each set that come back: as many as there are steps, and more than values are shown.
const MAX_GROUPS_OF_SET: i64 = MAX_STEPS + 1;
/// Longest value of a facet, in characters.
const MAX_VALUE_CHARACTERS: usize = 256;

/// What was counted.
pub(super) struct Counts {
    pub total: u64,
    pub facets: Vec<Facet>,
    pub histogram: Histogram,
}

/// First and last event time of a table; both 0 when it is empty.
#[derive(Row, Deserialize)]
struct Extent {
    records: u64,
    first: i64,
    last: i64,
}

/// How many records have a value: of the step of time, or of a facet.
#[derive(Row, Deserialize)]
struct Group {
    /// One bit for each of step and facets, the step's the highest: 0 where the group is one of it.
    set: u64,
    value: String,
    records: u64,
}

/// Counts what a search finds.
pub(super) async fn count(search: &Search) -> Result<Counts, TelemetryError> {
    let (first, last) = range(search).await?;
    let steps = steps_over(first, last, MAX_STEPS);
    let facets = search.kind.facets();
    let columns: Vec<String> = facets
        .iter()
        .enumerate()
        .map(|(n, (_, text))| format!("substringUTF8({text}, 1, {MAX_VALUE_CHARACTERS}) AS facet_{n}"))
        .collect();
    let names: Vec<String> = (0..facets.len()).map(|n| format!("facet_{n}")).collect();
    let sets: Vec<String> = std::iter::once("(step)".to_owned())
        .chain(names.iter().map(|name| format!("({name})")))
        .collect();
    let condition = search.condition(search.from, search.to);
    // Of each set the steps, or the most frequent values and how many have none.
    let sql = format!(
        "SELECT toUInt64(grouping(step, {names})) AS set, if(grouping(step) = 0, toString(step), concat({names})) AS value, count() AS records \
         FROM (SELECT intDiv(toUnixTimestamp64Nano(Timestamp), {{step_ns:Int64}}) AS step, {columns} FROM {table} WHERE {condition}) \
         GROUP BY GROUPING SETS ({sets}) \
         ORDER BY empty(value) DESC, records DESC, value LIMIT {MAX_GROUPS_OF_SET} BY set",
        names = names.join(", "),
        columns = columns.join(", "),
        table = search.kind.table(),
        condition = condition.sql,
        sets = sets.join(", "),
    );
    let step_ns = steps.step_seconds * 1_000_000_000;
    let query = condition.bind(search.query(&sql)).param("step_ns", step_ns);
    let groups: Vec<Group> = query.fetch_all().await?;

    let mut histogram = vec![0; steps.count];
    let mut values: Vec<Vec<(String, u64)>> = vec![Vec::new(); facets.len()];
    let mut total = 0;
    for group in groups {
        match set_of(group.set, facets.len()) {
            Some(0) => {
                total += group.records;
                let step: i64 = group.value.parse().unwrap_or_default();
                let place = step - steps.from_seconds.div_euclid(steps.step_seconds);
                if let Some(count) = usize::try_from(place).ok().and_then(|place| histogram.get_mut(place)) {
                    *count += group.records;
                }
            }
            Some(facet) => values[facet - 1].push((group.value, group.records)),
            None => {}
        }
    }
    Ok(Counts {
        total,
        facets: facets
            .iter()
            .zip(values)
            .map(|((name, _), values)| facet(name, values, total))
            .collect(),
        histogram: Histogram {
            from_seconds: steps.from_seconds,
            step_seconds: steps.step_seconds,
            counts: histogram,
        },
    })
}

/// Which of `facets` + 1 sets a group is of: the one whose bit is 0.
fn set_of(bits: u64, facets: usize) -> Option<usize> {
    (0..=facets).find(|set| bits >> (facets - set) & 1 == 0)
}

/// `values` are the most frequent ones, and "" with how many have none.
fn facet(field: &'static str, mut values: Vec<(String, u64)>, total: u64) -> Facet {
    let without: u64 = values.iter().filter(|(value, _)| value.is_empty()).map(|(_, count)| count).sum();
    values.retain(|(value, _)| !value.is_empty());
    values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(MAX_SHOWN_VALUES);
    let shown: u64 = values.iter().map(|(_, count)| count).sum();
    Facet {
        field,
        values,
        other: total.saturating_sub(without + shown),
    }
}

/// What was asked for, else what there is.
pub(super) async fn range(search: &Search) -> Result<(UnixNanos, UnixNanos), TelemetryError> {
    let end = search.to.map(|to| UnixNanos(to.0.saturating_sub(1)));
    if let (Some(from), Some(last)) = (search.from, end) {
        return Ok((from, last));
    }
    let sql = format!(
        "SELECT count() AS records, toUnixTimestamp64Nano(min(Timestamp)) AS first, toUnixTimestamp64Nano(max(Timestamp)) AS last FROM {}",
        search.kind.table()
    );
    let extent: Extent = search.query(&sql).fetch_one().await?;
    let known = |instant: i64| (extent.records > 0).then_some(UnixNanos(instant));
    let first = search.from.or(known(extent.first)).or(end).unwrap_or_default();
    let last = end.or(known(extent.last)).unwrap_or(first);
    Ok((first, last.max(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_belongs_to_the_set_whose_bit_is_missing() {
        for (bits, expected) in [(0b011, Some(0)), (0b101, Some(1)), (0b110, Some(2)), (0b111, None)] {
            assert_eq!(set_of(bits, 2), expected);
        }
    }

    #[test]
    fn a_facet_shows_the_most_frequent_values_and_how_many_are_left() {
        let values = (0..30).map(|n| (n.to_string(), n + 1)).chain([(String::new(), 9)]).collect();
        let facet = facet("model", values, 474 + 6);
        assert_eq!(facet.values.len(), MAX_SHOWN_VALUES);
        assert_eq!(facet.values[0], ("29".into(), 30));
        assert_eq!(facet.other, (1..=10).sum::<u64>() + 6);
    }
}
