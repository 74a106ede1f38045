//! Whether a model can tell the rows of a window from those of the reference: its cross-validated ROC-AUC, and which
//! features tell them apart.
//!
//! The way through it: [`table`] makes columns of the features, [`folds`] has a model for each part of the rows that has not
//! seen it, and says how well those tell the rows apart.

mod folds;
mod table;

use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::classification::Measure;
use super::{Bounds, Undefined};
pub use folds::FOLDS;
use folds::Folds;
pub use table::MAX_VALUES;
use table::Table;

/// Rows of a side that are told apart: with so many the AUC is known to a hundredth, and more only cost time.
pub const MAX_ROWS: usize = 5_000;
/// How often a feature is shuffled in each fold: once, the drop would be half noise.
const SHUFFLES: usize = 4;

/// One feature of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feature<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its values, one a row; `None` where it is absent.
    pub values: Values<'a>,
}

/// The values of a feature, of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values<'a> {
    /// Numbers. One that is not finite is as good as absent.
    Numbers {
        /// Of the reference.
        reference: &'a [Option<f64>],
        /// Of the window.
        current: &'a [Option<f64>],
    },
    /// Categories.
    Categories {
        /// Of the reference.
        reference: &'a [Option<&'a str>],
        /// Of the window.
        current: &'a [Option<&'a str>],
    },
}

impl Values<'_> {
    fn counts(&self) -> (usize, usize) {
        match self {
            Self::Numbers { reference, current } => (reference.len(), current.len()),
            Self::Categories { reference, current } => (reference.len(), current.len()),
        }
    }
}

/// How well the two sides are told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainAuc {
    /// The mean ROC-AUC of the folds, with bounds: 0.5 where nothing tells the sides apart, 1 where everything does. By
    /// chance it may be below 0.5, with a handful of rows far below.
    pub auc: Measure,
    /// Each feature's part, the largest first.
    pub contributions: Vec<Contribution>,
    /// Rows of the reference that were compared.
    pub reference_n: usize,
    /// Rows of the window that were compared.
    pub n: usize,
    /// Whether a side had more than [`MAX_ROWS`], so that a seeded sample of it was compared.
    pub is_sampled: bool,
}

impl DomainAuc {
    /// The bounds of the same AUC, each one-sided at `z`.
    pub fn bounds(&self, z: f64) -> Bounds {
        folds::bounds(self.auc.value, self.reference_n, self.n, z)
    }
}

/// What a feature does to tell the sides apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Its name.
    pub feature: String,
    /// By how much the AUC falls when the feature's values are dealt to the rows by chance (Breiman 2001). Near 0, or
    /// just below, where the model does without it; features that say the same share it.
    pub drop: f64,
}

