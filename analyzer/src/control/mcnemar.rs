//! McNemar's exact one-sided test: did a version lose more examples than it gained by chance?
//!
//! Of the examples that one version answers rightly and the other wrongly, half would be losses if both were
//! equally good: p = P(X ≥ lost) with X ~ Binomial(lost + gained, 1/2). Agrees with
//! `scipy.stats.binomtest(lost, lost + gained, alternative="greater")`; without such examples p is 1.
//! McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12 (1947).

use serde::Serialize;

use super::binomial::LogFactorials;

/// A fall counts as sure below this p.
pub const SIGNIFICANCE: f64 = 0.05;

/// A fall counts as one that a set can show when the test finds it with this probability.
pub const POWER: f64 = 0.8;

/// No answer is given beyond this many examples.
pub const MAX_EXAMPLES_ADVISED: u64 = 100_000;

/// Up to this many examples the power is exact; beyond it the normal approximation is as good and far cheaper.
const MAX_EXACT_POWER: usize = 1_000;

/// Examples that were lost and gained, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Right before, wrong now.
    pub lost: u64,
    /// Wrong before, right now.
    pub gained: u64,
    /// Probability of at least as many losses if both were equally good.
    pub p: f64,
}

impl McNemar {
    /// The test.
    pub fn test(lost: u64, gained: u64) -> Self {
        let n = (lost + gained) as usize;
        let p = if lost == 0 {
            1.0
        } else {
            LogFactorials::up_to(n).at_least(lost as usize, n, 0.5)
        };
        Self { lost, gained, p }
    }

    /// Whether the losses are surely more than chance.
    pub fn is_significant(&self) -> bool {
        self.p < SIGNIFICANCE
    }
}

/// Probability that the test finds a version that loses each of `n` examples with probability `lost_share` and
/// gains it with `gained_share`.
fn power(table: &LogFactorials, n: usize, lost_share: f64, gained_share: f64) -> f64 {
    let changed_share = (lost_share + gained_share).min(1.0);
    if changed_share <= 0.0 {
        return 0.0;
    }
    // Eight standard deviations around the mean hold all but 1e-15 of the number of changed examples.
    let mean = n as f64 * changed_share;
    let spread = 8.0 * (mean * (1.0 - changed_share)).sqrt() + 8.0;
    let (from, to) = ((mean - spread).max(0.0) as usize, ((mean + spread) as usize).min(n));
    (from..=to)
        .map(|changed| {
            let found = table
                .critical_half(changed, SIGNIFICANCE)
                .map_or(0.0, |critical| table.at_least(critical, changed, lost_share / changed_share));
            table.probability(changed, n, changed_share) * found
        })
        .sum()
}

/// The smallest net fall of accuracy, as a share of all examples, that `n` examples show with probability
/// [`POWER`] when as many examples are gained as were here (`gained_share`). `None` when not even a fall of
/// everything that can fall would show.
pub fn smallest_detectable_fall(n: u64, gained_share: f64) -> Option<f64> {
    let n = usize::try_from(n).ok()?;
    let table = LogFactorials::up_to(n.min(MAX_EXACT_POWER));
    let gained_share = gained_share.clamp(0.0, 0.5);
    let most = 1.0 - 2.0 * gained_share;
    let found = |fall: f64| {
        if n <= MAX_EXACT_POWER {
            power(&table, n, gained_share + fall, gained_share) >= POWER
        } else {
            examples_needed(gained_share + fall, gained_share).is_some_and(|needed| needed <= n as u64)
        }
    };
    if n == 0 || !found(most) {
        return None;
    }
    let (mut hidden, mut shown) = (0.0, most);
    while shown - hidden > 1e-4 {
        let middle = (hidden + shown) / 2.0;
        if found(middle) { shown = middle } else { hidden = middle }
    }
    Some(shown)
}

/// How many examples show a version that loses and gains these shares with probability [`POWER`]; `None` when it
/// does not lose more than it gains, or when more than [`MAX_EXAMPLES_ADVISED`] would be needed.
///
/// Normal approximation of Connor, "Sample size for testing differences in proportions for the paired-sample
/// design", Biometrics 43 (1987), with the levels of this module.
pub fn examples_needed(lost_share: f64, gained_share: f64) -> Option<u64> {
    /// Quantiles of the standard normal distribution at 1 − [`SIGNIFICANCE`] and [`POWER`].
    const Z_SIGNIFICANCE: f64 = 1.644_853_626_951_472_2;
    const Z_POWER: f64 = 0.841_621_233_572_914_3;
    let (changed, fall) = (lost_share + gained_share, lost_share - gained_share);
    if fall <= 0.0 {
        return None;
    }
    let needed = (Z_SIGNIFICANCE * changed.sqrt() + Z_POWER * (changed - fall * fall).max(0.0).sqrt()) / fall;
    let needed = (needed * needed).ceil();
    (needed <= MAX_EXAMPLES_ADVISED as f64).then_some(needed as u64)
}
