//! Models that candle runs: for control replays, and encoders of texts ([`text_encoder`]) that stored embeddings are held to.
//!
//! A runner's address such as `file:///models/employment/{version}` and a version name a folder
//! ([`address`]); the folder holds `config.json`, whose `model_type` says what it is, and
//! `model.safetensors` with the weights ([`load`]). Everything read from a folder is checked against limits
//! before it is believed: a model's file can neither hang nor exhaust the process. Deliberately absent:
//! pickle, and whatever else runs code from a model's file.

pub mod address;
mod files;
pub mod input;
pub mod tabular_mlp;
pub mod text_encoder;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;

pub use input::{FeatureValue, Features};
use tabular_mlp::TabularMlp;

/// Why a model cannot be loaded. The texts name the file and what to change in it, never its content.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is not there, not a plain file, or cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or a declared size is over a limit.
    #[error("{what} is {size}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// `config.json` is not what its model type needs.
    #[error("config.json: {0}")]
    Config(String),
    /// `config.json` names a type that is not known here.
    #[error("config.json: model_type {0:?} is not known; known is tabular_mlp")]
    UnknownType(String),
    /// `model.safetensors` is not what `config.json` declares.
    #[error("model.safetensors: {0}")]
    Weights(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] candle_core::Error),
}

/// Why one example got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The input does not fit the model.
    #[error("{0}")]
    Input(String),
    /// The model gave NaN or infinite scores.
    #[error("the model's scores are not finite")]
    NotFinite,
    /// The computation failed.
    #[error("the computation failed: {0}")]
    Device(String),
}

/// What a model answers to one example.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The class with the highest score, the first of several.
    pub label: Arc<str>,
    /// Its score, a probability.
    pub score: f64,
    /// The probability of every class in the order of [`LoadedModel::classes`].
    pub scores: Vec<f64>,
}

/// A model that is ready to answer.
#[derive(Debug, Clone)]
pub enum LoadedModel {
    /// A multi-layer perceptron over numbers and categories.
    TabularMlp(TabularMlp),
}

impl LoadedModel {
    /// The classes that it tells apart.
    pub fn classes(&self) -> &[Arc<str>] {
        match self {
            Self::TabularMlp(model) => model.classes(),
        }
    }

    /// One answer, or the reason why there is none, per example and in their order. Blocks while it computes.
    pub fn predict(&self, batch: &[Features]) -> Vec<Result<Answer, AnswerError>> {
        match self {
            Self::TabularMlp(model) => model.predict(batch),
        }
    }
}

/// The GPU when this build knows one and there is one, else the CPU.
pub fn device() -> Device {
    Device::cuda_if_available(0).unwrap_or_else(|error| {
        tracing::warn!(%error, "no GPU can be used: models run on the CPU");
        Device::Cpu
    })
}

/// Loads the model in a folder. Blocks while it reads.
///
/// # Errors
/// A file is missing or too large, or is not what it says it is.
pub fn load(folder: &Path, device: &Device) -> Result<LoadedModel, ModelError> {
    let config = files::read_json(&folder.join("config.json"))?;
    match config.get("model_type").and_then(serde_json::Value::as_str) {
        Some(tabular_mlp::MODEL_TYPE) => Ok(LoadedModel::TabularMlp(TabularMlp::load(config, folder, device)?)),
        Some(other) => Err(ModelError::UnknownType(other.chars().take(64).collect())),
        None => Err(ModelError::Config(
            "it has no model_type; write \"model_type\": \"tabular_mlp\"".to_owned(),
        )),
    }
}
