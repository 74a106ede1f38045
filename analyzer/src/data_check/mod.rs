//! What is wrong with rows before a model is trained on them: what `driftlead check-data` prints.
//!
//! The file is read into a [`Table`]; one check after the other looks at it and writes what it found, within its limit or beyond,
//! and which rows are suspicious. The reference, the control set and the previous file are read one at a time, and only what is
//! needed of them is kept. Deliberately absent: drift, which is [`crate::file_drift`]'s, and mending the data.

mod conflicts;
mod duplicates;
mod freshness;
mod inputs;
mod keys;
mod label_noise;
mod leakage;
mod missing;
mod outcome;
mod ranges;
mod reference;
mod schema;
mod shapes;
mod suspicious;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::rows::{Cell, CellKinds, RowsFileError, Table, content};
pub use outcome::{Check, CheckName, Finding, Outcome};
pub use suspicious::{MAX_ROWS_OF_CHECK, SuspiciousRow};

use inputs::Inputs;
use outcome::Checking;
use reference::Reference;
use suspicious::Suspects;

/// Shares of rows, from 0 to 1, above which something is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of a column's rows without a value, beyond what the reference lacks; of rows that are mostly empty.
    pub missing: f64,
    /// Of rows that repeat another.
    pub duplicates: f64,
    /// Of rows whose input has different labels.
    pub conflicts: f64,
    /// Of rows whose label is probably wrong.
    pub label_noise: f64,
    /// Of rows outside of the reference's range; of a declared range it is 0.
    pub out_of_range: f64,
    /// Of rows with a category that the reference lacks, beyond what rare ones let expect.
    pub unknown_categories: f64,
    /// Of control examples that are among the rows.
    pub leakage: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            missing: 0.05,
            duplicates: 0.01,
            conflicts: 0.01,
            label_noise: 0.1,
            out_of_range: 0.01,
            unknown_categories: 0.01,
            leakage: 0.0,
        }
    }
}

/// The share of new rows that is usual from one week to the next.
pub const USUAL_NEW_SHARE: (f64, f64) = (0.10, 0.15);

/// What is checked, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct DataCheckRequest {
    /// The column of labels.
    pub label: Option<String>,
    /// The column that says who a row is; unsaid, one named `id`, `uuid` or `…_id` whose values are all different.
    pub id: Option<String>,
    /// Columns that hold sentences; unsaid, those of three words and more on average that are seldom the same.
    pub texts: BTreeSet<String>,
    /// What columns are, whatever they look like.
    pub kinds: CellKinds,
    /// Columns that are not read.
    pub ignored: BTreeSet<String>,
    /// The smallest and the largest number that a column may have.
    pub ranges: BTreeMap<String, (f64, f64)>,
    /// The shape that the arrays of a column have.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// How names of columns with out-of-fold probabilities begin; the class is what follows.
    pub probabilities: Option<String>,
    /// The deployed model's training data.
    pub reference: Option<PathBuf>,
    /// The control set, or any rows that are held out.
    pub control: Option<PathBuf>,
    /// The file of the last time.
    pub previous: Option<PathBuf>,
    /// The share of new rows that is usual.
    pub new_share: (f64, f64),
    /// What may be wrong.
    pub limits: Limits,
    /// Seed of the folds.
    pub seed: u64,
}

impl Default for DataCheckRequest {
    fn default() -> Self {
        Self {
            label: None,
            id: None,
            texts: BTreeSet::new(),
            kinds: CellKinds::new(),
            ignored: BTreeSet::new(),
            ranges: BTreeMap::new(),
            shapes: BTreeMap::new(),
            probabilities: None,
            reference: None,
            control: None,
            previous: None,
            new_share: USUAL_NEW_SHARE,
            limits: Limits::default(),
            seed: 1,
        }
    }
}

