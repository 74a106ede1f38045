//! What the reference leaves open.

use super::super::scored::Scored;

/// Parts of the reference's scores, of as many rows each, in which it is told how many rows speak of a window.
const STRATA: f64 = 20.0;

/// Rows of a reference of the window's own scores that would say as much as this one does (Kish 1965): fewer than it has where
/// the window's scores are those that it has few of. Bounds of chance in the window, widened by √(1 + n / these rows), hold
/// with the chance of the reference.
pub fn effective_rows(reference: &Scored, window: &Scored) -> f64 {
    let (reference_n, n) = (reference.n() as f64, window.n() as f64);
    let mut of_window = window.counts().iter().peekable();
    let mut counts = reference.counts().iter().peekable();
    let mut spread = 0.0;
    while counts.peek().is_some() {
        let (mut before, mut now) = (0.0, 0.0);
        let mut end = f64::INFINITY;
        while let Some(count) = counts.next_if(|_| before < reference_n / STRATA) {
            before += count.n() as f64;
            end = count.score;
        }
        if counts.peek().is_none() {
            end = f64::INFINITY;
        }
        while let Some(count) = of_window.next_if(|count| count.score <= end) {
            now += count.n() as f64;
        }
        spread += (now / n).powi(2) / (before / reference_n);
    }
    reference_n / spread
}
