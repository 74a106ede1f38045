//! Values that are not there: by column, of the label, and rows that are mostly empty. NaN is missing, as pandas has it.

use super::inputs::Inputs;
use super::outcome::Checking;
use super::reference::Reference;
use super::suspicious::Suspect;
use super::{CheckName, Limits};

/// A row of which more than this share is missing is suspicious.
const EMPTY_SHARE: f64 = 0.5;
/// Words that are often written for what is missing, and are values of a column of categories all the same.
const DOUBTFUL: [&str; 10] = ["NA", "N/A", "NULL", "null", "None", "none", "nan", "NaN", "?", "-"];

pub(super) fn check(inputs: &Inputs<'_>, reference: Option<&Reference>, limits: &Limits) -> Checking {
    let rows = inputs.table.rows();
    let mut checking = Checking::new(CheckName::Missing, rows);
    let mut missing_of_row = vec![0_u32; rows];
    for (name, column) in inputs.columns.iter().chain(&inputs.id) {
        let mut missing = 0;
        for (row, cell) in column.cells().enumerate() {
            if cell.is_missing() {
                missing += 1;
                missing_of_row[row] += 1;
            }
        }
        let usual = reference
            .and_then(|reference| reference.column(name))
            .map_or(0.0, |column| column.missing);
        let limit = (limits.missing + usual).min(1.0);
        if missing == rows && usual < 1.0 {
            checking.found(Some(name), missing, 0.0, format!("{name} has no value in any row"));
        } else if missing > 0 {
            let before = if usual > 0.0 {
                format!(", {} in the reference", percent(usual))
            } else {
                String::new()
            };
            let words = match column.words_for_missing() {
                0 => String::new(),
                words => format!(" ({words} written as NA, null or alike)"),
            };
            let share = percent(missing as f64 / rows as f64);
            checking.found(
                Some(name),
                missing,
                limit,
                format!("{name} is missing in {share} of the rows{before}{words}"),
            );
        }
        note_doubtful(&mut checking, name, column);
    }
    if let Some((name, _)) = inputs.label {
        let unlabelled: Vec<usize> = (0..rows).filter(|row| inputs.label_of(*row).is_none()).collect();
        if !unlabelled.is_empty() {
            checking.found(
                Some(name),
                unlabelled.len(),
                0.0,
                format!("{} rows have no label ({name})", unlabelled.len()),
            );
        }
        for row in unlabelled {
            checking.suspects.add(Suspect::of(row, 1.0, "it has no label".to_owned()));
        }
    }
    let columns = inputs.columns.len();
    let mut empty = 0;
    for (row, missing) in missing_of_row.iter().enumerate() {
        let share = f64::from(*missing) / columns.max(1) as f64;
        if share > EMPTY_SHARE {
            empty += 1;
            checking.suspects.add(Suspect::of(
                row,
                share.min(1.0),
                format!("{missing} of its {columns} values are missing"),
            ));
        }
    }
    if empty > 0 {
        checking.found(None, empty, limits.missing, format!("{empty} rows are mostly empty"));
    }
    checking
}

fn note_doubtful(checking: &mut Checking, name: &str, column: &crate::rows::TableColumn) {
    let doubtful: Vec<usize> = (0..column.texts())
        .filter(|index| DOUBTFUL.contains(&column.text(*index).trim()))
        .collect();
    if doubtful.is_empty() || column.kind() != crate::rows::CellKind::Categorical {
        return;
    }
    let rows = (0..column.rows())
        .filter(|row| column.text_index(*row).is_some_and(|index| doubtful.contains(&index)))
        .count();
    let word = column.text(doubtful[0]);
    checking.note(
        Some(name),
        rows,
        format!("{rows} values of {name} are written as {word:?} or alike: they count as values"),
    );
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 1e-5 {
        "under 0.001 %".to_owned()
    } else if share > 0.0 && share < 1e-3 {
        format!("{:.3} %", share * 100.0)
    } else {
        format!("{:.1} %", share * 100.0)
    }
}
