//! JUnit's XML: one case for each column.

use std::fmt::Write;

use driftlead_analyzer::file_drift::{DriftVerdict, FileDrift};

use super::Files;
use super::text::{headline, remarks};
use crate::commands::markup::escaped;
use crate::commands::numbers::percent;

/// As GitLab, Jenkins and GitHub's actions read it.
pub(super) fn junit(files: &Files, drift: &FileDrift) -> String {
    let name = escaped(&format!("{} against {}", files.current, files.reference));
    let errors = usize::from(drift.verdict == DriftVerdict::Insufficient);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"driftlead drift {name}\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\">\n",
        drift.columns.len() + errors,
        drift.drifted.len(),
    );
    if errors > 0 {
        let _ = writeln!(
            xml,
            "  <testcase classname=\"{name}\" name=\"verdict\"><error type=\"insufficient\" message=\"{}\"/></testcase>",
            escaped(&headline(drift))
        );
    }
    for (column, moved) in &drift.columns {
        let shift = moved.shift;
        let mut said = format!(
            "shift {} ({} to {} at 99 %), surely above {}, threshold {}",
            percent(shift.value),
            percent(shift.lower),
            percent(shift.upper),
            percent(shift.decision_lower),
            percent(Some(drift.threshold)),
        );
        for remark in remarks(moved) {
            let _ = write!(said, "; {remark}");
        }
        let said = escaped(&said);
        let outcome = if drift.drifted.contains(column) {
            format!("<failure message=\"{said}\"/>")
        } else {
            format!("<system-out>{said}</system-out>")
        };
        let _ = writeln!(
            xml,
            "  <testcase classname=\"{name}\" name=\"{}\">{outcome}</testcase>",
            escaped(column)
        );
    }
    xml.push_str("</testsuite>\n");
    xml
}
