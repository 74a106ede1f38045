//! Encoders of sentences: BERT in a folder as Hugging Face lays it out, its last layer averaged over the tokens and brought to length 1.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::{Encoding, Tokenizer, TruncationParams};

use super::{AnswerError, ModelError, files};

/// The `model_type` of `config.json`.
pub const MODEL_TYPE: &str = "bert";
/// Tokens of a text that are read; sentence encoders are trained on fewer.
const MAX_TOKENS: usize = 256;
/// Texts that are computed together.
const BATCH: usize = 32;
/// What a configuration may declare at most: twice the largest BERT that is common.
const MAX_LAYERS: usize = 48;
const MAX_WIDTH: usize = 4_096;
const MAX_INNER_WIDTH: usize = 16_384;

/// An encoder that is ready to encode; cheap to clone.
#[derive(Clone)]
pub struct TextEncoder {
    model: Arc<BertModel>,
    tokenizer: Arc<Tokenizer>,
    unknown: Option<u32>,
    device: Device,
    dimensions: usize,
}

impl std::fmt::Debug for TextEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextEncoder")
            .field("dimensions", &self.dimensions)
            .finish_non_exhaustive()
    }
}

impl TextEncoder {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors`. Blocks while it reads: a tenth of a second for 23 million weights.
    ///
    /// # Errors
    /// A file is missing or too large, or is not what it says it is.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = files::read_json(&folder.join("config.json"))?;
        match config.get("model_type").and_then(serde_json::Value::as_str) {
            Some(MODEL_TYPE) => {}
            other => {
                let other = other.unwrap_or_default().chars().take(64).collect::<String>();
                return Err(ModelError::Config(format!(
                    "model_type {other:?} is no encoder of texts; known is bert"
                )));
            }
        }
        let config: Config = serde_json::from_value(config).map_err(|error| ModelError::Config(error.to_string()))?;
        check(&config)?;
        let mut tokenizer = files::read_tokenizer(&folder.join("tokenizer.json"))?;
        // Padding to a fixed length, which the file may ask for, would multiply the work.
        tokenizer.with_padding(None);
        let truncation = TruncationParams {
            max_length: MAX_TOKENS.min(config.max_position_embeddings),
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|error| ModelError::Config(format!("tokenizer.json: {error}")))?;
        let weights = files::read_encoder_weights(&folder.join("model.safetensors"))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, device).map_err(|error| wrong_weights(&error))?;
        let model = BertModel::load(weights, &config).map_err(|error| wrong_weights(&error))?;
        let unknown = ["[UNK]", "<unk>"].iter().find_map(|token| tokenizer.token_to_id(token));
        Ok(Self {
            model: Arc::new(model),
            tokenizer: Arc::new(tokenizer),
            unknown,
            device: device.clone(),
            dimensions: config.hidden_size,
        })
    }

    /// Numbers in each vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The vector of each text, of length 1, in their order. A text that cannot be encoded has a reason. Blocks while it computes.
    pub fn encode(&self, texts: &[&str]) -> Vec<Result<Vec<f32>, AnswerError>> {
        let mut answers: Vec<Result<Vec<f32>, AnswerError>> = Vec::with_capacity(texts.len());
        let mut encoded: Vec<(usize, Encoding)> = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            answers.push(Err(AnswerError::Input("the text has no tokens".to_owned())));
            match self.tokenizer.encode(*text, true) {
                Ok(encoding) if !encoding.get_ids().is_empty() => encoded.push((index, encoding)),
                Ok(_) => {}
                Err(error) => answers[index] = Err(AnswerError::Input(error.to_string())),
            }
        }
        // Texts of about one length together: what is padded is computed in vain.
        encoded.sort_by_key(|(index, encoding)| (encoding.get_ids().len(), *index));
        for batch in encoded.chunks(BATCH) {
            match self.vectors(batch) {
                Ok(vectors) => {
                    for ((index, _), vector) in batch.iter().zip(vectors) {
                        let is_finite = vector.iter().all(|value| value.is_finite());
                        answers[*index] = if is_finite { Ok(vector) } else { Err(AnswerError::NotFinite) };
                    }
                }
                Err(error) => {
                    for (index, _) in batch {
                        answers[*index] = Err(AnswerError::Device(error.to_string()));
                    }
                }
            }
        }
        answers
    }

    fn vectors(&self, batch: &[(usize, Encoding)]) -> candle_core::Result<Vec<Vec<f32>>> {
        let length = batch.iter().map(|(_, encoding)| encoding.get_ids().len()).max().unwrap_or(0);
        let shape = (batch.len(), length);
        let (mut ids, mut mask) = (Vec::with_capacity(shape.0 * shape.1), Vec::with_capacity(shape.0 * shape.1));
        for (_, encoding) in batch {
            let tokens = encoding.get_ids();
            ids.extend(tokens);
            ids.resize(ids.len() + length - tokens.len(), 0_u32);
            mask.extend(std::iter::repeat_n(1.0_f32, tokens.len()));
            mask.resize(mask.len() + length - tokens.len(), 0.0);
        }
        let ids = Tensor::from_vec(ids, shape, &self.device)?;
        let mask = Tensor::from_vec(mask, shape, &self.device)?;
        let hidden = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let weights = mask.unsqueeze(2)?;
        let mean = hidden.broadcast_mul(&weights)?.sum(1)?.broadcast_div(&weights.sum(1)?)?;
        let length = mean.sqr()?.sum_keepdim(1)?.sqrt()?;
        mean.broadcast_div(&length)?.to_vec2()
    }

    /// Whether a word has a part that the tokenizer does not know.
    pub fn is_unknown(&self, word: &str) -> bool {
        let Some(unknown) = self.unknown else { return false };
        let tokens = self.tokenizer.encode(word, false);
        tokens.is_ok_and(|tokens| tokens.get_ids().contains(&unknown))
    }
}

fn wrong_weights(error: &candle_core::Error) -> ModelError {
    ModelError::Weights(error.to_string().lines().next().unwrap_or_default().chars().take(300).collect())
}

fn check(config: &Config) -> Result<(), ModelError> {
    let sizes = [
        ("num_hidden_layers", config.num_hidden_layers, MAX_LAYERS),
        ("hidden_size", config.hidden_size, MAX_WIDTH),
        ("intermediate_size", config.intermediate_size, MAX_INNER_WIDTH),
    ];
    for (name, size, limit) in sizes {
        if size == 0 || size > limit {
            return Err(ModelError::Config(format!("{name} is {size}; it has to be from 1 to {limit}")));
        }
    }
    let heads = config.num_attention_heads;
    if heads == 0 || !config.hidden_size.is_multiple_of(heads) {
        return Err(ModelError::Config(format!(
            "num_attention_heads is {heads}; hidden_size {} has to be a multiple of it",
            config.hidden_size
        )));
    }
    if config.max_position_embeddings == 0 {
        return Err(ModelError::Config("max_position_embeddings is 0".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const WORDS: [&str; 8] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "lost", "my", "##s"];

    /// A folder with a small BERT: seeded weights, eight words.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({
            "model_type": "bert", "vocab_size": 8, "hidden_size": 6, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 12, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "max_position_embeddings": 16, "type_vocab_size": 2,
            "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0
        });
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let vocabulary: HashMap<&str, usize> = WORDS.iter().enumerate().map(|(id, word)| (*word, id)).collect();
        let tokenizer = serde_json::json!({
            "version": "1.0", "truncation": null,
            "padding": {"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": [], "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary}
        });
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        let mut seed = 1_u64;
        let mut add = |name: String, shape: &[usize]| {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((seed >> 40) as f32 / 16_777_216.0 - 0.5) * 0.8
                })
                .collect();
            tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        };
        add("embeddings.word_embeddings.weight".to_owned(), &[8, 6]);
        add("embeddings.position_embeddings.weight".to_owned(), &[16, 6]);
        add("embeddings.token_type_embeddings.weight".to_owned(), &[2, 6]);
        let norm = |add: &mut dyn FnMut(String, &[usize]), name: &str| {
            add(format!("{name}.weight"), &[6]);
            add(format!("{name}.bias"), &[6]);
        };
        norm(&mut add, "embeddings.LayerNorm");
        for layer in 0..2 {
            let of = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in [
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
            ] {
                add(of(&format!("{part}.weight")), &[6, 6]);
                add(of(&format!("{part}.bias")), &[6]);
            }
            norm(&mut add, &of("attention.output.LayerNorm"));
            add(of("intermediate.dense.weight"), &[12, 6]);
            add(of("intermediate.dense.bias"), &[12]);
            add(of("output.dense.weight"), &[6, 12]);
            add(of("output.dense.bias"), &[6]);
            norm(&mut add, &of("output.LayerNorm"));
        }
        candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
        folder
    }

    #[test]
    fn a_text_has_one_vector_whatever_it_is_computed_with() {
        let folder = folder();
        let encoder = TextEncoder::load(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(encoder.dimensions(), 6);
        let alone = encoder.encode(&["lost"]).pop().unwrap().unwrap();
        let length: f32 = alone.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5);
        let texts = vec!["my cards lost my card", "lost", "", "Lost"];
        let together = encoder.encode(&texts);
        let same = together[1].as_ref().unwrap();
        assert!(
            same.iter().zip(&alone).all(|(one, other)| (one - other).abs() < 1e-5),
            "padding changes nothing"
        );
        assert_eq!(together[1], together[3]);
        assert!(together[2].is_err() && together[0].as_ref().unwrap() != same);
    }

    #[test]
    fn words_that_the_tokenizer_does_not_know_are_told() {
        let folder = folder();
        let encoder = TextEncoder::load(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(
            ["cards", "card", "blockchain"].map(|word| encoder.is_unknown(word)),
            [false, false, true]
        );
    }

    #[test]
    fn what_is_no_encoder_is_refused_with_what_to_change() {
        let folder = folder();
        let refused = |change: &dyn Fn(&mut serde_json::Value), expected: &str| {
            let path = folder.path().join("config.json");
            let before = std::fs::read_to_string(&path).unwrap();
            let mut config: serde_json::Value = serde_json::from_str(&before).unwrap();
            change(&mut config);
            std::fs::write(&path, config.to_string()).unwrap();
            let error = TextEncoder::load(folder.path(), &Device::Cpu).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            std::fs::write(&path, before).unwrap();
        };
        refused(&|config| config["model_type"] = "tabular_mlp".into(), "no encoder of texts");
        refused(&|config| config["hidden_size"] = 7.into(), "multiple");
        refused(&|config| config["num_hidden_layers"] = 1_000_000.into(), "from 1 to 48");
        refused(&|config| config["num_hidden_layers"] = 3.into(), "model.safetensors");
        std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        let error = TextEncoder::load(folder.path(), &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
    }
}
