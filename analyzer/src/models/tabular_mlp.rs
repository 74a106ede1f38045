//! A multi-layer perceptron over numbers and categories: `{"model_type": "tabular_mlp"}`.
//!
//! ```json
//! {"model_type": "tabular_mlp",
//!  "features": [{"name": "AGEP", "kind": "numeric", "mean": 40.2, "std": 23.1},
//!               {"name": "SEX", "kind": "category", "categories": ["1", "2"]}],
//!  "layers": [64, 32, 2],
//!  "classes": ["0", "1"]}
//! ```
//!
//! **Inputs**, in the order of `features`. A numeric feature is one input, `(x − mean) / std`; where it is absent,
//! not finite in the example, or `std` is 0, the input is 0: the mean is imputed. A category feature is one
//! input per category, 1 for the example's and 0 for the others; an absent or unknown category is 0 in all.
//! Numbers given for a category are its shortest decimal form (`2`), text given for a number is read as one.
//!
//! **Layers.** `layers` holds the number of *outputs* of each layer; the last is the number of `classes`. Layer N
//! computes `x · weightᵀ + bias` with `layers.N.weight` of shape (outputs, inputs) and `layers.N.bias` of
//! shape (outputs), in 32-bit floats (16- and 64-bit ones are converted), with ReLU between layers and
//! softmax after the last.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Answer, AnswerError, Features, ModelError, files};

/// What `config.json` says to be one of these.
pub const MODEL_TYPE: &str = "tabular_mlp";

/// Features, as the product's own limit has them.
const MAX_FEATURES: usize = 1_000;
/// Inputs of the first layer, after categories are spread out: bounds the memory of a batch.
const MAX_INPUTS: usize = 100_000;
/// Layers; a deeper network of this kind does not train.
const MAX_LAYERS: usize = 16;
/// Outputs of one layer.
const MAX_WIDTH: usize = 16_384;
/// Weights in all: 256 MB as 32-bit floats, the bound on the file.
const MAX_WEIGHTS: u64 = 64_000_000;
/// Numbers in one batch's widest matrix: examples are taken in chunks, so that memory does not grow with the batch.
const MAX_CHUNK_NUMBERS: usize = 4_000_000;

/// What `config.json` declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// [`MODEL_TYPE`].
    pub model_type: String,
    /// What the model is given, in the order of its inputs.
    pub features: Vec<Feature>,
    /// Outputs of each layer.
    pub layers: Vec<usize>,
    /// What the outputs of the last layer stand for.
    pub classes: Vec<String>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name in the examples.
    pub name: String,
    /// How it becomes inputs.
    #[serde(flatten)]
    pub kind: FeatureKind,
}

/// How a feature becomes inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// One standardised input.
    Numeric {
        /// Mean over the training rows.
        mean: f64,
        /// Standard deviation over the training rows.
        std: f64,
    },
    /// One input per category.
    Category {
        /// The categories.
        categories: Vec<String>,
    },
}

impl Config {
    /// Inputs of the first layer.
    pub fn inputs(&self) -> usize {
        self.features.iter().map(Feature::inputs).sum()
    }

    /// Shapes of `layers.N.weight`, from the first layer on, as (outputs, inputs).
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        let mut inputs = self.inputs();
        self.layers
            .iter()
            .map(|&outputs| (outputs, std::mem::replace(&mut inputs, outputs)))
            .collect()
    }

    /// Checks sizes, names and numbers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ModelError> {
        let wrong = |text: String| Err(ModelError::Config(text));
        if self.model_type != MODEL_TYPE {
            return Err(ModelError::UnknownType(self.model_type.clone()));
        }
        if self.features.is_empty() || self.layers.is_empty() {
            return wrong("features and layers must not be empty".to_owned());
        }
        bounded("features", self.features.len(), MAX_FEATURES)?;
        bounded("layers", self.layers.len(), MAX_LAYERS)?;
        bounded("inputs of the first layer", self.inputs(), MAX_INPUTS)?;
        for (index, &width) in self.layers.iter().enumerate() {
            if width == 0 {
                return wrong(format!("layer {index} has no outputs"));
            }
            bounded(&format!("outputs of layer {index}"), width, MAX_WIDTH)?;
        }
        let weights: u64 = self.shapes().iter().map(|&(outputs, inputs)| outputs as u64 * inputs as u64).sum();
        if weights > MAX_WEIGHTS {
            return Err(ModelError::TooLarge {
                what: "the number of weights".to_owned(),
                size: weights,
                limit: MAX_WEIGHTS,
            });
        }
        if self.classes.len() < 2 || self.layers.last() != Some(&self.classes.len()) {
            return wrong(format!(
                "the last of layers is {}, there are {} classes; they must be equal and at least 2",
                self.layers.last().copied().unwrap_or_default(),
                self.classes.len()
            ));
        }
        unique("class", self.classes.iter())?;
        unique("feature", self.features.iter().map(|feature| &feature.name))?;
        for feature in &self.features {
            match &feature.kind {
                FeatureKind::Numeric { mean, std } if !mean.is_finite() || !std.is_finite() || *std < 0.0 => {
                    return wrong(format!("feature {:?}: mean and std must be finite, std not negative", feature.name));
                }
                FeatureKind::Category { categories } if categories.is_empty() => {
                    return wrong(format!("feature {:?} has no categories", feature.name));
                }
                FeatureKind::Category { categories } => unique("category", categories.iter())?,
                FeatureKind::Numeric { .. } => {}
            }
        }
        Ok(())
    }
}

