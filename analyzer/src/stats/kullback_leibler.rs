//! The Kullback–Leibler divergence (Kullback and Leibler 1951).

use super::Undefined;
use super::binning::{Floor, Table};

/// Σ p ln(p / q) over the bins, p of the reference and q of the window: what one loses by coding the reference with the
/// window's shares, in nats, from 0. Agrees with `scipy.stats.entropy(reference, current)`. From profile buckets: as
/// [`super::binning`] says.
///
/// # Errors
/// The window lacks what the reference has: the divergence is infinite.
pub fn divergence(table: &Table) -> Result<f64, Undefined> {
    if table.bins().iter().any(|bin| bin.reference > 0 && bin.current == 0) {
        return Err(Undefined::because(
            "the window has nothing in a bin where the reference has something: it is infinite",
        ));
    }
    let shares = table.shares().filter(|(_, current)| *current > 0.0);
    Ok(shares.map(|(reference, current)| excess(reference, current)).sum())
}

/// The divergence of the reference from the window with small shares raised as `floor` says, and then renormalised. With
/// [`Floor::OfEmpty`] it agrees with Evidently's `kl_div` over [`super::compatible::Library::table_of_numbers`], which
/// renormalises too, though its PSI does not.
pub fn floored(table: &Table, floor: Floor) -> f64 {
    let shares = table.floored_shares(floor);
    let reference_sum: f64 = shares.iter().map(|(reference, _)| reference).sum();
    let current_sum: f64 = shares.iter().map(|(_, current)| current).sum();
    let terms = shares
        .iter()
        .map(|(reference, current)| excess(reference / reference_sum, current / current_sum));
    terms.sum()
}

/// observed · ln(observed / expected) − observed + expected, with expected > 0: never negative, and where both sides sum to
/// the same, its sum is that of the first term. Summed this way nearly equal shares do not cancel.
pub(super) fn excess(observed: f64, expected: f64) -> f64 {
    expected * per_expected((observed - expected) / expected)
}

/// The same of an expected 1 and an observed 1 + `relative`.
pub(super) fn per_expected(relative: f64) -> f64 {
    if relative <= -1.0 {
        1.0
    } else {
        ((1.0 + relative) * relative.ln_1p() - relative).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    fn table(reference: &[f64], current: &[f64]) -> Table {
        Table::of_values(&Sample::of_rows(reference).unwrap(), &Sample::of_rows(current).unwrap())
    }

    #[test]
    fn equal_shares_do_not_diverge() {
        let equal = table(&[1.0, 2.0, 2.0], &[1.0, 2.0, 2.0, 1.0, 2.0, 2.0]);
        assert_eq!(divergence(&equal), Ok(0.0));
        assert_eq!(floored(&equal, Floor::OfEmpty), 0.0);
    }

    #[test]
    fn it_is_infinite_only_where_the_window_lacks_something() {
        assert!(divergence(&table(&[1.0, 2.0], &[1.0])).is_err());
        assert!((divergence(&table(&[1.0], &[1.0, 2.0])).unwrap() - 2_f64.ln()).abs() < 1e-15);
        assert!(floored(&table(&[1.0, 2.0], &[1.0]), Floor::OfEmpty) > 1.0);
    }

    #[test]
    fn small_differences_do_not_cancel() {
        for relative in [1e-3_f64, -1e-5, 1e-7] {
            // From the series of the logarithm.
            let expected = relative * relative / 2.0 - relative.powi(3) / 6.0;
            assert!((excess(1.0 + relative, 1.0) / expected - 1.0).abs() < 1e-5, "{relative}");
        }
    }
}
