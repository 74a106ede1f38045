//! Numbers outside of what they may be: a declared range, or what the reference's numbers lie in; infinite ones are outside of
//! any. Arrays such as images have to lie in [0, 1] where most of them do.

use super::inputs::Inputs;
use super::missing::percent;
use super::outcome::Checking;
use super::reference::Reference;
use super::suspicious::Suspect;
use super::{CheckName, DataCheckRequest};
use crate::rows::{Cell, CellKind, TableColumn};

/// Arrays are meant to lie in [0, 1] where at least this share of them does.
const NORMALISED_SHARE: f64 = 0.5;
/// Rounding of single precision may go beyond an end by so much of the range's width.
const ROUNDING: f64 = 1e-6;

/// From the smallest to the largest number that may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    least: f64,
    most: f64,
}

impl Range {
    pub(super) fn of((least, most): (f64, f64)) -> Self {
        Self { least, most }
    }

    /// How far a number is beyond an end, in widths of the range.
    fn beyond(self, number: f64) -> Option<f64> {
        let width = (self.most - self.least).max(f64::MIN_POSITIVE);
        let beyond = (self.least - number).max(number - self.most) / width;
        (beyond > ROUNDING || !number.is_finite()).then_some(beyond)
    }

    fn text(self) -> String {
        format!("{}..{}", self.least, self.most)
    }
}

pub(super) fn check(inputs: &Inputs<'_>, reference: Option<&Reference>, request: &DataCheckRequest) -> Checking {
    let mut checking = Checking::new(CheckName::Ranges, inputs.table.rows());
    for (name, column) in inputs.columns.iter().chain(&inputs.label) {
        let declared = request.ranges.get(*name).map(|range| Range::of(*range));
        let learnt = reference.and_then(|reference| reference.column(name)?.range).map(Range::of);
        match (declared, learnt) {
            (Some(range), _) => check_column(&mut checking, name, column, range, "", 0.0),
            (None, Some(range)) => {
                check_column(&mut checking, name, column, range, " of the reference", request.limits.out_of_range);
            }
            (None, None) if column.kind() == CellKind::Array => check_normalised(&mut checking, name, column),
            (None, None) => check_finite(&mut checking, name, column),
        }
    }
    for (class, column) in &inputs.probabilities {
        check_column(&mut checking, class, column, Range::of((0.0, 1.0)), " of a probability", 0.0);
    }
    checking
}

fn check_column(checking: &mut Checking, name: &str, column: &TableColumn, range: Range, whose: &str, limit: f64) {
    let mut outside = 0;
    for (row, cell) in column.cells().enumerate() {
        let ends = match cell {
            Cell::Number(number) if !number.is_nan() => [Some(number), None],
            Cell::Array(array) if array.not_numbers > 0 => {
                outside += 1;
                let reason = format!("{} of the numbers of {name} are NaN, infinite or none", array.not_numbers);
                checking.suspects.add(Suspect::of(row, 1.0, reason));
                continue;
            }
            Cell::Array(array) => [array.least, array.most],
            _ => continue,
        };
        let worst = ends
            .into_iter()
            .flatten()
            .filter_map(|number| Some((number, range.beyond(number)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((number, beyond)) = worst {
            outside += 1;
            let score = if beyond.is_finite() {
                0.5 + 0.5 * beyond / (1.0 + beyond)
            } else {
                1.0
            };
            checking.suspects.add(Suspect::of(
                row,
                score,
                format!("{name} is {number}, outside of {}{}", range.text(), whose.trim_end_matches(',')),
            ));
        }
    }
    if outside > 0 {
        let share = percent(outside as f64 / column.rows() as f64);
        checking.found(
            Some(name),
            outside,
            limit,
            format!("{name} is outside of {}{whose} in {outside} rows ({share})", range.text()),
        );
    }
}

fn check_finite(checking: &mut Checking, name: &str, column: &TableColumn) {
    let mut infinite = 0;
    for (row, cell) in column.cells().enumerate() {
        if matches!(cell, Cell::Number(number) if number.is_infinite()) {
            infinite += 1;
            checking.suspects.add(Suspect::of(row, 1.0, format!("{name} is infinite")));
        }
    }
    if infinite > 0 {
        checking.found(Some(name), infinite, 0.0, format!("{name} is infinite in {infinite} rows"));
    }
}

/// Arrays of which nobody said what they may be.
fn check_normalised(checking: &mut Checking, name: &str, column: &TableColumn) {
    let unit = Range::of((0.0, 1.0));
    let (mut arrays, mut inside, mut broken) = (0, 0, 0);
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for cell in column.cells() {
        if let Cell::Array(array) = cell {
            arrays += 1;
            broken += usize::from(array.not_numbers > 0);
            let ends = [array.least, array.most];
            inside += usize::from(ends.into_iter().flatten().all(|number| unit.beyond(number).is_none()));
            least = array.least.map_or(least, |number| least.min(number));
            most = array.most.map_or(most, |number| most.max(number));
        }
    }
    if arrays == 0 {
        return;
    }
    if inside as f64 >= NORMALISED_SHARE * arrays as f64 {
        check_column(checking, name, column, unit, ", where most of its arrays lie,", 0.0);
        return;
    }
    // Whatever they may be, they are finite numbers.
    if broken > 0 {
        check_column(checking, name, column, Range::of((least, most)), "", 0.0);
    }
    // Pixels are meant to be normalised; what can be negative is something else, such as an embedding.
    if least >= 0.0 && least.is_finite() {
        checking.note(
            Some(name),
            arrays - inside,
            format!("{name} lies in {least}..{most}, not in 0..1: say --range {name}=LEAST..MOST for what is meant"),
        );
    }
}
