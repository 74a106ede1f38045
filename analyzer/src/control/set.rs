//! Control sets: examples with the answers that a version has to give.
//!
//! One example, in JSON or as a line of JSONL:
//! ```json
//! {"id": "a1", "features": {"AGEP": 39, "SEX": "2"}, "label": "1", "tags": ["edge"], "segment": "boston"}
//! ```
//! `features`, `text` or `image` (a path) is the input; `label`, or `value` with an optional `tolerance`, is what is
//! expected; the same may be nested as `input` and `expected`. JSON is an array of examples, or an object with
//! `examples`. In CSV the columns `id`, `text`, `image`, `label`, `value`, `tolerance`, `tags` (separated by `;`) and
//! `segment` mean the same and every other column is a feature, kept as it is written (`02134` stays `02134`); models read
//! numbers from it.
//!
//! A set is named by the SHA-256 of its examples in canonical form: sorted by id, object keys sorted, no white space.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use driftlead_store::state::control::StoredExample;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::models::Features;

mod read;

pub use read::SetFormat;

/// Fewer examples than this cannot let a version pass.
pub const MIN_EXAMPLES: usize = 50;
/// More examples than this are seldom worth their time.
pub const ADVISED_EXAMPLES: usize = 100;
/// Examples of one set at most: a replay of them stays within minutes.
pub const MAX_EXAMPLES: usize = 10_000;
/// A class with less than this share of an even split is called rare.
const RARE_SHARE: f64 = 0.2;
/// Problems of single examples that an error names.
const MAX_PROBLEMS: usize = 10;

/// Why a set is refused. The text says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The upload cannot be read at all.
    #[error("the control set cannot be read as {format}: {reason}")]
    Unreadable {
        /// JSON, JSONL or CSV.
        format: SetFormat,
        /// Where and why.
        reason: String,
    },
    /// It holds no examples.
    #[error("the control set holds no examples")]
    Empty,
    /// It holds too many.
    #[error("the control set holds {0} examples, the limit is {MAX_EXAMPLES}")]
    TooLarge(usize),
    /// Not one example says what is expected.
    #[error("the control set has no labels: give each of the {0} examples a `label`, or a `value` with a `tolerance`")]
    NoLabels(usize),
    /// Some examples are wrong.
    #[error("{count} of the examples are wrong: {}", .problems.join("; "))]
    Examples {
        /// How many.
        count: usize,
        /// The first of them.
        problems: Vec<String>,
    },
}

/// What a model is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Features by name.
    #[serde(default, skip_serializing_if = "Features::is_empty")]
    pub features: Features,
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Path of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What a model should answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// This class.
    Label(String),
    /// A number, give or take.
    Value {
        /// The number.
        value: f64,
        /// How far off an answer may be.
        tolerance: f64,
    },
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Label(label) => f.write_str(label),
            Self::Value { value, tolerance } if *tolerance == 0.0 => write!(f, "{value}"),
            Self::Value { value, tolerance } => write!(f, "{value} ± {tolerance}"),
        }
    }
}

/// One example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Unique in the set.
    pub id: String,
    /// What the model is given.
    pub input: Input,
    /// What it should answer.
    pub expected: Expected,
    /// Free words to group examples by.
    pub tags: Vec<String>,
    /// The segment of users or traffic that it stands for.
    pub segment: Option<String>,
}

/// A set that may be stored: examples with unique ids, all of one kind of expectation.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleSet {
    /// SHA-256 of the canonical form, 64 hex digits.
    pub id: String,
    /// The examples in the order of the upload.
    pub examples: Vec<Example>,
    /// What is unwise about the set.
    pub warnings: Vec<String>,
}

impl ExampleSet {
    /// Reads an upload.
    ///
    /// # Errors
    /// It cannot be read, is empty or too large, or has examples without input or expectation, or with an id twice.
    pub fn read(format: SetFormat, body: &[u8], positive_class: Option<&str>) -> Result<Self, SetError> {
        let examples = check(read::read(format, body)?)?;
        Ok(Self {
            id: content_hash(&examples),
            warnings: warnings(&examples, positive_class),
            examples,
        })
    }

    /// The set of these examples.
    ///
    /// # Errors
    /// They are too many, two have the same id, or they expect different kinds of answers.
    pub fn of(examples: Vec<Example>, positive_class: Option<&str>) -> Result<Self, SetError> {
        if examples.len() > MAX_EXAMPLES {
            return Err(SetError::TooLarge(examples.len()));
        }
        let mut ids = BTreeSet::new();
        let twice = examples.iter().find(|example| !ids.insert(example.id.as_str()));
        let mut problems: Vec<String> = twice
            .map(|example| format!("the id {:?} is there twice", example.id))
            .into_iter()
            .collect();
        problems.extend(mixed(&examples));
        if !problems.is_empty() {
            return Err(SetError::Examples {
                count: problems.len(),
                problems,
            });
        }
        Ok(Self {
            id: content_hash(&examples),
            warnings: warnings(&examples, positive_class),
            examples,
        })
    }