/// What all checks say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataVerdict {
    /// Something is beyond its limit.
    Found,
    /// Nothing is.
    Fine,
    /// Nothing is, but a check that was asked for could not tell.
    Insufficient,
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataReport {
    /// What all checks say together.
    pub verdict: DataVerdict,
    /// Rows of the file.
    pub rows: u64,
    /// Columns that were read.
    pub columns: u64,
    /// The column of labels.
    pub label: Option<String>,
    /// The column that says who a row is.
    pub id: Option<String>,
    /// Columns that hold sentences.
    pub texts: Vec<String>,
    /// All classes, where there are not more than a person can choose from.
    pub classes: Vec<String>,
    /// What each check says.
    pub checks: Vec<Check>,
    /// Rows that are suspicious, listed or not.
    pub suspicious_rows: u64,
    /// Rows to look at, check by check, the most suspicious first; [`MAX_ROWS_OF_CHECK`] of each at most.
    #[serde(skip)]
    pub suspicious: Vec<SuspiciousRow>,
    /// The cells of the rows to look at, by number.
    #[serde(skip)]
    pub cells: BTreeMap<u64, Map<String, Value>>,
}

/// Classes that a person can choose from.
const MAX_LISTED_CLASSES: usize = 1_000;

/// Checks a file.
///
/// # Errors
/// One of the files does not read, or the file lacks a column that was named.
pub fn check_file(path: &Path, request: &DataCheckRequest) -> Result<DataReport, RowsFileError> {
    let reference = request
        .reference
        .as_ref()
        .map(|reference| Reference::read(reference, &request.kinds, &request.ignored))
        .transpose()?;
    let table = Table::read(path, &request.kinds, &request.ignored)?;
    let wrong = |problem| content(path, problem);
    check_names(&table, request).map_err(wrong)?;
    let inputs = Inputs::of(&table, request).map_err(wrong)?;
    let checks = all_checks(&inputs, reference.as_ref(), request)?;
    Ok(report(&inputs, checks))
}

/// Whether columns that somebody names are there.
fn check_names(table: &Table, request: &DataCheckRequest) -> Result<(), String> {
    let named = [
        ("--range", request.ranges.keys().collect::<Vec<_>>()),
        ("--shape", request.shapes.keys().collect()),
        ("--kind", request.kinds.keys().collect()),
    ];
    for (option, names) in named {
        if let Some(name) = names.into_iter().find(|name| table.column(name).is_none()) {
            return Err(format!("there is no column {name:?}, which {option} names"));
        }
    }
    Ok(())
}

type Checked = (Check, Suspects);

fn all_checks(inputs: &Inputs<'_>, reference: Option<&Reference>, request: &DataCheckRequest) -> Result<Vec<Checked>, RowsFileError> {
    let rows = inputs.table.rows();
    let limits = &request.limits;
    // Other files are read with the kinds that this one has, so that the same values are the same.
    let kinds: CellKinds = inputs
        .table
        .columns()
        .map(|(name, column)| (name.to_owned(), column.kind()))
        .collect();
    let mut checks = vec![
        missing::check(inputs, reference, limits).ended("no value is missing"),
        duplicates::check(inputs, limits).ended("no row is there twice"),
    ];
    checks.extend(label_checks(inputs, request));
    checks.push(ranges::check(inputs, reference, request).ended("all numbers are finite and in their ranges"));
    checks.push(shapes::check(inputs, reference, request).ended("all arrays have the shape that they should have"));
    let schema = schema::check(inputs, reference, limits);
    checks.push(schema.ended(match reference {
        Some(_) => "columns, kinds and categories are those of the reference",
        None => "columns hold what they look like; --reference compares them with the deployed model's data",
    }));
    checks.push(match &request.control {
        Some(path) => leakage::check(inputs, &leakage::Control::read(path, request, &kinds)?, request),
        None => Checking::new(CheckName::Leakage, rows).not_asked("say --control for the control set"),
    });
    checks.push(match &request.previous {
        Some(path) => freshness::check(inputs, &Table::read(path, &kinds, &request.ignored)?, request),
        None => Checking::new(CheckName::NewExamples, rows).not_asked("say --previous for the file of the last time"),
    });
    Ok(checks)
}

