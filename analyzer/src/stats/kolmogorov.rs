//! The law of Kolmogorov's statistic: how far the empirical distribution of n independent numbers lies, at its largest
//! distance, from the continuous distribution that they are drawn from.
//!
//! This is the law of n, not Kolmogorov's limit, which is off by several percent for hundreds of values. Which formula holds
//! where is taken from Simard and L'Ecuyer (2011), "Computing the two-sided Kolmogorov-Smirnov distribution", Journal of
//! Statistical Software 39(11): Durbin's matrix (Marsaglia, Tsang and Wang 2003) where it is small, the expansion of Pelz and
//! Good (1976) where it is not, and in the tail twice the one-sided law (Birnbaum and Tingey 1951).

use std::f64::consts::PI;

/// Up to this n Durbin's matrix is small for every distance that is not in the tail.
const SMALL: u64 = 140;
/// n · distance² from which both sides cannot exceed the distance at once, to the last digit: for n up to [`SMALL`].
const TAIL_OF_SMALL: f64 = 4.0;
/// The same for larger n.
const TAIL_OF_LARGE: f64 = 2.2;
/// n · distance² from which the tail, at most 2 exp(−2 n distance²) (Massart 1990), is below the smallest number.
const VANISHED: f64 = 373.0;
/// Largest n and largest n · distance^1.5 for which Durbin's matrix is taken outside the tail: at most 120 rows.
const DURBIN: (u64, f64) = (100_000, 1.4);
/// Terms of the one-sided law that are summed: for larger n every second, third and so on. The terms fall to 0 so smoothly at both
/// ends that the sum stays the same to the last digit.
const TERMS: u64 = 1_000;
/// Beyond this n the one-sided law is taken from its expansion, as SciPy does.
const EXPANDED_BEYOND: u64 = 1_000_000;
/// Terms of the series of Pelz and Good: outside the tail the next one is below 1e-90.
const PELZ_GOOD_TERMS: u32 = 10;

/// P(D ≥ `distance`) for `n` values, at least one. Agrees with `scipy.stats.kstwo.sf`.
///
/// Costs some microseconds, and some 20 ms where the matrix is largest, at distances that are small for n near 100,000.
pub fn upper_tail(n: u64, distance: f64) -> f64 {
    let count = n as f64;
    let steps = count * distance;
    let scaled = steps * distance;
    if steps <= 0.5 {
        return 1.0;
    }
    if distance >= 1.0 || scaled >= VANISHED {
        return 0.0;
    }
    let tail_from = if n <= SMALL { TAIL_OF_SMALL } else { TAIL_OF_LARGE };
    if steps > 1.0 && (distance >= 0.5 || scaled >= tail_from) {
        return (2.0 * one_sided(n, distance)).min(1.0);
    }
    let within = if steps <= 1.0 {
        closest(n, steps)
    } else if n <= SMALL || (n <= DURBIN.0 && count * distance.powf(1.5) <= DURBIN.1) {
        durbin(n, steps)
    } else {
        pelz_good(count, distance * count.sqrt())
    };
    (1.0 - within).clamp(0.0, 1.0)
}

/// P(D < `steps` / n) for up to one step: every value has to lie in a place of its own (Ruben and Gambino 1982).
fn closest(n: u64, steps: f64) -> f64 {
    factorial_ratio(n) * (n as f64 * ((2.0 * steps - 1.0).ln() - 1.0)).exp()
}

