//! The one list of suspicious rows that all checks write to.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;

use super::CheckName;

/// Rows that are listed of one check at most: more than anybody looks through, and what bounds the list's memory.
pub const MAX_ROWS_OF_CHECK: usize = 10_000;

/// A row, and why somebody should look at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuspiciousRow {
    /// Its number, from 1; the header is none.
    pub row: u64,
    /// What the id column says of it.
    pub id: Option<String>,
    /// The check that found it.
    pub check: CheckName,
    /// Why, in a sentence.
    pub reason: String,
    /// The label that it has.
    pub given_label: Option<String>,
    /// The label that it probably should have.
    pub suggested_label: Option<String>,
    /// How probable that label is, from 0 to 1.
    pub suggested_probability: Option<f64>,
    /// How suspicious it is, from 0 to 1 (certainly wrong); it orders the rows of a check.
    pub score: f64,
}

/// What a check says of a row.
pub(super) struct Suspect {
    /// Its index, from 0.
    pub row: usize,
    pub reason: String,
    pub suggested: Option<(String, f64)>,
    pub score: f64,
}

impl Suspect {
    /// A row without a suggestion.
    pub(super) fn of(row: usize, score: f64, reason: String) -> Self {
        Self {
            row,
            reason,
            suggested: None,
            score,
        }
    }
}

/// The suspects of one check: those that are most suspicious, and how many there were.
#[derive(Default)]
pub(super) struct Suspects {
    kept: Vec<Suspect>,
    rows: BTreeSet<usize>,
}

impl Suspects {
    /// Takes a suspect.
    pub(super) fn add(&mut self, suspect: Suspect) {
        self.rows.insert(suspect.row);
        self.kept.push(suspect);
        if self.kept.len() >= 2 * MAX_ROWS_OF_CHECK {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.kept.sort_by(most_suspicious_first);
        self.kept.truncate(MAX_ROWS_OF_CHECK);
    }

    /// The most suspicious first, and all rows.
    pub(super) fn ended(mut self) -> (Vec<Suspect>, BTreeSet<usize>) {
        self.shorten();
        (self.kept, self.rows)
    }
}

fn most_suspicious_first(a: &Suspect, b: &Suspect) -> Ordering {
    b.score.total_cmp(&a.score).then(a.row.cmp(&b.row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_suspicious_are_kept_and_all_are_counted() {
        let mut suspects = Suspects::default();
        for row in 0..3 * MAX_ROWS_OF_CHECK {
            suspects.add(Suspect::of(row, row as f64, String::new()));
        }
        suspects.add(Suspect::of(0, 0.5, String::new()));
        let (kept, rows) = suspects.ended();
        assert_eq!((kept.len(), rows.len()), (MAX_ROWS_OF_CHECK, 3 * MAX_ROWS_OF_CHECK));
        assert_eq!(kept[0].row, 3 * MAX_ROWS_OF_CHECK - 1);
        assert!(kept.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }
}
