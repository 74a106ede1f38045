//! Quantiles of latencies from log-linear buckets.

use driftlead_store::bucket;

/// The `q`-quantile in milliseconds (the middle of the bucket that holds it, so within 0.4 %) of buckets with ascending
/// keys; `None` where they hold nothing.
pub fn quantile(buckets: &(Vec<i32>, Vec<u64>), q: f64) -> Option<f64> {
    let total: u64 = buckets.1.iter().sum();
    let rank = ((q * total as f64).ceil() as u64).max(1);
    let mut seen = 0;
    buckets.0.iter().zip(&buckets.1).find_map(|(key, count)| {
        seen += count;
        (seen >= rank).then(|| bucket::middle(*key))
    })
}

/// Adds buckets to buckets; both have ascending keys.
pub fn merge(into: &mut (Vec<i32>, Vec<u64>), more: &(Vec<i32>, Vec<u64>)) {
    let mut merged: std::collections::BTreeMap<i32, u64> = into.0.iter().copied().zip(into.1.iter().copied()).collect();
    for (key, count) in more.0.iter().zip(&more.1) {
        *merged.entry(*key).or_insert(0) += count;
    }
    *into = merged.into_iter().unzip();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_their_bucket() {
        let keys: Vec<i32> = [1.0, 10.0, 100.0]
            .iter()
            .map(|value| bucket::key_of(*value).expect("finite"))
            .collect();
        let mut buckets = (keys.clone(), vec![50, 45, 5]);
        for (q, expected) in [(0.0, 1.0), (0.5, 1.0), (0.51, 10.0), (0.95, 10.0), (0.96, 100.0), (1.0, 100.0)] {
            let value = quantile(&buckets, q).expect("there are latencies");
            assert!((value / expected - 1.0).abs() < 0.005, "{q}: {value}");
        }
        merge(&mut buckets, &(vec![keys[2]], vec![1_000]));
        assert_eq!(buckets.1, [50, 45, 1_005]);
        assert_eq!(quantile(&(vec![], vec![]), 0.5), None);
    }
}
