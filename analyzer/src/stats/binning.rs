//! Binning: how numbers and categories of two samples are counted side by side, for the statistics that compare shares.
//!
//! From profile buckets the values of one bucket are ties in its middle: those near to an edge, within [`BUCKETING`], may be
//! counted on its other side. Total variation and L-infinity change by at most the shares of such values in both samples.
//! Edges of bucketed values fit bucketed values only.

use std::collections::BTreeMap;

use super::Undefined;
use super::sample::{Pooled, Sample, pooled};

/// How near to an edge a value lies, at most, that is counted on the edge's other side when samples are read from buckets:
/// this share of the size of the value and of those that the edge was made of, half a bucket each.
pub const BUCKETING: f64 = 1.0 / 256.0;

/// The least share that counts, where a logarithm asks for one.
pub const LEAST_SHARE: f64 = 1e-4;

/// How many quantile bins a reference is cut into.
const DECILES: u32 = 10;

/// Where the bins of numbers end. A bin holds `lower <= x < upper`; the outer bins are open, unless what is outside has a
/// bin of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Edges {
    inner: Vec<f64>,
    range: Option<(f64, f64)>,
}

impl Edges {
    /// The distinct inner deciles of the reference, by linear interpolation: at most ten bins, fewer where values repeat.
    /// Nothing is seen of what moves within the outer bins: a reference that is always 1 has two bins, below 1 and the rest.
    /// Edges agree with `numpy.unique(numpy.quantile(reference, numpy.arange(1, 10) / 10))`.
    pub fn deciles(reference: &Sample) -> Self {
        let shares = (1..DECILES).map(|tenth| f64::from(tenth) / f64::from(DECILES));
        // Between values whose difference is too large for a number there is no edge.
        let mut inner: Vec<f64> = shares
            .map(|share| reference.quantile(share))
            .filter(|edge| edge.is_finite())
            .collect();
        inner.dedup();
        Self { inner, range: None }
    }

    /// Bins of equal width over both samples together, as many as Sturges (1926) takes. Agrees with
    /// `numpy.histogram_bin_edges(pooled, bins="sturges")`, which only of a column of integers makes no bin narrower than 1:
    /// another number of bins where all n values lie within less than 1 + log2 n.
    pub fn sturges(reference: &Sample, current: &Sample) -> Self {
        let ((low, high), (other_low, other_high)) = (range(reference), range(current));
        let n = reference.n() as f64 + current.n() as f64;
        let (low, high) = (low.min(other_low), high.max(other_high));
        let bins = bins_of_width(high - low, (high - low) / (n.log2() + 1.0));
        Self {
            inner: equal_width(low, high, bins),
            range: None,
        }
    }

    /// Bins of equal width over the reference, as many as Doane (1976) takes for its skewness, and one bin more for what
    /// falls outside. A reference that is always the same has one bin, half a unit to both sides. Agrees with
    /// `numpy.histogram_bin_edges(reference, bins="doane")`.
    pub fn doane(reference: &Sample) -> Self {
        let (low, high) = range(reference);
        let bins = bins_of_width(high - low, doane_width(reference, high - low));
        let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        Self {
            inner: equal_width(low, high, bins),
            range: Some((low, high)),
        }
    }

    /// The edges between bins, ascending.
    pub fn inner(&self) -> &[f64] {
        &self.inner
    }

    /// Outside of which lowest and highest value numbers are counted in a last bin of their own; `None`: nowhere.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// How many values of the sample each bin holds. Agrees with `numpy.histogram`.
    pub fn counts(&self, sample: &Sample) -> Vec<u64> {
        let mut counts = vec![0; self.inner.len() + 1 + usize::from(self.range.is_some())];
        // Both ascend, so that each value has the bin of the one before or a later one.
        let mut bin = 0;
        for (value, count) in sample.counts() {
            while self.inner.get(bin).is_some_and(|edge| edge <= value) {
                bin += 1;
            }
            let is_outside = self.range.is_some_and(|(low, high)| *value < low || *value > high);
            counts[if is_outside { self.inner.len() + 1 } else { bin }] += count;
        }
        counts
    }
}

fn range(sample: &Sample) -> (f64, f64) {
    let counts = sample.counts();
    (counts[0].0, counts[counts.len() - 1].0)
}

/// Bins that cover `range`; one where the width says nothing.
fn bins_of_width(range: f64, width: f64) -> u32 {
    let bins = (range / width).ceil();
    if bins.is_finite() { bins.max(1.0) as u32 } else { 1 }
}

/// The inner edges, with the roundings of `numpy.linspace`.
fn equal_width(low: f64, high: f64, bins: u32) -> Vec<f64> {
    let step = (high - low) / f64::from(bins);
    (1..bins).map(|edge| f64::from(edge) * step + low).collect()
}

