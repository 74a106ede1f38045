//! The columns that slices are cut along: numbers in stretches of equal count, categories one by one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::sampling::columns::{Column, Value};
use crate::stats::shift::Special;
use crate::stats::slice_search::{Condition, Dimension};

/// Stretches of numbers of a feature.
const MAX_STRETCHES: usize = 10;
/// Categories of a feature that are told apart, the most frequent.
const MAX_CATEGORIES: usize = 30;

/// One condition of a slice: a range of numbers, one value, or what is no value.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SliceCondition {
    /// The feature; `ml.segment` for the segment.
    pub feature: String,
    /// Inclusive lower end; `None` where it is open, and for what is no range.
    pub from: Option<f64>,
    /// Exclusive upper end, likewise.
    pub to: Option<f64>,
    /// A category, or a single number as text.
    pub value: Option<String>,
    /// What it is otherwise.
    pub special: Option<Special>,
}

/// A column with what its cells are.
#[derive(Debug)]
pub(super) struct Cells {
    pub feature: String,
    pub dimension: Dimension,
    /// Lower ends of the stretches.
    edges: Vec<f64>,
    /// Whether each stretch is a single number.
    are_single: bool,
    alone: Vec<Alone>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Alone {
    Category(Arc<str>),
    Special(&'static str),
}

const SPECIALS: [(&str, Special); 4] = [
    ("absent", Special::Absent),
    ("nan", Special::Nan),
    ("positive_infinity", Special::PositiveInfinity),
    ("negative_infinity", Special::NegativeInfinity),
];

impl Cells {
    pub fn of(feature: &str, column: &Column) -> Self {
        let (edges, are_single) = edges(column);
        let mut counts: BTreeMap<Alone, usize> = BTreeMap::new();
        for value in column.sides.iter().flatten() {
            if let Some(alone) = alone(value) {
                *counts.entry(alone).or_default() += 1;
            }
        }
        let mut all: Vec<(Alone, usize)> = counts.into_iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all.truncate(MAX_CATEGORIES);
        let alone: Vec<Alone> = all.into_iter().map(|(alone, _)| alone).collect();
        let index: HashMap<&Alone, usize> = alone.iter().enumerate().map(|(at, of)| (of, edges.len() + at)).collect();
        let cells = edges.len() + alone.len();
        let cell = |value: &Value| {
            let at = match value {
                Value::Number(number) => edges.partition_point(|edge| edge <= number).saturating_sub(1),
                other => self::alone(other).and_then(|of| index.get(&of).copied()).unwrap_or(cells),
            };
            u8::try_from(at).unwrap_or(u8::MAX)
        };
        let of_rows = [0, 1].map(|side: usize| column.sides[side].iter().map(cell).collect());
        let counted = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        Self {
            feature: feature.to_owned(),
            dimension: Dimension::new(counted(cells), counted(edges.len()), of_rows),
            edges,
            are_single,
            alone,
        }
    }

    /// What a condition on this column says.
    pub fn condition(&self, condition: Condition) -> SliceCondition {
        let (from, to) = (usize::from(condition.from), usize::from(condition.to));
        let of = SliceCondition {
            feature: self.feature.clone(),
            ..SliceCondition::default()
        };
        if let Some(alone) = from.checked_sub(self.edges.len()).and_then(|at| self.alone.get(at)) {
            return match alone {
                Alone::Category(text) => SliceCondition {
                    value: Some(text.to_string()),
                    ..of
                },
                Alone::Special(name) => SliceCondition {
                    special: SPECIALS.iter().find(|(known, _)| known == name).map(|(_, special)| *special),
                    ..of
                },
            };
        }
        if self.are_single && from == to {
            return SliceCondition {
                value: self.edges.get(from).map(f64::to_string),
                ..of
            };
        }
        SliceCondition {
            from: self.edges.get(from).copied().filter(|_| from > 0),
            to: self.edges.get(to + 1).copied(),
            ..of
        }
    }
}

fn alone(value: &Value) -> Option<Alone> {
    match value {
        Value::Number(_) => None,
        Value::Category(text) => Some(Alone::Category(Arc::clone(text))),
        Value::Absent => Some(Alone::Special("absent")),
        Value::Nan => Some(Alone::Special("nan")),
        Value::PositiveInfinity => Some(Alone::Special("positive_infinity")),
        Value::NegativeInfinity => Some(Alone::Special("negative_infinity")),
    }
}

/// Lower ends of stretches that hold about as many rows each, of both sides together; of few numbers each is a stretch.
fn edges(column: &Column) -> (Vec<f64>, bool) {
    let numbers = column.sides.iter().flatten().filter_map(|value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    });
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let mut distinct = numbers.clone();
    distinct.dedup();
    if distinct.len() <= MAX_STRETCHES {
        return (distinct, true);
    }
    let mut edges: Vec<f64> = (0..MAX_STRETCHES)
        .map(|part| numbers[part * numbers.len() / MAX_STRETCHES])
        .collect();
    edges.dedup();
    (edges, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: Vec<Value>) -> Column {
        Column {
            sides: [values, Vec::new()],
        }
    }

    #[test]
    fn numbers_are_cut_into_stretches_and_said_as_ranges() {
        let mut values: Vec<Value> = (0..1_000).map(|i| Value::Number(f64::from(i) / 10.0)).collect();
        values.push(Value::Nan);
        let cells = Cells::of("age", &column(values));
        let says = |from: u8, to: u8| {
            let said = cells.condition(Condition { dimension: 0, from, to });
            (said.from, said.to, said.value, said.special)
        };
        assert_eq!(says(0, 2), (None, Some(30.0), None, None));
        assert_eq!(says(3, 9), (Some(30.0), None, None, None));
        assert_eq!(says(10, 10), (None, None, None, Some(Special::Nan)));
    }

    #[test]
    fn few_numbers_and_categories_are_said_by_name() {
        let values = [1.0, 2.0, 2.0, 5.0].map(Value::Number).into_iter();
        let values = values.chain(["b", "a", "b"].map(|text| Value::Category(text.into()))).collect();
        let cells = Cells::of("mixed", &column(values));
        let says = |from: u8, to: u8| cells.condition(Condition { dimension: 0, from, to });
        assert_eq!(says(1, 1).value.as_deref(), Some("2"));
        assert_eq!((says(1, 2).from, says(1, 2).to), (Some(2.0), None));
        assert_eq!((says(0, 1).from, says(0, 1).to), (None, Some(5.0)));
        assert_eq!((says(3, 3).value.as_deref(), says(4, 4).value.as_deref()), (Some("b"), Some("a")));
    }

    #[test]
    fn of_many_categories_the_rare_ones_are_in_no_slice() {
        let values = (0..100_u32).flat_map(|i| vec![Value::Category(format!("{i:03}").into()); if i == 50 { 5 } else { 1 }]);
        let cells = Cells::of("many", &column(values.collect()));
        let first = cells.condition(Condition {
            dimension: 0,
            from: 0,
            to: 0,
        });
        assert_eq!(first.value.as_deref(), Some("050"));
        assert_eq!(cells.alone.len(), MAX_CATEGORIES);
    }
}
