//! What is typical of a cluster: the values that it has more of than the others, the numbers that are larger or smaller.

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::samples::SampledInference;
use driftlead_store::clusters::Typical;
use driftlead_store::records::pseudo;

/// How much is told of a cluster.
const MAX_TOLD: usize = 5;
/// Standard deviations that means have to be apart.
const MIN_DEVIATIONS: f64 = 0.5;
/// How much larger the share of a value has to be.
const MIN_DIFFERENCE: f64 = 0.2;

/// A number of many, as sums.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, number: f64) {
        self.n += 1.0;
        self.sum += number;
        self.squares += number * number;
    }

    fn mean(self) -> f64 {
        self.sum / self.n
    }

    fn deviation(self) -> f64 {
        (self.squares / self.n - self.mean().powi(2)).max(0.0).sqrt()
    }
}

/// What all inferences are like, and each cluster.
#[derive(Debug, Default)]
struct Counts {
    rows: f64,
    numbers: BTreeMap<String, Moments>,
    values: BTreeMap<(String, String), f64>,
}

impl Counts {
    fn add(&mut self, row: &SampledInference) {
        self.rows += 1.0;
        let scores = [
            (pseudo::PREDICTION_SCORE, row.prediction_score),
            (pseudo::PREDICTION_VALUE, row.prediction_value),
        ];
        let scores = scores.into_iter().filter_map(|(name, number)| Some((name, number?)));
        let numbers = row
            .numeric_features
            .iter()
            .map(|(name, number)| (name.as_str(), *number))
            .chain(scores);
        for (feature, number) in numbers.filter(|(_, number)| number.is_finite()) {
            self.numbers.entry(feature.to_owned()).or_default().add(number);
        }
        let label = row.prediction_label.iter().map(|label| (pseudo::PREDICTION_LABEL, label.as_str()));
        let values = row
            .categorical_features
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(label);
        for (feature, value) in values {
            *self.values.entry((feature.to_owned(), value.to_owned())).or_default() += 1.0;
        }
    }
}

/// What is typical of each of `clusters`; `of_row` says to which of them each row belongs, if to any.
pub(super) fn typical(rows: &[&SampledInference], of_row: &[Option<usize>], clusters: usize) -> Vec<Vec<Typical>> {
    let mut all = Counts::default();
    let mut each: Vec<Counts> = (0..clusters).map(|_| Counts::default()).collect();
    for (row, cluster) in rows.iter().zip(of_row) {
        all.add(row);
        if let Some(counts) = cluster.and_then(|cluster| each.get_mut(cluster)) {
            counts.add(row);
        }
    }
    each.iter().map(|counts| of_cluster(counts, &all)).collect()
}

fn of_cluster(cluster: &Counts, all: &Counts) -> Vec<Typical> {
    let mut found: Vec<(f64, Typical)> = Vec::new();
    for (feature, moments) in &cluster.numbers {
        let of_all = all.numbers[feature];
        if of_all.deviation() <= 0.0 {
            continue;
        }
        let deviations = (moments.mean() - of_all.mean()) / of_all.deviation();
        // A number that few of the cluster have says nothing of it.
        if deviations.abs() >= MIN_DEVIATIONS && 2.0 * moments.n >= cluster.rows {
            let typical = Typical::Mean {
                feature: feature.clone(),
                mean: moments.mean(),
                mean_of_all: of_all.mean(),
                standard_deviations: deviations,
            };
            found.push((deviations.abs(), typical));
        }
    }
    for ((feature, value), count) in &cluster.values {
        let (share, share_of_all) = (count / cluster.rows, all.values[&(feature.clone(), value.clone())] / all.rows);
        let deviation = (share_of_all * (1.0 - share_of_all)).sqrt();
        if share - share_of_all >= MIN_DIFFERENCE && deviation > 0.0 {
            let typical = Typical::Value {
                feature: feature.clone(),
                value: value.clone(),
                share,
                share_of_all,
            };
            found.push(((share - share_of_all) / deviation, typical));
        }
    }
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().take(MAX_TOLD).map(|(_, typical)| typical).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_has_more_of_is_told_the_most_telling_first() {
        let row = |age: f64, plan: &str| SampledInference {
            numeric_features: vec![("age".to_owned(), age), ("noise".to_owned(), 1.0)],
            categorical_features: vec![("plan".to_owned(), plan.to_owned())],
            ..SampledInference::default()
        };
        let rows: Vec<_> = (0..100)
            .map(|at| {
                if at < 20 {
                    row(60.0 + f64::from(at % 3), "free")
                } else {
                    row(30.0 + f64::from(at % 7), "paid")
                }
            })
            .collect();
        let of_row: Vec<Option<usize>> = (0..100).map(|at| Some(usize::from(at >= 20))).collect();
        let rows: Vec<&SampledInference> = rows.iter().collect();
        let found = typical(&rows, &of_row, 2);
        assert_eq!(found[0].len(), 2);
        let is_plan = |typical: &Typical| matches!(typical, Typical::Value { value, share, share_of_all, .. } if value == "free" && *share == 1.0 && *share_of_all == 0.2);
        let is_age = |typical: &Typical| matches!(typical, Typical::Mean { feature, standard_deviations, .. } if feature == "age" && *standard_deviations > 1.5);
        assert!(found[0].iter().any(is_plan) && found[0].iter().any(is_age), "{found:?}");
        assert_eq!(typical(&rows, &vec![None; 100], 1), [Vec::new()]);
    }
}