impl Feature {
    fn inputs(&self) -> usize {
        match &self.kind {
            FeatureKind::Numeric { .. } => 1,
            FeatureKind::Category { categories } => categories.len(),
        }
    }
}

fn bounded(what: &str, size: usize, limit: usize) -> Result<(), ModelError> {
    if size <= limit {
        return Ok(());
    }
    Err(ModelError::TooLarge {
        what: format!("config.json: the number of {what}"),
        size: size as u64,
        limit: limit as u64,
    })
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), ModelError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ModelError::Config(format!("the {what} {name:?} is there twice")));
        }
    }
    Ok(())
}

/// Turns features into inputs.
#[derive(Debug, Clone)]
pub struct Encoder {
    columns: Vec<Column>,
    inputs: usize,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    first_input: usize,
    kind: ColumnKind,
}

#[derive(Debug, Clone)]
enum ColumnKind {
    Numeric { mean: f64, std: f64 },
    Category { inputs: HashMap<String, usize> },
}

impl Encoder {
    /// For a configuration that [`Config::check`] accepts.
    pub fn new(config: &Config) -> Self {
        let mut first_input = 0;
        let columns = config
            .features
            .iter()
            .map(|feature| {
                let column = Column {
                    name: feature.name.clone(),
                    first_input,
                    kind: match &feature.kind {
                        FeatureKind::Numeric { mean, std } => ColumnKind::Numeric { mean: *mean, std: *std },
                        FeatureKind::Category { categories } => ColumnKind::Category {
                            inputs: categories.iter().cloned().zip(0..).collect(),
                        },
                    },
                };
                first_input += feature.inputs();
                column
            })
            .collect();
        Self {
            columns,
            inputs: first_input,
        }
    }

    /// How many inputs one example becomes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Appends the inputs of one example to `inputs`.
    ///
    /// # Errors
    /// A numeric feature holds text that is not a number, or none of the model's features is there. Nothing is
    /// appended then.
    pub fn encode(&self, features: &Features, inputs: &mut Vec<f32>) -> Result<(), AnswerError> {
        let start = inputs.len();
        inputs.resize(start + self.inputs, 0.0);
        self.fill(features, &mut inputs[start..]).inspect_err(|_| inputs.truncate(start))
    }

    fn fill(&self, features: &Features, inputs: &mut [f32]) -> Result<(), AnswerError> {
        let mut known = 0;
        for column in &self.columns {
            let Some(value) = features.get(&column.name) else { continue };
            known += 1;
            match &column.kind {
                ColumnKind::Numeric { mean, std } => {
                    let number = value
                        .as_number()
                        .ok_or_else(|| AnswerError::Input(format!("the feature {:?} is not a number", column.name)))?;
                    if number.is_finite() && *std > 0.0 {
                        inputs[column.first_input] = ((number - mean) / std) as f32;
                    }
                }
                ColumnKind::Category { inputs: of_category } => {
                    if let Some(offset) = of_category.get(value.as_category().as_ref()) {
                        inputs[column.first_input + offset] = 1.0;
                    }
                }
            }
        }
        if known == 0 {
            return Err(AnswerError::Input("the example has none of the model's features".to_owned()));
        }
        Ok(())
    }
}

/// A loaded model.
#[derive(Debug, Clone)]
pub struct TabularMlp {
    encoder: Arc<Encoder>,
    classes: Arc<[Arc<str>]>,
    layers: Arc<[Layer]>,
    device: Device,
    widest: usize,
}

#[derive(Debug)]
struct Layer {
    /// (inputs, outputs): transposed once, at loading.
    weight: Tensor,
    bias: Tensor,
}

