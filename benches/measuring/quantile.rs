//! Quantiles of what was measured.

/// The value that a share of the values does not exceed (nearest rank).
///
/// # Panics
/// There are no values.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The middle value.
///
/// # Panics
/// There are no values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}
