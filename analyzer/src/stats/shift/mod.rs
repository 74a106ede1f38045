//! *Shift*: the total-variation distance between reference and window, the share of the traffic that
//! would have to move to make the two equal, with bounds that hold.
//!
//! The way through it: [`atoms`] puts the finest cells of two profiles side by side, [`bins`] says which
//! are compared as one, [`value`] estimates the distance without what chance adds to it, and [`bound`]
//! chooses a set of bins on one half of the observations and measures it on the other. [`directions`] does the same with all
//! projections of embeddings.

mod atoms;
mod bins;
mod bound;
mod directions;
mod value;

use driftlead_store::records::FeatureCounts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Undefined, normal};
use atoms::Atoms;
pub(super) use atoms::Atoms as ShiftAtoms;
pub(crate) use atoms::is_twofold;
use bins::{BinLabel, Bins};
pub(super) use bound::measure_growth;
pub use directions::{DirectionsOptions, DirectionsShift, directions_shift};

/// Observations on either side below which no decision is taken: the normal approximations, and the
/// patience of the people who are woken.
pub const MIN_N_FOR_DECISIONS: u64 = 1_000;
/// The error of the bounds that are shown, each one-sided.
pub const DISPLAY_ERROR: f64 = 0.01;
/// The error of all decisions together of somebody who looks once.
pub const DECISION_ERROR: f64 = 0.01;

/// Categories that are described one by one; those that moved least are described together beyond it.
const MAX_DESCRIBED_CATEGORIES: usize = 50;

/// How the bounds are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiftOptions {
    /// Seed of the random halves.
    pub seed: u64,
    /// How rarely a bound of decision may be wrong.
    pub decision_error: f64,
    /// How many times the variance of independent traffic the reference's own windows have; at least 1.
    pub dispersion: f64,
}

/// What a bin holds that is neither a range nor one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Special {
    /// The feature was not sent.
    Absent,
    /// NaN.
    Nan,
    /// +∞.
    PositiveInfinity,
    /// −∞.
    NegativeInfinity,
    /// Every value that is too rare to be compared on its own.
    Other,
}

impl Special {
    /// As people read it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Nan => "NaN",
            Self::PositiveInfinity => "+∞",
            Self::NegativeInfinity => "−∞",
            Self::Other => "another value",
        }
    }
}

/// One bin of both distributions.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bin {
    /// Inclusive lower end of a range of numbers; `None` where it is open, and for what is no range.
    pub from: Option<f64>,
    /// Exclusive upper end, likewise.
    pub to: Option<f64>,
    /// A category, or a single number as text.
    pub value: Option<String>,
    /// What it holds otherwise.
    pub special: Option<Special>,
    /// Inferences of the reference.
    pub reference: u64,
    /// Inferences of the window.
    pub current: u64,
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
    /// Not above the distance, but for the error of a decision; `None` with fewer than
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
    let error = options.decision_error;
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
    let labels = bins.labels(&atoms.kinds).into_iter();
    let all = labels
        .zip(reference.iter().zip(window))
        .map(|(label, (&r, &w))| (is_category(&label), bin(label, r, w)));
    let (mut categories, mut rest): (Vec<_>, Vec<_>) = all.partition(|(is_category, _)| *is_category);
    let moved = |bin: &Bin| {
        let share = |count: u64, n: u64| count as f64 / n.max(1) as f64;
        (share(bin.reference, atoms.reference_n()) - share(bin.current, atoms.window_n())).abs()
    };
    categories.sort_by(|(_, a), (_, b)| moved(b).total_cmp(&moved(a)));
    let still = categories.split_off(categories.len().min(MAX_DESCRIBED_CATEGORIES));
    if !still.is_empty() && !rest.iter().any(|(_, bin)| bin.special == Some(Special::Other)) {
        rest.push((
            false,
            Bin {
                special: Some(Special::Other),
                ..Bin::default()
            },
        ));
    }
    if let Some((_, other)) = rest.iter_mut().find(|(_, bin)| bin.special == Some(Special::Other)) {
        for (_, bin) in &still {
            other.reference += bin.reference;
            other.current += bin.current;
        }
    }
    // Numbers stay in their order, categories follow by how much they moved, what is special comes last.
    let (numbers, special): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, bin)| bin.special.is_none());
    numbers.into_iter().chain(categories).chain(special).map(|(_, bin)| bin).collect()
}

fn is_category(label: &BinLabel) -> bool {
    matches!(label, BinLabel::Category(_))
}

fn bin(label: BinLabel, reference: u64, current: u64) -> Bin {
    let counted = Bin {
        reference,
        current,
        ..Bin::default()
    };
    let special = |special| Bin {
        special: Some(special),
        ..counted.clone()
    };
    let finite = |edge: f64| edge.is_finite().then_some(edge);
    match label {
        BinLabel::Range { from, to } => Bin {
            from: finite(from),
            to: finite(to),
            ..counted
        },
        BinLabel::Number(number) => Bin {
            value: Some(number.to_string()),
            ..counted
        },
        BinLabel::Category(value) => Bin {
            value: Some(value),
            ..counted
        },
        BinLabel::RareNumbers | BinLabel::RareCategories => special(Special::Other),
        BinLabel::Absent => special(Special::Absent),
        BinLabel::Nan => special(Special::Nan),
        BinLabel::PositiveInfinity => special(Special::PositiveInfinity),
        BinLabel::NegativeInfinity => special(Special::NegativeInfinity),
    }
}