impl TabularMlp {
    /// Loads the weights that `config` declares from the folder's `model.safetensors`.
    ///
    /// # Errors
    /// The configuration or the weights are not as this module describes them.
    pub fn load(config: serde_json::Value, folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config: Config = serde_json::from_value(config).map_err(|error| ModelError::Config(error.to_string()))?;
        config.check()?;
        let bytes = files::read_weights(&folder.join("model.safetensors"))?;
        // The format's own reader checks that the header's offsets lie in the file and fit shapes and types.
        let tensors = safetensors::SafeTensors::deserialize(&bytes).map_err(|error| ModelError::Weights(error.to_string()))?;
        let layers: Vec<Layer> = config
            .shapes()
            .into_iter()
            .enumerate()
            .map(|(index, (outputs, inputs))| {
                let weight = tensor(&tensors, &format!("layers.{index}.weight"), &[outputs, inputs], device)?;
                let bias = tensor(&tensors, &format!("layers.{index}.bias"), &[outputs], device)?;
                Ok(Layer {
                    weight: weight.t()?.contiguous()?,
                    bias,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        let widest = config.layers.iter().copied().max().unwrap_or(1).max(config.inputs());
        Ok(Self {
            encoder: Arc::new(Encoder::new(&config)),
            classes: config.classes.iter().map(|class| Arc::from(class.as_str())).collect(),
            layers: layers.into(),
            device: device.clone(),
            widest,
        })
    }

    /// The classes in the order of the outputs.
    pub fn classes(&self) -> &[Arc<str>] {
        &self.classes
    }

    /// One answer, or the reason why there is none, per example and in their order.
    pub fn predict(&self, batch: &[Features]) -> Vec<Result<Answer, AnswerError>> {
        let chunk = (MAX_CHUNK_NUMBERS / self.widest).max(1);
        batch.chunks(chunk).flat_map(|examples| self.predict_chunk(examples)).collect()
    }

    fn predict_chunk(&self, examples: &[Features]) -> Vec<Result<Answer, AnswerError>> {
        let mut inputs = Vec::with_capacity(examples.len() * self.encoder.inputs());
        let encoded: Vec<Result<(), AnswerError>> = examples.iter().map(|example| self.encoder.encode(example, &mut inputs)).collect();
        let rows = encoded.iter().filter(|outcome| outcome.is_ok()).count();
        let logits = match self.logits(inputs, rows) {
            Ok(logits) => logits,
            Err(error) => {
                let failed = AnswerError::Device(error.to_string().chars().take(200).collect());
                return encoded.into_iter().map(|outcome| outcome.and(Err(failed.clone()))).collect();
            }
        };
        let mut rows = logits.into_iter();
        encoded
            .into_iter()
            .map(|outcome| outcome.and_then(|()| self.answer(&rows.next().ok_or(AnswerError::NotFinite)?)))
            .collect()
    }

    fn logits(&self, inputs: Vec<f32>, rows: usize) -> Result<Vec<Vec<f32>>, candle_core::Error> {
        if rows == 0 {
            return Ok(Vec::new());
        }
        let mut x = Tensor::from_vec(inputs, (rows, self.encoder.inputs()), &self.device)?;
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = x.relu()?;
            }
            x = x.matmul(&layer.weight)?.broadcast_add(&layer.bias)?;
        }
        x.to_vec2()
    }

    fn answer(&self, logits: &[f32]) -> Result<Answer, AnswerError> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(AnswerError::NotFinite);
        }
        let scores = softmax(logits);
        let mut best = 0;
        for (index, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = index;
            }
        }
        Ok(Answer {
            label: self.classes[best].clone(),
            score: scores[best],
            scores,
        })
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / sum).collect()
}

fn tensor(tensors: &safetensors::SafeTensors<'_>, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, ModelError> {
    use candle_core::safetensors::Load;
    let view = tensors
        .tensor(name)
        .map_err(|_| ModelError::Weights(format!("the tensor {name} is missing")))?;
    if view.shape() != shape {
        return Err(ModelError::Weights(format!(
            "the tensor {name} has the shape {:?}, config.json needs {shape:?}",
            view.shape()
        )));
    }
    if !matches!(
        view.dtype(),
        safetensors::Dtype::F16 | safetensors::Dtype::BF16 | safetensors::Dtype::F32 | safetensors::Dtype::F64
    ) {
        return Err(ModelError::Weights(format!(
            "the tensor {name} holds {:?}, not floats",
            view.dtype()
        )));
    }
    let tensor = view.load(device)?.to_dtype(DType::F32)?;
    let sum_of_magnitudes = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
    if !sum_of_magnitudes.is_finite() {
        return Err(ModelError::Weights(format!("the tensor {name} holds NaN or infinite numbers")));
    }
    Ok(tensor)
}
