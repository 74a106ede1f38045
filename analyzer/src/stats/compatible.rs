//! What other libraries say of a column when nothing is set: for people who compare, or who move from one of them. Their
//! verdicts do not say how sure they are; [`super::shift`] does.
//!
//! Evidently 0.7 chooses its method by the reference's rows and by the distinct values of both samples together, and its
//! thresholds are fixed. NannyML 0.13 takes the Jensen–Shannon distance for every column, and its threshold is where chunks
//! of the reference itself lie. Both leave absent values out first.
//!
//! From profile buckets distinct values are buckets, so that Evidently may take a fine column for a coarse one; besides,
//! what [`super::binning`] says.

use super::Undefined;
use super::binning::{Counts, Edges, Table};
use super::chi_square::{self, Correction};
use super::jensen_shannon::{self, Base};
use super::sample::{Sample, pooled};
use super::{kolmogorov_smirnov, wasserstein};

/// Up to this many rows of the reference Evidently tests; with more it measures distances.
const EVIDENTLY_MAX_TESTED_ROWS: u64 = 1_000;
/// Evidently takes numbers with at most this many distinct values for categories.
const EVIDENTLY_MAX_CATEGORIES: usize = 5;
/// Evidently bins numbers of which the reference has more distinct values.
const EVIDENTLY_MAX_SINGLE_VALUES: usize = 20;
/// Below this p-value Evidently sees drift.
const EVIDENTLY_P: f64 = 0.05;
/// From this distance up Evidently sees drift.
const EVIDENTLY_DISTANCE: f64 = 0.1;
/// How many standard deviations above the mean of the reference's chunks NannyML's threshold lies.
const NANNYML_DEVIATIONS: f64 = 3.0;

/// A library whose defaults are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// Evidently 0.7.
    Evidently,
    /// NannyML 0.13.
    Nannyml,
}

/// How a library measures the drift of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The p-value of the two-sample Kolmogorov–Smirnov test.
    KolmogorovSmirnov,
    /// The Wasserstein distance over the reference's standard deviation.
    WassersteinNormed,
    /// The p-value of [`chi_square::p_with_the_reference_as_truth`].
    ChiSquareWithTheReferenceAsTruth,
    /// The p-value of the z-test of two shares: that of the two-sample chi-square test, whose statistic is z squared.
    ZOfTwoShares,
    /// The Jensen–Shannon distance, base e as Evidently or base 2 as NannyML has it.
    JensenShannon(Base),
}

impl Method {
    /// What the library calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KolmogorovSmirnov => "ks",
            Self::WassersteinNormed => "wasserstein",
            Self::ChiSquareWithTheReferenceAsTruth => "chisquare",
            Self::ZOfTwoShares => "z",
            Self::JensenShannon(Base::E) => "jensenshannon",
            Self::JensenShannon(Base::Two) => "jensen_shannon",
        }
    }

    /// The libraries differ in whether the threshold itself is drift.
    fn is_drift(self, score: f64, threshold: f64) -> bool {
        match self {
            Self::KolmogorovSmirnov => score <= threshold,
            Self::ChiSquareWithTheReferenceAsTruth | Self::ZOfTwoShares => score < threshold,
            Self::WassersteinNormed | Self::JensenShannon(Base::E) => score >= threshold,
            Self::JensenShannon(Base::Two) => score > threshold,
        }
    }

    /// One that is fixed, or where the scores of the reference's chunks lie.
    fn threshold(self, of_chunks: impl Iterator<Item = Result<f64, Undefined>>) -> Result<f64, Undefined> {
        match self {
            Self::KolmogorovSmirnov | Self::ChiSquareWithTheReferenceAsTruth | Self::ZOfTwoShares => Ok(EVIDENTLY_P),
            Self::WassersteinNormed | Self::JensenShannon(Base::E) => Ok(EVIDENTLY_DISTANCE),
            Self::JensenShannon(Base::Two) => {
                let scores = Sample::of_rows(&of_chunks.collect::<Result<Vec<f64>, Undefined>>()?);
                let scores = scores.map_err(|_| Undefined::because("NannyML's threshold needs chunks of the reference"))?;
                Ok(scores.mean() + NANNYML_DEVIATIONS * scores.population_deviation())
            }
        }
    }
}

