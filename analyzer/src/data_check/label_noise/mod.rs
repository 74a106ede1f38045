//! Labels that are probably wrong: confident learning on the probabilities that a model gives to rows which it never saw.
//!
//! The model is a multinomial logistic regression on the rows' own columns, of five folds. Rows with the same input are in the
//! same fold, so that none is judged by its own copy. Probabilities of a model of one's own can be given as columns instead.

mod classifier;
mod features;
mod folds;

use std::collections::BTreeMap;

use super::inputs::Inputs;
use super::missing::percent;
use super::outcome::{Check, Checking};
use super::suspicious::{Suspect, Suspects};
use super::{CheckName, DataCheckRequest};
use crate::rows::Cell;
use crate::stats::confident_learning::{ConfidentLearning, Probabilities, Pruning};
use features::Features;
use folds::{FOLDS, Folds};

/// Labelled rows that it takes.
const MIN_ROWS: usize = 50;
/// Rows of a class that can be learnt: one for each fold.
const MIN_ROWS_OF_CLASS: usize = FOLDS;
/// Classes that are told apart; more are names, not classes.
const MAX_CLASSES: usize = 2_000;
/// Probabilities that are held: 800 MB.
const MAX_PROBABILITIES: usize = 200_000_000;

/// The labelled rows of classes that can be learnt.
struct Labelled {
    /// Indices of the table's rows.
    rows: Vec<usize>,
    /// The class of each.
    labels: Vec<usize>,
    /// The classes by name.
    names: Vec<String>,
}

/// `keys`: what makes the inputs of two rows the same.
pub(super) fn check(inputs: &Inputs<'_>, keys: &[u128], request: &DataCheckRequest) -> (Check, Suspects) {
    let mut checking = Checking::new(CheckName::LabelNoise, inputs.table.rows());
    let labelled = match labelled(inputs, &mut checking) {
        Ok(labelled) => labelled,
        Err(because) => return checking.insufficient(because),
    };
    let classes = labelled.names.len();
    let probabilities = if inputs.probabilities.is_empty() {
        learnt(inputs, keys, &labelled, request.seed)
    } else {
        given(inputs, &labelled)
    };
    let judged = probabilities.and_then(|values| {
        let probabilities = Probabilities::of(&values, classes).map_err(|undefined| undefined.to_string())?;
        judge(&labelled, probabilities, &mut checking, request)
    });
    match judged {
        Ok(fine) => checking.ended(&fine),
        Err(because) => checking.insufficient(because),
    }
}

/// Rows by class; classes that are too rare are left out and named.
fn labelled(inputs: &Inputs<'_>, checking: &mut Checking) -> Result<Labelled, String> {
    let mut rows_of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in 0..inputs.table.rows() {
        if let Some(label) = inputs.label_of(row) {
            rows_of.entry(label.into_owned()).or_default().push(row);
        }
    }
    let all = rows_of.len();
    let known = |class: &str| inputs.probabilities.is_empty() || inputs.probabilities.iter().any(|(name, _)| *name == class);
    let unknown: Vec<&String> = rows_of.keys().filter(|class| !known(class)).collect();
    if let Some(first) = unknown.first() {
        return Err(format!(
            "{} labels have no column of probabilities, such as {first:?}",
            unknown.len()
        ));
    }
    let least = if inputs.probabilities.is_empty() { MIN_ROWS_OF_CLASS } else { 1 };
    let (kept, rare): (BTreeMap<_, _>, BTreeMap<_, _>) = rows_of.into_iter().partition(|(_, rows)| rows.len() >= least);
    if !rare.is_empty() {
        let rows = rare.values().map(Vec::len).sum();
        let message = format!(
            "{} of {all} classes have fewer than {least} rows and were not looked at",
            rare.len()
        );
        checking.note(None, rows, message);
    }
    match kept.len() {
        0 if all > 0 => return Err(format!("none of {all} classes has {least} rows")),
        0 => return Err("no row has a label".to_owned()),
        1 => return Err("all labels are the same: there is nothing to tell apart".to_owned()),
        classes if classes > MAX_CLASSES => {
            return Err(format!(
                "{classes} classes are more than {MAX_CLASSES}: is this the column of labels?"
            ));
        }
        _ => {}
    }
    let mut pairs: Vec<(usize, usize)> = kept
        .values()
        .enumerate()
        .flat_map(|(class, rows)| rows.iter().map(move |row| (*row, class)))
        .collect();
    pairs.sort_unstable();
    if pairs.len() < MIN_ROWS {
        return Err(format!("{} labelled rows are fewer than {MIN_ROWS}", pairs.len()));
    }
    if pairs.len() * kept.len() > MAX_PROBABILITIES {
        return Err(format!(
            "{} rows with {} classes are too many: check a sample of the rows",
            pairs.len(),
            kept.len()
        ));
    }
    let (rows, labels) = pairs.into_iter().unzip();
    Ok(Labelled {
        rows,
        labels,
        names: kept.into_keys().collect(),
    })
}

