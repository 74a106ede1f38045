//! Slice search: which part of the traffic carries what moved.
//!
//! What moved is a set A of values that the window has more of than the reference. The whole of its growth is T = Q(A) − P(A), with P
//! the shares of the reference and Q those of the window; a slice s of the traffic contributes Q(A∩s) − P(A∩s) to it. Were the growth
//! spread evenly, a slice with a share w of the traffic would contribute w·T, so what is searched for is the slice with the largest
//! *excess* Q(A∩s) − P(A∩s) − w·T: much of the growth on little of the traffic. Slices are one condition or two on different
//! dimensions, each a stretch of neighbouring cells or one cell alone.
//!
//! Thousands are tried, and the best of thousands looks good by chance. So slices are found on one half of the rows, and what is
//! said of them, with bounds, is measured on the other, which did not choose; only the few that are measured share the error
//! (Bonferroni). This way nothing is said of a slice in more than the stated share of searches without one, however many were tried.
//!
//! Anchors: Slice Finder (Chung et al. 2019) and SliceLine (Sagadeeva and Boehm 2021) search for slices where a model errs more than
//! elsewhere; here it is where traffic moved more than elsewhere.

mod dimension;
mod measure;

pub use dimension::Dimension;
use dimension::{Stretch, Table};
use measure::Counts;
pub use measure::Measured;

use super::{Undefined, normal};

/// Rows of a side below which a half says nothing.
pub const MIN_ROWS: usize = 1_000;
/// The share of the traffic that a slice has at least.
pub const MIN_TRAFFIC: f64 = 0.01;
/// Slices that are measured at most.
pub const MAX_SLICES: usize = 5;
/// How many standard deviations are taken off what the first half promises: rare slices are noisy ones.
const CAUTION: f64 = 3.0;
/// A second condition has to promise so many times as much as the better one alone does.
const WORTH_A_SECOND: f64 = 1.1;
/// Of two slices that share more of their growth than this, the better one is enough.
const MAX_OVERLAP: f64 = 0.5;

/// One condition of a slice: cells `from` to `to` of a dimension, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Index of the dimension.
    pub dimension: usize,
    /// First cell.
    pub from: u8,
    /// Last cell.
    pub to: u8,
}

impl Condition {
    fn holds(&self, dimensions: &[Dimension], row: Row) -> bool {
        let cell = dimensions[self.dimension].cell(row);
        (self.from..=self.to).contains(&cell)
    }
}

/// A part of the traffic that carries more of the growth than its share.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// One condition or two; all of them hold.
    pub conditions: Vec<Condition>,
    /// What the half of the rows that did not choose it says.
    pub measured: Measured,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Slices that surely carry more than their share, the largest excess first.
    pub slices: Vec<Slice>,
    /// Slices that were tried, with enough traffic.
    pub tried: usize,
    /// Rows of the reference that measured.
    pub reference_n: usize,
    /// Rows of the window that measured.
    pub n: usize,
}

/// A row of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    is_current: bool,
    index: usize,
}

/// How sure what is found has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How often something may be said of a slice where no slice moved more than the others.
    pub error: f64,
    /// How many times the variance of independent rows they have; at least 1.
    pub dispersion: f64,
}

/// Searches. `grown` says of each row of the reference and of the window whether its value is one of those that grew. Rows stand in
/// no order: those at even places search, those at odd places measure.
///
/// # Errors
/// A side has fewer than [`MIN_ROWS`] rows, dimensions have different numbers of rows, or what grew did not grow in the rows.
pub fn search(dimensions: &[Dimension], grown: [&[bool]; 2], options: Options) -> Result<Found, Undefined> {
    let rows = grown.map(<[bool]>::len);
    if rows[0].min(rows[1]) < MIN_ROWS {
        return Err(Undefined::because(format!(
            "{} rows of the reference and {} of the window: a search takes {MIN_ROWS} of each",
            rows[0], rows[1]
        )));
    }
    if dimensions.iter().any(|dimension| dimension.rows() != rows) {
        return Err(Undefined::because("the dimensions have different numbers of rows"));
    }
    let whole = Counts::of(grown, 0, |_| true);
    if whole.growth() <= 0.0 {
        return Err(Undefined::because("what grew did not grow among the rows that were read"));
    }
    let mut search = Search {
        dimensions,
        grown,
        whole,
        tried: 0,
    };
    let found = search.promising();
    let chosen = search.different(found);
    let z = normal::from_upper_tail(options.error / chosen.len().max(1) as f64);
    let other_half = Counts::of(grown, 1, |_| true);
    let measure = |conditions: Vec<Condition>| {
        let of_slice = Counts::of(grown, 1, |row| conditions.iter().all(|condition| condition.holds(dimensions, row)));
        let measured = Measured::of(&of_slice, &other_half, z, options.dispersion)?;
        (measured.excess.lower > 0.0).then_some(Slice { conditions, measured })
    };
    let mut slices: Vec<Slice> = chosen.into_iter().filter_map(measure).collect();
    slices.sort_by(|a, b| b.measured.excess.value.total_cmp(&a.measured.excess.value));
    Ok(Found {
        slices,
        tried: search.tried,
        reference_n: rows[0] / 2,
        n: rows[1] / 2,
    })
}

