//! JUnit's XML: one case for each check.

use std::fmt::Write;

use driftlead_analyzer::data_check::{DataReport, Outcome};

use super::text::MAX_SHOWN_FINDINGS;
use crate::commands::markup::escaped;

/// As GitLab, Jenkins and GitHub's actions read it.
pub(super) fn junit(file: &str, report: &DataReport) -> String {
    let name = escaped(file);
    let count = |outcome| report.checks.iter().filter(|check| check.outcome == outcome).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"driftlead check-data {name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
        report.checks.len(),
        count(Outcome::Found),
        count(Outcome::Insufficient),
        count(Outcome::NotAsked),
    );
    for check in &report.checks {
        let message = escaped(&check.message);
        let findings: Vec<&str> = check
            .findings
            .iter()
            .take(MAX_SHOWN_FINDINGS)
            .map(|finding| finding.message.as_str())
            .collect();
        let findings = escaped(&findings.join("; "));
        let outcome = match check.outcome {
            Outcome::Found => format!("<failure message=\"{message}\">{findings}</failure>"),
            Outcome::Insufficient => format!("<error type=\"insufficient\" message=\"{message}\"/>"),
            Outcome::NotAsked => format!("<skipped message=\"{message}\"/>"),
            Outcome::Fine | Outcome::Note if findings.is_empty() => format!("<system-out>{message}</system-out>"),
            Outcome::Fine | Outcome::Note => format!("<system-out>{message}; {findings}</system-out>"),
        };
        let check = check.check.as_str();
        let _ = writeln!(xml, "  <testcase classname=\"{name}\" name=\"{check}\">{outcome}</testcase>");
    }
    xml.push_str("</testsuite>\n");
    xml
}
