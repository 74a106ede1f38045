//! The finest cells that profiles know, side by side for reference and window.

use std::collections::BTreeMap;

use driftlead_store::records::FeatureCounts;

/// What an observation of a feature can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Atom<'a> {
    /// A finite number in the bucket of this key.
    Bucket(i32),
    /// A category.
    Value(&'a str),
    /// One of the categories that the profile no longer tells apart.
    Other,
    Absent,
    Nan,
    PositiveInfinity,
    NegativeInfinity,
}

/// Counts of every atom that occurs in either sample; buckets come first, in ascending order.
#[derive(Debug, Clone)]
pub(crate) struct Atoms<'a> {
    pub kinds: Vec<Atom<'a>>,
    pub reference: Vec<u64>,
    pub window: Vec<u64>,
}

impl<'a> Atoms<'a> {
    pub fn of(reference: &'a FeatureCounts, window: &'a FeatureCounts) -> Self {
        let kind = Kind::to_compare(reference, window);
        let mut counts: BTreeMap<Atom<'a>, [u64; 2]> = BTreeMap::new();
        for (side, sample) in [reference, window].into_iter().enumerate() {
            let is_twofold = side == 0 && is_twofold(sample);
            let buckets = sample.buckets.iter().map(|(&key, &count)| (Atom::Bucket(key), count));
            let values = sample.values.iter().map(|(value, &count)| (Atom::Value(value), count));
            let rest = [
                (Atom::Other, sample.other),
                (Atom::Absent, sample.absent),
                (Atom::Nan, sample.nan),
                (Atom::PositiveInfinity, sample.positive_infinity),
                (Atom::NegativeInfinity, sample.negative_infinity),
            ];
            for (atom, count) in buckets.chain(values).chain(rest) {
                if count > 0 && !(is_twofold && kind.leaves_out(atom)) {
                    counts.entry(atom).or_default()[side] += count;
                }
            }
        }
        Self {
            kinds: counts.keys().copied().collect(),
            reference: counts.values().map(|sides| sides[0]).collect(),
            window: counts.values().map(|sides| sides[1]).collect(),
        }
    }

    pub fn reference_n(&self) -> u64 {
        self.reference.iter().sum()
    }

    pub fn window_n(&self) -> u64 {
        self.window.iter().sum()
    }
}

/// Rows of a CSV do not say whether `16` is a number or a name, so their profile holds both readings; the
/// comparison takes the one that the window has.
pub(crate) fn is_twofold(counts: &FeatureCounts) -> bool {
    let seen = counts.numbers() + counts.categories() + counts.nan + counts.positive_infinity + counts.negative_infinity;
    counts.numbers() > 0 && counts.categories() > 0 && seen > counts.present()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Numbers,
    Categories,
}

impl Kind {
    fn to_compare(reference: &FeatureCounts, window: &FeatureCounts) -> Self {
        if is_twofold(reference) && window.categories() > window.numbers() {
            Self::Categories
        } else {
            Self::Numbers
        }
    }

    fn leaves_out(self, atom: Atom<'_>) -> bool {
        match atom {
            Atom::Bucket(_) => self == Self::Categories,
            Atom::Value(_) | Atom::Other => self == Self::Numbers,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_that_can_be_read_both_ways_is_read_as_the_window_is() {
        let mut reference = FeatureCounts::default();
        for text in ["16", "16", "17"] {
            reference.add_category(text);
            *reference
                .buckets
                .entry(driftlead_store::bucket::key_of(text.parse().unwrap()).unwrap())
                .or_default() += 1;
        }
        let mut names = FeatureCounts::default();
        names.add_category("16");
        let mut numbers = FeatureCounts::default();
        numbers.add_number(16.0);
        assert_eq!(Atoms::of(&reference, &names).kinds, [Atom::Value("16"), Atom::Value("17")]);
        let compared = Atoms::of(&reference, &numbers);
        assert!(matches!(compared.kinds[..], [Atom::Bucket(_), Atom::Bucket(_)]));
        assert_eq!((compared.reference, compared.window), (vec![2, 1], vec![1, 0]));
    }
}
