//! A regression tree of absolute errors (Breiman, Friedman, Olshen and Stone 1984), grown where it gains most.

use super::Observed;

/// Leaves at most: with more, each knows less of its own errors.
const MAX_LEAVES: usize = 32;
/// Observations below which a leaf's errors do not show how large errors are.
pub(super) const MIN_PER_LEAF: u64 = 100;
/// What a split has to gain, in variances of the errors that it splits. Where errors depend on nothing, one split gains one
/// variance on average, and the best of all rarely as much as this.
const LEAST_GAIN: f64 = 16.0;

/// Sums of the absolute errors in one leaf.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Leaf {
    pub n: f64,
    pub absolute: f64,
    pub squared: f64,
}

impl Leaf {
    fn of<'a>(rows: impl Iterator<Item = &'a Observed>) -> Self {
        rows.fold(Self::default(), |leaf, row| {
            let count = row.count as f64;
            Self {
                n: leaf.n + count,
                absolute: leaf.absolute + row.error.abs() * count,
                squared: leaf.squared + row.error * row.error * count,
            }
        })
    }

    pub fn mean(self) -> f64 {
        self.absolute / self.n
    }

    pub fn variance(self) -> f64 {
        // Differences of nearly equal sums may fall below 0.
        ((self.squared - self.absolute * self.mean()) / (self.n - 1.0)).max(0.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    /// The position of the leaf.
    Leaf(usize),
    /// Nodes of what is at most `to`, and of what is above.
    Split { number: usize, to: f64, low: usize, high: usize },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
}

/// A leaf that may still be split.
struct Open<'a> {
    node: usize,
    rows: Vec<&'a Observed>,
    split: Option<Split>,
}

#[derive(Clone, Copy)]
struct Split {
    number: usize,
    to: f64,
    gain: f64,
}

impl<'a> Open<'a> {
    fn of(node: usize, rows: Vec<&'a Observed>) -> Self {
        let split = best_split(&rows);
        Self { node, rows, split }
    }
}

impl Tree {
    /// Of finite rows that all have as many numbers.
    pub fn grow(rows: &[Observed]) -> Self {
        let mut nodes = vec![Node::Leaf(0)];
        let mut open = vec![Open::of(0, rows.iter().filter(|row| row.count > 0).collect())];
        while open.len() < MAX_LEAVES {
            let splits = open.iter().enumerate().filter_map(|(position, leaf)| Some((position, leaf.split?)));
            let Some((position, split)) = splits.max_by(|(_, a), (_, b)| a.gain.total_cmp(&b.gain)) else {
                break;
            };
            let parent = open.swap_remove(position);
            let (low, high) = parent.rows.into_iter().partition(|row| row.at[split.number] <= split.to);
            nodes[parent.node] = Node::Split {
                number: split.number,
                to: split.to,
                low: nodes.len(),
                high: nodes.len() + 1,
            };
            for rows in [low, high] {
                open.push(Open::of(nodes.len(), rows));
                nodes.push(Node::Leaf(0));
            }
        }
        for (position, leaf) in open.iter().enumerate() {
            nodes[leaf.node] = Node::Leaf(position);
        }
        Self {
            nodes,
            leaves: open.into_iter().map(|leaf| Leaf::of(leaf.rows.into_iter())).collect(),
        }
    }

    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The position of the leaf where an inference with these numbers belongs.
    pub fn leaf_of(&self, at: &[f64]) -> usize {
        let mut node = 0;
        loop {
            match self.nodes[node] {
                Node::Leaf(position) => return position,
                Node::Split { number, to, low, high } => node = if at[number] <= to { low } else { high },
            }
        }
    }
}

/// The split that leaves the least variance within its sides, if it gains enough.
fn best_split(rows: &[&Observed]) -> Option<Split> {
    let whole = Leaf::of(rows.iter().copied());
    let numbers = rows.first().map_or(0, |row| row.at.len());
    let splits = (0..numbers).filter_map(|number| best_split_by(rows, number, whole));
    splits
        .max_by(|a, b| a.gain.total_cmp(&b.gain))
        .filter(|split| split.gain > LEAST_GAIN * whole.variance())
}

fn best_split_by(rows: &[&Observed], number: usize, whole: Leaf) -> Option<Split> {
    let least = MIN_PER_LEAF as f64;
    let mut sorted = rows.to_vec();
    sorted.sort_unstable_by(|a, b| a.at[number].total_cmp(&b.at[number]));
    let (mut n, mut absolute) = (0.0, 0.0);
    let mut best: Option<Split> = None;
    for same in sorted.chunk_by(|a, b| a.at[number] == b.at[number]) {
        let here = Leaf::of(same.iter().copied());
        n += here.n;
        absolute += here.absolute;
        if n >= least && whole.n - n >= least {
            let above = whole.absolute - absolute;
            let gain = absolute * absolute / n + above * above / (whole.n - n) - whole.absolute * whole.mean();
            if best.is_none_or(|best| gain > best.gain) {
                let to = same[0].at[number];
                best = Some(Split { number, to, gain });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn row(at: &[f64], error: f64, count: u64) -> Observed {
        let at = at.to_vec();
        Observed { at, error, count }
    }

    #[test]
    fn it_splits_where_errors_change_and_nowhere_else() {
        let rows: Vec<Observed> = (0..2_000_u32)
            .map(|i| row(&[f64::from(i % 7), f64::from(i)], if i < 600 { 1.0 } else { -3.0 }, 1))
            .collect();
        let tree = Tree::grow(&rows);
        assert_eq!(tree.leaves().len(), 2);
        assert_eq!(
            [0.0, 599.0, 600.0, 1e9].map(|at| tree.leaves()[tree.leaf_of(&[0.0, at])].mean()),
            [1.0, 1.0, 3.0, 3.0]
        );
    }

    #[test]
    fn errors_that_depend_on_nothing_are_not_split() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let rows: Vec<Observed> = (0..5_000)
            .map(|_| row(&[rng.random(), rng.random(), rng.random()], rng.random(), 1))
            .collect();
        assert_eq!(Tree::grow(&rows).leaves().len(), 1);
    }

    #[test]
    fn counted_rows_are_rows_and_every_leaf_has_enough() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let counted: Vec<Observed> = (0..3_000_u32)
            .map(|i| row(&[f64::from(i % 60)], f64::from(i % 60) * rng.random::<f64>(), u64::from(i % 3)))
            .collect();
        let repeated: Vec<Observed> = counted
            .iter()
            .flat_map(|one| std::iter::repeat_n(row(&one.at, one.error, 1), one.count as usize))
            .collect();
        let (tree, same) = (Tree::grow(&counted), Tree::grow(&repeated));
        assert!(tree.leaves().len() > 3 && tree.leaves().len() == same.leaves().len());
        assert!(tree.leaves().iter().all(|leaf| leaf.n >= MIN_PER_LEAF as f64));
        assert!((0..60_u32).all(|at| tree.leaf_of(&[f64::from(at)]) == same.leaf_of(&[f64::from(at)])));
    }
}
