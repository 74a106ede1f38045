//! Which columns are inputs, which one is the label, which one says who a row is.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::DataCheckRequest;
use super::keys::Sameness;
use crate::rows::{Cell, CellKind, Table, TableColumn};

/// Words that a text has, on average, where nobody says what is a text.
const LEAST_WORDS: f64 = 3.0;
/// Texts that are looked at for that.
const LOOKED_AT: usize = 1_000;
/// A column of numbers with more distinct ones than this is a regression's, not one of classes.
const MAX_NUMERIC_CLASSES: usize = 20;

/// The rows, and what their columns are for.
pub(super) struct Inputs<'a> {
    pub table: &'a Table,
    pub label: Option<(&'a str, &'a TableColumn)>,
    pub id: Option<(&'a str, &'a TableColumn)>,
    /// All others, but given probabilities.
    pub columns: Vec<(&'a str, &'a TableColumn)>,
    /// Those of them that hold sentences.
    pub texts: BTreeSet<&'a str>,
    /// Given probabilities, by the class that each is about.
    pub probabilities: Vec<(&'a str, &'a TableColumn)>,
}

impl<'a> Inputs<'a> {
    /// Of a table.
    ///
    /// # Errors
    /// It lacks a column that was named.
    pub(super) fn of(table: &'a Table, request: &'a DataCheckRequest) -> Result<Self, String> {
        let named = |name: &'a str| named(table, name);
        let label = request.label.as_deref().map(named).transpose()?;
        let id = match &request.id {
            Some(name) => Some(named(name)?),
            None => table.columns().find(|(name, column)| is_id(name) && is_distinct(column)),
        };
        let is_taken = |name: &str| [label, id].into_iter().flatten().any(|(taken, _)| taken == name);
        let class_of = |name: &'a str| request.probabilities.as_deref().and_then(|prefix| name.strip_prefix(prefix));
        let mut columns: Vec<(&str, &TableColumn)> = Vec::new();
        let mut probabilities = Vec::new();
        for (name, column) in table.columns().filter(|(name, _)| !is_taken(name)) {
            match class_of(name) {
                Some(class) => probabilities.push((class, column)),
                None => columns.push((name, column)),
            }
        }
        if let (Some(prefix), true) = (&request.probabilities, probabilities.is_empty()) {
            return Err(format!(
                "there is no column whose name begins with {prefix:?}, which --probabilities says"
            ));
        }
        let mut texts = BTreeSet::new();
        for name in &request.texts {
            let (name, column) = named(name)?;
            if column.kind() != CellKind::Categorical {
                return Err(format!("column {name:?} holds {}, no texts", column.kind().word()));
            }
            texts.insert(name);
        }
        if texts.is_empty() {
            texts = columns
                .iter()
                .filter(|(_, column)| is_text(column))
                .map(|(name, _)| *name)
                .collect();
        }
        Ok(Self {
            table,
            label,
            id,
            columns,
            texts,
            probabilities,
        })
    }

    /// What counts as the same in a column of the inputs.
    pub(super) fn sameness(&self, name: &str) -> Sameness {
        if self.texts.contains(name) {
            Sameness::OfTexts
        } else {
            Sameness::OfCategories
        }
    }

    /// The label of a row as it is written, where it has one.
    pub(super) fn label_of(&self, row: usize) -> Option<Cow<'a, str>> {
        self.label.and_then(|(_, column)| written(column.cell(row)))
    }

    /// What the id column says of a row.
    pub(super) fn id_of(&self, row: usize) -> Option<Cow<'a, str>> {
        self.id.and_then(|(_, column)| written(column.cell(row)))
    }

    /// Whether the labels are numbers to be predicted, not classes.
    pub(super) fn is_regression(&self, request: &DataCheckRequest) -> bool {
        let Some((name, column)) = self.label else { return false };
        if column.kind() != CellKind::Numeric || request.kinds.contains_key(name) {
            return false;
        }
        let mut distinct = BTreeSet::new();
        column.cells().any(|cell| match cell {
            Cell::Number(number) if number.is_finite() => {
                distinct.insert(number.to_bits());
                number.fract() != 0.0 || distinct.len() > MAX_NUMERIC_CLASSES
            }
            _ => false,
        })
    }
}

/// A value as people write it; none of what is missing, infinite or an array.
pub(super) fn written(cell: Cell<'_>) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Text(text) if !text.trim().is_empty() => Some(Cow::Borrowed(text)),
        Cell::Number(number) if number.is_finite() => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

fn named<'a>(table: &'a Table, name: &str) -> Result<(&'a str, &'a TableColumn), String> {
    table.columns().find(|(other, _)| *other == name).ok_or_else(|| {
        let names: Vec<&str> = table.columns().map(|(name, _)| name).take(10).collect();
        let more = if table.columns().count() > names.len() { ", …" } else { "" };
        format!("there is no column {name:?}; there are {}{more}", names.join(", "))
    })
}

fn is_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower == "id" || lower == "uuid" || lower.ends_with("_id")
}

fn is_distinct(column: &TableColumn) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(column.rows());
    column.rows() > 1
        && column.kind() != CellKind::Array
        && (0..column.rows()).all(|row| match (column.text_index(row), column.cell(row)) {
            (Some(index), _) => seen.insert((true, index as u64)),
            (None, Cell::Number(number)) => number.fract() == 0.0 && seen.insert((false, number.to_bits())),
            _ => false,
        })
}

/// Whether a column holds sentences: several words on average, and seldom the same ones.
fn is_text(column: &TableColumn) -> bool {
    let present = column.rows() - column.cells().filter(Cell::is_missing).count();
    let looked_at = column.texts().min(LOOKED_AT);
    if column.kind() != CellKind::Categorical || looked_at == 0 || column.texts() * 2 <= present {
        return false;
    }
    let words: usize = (0..looked_at).map(|index| column.text(index).split_whitespace().count()).sum();
    words as f64 / looked_at as f64 >= LEAST_WORDS
}
