//! The list of suspicious rows as CSV: a line for each row and check.

use std::borrow::Cow;

use anyhow::Context;
use driftlead_analyzer::data_check::DataReport;

/// The columns of the list.
const HEADER: [&str; 8] = [
    "row",
    "id",
    "check",
    "reason",
    "given_label",
    "suggested_label",
    "suggested_probability",
    "score",
];

/// The list.
pub(super) fn csv(report: &DataReport) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for row in &report.suspicious {
        let text = |text: &Option<String>| harmless(text.as_deref().unwrap_or_default()).into_owned();
        writer.write_record([
            row.row.to_string(),
            text(&row.id),
            row.check.as_str().to_owned(),
            harmless(&row.reason).into_owned(),
            text(&row.given_label),
            text(&row.suggested_label),
            row.suggested_probability
                .map_or_else(String::new, |probability| format!("{probability:.4}")),
            format!("{:.4}", row.score),
        ])?;
    }
    writer.into_inner().context("the list of rows cannot be finished")
}

/// A text that no spreadsheet takes for a formula: one that begins like one, and is no number, gets an apostrophe before it.
fn harmless(text: &str) -> Cow<'_, str> {
    let begins_like_one = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if begins_like_one && text.parse::<f64>().is_err() {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2+3", "'-2+3"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("\t=1", "'\t=1"),
            ("-2.5", "-2.5"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), cell);
        }
    }
}
