//! Bins: which atoms are compared as one. They follow from the counts that are given and from nothing
//! else, so that bins made from one half say nothing of the other.

use super::atoms::Atom;
use driftlead_store::bucket;

/// A numeric feature with at most this many distinct values in the reference is compared value by value.
pub(crate) const MAX_SINGLE_VALUES: usize = 50;
/// Bins of a feature with more values; a value that holds this fraction of the reference has its own.
pub(crate) const BINS: usize = 20;
/// A value is compared on its own when the smaller sample can be expected to hold it this often; rarer
/// ones are compared together. With fewer, a bin only adds noise, and the normal approximations fail.
pub(crate) const MIN_EXPECTED: f64 = 5.0;

/// What a bin holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BinLabel {
    /// Numbers with `from <= x < to`.
    Range {
        from: f64,
        to: f64,
    },
    Number(f64),
    Category(String),
    /// Every number that is too rare to be compared on its own.
    RareNumbers,
    /// Every category that is too rare to be compared on its own.
    RareCategories,
    Absent,
    Nan,
    PositiveInfinity,
    NegativeInfinity,
}

/// What bin an atom belongs to; equal for the atoms of one bin, and in the order of display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Number { segment: usize, quantile: usize },
    RareNumbers,
    Category(usize),
    RareCategories,
    Special(usize),
}

/// The bin of each atom, and the number of bins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bins {
    pub of_atom: Vec<usize>,
    pub count: usize,
    numbers_are_ranges: bool,
}

