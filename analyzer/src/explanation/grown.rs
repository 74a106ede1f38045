//! The values that a window has surely more of than the reference, and those that it has less of.

use std::collections::{BTreeSet, HashMap};

use driftlead_store::bucket;
use serde::Serialize;

use crate::sampling::columns::{Column, Value};
use crate::stats::shift::{Bin, Special};

/// Standard deviations from which on a value grew or shrank.
const SURE: f64 = 2.0;

/// A bin and its shares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The bin, with its counts.
    #[serde(flatten)]
    pub bin: Bin,
    /// Its share of the reference.
    pub reference_share: f64,
    /// Its share of the window.
    pub current_share: f64,
}

/// The bins that grew and those that shrank by more than two standard deviations, those that changed most first.
pub(super) fn changes(bins: &[Bin]) -> (Vec<Change>, Vec<Change>) {
    let total = |of: fn(&Bin) -> u64| bins.iter().map(of).sum::<u64>() as f64;
    let (reference_n, n) = (total(|bin| bin.reference), total(|bin| bin.current));
    if reference_n == 0.0 || n == 0.0 {
        return (Vec::new(), Vec::new());
    }
    let mut changed: Vec<(f64, Change)> = bins
        .iter()
        .filter_map(|bin| {
            let (before, now) = (bin.reference as f64 / reference_n, bin.current as f64 / n);
            let pooled = (bin.reference + bin.current) as f64 / (reference_n + n);
            let deviation = (pooled * (1.0 - pooled) * (1.0 / reference_n + 1.0 / n)).sqrt();
            let change = Change {
                bin: bin.clone(),
                reference_share: before,
                current_share: now,
            };
            ((now - before).abs() > SURE * deviation).then_some((now - before, change))
        })
        .collect();
    changed.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let (grew, shrank): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(by, _)| *by > 0.0);
    let only = |changed: Vec<(f64, Change)>| changed.into_iter().map(|(_, change)| change).collect();
    (only(grew), only(shrank))
}

/// Which bin of a feature a value lies in.
#[derive(Debug)]
pub(super) struct Places {
    /// From, to (exclusive), index of the bin; ascending.
    ranges: Vec<(f64, f64, usize)>,
    numbers: Vec<(i32, usize)>,
    categories: HashMap<String, usize>,
    specials: Vec<(Special, usize)>,
}

impl Places {
    pub fn of(bins: &[Bin]) -> Self {
        let mut places = Self {
            ranges: Vec::new(),
            numbers: Vec::new(),
            categories: HashMap::new(),
            specials: Vec::new(),
        };
        for (index, bin) in bins.iter().enumerate() {
            match (&bin.value, bin.special) {
                (_, Some(special)) => places.specials.push((special, index)),
                (Some(value), None) => {
                    if let Some(key) = value.parse().ok().and_then(bucket::key_of) {
                        places.numbers.push((key, index));
                    }
                    places.categories.insert(value.clone(), index);
                }
                (None, None) => places
                    .ranges
                    .push((bin.from.unwrap_or(f64::NEG_INFINITY), bin.to.unwrap_or(f64::INFINITY), index)),
            }
        }
        places.numbers.sort_unstable();
        places
    }

    /// The index of the bin; `None` where the bins know no such value.
    pub fn bin(&self, value: &Value) -> Option<usize> {
        let special = |special: Special| self.specials.iter().find(|(of, _)| *of == special).map(|(_, index)| *index);
        match value {
            Value::Absent => special(Special::Absent),
            Value::Nan => special(Special::Nan),
            Value::PositiveInfinity => special(Special::PositiveInfinity),
            Value::NegativeInfinity => special(Special::NegativeInfinity),
            Value::Category(text) => self.categories.get(&**text).copied().or_else(|| special(Special::Other)),
            Value::Number(number) => self
                .of_number(*number)
                // A number that the profile has among its categories, as a sender of both kinds leaves it.
                .or_else(|| special(Special::Other)),
        }
    }

    fn of_number(&self, number: f64) -> Option<usize> {
        let key = bucket::key_of(number)?;
        if let Ok(at) = self.numbers.binary_search_by_key(&key, |(known, _)| *known) {
            return Some(self.numbers[at].1);
        }
        let range = self.ranges.iter().find(|(from, to, _)| (*from..*to).contains(&number));
        range.map(|(.., index)| *index)
    }
}

/// Of each row of both sides whether its value is one that grew.
pub(super) fn grown_rows(column: &Column, bins: &[Bin], grew: &[Change]) -> [Vec<bool>; 2] {
    let places = Places::of(bins);
    let has_grown = |bin: &Bin| grew.iter().any(|change| change.bin == *bin);
    let grown: BTreeSet<usize> = (0..bins.len()).filter(|&index| has_grown(&bins[index])).collect();
    let of_side = |side: usize| {
        let values = column.sides[side].iter();
        values
            .map(|value| places.bin(value).is_some_and(|bin| grown.contains(&bin)))
            .collect()
    };
    [0, 1].map(of_side)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(reference: u64, current: u64) -> Bin {
        Bin {
            reference,
            current,
            ..Bin::default()
        }
    }

    #[test]
    fn what_grew_and_shrank_is_told_from_chance_and_rows_are_found_again() {
        let range = |from: f64, to: f64, counts: Bin| Bin {
            from: Some(from),
            to: Some(to),
            ..counts
        };
        let value = |text: &str, counts: Bin| Bin {
            value: Some(text.to_owned()),
            ..counts
        };
        let absent = Bin {
            special: Some(Special::Absent),
            ..bin(100, 500)
        };
        let bins = [
            range(0.0, 10.0, bin(5_000, 3_000)),
            value("10", bin(1_000, 1_020)),
            range(11.0, 20.0, bin(2_000, 3_480)),
            value("unknown", bin(1_900, 2_000)),
            absent,
        ];
        let (grew, shrank) = changes(&bins);
        let shares = |changes: &[Change]| {
            changes
                .iter()
                .map(|change| (change.reference_share, change.current_share))
                .collect::<Vec<_>>()
        };
        assert_eq!(shares(&grew), [(0.2, 0.348), (0.01, 0.05)]);
        assert_eq!(shares(&shrank), [(0.5, 0.3)]);
        let column = Column {
            sides: [
                vec![Value::Number(11.0), Value::Number(10.0), Value::Number(20.0)],
                vec![Value::Absent, Value::Nan, Value::Category("unknown".into())],
            ],
        };
        let expected = [vec![true, false, false], vec![true, false, false]];
        assert_eq!(grown_rows(&column, &bins, &grew), expected);
        assert_eq!(changes(&[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_value_of_no_bin_is_another_where_there_is_such_a_bin() {
        let other = Bin {
            special: Some(Special::Other),
            ..bin(1, 1)
        };
        let named = Bin {
            value: Some("a".into()),
            ..bin(1, 1)
        };
        let places = Places::of(&[named.clone(), other]);
        assert_eq!(places.bin(&Value::Category("b".into())), Some(1));
        assert_eq!(places.bin(&Value::Category("a".into())), Some(0));
        assert_eq!(Places::of(&[named]).bin(&Value::Category("b".into())), None);
    }
}