/// What a library says of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// What it measured.
    pub method: Method,
    /// The p-value or the distance.
    pub score: f64,
    /// With what it compared the score.
    pub threshold: f64,
    /// Its verdict.
    pub is_drift: bool,
}

impl Library {
    /// The verdict on numbers. `chunks` are parts of the reference as long as the window; NannyML's threshold needs them,
    /// Evidently ignores them. Agrees with `evidently.metrics.ValueDrift`, and with
    /// `nannyml.UnivariateDriftCalculator(chunk_size=…)`.
    ///
    /// # Errors
    /// The method has no value, or NannyML has no chunks.
    pub fn of_numbers(self, reference: &Sample, chunks: &[Sample], current: &Sample) -> Result<Drift, Undefined> {
        let method = self.method_for_numbers(reference.n(), pooled(reference, current).count());
        let score = |window: &Sample| match method {
            Method::KolmogorovSmirnov => Ok(kolmogorov_smirnov::test(reference, window).p),
            Method::WassersteinNormed => Ok(wasserstein::distance(reference, window)?.normed),
            _ => score_of_table(method, &self.table_of_numbers(reference, window)),
        };
        judged(method, score(current)?, chunks.iter().map(score))
    }

    /// The verdict on categories, from how often each value occurs. `chunks` and agreement are as for numbers.
    ///
    /// # Errors
    /// A sample has no values, the method has no value, or NannyML has no chunks.
    pub fn of_categories(self, reference: &Counts, chunks: &[Counts], current: &Counts) -> Result<Drift, Undefined> {
        let table = Table::of_categories(reference, current)?;
        let distinct = table.bins().iter().filter(|bin| bin.reference > 0 || bin.current > 0).count();
        let method = self.method_for_categories(table.reference_n(), distinct);
        let of_chunks = chunks
            .iter()
            .map(|chunk| score_of_table(method, &Table::of_categories(reference, chunk)?));
        judged(method, score_of_table(method, &table)?, of_chunks)
    }

    /// How it measures numbers, by the rows of the reference and the distinct values of both samples together.
    pub fn method_for_numbers(self, reference_n: u64, distinct: usize) -> Method {
        match self {
            Self::Evidently if distinct <= EVIDENTLY_MAX_CATEGORIES => self.method_for_categories(reference_n, distinct),
            Self::Evidently if reference_n <= EVIDENTLY_MAX_TESTED_ROWS => Method::KolmogorovSmirnov,
            Self::Evidently => Method::WassersteinNormed,
            Self::Nannyml => Method::JensenShannon(Base::Two),
        }
    }

    /// How it measures categories, by the rows of the reference and the distinct values of both samples together.
    pub fn method_for_categories(self, reference_n: u64, distinct: usize) -> Method {
        match self {
            Self::Evidently if reference_n > EVIDENTLY_MAX_TESTED_ROWS => Method::JensenShannon(Base::E),
            Self::Evidently if distinct > 2 => Method::ChiSquareWithTheReferenceAsTruth,
            Self::Evidently => Method::ZOfTwoShares,
            Self::Nannyml => Method::JensenShannon(Base::Two),
        }
    }

    /// Numbers in its bins: Evidently's of `psi`, `kl_div` and `jensenshannon`, NannyML's of `jensen_shannon` and
    /// `hellinger`.
    pub fn table_of_numbers(self, reference: &Sample, current: &Sample) -> Table {
        match self {
            Self::Evidently if reference.counts().len() <= EVIDENTLY_MAX_SINGLE_VALUES => Table::of_values(reference, current),
            Self::Evidently => Table::of_numbers(&Edges::sturges(reference, current), reference, current),
            Self::Nannyml => Table::of_numbers(&Edges::doane(reference), reference, current),
        }
    }
}