fn learnt(inputs: &Inputs<'_>, keys: &[u128], labelled: &Labelled, seed: u64) -> Result<Vec<f32>, String> {
    let classes = labelled.names.len();
    let features = Features::of(inputs, &labelled.rows, classes);
    if features.columns() == 0 {
        return Err("no column tells rows apart, but ids".to_owned());
    }
    let keys: Vec<u128> = labelled.rows.iter().map(|row| keys[*row]).collect();
    let folds = Folds::dealt(&labelled.labels, &keys, seed);
    let values = classifier::out_of_fold(&features, &labelled.labels, classes, &folds, seed)?;
    check_skill(&values, labelled)?;
    Ok(values)
}

/// A model that knows no more than how frequent classes are cannot say of a label that it is wrong.
fn check_skill(values: &[f32], labelled: &Labelled) -> Result<(), String> {
    let classes = labelled.names.len();
    let mut counts = vec![0_u64; classes];
    labelled.labels.iter().for_each(|label| counts[*label] += 1);
    let n = labelled.labels.len() as f64;
    let loss = |probability: f64| -probability.max(1e-12).ln();
    let of_model: f64 = labelled
        .labels
        .iter()
        .enumerate()
        .map(|(row, label)| loss(f64::from(values[row * classes + label])))
        .sum();
    let of_shares: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f64 * loss(*count as f64 / n))
        .sum();
    if of_model >= of_shares {
        return Err(format!(
            "a model of the other columns tells the labels no better than how frequent they are (log loss {:.3} against {:.3})",
            of_model / n,
            of_shares / n
        ));
    }
    Ok(())
}

/// Probabilities that are columns of the file.
fn given(inputs: &Inputs<'_>, labelled: &Labelled) -> Result<Vec<f32>, String> {
    let columns: Vec<_> = labelled
        .names
        .iter()
        .filter_map(|class| inputs.probabilities.iter().find(|(name, _)| name == class))
        .collect();
    let mut values = Vec::with_capacity(labelled.rows.len() * columns.len());
    for row in &labelled.rows {
        for (class, column) in &columns {
            match column.cell(*row) {
                Cell::Number(number) if (0.0..=1.0).contains(&number) => values.push(number as f32),
                _ => return Err(format!("row {} has no probability from 0 to 1 of the class {class:?}", row + 1)),
            }
        }
    }
    Ok(values)
}

fn judge(
    labelled: &Labelled,
    probabilities: Probabilities<'_>,
    checking: &mut Checking,
    request: &DataCheckRequest,
) -> Result<String, String> {
    let learnt = ConfidentLearning::of(&labelled.labels, probabilities).map_err(|undefined| undefined.to_string())?;
    let issues = learnt.issues(&labelled.labels, probabilities, Pruning::Both);
    let n = labelled.rows.len();
    let right = (0..n)
        .filter(|row| probabilities.most_probable(*row) == labelled.labels[*row])
        .count();
    let mut wrong = 0;
    for (index, row) in labelled.rows.iter().enumerate().filter(|(index, _)| issues[*index]) {
        wrong += 1;
        let (label, suggested) = (labelled.labels[index], probabilities.most_probable(index));
        let [of_label, of_suggested] = [label, suggested].map(|class| f64::from(probabilities.row(index)[class]));
        checking.suspects.add(Suspect {
            row: *row,
            reason: format!(
                "a model of the other rows gives its label {:?} {}, {:?} {}",
                labelled.names[label],
                percent(of_label),
                labelled.names[suggested],
                percent(of_suggested)
            ),
            suggested: Some((labelled.names[suggested].clone(), of_suggested)),
            score: 1.0 - probabilities.normalized_margin(index, label),
        });
    }
    let said = format!(
        "{wrong} rows ({}) have a label that is probably wrong; an estimated {} of all labels are; the model agrees with {}",
        percent(wrong as f64 / n as f64),
        percent(learnt.noise()),
        percent(right as f64 / n as f64)
    );
    if wrong > 0 {
        checking.found(None, wrong, request.limits.label_noise, said.clone());
    }
    Ok(said)
}
