//! The demo's training system: a small perceptron over the census rows, trained with candle in seconds.
//!
//! Plain operators only: candle's fused ones have no backward pass and leave variables untrained without a word.
//! That every variable has a gradient is checked at the first step all the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use driftlead_analyzer::models::tabular_mlp::{Config, Encoder, Feature, FeatureKind, MODEL_TYPE};
use driftlead_analyzer::models::{AnswerError, ModelError};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::census::{CATEGORICAL_FEATURES, NUMERIC_FEATURE, Person};
use super::people::{features, label};

/// Outputs of the hidden layers.
const HIDDEN: [usize; 2] = [64, 32];
/// Rows of one step.
const BATCH_ROWS: usize = 512;
/// A training from nothing goes over its rows this often.
const EPOCHS: usize = 8;
/// A training that continues goes over its rows this often.
const CONTINUED_EPOCHS: usize = 2;
/// Step length at the start; it falls to nothing along half a cosine.
const LEARNING_RATE: f64 = 3e-3;
/// Step length of a training that continues: it is to follow the new rows, not to forget the old.
const CONTINUED_LEARNING_RATE: f64 = 5e-4;
/// Pull of all weights towards zero.
const WEIGHT_DECAY: f64 = 1e-2;

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There are no rows, or not a label for each.
    #[error("there are {rows} rows and {labels} labels to train on")]
    Rows {
        /// Rows.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// The version to continue from cannot be read.
    #[error("cannot continue from {folder}: {reason}")]
    Earlier {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// A row does not fit the model.
    #[error("a row does not fit the model: {0}")]
    Row(#[from] AnswerError),
    /// The model is not one that can be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A variable would stay as it is.
    #[error("the variable {0} has no gradient")]
    NoGradient(String),
    /// The computation failed.
    #[error("the training failed: {0}")]
    Computation(#[from] candle_core::Error),
    /// The folder cannot be written.
    #[error("cannot write {folder}: {source}")]
    Write {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Trains on `people` with these labels, from nothing or from an earlier version's weights, and writes the version
/// into `folder`. The same arguments give the same version, but for the order of floating-point sums.
///
/// # Errors
/// Rows and labels do not match, the earlier version cannot be read, or the folder cannot be written.
pub fn train(people: &[Person], labels: &[bool], continue_from: Option<&Path>, seed: u64, folder: &Path) -> Result<(), TrainError> {
    if people.is_empty() || people.len() != labels.len() {
        return Err(TrainError::Rows {
            rows: people.len(),
            labels: labels.len(),
        });
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let device = Device::Cpu;
    let mut network = match continue_from {
        Some(earlier) => Network::read(earlier, &device)?,
        None => Network::new(config(people), &mut random, &device)?,
    };
    let encoder = Encoder::new(&network.config);
    let mut inputs = Vec::with_capacity(people.len() * encoder.inputs());
    for person in people {
        encoder.encode(&features(person), &mut inputs)?;
    }
    let classes: Vec<u32> = labels.iter().map(|&employed| network.class(employed)).collect();
    let schedule = if continue_from.is_some() {
        Schedule {
            epochs: CONTINUED_EPOCHS,
            learning_rate: CONTINUED_LEARNING_RATE,
        }
    } else {
        Schedule {
            epochs: EPOCHS,
            learning_rate: LEARNING_RATE,
        }
    };
    network.fit(&inputs, &classes, schedule, &mut random, &device)?;
    network.write(folder)
}

/// Features with the mean and deviation, and the categories, of these people.
fn config(people: &[Person]) -> Config {
    let ages: Vec<f64> = people.iter().filter_map(|person| person.age).collect();
    let count = ages.len().max(1) as f64;
    let mean = ages.iter().sum::<f64>() / count;
    let std = (ages.iter().map(|age| (age - mean).powi(2)).sum::<f64>() / count).sqrt();
    let age = Feature {
        name: NUMERIC_FEATURE.to_owned(),
        kind: FeatureKind::Numeric { mean, std },
    };
    let categories = CATEGORICAL_FEATURES.iter().enumerate().map(|(index, name)| {
        let categories: BTreeSet<String> = people.iter().filter_map(|person| person.categories[index].clone()).collect();
        Feature {
            name: (*name).to_owned(),
            kind: FeatureKind::Category {
                categories: categories.into_iter().collect(),
            },
        }
    });
    Config {
        model_type: MODEL_TYPE.to_owned(),
        features: std::iter::once(age).chain(categories).collect(),
        layers: HIDDEN.into_iter().chain([2]).collect(),
        classes: vec![label(false).to_owned(), label(true).to_owned()],
    }
}

/// How long and how far.
#[derive(Clone, Copy)]
struct Schedule {
    epochs: usize,
    learning_rate: f64,
}

/// The perceptron while it is trained.
struct Network {
    config: Config,
    layers: Vec<(Var, Var)>,
}

impl Network {
    /// Weights drawn as He et al. advise for ReLU ("Delving deep into rectifiers", 2015).
    fn new(config: Config, random: &mut ChaCha8Rng, device: &Device) -> Result<Self, TrainError> {
        config.check()?;
        let mut layers = Vec::new();
        for (outputs, inputs) in config.shapes() {
            let deviation = (2.0 / inputs as f64).sqrt();
            let weights: Vec<f32> = (0..outputs * inputs).map(|_| (deviation * normal(random)) as f32).collect();
            let weight = Var::from_vec(weights, (outputs, inputs), device)?;
            layers.push((weight, Var::zeros(outputs, DType::F32, device)?));
        }
        Ok(Self { config, layers })
    }

    fn read(folder: &Path, device: &Device) -> Result<Self, TrainError> {
        let wrong = |reason: String| TrainError::Earlier {
            folder: folder.to_owned(),
            reason,
        };
        let bytes = std::fs::read(folder.join("config.json")).map_err(|error| wrong(error.to_string()))?;
        let config: Config = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        config.check()?;
        let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), device).map_err(|error| wrong(error.to_string()))?;
        let variable = |name: String| {
            let tensor = tensors.get(&name).ok_or_else(|| wrong(format!("{name} is missing")))?;
            Ok::<_, TrainError>(Var::from_tensor(tensor)?)
        };
        let layers = (0..config.layers.len())
            .map(|index| Ok((variable(weight_name(index))?, variable(bias_name(index))?)))
            .collect::<Result<_, TrainError>>()?;
        Ok(Self { config, layers })
    }

    fn class(&self, employed: bool) -> u32 {
        let place = self.config.classes.iter().position(|class| class == label(employed));
        u32::try_from(place.unwrap_or_default()).unwrap_or_default()
    }

    fn logits(&self, inputs: &Tensor) -> Result<Tensor, candle_core::Error> {
        let mut x = inputs.clone();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            if index > 0 {
                x = x.relu()?;
            }
            x = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
        }
        Ok(x)
    }

    fn fit(
        &mut self,
        inputs: &[f32],
        classes: &[u32],
        schedule: Schedule,
        random: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<(), TrainError> {
        let width = self.config.inputs();
        let variables = self
            .layers
            .iter()
            .flat_map(|(weight, bias)| [weight.clone(), bias.clone()])
            .collect();
        let parameters = ParamsAdamW {
            lr: schedule.learning_rate,
            weight_decay: WEIGHT_DECAY,
            ..ParamsAdamW::default()
        };
        let mut optimizer = AdamW::new(variables, parameters)?;
        let mut order: Vec<usize> = (0..classes.len()).collect();
        let steps = schedule.epochs * classes.len().div_ceil(BATCH_ROWS);
        let mut step = 0;
        for _ in 0..schedule.epochs {
            order.shuffle(random);
            for rows in order.chunks(BATCH_ROWS) {
                let batch: Vec<f32> = rows
                    .iter()
                    .flat_map(|&row| &inputs[row * width..(row + 1) * width])
                    .copied()
                    .collect();
                let truth: Vec<u32> = rows.iter().map(|&row| classes[row]).collect();
                let batch = Tensor::from_vec(batch, (rows.len(), width), device)?;
                let truth = Tensor::from_vec(truth, rows.len(), device)?;
                let loss = cross_entropy(&self.logits(&batch)?, &truth)?;
                let gradients = loss.backward()?;
                if step == 0 {
                    self.check_gradients(&gradients)?;
                }
                let progress = step as f64 / steps as f64;
                optimizer.set_learning_rate(schedule.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()));
                optimizer.step(&gradients)?;
                step += 1;
            }
        }
        Ok(())
    }

    fn check_gradients(&self, gradients: &candle_core::backprop::GradStore) -> Result<(), TrainError> {
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            for (variable, name) in [(weight, weight_name(index)), (bias, bias_name(index))] {
                if gradients.get(variable).is_none() {
                    return Err(TrainError::NoGradient(name));
                }
            }
        }
        Ok(())
    }

    fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let failed = |source| TrainError::Write {
            folder: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut tensors = std::collections::HashMap::new();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            tensors.insert(weight_name(index), weight.as_tensor().clone());
            tensors.insert(bias_name(index), bias.as_tensor().clone());
        }
        candle_core::safetensors::save(&tensors, folder.join("model.safetensors"))?;
        let config = serde_json::to_vec_pretty(&self.config).map_err(|error| failed(error.into()))?;
        std::fs::write(folder.join("config.json"), config).map_err(failed)
    }
}

fn weight_name(layer: usize) -> String {
    format!("layers.{layer}.weight")
}

fn bias_name(layer: usize) -> String {
    format!("layers.{layer}.bias")
}

/// Mean over the rows of −ln(softmax(logits)[truth]).
fn cross_entropy(logits: &Tensor, truth: &Tensor) -> Result<Tensor, candle_core::Error> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let of_truth = shifted.gather(&truth.unsqueeze(1)?, 1)?;
    (log_sum - of_truth)?.mean_all()
}

