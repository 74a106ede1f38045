//! What a point is: an embedding, or features brought to one scale.

use serde::{Deserialize, Serialize};

use crate::clickhouse::query::samples::SampledInference;
use crate::records::InferenceHalf;

/// An inference as far as it can be placed.
pub trait Described {
    /// Its embedding; empty where it has none.
    fn embedding(&self) -> &[f32];
    /// What made the embedding, or empty.
    fn encoder(&self) -> &str;
    /// A numeric feature.
    fn number(&self, feature: &str) -> Option<f64>;
    /// Another feature.
    fn category(&self, feature: &str) -> Option<&str>;
}

impl Described for InferenceHalf {
    fn embedding(&self) -> &[f32] {
        &self.embedding
    }

    fn encoder(&self) -> &str {
        self.embedding_model.as_deref().unwrap_or_default()
    }

    fn number(&self, feature: &str) -> Option<f64> {
        self.numeric_features.get(feature).copied()
    }

    fn category(&self, feature: &str) -> Option<&str> {
        self.categorical_features.get(feature).map(String::as_str)
    }
}

impl Described for SampledInference {
    fn embedding(&self) -> &[f32] {
        &self.embedding
    }

    fn encoder(&self) -> &str {
        &self.embedding_model
    }

    fn number(&self, feature: &str) -> Option<f64> {
        let mut all = self.numeric_features.iter();
        all.find(|(name, _)| name == feature).map(|(_, number)| *number)
    }

    fn category(&self, feature: &str) -> Option<&str> {
        let mut all = self.categorical_features.iter();
        all.find(|(name, _)| name == feature).map(|(_, text)| text.as_str())
    }
}

/// What points of a model are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Space {
    /// Embeddings of one encoder and length, brought to length 1.
    Embeddings {
        /// What made them, or empty.
        encoder: String,
        /// How many numbers each has.
        dimensions: usize,
    },
    /// Features, each of the same weight.
    Features {
        /// Numbers, as standard deviations from their mean.
        numbers: Vec<NumberAxis>,
        /// Categories, a coordinate for each value.
        categories: Vec<CategoryAxis>,
    },
}

/// A numeric feature as a coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberAxis {
    /// Its name.
    pub feature: String,
    /// What becomes 0.
    pub mean: f64,
    /// How much becomes 1; above 0.
    pub standard_deviation: f64,
}

/// Another feature as coordinates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryAxis {
    /// Its name.
    pub feature: String,
    /// The values that have a coordinate; of all others it is 0 on each.
    pub values: Vec<String>,
    /// What the coordinate of a value that is there is: 1 over the standard deviation of all coordinates together.
    pub height: f64,
}

/// Standard deviations beyond which a number counts as this far away, so that one outlier is no cluster.
const FARTHEST: f64 = 5.0;

impl Space {
    /// How many coordinates a point has.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Embeddings { dimensions, .. } => *dimensions,
            Self::Features { numbers, categories } => numbers.len() + categories.iter().map(|axis| axis.values.len()).sum::<usize>(),
        }
    }

    /// `embeddings` or `features`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embeddings { .. } => "embeddings",
            Self::Features { .. } => "features",
        }
    }

    /// Where an inference lies. `None` where its embedding is of another encoder or length or has no direction, or where it has fewer
    /// than half of the features: half an inference. A feature that is absent lies in the middle.
    pub fn point(&self, inference: &impl Described) -> Option<Vec<f32>> {
        match self {
            Self::Embeddings { encoder, dimensions } => {
                let vector = inference.embedding();
                if vector.len() != *dimensions || inference.encoder() != encoder {
                    return None;
                }
                let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
                (length > 0.0 && length.is_finite()).then(|| vector.iter().map(|value| (f64::from(*value) / length) as f32).collect())
            }
            Self::Features { numbers, categories } => {
                let mut point = Vec::with_capacity(self.dimensions());
                let mut present = 0;
                for axis in numbers {
                    let number = inference.number(&axis.feature).filter(|number| number.is_finite());
                    present += usize::from(number.is_some());
                    let away = number.map_or(0.0, |number| (number - axis.mean) / axis.standard_deviation);
                    point.push(away.clamp(-FARTHEST, FARTHEST) as f32);
                }
                for axis in categories {
                    let text = inference.category(&axis.feature);
                    present += usize::from(text.is_some());
                    point.extend(
                        axis.values
                            .iter()
                            .map(|value| if text == Some(value) { axis.height as f32 } else { 0.0 }),
                    );
                }
                (2 * present >= numbers.len() + categories.len() && present > 0).then_some(point)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inference(age: Option<f64>, plan: Option<&str>, embedding: &[f32]) -> SampledInference {
        SampledInference {
            numeric_features: age.into_iter().map(|age| ("age".to_owned(), age)).collect(),
            categorical_features: plan.into_iter().map(|plan| ("plan".to_owned(), plan.to_owned())).collect(),
            embedding: embedding.to_vec(),
            embedding_model: "e".to_owned(),
            ..SampledInference::default()
        }
    }

    #[test]
    fn an_embedding_of_another_kind_lies_nowhere() {
        let space = |encoder: &str, dimensions| Space::Embeddings {
            encoder: encoder.to_owned(),
            dimensions,
        };
        assert_eq!(space("e", 2).point(&inference(None, None, &[3.0, 4.0])), Some(vec![0.6, 0.8]));
        assert_eq!(space("e", 2).point(&inference(None, None, &[0.0, 0.0])), None);
        assert_eq!(space("e", 3).point(&inference(None, None, &[3.0, 4.0])), None);
        assert_eq!(space("other", 2).point(&inference(None, None, &[3.0, 4.0])), None);
        assert_eq!(space("e", 0).point(&inference(None, None, &[])), None);
    }

    #[test]
    fn features_have_one_scale_and_half_an_inference_lies_nowhere() {
        let space = Space::Features {
            numbers: vec![NumberAxis {
                feature: "age".to_owned(),
                mean: 40.0,
                standard_deviation: 10.0,
            }],
            categories: vec![CategoryAxis {
                feature: "plan".to_owned(),
                values: vec!["free".to_owned(), "paid".to_owned()],
                height: 2.0,
            }],
        };
        assert_eq!(space.dimensions(), 3);
        let point = |age, plan| space.point(&inference(age, plan, &[]));
        assert_eq!(point(Some(60.0), Some("paid")), Some(vec![2.0, 0.0, 2.0]));
        assert_eq!(point(Some(f64::NAN), Some("other")), Some(vec![0.0, 0.0, 0.0]));
        assert_eq!(point(Some(1e9), None), Some(vec![5.0, 0.0, 0.0]));
        assert_eq!(point(None, None), None);
    }
}
