//! Whether the columns are what the deployed model knows: names, kinds, categories and classes; without a reference, whether
//! columns of numbers hold numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::{Inputs, written};
use super::missing::percent;
use super::outcome::Checking;
use super::reference::{Reference, ReferenceColumn};
use super::suspicious::Suspect;
use super::{CheckName, Limits};
use crate::rows::{Cell, CellKind, TableColumn};

/// Names and values that a sentence lists.
const MAX_NAMED: usize = 5;

pub(super) fn check(inputs: &Inputs<'_>, reference: Option<&Reference>, limits: &Limits) -> Checking {
    let mut checking = Checking::new(CheckName::Schema, inputs.table.rows());
    if let Some(reference) = reference {
        check_columns(&mut checking, inputs, reference);
    }
    for (name, column) in &inputs.columns {
        check_types(&mut checking, name, column);
        if let Some(known) = reference.and_then(|reference| reference.column(name)) {
            check_kind(&mut checking, name, column, known);
            if !inputs.texts.contains(name) {
                check_categories(&mut checking, name, column, known, limits);
            }
        }
        note_constant(&mut checking, name, column);
    }
    if let (Some((name, column)), Some(reference)) = (inputs.label, reference)
        && let Some(known) = reference.column(name)
    {
        check_classes(&mut checking, name, column, known);
    }
    for (name, reason) in inputs.table.left_out() {
        checking.note(Some(name), 0, format!("{name} is not looked at: {reason}"));
    }
    checking
}

fn check_columns(checking: &mut Checking, inputs: &Inputs<'_>, reference: &Reference) {
    let rows = inputs.table.rows();
    let here: BTreeSet<&str> = inputs.table.columns().map(|(name, _)| name).collect();
    for name in reference.columns().keys().filter(|name| !here.contains(name.as_str())) {
        checking.found(
            Some(name),
            rows,
            0.0,
            format!("the reference has a column {name}, which is not there"),
        );
    }
    for name in here.iter().filter(|name| reference.column(name).is_none()) {
        checking.note(Some(name), rows, format!("{name} is new: the reference has no such column"));
    }
}

/// What is no number in a column of numbers, and no array in one of arrays.
fn check_types(checking: &mut Checking, name: &str, column: &TableColumn) {
    let what = match column.kind() {
        CellKind::Numeric => "no number",
        CellKind::Array => "no array",
        CellKind::Categorical => return,
    };
    let mut wrong = 0;
    for (row, cell) in column.cells().enumerate() {
        let is_right = match cell {
            Cell::Absent => true,
            Cell::Number(_) => column.kind() == CellKind::Numeric,
            Cell::Array(_) => column.kind() == CellKind::Array,
            Cell::Text(_) => false,
        };
        if !is_right {
            wrong += 1;
            let shown = written(cell).map_or_else(String::new, |value| format!(" ({})", shortened(&value)));
            checking.suspects.add(Suspect::of(row, 0.9, format!("{name} is {what}{shown}")));
        }
    }
    if wrong > 0 {
        checking.found(Some(name), wrong, 0.0, format!("{name} is {what} in {wrong} rows"));
    }
}

fn check_kind(checking: &mut Checking, name: &str, column: &TableColumn, known: &ReferenceColumn) {
    if column.kind() != known.kind && column.cells().any(|cell| !cell.is_missing()) {
        let message = format!("{name} holds {}, in the reference {}", column.kind().word(), known.kind.word());
        checking.found(Some(name), column.rows(), 0.0, message);
    }
}

fn check_categories(checking: &mut Checking, name: &str, column: &TableColumn, known: &ReferenceColumn, limits: &Limits) {
    let (Some(categories), CellKind::Categorical) = (&known.categories, column.kind()) else {
        return;
    };
    let (mut unknown, mut names) = (0, BTreeMap::<String, usize>::new());
    for (row, cell) in column.cells().enumerate() {
        let Some(value) = written(cell).filter(|value| !categories.contains_key(value.as_ref())) else {
            continue;
        };
        unknown += 1;
        if names.len() <= MAX_NAMED || names.contains_key(value.as_ref()) {
            *names.entry(value.clone().into_owned()).or_default() += 1;
        }
        checking.suspects.add(Suspect::of(
            row,
            0.5,
            format!("{name} is {:?}, which the reference does not have", shortened(&value)),
        ));
    }
    if unknown > 0 {
        let limit = limits.unknown_categories + known.expected_unknown();
        let share = percent(unknown as f64 / column.rows() as f64);
        let message = format!(
            "{name} is in {unknown} rows ({share}) what the reference does not have: {}",
            listed(names.keys())
        );
        checking.found(Some(name), unknown, limit, message);
    }
}

fn check_classes(checking: &mut Checking, name: &str, column: &TableColumn, known: &ReferenceColumn) {
    // Of labels that are numbers the classes are not remembered; their range is.
    let Some(categories) = &known.categories else { return };
    let mut here: BTreeMap<String, usize> = BTreeMap::new();
    for (row, cell) in column.cells().enumerate() {
        let Some(value) = written(cell) else { continue };
        if !categories.contains_key(value.as_ref()) {
            let reason = format!("the reference has no rows with its label {:?}", shortened(&value));
            checking.suspects.add(Suspect::of(row, 0.7, reason));
        }
        *here.entry(value.into_owned()).or_default() += 1;
    }
    let new: Vec<&String> = here.keys().filter(|class| !categories.contains_key(*class)).collect();
    if !new.is_empty() {
        let rows = new.iter().map(|class| here[*class]).sum();
        checking.found(
            Some(name),
            rows,
            0.0,
            format!("{} classes are new: {}", new.len(), listed(new.into_iter())),
        );
    }
    let mut gone: Vec<&String> = categories.keys().filter(|class| !here.contains_key(*class)).collect();
    gone.sort_unstable();
    if !gone.is_empty() {
        let message = format!(
            "{} classes of the reference have no rows any more: {}",
            gone.len(),
            listed(gone.into_iter())
        );
        checking.found(Some(name), column.rows(), 0.0, message);
    }
}

fn note_constant(checking: &mut Checking, name: &str, column: &TableColumn) {
    let mut cells = column.cells();
    let Some(first) = cells.next() else { return };
    let is_same = |cell: Cell<'_>| match (first, cell) {
        (Cell::Array(a), Cell::Array(b)) => a.hash == b.hash,
        (a, b) => a == b,
    };
    if column.rows() > 1 && !first.is_missing() && cells.all(is_same) {
        checking.note(
            Some(name),
            column.rows(),
            format!("{name} is the same in every row: nothing can be learnt from it"),
        );
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut names = names.map(|name| shortened(name));
    let listed: Vec<String> = names.by_ref().take(MAX_NAMED).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    listed.join(", ") + more
}

/// A value that fits in a sentence.
pub(super) fn shortened(value: &str) -> String {
    const MAX_CHARACTERS: usize = 60;
    let clean = value.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut short: String = clean.take(MAX_CHARACTERS + 1).collect();
    if short.chars().count() > MAX_CHARACTERS {
        short = short.chars().take(MAX_CHARACTERS - 1).chain(['…']).collect();
    }
    short
}
