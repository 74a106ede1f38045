//! The same input with different labels: at most one of them can be learnt.

use std::collections::{BTreeMap, HashMap};

use super::inputs::Inputs;
use super::missing::percent;
use super::outcome::Checking;
use super::suspicious::Suspect;
use super::{CheckName, Limits};

/// Labels that a reason names.
const MAX_NAMED: usize = 4;

/// `keys`: what makes the inputs of two rows the same.
pub(super) fn check(inputs: &Inputs<'_>, keys: &[u128], limits: &Limits) -> Checking {
    let mut checking = Checking::new(CheckName::ConflictingLabels, inputs.table.rows());
    let mut groups: HashMap<u128, Vec<usize>> = HashMap::new();
    for (row, key) in keys.iter().enumerate() {
        if inputs.label_of(row).is_some() {
            groups.entry(*key).or_default().push(row);
        }
    }
    let (mut rows, mut inputs_in_conflict) = (0, 0);
    let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by_key(|group| group[0]);
    for group in groups {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for row in &group {
            *counts.entry(inputs.label_of(*row).unwrap_or_default().into_owned()).or_default() += 1;
        }
        if counts.len() < 2 {
            continue;
        }
        inputs_in_conflict += 1;
        rows += group.len();
        let mut labels: Vec<(&String, &usize)> = counts.iter().collect();
        labels.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        // Only where one label is given more often than any other, it is a suggestion.
        let suggested = (labels[0].1 > labels[1].1).then(|| labels[0].0.clone());
        let named: Vec<String> = labels
            .iter()
            .take(MAX_NAMED)
            .map(|(label, count)| format!("{label} ({count})"))
            .collect();
        let more = if labels.len() > MAX_NAMED { ", …" } else { "" };
        for row in &group {
            let given = inputs.label_of(*row).unwrap_or_default();
            let share = counts[given.as_ref()] as f64 / group.len() as f64;
            let other = suggested.as_ref().filter(|label| **label != given);
            checking.suspects.add(Suspect {
                row: *row,
                reason: format!(
                    "{} rows with this input have different labels: {}{more}",
                    group.len(),
                    named.join(", ")
                ),
                suggested: other.map(|label| (label.clone(), counts[label] as f64 / group.len() as f64)),
                score: 1.0 - share,
            });
        }
    }
    if rows > 0 {
        let share = percent(rows as f64 / inputs.table.rows() as f64);
        let message = format!("{inputs_in_conflict} inputs have different labels, in {rows} rows ({share})");
        checking.found(None, rows, limits.conflicts, message);
    }
    checking
}
