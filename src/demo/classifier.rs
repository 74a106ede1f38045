//! The model as the demo's service runs it: the same weights that Driftlead replays, loaded once per version.

use std::path::{Path, PathBuf};

use anyhow::Context;
use driftlead_analyzer::models::{self, Answer, AnswerError, Features, LoadedModel};

use super::census::Person;
use super::people::{features, label};

/// People of one prediction when many are predicted.
const BATCH_PEOPLE: usize = 1_024;

/// Where the versions of the model lie.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
}

impl Registry {
    /// A registry in this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of a version.
    pub fn version(&self, version: &str) -> PathBuf {
        self.folder.join(version)
    }

    /// The address that Driftlead's runner is given.
    pub fn address(&self) -> String {
        format!("file://{}/{{version}}", self.folder.display())
    }

    /// Loads a version.
    ///
    /// # Errors
    /// It is not there, or not a model.
    pub fn load(&self, version: &str) -> anyhow::Result<Classifier> {
        Classifier::load(&self.version(version))
    }
}

/// A loaded version.
pub struct Classifier {
    model: LoadedModel,
}

impl Classifier {
    fn load(folder: &Path) -> anyhow::Result<Self> {
        let model = models::load(folder, &models::device()).with_context(|| folder.display().to_string())?;
        Ok(Self { model })
    }

    /// The answers to a few requests.
    pub fn answer(&self, requests: &[Features]) -> Vec<Result<Answer, AnswerError>> {
        self.model.predict(requests)
    }

    /// The probability that each of these people is employed.
    ///
    /// # Errors
    /// The model rejects one of them.
    pub fn probabilities(&self, people: &[Person]) -> anyhow::Result<Vec<f64>> {
        let positive = self
            .model
            .classes()
            .iter()
            .position(|class| &**class == label(true))
            .context("the model does not know the class 1")?;
        let mut probabilities = Vec::with_capacity(people.len());
        for batch in people.chunks(BATCH_PEOPLE) {
            let requests: Vec<_> = batch.iter().map(features).collect();
            for answer in self.model.predict(&requests) {
                probabilities.push(answer?.scores[positive]);
            }
        }
        Ok(probabilities)
    }

    /// F1 of the class "employed" on these people.
    ///
    /// # Errors
    /// As [`Classifier::probabilities`].
    pub fn f1(&self, people: &[Person]) -> anyhow::Result<f64> {
        let (mut hits, mut predicted, mut positives) = (0_u32, 0_u32, 0_u32);
        for (person, probability) in people.iter().zip(self.probabilities(people)?) {
            let positive = probability > 0.5;
            hits += u32::from(positive && person.employed);
            predicted += u32::from(positive);
            positives += u32::from(person.employed);
        }
        Ok(2.0 * f64::from(hits) / f64::from(predicted + positives))
    }
}
