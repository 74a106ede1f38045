//! A page by itself: no script, nothing that it loads, so that it can be attached to a ticket.

use std::fmt::Write;

use driftlead_analyzer::file_drift::{ColumnDrift, DriftVerdict, FileDrift, Measured, Quality, Tested};
use driftlead_analyzer::rows::Kind;
use driftlead_analyzer::stats::shift::{Bin, Special};

use super::text::{headline, remarks, sorted};
use super::{Files, quality};
use crate::commands::markup::escaped;
use crate::commands::numbers::{count, percent, short};

const STYLE: &str = include_str!("../page.css");
/// Bins that are shown of a column; the others are in the JSON.
const MAX_SHOWN_BINS: usize = 60;
/// Size of a small chart, in its own units.
const SMALL: (f64, f64) = (120.0, 28.0);
/// The scale of the bars ends here, or at what moved most.
const LEAST_SCALE: f64 = 0.1;

/// The page.
pub(super) fn page(files: &Files, drift: &FileDrift) -> String {
    let (reference, current) = (escaped(&files.reference), escaped(&files.current));
    let state = match drift.verdict {
        DriftVerdict::Drift => "critical",
        DriftVerdict::None => "ok",
        DriftVerdict::Insufficient => "unknown",
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Drift: {current} against {reference}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1><span class=\"state {state}\">{}</span> {current} against {reference}</h1>\n\
         <p>{} rows against {}. A column drifts when surely more than {} of its rows moved: the mark on its bar.</p>\n",
        escaped(&headline(drift)),
        count(drift.n),
        count(drift.reference_n),
        percent(Some(drift.threshold)),
    );
    if let Some(quality) = &drift.quality {
        write_quality(&mut page, quality);
    }
    let scale = drift
        .columns
        .values()
        .filter_map(|column| column.shift.upper)
        .fold(LEAST_SCALE, f64::max);
    for (name, column) in sorted(drift) {
        write_column(&mut page, name, column, drift, scale);
    }
    for name in &drift.only_in_current {
        let _ = writeln!(
            page,
            "<p>{} is only in {current}: there is nothing to compare it with.</p>",
            escaped(name)
        );
    }
    for (name, reason) in &drift.left_out {
        let _ = writeln!(page, "<p>{} is left out: {}.</p>", escaped(name), escaped(reason));
    }
    let _ = writeln!(page, "<footer>Driftlead {}</footer>\n</body>\n</html>", env!("CARGO_PKG_VERSION"));
    page
}

fn write_quality(page: &mut String, quality: &Quality) {
    page.push_str("<table class=\"quality\">\n<tr>");
    for heading in quality::HEADINGS {
        let _ = write!(page, "<th>{heading}</th>");
    }
    page.push_str("</tr>\n");
    for [name, sides @ ..] in quality::lines(quality) {
        let _ = write!(page, "<tr><td>{}</td>", escaped(&name));
        for side in sides {
            let _ = write!(page, "<td class=\"number\">{}</td>", escaped(&side));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n<p>In brackets: bounds at 99 %. Expected: what scores or earlier errors promise without labels.</p>\n");
    for remark in quality::remarks(quality) {
        let _ = writeln!(page, "<p>{}.</p>", escaped(&remark));
    }
}

fn write_column(page: &mut String, name: &str, column: &ColumnDrift, drift: &FileDrift, scale: f64) {
    let is_drifted = drift.drifted.iter().any(|drifted| drifted == name);
    let (state, word) = match (is_drifted, column.shift.decision_lower) {
        (true, _) => ("critical", "drifted"),
        (false, Some(_)) => ("ok", "no drift"),
        (false, None) => ("unknown", "not known"),
    };
    let open = if is_drifted { " open" } else { "" };
    let _ = writeln!(
        page,
        "<details{open}>\n<summary><b>{}</b><span class=\"state {state}\">{word}</span>{}{}<span class=\"number\">{}</span></summary>",
        escaped(name),
        small_chart(&column.bins),
        bar(column, drift.threshold, scale),
        percent(column.shift.value),
    );
    let _ = writeln!(
        page,
        "<p>{} of the rows moved, {} to {} at 99 %; in any column surely not less than {}. p {}.</p>",
        percent(column.shift.value),
        percent(column.shift.lower),
        percent(column.shift.upper),
        percent(column.shift.decision_lower),
        column.p_adjusted.map_or_else(|| "–".to_owned(), short),
    );
    for remark in remarks(column) {
        let _ = writeln!(page, "<p>{}.</p>", escaped(&remark));
    }
    write_bins(page, &column.bins);
    write_statistics(page, column);
    page.push_str("</details>\n");
}

/// The moved share with its bounds, and the threshold.
fn bar(column: &ColumnDrift, threshold: f64, scale: f64) -> String {
    let at = |share: f64| (share / scale * 100.0).clamp(0.0, 100.0);
    let shift = column.shift;
    let (value, lower, upper) = (shift.value.unwrap_or(0.0), shift.lower.unwrap_or(0.0), shift.upper.unwrap_or(0.0));
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} moved, threshold {}\">\
         <rect class=\"ground\" width=\"100\" height=\"10\"/><rect class=\"bounds\" x=\"{:.2}\" width=\"{:.2}\" y=\"2\" height=\"6\"/>\
         <rect class=\"value\" width=\"{:.2}\" y=\"4\" height=\"2\"/><rect class=\"threshold\" x=\"{:.2}\" width=\"0.6\" height=\"10\"/></svg>",
        percent(shift.value),
        percent(Some(threshold)),
        at(lower),
        at(upper) - at(lower),
        at(value),
        at(threshold),
    )
}