struct Search<'a> {
    dimensions: &'a [Dimension],
    grown: [&'a [bool]; 2],
    /// Of the half that searches.
    whole: Counts,
    tried: usize,
}

/// What the searching half promises of a slice.
type Promise = (f64, Vec<Condition>);

impl Search<'_> {
    /// The best slice of each dimension and of each pair of them, the most promising first.
    fn promising(&mut self) -> Vec<Promise> {
        let dimensions = self.dimensions;
        let tables: Vec<Table> = dimensions.iter().map(|dimension| Table::of_one(dimension, self.grown)).collect();
        let mut alone = vec![0.0_f64; dimensions.len()];
        let mut found = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            let best = self.best(dimensions[index].stretches().map(|stretch| (stretch, Stretch::ALL)), table);
            if let Some((promise, first, _)) = best {
                alone[index] = promise;
                found.push((promise, vec![first.condition(index)]));
            }
        }
        for first in 0..dimensions.len() {
            for second in first + 1..dimensions.len() {
                let table = Table::of_two(&dimensions[first], &dimensions[second], self.grown);
                let of_second: Vec<Stretch> = dimensions[second].stretches().collect();
                let both = dimensions[first]
                    .stretches()
                    .flat_map(|stretch| of_second.iter().map(move |other| (stretch, *other)));
                let Some((promise, a, b)) = self.best(both, &table) else { continue };
                if promise > WORTH_A_SECOND * alone[first].max(alone[second]) {
                    found.push((promise, vec![a.condition(first), b.condition(second)]));
                }
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found
    }

    /// Of the slices whose promise is within one standard error of the best one's, that with the least traffic: neighbours without a
    /// growth of their own are added by chance, and hardly cost anything (the rule of Breiman et al. 1984 for trees).
    fn best(&mut self, tried: impl Iterator<Item = (Stretch, Stretch)> + Clone, table: &Table) -> Option<(f64, Stretch, Stretch)> {
        let enough = |(first, second): (Stretch, Stretch)| {
            let counts = table.counts(first, second);
            (counts.traffic(&self.whole) >= MIN_TRAFFIC).then_some((first, second, counts))
        };
        let mut best: Option<(f64, f64)> = None;
        let mut count = 0;
        for (.., counts) in tried.clone().filter_map(enough) {
            count += 1;
            let promise = counts.promise(&self.whole, CAUTION);
            if promise > best.map_or(0.0, |(known, _)| known) {
                best = Some((promise, counts.deviation(&self.whole)));
            }
        }
        let (promise, deviation) = best?;
        let as_good = tried.filter_map(enough).filter_map(|(first, second, counts)| {
            let own = counts.promise(&self.whole, CAUTION);
            (own > 0.0 && own >= promise - deviation).then(|| (counts.traffic(&self.whole), own, first, second))
        });
        let found = as_good
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, own, first, second)| (own, first, second));
        self.tried += count;
        found
    }

    /// The most promising ones that are not nearly another one that is more promising.
    fn different(&self, found: Vec<Promise>) -> Vec<Vec<Condition>> {
        let mut chosen: Vec<(Vec<Condition>, f64)> = Vec::new();
        for (_, conditions) in found {
            let inside = |row: Row| conditions.iter().all(|condition| condition.holds(self.dimensions, row));
            let own = Counts::of(self.grown, 0, inside).grown_rows();
            let is_new = chosen.iter().all(|(other, others)| {
                let both = |row: Row| inside(row) && other.iter().all(|condition| condition.holds(self.dimensions, row));
                let shared = Counts::of(self.grown, 0, both).grown_rows();
                shared <= MAX_OVERLAP * own.min(*others)
            });
            if is_new {
                chosen.push((conditions, own));
            }
            if chosen.len() == MAX_SLICES {
                break;
            }
        }
        chosen.into_iter().map(|(conditions, _)| conditions).collect()
    }
}

#[cfg(test)]
mod tests;
