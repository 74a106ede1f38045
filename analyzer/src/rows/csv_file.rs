//! CSV with a header. An empty field is absent; a column all of whose present fields parse as numbers is numeric.

use std::collections::BTreeMap;
use std::io::Read;

use csv::{Reader, StringRecord};

use super::table::{ColumnBuilder, Looks, TableColumn};
use super::{CellKind, Column, Fields, Kind, Kinds, Layout, Table};

/// What the columns look like.
///
/// # Errors
/// What is wrong, and in which row.
pub(super) fn layout(source: impl Read) -> Result<Layout, String> {
    let mut reader = Reader::from_reader(source);
    let names = names(&mut reader)?;
    // None until a field is present.
    let mut numeric: Vec<Option<bool>> = vec![None; names.len()];
    each_row(&mut reader, |row| {
        for (numeric, field) in numeric.iter_mut().zip(row) {
            if !field.is_empty() && *numeric != Some(false) {
                *numeric = Some(field.trim().parse::<f64>().is_ok());
            }
        }
    })?;
    let kind = |numeric| match numeric {
        Some(true) => Kind::Numeric,
        Some(false) | None => Kind::Categorical,
    };
    Ok(Layout {
        kinds: names.into_iter().zip(numeric.into_iter().map(kind)).collect(),
        ..Layout::default()
    })
}

/// Reads the columns that have a kind.
///
/// # Errors
/// What is wrong, and in which row.
pub(super) fn read(source: impl Read, kinds: &Kinds) -> Result<BTreeMap<String, Column>, String> {
    let mut reader = Reader::from_reader(source);
    let names = names(&mut reader)?;
    let mut columns: Vec<Option<Column>> = names.iter().map(|name| kinds.get(name).copied().map(Column::new)).collect();
    each_row(&mut reader, |row| {
        for (column, field) in columns.iter_mut().zip(row) {
            if let Some(column) = column {
                column.add_field(field);
            }
        }
    })?;
    columns.iter_mut().flatten().for_each(Column::sort);
    let read = names.into_iter().zip(columns);
    Ok(read.filter_map(|(name, column)| Some((name, column?))).collect())
}

/// Reads columns row by row; `None` for one that the file lacks.
///
/// # Errors
/// What is wrong, and in which row.
pub(super) fn fields(source: impl Read, wanted: &[&str]) -> Result<Vec<Option<Fields>>, String> {
    let mut reader = Reader::from_reader(source);
    let names = names(&mut reader)?;
    let places: Vec<Option<usize>> = wanted.iter().map(|name| names.iter().position(|other| other == name)).collect();
    let mut columns: Vec<Option<Fields>> = places.iter().map(|place| place.map(|_| Fields::default())).collect();
    each_row(&mut reader, |row| {
        for (column, place) in columns.iter_mut().zip(&places) {
            if let (Some(column), Some(place)) = (column, place) {
                match &row[*place] {
                    "" => column.add_absent(1),
                    text => column.add_text(text),
                }
            }
        }
    })?;
    Ok(columns)
}

/// What each column's fields look like.
///
/// # Errors
/// What is wrong, and in which row.
pub(super) fn looks(source: impl Read) -> Result<Vec<(String, Looks)>, String> {
    let mut reader = Reader::from_reader(source);
    let names = names(&mut reader)?;
    let mut looks = vec![Looks::default(); names.len()];
    each_row(&mut reader, |row| {
        looks.iter_mut().zip(row).for_each(|(looks, field)| looks.add_field(field))
    })?;
    Ok(names.into_iter().zip(looks).collect())
}

/// Reads the columns that have a kind, in the order of the header, all of which are named.
///
/// # Errors
/// What is wrong, and in which row.
pub(super) fn table(source: impl Read, kinds: Vec<(String, Option<CellKind>)>) -> Result<Table, String> {
    let mut reader = Reader::from_reader(source);
    names(&mut reader)?;
    let mut columns: Vec<Option<ColumnBuilder>> = kinds.iter().map(|(_, kind)| kind.map(ColumnBuilder::new)).collect();
    let mut rows = 0;
    each_row(&mut reader, |row| {
        rows += 1;
        for (column, field) in columns.iter_mut().zip(row) {
            if let Some(column) = column {
                column.add_field(field);
            }
        }
    })?;
    let read = kinds.into_iter().zip(columns);
    let columns: Vec<(String, TableColumn)> = read
        .filter_map(|((name, kind), column)| Some((name, column?.built(kind?))))
        .collect();
    Ok(Table::of(rows, columns, BTreeMap::new()))
}

/// The names in the header.
///
/// # Errors
/// It does not read, or two are the same.
pub(super) fn names(reader: &mut Reader<impl Read>) -> Result<Vec<String>, String> {
    let header = reader.headers().map_err(|error| format!("the header does not read: {error}"))?;
    let names: Vec<String> = header.iter().map(str::to_owned).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two columns are named {:?}", pair[0])),
        None => Ok(names),
    }
}

fn each_row(reader: &mut Reader<impl Read>, mut take: impl FnMut(&StringRecord)) -> Result<(), String> {
    let mut row = StringRecord::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        match reader.read_record(&mut row) {
            Ok(true) => take(&row),
            Ok(false) => return Ok(()),
            Err(error) => return Err(format!("row {number}: {error}")),
        }
    }
}
