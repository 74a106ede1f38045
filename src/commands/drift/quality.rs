//! How good the predictions are, as a table for people.

use std::collections::BTreeSet;

use driftlead_analyzer::file_drift::{Bounded, Measured, Measures, Quality};

use crate::commands::numbers::{count, short};

/// The names of the columns.
pub(super) const HEADINGS: [&str; 4] = ["quality", "reference", "current", "expected"];

/// A line for each measure: its name, and what it is in the reference, in the file, and expected of it without labels.
pub(super) fn lines(quality: &Quality) -> Vec<[String; 4]> {
    let expected = match &quality.estimated {
        Measured::Value(measures) => Some(measures),
        Measured::Undefined { .. } => None,
    };
    let sides = [Some(&quality.reference), quality.current.as_ref(), expected];
    let names: BTreeSet<&str> = sides.iter().flatten().flat_map(|side| side.of.keys().copied()).collect();
    let line = |name: &str, of: &dyn Fn(&Measures) -> String| {
        let [reference, current, expected] = sides.map(|side| side.map_or_else(|| "–".to_owned(), of));
        [name.to_owned(), reference, current, expected]
    };
    let mut lines = vec![line("rows", &|side| count(side.n))];
    if sides.iter().flatten().any(|side| side.left_out > 0) {
        lines.push(line("rows left out", &|side| count(side.left_out)));
    }
    lines.extend(
        names
            .into_iter()
            .map(|name| line(name, &|side| side.of.get(name).map_or_else(|| "–".to_owned(), shown))),
    );
    lines
}

/// What else has to be said.
pub(super) fn remarks(quality: &Quality) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Measured::Undefined { undefined } = &quality.estimated {
        remarks.push(format!("nothing can be expected of the quality: {undefined}"));
    }
    for (side, measures) in [
        ("the reference", Some(&quality.reference)),
        ("the current file", quality.current.as_ref()),
    ] {
        for (name, measure) in measures.iter().flat_map(|measures| &measures.of) {
            if let Measured::Undefined { undefined } = measure {
                remarks.push(format!("{name} of {side} has no value: {undefined}"));
            }
        }
    }
    remarks
}

fn shown(measure: &Measured<Bounded>) -> String {
    match measure {
        Measured::Undefined { .. } => "–".to_owned(),
        Measured::Value(Bounded {
            value,
            lower: Some(lower),
            upper: Some(upper),
        }) => format!("{} ({} to {})", short(*value), short(*lower), short(*upper)),
        Measured::Value(measure) => short(measure.value),
    }
}