/// P(D < `steps` / n) by Durbin's matrix. Divided by e its rows sum to at most 1, because they are those of a Poisson process
/// with a barrier, so that no power of it overflows.
fn durbin(n: u64, steps: f64) -> f64 {
    let half = steps.ceil() as usize;
    let rest = half as f64 - steps;
    let order = 2 * half - 1;
    // 1 / (e · 1!), 1 / (e · 2!), …
    let weights: Vec<f64> = (1..=order)
        .scan((-1.0_f64).exp(), |weight, i| {
            *weight /= i as f64;
            Some(*weight)
        })
        .collect();
    let cut = |i: usize| weights[i] * (1.0 - rest.powf((i + 1) as f64));
    let mut matrix = vec![0.0; order * order];
    for row in 0..order {
        for column in 0..order.min(row + 2) {
            matrix[row * order + column] = match (row, column) {
                (row, 0) if row + 1 == order => {
                    let both = (2.0 * rest - 1.0).max(0.0).powf(order as f64);
                    weights[row] * (1.0 - 2.0 * rest.powf(order as f64) + both)
                }
                (row, 0) => cut(row),
                (row, column) if row + 1 == order => cut(order - 1 - column),
                (row, column) if column == row + 1 => (-1.0_f64).exp(),
                (row, column) => weights[row - column],
            };
        }
    }
    let mut reached = vec![0.0; order];
    reached[half - 1] = 1.0;
    let mut left = n;
    loop {
        if left % 2 == 1 {
            reached = product(&reached, &matrix, order);
        }
        left /= 2;
        if left == 0 {
            return reached[half - 1] * factorial_ratio(n);
        }
        matrix = product(&matrix, &matrix, order);
    }
}

/// Rows times a matrix of `order` columns.
fn product(rows: &[f64], matrix: &[f64], order: usize) -> Vec<f64> {
    let mut all = vec![0.0; rows.len()];
    for (row, sums) in rows.chunks_exact(order).zip(all.chunks_exact_mut(order)) {
        for (factor, other) in row.iter().zip(matrix.chunks_exact(order)) {
            sums.iter_mut().zip(other).for_each(|(sum, entry)| *sum += factor * entry);
        }
    }
    all
}

/// P(D < z / √n) to the order n^−1.5: the sums K0 to K3 of the paper.
fn pelz_good(n: f64, z: f64) -> f64 {
    let (z2, z4, z6, z8) = (z.powi(2), z.powi(4), z.powi(6), z.powi(8));
    let mut sums = [0.0; 4];
    for k in 0..PELZ_GOOD_TERMS {
        // Of two sums one goes over halves and one over whole numbers, each with both signs.
        let half = (PI * (f64::from(k) + 0.5)).powi(2);
        let weight = (-half / (2.0 * z2)).exp();
        let third = half * (135.0 * z4 - 96.0 * z6) + half.powi(2) * (212.0 * z4 - 60.0 * z2) + half.powi(3) * (5.0 - 30.0 * z2);
        sums[0] += 2.0 * weight;
        sums[1] += 2.0 * weight * (half - z2);
        sums[2] += 2.0 * weight * (6.0 * z6 + 2.0 * z4 + half * (2.0 * z4 - 5.0 * z2) + half.powi(2) * (1.0 - 2.0 * z2));
        sums[3] += 2.0 * weight * (third - 30.0 * z6 - 90.0 * z8);
        let whole = (PI * f64::from(k)).powi(2);
        let weight = (-whole / (2.0 * z2)).exp();
        sums[2] -= 4.0 * z4 * weight * whole;
        sums[3] += 60.0 * z4 * weight * (3.0 * whole * z2 - whole.powi(2));
    }
    let scale = (PI / 2.0).sqrt();
    scale
        * (sums[0] / z + sums[1] / (6.0 * z4 * n.sqrt()) + sums[2] / (72.0 * z.powi(7) * n) + sums[3] / (6480.0 * z.powi(10) * n.powf(1.5)))
}

