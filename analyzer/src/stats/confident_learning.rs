//! Which labels are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating
//! uncertainty in dataset labels", Journal of Artificial Intelligence Research 70).
//!
//! It takes what a model that never saw a row thinks of it, and the label that the row was given. An example counts as
//! confidently of a class when its probability of it is at least the mean probability that examples with this label have; the
//! counts of given label against confident class, scaled to how often each label is given, are the joint of given and true
//! labels. How many examples of a class belong to another one follows from it, and those with the largest margin are they.

use super::Undefined;

/// A probability that is so much lower than a threshold still reaches it.
const TOLERANCE: f64 = 1e-6;
/// Thresholds are at least this.
const LEAST_THRESHOLD: f64 = 2.0 * TOLERANCE;
/// Examples of a class that are never called wrong.
const KEPT_OF_CLASS: u64 = 1;

/// Out-of-fold probabilities, row after row.
#[derive(Debug, Clone, Copy)]
pub struct Probabilities<'a> {
    values: &'a [f32],
    classes: usize,
}

impl<'a> Probabilities<'a> {
    /// Of rows with so many classes each.
    ///
    /// # Errors
    /// There are no classes, the values are no whole number of rows, or one is not a number from 0 to 1.
    pub fn of(values: &'a [f32], classes: usize) -> Result<Self, Undefined> {
        if classes == 0 || !values.len().is_multiple_of(classes) {
            return Err(Undefined::because("there are no classes, or rows of different lengths"));
        }
        if values.iter().any(|value| !(0.0..=1.0).contains(value)) {
            return Err(Undefined::because("a probability is not a number from 0 to 1"));
        }
        Ok(Self { values, classes })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.classes
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The probabilities of a row.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.classes..(row + 1) * self.classes]
    }

    fn of_class(&self, row: usize, class: usize) -> f64 {
        f64::from(self.values[row * self.classes + class])
    }

    /// The most probable class of a row, the first of several.
    pub fn most_probable(&self, row: usize) -> usize {
        largest(self.row(row).iter().map(|value| f64::from(*value)))
    }

    /// How much more probable the given label is than the most probable other one, from 0 (certainly the other) to 1. Agrees
    /// with cleanlab's `get_label_quality_scores(method="normalized_margin")`.
    pub fn normalized_margin(&self, row: usize, label: usize) -> f64 {
        let others = self.row(row).iter().enumerate().filter(|(class, _)| *class != label);
        let other = others.map(|(_, value)| f64::from(*value)).fold(0.0, f64::max);
        (self.of_class(row, label) - other + 1.0) / 2.0
    }
}

/// The joint of given and true labels as counts: `[given][true]`.
pub type Joint = Vec<Vec<u64>>;

/// Which examples are called wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruning {
    /// For each pair of given and true class as many as the joint says, by margin.
    NoiseRate,
    /// Of each given class as many as the joint says, by the probability of the given class.
    Class,
    /// What both say.
    Both,
}

/// What the labels and the probabilities say together.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfidentLearning {
    /// The mean probability of each class among the examples that have its label; none where no example has.
    pub thresholds: Vec<Option<f64>>,
    /// Examples by given label and confident class, as they were counted; at least one on the diagonal.
    pub counted: Joint,
    /// The same, scaled to how often each label is given, so that a row sums to the examples of that label.
    pub joint: Joint,
}

impl ConfidentLearning {
    /// Counts. Agrees with cleanlab's `compute_confident_joint(calibrate=True)`, where no two counts
    /// of a row are rounded equally far, and, `counted`, `calibrate=False`.
    ///
    /// # Errors
    /// There are no rows, more or fewer labels than rows, or a label without a class.
    pub fn of(labels: &[usize], probabilities: Probabilities<'_>) -> Result<Self, Undefined> {
        let classes = probabilities.classes();
        if labels.is_empty() || labels.len() != probabilities.rows() {
            return Err(Undefined::because("there are no rows, or not one label for each"));
        }
        if labels.iter().any(|label| *label >= classes) {
            return Err(Undefined::because("a label has no probability"));
        }
        let given = given(labels, classes);
        let thresholds = thresholds(labels, &given, probabilities);
        let counted = counted(labels, &thresholds, probabilities);
        let joint = calibrated(&counted, &given);
        Ok(Self {
            thresholds,
            counted,
            joint,
        })
    }

    /// The share of examples whose label is wrong, as the joint estimates it: what is off its diagonal.
    pub fn noise(&self) -> f64 {
        let all: u64 = self.joint.iter().flatten().sum();
        let right: u64 = self.joint.iter().enumerate().map(|(class, row)| row[class]).sum();
        (all - right) as f64 / all.max(1) as f64
    }

