//! For a terminal: the columns, the one that moved most first.

use std::fmt::Write;

use driftlead_analyzer::file_drift::{ColumnDrift, DriftVerdict, FileDrift, Measured};
use driftlead_analyzer::rows::Kind;

use super::{Files, quality};
use crate::commands::numbers::{count, percent, short};

/// Widest name that a table has.
const MAX_NAME_CHARACTERS: usize = 40;

/// The verdict in words.
pub(super) fn headline(drift: &FileDrift) -> String {
    match (drift.verdict, drift.drifted.len()) {
        (DriftVerdict::Drift, 1) => format!("1 of {} columns drifted", drift.columns.len()),
        (DriftVerdict::Drift, drifted) => format!("{drifted} of {} columns drifted", drift.columns.len()),
        (DriftVerdict::None, _) => format!("none of {} columns drifted", drift.columns.len()),
        (DriftVerdict::Insufficient, _) => "too few rows to tell".to_owned(),
    }
}

/// The columns, the one that moved most first, then by name.
pub(super) fn sorted(drift: &FileDrift) -> Vec<(&String, &ColumnDrift)> {
    let mut columns: Vec<_> = drift.columns.iter().collect();
    let moved = |column: &ColumnDrift| column.shift.value.unwrap_or(-1.0);
    columns.sort_by(|a, b| moved(b.1).total_cmp(&moved(a.1)));
    columns
}

/// What else has to be said of a column.
pub(super) fn remarks(column: &ColumnDrift) -> Vec<String> {
    let mut remarks: Vec<String> = column.reason.iter().cloned().collect();
    let counts = column.counts;
    for (what, [before, now]) in [
        ("absent", counts.absent),
        ("NaN", counts.nan),
        ("infinite", counts.inf),
        ("no numbers", counts.type_mismatch),
    ] {
        if before > 0 || now > 0 {
            remarks.push(format!("{what}: {} before, {} now", count(before), count(now)));
        }
    }
    if let Some(compatible) = &column.compatible {
        let verdict = if compatible.drifted { "drift" } else { "no drift" };
        remarks.push(match (&compatible.score, compatible.method, compatible.threshold) {
            (Measured::Value(score), Some(method), Some(threshold)) => {
                format!("{method} {} (threshold {threshold}): {verdict}", short(*score))
            }
            (Measured::Undefined { undefined }, ..) => format!("not measured: {undefined}"),
            (Measured::Value(score), ..) => format!("{}: {verdict}", short(*score)),
        });
    }
    remarks
}

/// The whole report.
pub(super) fn text(files: &Files, drift: &FileDrift) -> String {
    let mut text = format!(
        "{}: {} ({} rows) against {} ({} rows), more than {} of the rows moved\n",
        headline(drift),
        files.current,
        count(drift.n),
        files.reference,
        count(drift.reference_n),
        percent(Some(drift.threshold)),
    );
    let columns = sorted(drift);
    let names: Vec<String> = columns.iter().map(|(name, _)| shortened(name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("column".len());
    let _ = writeln!(
        text,
        "\n  {:width$}  {:>8}  {:>19}  {:>9}  {:>9}  {:>9}  {:>9}",
        "column", "shift", "at 99 %", "surely", "p", "PSI", "distance"
    );
    for ((name, column), shown) in columns.iter().zip(&names) {
        let mark = if drift.drifted.contains(*name) { '!' } else { ' ' };
        let bounds = match (column.shift.lower, column.shift.upper) {
            (Some(lower), Some(upper)) => format!("{} to {}", percent(Some(lower)), percent(Some(upper))),
            _ => "–".to_owned(),
        };
        // A name's own width, not that of its bytes.
        let padding = " ".repeat(width - shown.chars().count());
        let _ = writeln!(
            text,
            "{mark} {shown}{padding}  {:>8}  {bounds:>19}  {:>9}  {:>9}  {:>9}  {:>9}",
            percent(column.shift.value),
            percent(column.shift.decision_lower),
            column.p_adjusted.map_or_else(|| "–".to_owned(), short),
            measured(&column.statistics.psi),
            distance(column),
        );
        for remark in remarks(column) {
            let _ = writeln!(text, "  {:width$}    {remark}", "");
        }
    }
    for name in &drift.only_in_current {
        let _ = writeln!(
            text,
            "\n  {} is only in {}: there is nothing to compare it with",
            shortened(name),
            files.current
        );
    }
    for (name, reason) in &drift.left_out {
        let _ = writeln!(text, "\n  {} is left out: {reason}", shortened(name));
    }
    if let Some(measured) = &drift.quality {
        text.push('\n');
        for line in std::iter::once(quality::HEADINGS.map(str::to_owned)).chain(quality::lines(measured)) {
            let [name, before, now, expected] = line;
            let _ = writeln!(text, "  {name:<20}  {before:>24}  {now:>24}  {expected:>24}");
        }
        for remark in quality::remarks(measured) {
            let _ = writeln!(text, "    {remark}");
        }
        text.push_str("  in brackets: bounds at 99 %; expected: what scores or earlier errors promise without labels.\n");
    }
    text.push_str("\n  ! drifted. shift: the share of rows that moved; surely: what it is not below in any column, at 99 %;\n");
    text.push_str("  p: adjusted for all columns; distance: Kolmogorov–Smirnov of numbers, total variation of categories.\n");
    text
}

/// A name without what moves a terminal's cursor, and not too long.
fn shortened(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= MAX_NAME_CHARACTERS {
        return clean;
    }
    clean.chars().take(MAX_NAME_CHARACTERS - 1).chain(['…']).collect()
}

fn measured(measured: &Measured<f64>) -> String {
    match measured {
        Measured::Value(value) => short(*value),
        Measured::Undefined { .. } => "–".to_owned(),
    }
}

fn distance(column: &ColumnDrift) -> String {
    match (column.kind, &column.statistics.ks) {
        (Kind::Numeric, Some(Measured::Value(test))) => short(test.statistic),
        (Kind::Numeric, _) => "–".to_owned(),
        (Kind::Categorical, _) => measured(&column.statistics.total_variation),
    }
}
