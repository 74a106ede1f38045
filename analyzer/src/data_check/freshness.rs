//! The share of rows that were not there the last time. Data that never changes teaches nothing new, data that all changes is not
//! the same task: between a tenth and a seventh a week is usual.

use std::collections::HashSet;

use super::inputs::Inputs;
use super::keys::row_keys;
use super::missing::percent;
use super::outcome::{Checking, Outcome};
use super::suspicious::Suspects;
use super::{Check, CheckName, DataCheckRequest};
use crate::rows::Table;

pub(super) fn check(inputs: &Inputs<'_>, previous: &Table, request: &DataCheckRequest) -> (Check, Suspects) {
    let rows = inputs.table.rows();
    let mut checking = Checking::new(CheckName::NewExamples, rows);
    let shared: Vec<_> = inputs
        .columns
        .iter()
        .filter_map(|(name, column)| Some((*name, *column, previous.column(name)?)))
        .collect();
    if shared.is_empty() {
        return checking.insufficient("the previous file has no column of the inputs".to_owned());
    }
    let keys = row_keys(
        &shared
            .iter()
            .map(|(name, column, _)| (*column, inputs.sameness(name)))
            .collect::<Vec<_>>(),
    );
    let before = row_keys(
        &shared
            .iter()
            .map(|(name, _, column)| (*column, inputs.sameness(name)))
            .collect::<Vec<_>>(),
    );
    let before: HashSet<u128> = before.into_iter().collect();
    let new = keys.iter().filter(|key| !before.contains(*key)).count();
    let here: HashSet<u128> = keys.into_iter().collect();
    let gone = before.iter().filter(|key| !here.contains(*key)).count();
    let (least, most) = request.new_share;
    let share = new as f64 / rows as f64;
    let (judged, outcome) = if share < least {
        ("fewer than", Outcome::Note)
    } else if share > most {
        ("more than", Outcome::Note)
    } else {
        ("within", Outcome::Fine)
    };
    let message = format!(
        "{} of the rows ({new}) were not there before, {judged} the expected {} to {}; {gone} different inputs of before are gone",
        percent(share),
        percent(least),
        percent(most)
    );
    checking.note(None, new, message.clone());
    checking.said(outcome, message)
}
