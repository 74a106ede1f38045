//! The binomial distribution, exact enough for tests of a few ten thousand examples.

/// Natural logarithms of the factorials 0! to n!.
#[derive(Debug, Clone)]
pub(super) struct LogFactorials(Vec<f64>);

impl LogFactorials {
    /// For arguments up to `n`.
    pub(super) fn up_to(n: usize) -> Self {
        let mut table = Vec::with_capacity(n + 1);
        let mut sum = 0.0;
        table.push(sum);
        for i in 1..=n {
            sum += (i as f64).ln();
            table.push(sum);
        }
        Self(table)
    }

    /// P(X = k) for X ~ Binomial(n, p); n must be within the table.
    pub(super) fn probability(&self, k: usize, n: usize, p: f64) -> f64 {
        if k > n {
            return 0.0;
        }
        if p <= 0.0 {
            return if k == 0 { 1.0 } else { 0.0 };
        }
        if p >= 1.0 {
            return if k == n { 1.0 } else { 0.0 };
        }
        let ln_choose = self.0[n] - self.0[k] - self.0[n - k];
        (ln_choose + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()).exp()
    }

    /// P(X ≥ k) for X ~ Binomial(n, p).
    pub(super) fn at_least(&self, k: usize, n: usize, p: f64) -> f64 {
        // Smallest terms first, so that a small tail keeps its digits.
        (k..=n).rev().map(|i| self.probability(i, n, p)).sum::<f64>().min(1.0)
    }

    /// The smallest k with P(X ≥ k) < `level` for X ~ Binomial(n, 1/2); `None` when not even k = n reaches it.
    pub(super) fn critical_half(&self, n: usize, level: f64) -> Option<usize> {
        let mut tail = 0.0;
        let mut critical = None;
        for k in (0..=n).rev() {
            tail += self.probability(k, n, 0.5);
            if tail >= level {
                break;
            }
            critical = Some(k);
        }
        critical
    }
}
