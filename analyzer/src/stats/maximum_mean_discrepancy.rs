//! Maximum mean discrepancy (Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, "A kernel two-sample test"): how far
//! apart two sets of vectors lie, seen through a kernel that compares every vector with every other.

use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Undefined;

/// Vectors of a side that are compared: with so many on both sides there are two million pairs, 32 MB at the peak.
pub const MAX_ROWS: usize = 1_000;
/// Two permutations whose values differ by less are the same one, summed in another order.
const ROUNDING: f64 = 1e-12;
/// Sums that a distance is added up in, so that the processor can add several numbers at once.
const LANES: usize = 8;

/// Vectors of one length, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vectors<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> Vectors<'a> {
    /// Every `dimension` values are one vector.
    ///
    /// # Errors
    /// The values do not divide into vectors of that length, or one of them is NaN or infinite.
    pub fn of(values: &'a [f32], dimension: usize) -> Result<Self, Undefined> {
        if dimension == 0 || !values.len().is_multiple_of(dimension) {
            return Err(Undefined::because(format!(
                "{} values are not vectors of {dimension} numbers each",
                values.len()
            )));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Undefined::because("a value is not finite"));
        }
        Ok(Self { values, dimension })
    }

    /// How many vectors.
    pub fn count(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// All of them, or [`MAX_ROWS`] of them by chance.
    fn chosen(&self, random: &mut impl Rng) -> Vec<&'a [f32]> {
        let (values, dimension) = (self.values, self.dimension);
        let vector = |row: usize| &values[row * dimension..(row + 1) * dimension];
        if self.count() <= MAX_ROWS {
            return (0..self.count()).map(vector).collect();
        }
        index::sample(random, self.count(), MAX_ROWS).into_iter().map(vector).collect()
    }
}

/// How far apart two sets of vectors lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaximumMeanDiscrepancy {
    /// The unbiased estimate of the squared discrepancy: 0 on average where nothing moved, so it may be below.
    pub squared: f64,
    /// p-value of "both sets are from one distribution", by permutation: (1 + b) / (1 + m), where b of m were as far apart.
    pub p_value: f64,
    /// The kernel's width: the median distance of two vectors of both sets together.
    pub bandwidth: f64,
    /// Vectors of the reference that were compared.
    pub reference_n: usize,
    /// Vectors of the window that were compared.
    pub n: usize,
    /// Whether a side had more than [`MAX_ROWS`], so that a seeded sample of it was compared.
    pub is_sampled: bool,
}

