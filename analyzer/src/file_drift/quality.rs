//! How good the predictions of two files are, and how good those without labels can be expected to be.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::Measured;
use crate::rows::{self, Fields, Kind, Kinds, RowsFileError};
use crate::seed::seed_of;
use crate::stats::classification::{Confusion, Measure};
use crate::stats::estimated_error::{ErrorModel, Observed};
use crate::stats::estimated_quality::{Decided, expect};
use crate::stats::regression::Sums;
use crate::stats::scored::Scored;
use crate::stats::{Bounds, Undefined, calibration, normal, ranking};

/// The share of a bound's errors on its side: both together hold at 99 %.
const TAIL: f64 = 0.005;
/// Scores from here on decide for the positive class where the file has no predictions.
const DECISION: f64 = 0.5;
/// Labels that are whole numbers are classes up to so many distinct ones.
const MAX_NUMBERED_CLASSES: usize = 20;
/// Rows that errors are learnt from: more only cost time.
const MAX_LEARNT_ROWS: usize = 100_000;
/// Every other class, where only scores decide.
const REST: &str = "";

/// Which columns say how good the model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityColumns {
    /// What the model answered: classes or numbers.
    pub prediction: Option<String>,
    /// The probability that it gave to the positive class.
    pub score: Option<String>,
    /// What was true. The current file may lack it.
    pub label: String,
    /// The class that scores are about; unset, 1 or true.
    pub positive_class: Option<String>,
}

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// It names classes.
    Classification,
    /// It predicts numbers.
    Regression,
}

/// How good the predictions of both files are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// What the model does.
    pub task: Task,
    /// The class that precision, recall and scores are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_class: Option<String>,
    /// Of the reference.
    pub reference: Measures,
    /// Of the file; none where it lacks labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Measures>,
    /// What the file's can be expected to be without its labels, if predictions are still as good as the reference's were for
    /// such rows: blind to a change of what is true.
    pub estimated: Measured<Measures>,
}

/// Measures of quality, by the names of the signals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// Rows that count.
    pub n: u64,
    /// Rows that do not: something of what is needed is absent or not finite.
    pub left_out: u64,
    /// The measures.
    #[serde(flatten)]
    pub of: BTreeMap<&'static str, Measured<Bounded>>,
}

/// A measure and, where they are known, its bounds at 99 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounded {
    /// The measure.
    pub value: f64,
    /// Not above the true value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// Not below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
}

impl Bounded {
    fn new(value: f64, bounds: Result<Bounds, Undefined>) -> Self {
        let bounds = bounds.ok();
        Self {
            value,
            lower: bounds.map(|bounds| bounds.lower),
            upper: bounds.map(|bounds| bounds.upper),
        }
    }
}

impl From<Measure> for Bounded {
    fn from(measure: Measure) -> Self {
        Self::new(measure.value, Ok(measure.bounds))
    }
}

/// The columns of one file.
struct Side {
    prediction: Option<Fields>,
    score: Option<Fields>,
    label: Option<Fields>,
}

/// What a row says of a classifier.
struct Row<'a> {
    label: Option<Cow<'a, str>>,
    prediction: Cow<'a, str>,
    score: Option<f64>,
}

impl Side {
    fn read(path: &Path, columns: &QualityColumns) -> Result<Self, RowsFileError> {
        let named = [
            columns.prediction.as_deref(),
            columns.score.as_deref(),
            Some(columns.label.as_str()),
        ];
        let names: Vec<&str> = named.into_iter().flatten().collect();
        let mut read = rows::read_fields(path, &names)?.into_iter();
        let [prediction, score, label] = named.map(|name| name.and_then(|_| read.next()).flatten());
        for (name, column) in [(&columns.prediction, &prediction), (&columns.score, &score)] {
            if let (Some(name), None) = (name, column) {
                return Err(missing(path, name));
            }
        }
        Ok(Self { prediction, score, label })
    }

    fn rows(&self) -> usize {
        [&self.prediction, &self.score, &self.label]
            .into_iter()
            .flatten()
            .map(Fields::rows)
            .max()
            .unwrap_or(0)
    }

    /// The numbers that were predicted; with `are_labelled` the true ones, too.
    fn numbers(&self, are_labelled: bool) -> impl Iterator<Item = (f64, f64)> {
        let of = |column: &Option<Fields>, row| column.as_ref().and_then(|column| column.number(row));
        (0..self.rows()).filter_map(move |row| {
            let truth = if are_labelled { of(&self.label, row)? } else { 0.0 };
            Some((truth, of(&self.prediction, row)?))
        })
    }

