//! Examples of the control set that are among the rows: a model that learnt them is judged by what it has seen.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::inputs::Inputs;
use super::keys::row_keys;
use super::missing::percent;
use super::outcome::Checking;
use super::suspicious::{Suspect, Suspects};
use super::{Check, CheckName, DataCheckRequest};
use crate::control::set::{Example, ExampleSet, SetFormat};
use crate::models::FeatureValue;
use crate::rows::{CellKinds, RowsFileError, Table, content};

/// A control set file that is larger is read as rows.
const MAX_SET_BYTES: u64 = 256 << 20;
/// What a control set calls its one text.
const TEXT: &str = "text";
/// Columns of a control set that say nothing of the input.
const NO_INPUT: [&str; 6] = ["id", "label", "value", "tolerance", "tags", "segment"];
/// Where fewer rows than this share are different from each other, equal rows may be chance.
const DIFFERENT_SHARE: f64 = 0.5;

/// A control set: its inputs as rows, and what its examples are called.
pub(super) struct Control {
    table: Table,
    ids: Option<Vec<String>>,
}

impl Control {
    /// Reads a control set, or any file of rows.
    ///
    /// # Errors
    /// It reads as neither.
    pub(super) fn read(path: &Path, request: &DataCheckRequest, kinds: &CellKinds) -> Result<Self, RowsFileError> {
        let set = set_of(path)?;
        match (set, is_json(path)) {
            (Some(Ok(set)), _) => {
                let table = Table::of_rows(set.examples.iter().map(row_of)).map_err(|problem| content(path, problem))?;
                Ok(Self {
                    table,
                    ids: Some(set.examples.into_iter().map(|example| example.id).collect()),
                })
            }
            (Some(Err(problem)), true) => Err(content(path, problem)),
            // CSV and lines of JSON that are no control set are rows.
            _ => Ok(Self {
                table: Table::read(path, kinds, &request.ignored)?,
                ids: None,
            }),
        }
    }

    fn name_of(&self, example: usize) -> String {
        match &self.ids {
            Some(ids) => format!("{:?}", ids[example]),
            None => format!("in row {}", example + 1),
        }
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The file as a control set, where its name and size say that it may be one.
fn set_of(path: &Path) -> Result<Option<Result<ExampleSet, String>>, RowsFileError> {
    let format = match path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .as_deref()
    {
        Some("json") => SetFormat::Json,
        Some("jsonl" | "ndjson") => SetFormat::JsonLines,
        Some("csv") => SetFormat::Csv,
        _ => return Ok(None),
    };
    let unreadable = |source| RowsFileError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_SET_BYTES {
        return Ok(None);
    }
    let body = std::fs::read(path).map_err(unreadable)?;
    Ok(Some(ExampleSet::read(format, &body, None).map_err(|error| error.to_string())))
}

fn row_of(example: &Example) -> Map<String, Value> {
    let input = &example.input;
    let value = |value: &FeatureValue| match value {
        FeatureValue::Number(number) => Value::from(*number),
        FeatureValue::Text(text) => Value::from(text.as_str()),
    };
    let mut row: Map<String, Value> = input
        .features
        .iter()
        .map(|(name, feature)| (name.clone(), value(feature)))
        .collect();
    row.extend(input.text.iter().map(|text| (TEXT.to_owned(), Value::from(text.as_str()))));
    row.extend(input.image.iter().map(|image| ("image".to_owned(), Value::from(image.as_str()))));
    row
}

pub(super) fn check(inputs: &Inputs<'_>, control: &Control, request: &DataCheckRequest) -> (Check, Suspects) {
    let mut checking = Checking::new(CheckName::Leakage, control.table.rows());
    let only_text = match inputs.texts.iter().collect::<Vec<_>>()[..] {
        [only] => Some(*only),
        _ => None,
    };
    // A control set calls a text `text`, whatever the column is called here.
    let of_control = |name: &str| match control.table.column(name) {
        None if only_text == Some(name) && control.ids.is_some() => control.table.column(TEXT),
        column => column,
    };
    let shared: Vec<_> = inputs
        .columns
        .iter()
        .filter_map(|(name, column)| Some((*name, *column, of_control(name)?)))
        .collect();
    if shared.is_empty() {
        let names: Vec<&str> = control.table.columns().map(|(name, _)| name).take(5).collect();
        let because = format!("the control set has no column of the inputs; it has {}", names.join(", "));
        return checking.insufficient(because);
    }
    let keys = row_keys(
        &shared
            .iter()
            .map(|(name, column, _)| (*column, inputs.sameness(name)))
            .collect::<Vec<_>>(),
    );
    let of_control = row_keys(
        &shared
            .iter()
            .map(|(name, _, column)| (*column, inputs.sameness(name)))
            .collect::<Vec<_>>(),
    );
    let mut examples: HashMap<u128, Vec<usize>> = HashMap::new();
    of_control
        .iter()
        .enumerate()
        .for_each(|(example, key)| examples.entry(*key).or_default().push(example));
    let different = examples.len();
    let mut leaked = std::collections::BTreeSet::<usize>::new();
    for (row, key) in keys.iter().enumerate() {
        if let Some(same) = examples.get(key) {
            leaked.extend(same);
            let reason = format!("its input is that of the control example {}", control.name_of(same[0]));
            checking.suspects.add(Suspect::of(row, 1.0, reason));
        }
    }
    let n = of_control.len();
    if !leaked.is_empty() {
        let share = percent(leaked.len() as f64 / n as f64);
        let columns = shared.len();
        let message = format!(
            "{} of {n} control examples ({share}) are among the rows, the same in {columns} columns",
            leaked.len()
        );
        checking.found(None, leaked.len(), request.limits.leakage, message);
    }
    if (different as f64) < DIFFERENT_SHARE * n as f64 {
        let message =
            format!("only {different} of {n} control examples are different from each other: what is the same may be so by chance");
        checking.note(None, n - different, message);
    }
    let is_compared = |name: &str| shared.iter().any(|(shared, ..)| *shared == name) || only_text.is_some() && name == TEXT;
    let is_input = |name: &str| !NO_INPUT.contains(&name) && request.label.as_deref() != Some(name) && request.id.as_deref() != Some(name);
    let rest: Vec<&str> = control
        .table
        .columns()
        .map(|(name, _)| name)
        .filter(|name| !is_compared(name) && is_input(name))
        .collect();
    if !rest.is_empty() {
        let named = rest.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        checking.note(None, 0, format!("not compared, since only the control set has it: {named}"));
    }
    checking.ended(&format!("none of {n} control examples is among the rows"))
}
