//! A page by itself: no script, nothing that it loads, so that it can be attached to a ticket.

use std::fmt::Write;

use driftlead_analyzer::data_check::{Check, DataReport, DataVerdict, Outcome};

use super::text::{headline, taken_for, word};
use crate::commands::markup::escaped;
use crate::commands::numbers::{count, percent};

const STYLE: &str = include_str!("../page.css");
/// Findings of a check that are shown; the others are in the JSON.
const MAX_SHOWN_FINDINGS: usize = 200;
/// Rows of a check that are shown; the others are in the list.
const MAX_SHOWN_ROWS: usize = 50;

/// The page.
pub(super) fn page(file: &str, report: &DataReport) -> String {
    let name = escaped(file);
    let state = match report.verdict {
        DataVerdict::Found => "critical",
        DataVerdict::Fine => "ok",
        DataVerdict::Insufficient => "unknown",
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Data: {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1><span class=\"state {state}\">{}</span> {name}</h1>\n<p>{} rows, {} columns; {} rows are suspicious.</p>\n<p>{}.</p>\n",
        escaped(&headline(report)),
        count(report.rows),
        report.columns,
        count(report.suspicious_rows),
        escaped(&taken_for(report)),
    );
    for check in &report.checks {
        write_check(&mut page, check, report);
    }
    let _ = writeln!(page, "<footer>Driftlead {}</footer>\n</body>\n</html>", env!("CARGO_PKG_VERSION"));
    page
}

fn write_check(page: &mut String, check: &Check, report: &DataReport) {
    let state = match check.outcome {
        Outcome::Found => "critical",
        Outcome::Fine | Outcome::Note => "ok",
        Outcome::Insufficient | Outcome::NotAsked => "unknown",
    };
    let open = if check.outcome == Outcome::Found { " open" } else { "" };
    let _ = writeln!(
        page,
        "<details{open}>\n<summary><b>{}</b><span class=\"state {state}\">{}</span><span class=\"number\">{} suspicious rows</span></summary>\n<p>{}.</p>",
        check.check.title(),
        word(check.outcome),
        count(check.suspicious_rows),
        escaped(&check.message),
    );
    if !check.findings.is_empty() {
        page.push_str("<table>\n<tr><th>finding</th><th>rows</th><th>share</th><th>limit</th></tr>\n");
        for finding in check.findings.iter().take(MAX_SHOWN_FINDINGS) {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                escaped(&finding.message),
                count(finding.rows),
                percent(Some(finding.share)),
                percent(finding.limit),
            );
        }
        page.push_str("</table>\n");
    }
    let mut rows = report
        .suspicious
        .iter()
        .filter(|row| row.check == check.check)
        .take(MAX_SHOWN_ROWS)
        .peekable();
    if rows.peek().is_some() {
        page.push_str("<table>\n<tr><th>row</th><th>id</th><th>label</th><th>suggested</th><th>why</th></tr>\n");
        for row in rows {
            let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), escaped);
            let _ = writeln!(
                page,
                "<tr><td class=\"number\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                row.row,
                shown(&row.id),
                shown(&row.given_label),
                shown(&row.suggested_label),
                escaped(&row.reason),
            );
        }
        page.push_str("</table>\n");
    }
    page.push_str("</details>\n");
}
