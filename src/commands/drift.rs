//! `driftlead drift`: compares two files of rows and says which columns moved.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use driftlead_analyzer::file_drift::{DriftVerdict, FileDrift, FileDriftRequest, QualityColumns, compare_files};
use driftlead_analyzer::rows::{Choice, Kind, Kinds};
use driftlead_analyzer::stats::compatible::Library;

use crate::cli::DriftArguments;

mod html;
mod quality;
mod text;
mod xml;

/// Exit code when no column drifted.
const NONE: u8 = 0;
/// Exit code when one did.
const DRIFT: u8 = 1;
/// Exit code when the files do not read.
const ERROR: u8 = 2;
/// Exit code when there are too few rows to tell.
const INSUFFICIENT: u8 = 3;

/// The names of the two files, for people.
struct Files {
    reference: String,
    current: String,
}

/// Prints how far the columns moved and gives the exit code: 0 none drifted, 1 one did, 2 error, 3 too few rows to tell. What
/// went wrong is one line on standard error.
pub fn drift_command(arguments: &DriftArguments) -> ExitCode {
    match compare(arguments) {
        Ok(DriftVerdict::None) => ExitCode::from(NONE),
        Ok(DriftVerdict::Drift) => ExitCode::from(DRIFT),
        Ok(DriftVerdict::Insufficient) => ExitCode::from(INSUFFICIENT),
        Err(error) => {
            eprintln!("driftlead drift: {error:#}");
            ExitCode::from(ERROR)
        }
    }
}

fn compare(arguments: &DriftArguments) -> anyhow::Result<DriftVerdict> {
    let request = request(arguments)?;
    let drift = compare_files(&arguments.reference, &arguments.current, &request)?;
    let name = |path: &PathBuf| {
        path.file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    let files = Files {
        reference: name(&arguments.reference),
        current: name(&arguments.current),
    };
    let written = written(&arguments.format, &files, &drift)?;
    match &arguments.output {
        Some(path) => std::fs::write(path, written).with_context(|| format!("cannot write {}", path.display()))?,
        None => print!("{written}"),
    }
    Ok(drift.verdict)
}

fn written(format: &str, files: &Files, drift: &FileDrift) -> anyhow::Result<String> {
    Ok(match format {
        "json" => serde_json::to_string_pretty(drift)? + "\n",
        "junit" => xml::junit(files, drift),
        "html" => html::page(files, drift),
        _ => text::text(files, drift),
    })
}

fn request(arguments: &DriftArguments) -> anyhow::Result<FileDriftRequest> {
    let mut choice = Choice::default();
    for kind in &arguments.kinds {
        let (name, kind) = kind
            .rsplit_once('=')
            .with_context(|| format!("--kind {kind} has to be COLUMN=numeric, COLUMN=categorical or COLUMN=ignore"))?;
        let kind = match kind {
            "numeric" => Kind::Numeric,
            "categorical" => Kind::Categorical,
            "ignore" => {
                choice.ignored.insert(name.to_owned());
                continue;
            }
            other => bail!("--kind {name}={other}: a column is numeric, categorical or ignored (ignore)"),
        };
        choice.kinds.insert(name.to_owned(), kind);
    }
    if let Some(both) = twice(&choice.kinds, &choice.ignored) {
        bail!("--kind says twice what {both} is");
    }
    Ok(FileDriftRequest {
        choice,
        threshold: threshold(&arguments.threshold)?,
        // The only one that it takes: NannyML's threshold needs the reference's rows in their order.
        compatible: arguments.compatible.as_ref().map(|_| Library::Evidently),
        quality: quality(arguments)?,
    })
}

fn quality(arguments: &DriftArguments) -> anyhow::Result<Option<QualityColumns>> {
    let Some(label) = arguments.label.clone() else { return Ok(None) };
    if arguments.prediction.is_none() && arguments.score.is_none() {
        bail!("--label {label} says what was true: say with --prediction or --score what the model answered");
    }
    Ok(Some(QualityColumns {
        prediction: arguments.prediction.clone(),
        score: arguments.score.clone(),
        label,
        positive_class: arguments.positive_class.clone(),
    }))
}

fn twice<'a>(kinds: &'a Kinds, ignored: &BTreeSet<String>) -> Option<&'a String> {
    kinds.keys().find(|name| ignored.contains(*name))
}

/// `shift=0.03`, or the number alone.
fn threshold(text: &str) -> anyhow::Result<f64> {
    let number = text.strip_prefix("shift=").unwrap_or(text);
    let share = number.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.with_context(|| format!("--threshold {text} has to be a share from 0 to 1, such as shift=0.03"))
}

#[cfg(test)]
mod tests;
