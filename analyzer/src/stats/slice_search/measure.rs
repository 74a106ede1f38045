//! How much of a growth a slice carries.

use super::Row;
use crate::stats::Bounds;
use crate::stats::classification::Measure;

/// Rows of a part of the traffic, of reference and window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    /// All rows of it.
    pub rows: [f64; 2],
    /// Those whose value is one that grew.
    pub grown: [f64; 2],
}

impl Counts {
    /// Of the rows at even (0) or odd (1) places that `is_inside` holds for.
    pub fn of(grown: [&[bool]; 2], half: usize, is_inside: impl Fn(Row) -> bool) -> Self {
        let mut counts = Self::default();
        for (side, grown) in grown.into_iter().enumerate() {
            for (index, &has_grown) in grown.iter().enumerate().skip(half).step_by(2) {
                let row = Row {
                    is_current: side == 1,
                    index,
                };
                if is_inside(row) {
                    counts.rows[side] += 1.0;
                    counts.grown[side] += f64::from(u8::from(has_grown));
                }
            }
        }
        counts
    }

    /// Of the whole traffic: by how much the share of what grew is larger in the window.
    pub fn growth(&self) -> f64 {
        self.grown[1] / self.rows[1] - self.grown[0] / self.rows[0]
    }

    /// Rows whose value is one that grew, of both sides.
    pub fn grown_rows(&self) -> f64 {
        self.grown.iter().sum()
    }

    /// The mean of its shares of reference and window.
    pub fn traffic(&self, whole: &Self) -> f64 {
        f64::midpoint(self.rows[0] / whole.rows[0], self.rows[1] / whole.rows[1])
    }

    /// Its excess, less `caution` standard deviations.
    pub fn promise(&self, whole: &Self, caution: f64) -> f64 {
        self.contribution(whole) - self.traffic(whole) * whole.growth() - caution * self.deviation(whole)
    }

    /// The standard deviation of its excess.
    pub fn deviation(&self, whole: &Self) -> f64 {
        self.excess_variance(whole, self.traffic(whole)).sqrt()
    }

    fn contribution(&self, whole: &Self) -> f64 {
        self.grown[1] / whole.rows[1] - self.grown[0] / whole.rows[0]
    }

    /// Of Q(A∩s) − P(A∩s) − w·(Q(A) − P(A)): each row is 1 − w where it is in both, −w where it is only in A. What w itself varies
    /// comes on top.
    fn excess_variance(&self, whole: &Self, weight: f64) -> f64 {
        let of_weight: f64 = (0..2)
            .map(|side| variance(self.rows[side] / whole.rows[side]) / (4.0 * whole.rows[side]))
            .sum();
        self.mixed_variance(whole, weight) + whole.growth().powi(2) * of_weight
    }

    /// Of Q(A∩s) − P(A∩s) − c·(Q(A) − P(A)) for a constant c.
    fn mixed_variance(&self, whole: &Self, constant: f64) -> f64 {
        let of_side = |side: usize| {
            let n = whole.rows[side];
            let (inside, grown) = (self.grown[side] / n, whole.grown[side] / n);
            let mean = inside - constant * grown;
            let square = inside * (1.0 - constant).powi(2) + (grown - inside) * constant.powi(2);
            (square - mean.powi(2)).max(0.0) / n
        };
        of_side(0) + of_side(1)
    }
}

fn variance(share: f64) -> f64 {
    share * (1.0 - share)
}

/// What a slice has to do with a growth.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its share of the reference and of the window.
    pub traffic: [f64; 2],
    /// Share of the values that grew among its rows, in the reference and in the window; 0 where it has no rows there.
    pub grown: [f64; 2],
    /// The share of the growth that it carries: 1 where all of it is there, above 1 where they shrank elsewhere.
    pub carried: Measure,
    /// By how much that growth exceeds what its share of the traffic would have, as a share of the whole traffic.
    pub excess: Bounded,
}

/// A value with its lower bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// The value.
    pub value: f64,
    /// Not above the true value, at the level that was asked for.
    pub lower: f64,
}

impl Measured {
    /// With bounds of `z` standard deviations; `None` where nothing grew.
    pub(super) fn of(slice: &Counts, whole: &Counts, z: f64, dispersion: f64) -> Option<Self> {
        let growth = whole.growth();
        if growth <= 0.0 {
            return None;
        }
        let share = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
        let weight = slice.traffic(whole);
        let excess = slice.contribution(whole) - weight * growth;
        let carried = slice.contribution(whole) / growth;
        let of_carried = z * (dispersion * slice.mixed_variance(whole, carried)).sqrt() / growth;
        Some(Self {
            traffic: [0, 1].map(|side| share(slice.rows[side], whole.rows[side])),
            grown: [0, 1].map(|side| share(slice.grown[side], slice.rows[side])),
            carried: Measure {
                value: carried,
                bounds: Bounds {
                    lower: carried - of_carried,
                    upper: carried + of_carried,
                },
            },
            excess: Bounded {
                value: excess,
                lower: excess - z * (dispersion * slice.excess_variance(whole, weight)).sqrt(),
            },
        })
    }
}
