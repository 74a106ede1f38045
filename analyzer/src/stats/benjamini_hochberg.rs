//! Adjusting p-values for the number of features that were looked at (Benjamini and Hochberg 1995).

/// The adjusted p-values, in the order of the given ones: rejecting those below q keeps the expected share
/// of false rejections below q. Agrees with `scipy.stats.false_discovery_control(method="bh")`.
pub fn adjust(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[b].total_cmp(&p_values[a]));
    let count = p_values.len() as f64;
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest: f64 = 1.0;
    for (position, &index) in order.iter().enumerate() {
        let rank = count - position as f64;
        smallest = smallest.min(p_values[index] * count / rank);
        adjusted[index] = smallest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_to_adjust_is_nothing() {
        assert!(adjust(&[]).is_empty());
        assert_eq!(adjust(&[0.03]), [0.03]);
    }

    proptest! {
        #[test]
        fn adjusting_keeps_the_order_and_never_lowers(p in prop::collection::vec(0.0..=1.0f64, 1..40)) {
            let adjusted = adjust(&p);
            for i in 0..p.len() {
                prop_assert!(adjusted[i] >= p[i] - 1e-15 && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    if p[i] < p[j] { prop_assert!(adjusted[i] <= adjusted[j]); }
                }
            }
        }
    }
}