    /// The rows that have all that is needed.
    fn decided<'a>(&'a self, positive: Option<&'a str>, are_labelled: bool) -> impl Iterator<Item = Row<'a>> {
        (0..self.rows()).filter_map(move |row| {
            let score = match &self.score {
                Some(scores) => Some(scores.number(row)?),
                None => None,
            };
            let prediction = match (&self.prediction, score) {
                (Some(predictions), _) => predictions.class(row)?,
                (None, score) => Cow::Borrowed(if score? >= DECISION { positive? } else { REST }),
            };
            let label = match &self.label {
                Some(labels) if are_labelled => Some(labels.class(row)?),
                _ => None,
            };
            Some(Row { label, prediction, score })
        })
    }
}

fn missing(path: &Path, name: &str) -> RowsFileError {
    rows::content(path, format!("there is no column {name:?} that quality can be measured by"))
}

/// Measures both files. `kinds` are those that somebody chose.
///
/// # Errors
/// A file does not read or lacks a column that was named; the reference lacks labels, or scores are about a class that nobody named.
pub fn measure(reference: &Path, current: &Path, columns: &QualityColumns, kinds: &Kinds) -> Result<Quality, RowsFileError> {
    let before = Side::read(reference, columns)?;
    let now = Side::read(current, columns)?;
    let Some(labels) = &before.label else {
        return Err(missing(reference, &columns.label));
    };
    if task(&before, labels, kinds.get(&columns.label).copied()) == Task::Regression {
        return Ok(of_regression(&before, &now));
    }
    let positive = match &columns.positive_class {
        Some(class) => Some(class_of(class)),
        None => usual_positive(labels),
    };
    if columns.score.is_some() && positive.is_none() {
        let problem = "scores are about one class: name it with --positive-class".to_owned();
        return Err(rows::content(reference, problem));
    }
    Ok(of_classifier(&before, &now, positive, columns))
}

/// Numbers that are not classes are predicted by a regression.
fn task(reference: &Side, labels: &Fields, chosen: Option<Kind>) -> Task {
    let is_number = |column: &Fields| column.kind() == Kind::Numeric;
    if reference.score.is_some() || !is_number(labels) || !reference.prediction.as_ref().is_some_and(is_number) {
        return Task::Classification;
    }
    let mut distinct = BTreeSet::new();
    let are_classes = (0..labels.rows()).filter_map(|row| labels.number(row)).all(|number| {
        distinct.insert(number.to_bits());
        number.fract() == 0.0 && distinct.len() <= MAX_NUMBERED_CLASSES
    });
    match (chosen, are_classes) {
        (Some(Kind::Numeric), _) | (None, false) => Task::Regression,
        (Some(Kind::Categorical), _) | (None, true) => Task::Classification,
    }
}

/// 1 or true, where the labels are nothing else than that and 0 or false.
fn usual_positive(labels: &Fields) -> Option<String> {
    let mut classes = BTreeSet::new();
    for row in 0..labels.rows() {
        if let Some(class) = labels.class(row)
            && !classes.contains(class.as_ref())
        {
            classes.insert(class.into_owned());
            if classes.len() > 2 {
                return None;
            }
        }
    }
    let pairs = [["0", "1"], ["false", "true"], ["False", "True"]];
    let pair = pairs
        .into_iter()
        .find(|pair| classes.iter().all(|class| pair.contains(&class.as_str())))?;
    Some(pair[1].to_owned())
}

/// A class as [`Fields`] have it: a number in its shortest form.
fn class_of(text: &str) -> String {
    text.trim()
        .parse()
        .map_or_else(|_| text.to_owned(), |number: f64| number.to_string())
}

fn z() -> f64 {
    normal::from_upper_tail(TAIL)
}

fn of_regression(before: &Side, now: &Side) -> Quality {
    Quality {
        task: Task::Regression,
        positive_class: None,
        reference: errors(before),
        current: now.label.is_some().then(|| errors(now)),
        estimated: expected_errors(before, now).into(),
    }
}

fn errors(side: &Side) -> Measures {
    let mut sums = Sums::default();
    side.numbers(true).for_each(|(truth, prediction)| sums.add(truth, prediction, 1));
    let mae = sums.mean_absolute_error();
    let of = BTreeMap::from([
        ("mae", mae.map(|mae| Bounded::new(mae, sums.mean_absolute_error_bounds(z()))).into()),
        ("rmse", plain(sums.root_mean_squared_error())),
        ("r2", plain(sums.r2())),
    ]);
    Measures {
        n: sums.n,
        left_out: side.rows() as u64 - sums.n,
        of,
    }
}

fn plain(value: Result<f64, Undefined>) -> Measured<Bounded> {
    value
        .map(|value| Bounded::new(value, Err(Undefined::because("it has none"))))
        .into()
}

