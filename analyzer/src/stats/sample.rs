//! A sample of numbers, as sorted distinct values with how often each occurs: what every two-sample statistic reads,
//! whether it comes from rows or from the buckets of a profile.
//!
//! From rows it is exact. From buckets each value is the middle of its bucket, at most 1/256 (0.4 %) off, and values of
//! one bucket are ties; each statistic says in its docs what that changes.

use driftlead_store::bucket;

use super::Undefined;

/// Sorted distinct values and their counts; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    counts: Vec<(f64, u64)>,
    n: u64,
}

impl Sample {
    /// A sample of rows.
    ///
    /// # Errors
    /// There are none, or one of them is NaN or infinite: those are counted apart, before.
    pub fn of_rows(rows: &[f64]) -> Result<Self, Undefined> {
        if rows.iter().any(|row| !row.is_finite()) {
            return Err(Undefined::because("a value is not finite"));
        }
        let mut rows = rows.to_vec();
        rows.sort_unstable_by(f64::total_cmp);
        Self::of_sorted(&rows)
    }

    /// A sample of rows that are finite and ascend.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn of_sorted(rows: &[f64]) -> Result<Self, Undefined> {
        let runs = || rows.chunk_by(|a, b| a == b);
        // Counted before, so that a million distinct values take as much memory as they need.
        let mut counts = Vec::with_capacity(runs().count());
        counts.extend(runs().map(|run| (run[0], run.len() as u64)));
        Self::of_counts(counts)
    }

    /// A sample of a profile's buckets: (key, count) in any order.
    ///
    /// # Errors
    /// There is no value in them.
    pub fn of_buckets(buckets: impl IntoIterator<Item = (i32, u64)>) -> Result<Self, Undefined> {
        let mut counts: Vec<(f64, u64)> = buckets.into_iter().map(|(key, count)| (bucket::middle(key), count)).collect();
        counts.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        counts.dedup_by(|next, one| {
            let is_same = next.0 == one.0;
            if is_same {
                one.1 += next.1;
            }
            is_same
        });
        Self::of_counts(counts)
    }

    fn of_counts(mut counts: Vec<(f64, u64)>) -> Result<Self, Undefined> {
        counts.retain(|(_, count)| *count > 0);
        let n = counts.iter().map(|(_, count)| count).sum();
        if n == 0 {
            return Err(Undefined::because("there are no values"));
        }
        Ok(Self { counts, n })
    }

    /// How many values, repeated ones too.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The distinct values, ascending, and how often each occurs.
    pub fn counts(&self) -> &[(f64, u64)] {
        &self.counts
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.counts.iter().map(|(value, count)| value * *count as f64).sum::<f64>() / self.n as f64
    }

    /// The standard deviation with divisor n. Agrees with `numpy.std`.
    pub fn population_deviation(&self) -> f64 {
        let mean = self.mean();
        let squares = self.counts.iter().map(|(value, count)| (value - mean).powi(2) * *count as f64);
        (squares.sum::<f64>() / self.n as f64).sqrt()
    }

    /// The quantile by linear interpolation between order statistics. Agrees with `numpy.quantile`.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = share.clamp(0.0, 1.0) * (self.n - 1) as f64;
        let (below, part) = (rank.floor(), rank.fract());
        let low = self.at(below as u64);
        let high = self.at(((below as u64) + 1).min(self.n - 1));
        // As numpy does it, so that the last bit agrees.
        if part < 0.5 {
            low + (high - low) * part
        } else {
            high - (high - low) * (1.0 - part)
        }
    }

    /// The value of this rank, counted from 0.
    fn at(&self, rank: u64) -> f64 {
        if self.counts.len() as u64 == self.n {
            return self.counts[usize::try_from(rank).unwrap_or(usize::MAX).min(self.counts.len() - 1)].0;
        }
        let mut passed = 0;
        for (value, count) in &self.counts {
            passed += count;
            if passed > rank {
                return *value;
            }
        }
        self.counts[self.counts.len() - 1].0
    }
}

/// One distinct value of two samples together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// The value.
    pub value: f64,
    /// How often the reference has it.
    pub reference: u64,
    /// How often the window has it.
    pub current: u64,
}

/// The distinct values of both samples, ascending, one after the other: of millions they would fill the memory.
pub fn pooled(reference: &Sample, current: &Sample) -> impl Iterator<Item = Pooled> {
    let (left, right) = (reference.counts.as_slice(), current.counts.as_slice());
    let (mut of_left, mut of_right) = (0, 0);
    std::iter::from_fn(move || {
        let next = (left.get(of_left), right.get(of_right));
        let (value, is_left, is_right) = match next {
            (None, None) => return None,
            (Some(one), None) => (one.0, true, false),
            (None, Some(other)) => (other.0, false, true),
            (Some(one), Some(other)) => (one.0.min(other.0), one.0 <= other.0, other.0 <= one.0),
        };
        let step = Pooled {
            value,
            reference: if is_left { left[of_left].1 } else { 0 },
            current: if is_right { right[of_right].1 } else { 0 },
        };
        of_left += usize::from(is_left);
        of_right += usize::from(is_right);
        Some(step)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_and_buckets_make_the_same_sample_where_buckets_hold_single_numbers() {
        let rows = [3.0, 1.0, 2.0, 3.0, -4.0, 0.0, -0.0];
        let sample = Sample::of_rows(&rows).unwrap();
        assert_eq!(sample.counts(), [(-4.0, 1), (0.0, 2), (1.0, 1), (2.0, 1), (3.0, 2)]);
        let middles = Sample::of_buckets(rows.map(|row| (bucket::key_of(row).unwrap(), 1))).unwrap();
        assert_eq!(middles.n(), 7);
        assert!(
            middles
                .counts()
                .iter()
                .zip(sample.counts())
                .all(|(a, b)| a.1 == b.1 && (a.0 - b.0).abs() <= b.0.abs() / 256.0)
        );
        assert!(Sample::of_rows(&[]).is_err() && Sample::of_buckets([(5, 0)]).is_err());
        assert!(Sample::of_rows(&[1.0, f64::NAN]).is_err());
    }

    #[test]
    fn quantiles_lie_between_order_statistics() {
        let sample = Sample::of_rows(&[4.0, 1.0, 2.0, 2.0]).unwrap();
        assert_eq!(
            [0.0, 1.0 / 3.0, 0.5, 0.9, 1.0].map(|share| sample.quantile(share)),
            [1.0, 2.0, 2.0, 3.4000000000000004, 4.0]
        );
        assert_eq!(Sample::of_rows(&[7.0]).unwrap().quantile(0.3), 7.0);
    }

    proptest! {
        #[test]
        fn pooling_keeps_every_value(a in prop::collection::vec(-3_i8..4, 1..12), b in prop::collection::vec(-3_i8..4, 1..12)) {
            let rows = |side: &[i8]| side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            let (a_sample, b_sample) = (Sample::of_rows(&rows(&a)).unwrap(), Sample::of_rows(&rows(&b)).unwrap());
            let all: Vec<Pooled> = pooled(&a_sample, &b_sample).collect();
            prop_assert!(all.is_sorted_by(|one, next| one.value < next.value));
            for value in -3_i8..4 {
                let found = all.iter().find(|pooled| pooled.value == f64::from(value));
                let expected = (a.iter().filter(|n| **n == value).count() as u64, b.iter().filter(|n| **n == value).count() as u64);
                prop_assert_eq!(found.map_or((0, 0), |pooled| (pooled.reference, pooled.current)), expected);
            }
        }
    }
}
