//! For a terminal: each check in a line, what it found below it.

use std::fmt::Write;

use driftlead_analyzer::data_check::{DataReport, DataVerdict, Outcome};

use crate::commands::numbers::count;

/// Findings of a check that are shown; the others are in the JSON.
pub(super) const MAX_SHOWN_FINDINGS: usize = 20;
/// Rows that are shown; the others are in the list.
const MAX_SHOWN_ROWS: usize = 10;
/// Widest sentence that is shown of a row.
const MAX_REASON_CHARACTERS: usize = 120;

/// The verdict in words.
pub(super) fn headline(report: &DataReport) -> String {
    let found = report.checks.iter().filter(|check| check.outcome == Outcome::Found).count();
    match (report.verdict, found) {
        (DataVerdict::Found, 1) => "1 check found something beyond its limit".to_owned(),
        (DataVerdict::Found, found) => format!("{found} checks found something beyond their limits"),
        (DataVerdict::Fine, _) => "nothing is beyond its limit".to_owned(),
        (DataVerdict::Insufficient, _) => "a check could not tell".to_owned(),
    }
}

/// How a check ended, in a word.
pub(super) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Found => "found",
        Outcome::Note => "note",
        Outcome::Fine => "fine",
        Outcome::Insufficient => "cannot tell",
        Outcome::NotAsked => "not asked",
    }
}

/// What was taken for what, in a sentence.
pub(super) fn taken_for(report: &DataReport) -> String {
    let column = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    let texts = if report.texts.is_empty() {
        "none".to_owned()
    } else {
        report.texts.join(", ")
    };
    format!("label: {}; id: {}; texts: {texts}", column(&report.label), column(&report.id))
}

/// The whole report.
pub(super) fn text(file: &str, report: &DataReport) -> String {
    let rows = count(report.rows);
    let mut text = format!("{}: {} ({rows} rows, {} columns)\n", headline(report), clean(file), report.columns);
    let _ = writeln!(text, "{}\n", clean(&taken_for(report)));
    for check in &report.checks {
        let mark = if check.outcome == Outcome::Found { '!' } else { ' ' };
        let _ = writeln!(
            text,
            "{mark} {:<19} {:<12} {}",
            check.check.title(),
            word(check.outcome),
            clean(&check.message)
        );
        // One finding is the sentence itself.
        let is_said = |message: &str| message == check.message;
        for finding in check
            .findings
            .iter()
            .filter(|finding| !is_said(&finding.message))
            .take(MAX_SHOWN_FINDINGS)
        {
            let mark = if finding.is_beyond_limit { '!' } else { '-' };
            let _ = writeln!(text, "{:>34}{mark} {}", "", clean(&finding.message));
        }
        if check.findings.len() > MAX_SHOWN_FINDINGS {
            let _ = writeln!(text, "{:>34}- and {} more", "", check.findings.len() - MAX_SHOWN_FINDINGS);
        }
    }
    let _ = writeln!(text, "\n  {} rows are suspicious", count(report.suspicious_rows));
    let mut worst: Vec<_> = report.suspicious.iter().collect();
    worst.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    for row in worst.iter().take(MAX_SHOWN_ROWS) {
        let _ = writeln!(text, "    row {}: {}", row.row, shortened(&row.reason));
    }
    if report.suspicious_rows > 0 {
        text.push_str("  --suspicious ROWS.csv lists them, --label-studio TASKS.json makes tasks of them\n");
    }
    text
}

/// A text without what moves a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shortened(text: &str) -> String {
    let clean = clean(text);
    if clean.chars().count() <= MAX_REASON_CHARACTERS {
        return clean;
    }
    clean.chars().take(MAX_REASON_CHARACTERS - 1).chain(['…']).collect()
}