    /// Whether each example's label is called wrong. One whose label is also what the model thinks most probable never is. Agrees
    /// with cleanlab's `find_label_issues(filter_by=…)`, where no margins are equal and the joint has no 0 on its diagonal.
    pub fn issues(&self, labels: &[usize], probabilities: Probabilities<'_>, pruning: Pruning) -> Vec<bool> {
        let mut rows_of = vec![Vec::new(); probabilities.classes()];
        labels.iter().enumerate().for_each(|(row, label)| rows_of[*label].push(row));
        let mut issues = vec![false; labels.len()];
        for (class, rows) in rows_of.iter_mut().enumerate() {
            if rows.len() as u64 > KEPT_OF_CLASS {
                self.mark(class, rows, probabilities, pruning, &mut issues);
            }
        }
        issues
    }

    fn mark(&self, class: usize, rows: &mut [usize], probabilities: Probabilities<'_>, pruning: Pruning, issues: &mut [bool]) {
        let wrong_by_rate = |rows: &mut [usize], issues: &mut [bool]| {
            for (other, count) in self.joint[class].iter().enumerate() {
                if other == class || *count == 0 {
                    continue;
                }
                let margin = |row: &usize| probabilities.of_class(*row, other) - probabilities.of_class(*row, class);
                first(rows, *count, |row| -margin(row)).iter().for_each(|row| issues[*row] = true);
            }
        };
        let wrong_by_class = |rows: &mut [usize], issues: &mut [bool]| {
            let kept = self.joint[class][class].max(KEPT_OF_CLASS);
            let wrong = (rows.len() as u64).saturating_sub(kept);
            let lowest = first(rows, wrong, |row| probabilities.of_class(*row, class));
            lowest.iter().for_each(|row| issues[*row] = true);
        };
        match pruning {
            Pruning::NoiseRate => wrong_by_rate(rows, issues),
            Pruning::Class => wrong_by_class(rows, issues),
            Pruning::Both => {
                let mut by_class = vec![false; issues.len()];
                wrong_by_rate(rows, issues);
                wrong_by_class(rows, &mut by_class);
                rows.iter().for_each(|row| issues[*row] &= by_class[*row]);
            }
        }
        for row in rows.iter() {
            let favoured = probabilities.row(*row).iter().enumerate().map(|(other, value)| {
                let bonus = if other == class { TOLERANCE } else { 0.0 };
                f64::from(*value) + bonus
            });
            if largest(favoured) == class {
                issues[*row] = false;
            }
        }
    }
}

/// The rows with the smallest keys.
fn first(rows: &mut [usize], count: u64, key: impl Fn(&usize) -> f64) -> &[usize] {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(rows.len());
    // By row where keys are equal, so that the answer does not depend on the order in which they come.
    rows.sort_unstable_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
    &rows[..count]
}

fn largest(values: impl Iterator<Item = f64>) -> usize {
    let (mut index, mut most) = (0, f64::NEG_INFINITY);
    for (at, value) in values.enumerate() {
        if value > most {
            (index, most) = (at, value);
        }
    }
    index
}

fn given(labels: &[usize], classes: usize) -> Vec<u64> {
    let mut given = vec![0; classes];
    labels.iter().for_each(|label| given[*label] += 1);
    given
}

fn thresholds(labels: &[usize], given: &[u64], probabilities: Probabilities<'_>) -> Vec<Option<f64>> {
    let mut sums = vec![0.0; given.len()];
    for (row, label) in labels.iter().enumerate() {
        sums[*label] += probabilities.of_class(row, *label);
    }
    let mean = |(sum, count): (f64, &u64)| (*count > 0).then(|| (sum / *count as f64).max(LEAST_THRESHOLD));
    sums.into_iter().zip(given).map(mean).collect()
}

fn counted(labels: &[usize], thresholds: &[Option<f64>], probabilities: Probabilities<'_>) -> Joint {
    let classes = thresholds.len();
    let mut counted = vec![vec![0; classes]; classes];
    for (row, label) in labels.iter().enumerate() {
        let reaches =
            |class: &usize| thresholds[*class].is_some_and(|threshold| probabilities.of_class(row, *class) >= threshold - TOLERANCE);
        let mut confident = (0..classes).filter(reaches);
        let class = match (confident.next(), confident.next()) {
            (None, _) => continue,
            (Some(class), None) => class,
            (Some(_), Some(_)) => probabilities.most_probable(row),
        };
        counted[*label][class] += 1;
    }
    (0..classes).for_each(|class| counted[class][class] = counted[class][class].max(1));
    counted
}

