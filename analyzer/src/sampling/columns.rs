//! Sampled inferences as columns: the features of both sides, row by row.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use driftlead_store::clickhouse::query::samples::SampledInference;
use driftlead_store::records::pseudo;

use crate::stats::domain_classifier::{Feature, Values};

/// The name under which the segment of an inference is a column, as senders call it.
pub(crate) const SEGMENT: &str = "ml.segment";

/// What an inference has of a feature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Absent,
    Nan,
    PositiveInfinity,
    NegativeInfinity,
    Number(f64),
    Category(Arc<str>),
}

impl Value {
    fn of_number(number: f64) -> Self {
        match number {
            number if number.is_finite() => Self::Number(number),
            number if number.is_nan() => Self::Nan,
            number if number > 0.0 => Self::PositiveInfinity,
            _ => Self::NegativeInfinity,
        }
    }
}

/// The values of one feature, of the reference and of the window.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Column {
    pub sides: [Vec<Value>; 2],
}

/// The columns of the sampled inferences.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Columns {
    pub by_feature: BTreeMap<String, Column>,
    pub rows: [usize; 2],
}

impl Columns {
    /// Of the reference and of the window.
    pub fn of(sides: [&[SampledInference]; 2]) -> Self {
        let rows = sides.map(<[SampledInference]>::len);
        let mut columns = Self {
            by_feature: BTreeMap::new(),
            rows,
        };
        let mut texts: HashMap<String, Arc<str>> = HashMap::new();
        for (side, inferences) in sides.into_iter().enumerate() {
            for (row, inference) in inferences.iter().enumerate() {
                columns.add(side, row, inference, &mut texts);
            }
        }
        columns
    }

    fn add(&mut self, side: usize, row: usize, inference: &SampledInference, texts: &mut HashMap<String, Arc<str>>) {
        let mut category = |text: &str| match texts.get(text) {
            Some(known) => Value::Category(Arc::clone(known)),
            None => {
                let shared: Arc<str> = text.into();
                texts.insert(text.to_owned(), Arc::clone(&shared));
                Value::Category(shared)
            }
        };
        for (name, text) in &inference.categorical_features {
            self.set(side, row, name, category(text));
        }
        if let Some(label) = &inference.prediction_label {
            self.set(side, row, pseudo::PREDICTION_LABEL, category(label));
        }
        if !inference.segment.is_empty() {
            self.set(side, row, SEGMENT, category(&inference.segment));
        }
        for (name, number) in &inference.numeric_features {
            self.set(side, row, name, Value::of_number(*number));
        }
        for (name, number) in [
            (pseudo::PREDICTION_SCORE, inference.prediction_score),
            (pseudo::PREDICTION_VALUE, inference.prediction_value),
        ] {
            if let Some(number) = number {
                self.set(side, row, name, Value::of_number(number));
            }
        }
    }

    fn set(&mut self, side: usize, row: usize, feature: &str, value: Value) {
        if !self.by_feature.contains_key(feature) {
            let sides = self.rows.map(|rows| vec![Value::Absent; rows]);
            self.by_feature.insert(feature.to_owned(), Column { sides });
        }
        if let Some(column) = self.by_feature.get_mut(feature) {
            column.sides[side][row] = value;
        }
    }

    /// What a model that tells the sides apart would learn from: the features of these names. Their values are borrowed from
    /// what [`Columns::split`] makes.
    pub fn features<'a>(split: &'a [(String, SplitColumn<'a>)]) -> Vec<Feature<'a>> {
        split
            .iter()
            .map(|(name, column)| Feature {
                name,
                values: match column {
                    SplitColumn::Numbers([reference, current]) => Values::Numbers { reference, current },
                    SplitColumn::Categories([reference, current]) => Values::Categories { reference, current },
                },
            })
            .collect()
    }

    /// Columns of these names as numbers, where at least half of what is there are numbers, else as categories.
    pub fn split<'a>(&'a self, names: impl Iterator<Item = &'a String>) -> Vec<(String, SplitColumn<'a>)> {
        names
            .filter_map(|name| Some((name.clone(), SplitColumn::of(self.by_feature.get(name)?))))
            .collect()
    }
}

/// A column of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SplitColumn<'a> {
    Numbers([Vec<Option<f64>>; 2]),
    Categories([Vec<Option<&'a str>>; 2]),
}

impl<'a> SplitColumn<'a> {
    fn of(column: &'a Column) -> Self {
        let all = || column.sides.iter().flatten();
        let categories = all().filter(|value| matches!(value, Value::Category(_))).count();
        let present = all().filter(|value| **value != Value::Absent).count();
        if 2 * categories > present {
            let text = |value: &'a Value| match value {
                Value::Category(text) => Some(&**text),
                _ => None,
            };
            return Self::Categories([0, 1].map(|side: usize| column.sides[side].iter().map(text).collect()));
        }
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        };
        Self::Numbers([0, 1].map(|side: usize| column.sides[side].iter().map(number).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_inference_does_not_have_is_absent_and_mixed_columns_are_of_one_kind() {
        let inference = |age: Option<f64>, city: Option<&str>| SampledInference {
            segment: "mobile".into(),
            prediction_score: Some(0.5),
            numeric_features: age.into_iter().map(|age| ("age".to_owned(), age)).collect(),
            categorical_features: city.into_iter().map(|city| ("city".to_owned(), city.to_owned())).collect(),
            ..SampledInference::default()
        };
        let reference = [inference(Some(f64::NAN), Some("Oslo")), inference(None, Some("Bonn"))];
        let current = [inference(Some(7.0), None)];
        let columns = Columns::of([&reference, &current]);
        assert_eq!(columns.rows, [2, 1]);
        assert_eq!(
            columns.by_feature["age"].sides,
            [vec![Value::Nan, Value::Absent], vec![Value::Number(7.0)]]
        );
        let names = ["age".to_owned(), "city".to_owned(), "nothing".to_owned()];
        let split = columns.split(names.iter());
        assert_eq!(
            split,
            [
                ("age".to_owned(), SplitColumn::Numbers([vec![None, None], vec![Some(7.0)]])),
                (
                    "city".to_owned(),
                    SplitColumn::Categories([vec![Some("Oslo"), Some("Bonn")], vec![None]])
                ),
            ]
        );
        assert_eq!(Columns::features(&split).len(), 2);
        assert_eq!(columns.by_feature[SEGMENT].sides[1], [Value::Category("mobile".into())]);
    }
}
