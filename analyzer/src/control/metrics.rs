//! Accuracy and F1 of answers to control examples, with bounds by a seeded stratified bootstrap.
//!
//! F1 is binary where the model declares its positive class, macro over the classes of the set where each has at
//! least [`MIN_MACRO_EXAMPLES`] examples, else micro. Agrees with
//! `sklearn.metrics.f1_score(expected, answers, labels=classes of the set, pos_label=…, average=…)`; where
//! scikit-learn warns and says 0, there is no value here.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Examples that every class needs for the macro average.
pub const MIN_MACRO_EXAMPLES: usize = 5;

/// Draws of the bootstrap.
pub const BOOTSTRAP_DRAWS: usize = 10_000;

/// Bounds are one-sided at this level.
pub const BOUND_LEVEL: f64 = 0.95;

/// A value with its one-sided bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounded {
    /// The value.
    pub value: f64,
    /// 95 % of the draws are at or above this.
    pub lower: f64,
    /// 95 % of the draws are at or below this.
    pub upper: f64,
}

/// How F1 is taken over classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Of the class with this index in [`Classes`].
    Binary(usize),
    /// Mean over the classes.
    Macro,
    /// Over all answers together.
    Micro,
}

/// The classes that a set expects, and how F1 is taken over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    names: Vec<String>,
    average: Average,
}

/// Expected class and answer of one example, as indexes; an answer that no example expects has the index after
/// the last class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Index of the expected class.
    pub expected: usize,
    /// Index of the answer.
    pub answer: usize,
}

impl Classes {
    /// From what the examples expect. `None` when there are none, or none expects the declared positive class.
    pub fn of<'a>(expected: impl Iterator<Item = &'a str>, positive_class: Option<&str>) -> Option<Self> {
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for class in expected {
            *counts.entry(class).or_default() += 1;
        }
        let names: Vec<String> = counts.keys().map(|&name| name.to_owned()).collect();
        let average = match positive_class {
            Some(positive) => Average::Binary(names.iter().position(|name| name == positive)?),
            None if names.is_empty() => return None,
            None if counts.values().all(|&count| count >= MIN_MACRO_EXAMPLES) => Average::Macro,
            None => Average::Micro,
        };
        Some(Self { names, average })
    }

    /// How F1 is taken.
    pub fn average(&self) -> Average {
        self.average
    }

    /// Expected class and answer as indexes.
    pub fn pair(&self, expected: &str, answer: &str) -> Option<Pair> {
        Some(Pair {
            expected: self.names.binary_search_by(|name| name.as_str().cmp(expected)).ok()?,
            answer: self
                .names
                .binary_search_by(|name| name.as_str().cmp(answer))
                .unwrap_or(self.names.len()),
        })
    }

    /// F1; `None` where there is nothing to take it of.
    pub fn f1(&self, pairs: impl Iterator<Item = Pair>) -> Option<f64> {
        let mut tally = vec![Tally::default(); self.names.len() + 1];
        let mut pairs = pairs.peekable();
        pairs.peek()?;
        for pair in pairs {
            tally[pair.expected].expected += 1;
            tally[pair.answer].answered += 1;
            if pair.expected == pair.answer {
                tally[pair.expected].right += 1;
            }
        }
        match self.average {
            Average::Binary(positive) => tally[positive].f1(),
            Average::Macro => {
                let classes = &tally[..self.names.len()];
                Some(classes.iter().map(|class| class.f1().unwrap_or(0.0)).sum::<f64>() / classes.len() as f64)
            }
            Average::Micro => {
                let mut all = Tally::default();
                for class in &tally[..self.names.len()] {
                    all.expected += class.expected;
                    all.answered += class.answered;
                    all.right += class.right;
                }
                all.f1()
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    expected: u64,
    answered: u64,
    right: u64,
}

impl Tally {
    fn f1(self) -> Option<f64> {
        let both = self.expected + self.answered;
        (both > 0).then(|| 2.0 * self.right as f64 / both as f64)
    }
}

/// Bounds of several statistics from the same draws: each stratum is drawn from with replacement as often as it
/// has members, so that a class keeps its share. A statistic that a draw leaves undefined is left out of its
/// quantiles; one that is undefined on the sample itself has no bounds.
pub fn bootstrap<const N: usize>(
    strata: &[Vec<usize>],
    seed: u64,
    statistic: impl Fn(&[usize]) -> [Option<f64>; N],
) -> [Option<Bounded>; N] {
    let sample: Vec<usize> = strata.iter().flatten().copied().collect();
    let values = statistic(&sample);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(BOOTSTRAP_DRAWS));
    let mut drawn = Vec::with_capacity(sample.len());
    for _ in 0..BOOTSTRAP_DRAWS {
        drawn.clear();
        for stratum in strata {
            drawn.extend((0..stratum.len()).map(|_| stratum[random.random_range(0..stratum.len())]));
        }
        for (draws, value) in draws.iter_mut().zip(statistic(&drawn)) {
            draws.extend(value);
        }
    }
    let mut draws = draws.into_iter();
    values.map(|value| {
        let mut draws = draws.next().unwrap_or_default();
        draws.sort_unstable_by(f64::total_cmp);
        Some(Bounded {
            value: value?,
            lower: quantile(&draws, 1.0 - BOUND_LEVEL)?,
            upper: quantile(&draws, BOUND_LEVEL)?,
        })
    })
}

/// Quantile with linear interpolation; agrees with `numpy.quantile`. `None` of nothing.
pub fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = level * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}