fn expected_errors(before: &Side, now: &Side) -> Result<Measures, Undefined> {
    let labelled: Vec<(f64, f64)> = before.numbers(true).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed_of(&["expected errors"]));
    let learnt = index::sample(&mut random, labelled.len(), labelled.len().min(MAX_LEARNT_ROWS));
    let observed = |row: usize| Observed {
        at: vec![labelled[row].1],
        error: labelled[row].1 - labelled[row].0,
        count: 1,
    };
    let model = ErrorModel::learn(&learnt.into_iter().map(observed).collect::<Vec<_>>())?;
    let window: Vec<([f64; 1], u64)> = now.numbers(false).map(|(_, prediction)| ([prediction], 1)).collect();
    let estimate = model.estimate(&window, z())?;
    Ok(Measures {
        n: window.len() as u64,
        left_out: (now.rows() - window.len()) as u64,
        of: BTreeMap::from([
            (
                "mae",
                Measured::Value(Bounded::new(estimate.mean_absolute_error, Ok(estimate.bounds))),
            ),
            ("rmse", plain(Ok(estimate.root_mean_squared_error))),
        ]),
    })
}

fn of_classifier(before: &Side, now: &Side, positive: Option<String>, columns: &QualityColumns) -> Quality {
    let class = positive.as_deref();
    let estimated = match (&columns.score, class) {
        (Some(_), Some(class)) => expected(before, now, class),
        _ => Err(Undefined::because(
            "without labels quality follows from scores: name their column with --score",
        )),
    };
    Quality {
        task: Task::Classification,
        reference: measured(before, class),
        current: now.label.is_some().then(|| measured(now, class)),
        estimated: estimated.into(),
        positive_class: positive,
    }
}

fn measured(side: &Side, positive: Option<&str>) -> Measures {
    let z = z();
    let (mut confusion, mut scores) = (Confusion::default(), Vec::new());
    for row in side.decided(positive, true) {
        let Some(label) = row.label else { continue };
        let is_positive = positive == Some(label.as_ref());
        // Scores alone tell nothing apart but the positive class.
        let truth = if side.prediction.is_none() && !is_positive {
            REST
        } else {
            label.as_ref()
        };
        confusion.add(&row.prediction, truth, 1);
        scores.extend(row.score.map(|score| (score, is_positive)));
    }
    let bounded = |measure: Result<Measure, Undefined>| Measured::from(measure.map(Bounded::from));
    let mut of = BTreeMap::from([("accuracy", bounded(confusion.accuracy(z)))]);
    match positive {
        None => drop(of.insert("f1", bounded(confusion.macro_f1(z)))),
        Some(class) => {
            let counts = confusion.of_class(class);
            of.insert("precision", bounded(counts.precision(z)));
            of.insert("recall", bounded(counts.recall(z)));
            of.insert("f1", bounded(counts.f1(z)));
            of.insert("false_positive_ratio", bounded(counts.false_positive_ratio(z)));
        }
    }
    if side.score.is_some() {
        let scored = Scored::of_rows(scores);
        let scored = scored.as_ref().map_err(Clone::clone);
        of.insert("roc_auc", bounded(scored.clone().and_then(|scored| ranking::roc_auc(scored, z))));
        of.insert("pr_auc", plain(scored.clone().and_then(ranking::average_precision)));
        of.insert("ece", plain(scored.clone().and_then(calibration::expected_calibration_error)));
        let brier = scored
            .clone()
            .and_then(|scored| Ok(Bounded::new(calibration::brier(scored)?, calibration::brier_bounds(scored, z))));
        of.insert("brier", brier.into());
        let loss = scored.and_then(|scored| {
            Ok(Bounded::new(
                calibration::log_loss(scored)?,
                calibration::log_loss_bounds(scored, z),
            ))
        });
        of.insert("log_loss", loss.into());
    }
    let n = confusion.n();
    Measures {
        n,
        left_out: side.rows() as u64 - n,
        of,
    }
}

/// From the scores, once the reference has shown what they mean.
fn expected(before: &Side, now: &Side, positive: &str) -> Result<Measures, Undefined> {
    let (mut confusion, mut scores) = (Confusion::default(), Vec::new());
    for row in before.decided(Some(positive), true) {
        let (Some(label), Some(score)) = (row.label, row.score) else {
            continue;
        };
        confusion.add(&row.prediction, &label, 1);
        scores.push((score, label == positive));
    }
    let reference = Scored::of_rows(scores)?;
    let decided = now.decided(Some(positive), false);
    let decided = Scored::of_rows(decided.filter_map(|row| Some((row.score?, row.prediction == positive))))?;
    let n = decided.n();
    let seed = seed_of(&[positive]);
    let estimate = expect(&reference, confusion.of_class(positive), &Decided(decided), z(), seed)?;
    let measures = [
        ("accuracy", estimate.accuracy),
        ("precision", estimate.precision),
        ("recall", estimate.recall),
        ("f1", estimate.f1),
        ("roc_auc", estimate.roc_auc),
    ];
    Ok(Measures {
        n,
        left_out: now.rows() as u64 - n,
        of: measures.map(|(name, measure)| (name, measure.map(Bounded::from).into())).into(),
    })
}
