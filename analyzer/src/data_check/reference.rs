//! What rows are measured by: the columns, kinds, categories and ranges of the deployed model's training data.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::inputs::written;
use super::shapes;
use crate::rows::{Cell, CellKind, CellKinds, RowsFileError, Table, TableColumn};

/// Categories of a column that are remembered; one with more is not told by its categories.
const MAX_KNOWN_CATEGORIES: usize = 100_000;
/// Numbers that a range is learnt from, at least.
const MIN_FOR_RANGE: usize = 100;

/// What a column of the reference looks like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReferenceColumn {
    pub kind: CellKind,
    /// The share of its rows that have no value.
    pub missing: f64,
    /// The smallest and the largest finite number, of at least [`MIN_FOR_RANGE`].
    pub range: Option<(f64, f64)>,
    /// How often each category occurs; none where there are too many, or they are texts.
    pub categories: Option<HashMap<String, u64>>,
    /// The shape of its arrays, where nearly all have it.
    pub shape: Option<Vec<usize>>,
}

impl ReferenceColumn {
    fn of(column: &TableColumn) -> Self {
        let missing = column.cells().filter(Cell::is_missing).count();
        let rows = column.rows().max(1);
        Self {
            kind: column.kind(),
            missing: missing as f64 / rows as f64,
            range: range(column),
            categories: (column.kind() == CellKind::Categorical).then(|| categories(column)).flatten(),
            shape: (column.kind() == CellKind::Array).then(|| shapes::fixed(column)).flatten(),
        }
    }

    /// The share of rows with a category that only one row of the reference has: so many of new rows can be expected to have one
    /// that it lacks (Good 1953, "The population frequencies of species").
    pub(super) fn expected_unknown(&self) -> f64 {
        let Some(categories) = &self.categories else { return 0.0 };
        let rows: u64 = categories.values().sum();
        let single = categories.values().filter(|count| **count == 1).count();
        single as f64 / rows.max(1) as f64
    }
}

fn range(column: &TableColumn) -> Option<(f64, f64)> {
    let (mut least, mut most, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0);
    let mut take = |number: f64| {
        if number.is_finite() {
            (least, most, count) = (least.min(number), most.max(number), count + 1);
        }
    };
    for cell in column.cells() {
        match cell {
            Cell::Number(number) => take(number),
            Cell::Array(array) => [array.least, array.most].into_iter().flatten().for_each(&mut take),
            _ => {}
        }
    }
    (count >= MIN_FOR_RANGE && column.kind() != CellKind::Categorical).then_some((least, most))
}

fn categories(column: &TableColumn) -> Option<HashMap<String, u64>> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for cell in column.cells() {
        if let Some(value) = written(cell) {
            *counts.entry(value.into_owned()).or_default() += 1;
            if counts.len() > MAX_KNOWN_CATEGORIES {
                return None;
            }
        }
    }
    Some(counts)
}

/// The reference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    columns: BTreeMap<String, ReferenceColumn>,
}

impl Reference {
    /// Of a file of rows.
    ///
    /// # Errors
    /// It does not read.
    pub(super) fn read(path: &Path, kinds: &CellKinds, ignored: &BTreeSet<String>) -> Result<Self, RowsFileError> {
        let table = Table::read(path, kinds, ignored)?;
        let columns = table.columns().map(|(name, column)| (name.to_owned(), ReferenceColumn::of(column)));
        Ok(Self {
            columns: columns.collect(),
        })
    }

    pub(super) fn column(&self, name: &str) -> Option<&ReferenceColumn> {
        self.columns.get(name)
    }

    pub(super) fn columns(&self) -> &BTreeMap<String, ReferenceColumn> {
        &self.columns
    }
}