    /// The examples as the state keeps them.
    pub fn stored(&self) -> Result<Vec<StoredExample>, serde_json::Error> {
        let stored = |(position, example): (usize, &Example)| {
            Ok(StoredExample {
                position: position as u64,
                example_id: example.id.clone(),
                input: serde_json::to_value(&example.input)?,
                expected: serde_json::to_value(&example.expected)?,
                tags: example.tags.clone(),
                segment: example.segment.clone(),
            })
        };
        self.examples.iter().enumerate().map(stored).collect()
    }
}

impl Example {
    /// An example as the state keeps it.
    ///
    /// # Errors
    /// The stored JSON does not read back.
    pub fn from_stored(stored: StoredExample) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: stored.example_id,
            input: serde_json::from_value(stored.input)?,
            expected: serde_json::from_value(stored.expected)?,
            tags: stored.tags,
            segment: stored.segment,
        })
    }
}

/// Turns what was read into examples, or says which are wrong.
fn check(read: Vec<read::ReadExample>) -> Result<Vec<Example>, SetError> {
    if read.is_empty() {
        return Err(SetError::Empty);
    }
    if read.len() > MAX_EXAMPLES {
        return Err(SetError::TooLarge(read.len()));
    }
    if read.iter().all(read::ReadExample::has_no_expectation) {
        return Err(SetError::NoLabels(read.len()));
    }
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    let mut examples = Vec::with_capacity(read.len());
    for (index, example) in read.into_iter().enumerate() {
        match example.into_example(index) {
            Ok(example) if !ids.insert(example.id.clone()) => {
                problems.push(format!("example {}: the id {:?} is there twice", index + 1, example.id))
            }
            Ok(example) => examples.push(example),
            Err(problem) => problems.push(format!("example {}: {problem}", index + 1)),
        }
    }
    problems.extend(mixed(&examples));
    if problems.is_empty() {
        return Ok(examples);
    }
    let count = problems.len();
    problems.truncate(MAX_PROBLEMS);
    Err(SetError::Examples { count, problems })
}

/// What is wrong where examples do not expect the same kind of answer.
fn mixed(examples: &[Example]) -> Option<String> {
    let kind = |example: &Example| std::mem::discriminant(&example.expected);
    let first = kind(examples.first()?);
    let odd = examples.iter().position(|example| kind(example) != first)?;
    Some(format!("example {}: labels and values cannot be mixed in one set", odd + 1))
}

fn content_hash(examples: &[Example]) -> String {
    let mut sorted: Vec<&Example> = examples.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    // serde_json writes maps of a `Value` with sorted keys and numbers in their shortest form.
    let canonical = serde_json::to_value(&sorted).map(|value| value.to_string()).unwrap_or_default();
    hex::encode(Sha256::digest(canonical.as_bytes()))
}

/// What is unwise about a set, in words.
fn warnings(examples: &[Example], positive_class: Option<&str>) -> Vec<String> {
    let mut warnings = Vec::new();
    let n = examples.len();
    if n < MIN_EXAMPLES {
        warnings.push(format!(
            "{n} examples are fewer than {MIN_EXAMPLES}: the gate cannot pass a version with them"
        ));
    }
    if n > ADVISED_EXAMPLES {
        warnings.push(format!("{n} examples are more than {ADVISED_EXAMPLES}: replays take longer"));
    }
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for example in examples {
        if let Expected::Label(label) = &example.expected {
            *classes.entry(label).or_default() += 1;
        }
    }
    if classes.len() == 1 {
        warnings.push("all examples expect the same class: the set cannot show a version that always gives it".to_owned());
    }
    for (class, &count) in &classes {
        if (count as f64) < RARE_SHARE * n as f64 / classes.len() as f64 {
            warnings.push(format!(
                "the class {class:?} has only {count} of {n} examples: the classes are unbalanced"
            ));
        }
    }
    if let Some(positive) = positive_class
        && !classes.is_empty()
        && !classes.contains_key(positive)
    {
        warnings.push(format!(
            "no example expects the positive class {positive:?}: F1 is undefined on this set"
        ));
    }
    warnings.extend(duplicates(examples));
    warnings
}

fn duplicates(examples: &[Example]) -> Vec<String> {
    let mut by_input: HashMap<String, Vec<&Example>> = HashMap::new();
    for example in examples {
        let input = serde_json::to_string(&example.input).unwrap_or_default();
        by_input.entry(input).or_default().push(example);
    }
    let repeated = by_input.values().filter(|same| same.len() > 1);
    let (mut copies, mut first, mut disagreeing) = (0, None, Vec::new());
    for same in repeated {
        copies += same.len() - 1;
        first = first.min(Some(&same[0].id)).or(Some(&same[0].id));
        if same.iter().any(|example| example.expected != same[0].expected) {
            disagreeing.push(same[0].id.as_str());
        }
    }
    disagreeing.sort_unstable();
    let mut warnings = Vec::new();
    if let Some(first) = first {
        warnings.push(format!("{copies} examples repeat the input of another, such as that of {first:?}"));
    }
    if let Some(first) = disagreeing.first() {
        warnings.push(format!(
            "{} inputs have examples that expect different answers, such as that of {first:?}",
            disagreeing.len()
        ));
    }
    warnings
}
