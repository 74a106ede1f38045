//! Quality of a classifier from counts of (predicted, true) pairs, as scikit-learn defines it, with
//! Wilson bounds.

use std::collections::BTreeMap;

use super::{Bounds, Undefined, wilson};

/// Labelled examples of a class from which on it has a part in macro F1: with fewer its F1 is noise.
pub const MIN_EXAMPLES_PER_CLASS: u64 = 5;

/// How often each (predicted, true) pair of classes occurred.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confusion {
    counts: BTreeMap<(String, String), u64>,
}

/// A measure of quality and its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// The estimate, from 0 to 1.
    pub value: f64,
    /// Its bounds.
    pub bounds: Bounds,
}

impl Measure {
    fn share(successes: u64, n: u64, z: f64, otherwise: &str) -> Result<Self, Undefined> {
        if n == 0 {
            return Err(Undefined::because(otherwise));
        }
        Ok(Self {
            value: successes as f64 / n as f64,
            bounds: wilson::bounds(successes as f64, n as f64, z),
        })
    }
}

/// The four counts of one class against the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneAgainstRest {
    /// Predicted and true.
    pub true_positives: u64,
    /// Predicted, not true.
    pub false_positives: u64,
    /// True, not predicted.
    pub false_negatives: u64,
    /// Neither.
    pub true_negatives: u64,
}

impl OneAgainstRest {
    /// Agrees with `sklearn.metrics.precision_score`.
    ///
    /// # Errors
    /// Nothing was predicted positive.
    pub fn precision(self, z: f64) -> Result<Measure, Undefined> {
        Measure::share(
            self.true_positives,
            self.true_positives + self.false_positives,
            z,
            "nothing was predicted positive",
        )
    }

    /// Agrees with `sklearn.metrics.recall_score`.
    ///
    /// # Errors
    /// Nothing is truly positive.
    pub fn recall(self, z: f64) -> Result<Measure, Undefined> {
        Measure::share(
            self.true_positives,
            self.true_positives + self.false_negatives,
            z,
            "nothing is truly positive",
        )
    }

    /// Share of negatives that were predicted positive.
    ///
    /// # Errors
    /// Nothing is truly negative.
    pub fn false_positive_ratio(self, z: f64) -> Result<Measure, Undefined> {
        Measure::share(
            self.false_positives,
            self.false_positives + self.true_negatives,
            z,
            "nothing is truly negative",
        )
    }

    /// Agrees with `sklearn.metrics.f1_score`. F1 = 2J / (1 + J) with J = TP / (TP + FP + FN), which given
    /// its denominator is a binomial share: its Wilson bounds, carried over, are those of F1.
    ///
    /// # Errors
    /// The class is neither predicted nor true anywhere.
    pub fn f1(self, z: f64) -> Result<Measure, Undefined> {
        let n = self.true_positives + self.false_positives + self.false_negatives;
        let jaccard = Measure::share(self.true_positives, n, z, "the class is neither predicted nor true anywhere")?;
        let f1 = |share: f64| 2.0 * share / (1.0 + share);
        Ok(Measure {
            value: f1(jaccard.value),
            bounds: Bounds {
                lower: f1(jaccard.bounds.lower),
                upper: f1(jaccard.bounds.upper),
            },
        })
    }
}

impl Confusion {
    /// Counts `count` examples.
    pub fn add(&mut self, predicted: &str, truth: &str, count: u64) {
        *self.counts.entry((predicted.to_owned(), truth.to_owned())).or_default() += count;
    }

    /// The (predicted, true) pairs and how often each occurred.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts
            .iter()
            .map(|((predicted, truth), &count)| (predicted.as_str(), truth.as_str(), count))
    }

    /// Labelled examples.
    pub fn n(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Share that was right. Agrees with `sklearn.metrics.accuracy_score`; for single labels micro
    /// precision, recall and F1 are the same number.
    ///
    /// # Errors
    /// There are no labelled examples.
    pub fn accuracy(&self, z: f64) -> Result<Measure, Undefined> {
        let right = self
            .pairs()
            .filter(|(predicted, truth, _)| predicted == truth)
            .map(|(_, _, count)| count)
            .sum();
        Measure::share(right, self.n(), z, "there are no labelled examples")
    }

    /// One class against the rest.
    pub fn of_class(&self, class: &str) -> OneAgainstRest {
        let mut counts = OneAgainstRest {
            true_positives: 0,
            false_positives: 0,
            false_negatives: 0,
            true_negatives: 0,
        };
        for (predicted, truth, count) in self.pairs() {
            let cell = match (predicted == class, truth == class) {
                (true, true) => &mut counts.true_positives,
                (true, false) => &mut counts.false_positives,
                (false, true) => &mut counts.false_negatives,
                (false, false) => &mut counts.true_negatives,
            };
            *cell += count;
        }
        counts
    }

    /// Mean F1 of the classes that are true somewhere. Agrees with
    /// `sklearn.metrics.f1_score(average="macro", labels=classes that are true)`. Its bounds are the means of the
    /// classes' bounds: wider than need be, because not all classes err to the same side.
    ///
    /// # Errors
    /// A class has fewer than [`MIN_EXAMPLES_PER_CLASS`] true examples.
    pub fn macro_f1(&self, z: f64) -> Result<Measure, Undefined> {
        let mut examples: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, truth, count) in self.pairs() {
            *examples.entry(truth).or_default() += count;
        }
        if examples.is_empty() {
            return Err(Undefined::because("there are no labelled examples"));
        }
        if let Some((class, count)) = examples.iter().find(|(_, count)| **count < MIN_EXAMPLES_PER_CLASS) {
            return Err(Undefined::because(format!(
                "class {class:?} has {count} labelled examples, fewer than {MIN_EXAMPLES_PER_CLASS}"
            )));
        }
        let of_classes = examples.keys().map(|class| self.of_class(class).f1(z));
        let of_classes: Vec<Measure> = of_classes.collect::<Result<_, _>>()?;
        let mean = |of: fn(&Measure) -> f64| of_classes.iter().map(of).sum::<f64>() / of_classes.len() as f64;
        Ok(Measure {
            value: mean(|f1| f1.value),
            bounds: Bounds {
                lower: mean(|f1| f1.bounds.lower),
                upper: mean(|f1| f1.bounds.upper),
            },
        })
    }
}
