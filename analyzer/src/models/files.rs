//! Reading a model's files with a bound on each.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ModelError;

/// Largest `config.json`: a thousand features with ten thousand short categories each would already be over other limits.
const MAX_CONFIG_BYTES: u64 = 8 << 20;

/// Largest `model.safetensors`: 64 million float32 weights, far above any tabular model, far below the memory.
const MAX_WEIGHTS_BYTES: u64 = 256 << 20;

/// Largest weights of an encoder: half of its memory would be gone with more.
const MAX_ENCODER_BYTES: u64 = 2 << 30;

/// Largest `tokenizer.json`: those of a million tokens have 20 MB.
const MAX_TOKENIZER_BYTES: u64 = 64 << 20;

/// `config.json` as an object.
pub(super) fn read_json(path: &Path) -> Result<serde_json::Value, ModelError> {
    let bytes = read(path, MAX_CONFIG_BYTES)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| ModelError::Config(format!("not JSON: {error}")))?;
    if !value.is_object() {
        return Err(ModelError::Config("it is not a JSON object".to_owned()));
    }
    Ok(value)
}

/// The bytes of `model.safetensors`.
pub(super) fn read_weights(path: &Path) -> Result<Vec<u8>, ModelError> {
    read(path, MAX_WEIGHTS_BYTES)
}

/// The bytes of an encoder's `model.safetensors`.
pub(super) fn read_encoder_weights(path: &Path) -> Result<Vec<u8>, ModelError> {
    read(path, MAX_ENCODER_BYTES)
}

/// `tokenizer.json`.
pub(super) fn read_tokenizer(path: &Path) -> Result<tokenizers::Tokenizer, ModelError> {
    let bytes = read(path, MAX_TOKENIZER_BYTES)?;
    tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| ModelError::Config(format!("tokenizer.json: {error}")))
}

/// Reads a plain file that is no longer than `limit`; a pipe or a device could be read for ever.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let wrong = |reason: String| ModelError::File {
        path: path.display().to_string(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_file() {
        return Err(wrong("it is not a plain file".to_owned()));
    }
    let too_large = |size| ModelError::TooLarge {
        what: format!("{} in bytes", path.display()),
        size,
        limit,
    };
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