/// The shares of a bin, of the reference and of the file.
fn shares(bins: &[Bin]) -> impl Iterator<Item = (&Bin, f64, f64)> {
    let n = |side: fn(&Bin) -> u64| bins.iter().map(side).sum::<u64>().max(1) as f64;
    let (before, now) = (n(|bin| bin.reference), n(|bin| bin.current));
    bins.iter()
        .map(move |bin| (bin, bin.reference as f64 / before, bin.current as f64 / now))
}

fn small_chart(bins: &[Bin]) -> String {
    let highest = shares(bins).map(|(_, before, now)| before.max(now)).fold(0.0, f64::max);
    let mut svg = format!("<svg class=\"small\" viewBox=\"0 0 {} {}\" aria-hidden=\"true\">", SMALL.0, SMALL.1);
    let width = SMALL.0 / bins.len().max(1) as f64;
    for (index, (_, before, now)) in shares(bins).enumerate() {
        for (class, share, place) in [("before", before, 0.0), ("now", now, 0.5)] {
            let height = if highest > 0.0 { share / highest * SMALL.1 } else { 0.0 };
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"/>",
                (index as f64 + place) * width,
                SMALL.1 - height,
                width * 0.45,
            );
        }
    }
    svg + "</svg>"
}

fn write_bins(page: &mut String, bins: &[Bin]) {
    let highest = shares(bins)
        .map(|(_, before, now)| before.max(now))
        .fold(0.0, f64::max)
        .max(f64::MIN_POSITIVE);
    page.push_str("<table>\n<tr><th>value</th><th>reference</th><th>current</th><th class=\"chart\"></th></tr>\n");
    for (bin, before, now) in shares(bins).take(MAX_SHOWN_BINS) {
        let width = |share: f64| share / highest * 100.0;
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"chart\">\
             <i class=\"before\" style=\"width:{:.1}%\"></i><i class=\"now\" style=\"width:{:.1}%\"></i></td></tr>",
            escaped(&label(bin)),
            percent(Some(before)),
            percent(Some(now)),
            width(before),
            width(now),
        );
    }
    page.push_str("</table>\n");
    if bins.len() > MAX_SHOWN_BINS {
        let _ = writeln!(page, "<p>… and {} more.</p>", bins.len() - MAX_SHOWN_BINS);
    }
}

fn label(bin: &Bin) -> String {
    match (bin.special, &bin.value, bin.from, bin.to) {
        (Some(special), ..) => match special {
            Special::Absent => "absent",
            Special::Nan => "NaN",
            Special::PositiveInfinity => "+∞",
            Special::NegativeInfinity => "−∞",
            Special::Other => "other",
        }
        .to_owned(),
        (None, Some(value), ..) => value.clone(),
        (None, None, Some(from), Some(to)) => format!("{} to {}", short(from), short(to)),
        (None, None, Some(from), None) => format!("from {}", short(from)),
        (None, None, None, Some(to)) => format!("below {}", short(to)),
        (None, None, None, None) => "all".to_owned(),
    }
}

fn write_statistics(page: &mut String, column: &ColumnDrift) {
    let statistics = &column.statistics;
    let of = |measured: &Measured<f64>| match measured {
        Measured::Value(value) => short(*value),
        Measured::Undefined { undefined } => undefined.clone(),
    };
    let of_test = |tested: &Measured<Tested>| match tested {
        Measured::Value(test) => format!("{}, p {}", short(test.statistic), short(test.p)),
        Measured::Undefined { undefined } => undefined.clone(),
    };
    let mut rows = vec![
        ("PSI", of(&statistics.psi)),
        ("Jensen–Shannon (base 2)", of(&statistics.js)),
        ("Hellinger", of(&statistics.hellinger)),
        ("Total variation", of(&statistics.total_variation)),
        ("L∞", of(&statistics.l_infinity)),
        ("χ²", of_test(&statistics.chi2)),
    ];
    if column.kind == Kind::Numeric {
        rows.extend(statistics.ks.as_ref().map(|ks| ("Kolmogorov–Smirnov", of_test(ks))));
        rows.extend(statistics.wasserstein.as_ref().map(|moved| ("Wasserstein", of(moved))));
        rows.extend(statistics.wasserstein_normed.as_ref().map(|moved| ("Wasserstein / σ", of(moved))));
    }
    page.push_str("<dl>\n");
    for (name, value) in rows {
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
    }
    page.push_str("</dl>\n");
}
