//! The distance itself: a debiased estimate and a bound that it does not exceed.

use std::f64::consts::PI;

/// Half the sum of |p − q| over bins, without what chance alone adds to it.
///
/// Chance makes every |p̂ − q̂| too large, so that two samples of 1,000 in 20 bins differ by 7 % where
/// nothing moved. With t = |p̂ − q̂| / σ each bin is charged σ · (2/√π) · exp(−t²/2): where nothing moved
/// that is on average exactly what chance added (E|Z| = √(2/π)), and a bin that clearly moved is charged
/// nothing.
pub(super) fn debiased(reference: &[u64], window: &[u64]) -> f64 {
    let (reference_n, window_n) = (total(reference), total(window));
    let distance: f64 = reference
        .iter()
        .zip(window)
        .map(|(&r, &w)| {
            let difference = (r as f64 / reference_n - w as f64 / window_n).abs();
            let sigma = pooled_deviation(r as f64, reference_n, w as f64, window_n);
            if sigma == 0.0 {
                return difference;
            }
            difference - sigma * (2.0 / PI.sqrt()) * (-0.5 * (difference / sigma).powi(2)).exp()
        })
        .sum();
    (distance / 2.0).clamp(0.0, 1.0)
}

/// Half the sum of |p̂ − q̂|, as observed.
pub(super) fn observed(reference: &[u64], window: &[u64]) -> f64 {
    let (reference_n, window_n) = (total(reference), total(window));
    let sum: f64 = reference
        .iter()
        .zip(window)
        .map(|(&r, &w)| (r as f64 / reference_n - w as f64 / window_n).abs())
        .sum();
    sum / 2.0
}

/// A bound that the true distance of the binned samples does not exceed, at `z` standard deviations. The
/// observed distance is the largest of the sets' differences, so on average not below the true one, and
/// the difference of no set deviates more than that of one that holds half of the mass.
pub(super) fn upper(reference: &[u64], window: &[u64], z: f64, dispersion: f64) -> f64 {
    let deviation = 0.5 * (dispersion * (1.0 / total(reference) + 1.0 / total(window))).sqrt();
    (observed(reference, window) + z * deviation).min(1.0)
}

/// Standard deviation of the difference of two shares that are equal.
pub(super) fn pooled_deviation(r: f64, reference_n: f64, w: f64, window_n: f64) -> f64 {
    let share = (r + w) / (reference_n + window_n);
    (share * (1.0 - share) * (1.0 / reference_n + 1.0 / window_n)).max(0.0).sqrt()
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>().max(1) as f64
}