/// P(D⁺ ≥ `distance`), where only distances to one side count: a sum of binomial probabilities, each from its deviance so that
/// nothing cancels (Loader 2000). Beyond [`EXPANDED_BEYOND`] by the expansion of Maag and Dicaire (1971). Agrees with
/// `scipy.special.smirnov`.
fn one_sided(n: u64, distance: f64) -> f64 {
    let count = n as f64;
    if n > EXPANDED_BEYOND {
        return (-(6.0 * count * distance + 1.0).powi(2) / (18.0 * count)).exp();
    }
    let steps = count * distance;
    let of_all = stirling_error(count);
    let stride = (n / TERMS).max(1);
    let places = (1..).map(|term| term * stride).take_while(|below| *below < n);
    let terms = places
        .map(|below| (below as f64, (n - below) as f64))
        .take_while(|(_, above)| *above > steps);
    let sum: f64 = terms
        .map(|(below, above)| {
            let deviance = below * excess(steps / below) + above * excess(-steps / above);
            let logarithm = of_all - stirling_error(below) - stirling_error(above) - deviance;
            (count / (2.0 * PI * below * above)).sqrt() * steps / (steps + below) * logarithm.exp()
        })
        .sum();
    sum * stride as f64 + (count * (-distance).ln_1p()).exp()
}

/// x − ln(1 + x).
fn excess(x: f64) -> f64 {
    x - x.ln_1p()
}

/// n! (e / n)^n, which grows as slowly as √n.
fn factorial_ratio(n: u64) -> f64 {
    let count = n as f64;
    (2.0 * PI * count).sqrt() * stirling_error(count).exp()
}

/// How far Stirling's formula is from ln n!, for whole n from 1.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        let log_factorial: f64 = (2..=n as u32).map(|i| f64::from(i).ln()).sum();
        return log_factorial - ((n + 0.5) * n.ln() - n + 0.5 * (2.0 * PI).ln());
    }
    let n2 = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * n2)) / n2) / n2) / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_uniformly_far_from_its_middle() {
        for distance in [0.5, 0.6, 0.75, 0.9, 1.0] {
            assert!((upper_tail(1, distance) - 2.0 * (1.0 - distance)).abs() < 1e-15);
        }
        assert_eq!(upper_tail(1, 0.3), 1.0);
    }

    #[test]
    fn formulas_meet_where_one_takes_over_from_another() {
        let apart = |one: f64, other: f64| (one / other - 1.0).abs();
        for n in [10, 60, 140] {
            let distance = (TAIL_OF_SMALL / n as f64).sqrt();
            let exact = 1.0 - durbin(n, n as f64 * distance);
            assert!(apart(2.0 * one_sided(n, distance), exact) < 1e-5, "{n}");
            assert!((durbin(n, 1.0) - closest(n, 1.0)).abs() < 1e-12);
        }
        for n in [141, 2_000, 100_000] {
            let distance = (1.4 / n as f64).powf(2.0 / 3.0);
            let (exact, expanded) = (durbin(n, n as f64 * distance), pelz_good(n as f64, distance * (n as f64).sqrt()));
            assert!((exact - expanded).abs() < 1e-5, "{n}: {exact} {expanded}");
            let distance = (TAIL_OF_LARGE / n as f64).sqrt();
            let expanded = 1.0 - pelz_good(n as f64, distance * (n as f64).sqrt());
            assert!(apart(2.0 * one_sided(n, distance), expanded) < 1e-4, "{n}");
        }
        let distance = (5.0 / EXPANDED_BEYOND as f64).sqrt();
        assert!(apart(one_sided(EXPANDED_BEYOND, distance), one_sided(EXPANDED_BEYOND + 1, distance)) < 1e-4);
    }

    #[test]
    fn tails_fall_and_stay_within_0_and_1() {
        for n in [1, 2, 3, 7, 139, 140, 141, 1_000, 99_999, 100_001, 1_000_001, u64::MAX] {
            let tails: Vec<f64> = (0..=60)
                .map(|i| upper_tail(n, f64::from(i) / 30.0 * (3.0 / n as f64).sqrt().min(0.6)))
                .collect();
            assert!(tails.iter().all(|tail| (0.0..=1.0).contains(tail)), "{n}");
            assert!(tails.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-4)), "{n}");
        }
    }
}
