//! One JSON object per line. Numbers are numbers, texts and booleans categories, null and what is missing is absent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read};

use serde_json::{Map, Value};

use super::table::{ColumnBuilder, Looks, check_count};
use super::{Array, CellKind, CellKinds, Column, Fields, Kind, Kinds, Layout, Table};

/// What the columns look like: numeric where every present value is a number.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn layout(source: impl Read) -> Result<Layout, String> {
    let mut layout = Layout::default();
    each_row(source, |row| {
        for (name, value) in row {
            let kind = match value {
                Value::Null => continue,
                Value::Number(_) => Kind::Numeric,
                Value::String(_) | Value::Bool(_) => Kind::Categorical,
                Value::Array(_) | Value::Object(_) => {
                    layout.left_out.insert(name, "it holds lists or objects".to_owned());
                    continue;
                }
            };
            let known = layout.kinds.entry(name).or_insert(kind);
            if kind == Kind::Categorical {
                *known = kind;
            }
        }
    })?;
    let left_out = &layout.left_out;
    layout.kinds.retain(|name, _| !left_out.contains_key(name));
    Ok(layout)
}

/// Reads the columns that have a kind.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn read(source: impl Read, kinds: &Kinds) -> Result<BTreeMap<String, Column>, String> {
    let mut columns: BTreeMap<String, Column> = kinds.iter().map(|(name, kind)| (name.clone(), Column::new(*kind))).collect();
    let rows = each_row(source, |row| {
        for (name, value) in row {
            let Some(column) = columns.get_mut(&name) else { continue };
            match (value, column.kind()) {
                (Value::Null, _) => {}
                (Value::Number(number), Kind::Numeric) => column.add_number(number.as_f64().unwrap_or(f64::NAN)),
                (Value::String(text), _) => column.add_value(&text),
                (other, _) => column.add_value(&other.to_string()),
            }
        }
    })?;
    // A column that no row has is none of the file's.
    columns.retain(|_, column| column.rows() > 0);
    for column in columns.values_mut() {
        column.add_absent(rows - column.rows());
        column.sort();
    }
    Ok(columns)
}

/// Reads columns row by row; `None` for one that no row has.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn fields(source: impl Read, wanted: &[&str]) -> Result<Vec<Option<Fields>>, String> {
    let mut columns = vec![Fields::default(); wanted.len()];
    let mut are_there = vec![false; wanted.len()];
    each_row(source, |row| {
        for ((column, name), is_there) in columns.iter_mut().zip(wanted).zip(&mut are_there) {
            *is_there |= row.contains_key(*name);
            match row.get(*name) {
                None | Some(Value::Null) => column.add_absent(1),
                Some(Value::Number(number)) => column.add_number(number.as_f64().unwrap_or(f64::NAN)),
                Some(Value::String(text)) => column.add_text(text),
                Some(other) => column.add_text(&other.to_string()),
            }
        }
    })?;
    Ok(columns
        .into_iter()
        .zip(are_there)
        .map(|(column, is_there)| is_there.then_some(column))
        .collect())
}

/// The names of the first line's values that can be compared.
///
/// # Errors
/// The line does not read.
pub(super) fn first_names(source: impl Read) -> Result<BTreeSet<String>, String> {
    let lines = BufReader::new(source).lines();
    let Some(line) = lines
        .into_iter()
        .find(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty()))
    else {
        return Ok(BTreeSet::new());
    };
    let line = line.map_err(|error| error.to_string())?;
    let row: Map<String, Value> = serde_json::from_str(&line).map_err(|error| format!("the first line: {error}"))?;
    let is_single = |value: &Value| !value.is_array() && !value.is_object();
    Ok(row
        .into_iter()
        .filter(|(_, value)| is_single(value))
        .map(|(name, _)| name)
        .collect())
}

/// Reads all rows; columns stand in the order in which they first come.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn table(source: impl Read, kinds: &CellKinds, ignored: &BTreeSet<String>) -> Result<Table, String> {
    let mut rows = Rows::default();
    let mut added = Ok(());
    each_row(source, |mut row| {
        row.retain(|name, _| !ignored.contains(name));
        if added.is_ok() {
            added = rows.add(row);
        }
    })?;
    added.map(|()| rows.table(kinds))
}

/// Rows while they are read.
#[derive(Default)]
pub(super) struct Rows {
    rows: usize,
    columns: Vec<(String, ColumnBuilder, Looks)>,
    places: HashMap<String, usize>,
    left_out: BTreeMap<String, String>,
}

impl Rows {
    /// Takes a row.
    ///
    /// # Errors
    /// There are too many columns.
    pub(super) fn add(&mut self, row: Map<String, Value>) -> Result<(), String> {
        for (name, value) in row {
            if value.is_object() {
                self.left_out.insert(name, "it holds objects".to_owned());
                continue;
            }
            let place = match self.places.get(&name) {
                Some(place) => *place,
                None => {
                    check_count(self.columns.len() + 1)?;
                    self.places.insert(name.clone(), self.columns.len());
                    self.columns
                        .push((name, ColumnBuilder::new(CellKind::Categorical), Looks::default()));
                    self.columns.len() - 1
                }
            };
            let (_, column, looks) = &mut self.columns[place];
            column.add_absent(self.rows - column.rows());
            match value {
                Value::Null | Value::Object(_) => column.add_absent(1),
                Value::Bool(flag) => {
                    looks.add(false, false);
                    column.add_text(if flag { "true" } else { "false" });
                }
                Value::Number(number) => {
                    looks.add(true, false);
                    column.add_number(number.as_f64().unwrap_or(f64::NAN));
                }
                Value::String(text) => {
                    looks.add(false, false);
                    column.add_text(&text);
                }
                Value::Array(list) => {
                    looks.add(false, true);
                    column.add_array(Array::of_json(&list));
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The table.
    pub(super) fn table(self, kinds: &CellKinds) -> Table {
        let Self {
            rows, columns, left_out, ..
        } = self;
        let columns = columns
            .into_iter()
            .filter(|(name, ..)| !left_out.contains_key(name))
            .map(|(name, mut column, looks)| {
                column.add_absent(rows - column.rows());
                let kind = kinds.get(&name).copied().unwrap_or(looks.kind());
                (name, column.built(kind))
            });
        let columns = columns.collect();
        Table::of(rows, columns, left_out)
    }
}

fn each_row(source: impl Read, mut take: impl FnMut(Map<String, Value>)) -> Result<u64, String> {
    let mut rows = 0;
    for (index, line) in BufReader::new(source).lines().enumerate() {
        let wrong = |problem: String| format!("line {}: {problem}", index + 1);
        let line = line.map_err(|error| wrong(error.to_string()))?;
        if !line.trim().is_empty() {
            rows += 1;
            take(serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?);
        }
    }
    Ok(rows)
}
