//! Arrays of another shape than what was declared, than the reference's, or than nearly all others have.

use std::collections::BTreeMap;

use super::inputs::Inputs;
use super::outcome::Checking;
use super::reference::Reference;
use super::suspicious::Suspect;
use super::{CheckName, DataCheckRequest};
use crate::rows::{Cell, CellKind, TableColumn, shape_text};

/// A shape that at least this share of the arrays has is what all are meant to have.
const USUAL_SHARE: f64 = 0.9;

/// The shape that arrays of a column are meant to have, with whether nearly all have it.
pub(super) fn usual(column: &TableColumn) -> Option<(Vec<usize>, f64)> {
    let mut counts: BTreeMap<&[usize], usize> = BTreeMap::new();
    let mut arrays = 0;
    for cell in column.cells() {
        if let Cell::Array(array) = cell {
            arrays += 1;
            if let Some(shape) = &array.shape {
                *counts.entry(shape).or_default() += 1;
            }
        }
    }
    let (shape, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some((shape.to_vec(), count as f64 / f64::from(arrays)))
}

/// The shape of a column whose arrays nearly all have it.
pub(super) fn fixed(column: &TableColumn) -> Option<Vec<usize>> {
    usual(column).filter(|(_, share)| *share >= USUAL_SHARE).map(|(shape, _)| shape)
}

pub(super) fn check(inputs: &Inputs<'_>, reference: Option<&Reference>, request: &DataCheckRequest) -> Checking {
    let mut checking = Checking::new(CheckName::Shapes, inputs.table.rows());
    for (name, column) in &inputs.columns {
        let declared = request.shapes.get(*name).cloned();
        let of_reference = reference.and_then(|reference| reference.column(name)?.shape.clone());
        let learnt = || (column.kind() == CellKind::Array).then(|| usual(column)).flatten();
        match (declared, of_reference) {
            (Some(shape), _) => check_column(&mut checking, name, column, &shape, "which was declared"),
            (None, Some(shape)) => check_column(&mut checking, name, column, &shape, "which the reference has"),
            (None, None) => match learnt() {
                Some((shape, share)) if share >= USUAL_SHARE => {
                    check_column(&mut checking, name, column, &shape, "which nearly all have");
                }
                Some((shape, share)) => {
                    let others = ((1.0 - share) * column.rows() as f64).round() as usize;
                    let message = format!("arrays of {name} have many shapes, {} is the most usual", shape_text(&shape));
                    checking.note(Some(name), others, message);
                }
                None => {}
            },
        }
    }
    checking
}

fn check_column(checking: &mut Checking, name: &str, column: &TableColumn, shape: &[usize], why: &str) {
    let wanted = shape_text(shape);
    let mut different = 0;
    for (row, cell) in column.cells().enumerate() {
        let found = match cell {
            Cell::Array(array) if array.shape.as_deref() == Some(shape) => continue,
            Cell::Array(array) => array.shape_text(),
            cell if cell.is_missing() => continue,
            _ => "no array".to_owned(),
        };
        different += 1;
        checking.suspects.add(Suspect::of(
            row,
            1.0,
            format!("the shape of {name} is {found}, not {wanted}, {why}"),
        ));
    }
    if different > 0 {
        checking.found(
            Some(name),
            different,
            0.0,
            format!("{different} rows of {name} do not have the shape {wanted}, {why}"),
        );
    }
}