fn doane_width(reference: &Sample, range: f64) -> f64 {
    let (n, mean, deviation) = (reference.n() as f64, reference.mean(), reference.population_deviation());
    if n <= 2.0 || deviation <= 0.0 {
        return 0.0;
    }
    let cubes = reference
        .counts()
        .iter()
        .map(|(value, count)| ((value - mean) / deviation).powi(3) * *count as f64);
    let skewness = cubes.sum::<f64>() / n;
    let of_normal = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
    range / (1.0 + n.log2() + (1.0 + skewness.abs() / of_normal).log2())
}

/// How often each category occurs.
pub type Counts = BTreeMap<String, u64>;

/// How often each sample fell into a bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// Values of the reference.
    pub reference: u64,
    /// Values of the window.
    pub current: u64,
}

/// The bins of two samples, side by side; neither sample is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    bins: Vec<Bin>,
    reference_n: u64,
    current_n: u64,
}

impl Table {
    /// Numbers in bins.
    pub fn of_numbers(edges: &Edges, reference: &Sample, current: &Sample) -> Self {
        let counts = edges.counts(reference).into_iter().zip(edges.counts(current));
        Self {
            bins: counts.map(|(reference, current)| Bin { reference, current }).collect(),
            reference_n: reference.n(),
            current_n: current.n(),
        }
    }

    /// Numbers, each distinct one a bin.
    pub fn of_values(reference: &Sample, current: &Sample) -> Self {
        let bin = |value: Pooled| Bin {
            reference: value.reference,
            current: value.current,
        };
        Self {
            bins: pooled(reference, current).map(bin).collect(),
            reference_n: reference.n(),
            current_n: current.n(),
        }
    }

    /// Categories: the union of the values, with how often each occurs.
    ///
    /// # Errors
    /// One of the samples has no values, or more than can be counted.
    pub fn of_categories(reference: &Counts, current: &Counts) -> Result<Self, Undefined> {
        let count = |side: &Counts, value| side.get(value).copied().unwrap_or(0);
        let only_now = current.keys().filter(|value| !reference.contains_key(*value));
        let values = reference.keys().chain(only_now);
        let bins = values.map(|value| Bin {
            reference: count(reference, value),
            current: count(current, value),
        });
        Ok(Self {
            bins: bins.collect(),
            reference_n: sum(reference.values(), "reference")?,
            current_n: sum(current.values(), "current")?,
        })
    }

    /// The bins: of numbers ascending, with the bin of what is outside last.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// How many values the reference has.
    pub fn reference_n(&self) -> u64 {
        self.reference_n
    }

    /// How many values the window has.
    pub fn current_n(&self) -> u64 {
        self.current_n
    }

    /// Of each bin the shares of the reference and of the window.
    pub fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let (reference_n, current_n) = (self.reference_n as f64, self.current_n as f64);
        self.bins
            .iter()
            .map(move |bin| (bin.reference as f64 / reference_n, bin.current as f64 / current_n))
    }

    /// The shares with small ones raised, not renormalised: for logarithms.
    pub fn floored_shares(&self, floor: Floor) -> Vec<(f64, f64)> {
        let (mut reference, mut current): (Vec<f64>, Vec<f64>) = self.shares().unzip();
        floor.raise(&mut reference);
        floor.raise(&mut current);
        reference.into_iter().zip(current).collect()
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a u64>, side: &str) -> Result<u64, Undefined> {
    let mut counts = counts.copied();
    match counts.try_fold(0_u64, u64::checked_add) {
        None => Err(Undefined::because(format!("the {side} sample has more values than can be counted"))),
        Some(0) => Err(Undefined::because(format!("the {side} sample has no values"))),
        Some(n) => Ok(n),
    }
}

/// How shares without a logarithm, or with a wild one, are raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// No share counts as less than [`LEAST_SHARE`].
    OfAll,
    /// Evidently's: only empty bins are raised, to [`LEAST_SHARE`], or to a millionth of the sample's smallest share where
    /// that is not above it.
    OfEmpty,
}