/// The cross-validated ROC-AUC of the penalised [`super::logistic`] model that tells reference from window: the mean of five
/// seeded folds, each a fifth of both sides, scored by the model of the other four. The model has a column for the numbers
/// of a feature (absent ones at the mean of the others), one for each of its [`MAX_VALUES`] largest categories by share of
/// both sides, one for the rest of them, and one for absent. It is linear: a change of spread alone, or of what goes with
/// what, it does not see.
///
/// The bounds, each one-sided at `z`, are Newcombe's (2006, method 5): the score interval with the variance of Hanley and
/// McNeil (1982), which keeps its width where everything is told apart, times two, because folds share what is by chance.
/// They hold for the fitted models; one of more rows could be better.
///
/// Within 0.05 of scikit-learn's `cross_val_score(scoring="roc_auc")` over `StandardScaler` and `LogisticRegression`, whose
/// folds are others. It wants rows: from a profile it cannot be had. Numbers that are middles of buckets change it by less
/// than 0.01. With [`MAX_ROWS`] on both sides ten numbers and ten categories take half a second of one core, 250 numbers
/// nine.
///
/// # Errors
/// There are no features, features have different numbers of rows, a side has fewer than [`FOLDS`] rows, or the model has
/// no value: with too many columns, or numbers too large to be squared.
pub fn domain_auc(features: &[Feature<'_>], z: f64, seed: u64) -> Result<DomainAuc, Undefined> {
    let Some((all_reference, all_current)) = features.first().map(|feature| feature.values.counts()) else {
        return Err(Undefined::because("there are no features"));
    };
    if features
        .iter()
        .any(|feature| feature.values.counts() != (all_reference, all_current))
    {
        return Err(Undefined::because("the features have different numbers of rows"));
    }
    if all_reference.min(all_current) < FOLDS {
        return Err(Undefined::because(format!("a side has fewer than {FOLDS} rows")));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let sides = [chosen(all_reference, &mut random), chosen(all_current, &mut random)];
    let [reference_n, n] = [sides[0].len(), sides[1].len()];
    let table = Table::of(features, &sides)?;
    let folds = Folds::dealt(reference_n, n, &mut random);
    let parts = folds.unseen_parts(&table)?;

    let value = folds.mean_auc(|row| parts[row].iter().sum())?;
    let mut contributions = Vec::with_capacity(features.len());
    for (index, feature) in features.iter().enumerate() {
        let mut drop = 0.0;
        for _ in 0..SHUFFLES {
            let givers = folds.shuffled(&mut random);
            let change = |row: usize| parts[givers[row]][index] - parts[row][index];
            drop += (value - folds.mean_auc(|row| parts[row].iter().sum::<f64>() + change(row))?) / SHUFFLES as f64;
        }
        contributions.push(Contribution {
            feature: feature.name.to_owned(),
            drop,
        });
    }
    contributions.sort_by(|a, b| b.drop.total_cmp(&a.drop));
    Ok(DomainAuc {
        auc: Measure {
            value,
            bounds: folds::bounds(value, reference_n, n, z),
        },
        contributions,
        reference_n,
        n,
        is_sampled: all_reference.max(all_current) > MAX_ROWS,
    })
}

/// All rows, or [`MAX_ROWS`] of them by chance.
fn chosen(rows: usize, random: &mut impl Rng) -> Vec<usize> {
    if rows <= MAX_ROWS {
        return (0..rows).collect();
    }
    index::sample(random, rows, MAX_ROWS).into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: f64 = 2.0;

    fn numbers<'a>(name: &'a str, reference: &'a [Option<f64>], current: &'a [Option<f64>]) -> Feature<'a> {
        Feature {
            name,
            values: Values::Numbers { reference, current },
        }
    }

    fn categories<'a>(name: &'a str, reference: &'a [Option<&'a str>], current: &'a [Option<&'a str>]) -> Feature<'a> {
        Feature {
            name,
            values: Values::Categories { reference, current },
        }
    }

    fn noise(rows: usize, seed: u64) -> Vec<Option<f64>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..rows).map(|_| Some(random.random())).collect()
    }

    #[test]
    fn what_never_changes_tells_nothing_apart() {
        let (twelve, nine) = ([Some(0.1); 12], [Some(0.1); 9]);
        let found = domain_auc(&[numbers("constant", &twelve, &nine)], Z, 1).unwrap();
        assert_eq!((found.auc.value, found.contributions[0].drop), (0.5, 0.0));
        let absent = domain_auc(&[numbers("absent", &[None; 12], &[None; 9])], Z, 1).unwrap();
        assert_eq!(
            (absent.auc.value, absent.reference_n, absent.n, absent.is_sampled),
            (0.5, 12, 9, false)
        );
    }

    #[test]
    fn what_always_changes_tells_everything_apart_and_the_bound_says_how_sure_that_is() {
        let (before, now) = (vec![Some("a"); 40], vec![Some("b"); 30]);
        let found = domain_auc(&[categories("moved", &before, &now)], Z, 1).unwrap();
        assert_eq!((found.auc.value, found.auc.bounds.upper), (1.0, 1.0));
        assert!((0.8..0.99).contains(&found.auc.bounds.lower), "{found:?}");
    }

    #[test]
    fn the_feature_that_moved_comes_first() {
        let moved: Vec<Option<f64>> = noise(400, 3).iter().map(|value| value.map(|number| number + 0.5)).collect();
        let still = [noise(300, 1), noise(400, 2), noise(300, 4)];
        let found = domain_auc(&[numbers("still", &still[0], &still[1]), numbers("moved", &still[2], &moved)], Z, 1).unwrap();
        assert!(found.auc.value > 0.8, "{found:?}");
        assert_eq!(found.contributions[0].feature, "moved");
        assert!(
            found.contributions[0].drop > 0.3 && found.contributions[1].drop.abs() < 0.02,
            "{found:?}"
        );
    }

    #[test]
    fn what_is_absent_or_not_finite_more_often_tells_the_sides_apart() {
        for gap in [None, Some(f64::NAN), Some(f64::NEG_INFINITY)] {
            let (reference, mut current) = (noise(200, 1), noise(200, 2));
            current.iter_mut().step_by(2).for_each(|value| *value = gap);
            let found = domain_auc(&[numbers("gaps", &reference, &current)], Z, 1).unwrap();
            assert!(found.auc.value > 0.7, "{found:?}");
        }
    }

    #[test]
    fn rare_categories_are_one() {
        let names: Vec<String> = (0..3_000).map(|value| format!("{value}")).collect();
        let rare: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let usual = [Some("usual"); 1_000];
        let found = domain_auc(&[categories("id", &usual, &rare)], Z, 1).unwrap();
        assert_eq!(found.auc.value, 1.0);
        let alike = domain_auc(&[categories("id", &rare[..1_500], &rare[1_500..])], Z, 1).unwrap();
        assert!((alike.auc.value - 0.5).abs() < 0.02, "{alike:?}");
    }

    #[test]
    fn more_rows_than_the_bound_are_sampled_and_the_seed_decides() {
        let (reference, current) = (noise(MAX_ROWS + 1, 1), noise(60, 2));
        let found = domain_auc(&[numbers("noise", &reference, &current)], Z, 5).unwrap();
        assert_eq!((found.reference_n, found.n, found.is_sampled), (MAX_ROWS, 60, true));
        assert_eq!(found, domain_auc(&[numbers("noise", &reference, &current)], Z, 5).unwrap());
    }

    #[test]
    fn bounds_hold_half_where_nothing_moved() {
        let wrong = (0..200).filter(|draw| {
            let sides = [
                noise(90, 4 * draw),
                noise(120, 4 * draw + 1),
                noise(90, 4 * draw + 2),
                noise(120, 4 * draw + 3),
            ];
            let features = [numbers("one", &sides[0], &sides[1]), numbers("other", &sides[2], &sides[3])];
            domain_auc(&features, 1.96, *draw).unwrap().auc.bounds.lower > 0.5
        });
        // One-sided 2.5 %, and three standard deviations of the simulation.
        assert!(wrong.count() <= 11);
    }

    #[test]
    fn what_cannot_be_told_apart_says_why() {
        let because = |features: &[Feature<'_>]| domain_auc(features, Z, 1).unwrap_err().0;
        let five = noise(5, 1);
        assert_eq!(because(&[]), "there are no features");
        assert_eq!(because(&[numbers("few", &five, &five[..4])]), "a side has fewer than 5 rows");
        let rows = [numbers("five", &five, &five), categories("four", &[None; 5], &[None; 4])];
        assert_eq!(because(&rows), "the features have different numbers of rows");
        let many = vec![numbers("one", &five, &five); 513];
        assert_eq!(because(&many), "up to \"one\" the features need more than 512 columns");
        let large = [Some(f64::MAX), Some(-f64::MAX), Some(1.0), Some(2.0), Some(3.0)];
        assert!(because(&[numbers("large", &large, &large)]).contains("too large"));
    }
}
