//! One column of a file.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use driftlead_store::bucket;
use driftlead_store::records::{FeatureCounts, MAX_CATEGORIES};

use super::Kind;
use crate::stats::Undefined;
use crate::stats::sample::Sample;

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    kind: Kind,
    absent: u64,
    /// Finite numbers; they ascend once all rows are read.
    numbers: Vec<f64>,
    nan: u64,
    positive_infinity: u64,
    negative_infinity: u64,
    /// Categories; of a numeric column what is no number.
    values: HashMap<Box<str>, u64, RandomState>,
}

impl Column {
    /// A column without rows.
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            absent: 0,
            numbers: Vec::new(),
            nan: 0,
            positive_infinity: 0,
            negative_infinity: 0,
            values: HashMap::default(),
        }
    }

    /// A column of so many rows, none of which has a value.
    pub fn without_values(kind: Kind, rows: u64) -> Self {
        Self {
            absent: rows,
            ..Self::new(kind)
        }
    }

    /// Makes room for so many rows, so that a column of numbers takes as much memory as it needs.
    pub(super) fn reserve(&mut self, rows: usize) {
        if self.kind == Kind::Numeric {
            self.numbers.reserve_exact(rows);
        }
    }

    /// All rows are read.
    pub(super) fn sort(&mut self) {
        // In place: both vectors have elements of eight bytes. Whole numbers are compared in one instruction.
        let mut keys: Vec<i64> = std::mem::take(&mut self.numbers).into_iter().map(ordered).collect();
        keys.sort_unstable();
        self.numbers = keys.into_iter().map(number_of).collect();
    }

    /// Takes rows without a value.
    pub(super) fn add_absent(&mut self, count: u64) {
        self.absent += count;
    }

    /// Takes a number.
    pub(super) fn add_number(&mut self, number: f64) {
        if number.is_finite() {
            self.numbers.push(number);
        } else if number.is_nan() {
            self.nan += 1;
        } else if number > 0.0 {
            self.positive_infinity += 1;
        } else {
            self.negative_infinity += 1;
        }
    }

    /// Takes a category.
    pub(super) fn add_value(&mut self, value: &str) {
        self.add_values(value, 1);
    }

    /// Takes so many of a category.
    pub(super) fn add_values(&mut self, value: &str, count: u64) {
        match self.values.get_mut(value) {
            Some(known) => *known += count,
            None => {
                self.values.insert(value.into(), count);
            }
        }
    }

    /// Takes a field of a text file: empty is absent; in a numeric column what parses is a number.
    pub(super) fn add_field(&mut self, field: &str) {
        if field.is_empty() {
            self.absent += 1;
            return;
        }
        match (self.kind, field.trim().parse()) {
            (Kind::Numeric, Ok(number)) => self.add_number(number),
            _ => self.add_value(field),
        }
    }

    /// What the column is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows, with or without a value.
    pub fn rows(&self) -> u64 {
        self.absent + self.numbers.len() as u64 + self.not_finite().iter().sum::<u64>() + self.values.values().sum::<u64>()
    }

    /// Rows without a value.
    pub fn absent(&self) -> u64 {
        self.absent
    }

    /// Values that are NaN, +∞ and −∞.
    pub fn not_finite(&self) -> [u64; 3] {
        [self.nan, self.positive_infinity, self.negative_infinity]
    }

    /// Values of a numeric column that are no numbers.
    pub fn type_mismatches(&self) -> u64 {
        match self.kind {
            Kind::Numeric => self.values.values().sum(),
            Kind::Categorical => 0,
        }
    }

    /// Every category and how often it occurs.
    pub fn categories(&self) -> BTreeMap<String, u64> {
        self.values.iter().map(|(value, count)| (value.to_string(), *count)).collect()
    }

    /// Its finite numbers, sorted and counted.
    ///
    /// # Errors
    /// There are none.
    pub fn sample(&self) -> Result<Sample, Undefined> {
        Sample::of_sorted(&self.numbers)
    }

    /// What a window of telemetry with these values would be remembered by. Of more than [`MAX_CATEGORIES`] categories the most
    /// frequent are told apart.
    pub fn profile(&self) -> FeatureCounts {
        let mut counts = FeatureCounts {
            inferences: self.rows(),
            absent: self.absent,
            nan: self.nan,
            positive_infinity: self.positive_infinity,
            negative_infinity: self.negative_infinity,
            ..FeatureCounts::default()
        };
        // Neighbours are of one bucket.
        for of_bucket in self.numbers.chunk_by(|a, b| bucket::key_of(*a) == bucket::key_of(*b)) {
            if let Some(key) = bucket::key_of(of_bucket[0]) {
                *counts.buckets.entry(key).or_default() += of_bucket.len() as u64;
            }
        }
        let mut values: Vec<(&str, u64)> = self.values.iter().map(|(value, count)| (&**value, *count)).collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let rare = values.split_off(values.len().min(MAX_CATEGORIES));
        counts.values = values.into_iter().map(|(value, count)| (value.to_owned(), count)).collect();
        counts.other = rare.iter().map(|(_, count)| count).sum();
        counts
    }
}

/// A whole number for each number, in the order of [`f64::total_cmp`].
fn ordered(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// What [`ordered`] made it from: the same step turns back.
fn number_of(key: i64) -> f64 {
    f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_sorted_as_a_total_order_has_them(numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 0..50)) {
            let mut column = Column::new(Kind::Numeric);
            numbers.iter().for_each(|number| column.add_number(*number));
            column.sort();
            let mut expected = numbers.clone();
            expected.sort_by(f64::total_cmp);
            let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&column.numbers), bits(&expected));
        }
    }
}
