//! The Jensen–Shannon distance (Lin 1991; a metric by Endres and Schindelin 2003).

use super::binning::Table;
use super::kullback_leibler::excess;

/// In what unit information is counted: the logarithm's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Bits: a distance from 0 to 1. This product's own and NannyML's.
    Two,
    /// Nats: a distance from 0 to √ln 2 = 0.83. Evidently's.
    E,
}

/// The root of the mean divergence of both samples' shares from their middle. Agrees with
/// `scipy.spatial.distance.jensenshannon`, which is 1e-8 off near 0, where its sums cancel. From profile buckets: as
/// [`super::binning`] says.
pub fn distance(table: &Table, base: Base) -> f64 {
    let nats: f64 = table.shares().map(of_bin).sum();
    match base {
        Base::Two => (nats / std::f64::consts::LN_2).min(1.0).sqrt(),
        Base::E => nats.min(std::f64::consts::LN_2).sqrt(),
    }
}

fn of_bin((reference, current): (f64, f64)) -> f64 {
    let middle = (reference + current) / 2.0;
    if middle <= 0.0 {
        0.0
    } else {
        (excess(reference, middle) + excess(current, middle)) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::Sample;
    use super::*;

    fn table(reference: &[f64], current: &[f64]) -> Table {
        Table::of_values(&Sample::of_rows(reference).unwrap(), &Sample::of_rows(current).unwrap())
    }

    #[test]
    fn what_shares_nothing_is_as_far_apart_as_can_be() {
        let apart = table(&[1.0, 2.0, 3.0], &[4.0, 5.0]);
        assert_eq!(distance(&apart, Base::Two), 1.0);
        assert!((distance(&apart, Base::E) - 2_f64.ln().sqrt()).abs() < 1e-15);
        assert_eq!(distance(&table(&[1.0, 2.0], &[1.0, 1.0, 2.0, 2.0]), Base::Two), 0.0);
    }

    proptest! {
        #[test]
        fn it_is_the_definition(a in prop::collection::vec(0_u8..6, 1..60), b in prop::collection::vec(0_u8..6, 1..60)) {
            let rows = |side: &[u8]| side.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
            let share = |side: &[u8], n: u8| side.iter().filter(|other| **other == n).count() as f64 / side.len() as f64;
            let from = |p: f64, middle: f64| if p > 0.0 { p * (p / middle).log2() } else { 0.0 };
            let divergence: f64 = (0..6).map(|n| {
                let (p, q) = (share(&a, n), share(&b, n));
                (from(p, (p + q) / 2.0) + from(q, (p + q) / 2.0)) / 2.0
            }).sum();
            let found = distance(&table(&rows(&a), &rows(&b)), Base::Two);
            prop_assert!((found * found - divergence).abs() < 1e-12);
            prop_assert!((distance(&table(&rows(&b), &rows(&a)), Base::Two) - found).abs() < 1e-12);
        }
    }
}
