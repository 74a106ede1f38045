//! What a model is given: features by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The features of one example. A feature that is not there, or `null`, is absent.
pub type Features = BTreeMap<String, FeatureValue>;

/// The value of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FeatureValue {
    /// A number.
    Number(f64),
    /// A category; booleans are `true` and `false`.
    Text(String),
}

impl FeatureValue {
    /// The value as a number: text is read as one, so that a set may hold `"39"`.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    /// The value as a category: the number 2 and 2.0 are the category `2`, so that a set may hold codes as numbers.
    pub fn as_category(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Number(number) => number_as_category(*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

/// The shortest text that reads back as the number; whole numbers have no decimals.
fn number_as_category(number: f64) -> String {
    // Display of f64 is the shortest form that reads back, and writes 2.0 as "2"; minus zero is zero.
    if number == 0.0 { "0".to_owned() } else { number.to_string() }
}

impl From<f64> for FeatureValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for FeatureValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for FeatureValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<'de> Deserialize<'de> for FeatureValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a feature is a number, a text or a boolean")]
        enum Wire {
            Bool(bool),
            Number(f64),
            Text(String),
        }
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Bool(flag) => Self::Text(flag.to_string()),
            Wire::Number(number) => Self::Number(number),
            Wire::Text(text) => Self::Text(text),
        })
    }
}
