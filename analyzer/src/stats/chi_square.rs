//! Pearson's chi-square test (Pearson 1900) of whether two samples have the same shares.

use statrs::function::gamma::checked_gamma_ur;

use super::Undefined;
use super::binning::{Bin, Table};

/// How a test is corrected for counts being whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// Not at all.
    None,
    /// Yates (1934), where there are two bins: each count is brought up to half a row nearer to what is expected. SciPy's
    /// `chi2_contingency` does it unasked, and so does NannyML's `chi2`.
    Yates,
}

/// What a test of a contingency table says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contingency {
    /// The statistic, from 0.
    pub statistic: f64,
    /// Bins that occur, less one.
    pub degrees_of_freedom: u64,
    /// How often samples of equal shares differ at least as much.
    pub p: f64,
}

/// The two-sample test; bins that neither sample has are left out. A single bin leaves nothing to differ: the statistic is 0
/// and p is 1, as in SciPy. Agrees with `scipy.stats.chi2_contingency(correction=False)`, with [`Correction::Yates`] with
/// `correction=True`. From profile buckets: as [`super::binning`] says.
pub fn test(table: &Table, correction: Correction) -> Contingency {
    let cells = Cells::of(table, correction);
    let terms = cells.all().map(|cell| cell.excess * cell.excess / cell.expected);
    cells.judged(terms.sum())
}

/// The p-value of the one-sample test, which takes the reference's shares for the truth: it leaves out that the reference is
/// a sample too, so with one as large as the window it rejects equal shares far too often, and one value that the reference
/// lacks makes p 0. Evidently's `chisquare` is this; use [`test()`] where you need not agree with it. Agrees with
/// `scipy.stats.chisquare(current, reference * current_n / reference_n)`.
///
/// # Errors
/// All values are the same, where SciPy answers NaN.
pub fn p_with_the_reference_as_truth(table: &Table) -> Result<f64, Undefined> {
    let bins = occurring(table);
    if bins.len() < 2 {
        return Err(Undefined::because("all values are the same: nothing can differ"));
    }
    if bins.iter().any(|bin| bin.reference == 0) {
        return Ok(0.0);
    }
    let scale = table.current_n() as f64 / table.reference_n() as f64;
    let terms = bins.iter().map(|bin| {
        let expected = bin.reference as f64 * scale;
        (bin.current as f64 - expected).powi(2) / expected
    });
    Ok(upper_tail(terms.sum(), bins.len() as u64 - 1))
}

/// P(X > statistic) of the chi-square distribution, accurate in relative terms far into the tail. Agrees with
/// `scipy.stats.chi2.sf`. Without degrees of freedom X is always 0.
pub fn upper_tail(statistic: f64, degrees_of_freedom: u64) -> f64 {
    if statistic <= 0.0 {
        return 1.0;
    }
    // It refuses an infinite statistic and no degrees of freedom: nothing is beyond either.
    checked_gamma_ur(degrees_of_freedom as f64 / 2.0, statistic / 2.0).unwrap_or(0.0)
}

fn occurring(table: &Table) -> Vec<Bin> {
    table
        .bins()
        .iter()
        .copied()
        .filter(|bin| bin.reference > 0 || bin.current > 0)
        .collect()
}

/// One sample's count in a bin: what is expected of equal shares, and by how much it is exceeded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) expected: f64,
    pub(super) excess: f64,
}

/// The cells of the bins that occur.
pub(super) struct Cells {
    bins: Vec<Bin>,
    reference_n: u64,
    current_n: u64,
    correction: f64,
}