/// A draw from the standard normal distribution (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use driftlead_analyzer::models;

    use super::*;

    /// People of whom those from 18 to 64 are employed, unless they are disabled: a rule that no single feature has.
    fn people(count: usize, seed: u64) -> (Vec<Person>, Vec<bool>) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut person = |id: usize| {
            let mut categories: [Option<String>; CATEGORICAL_FEATURES.len()] = Default::default();
            categories.iter_mut().for_each(|category| *category = Some("1".to_owned()));
            let age: i32 = random.random_range(0..90);
            let is_disabled = random.random_ratio(1, 3);
            let of_disability = CATEGORICAL_FEATURES.iter().position(|name| *name == "DIS").unwrap();
            categories[of_disability] = Some(if is_disabled { "1" } else { "2" }.to_owned());
            Person {
                id: id as u64,
                year: 2015,
                age: Some(f64::from(age)),
                categories,
                employed: (18..65).contains(&age) && !is_disabled,
            }
        };
        let people: Vec<Person> = (0..count).map(&mut person).collect();
        let labels = people.iter().map(|person| person.employed).collect();
        (people, labels)
    }

    #[test]
    fn a_rule_is_learnt_and_the_written_version_answers_as_the_trained_one() {
        let folder = tempfile::tempdir().unwrap();
        let (training, labels) = people(6_000, 1);
        train(&training, &labels, None, 7, folder.path()).unwrap();

        let (unseen, truth) = people(1_000, 2);
        let requests: Vec<_> = unseen.iter().map(features).collect();
        let model = models::load(folder.path(), &Device::Cpu).unwrap();
        let answers: Vec<_> = model.predict(&requests).into_iter().map(Result::unwrap).collect();
        let right = answers
            .iter()
            .zip(&truth)
            .filter(|(answer, employed)| &*answer.label == label(**employed));
        let right = right.count();
        assert!(right > 950, "{right} of {} are right", unseen.len());

        let network = Network::read(folder.path(), &Device::Cpu).unwrap();
        let encoder = Encoder::new(&network.config);
        let mut inputs = Vec::new();
        requests.iter().for_each(|request| encoder.encode(request, &mut inputs).unwrap());
        let inputs = Tensor::from_vec(inputs, (requests.len(), encoder.inputs()), &Device::Cpu).unwrap();
        let logits: Vec<Vec<f32>> = network.logits(&inputs).unwrap().to_vec2().unwrap();
        let employed = network.class(true) as usize;
        for (answer, logits) in answers.iter().zip(logits) {
            let probability = 1.0 / (1.0 + f64::from(logits[1 - employed] - logits[employed]).exp());
            assert!((answer.scores[employed] - probability).abs() < 1e-5, "{answer:?} {probability}");
        }
    }

    #[test]
    fn a_training_that_continues_follows_the_new_labels() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (training, labels) = people(6_000, 3);
        train(&training, &labels, None, 7, first.path()).unwrap();
        let inverted: Vec<bool> = labels.iter().map(|employed| !employed).collect();
        train(&training, &inverted, Some(first.path()), 8, second.path()).unwrap();

        let requests: Vec<_> = training.iter().take(500).map(features).collect();
        let mean_of_truth = |folder: &Path| {
            let answers = models::load(folder, &Device::Cpu).unwrap().predict(&requests);
            let scores = answers.into_iter().zip(&labels).map(|(answer, employed)| {
                let answer = answer.unwrap();
                if &*answer.label == label(*employed) {
                    answer.score
                } else {
                    1.0 - answer.score
                }
            });
            scores.sum::<f64>() / requests.len() as f64
        };
        let (before, after) = (mean_of_truth(first.path()), mean_of_truth(second.path()));
        assert!(after < before - 0.1, "from {before} to {after}");
    }

    #[test]
    fn rows_without_labels_train_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (training, labels) = people(10, 4);
        for (rows, labels) in [(&training[..], &labels[..9]), (&training[..0], &labels[..0])] {
            let error = train(rows, labels, None, 1, folder.path()).unwrap_err();
            assert!(matches!(error, TrainError::Rows { .. }), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
