//! Quantiles of log-linear buckets, with bounds.

use driftlead_store::bucket;

use super::{Bounds, Undefined};

/// A quantile and its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The estimate: the middle of the bucket that holds the rank, at most 0.4 % off.
    pub value: f64,
    /// Order statistics around it (Conover 1999, section 3.2).
    pub bounds: Bounds,
}

/// The `share` quantile of the counted values, its bounds each one-sided at `z` standard deviations of
/// the rank. `counts` are (key, count) in ascending order of key.
///
/// # Errors
/// There are no values.
pub fn quantile(counts: &[(i32, u64)], share: f64, z: f64) -> Result<Quantile, Undefined> {
    let n: u64 = counts.iter().map(|(_, count)| count).sum();
    if n == 0 {
        return Err(Undefined::because("there are no values"));
    }
    let n = n as f64;
    let half_width = z * (n * share * (1.0 - share)).sqrt();
    Ok(Quantile {
        value: bucket::middle(key_at(counts, n * share)),
        bounds: Bounds {
            lower: bucket::middle(key_at(counts, n * share - half_width)),
            upper: bucket::middle(key_at(counts, n * share + half_width + 1.0)),
        },
    })
}

/// The key of the value of this rank, counted from 1; ranks outside are those of the ends.
fn key_at(counts: &[(i32, u64)], rank: f64) -> i32 {
    let mut passed = 0.0;
    for &(key, count) in counts {
        passed += count as f64;
        if passed >= rank && count > 0 {
            return key;
        }
    }
    counts.last().map_or(0, |&(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_bucket_of_their_rank() {
        let counts: Vec<(i32, u64)> = (1..=100).map(|i| (bucket::key_of(f64::from(i)).unwrap(), 1)).collect();
        for (share, expected) in [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0)] {
            let found = quantile(&counts, share, 1.645).unwrap();
            assert!((found.value / expected - 1.0).abs() < 0.011, "{share}: {}", found.value);
            assert!(found.bounds.lower <= found.value && found.value <= found.bounds.upper);
        }
        assert!(quantile(&[], 0.5, 1.0).is_err());
    }
}
