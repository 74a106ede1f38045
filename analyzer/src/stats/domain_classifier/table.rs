//! Features as columns of numbers: numbers themselves, and categories and what is absent as 0 and 1.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Feature, Values};
use crate::stats::Undefined;
use crate::stats::logistic::{self, Logistic};

/// Values of a category that have a column of their own.
pub const MAX_VALUES: usize = 20;

/// The features as columns of numbers, the reference's rows first.
pub(super) struct Table {
    values: Vec<f64>,
    columns: usize,
    of_feature: Vec<Range<usize>>,
}

impl Table {
    /// Of the rows of each side that were chosen.
    pub(super) fn of(features: &[Feature<'_>], sides: &[Vec<usize>; 2]) -> Result<Self, Undefined> {
        let mut columns = Vec::new();
        let mut of_feature = Vec::new();
        for feature in features {
            let before = columns.len();
            match feature.values {
                Values::Numbers { reference, current } => add_numbers(&mut columns, &picked([reference, current], sides)),
                Values::Categories { reference, current } => {
                    add_categories(&mut columns, &picked([reference, current], sides), sides[0].len());
                }
            }
            of_feature.push(before..columns.len());
            if columns.len() > logistic::MAX_COLUMNS {
                let (limit, feature) = (logistic::MAX_COLUMNS, feature.name);
                return Err(Undefined::because(format!(
                    "up to {feature:?} the features need more than {limit} columns"
                )));
            }
        }
        let rows = sides[0].len() + sides[1].len();
        Ok(Self {
            values: (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect(),
            columns: columns.len(),
            of_feature,
        })
    }

    pub(super) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// What each feature adds to the log-odds of a row.
    pub(super) fn parts(&self, model: &Logistic, row: usize) -> Vec<f64> {
        let terms: Vec<f64> = model.terms(self.row(row)).collect();
        self.of_feature.iter().map(|columns| terms[columns.clone()].iter().sum()).collect()
    }
}

fn picked<T: Copy>(values: [&[T]; 2], sides: &[Vec<usize>; 2]) -> Vec<T> {
    let of_side = |(values, rows): (&[T], &Vec<usize>)| rows.iter().map(|row| values[*row]).collect::<Vec<T>>();
    values.into_iter().zip(sides).flat_map(of_side).collect()
}

fn add_numbers(columns: &mut Vec<Vec<f64>>, values: &[Option<f64>]) {
    let finite: Vec<Option<f64>> = values.iter().map(|value| value.filter(|number| number.is_finite())).collect();
    let n = finite.iter().flatten().count();
    if n > 0 {
        let mean = finite.iter().flatten().map(|number| number / n as f64).sum();
        columns.push(finite.iter().map(|number| number.unwrap_or(mean)).collect());
    }
    add_indicator(columns, finite.iter().map(Option::is_none));
}

fn add_categories(columns: &mut Vec<Vec<f64>>, values: &[Option<&str>], reference_n: usize) {
    let mut shares: BTreeMap<&str, f64> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        let side = if row < reference_n {
            reference_n
        } else {
            values.len() - reference_n
        };
        if let Some(value) = value {
            *shares.entry(value).or_default() += 1.0 / side as f64;
        }
    }
    let mut largest: Vec<(&str, f64)> = shares.into_iter().collect();
    // Stable, so that equal shares stay in the order of the values.
    largest.sort_by(|a, b| b.1.total_cmp(&a.1));
    largest.truncate(MAX_VALUES);
    for (value, _) in &largest {
        add_indicator(columns, values.iter().map(|other| *other == Some(*value)));
    }
    let is_rest = |value: &Option<&str>| value.is_some_and(|value| largest.iter().all(|(other, _)| *other != value));
    add_indicator(columns, values.iter().map(is_rest));
    add_indicator(columns, values.iter().map(Option::is_none));
}

/// A column of 0 and 1, where both occur.
fn add_indicator(columns: &mut Vec<Vec<f64>>, is_true: impl Iterator<Item = bool>) {
    let column: Vec<f64> = is_true.map(|is_true| f64::from(u8::from(is_true))).collect();
    if column.contains(&0.0) && column.contains(&1.0) {
        columns.push(column);
    }
}