fn score_of_table(method: Method, table: &Table) -> Result<f64, Undefined> {
    match method {
        Method::ChiSquareWithTheReferenceAsTruth => chi_square::p_with_the_reference_as_truth(table),
        Method::ZOfTwoShares => Ok(chi_square::test(table, Correction::None).p),
        Method::JensenShannon(base) => Ok(jensen_shannon::distance(table, base)),
        Method::KolmogorovSmirnov | Method::WassersteinNormed => Err(Undefined::because("the method takes numbers only")),
    }
}

fn judged(method: Method, score: f64, of_chunks: impl Iterator<Item = Result<f64, Undefined>>) -> Result<Drift, Undefined> {
    let threshold = method.threshold(of_chunks)?;
    Ok(Drift {
        method,
        score,
        threshold,
        is_drift: method.is_drift(score, threshold),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
    }

    #[test]
    fn evidently_chooses_by_rows_of_the_reference_and_distinct_values_of_both() {
        for (rows, distinct, of_numbers, of_categories) in [
            (12, 1, "z", "z"),
            (1_000, 2, "z", "z"),
            (1_000, 3, "chisquare", "chisquare"),
            (1_000, 5, "chisquare", "chisquare"),
            (1_000, 6, "ks", "chisquare"),
            (1_001, 6, "wasserstein", "jensenshannon"),
            (1_001, 5, "jensenshannon", "jensenshannon"),
            (1_001, 1, "jensenshannon", "jensenshannon"),
        ] {
            let (numbers, strings) = (
                Library::Evidently.method_for_numbers(rows, distinct),
                Library::Evidently.method_for_categories(rows, distinct),
            );
            assert_eq!((numbers.name(), strings.name()), (of_numbers, of_categories), "{rows} {distinct}");
            assert_eq!(Library::Nannyml.method_for_numbers(rows, distinct).name(), "jensen_shannon");
        }
    }

    #[test]
    fn a_constant_column_has_not_drifted_and_another_constant_has() {
        for library in [Library::Evidently, Library::Nannyml] {
            for n in [12, 5_000] {
                let constant = |value| Sample::of_rows(&vec![value; n]).unwrap();
                let chunks = [constant(3.0), constant(3.0)];
                let verdict = |now| library.of_numbers(&constant(3.0), &chunks, &constant(now)).unwrap().is_drift;
                assert_eq!((verdict(3.0), verdict(9.0)), (false, true), "{library:?} {n}");
            }
        }
    }

    #[test]
    fn the_threshold_itself_is_drift_or_not_as_the_library_has_it() {
        let drifts = |method: Method| method.is_drift(0.1, 0.1);
        assert!(drifts(Method::KolmogorovSmirnov) && drifts(Method::WassersteinNormed) && drifts(Method::JensenShannon(Base::E)));
        assert!(!drifts(Method::ZOfTwoShares) && !drifts(Method::JensenShannon(Base::Two)));
    }

    #[test]
    fn one_new_category_in_a_thousand_rows_is_drift_for_evidently() {
        let (before, now) = (
            categories(&[("a", 500), ("b", 500)]),
            categories(&[("a", 500), ("b", 499), ("c", 1)]),
        );
        let evidently = Library::Evidently.of_categories(&before, &[], &now).unwrap();
        assert_eq!((evidently.score, evidently.is_drift), (0.0, true));
    }

    #[test]
    fn nannyml_judges_by_chunks_of_the_reference() {
        let chunks = [categories(&[("a", 60), ("b", 40)]), categories(&[("a", 40), ("b", 60)])];
        let whole = categories(&[("a", 100), ("b", 100)]);
        let verdict = |now: &[(&str, u64)]| Library::Nannyml.of_categories(&whole, &chunks, &categories(now)).unwrap().is_drift;
        assert!(!verdict(&[("a", 41), ("b", 59)]) && verdict(&[("a", 30), ("b", 70)]));
        let without = Library::Nannyml.of_categories(&whole, &[], &chunks[0]);
        assert_eq!(
            without,
            Err(Undefined::because("NannyML's threshold needs chunks of the reference"))
        );
        assert!(Library::Nannyml.of_categories(&whole, &chunks, &categories(&[])).is_err());
    }
}
