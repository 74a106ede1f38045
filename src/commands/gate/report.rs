//! A verdict for people and for CI.

use std::fmt::Write;

use super::{Flip, Outcome, Verdict};
use crate::commands::markup::escaped;

/// Flips that the text names; all of them are in JSON and JUnit.
const MAX_NAMED_FLIPS: usize = 20;

/// For a terminal.
pub(super) fn text(verdict: &Verdict) -> String {
    let against = verdict
        .baseline_version
        .as_ref()
        .map_or_else(String::new, |baseline| format!(" against {baseline}"));
    let examples = verdict.details["measured"]["examples"].as_u64().unwrap_or_default();
    let mut text = format!(
        "{}: {} {}{against}, {examples} examples\n",
        verdict.verdict.as_str(),
        verdict.model,
        verdict.version
    );
    for reason in &verdict.reasons {
        let _ = writeln!(text, "  - {reason}");
    }
    let lost = verdict.flips.iter().filter(|flip| flip.harmed).count();
    if !verdict.flips.is_empty() {
        let plural = if lost == 1 { "example" } else { "examples" };
        let _ = writeln!(text, "{lost} {plural} lost, {} gained", verdict.flips.len() - lost);
    }
    for flip in verdict.flips.iter().take(MAX_NAMED_FLIPS) {
        let kind = if flip.harmed { "lost  " } else { "gained" };
        let _ = writeln!(text, "  {kind} {}: {}", flip.example, change(flip));
    }
    if verdict.flips.len() > MAX_NAMED_FLIPS {
        let _ = writeln!(text, "  … and {} more", verdict.flips.len() - MAX_NAMED_FLIPS);
    }
    text
}

/// JUnit's XML as GitLab, Jenkins and GitHub's actions read it: one case for the verdict, one for each flip.
pub(super) fn junit(verdict: &Verdict) -> String {
    let name = escaped(&format!("{} {}", verdict.model, verdict.version));
    let reasons = escaped(&verdict.reasons.join("; "));
    let lost = verdict.flips.iter().filter(|flip| flip.harmed).count();
    let (failures, errors) = match verdict.verdict {
        Outcome::Pass => (lost, 0),
        Outcome::Fail => (lost + 1, 0),
        Outcome::Inconclusive => (lost, 1),
    };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"driftlead gate {name}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
        verdict.flips.len() + 1
    );
    let outcome = match verdict.verdict {
        Outcome::Pass => format!("<system-out>{reasons}</system-out>"),
        Outcome::Fail => format!("<failure message=\"{reasons}\"/>"),
        Outcome::Inconclusive => format!("<error type=\"inconclusive\" message=\"{reasons}\"/>"),
    };
    let _ = writeln!(xml, "  <testcase classname=\"{name}\" name=\"verdict\">{outcome}</testcase>");
    for flip in &verdict.flips {
        let what = escaped(&change(flip));
        let outcome = if flip.harmed {
            format!("<failure message=\"{what}\"/>")
        } else {
            format!("<system-out>{what}</system-out>")
        };
        let _ = writeln!(
            xml,
            "  <testcase classname=\"{name}\" name=\"example {}\">{outcome}</testcase>",
            escaped(&flip.example)
        );
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn change(flip: &Flip) -> String {
    format!("expected {}, was {}, is {}", flip.expected, flip.before, flip.after)
}
