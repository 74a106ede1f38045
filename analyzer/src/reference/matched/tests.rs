use super::*;

const HOUR: i64 = 3_600;
/// A Thursday, as 1970 began with one.
const FROM: i64 = 100 * WEEK_SECONDS;

fn blocks(numbers: std::ops::Range<i64>, inferences: u64) -> Vec<BlockSize> {
    let block = |block| BlockSize {
        block,
        inferences,
        values: 0,
    };
    numbers.map(block).collect()
}

fn found(blocks: &[BlockSize], window_start: i64, seconds: u32) -> Option<(Matching, Vec<i64>)> {
    let found = matched(blocks, FROM, window_start, seconds)?;
    Some((found.matching, found.blocks.iter().map(|block| block.block).collect()))
}

#[test]
fn weeks_give_the_same_hours_of_the_week_and_days_those_of_the_day() {
    let weeks = blocks(0..4 * 168, 400);
    let window = FROM + 4 * WEEK_SECONDS + 30 * HOUR;
    assert_eq!(
        found(&weeks, window, HOUR_SECONDS),
        Some((Matching::HourOfWeek, vec![30, 198, 366, 534]))
    );
    let days = blocks(0..6 * 24, 400);
    assert_eq!(
        found(&days, FROM + 6 * 86_400 + 5 * HOUR, HOUR_SECONDS),
        Some((Matching::HourOfDay, vec![5, 29, 53, 77, 101, 125]))
    );
    assert_eq!(found(&blocks(0..48, 4_000), FROM + 48 * HOUR, HOUR_SECONDS), None);
    assert_eq!(found(&blocks(0..4 * 168, 10), window, HOUR_SECONDS), None, "too little in them");
    let whole_days = blocks(0..28, 9_000);
    assert_eq!(
        found(&whole_days, FROM + 29 * 86_400, DAY_SECONDS),
        Some((Matching::DayOfWeek, vec![1, 8, 15, 22]))
    );
    assert_eq!(found(&whole_days, FROM, 600), None);
}

#[test]
fn what_is_alike_is_compared_over_all_hours_of_the_day() {
    let groups = groups(&blocks(0..4 * 168, 400), FROM, Matching::HourOfWeek, HOUR_SECONDS);
    assert!(
        groups.len() >= 12 && groups.iter().map(Vec::len).sum::<usize>() <= MAX_BLOCKS,
        "{}",
        groups.len()
    );
    let hours: std::collections::BTreeSet<i64> = groups.iter().map(|group| group[0].block % 24).collect();
    assert!(hours.len() >= 12, "{hours:?}");
    for group in &groups {
        assert!(group.windows(2).all(|pair| pair[1].block - pair[0].block == 168), "{group:?}");
    }
}