impl Cells {
    pub(super) fn of(table: &Table, correction: Correction) -> Self {
        let bins = occurring(table);
        let is_corrected = correction == Correction::Yates && bins.len() == 2;
        Self {
            bins,
            reference_n: table.reference_n(),
            current_n: table.current_n(),
            correction: if is_corrected { 0.5 } else { 0.0 },
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Cell> {
        self.bins.iter().flat_map(|bin| self.of_bin(*bin))
    }

    /// What the reference has too much, the window has too little.
    fn of_bin(&self, bin: Bin) -> [Cell; 2] {
        let (reference_n, current_n) = (self.reference_n as f64, self.current_n as f64);
        let share = (bin.reference as f64 + bin.current as f64) / (reference_n + current_n);
        // In whole numbers, because nearly equal shares would cancel.
        let reference = u128::from(bin.reference) * u128::from(self.current_n);
        let current = u128::from(bin.current) * u128::from(self.reference_n);
        let distance = reference.abs_diff(current) as f64 / (reference_n + current_n);
        let excess = (distance - self.correction).max(0.0) * if reference < current { -1.0 } else { 1.0 };
        [(share * reference_n, excess), (share * current_n, -excess)].map(|(expected, excess)| Cell { expected, excess })
    }

    pub(super) fn judged(&self, statistic: f64) -> Contingency {
        let degrees_of_freedom = self.bins.len() as u64 - 1;
        Contingency {
            statistic,
            degrees_of_freedom,
            p: upper_tail(statistic, degrees_of_freedom),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn table(reference: &[u64], current: &[u64]) -> Table {
        let categories = |side: &[u64]| {
            side.iter()
                .enumerate()
                .map(|(at, n)| (at.to_string(), *n))
                .collect::<BTreeMap<_, _>>()
        };
        Table::of_categories(&categories(reference), &categories(current)).unwrap()
    }

    #[test]
    fn a_single_bin_leaves_nothing_to_differ() {
        let constant = test(&table(&[0, 12], &[0, 40]), Correction::Yates);
        assert_eq!((constant.statistic, constant.degrees_of_freedom, constant.p), (0.0, 0, 1.0));
        assert!(p_with_the_reference_as_truth(&table(&[12], &[40])).is_err());
    }

    #[test]
    fn bins_that_neither_sample_has_are_left_out() {
        let with_empty_bins = test(&table(&[5, 0, 9, 0], &[7, 0, 3, 0]), Correction::None);
        assert_eq!(with_empty_bins, test(&table(&[5, 9], &[7, 3]), Correction::None));
    }

    #[test]
    fn what_the_reference_lacks_cannot_be_when_it_is_the_truth() {
        let one_new_row = table(&[500, 500, 0], &[500, 499, 1]);
        assert_eq!(p_with_the_reference_as_truth(&one_new_row), Ok(0.0));
        assert!(test(&one_new_row, Correction::None).p > 0.5);
    }

    #[test]
    fn the_correction_does_not_overshoot() {
        let less_than_half_a_row = test(&table(&[10, 10], &[10, 11]), Correction::Yates);
        assert_eq!((less_than_half_a_row.statistic, less_than_half_a_row.p), (0.0, 1.0));
    }

    #[test]
    fn tails_have_ends() {
        assert_eq!((upper_tail(0.0, 3), upper_tail(-0.0, 0), upper_tail(1.0, 0)), (1.0, 1.0, 0.0));
        assert_eq!((upper_tail(f64::INFINITY, 3), upper_tail(1e300, 3)), (0.0, 0.0));
    }

    #[test]
    fn a_day_of_a_billion_rows_has_a_statistic() {
        let (half, n) = (500_000_000_000_000_000, 1_000_000_000_000_000_000);
        let close = test(
            &table(&[half, half], &[half + 1_000_000_000, n - half - 1_000_000_000]),
            Correction::None,
        );
        assert!((close.statistic - 2.0).abs() < 1e-9, "{close:?}");
    }

    proptest! {
        #[test]
        fn the_statistic_is_the_definition(cells in prop::collection::vec((0_u64..50, 0_u64..50), 2..6)) {
            let (reference, current): (Vec<u64>, Vec<u64>) = cells.iter().copied().unzip();
            let (reference_n, current_n) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
            prop_assume!(reference_n > 0.0 && current_n > 0.0);
            let terms = cells.iter().filter(|cell| cell.0 + cell.1 > 0).map(|(here, there)| {
                let share = (here + there) as f64 / (reference_n + current_n);
                let of = |observed: u64, n: f64| (observed as f64 - share * n).powi(2) / (share * n);
                of(*here, reference_n) + of(*there, current_n)
            });
            let expected: f64 = terms.sum();
            let found = test(&table(&reference, &current), Correction::None);
            prop_assert!((found.statistic - expected).abs() <= 1e-9 * expected.max(1.0));
            prop_assert!((0.0..=1.0).contains(&found.p));
        }
    }
}
