//! Sets of positions, as the list of ranges that they consist of.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Position;

/// Disjoint ranges of positions, ascending; adjacent ranges are one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RangeSet {
    ranges: Vec<Range<Position>>,
}

impl RangeSet {
    /// Adds a range. An empty one changes nothing.
    pub fn insert(&mut self, range: Range<Position>) {
        if range.start >= range.end {
            return;
        }
        let first = self.ranges.partition_point(|held| held.end < range.start);
        let last = self.ranges.partition_point(|held| held.start <= range.end);
        let merged = self.ranges[first..last]
            .iter()
            .fold(range, |all, held| all.start.min(held.start)..all.end.max(held.end));
        self.ranges.splice(first..last, [merged]);
    }

    /// Whether every position of the range is in the set; true of an empty range.
    pub fn covers(&self, range: &Range<Position>) -> bool {
        range.start >= range.end || self.ranges.iter().any(|held| held.start <= range.start && range.end <= held.end)
    }

    /// What of the range is not in the set, ascending.
    pub fn gaps(&self, range: Range<Position>) -> Vec<Range<Position>> {
        let mut gaps = Vec::new();
        let mut from = range.start;
        for held in &self.ranges {
            if held.start >= range.end {
                break;
            }
            if from < held.start {
                gaps.push(from..held.start);
            }
            from = from.max(held.end);
        }
        if from < range.end {
            gaps.push(from..range.end);
        }
        gaps
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Range<Position>> {
        self.ranges.iter()
    }

    /// The end of the last range.
    pub fn end(&self) -> Option<Position> {
        self.ranges.last().map(|range| range.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(n: u64) -> Position {
        Position {
            segment: n / 10,
            offset: n % 10,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_numbers(inserted in prop::collection::vec((0u64..60, 0u64..60), 0..12), asked in (0u64..60, 0u64..60)) {
            let mut set = RangeSet::default();
            let mut model = [false; 60];
            for (from, to) in inserted {
                set.insert(at(from)..at(to));
                (from..to).for_each(|n| model[n as usize] = true);
            }
            prop_assert_eq!(set.covers(&(at(asked.0)..at(asked.1))), (asked.0..asked.1).all(|n| model[n as usize]));
            let gaps = set.gaps(at(asked.0)..at(asked.1));
            for n in asked.0..asked.1 {
                prop_assert_eq!(gaps.iter().any(|gap| gap.contains(&at(n))), !model[n as usize]);
            }
            prop_assert!(set.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