impl Bins {
    /// From the counts of a reference and a window (or of a half of each).
    pub fn new(kinds: &[Atom<'_>], reference: &[u64], window: &[u64]) -> Self {
        let numbers_are_ranges = distinct_numbers(kinds, reference) > MAX_SINGLE_VALUES;
        let numbers = numbers_are_ranges.then(|| quantiles(kinds, reference));
        let places = places(kinds, reference, window, numbers.as_deref());
        let mut distinct = places.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let of_atom = places
            .iter()
            .map(|place| distinct.binary_search(place).expect("every place is among the distinct ones"))
            .collect();
        Self {
            of_atom,
            count: distinct.len(),
            numbers_are_ranges,
        }
    }

    /// Sums the counts of atoms per bin.
    pub fn sum(&self, counts: &[u64]) -> Vec<u64> {
        let mut sums = vec![0; self.count];
        for (&bin, &count) in self.of_atom.iter().zip(counts) {
            sums[bin] += count;
        }
        sums
    }

    /// What each bin holds.
    pub fn labels(&self, kinds: &[Atom<'_>]) -> Vec<BinLabel> {
        let mut members: Vec<Vec<Atom<'_>>> = vec![Vec::new(); self.count];
        for (&bin, &atom) in self.of_atom.iter().zip(kinds) {
            members[bin].push(atom);
        }
        members.iter().map(|atoms| label(atoms, self.numbers_are_ranges)).collect()
    }
}

fn distinct_numbers(kinds: &[Atom<'_>], reference: &[u64]) -> usize {
    kinds
        .iter()
        .zip(reference)
        .filter(|(atom, count)| matches!(atom, Atom::Bucket(_)) && **count > 0)
        .count()
}

fn places(kinds: &[Atom<'_>], reference: &[u64], window: &[u64], quantiles: Option<&[Place]>) -> Vec<Place> {
    let rarity = Rarity::new(reference, window);
    kinds
        .iter()
        .enumerate()
        .map(|(i, atom)| match (atom, quantiles) {
            (Atom::Bucket(_), Some(quantiles)) => quantiles[i],
            (Atom::Bucket(_), None) if rarity.is_rare(reference[i], window[i]) => Place::RareNumbers,
            (Atom::Bucket(_), None) => Place::Number { segment: i, quantile: 0 },
            (Atom::Value(_), _) if rarity.is_rare(reference[i], window[i]) => Place::RareCategories,
            (Atom::Value(_), _) => Place::Category(i),
            (Atom::Other, _) => Place::RareCategories,
            (Atom::Absent | Atom::Nan | Atom::PositiveInfinity | Atom::NegativeInfinity, _) => Place::Special(i),
        })
        .collect()
}

/// Values that hold 1/20 of the reference get places of their own, what lies between them is cut into
/// quantiles. Buckets come first and in ascending order.
fn quantiles(kinds: &[Atom<'_>], reference: &[u64]) -> Vec<Place> {
    let total: u64 = reference.iter().sum();
    let buckets = kinds.iter().take_while(|atom| matches!(atom, Atom::Bucket(_))).count();
    let is_single = |count: u64| count > 0 && count * BINS as u64 >= total;
    let singles = reference[..buckets].iter().filter(|&&count| is_single(count)).count();
    let rest: u64 = reference[..buckets].iter().filter(|&&count| !is_single(count)).sum();
    // A single cuts the bin that it lies in, so it takes the places of two.
    let wanted = BINS.saturating_sub(2 * singles).max(1);

    let (mut segment, mut passed) = (0, 0);
    reference[..buckets]
        .iter()
        .map(|&count| {
            if is_single(count) {
                segment += 2;
                return Place::Number {
                    segment: segment - 1,
                    quantile: 0,
                };
            }
            let middle = passed as f64 + count as f64 / 2.0;
            passed += count;
            let quantile = (middle * wanted as f64 / rest.max(1) as f64) as usize;
            Place::Number {
                segment,
                quantile: quantile.min(wanted - 1),
            }
        })
        .collect()
}

struct Rarity {
    reference_n: f64,
    window_n: f64,
}

impl Rarity {
    fn new(reference: &[u64], window: &[u64]) -> Self {
        let n = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
        Self {
            reference_n: n(reference),
            window_n: n(window),
        }
    }

    fn is_rare(&self, reference: u64, window: u64) -> bool {
        let share = (reference as f64 / self.reference_n).max(window as f64 / self.window_n);
        share * self.reference_n.min(self.window_n) < MIN_EXPECTED
    }
}

fn label(atoms: &[Atom<'_>], numbers_are_ranges: bool) -> BinLabel {
    match atoms {
        [Atom::Bucket(key)] => single_number(*key),
        [Atom::Bucket(first), .., Atom::Bucket(last)] if numbers_are_ranges => BinLabel::Range {
            from: start(*first),
            to: end(*last),
        },
        [Atom::Bucket(_), ..] => BinLabel::RareNumbers,
        [Atom::Value(value)] => BinLabel::Category((*value).to_owned()),
        [Atom::Absent] => BinLabel::Absent,
        [Atom::Nan] => BinLabel::Nan,
        [Atom::PositiveInfinity] => BinLabel::PositiveInfinity,
        [Atom::NegativeInfinity] => BinLabel::NegativeInfinity,
        _ => BinLabel::RareCategories,
    }
}

/// Integers up to 256 have buckets of their own, so their bucket is the number; others are ranges.
fn single_number(key: i32) -> BinLabel {
    let value = bucket::edge(key);
    if value.fract() == 0.0 && value.abs() <= 256.0 {
        BinLabel::Number(value)
    } else {
        BinLabel::Range {
            from: start(key),
            to: end(key),
        }
    }
}

fn start(key: i32) -> f64 {
    if key < 0 { bucket::edge(key - 1) } else { bucket::edge(key) }
}

fn end(key: i32) -> f64 {
    match key {
        0 => 0.0,
        _ if key < 0 => bucket::edge(key),
        _ => bucket::edge(key + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins_of(counts: &[(Atom<'static>, u64, u64)]) -> Vec<(BinLabel, u64, u64)> {
        let kinds: Vec<_> = counts.iter().map(|c| c.0).collect();
        let reference: Vec<_> = counts.iter().map(|c| c.1).collect();
        let window: Vec<_> = counts.iter().map(|c| c.2).collect();
        let bins = Bins::new(&kinds, &reference, &window);
        let sums = bins.sum(&reference).into_iter().zip(bins.sum(&window));
        bins.labels(&kinds)
            .into_iter()
            .zip(sums)
            .map(|(label, (r, w))| (label, r, w))
            .collect()
    }

    fn number(value: f64) -> Atom<'static> {
        Atom::Bucket(bucket::key_of(value).unwrap())
    }

    #[test]
    fn few_values_are_compared_one_by_one() {
        let found = bins_of(&[(number(0.0), 980, 400), (number(1.0), 20, 600), (Atom::Absent, 0, 3)]);
        assert_eq!(
            found,
            [
                (BinLabel::Number(0.0), 980, 400),
                (BinLabel::Number(1.0), 20, 600),
                (BinLabel::Absent, 0, 3)
            ]
        );
    }

    #[test]
    fn what_is_rare_in_both_samples_is_compared_together() {
        let found = bins_of(&[
            (Atom::Value("a"), 990, 80),
            (Atom::Value("b"), 9, 1),
            (Atom::Value("c"), 1, 0),
            (Atom::Value("new"), 0, 19),
        ]);
        assert_eq!(
            found,
            [
                (BinLabel::Category("a".into()), 990, 80),
                (BinLabel::Category("new".into()), 0, 19),
                (BinLabel::RareCategories, 10, 1)
            ]
        );
    }

    #[test]
    fn many_values_are_cut_into_quantiles_around_those_that_are_frequent() {
        let mut counts: Vec<_> = (1..=200)
            .map(|i| (number(f64::from(i)), if i == 65 { 800 } else { 10 }, 1))
            .collect();
        counts.push((Atom::Nan, 4, 0));
        let found = bins_of(&counts);
        assert_eq!(found.len(), 21, "{found:?}");
        assert!(found.contains(&(BinLabel::Number(65.0), 800, 1)));
        let quantiles: Vec<u64> = found
            .iter()
            .filter(|b| matches!(b.0, BinLabel::Range { .. }))
            .map(|b| b.1)
            .collect();
        assert!(quantiles.iter().all(|&count| count <= 120), "{quantiles:?}");
        assert_eq!(found.iter().map(|b| b.1).sum::<u64>(), 2_794);
    }

    #[test]
    fn a_number_outside_the_reference_falls_into_an_outer_bin() {
        let mut counts: Vec<_> = (1..=100).map(|i| (number(f64::from(i)), 10, 0)).collect();
        counts.push((number(1e6), 0, 50));
        let found = bins_of(&counts);
        assert_eq!(found.last().map(|b| b.2), Some(50));
    }
}