fn label_checks(inputs: &Inputs<'_>, request: &DataCheckRequest) -> [Checked; 2] {
    let rows = inputs.table.rows();
    let names = [CheckName::ConflictingLabels, CheckName::LabelNoise];
    if inputs.label.is_none() {
        return names.map(|name| Checking::new(name, rows).not_asked("say --label for the column of labels"));
    }
    if inputs.columns.is_empty() && inputs.probabilities.is_empty() {
        return names.map(|name| Checking::new(name, rows).insufficient("there is no column but the label's".to_owned()));
    }
    let columns: Vec<_> = inputs
        .columns
        .iter()
        .map(|(name, column)| (*column, inputs.sameness(name)))
        .collect();
    let keys = if columns.is_empty() {
        (0..rows as u128).collect()
    } else {
        keys::row_keys(&columns)
    };
    let conflicts = conflicts::check(inputs, &keys, &request.limits).ended("the same input always has the same label");
    let noise = if inputs.is_regression(request) {
        let why = "the labels are numbers, not classes; --kind LABEL=categorical says otherwise";
        Checking::new(CheckName::LabelNoise, rows).not_asked(why)
    } else {
        label_noise::check(inputs, &keys, request)
    };
    [conflicts, noise]
}

fn report(inputs: &Inputs<'_>, checked: Vec<Checked>) -> DataReport {
    let mut suspicious = Vec::new();
    let mut rows = BTreeSet::new();
    let mut checks = Vec::new();
    for (mut check, suspects) in checked {
        let (kept, of_check) = suspects.ended();
        check.suspicious_rows = of_check.len() as u64;
        rows.extend(of_check);
        suspicious.extend(kept.into_iter().map(|suspect| {
            let (suggested_label, suggested_probability) = suspect.suggested.unzip();
            SuspiciousRow {
                row: suspect.row as u64 + 1,
                id: inputs.id_of(suspect.row).map(|id| id.into_owned()),
                check: check.check,
                reason: suspect.reason,
                given_label: inputs.label_of(suspect.row).map(|label| label.into_owned()),
                suggested_label,
                suggested_probability,
                score: suspect.score,
            }
        }));
        checks.push(check);
    }
    let listed: BTreeSet<u64> = suspicious.iter().map(|row: &SuspiciousRow| row.row).collect();
    let name = |column: Option<(&str, _)>| column.map(|(name, _)| name.to_owned());
    DataReport {
        verdict: verdict(&checks),
        rows: inputs.table.rows() as u64,
        columns: inputs.table.columns().count() as u64,
        label: name(inputs.label),
        id: name(inputs.id),
        texts: inputs.texts.iter().map(|name| (*name).to_owned()).collect(),
        classes: classes(inputs),
        checks,
        suspicious_rows: rows.len() as u64,
        suspicious,
        cells: listed.into_iter().map(|row| (row, cells(inputs, row as usize - 1))).collect(),
    }
}

fn verdict(checks: &[Check]) -> DataVerdict {
    let any = |outcome| checks.iter().any(|check| check.outcome == outcome);
    if any(Outcome::Found) {
        DataVerdict::Found
    } else if any(Outcome::Insufficient) {
        DataVerdict::Insufficient
    } else {
        DataVerdict::Fine
    }
}

fn classes(inputs: &Inputs<'_>) -> Vec<String> {
    let mut classes = BTreeSet::new();
    for row in 0..inputs.table.rows() {
        classes.extend(inputs.label_of(row).map(|label| label.into_owned()));
        if classes.len() > MAX_LISTED_CLASSES {
            return Vec::new();
        }
    }
    classes.into_iter().collect()
}

/// A row's cells; of an array its shape, which people can read.
fn cells(inputs: &Inputs<'_>, row: usize) -> Map<String, Value> {
    let value = |cell: Cell<'_>| match cell {
        Cell::Absent => Value::Null,
        // A whole number is written as one.
        Cell::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(number as i64),
        Cell::Number(number) => Value::from(number),
        Cell::Text(text) => Value::from(text),
        Cell::Array(array) => Value::from(format!("array of {}", array.shape_text())),
    };
    let columns = inputs.table.columns();
    columns.map(|(name, column)| (name.to_owned(), value(column.cell(row)))).collect()
}

#[cfg(test)]
mod tests;