fn calibrated(counted: &Joint, given: &[u64]) -> Joint {
    let scaled: Vec<Vec<f64>> = counted
        .iter()
        .zip(given)
        .map(|(row, given)| {
            let sum: u64 = row.iter().sum();
            row.iter().map(|count| *count as f64 / sum as f64 * *given as f64).collect()
        })
        .collect();
    scaled.iter().map(|row| rounded(row)).collect()
}

/// Whole numbers with the same sum: what was rounded farthest in the wrong direction gives way.
fn rounded(row: &[f64]) -> Vec<u64> {
    let mut whole: Vec<f64> = row.iter().map(|value| value.round_ties_even()).collect();
    let missing = row.iter().sum::<f64>().round_ties_even() - whole.iter().sum::<f64>();
    let mut order: Vec<usize> = (0..row.len()).collect();
    let lost = |index: &usize| row[*index] - row[*index].round_ties_even();
    order.sort_by(|a, b| {
        if missing > 0.0 {
            lost(b).total_cmp(&lost(a))
        } else {
            lost(a).total_cmp(&lost(b))
        }
    });
    for index in order.into_iter().take(missing.abs() as usize) {
        whole[index] += missing.signum();
    }
    whole.into_iter().map(|value| value.max(0.0) as u64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learnt(labels: &[usize], values: &[f32], classes: usize) -> (ConfidentLearning, Vec<bool>) {
        let probabilities = Probabilities::of(values, classes).unwrap();
        let learnt = ConfidentLearning::of(labels, probabilities).unwrap();
        let issues = learnt.issues(labels, probabilities, Pruning::NoiseRate);
        (learnt, issues)
    }

    #[test]
    fn a_label_that_a_sure_model_contradicts_is_wrong() {
        let labels = [0, 0, 0, 1, 1, 1];
        let values = [0.9, 0.1, 0.8, 0.2, 0.05, 0.95, 0.1, 0.9, 0.2, 0.8, 0.1, 0.9];
        let (learnt, issues) = learnt(&labels, &values, 2);
        assert_eq!(issues, [false, false, true, false, false, false]);
        assert_eq!(learnt.counted[0], [2, 1]);
        assert!((learnt.noise() - 1.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_class_that_nobody_has_is_nobodys_true_one() {
        let (learnt, issues) = learnt(&[0, 0, 1], &[0.2, 0.1, 0.7, 0.3, 0.1, 0.6, 0.1, 0.9, 0.0], 3);
        assert_eq!(learnt.thresholds[2], None);
        assert_eq!(learnt.joint.iter().map(|row| row[2]).collect::<Vec<_>>(), [0, 0, 0]);
        assert_eq!(issues, [false; 3]);
    }

    #[test]
    fn what_cannot_be_learnt_says_why() {
        let because = |labels: &[usize], values: &[f32], classes| {
            Probabilities::of(values, classes)
                .and_then(|probabilities| ConfidentLearning::of(labels, probabilities))
                .unwrap_err()
                .0
        };
        assert!(because(&[], &[], 2).contains("no rows"));
        assert!(because(&[0], &[0.5], 2).contains("no classes, or rows of different lengths"));
        assert!(because(&[0], &[f32::NAN, 0.1], 2).contains("not a number from 0 to 1"));
        assert!(because(&[2], &[0.5, 0.5], 2).contains("a label has no probability"));
    }

    proptest! {
        #[test]
        fn every_row_of_the_joint_sums_to_its_label(rows in proptest::collection::vec((0_usize..4, proptest::collection::vec(0.0_f32..1.0, 4)), 1..80)) {
            let labels: Vec<usize> = rows.iter().map(|(label, _)| *label).collect();
            let values: Vec<f32> = rows.iter().flat_map(|(_, row)| {
                let sum: f32 = row.iter().sum::<f32>().max(1e-3);
                row.iter().map(move |value| (value / sum).min(1.0)).collect::<Vec<_>>()
            }).collect();
            let probabilities = Probabilities::of(&values, 4).unwrap();
            let learnt = ConfidentLearning::of(&labels, probabilities).unwrap();
            for (class, row) in learnt.joint.iter().enumerate() {
                prop_assert_eq!(row.iter().sum::<u64>(), labels.iter().filter(|label| **label == class).count() as u64);
            }
            let by_rate = learnt.issues(&labels, probabilities, Pruning::NoiseRate);
            let both = learnt.issues(&labels, probabilities, Pruning::Both);
            for (row, label) in labels.iter().enumerate() {
                prop_assert!(!both[row] || by_rate[row]);
                prop_assert!(!by_rate[row] || probabilities.most_probable(row) != *label || probabilities.normalized_margin(row, *label) <= 0.5 + 1e-6);
            }
            for class in 0..4 {
                let of_class: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] == class).collect();
                prop_assert!(of_class.is_empty() || of_class.iter().any(|row| !both[*row]));
            }
        }
    }
}
