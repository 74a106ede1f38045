//! *Shift*: the total-variation distance between reference and window, the share of the traffic that
//! would have to move to make the two equal, with bounds that hold.
//!
//! The way through it: [`atoms`] puts the finest cells of two profiles side by side, [`bins`] says which
//! are compared as one, [`value`] estimates the distance without what chance adds to it, and [`bound`]
//! chooses a set of bins on one half of the observations and measures it on the other.

mod atoms;
mod bins;
mod bound;
mod value;

use driftlead_store::records::FeatureCounts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

pub use bins::BinLabel;

use super::{Undefined, normal};
use atoms::Atoms;
pub(super) use atoms::Atoms as ShiftAtoms;
use bins::Bins;
pub(super) use bound::measure;

/// Observations on either side below which no decision is taken: the normal approximations, and the
/// patience of the people who are woken.
pub const MIN_N_FOR_DECISIONS: u64 = 1_000;
/// The error of the bounds that are shown, each one-sided.
pub const DISPLAY_ERROR: f64 = 0.01;
/// The error of all decisions over all features and looks together.
pub const DECISION_ERROR: f64 = 0.01;

/// How the bounds are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiftOptions {
    /// Seed of the random halves.
    pub seed: u64,
    /// How many decisions share [`DECISION_ERROR`]: features × looks in 30 days.
    pub decisions: u64,
    /// How many times the variance of independent traffic the reference's own windows have; at least 1.
    pub dispersion: f64,
}

/// One bin of both distributions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// What it holds.
    #[serde(flatten)]
    pub label: BinLabel,
    /// Share of the reference.
    pub reference: f64,
    /// Share of the window.
    pub current: f64,
}

/// The distance between a reference and a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// The share of the traffic that moved, debiased, from 0 to 1.
    pub value: f64,
    /// Not above the distance, at 99 % for this window.
    pub lower: f64,
    /// Not below the distance of the binned distributions, at 99 % for this window.
    pub upper: f64,
    /// Not above the distance in any of the features and looks together, at 99 %; `None` with fewer than
    /// [`MIN_N_FOR_DECISIONS`] observations on either side.
    pub decision_lower: Option<f64>,
    /// Likewise not below.
    pub decision_upper: Option<f64>,
    /// p-value of "nothing moved".
    pub p_value: f64,
    /// Inferences in the window.
    pub n: u64,
    /// Inferences in the reference.
    pub reference_n: u64,
    /// Both distributions.
    pub bins: Vec<Bin>,
}

/// Compares a window with its reference.
///
/// # Errors
/// One of the two has no inferences.
pub fn shift(reference: &FeatureCounts, window: &FeatureCounts, options: ShiftOptions) -> Result<Shift, Undefined> {
    let atoms = Atoms::of(reference, window);
    let (reference_n, n) = (atoms.reference_n(), atoms.window_n());
    if reference_n < 2 {
        return Err(Undefined::because("the reference has no inferences with this feature"));
    }
    if n < 2 {
        return Err(Undefined::because("the window has no inferences"));
    }
    let bins = Bins::new(&atoms.kinds, &atoms.reference, &atoms.window);
    let (r, w) = (bins.sum(&atoms.reference), bins.sum(&atoms.window));
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let measured = bound::measure(&atoms.kinds, &atoms.reference, &atoms.window, &mut rng);

    let lower = measured.lower(DISPLAY_ERROR);
    let upper = value::upper(&r, &w, normal::from_upper_tail(DISPLAY_ERROR), 1.0);
    let is_decidable = n >= MIN_N_FOR_DECISIONS && reference_n >= MIN_N_FOR_DECISIONS;
    let error = DECISION_ERROR / options.decisions.max(1) as f64;
    Ok(Shift {
        value: value::debiased(&r, &w).clamp(lower.min(upper), upper),
        lower,
        upper,
        decision_lower: is_decidable.then(|| measured.careful_lower(error, options.dispersion).min(lower)),
        decision_upper: is_decidable.then(|| value::upper(&r, &w, normal::from_upper_tail(error), options.dispersion)),
        p_value: measured.p_value(),
        n,
        reference_n,
        bins: described(&atoms, &bins, &r, &w),
    })
}

fn described(atoms: &Atoms<'_>, bins: &Bins, reference: &[u64], window: &[u64]) -> Vec<Bin> {
    let (reference_n, n) = (atoms.reference_n() as f64, atoms.window_n() as f64);
    let labels = bins.labels(&atoms.kinds).into_iter();
    labels
        .zip(reference.iter().zip(window))
        .map(|(label, (&r, &w))| Bin {
            label,
            reference: r as f64 / reference_n,
            current: w as f64 / n,
        })
        .collect()
}
