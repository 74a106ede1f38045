//! The statistics of one column or feature, as libraries define them: of rows exactly, of a profile from its buckets.

use std::borrow::Cow;

use driftlead_store::records::{FeatureCounts, OTHER_CATEGORIES};
use serde::Serialize;

use crate::drift::ValueKind;
use crate::rows::{Column, Kind};
use crate::stats::binning::Counts;
use crate::stats::binning::{Edges, Floor, Table};
use crate::stats::chi_square::{self, Correction};
use crate::stats::jensen_shannon::{self, Base};
use crate::stats::sample::Sample;
use crate::stats::{Undefined, hellinger, kolmogorov_smirnov, l_infinity, population_stability_index, total_variation, wasserstein};

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Measured<T> {
    /// The value.
    Value(T),
    /// There is none.
    Undefined {
        /// Why.
        undefined: String,
    },
}

impl<T> From<Result<T, Undefined>> for Measured<T> {
    fn from(result: Result<T, Undefined>) -> Self {
        match result {
            Ok(value) => Self::Value(value),
            Err(undefined) => Self::Undefined {
                undefined: undefined.to_string(),
            },
        }
    }
}

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tested {
    /// The statistic.
    pub statistic: f64,
    /// The p-value of "both are of one distribution".
    pub p: f64,
}

/// The statistics of a column. Absent values, and numbers that are not finite, are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Kolmogorov–Smirnov; of numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ks: Option<Measured<Tested>>,
    /// Population stability index over the reference's deciles, or over the categories.
    pub psi: Measured<f64>,
    /// Jensen–Shannon distance to base 2, in the bins of `psi`.
    pub js: Measured<f64>,
    /// Wasserstein distance; of numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasserstein: Option<Measured<f64>>,
    /// The same in standard deviations of the reference; of numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasserstein_normed: Option<Measured<f64>>,
    /// Two-sample chi-square test, in the bins of `psi`.
    pub chi2: Measured<Tested>,
    /// Hellinger distance, in the bins of `psi`.
    pub hellinger: Measured<f64>,
    /// Half the sum of the differences of shares, in the bins of `psi`.
    pub total_variation: Measured<f64>,
    /// The largest difference of a share, in the bins of `psi`.
    pub l_infinity: Measured<f64>,
}

impl Statistics {
    /// Of a feature in the profiles of a reference and of a window. Numbers of one bucket count as its middle, at most 0.4 %
    /// off; categories that are not kept apart count as one.
    pub(crate) fn of_profiles(kind: ValueKind, reference: &FeatureCounts, window: &FeatureCounts) -> Self {
        match kind {
            ValueKind::Categorical => Self::of_table(&Table::of_categories(&categories(reference), &categories(window))),
            ValueKind::Numeric => {
                let sample = |counts: &FeatureCounts| Sample::of_buckets(counts.buckets.iter().map(|(&key, &count)| (key, count)));
                let samples = sample(reference).and_then(|before| Ok((before, sample(window)?)));
                Self::of_numbers(samples.as_ref().map_err(Clone::clone))
            }
        }
    }

    /// Of a reference's column and a file's.
    pub(crate) fn of_columns(reference: &Column, current: &Column) -> Self {
        match reference.kind() {
            Kind::Categorical => Self::of_table(&Table::of_categories(&reference.categories(), &current.categories())),
            Kind::Numeric => {
                let samples = reference.sample().and_then(|before| Ok((before, current.sample()?)));
                Self::of_numbers(samples.as_ref().map_err(Clone::clone))
            }
        }
    }

    fn of_numbers(samples: Result<&(Sample, Sample), Undefined>) -> Self {
        let table = samples
            .clone()
            .map(|(before, now)| Table::of_numbers(&Edges::deciles(before), before, now));
        let ks = samples.clone().map(|(before, now)| {
            let test = kolmogorov_smirnov::test(before, now);
            Tested {
                statistic: test.statistic,
                p: test.p,
            }
        });
        let moved = samples.and_then(|(before, now)| wasserstein::distance(before, now));
        Self {
            ks: Some(ks.into()),
            wasserstein: Some(moved.clone().map(|moved| moved.distance).into()),
            wasserstein_normed: Some(moved.map(|moved| moved.normed).into()),
            ..Self::of_table(&table)
        }
    }

    fn of_table(table: &Result<Table, Undefined>) -> Self {
        fn of<T>(table: &Result<Table, Undefined>, statistic: impl Fn(&Table) -> T) -> Measured<T> {
            table.as_ref().map(statistic).map_err(Clone::clone).into()
        }
        Self {
            ks: None,
            psi: of(table, |table| population_stability_index::index(table, Floor::OfAll)),
            js: of(table, |table| jensen_shannon::distance(table, Base::Two)),
            wasserstein: None,
            wasserstein_normed: None,
            chi2: of(table, |table| {
                let test = chi_square::test(table, Correction::None);
                Tested {
                    statistic: test.statistic,
                    p: test.p,
                }
            }),
            hellinger: of(table, hellinger::distance),
            total_variation: of(table, total_variation::distance),
            l_infinity: of(table, l_infinity::distance),
        }
    }
}

fn categories(counts: &FeatureCounts) -> Cow<'_, Counts> {
    if counts.other == 0 {
        return Cow::Borrowed(&counts.values);
    }
    let mut all = counts.values.clone();
    all.insert(OTHER_CATEGORIES.to_owned(), counts.other);
    Cow::Owned(all)
}