/// The unbiased squared discrepancy (lemma 6 of the paper) under the kernel exp(−d² / 2σ²), with the Euclidean distance d
/// and for σ the median of all pairwise distances of both sets together. The p-value counts `permutations` seeded ones.
///
/// The distances cost (reference + window)² / 2 × dimension operations, once; each permutation (the smaller side)² / 2
/// additions. Two sides of [`MAX_ROWS`] with 384 dimensions and 1,000 permutations take about a second of one core.
///
/// It wants the vectors themselves: a profile keeps their projections, from which it cannot be had. Agrees with the
/// definition in NumPy, and with `scipy.spatial.distance.pdist` for the distances.
///
/// # Errors
/// A side has fewer than two vectors, the sides' vectors have different lengths, no permutations are asked for, or half
/// of the pairs or more do not differ, so that the kernel has no width.
pub fn maximum_mean_discrepancy(
    reference: Vectors<'_>,
    current: Vectors<'_>,
    permutations: u32,
    seed: u64,
) -> Result<MaximumMeanDiscrepancy, Undefined> {
    if reference.dimension != current.dimension {
        return Err(Undefined::because(format!(
            "the vectors of the reference have {} numbers, those of the window {}",
            reference.dimension, current.dimension
        )));
    }
    if reference.count() < 2 || current.count() < 2 {
        return Err(Undefined::because("a side has fewer than two vectors"));
    }
    if permutations == 0 {
        return Err(Undefined::because("no permutations are asked for"));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut vectors = reference.chosen(&mut random);
    let reference_n = vectors.len();
    vectors.extend(current.chosen(&mut random));
    let n = vectors.len() - reference_n;

    let distances = Pairs::squared_distances(&vectors);
    let bandwidth = distances.median_root();
    if bandwidth <= 0.0 {
        return Err(Undefined::because("half of the pairs of vectors or more do not differ"));
    }
    let kernel = Kernel::of(distances, bandwidth);
    // Both sides count alike, so the smaller one is enough to name a division.
    let (smaller, members) = if reference_n <= n {
        (reference_n, 0..reference_n)
    } else {
        (n, reference_n..vectors.len())
    };
    let squared = kernel.squared_discrepancy(&members.collect::<Vec<_>>());
    let as_far = (0..permutations).filter(|_| {
        let mut members = index::sample(&mut random, vectors.len(), smaller).into_vec();
        members.sort_unstable();
        kernel.squared_discrepancy(&members) >= squared - ROUNDING
    });
    Ok(MaximumMeanDiscrepancy {
        squared,
        p_value: (1.0 + as_far.count() as f64) / (1.0 + f64::from(permutations)),
        bandwidth,
        reference_n,
        n,
        is_sampled: reference.count() > MAX_ROWS || current.count() > MAX_ROWS,
    })
}

/// One number for each pair of `n` vectors: those of the first with all after it, then those of the second, and so on.
struct Pairs {
    values: Vec<f64>,
    n: usize,
}

impl Pairs {
    fn squared_distances(vectors: &[&[f32]]) -> Self {
        let n = vectors.len();
        let mut values = Vec::with_capacity(n * (n - 1) / 2);
        for (index, one) in vectors.iter().enumerate() {
            values.extend(vectors[index + 1..].iter().map(|other| squared_distance(one, other)));
        }
        Self { values, n }
    }

    /// The root of the median, as `numpy.median` of the roots: between the middle two of an even number.
    fn median_root(&self) -> f64 {
        let mut values = self.values.clone();
        let (below, middle, _) = values.select_nth_unstable_by(self.values.len() / 2, f64::total_cmp);
        let middle = middle.sqrt();
        if self.values.len() % 2 == 1 {
            return middle;
        }
        let lower = below.iter().copied().fold(0.0, f64::max).sqrt();
        (lower + middle) / 2.0
    }

    /// What `index` has with all after it.
    fn after(&self, index: usize) -> &[f64] {
        let start = index * (2 * self.n - index - 1) / 2;
        &self.values[start..start + self.n - index - 1]
    }
}

fn squared_distance(one: &[f32], other: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f64 = ones.remainder().iter().zip(others.remainder()).map(square).sum();
    let mut sums = [0.0; LANES];
    for pair in ones.zip(others) {
        for (sum, numbers) in sums.iter_mut().zip(pair.0.iter().zip(pair.1)) {
            *sum += square(numbers);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The kernel of each pair, and what each vector has with all others together.
struct Kernel {
    pairs: Pairs,
    of_vector: Vec<f64>,
    total: f64,
}

impl Kernel {
    fn of(mut distances: Pairs, bandwidth: f64) -> Self {
        let scale = -0.5 / (bandwidth * bandwidth);
        distances.values.iter_mut().for_each(|value| *value = (*value * scale).exp());
        let mut of_vector = vec![0.0; distances.n];
        for index in 0..distances.n {
            for (offset, value) in distances.after(index).iter().enumerate() {
                of_vector[index] += value;
                of_vector[index + 1 + offset] += value;
            }
        }
        Self {
            total: distances.values.iter().sum(),
            pairs: distances,
            of_vector,
        }
    }

    /// The discrepancy of these vectors, ascending, and the rest.
    fn squared_discrepancy(&self, members: &[usize]) -> f64 {
        let within: f64 = members
            .iter()
            .enumerate()
            .map(|(at, &index)| self.with(index, &members[at + 1..]))
            .sum();
        let between = members.iter().map(|&index| self.of_vector[index]).sum::<f64>() - 2.0 * within;
        let rest = self.total - within - between;
        let (m, n) = (members.len() as f64, (self.pairs.n - members.len()) as f64);
        2.0 * within / (m * (m - 1.0)) + 2.0 * rest / (n * (n - 1.0)) - 2.0 * between / (m * n)
    }

    fn with(&self, index: usize, later: &[usize]) -> f64 {
        let after = self.pairs.after(index);
        later.iter().map(|&other| after[other - index - 1]).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(reference: &[f32], current: &[f32], dimension: usize) -> Result<MaximumMeanDiscrepancy, Undefined> {
        maximum_mean_discrepancy(Vectors::of(reference, dimension)?, Vectors::of(current, dimension)?, 99, 7)
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let because = |result: Result<MaximumMeanDiscrepancy, Undefined>| result.unwrap_err().0;
        assert_eq!(
            because(of(&[1.0, 2.0, 3.0], &[1.0, 2.0], 2)),
            "3 values are not vectors of 2 numbers each"
        );
        assert_eq!(because(of(&[], &[], 0)), "0 values are not vectors of 0 numbers each");
        assert_eq!(because(of(&[1.0, f32::NAN], &[1.0, 2.0], 1)), "a value is not finite");
        assert_eq!(because(of(&[1.0], &[1.0, 2.0], 1)), "a side has fewer than two vectors");
        assert_eq!(
            because(of(&[1.0; 4], &[1.0; 4], 2)),
            "half of the pairs of vectors or more do not differ"
        );
        let (two, one) = (Vectors::of(&[1.0; 4], 2).unwrap(), Vectors::of(&[1.0; 4], 1).unwrap());
        let lengths = "the vectors of the reference have 2 numbers, those of the window 1";
        assert_eq!(because(maximum_mean_discrepancy(two, one, 9, 0)), lengths);
        assert_eq!(because(maximum_mean_discrepancy(one, one, 0, 0)), "no permutations are asked for");
    }

    #[test]
    fn the_largest_numbers_still_have_a_distance() {
        let found = of(&[f32::MAX, -f32::MAX, 0.0], &[f32::MIN_POSITIVE, f32::MAX, 1.0], 1).unwrap();
        assert!(found.squared.is_finite() && found.bandwidth.is_finite());
    }

    #[test]
    fn a_side_beyond_the_bound_is_sampled_and_says_so() {
        let many: Vec<f32> = (0..MAX_ROWS * 3).map(|row| (row % 97) as f32).collect();
        let found = of(&many, &many[..194], 1).unwrap();
        assert_eq!((found.reference_n, found.n, found.is_sampled), (MAX_ROWS, 194, true));
        assert!(found.p_value > 0.05 && found.squared.abs() < 0.01, "{found:?}");
        assert_eq!(found, of(&many, &many[..194], 1).unwrap());
    }

    /// Of the 20 divisions of six vectors into halves, those that are as far apart.
    #[test]
    fn p_is_the_share_of_all_divisions() {
        let rows: [f32; 6] = [0.0, 0.3, 1.1, 0.9, 2.0, 2.2];
        let [reference, current] = [Vectors::of(&rows[..3], 1).unwrap(), Vectors::of(&rows[3..], 1).unwrap()];
        let found = maximum_mean_discrepancy(reference, current, 20_000, 1).unwrap();
        let divisions: Vec<Vec<usize>> = (0..64_usize)
            .filter(|set| set.count_ones() == 3)
            .map(|set| (0..6).filter(|member| set >> member & 1 == 1).collect())
            .collect();
        let of_division = |members: &[usize]| {
            let side = |is_member: bool| {
                (0..6)
                    .filter(|row| members.contains(row) == is_member)
                    .map(|row| rows[row])
                    .collect::<Vec<_>>()
            };
            by_definition(&side(true), &side(false), 1).0
        };
        let as_far = divisions
            .iter()
            .filter(|members| of_division(members) >= found.squared - 1e-9)
            .count();
        assert_eq!(divisions.len(), 20);
        assert!((found.p_value - as_far as f64 / 20.0).abs() < 0.02, "{} {as_far}", found.p_value);
    }

    /// The squared discrepancy and the bandwidth.
    fn by_definition(reference: &[f32], current: &[f32], dimension: usize) -> (f64, f64) {
        let all: Vec<Vec<f64>> = [reference, current]
            .concat()
            .chunks(dimension)
            .map(|row| row.iter().map(|n| f64::from(*n)).collect())
            .collect();
        let distance = |i: usize, j: usize| all[i].iter().zip(&all[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let (m, total) = (reference.len() / dimension, all.len());
        let mut distances: Vec<f64> = (0..total)
            .flat_map(|i| (i + 1..total).map(move |j| (i, j)))
            .map(|(i, j)| distance(i, j))
            .collect();
        distances.sort_by(f64::total_cmp);
        let half = distances.len() / 2;
        let width = if distances.len() % 2 == 1 {
            distances[half]
        } else {
            (distances[half - 1] + distances[half]) / 2.0
        };
        let mean = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            let pairs = rows.flat_map(|i| columns.clone().map(move |j| (i, j))).filter(|(i, j)| i != j);
            let values: Vec<f64> = pairs
                .map(|(i, j)| (-distance(i, j).powi(2) / (2.0 * width * width)).exp())
                .collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        (mean(0..m, 0..m) + mean(m..total, m..total) - 2.0 * mean(0..m, m..total), width)
    }

    proptest! {
        #[test]
        fn it_is_its_definition(
            reference in prop::collection::vec(-3.0..3.0_f32, 2..9),
            current in prop::collection::vec(-3.0..3.0_f32, 2..9),
            dimension in 1_usize..12,
        ) {
            let [reference, current] = [&reference, &current].map(|side| {
                side.iter().flat_map(|n| (0..dimension).map(move |axis| n * (1.0 + axis as f32))).collect::<Vec<f32>>()
            });
            let found = of(&reference, &current, dimension).unwrap();
            let (squared, bandwidth) = by_definition(&reference, &current, dimension);
            prop_assert!((found.squared - squared).abs() < 1e-12 && (found.bandwidth / bandwidth - 1.0).abs() < 1e-12);
            prop_assert!(found.p_value > 0.0 && found.p_value <= 1.0);
        }
    }
}
