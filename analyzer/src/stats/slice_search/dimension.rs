//! What slices are cut along, and how often its cells occur together.

use super::measure::Counts;
use super::{Condition, Row};

/// Rows by the cell that they lie in: `ordered` cells that have neighbours come first, ascending; the others stand alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    cells: u8,
    ordered: u8,
    of_rows: [Vec<u8>; 2],
}

impl Dimension {
    /// Of the rows of reference and window. A row in a cell from `cells` on is in none that a condition can name.
    pub fn new(cells: u8, ordered: u8, of_rows: [Vec<u8>; 2]) -> Self {
        Self {
            cells,
            ordered: ordered.min(cells),
            of_rows,
        }
    }

    pub(super) fn rows(&self) -> [usize; 2] {
        [self.of_rows[0].len(), self.of_rows[1].len()]
    }

    pub(super) fn cell(&self, row: Row) -> u8 {
        self.of_rows[usize::from(row.is_current)][row.index]
    }

    /// All that a condition can say: a stretch of ordered cells, but for all of them where there is nothing else, or one other cell.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> + Clone + use<> {
        let (cells, ordered) = (self.cells, self.ordered);
        let ranges = (0..ordered).flat_map(move |from| (from..ordered).map(move |to| Stretch { from, to }));
        let single = (ordered..cells).map(|cell| Stretch { from: cell, to: cell });
        ranges
            .filter(move |range| !(range.from == 0 && range.to + 1 == cells))
            .chain(single)
    }

    fn width(&self) -> usize {
        usize::from(self.cells) + 1
    }
}

/// Cells from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    from: u8,
    to: u8,
}

impl Stretch {
    /// The only cell of a dimension that there is not.
    pub const ALL: Self = Self { from: 0, to: 0 };

    pub fn condition(self, dimension: usize) -> Condition {
        Condition {
            dimension,
            from: self.from,
            to: self.to,
        }
    }
}

/// Sums of the searching half over all cells below and left of each, so that any stretch takes four of them.
pub(super) struct Table {
    columns: usize,
    sums: Vec<Counts>,
}

impl Table {
    /// Of one dimension, as if another had a single cell.
    pub fn of_one(dimension: &Dimension, grown: [&[bool]; 2]) -> Self {
        Self::counted(dimension.width(), 1, grown, |side, row| {
            (usize::from(dimension.of_rows[side][row]), 0)
        })
    }

    /// Of two.
    pub fn of_two(first: &Dimension, second: &Dimension, grown: [&[bool]; 2]) -> Self {
        Self::counted(first.width(), second.width(), grown, |side, row| {
            (usize::from(first.of_rows[side][row]), usize::from(second.of_rows[side][row]))
        })
    }

    fn counted(height: usize, width: usize, grown: [&[bool]; 2], place: impl Fn(usize, usize) -> (usize, usize)) -> Self {
        let columns = width + 1;
        let mut sums = vec![Counts::default(); (height + 1) * columns];
        for (side, grown) in grown.into_iter().enumerate() {
            for (row, &has_grown) in grown.iter().enumerate().step_by(2) {
                let (y, x) = place(side, row);
                let cell = &mut sums[(y.min(height - 1) + 1) * columns + x.min(width - 1) + 1];
                cell.rows[side] += 1.0;
                cell.grown[side] += f64::from(u8::from(has_grown));
            }
        }
        for y in 1..=height {
            for x in 1..columns {
                let at = y * columns + x;
                sums[at] = sum(&[
                    (1.0, sums[at]),
                    (1.0, sums[at - 1]),
                    (1.0, sums[at - columns]),
                    (-1.0, sums[at - columns - 1]),
                ]);
            }
        }
        Self { columns, sums }
    }

    /// The rows in a stretch of the first dimension and one of the second.
    pub fn counts(&self, first: Stretch, second: Stretch) -> Counts {
        let at = |y: usize, x: usize| self.sums[y * self.columns + x];
        let (top, bottom) = (usize::from(first.from), usize::from(first.to) + 1);
        let (left, right) = (usize::from(second.from), usize::from(second.to) + 1);
        sum(&[
            (1.0, at(bottom, right)),
            (-1.0, at(top, right)),
            (-1.0, at(bottom, left)),
            (1.0, at(top, left)),
        ])
    }
}

fn sum(terms: &[(f64, Counts)]) -> Counts {
    let mut total = Counts::default();
    for (sign, counts) in terms {
        for side in 0..2 {
            total.rows[side] += sign * counts.rows[side];
            total.grown[side] += sign * counts.grown[side];
        }
    }
    total
}