impl Floor {
    fn raise(self, shares: &mut [f64]) {
        let smallest = shares.iter().copied().filter(|share| *share > 0.0).fold(f64::INFINITY, f64::min);
        let least = match self {
            Self::OfEmpty if smallest <= LEAST_SHARE => smallest / 1e6,
            _ => LEAST_SHARE,
        };
        let is_raised = |share: f64| match self {
            Self::OfAll => share < least,
            Self::OfEmpty => share == 0.0,
        };
        shares
            .iter_mut()
            .filter(|share| is_raised(**share))
            .for_each(|share| *share = least);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(rows: &[f64]) -> Sample {
        Sample::of_rows(rows).unwrap()
    }

    fn categories(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
    }

    #[test]
    fn repeated_deciles_are_one_edge_and_an_edge_belongs_to_the_bin_above() {
        let reference = sample(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        let edges = Edges::deciles(&reference);
        assert_eq!(edges.inner()[0], 0.0);
        assert!(edges.inner().is_sorted_by(|one, next| one < next));
        let constant = Edges::deciles(&sample(&[7.0; 12]));
        assert_eq!(constant.inner(), [7.0]);
        assert_eq!(constant.counts(&sample(&[6.9, 7.0, 8.0])), [1, 2]);
        assert!(
            Edges::deciles(&sample(&[f64::MIN, f64::MAX]))
                .inner()
                .iter()
                .all(|edge| edge.is_finite())
        );
    }

    #[test]
    fn what_is_outside_of_doanes_range_has_a_bin_of_its_own() {
        let edges = Edges::doane(&sample(&[3.0; 12]));
        assert_eq!((edges.inner(), edges.range()), (&[][..], Some((2.5, 3.5))));
        assert_eq!(edges.counts(&sample(&[2.0, 2.5, 3.5, 3.6])), [2, 2]);
        assert_eq!(Edges::doane(&sample(&[1.0, 2.0])).range(), Some((1.0, 2.0)));
    }

    #[test]
    fn bins_of_equal_width_need_a_width() {
        assert_eq!(Edges::sturges(&sample(&[1.0]), &sample(&[1.0, 1.0])).inner(), [0.0; 0]);
        assert_eq!(Edges::sturges(&sample(&[0.0, 4.0]), &sample(&[1.0, 8.0])).inner().len(), 2);
        assert_eq!(Edges::sturges(&sample(&[f64::MIN]), &sample(&[f64::MAX])).inner(), [0.0; 0]);
    }

    #[test]
    fn values_of_one_sample_only_are_counted_on_both_sides() {
        let table = Table::of_categories(&categories(&[("a", 2), ("b", 1)]), &categories(&[("b", 3), ("c", 0), ("d", 1)])).unwrap();
        let counts: Vec<(u64, u64)> = table.bins().iter().map(|bin| (bin.reference, bin.current)).collect();
        assert_eq!(counts, [(2, 0), (1, 3), (0, 0), (0, 1)]);
        assert_eq!((table.reference_n(), table.current_n()), (3, 4));
        let nothing = Table::of_categories(&categories(&[("a", 1)]), &categories(&[("a", 0)]));
        assert_eq!(nothing, Err(Undefined::because("the current sample has no values")));
        let too_many = Table::of_categories(&categories(&[("a", u64::MAX), ("b", 1)]), &categories(&[("a", 1)]));
        assert!(too_many.is_err());
    }

    #[test]
    fn floors_raise_small_shares_or_empty_ones_only() {
        let table = |reference, current| Table::of_categories(&categories(reference), &categories(current)).unwrap();
        let rare = table(&[("a", 99_999), ("b", 1), ("c", 0)], &[("a", 1)]);
        assert_eq!(rare.floored_shares(Floor::OfAll), [(0.99999, 1.0), (1e-4, 1e-4), (1e-4, 1e-4)]);
        assert_eq!(
            rare.floored_shares(Floor::OfEmpty),
            [(0.99999, 1.0), (1e-5, 1e-4), (1e-5 / 1e6, 1e-4)]
        );
    }

    proptest! {
        #[test]
        fn bins_hold_what_lies_between_their_edges(
            a in prop::collection::vec(-9_i8..9, 1..40), b in prop::collection::vec(-9_i8..9, 1..40)
        ) {
            let rows = |side: &[i8]| side.iter().map(|n| f64::from(*n) / 4.0).collect::<Vec<_>>();
            let (reference, current) = (sample(&rows(&a)), sample(&rows(&b)));
            for edges in [Edges::deciles(&reference), Edges::sturges(&reference, &current), Edges::doane(&reference)] {
                let table = Table::of_numbers(&edges, &reference, &current);
                let inside = |row: f64| edges.range().is_none_or(|(low, high)| low <= row && row <= high);
                let ends = [&[f64::NEG_INFINITY], edges.inner(), &[f64::INFINITY]].concat();
                for (bin, ends) in table.bins().iter().zip(ends.windows(2)) {
                    let count = |rows: Vec<f64>| {
                        rows.iter().filter(|row| inside(**row) && ends[0] <= **row && **row < ends[1]).count() as u64
                    };
                    prop_assert_eq!((bin.reference, bin.current), (count(rows(&a)), count(rows(&b))));
                }
                prop_assert_eq!(table.bins().iter().map(|bin| bin.current).sum::<u64>(), table.current_n());
            }
        }
    }
}
