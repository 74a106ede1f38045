//! Rows that are there more than once: in every cell, or but for letters' case, punctuation and white space. The id column, which
//! tells rows apart whatever is in them, is not looked at.

use std::collections::HashMap;

use super::inputs::Inputs;
use super::keys::{Sameness, row_keys};
use super::missing::percent;
use super::outcome::Checking;
use super::suspicious::Suspect;
use super::{CheckName, Limits};

/// How suspicious a copy is: it may be meant, a wrong label never is.
const COPY_SCORE: f64 = 0.5;
const NEAR_COPY_SCORE: f64 = 0.4;

pub(super) fn check(inputs: &Inputs<'_>, limits: &Limits) -> Checking {
    let rows = inputs.table.rows();
    let mut checking = Checking::new(CheckName::Duplicates, rows);
    let all = || inputs.columns.iter().chain(&inputs.label);
    let exact = row_keys(&all().map(|(_, column)| (*column, Sameness::Exact)).collect::<Vec<_>>());
    let near = row_keys(&all().map(|(name, column)| (*column, inputs.sameness(name))).collect::<Vec<_>>());
    let (mut first_exact, mut first_near) = (HashMap::new(), HashMap::new());
    let (mut copies, mut near_copies) = (0, 0);
    for row in 0..exact.len() {
        let same = *first_exact.entry(exact[row]).or_insert(row);
        let alike = *first_near.entry(near[row]).or_insert(row);
        if same != row {
            copies += 1;
            checking
                .suspects
                .add(Suspect::of(row, COPY_SCORE, format!("it is the same as row {}", same + 1)));
        } else if alike != row {
            near_copies += 1;
            let reason = format!("but for case, punctuation and white space it is the same as row {}", alike + 1);
            checking.suspects.add(Suspect::of(row, NEAR_COPY_SCORE, reason));
        }
    }
    if copies + near_copies > 0 {
        let surplus = copies + near_copies;
        let share = percent(surplus as f64 / rows as f64);
        let message =
            format!("{surplus} rows ({share}) repeat another one, {near_copies} of them but for case, punctuation and white space");
        checking.found(None, surplus, limits.duplicates, message);
    }
    checking
}
