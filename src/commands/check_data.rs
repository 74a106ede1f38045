//! `driftlead check-data`: says what is wrong with rows before a model is trained on them, and which rows to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use driftlead_analyzer::data_check::{DataCheckRequest, DataReport, DataVerdict, Limits, check_file};
use driftlead_analyzer::rows::{CellKind, CellKinds};

use crate::cli::CheckDataArguments;

mod html;
mod label_studio;
mod list;
mod text;
mod xml;

/// Exit code when nothing is beyond its limit.
const FINE: u8 = 0;
/// Exit code when something is.
const FOUND: u8 = 1;
/// Exit code when a file does not read, or an argument is wrong.
const ERROR: u8 = 2;
/// Exit code when a check that was asked for could not tell.
const INSUFFICIENT: u8 = 3;

/// Dimensions of a shape.
const MAX_DIMENSIONS: usize = 16;

/// Prints what was found and gives the exit code: 0 nothing, 1 something beyond its limit, 2 error, 3 a check could not tell.
/// What went wrong is one line on standard error.
pub fn check_data_command(arguments: &CheckDataArguments) -> ExitCode {
    match checked(arguments) {
        Ok(DataVerdict::Fine) => ExitCode::from(FINE),
        Ok(DataVerdict::Found) => ExitCode::from(FOUND),
        Ok(DataVerdict::Insufficient) => ExitCode::from(INSUFFICIENT),
        Err(error) => {
            eprintln!("driftlead check-data: {error:#}");
            ExitCode::from(ERROR)
        }
    }
}

fn checked(arguments: &CheckDataArguments) -> anyhow::Result<DataVerdict> {
    let report = check_file(&arguments.file, &request(arguments)?)?;
    let file = name_of(&arguments.file);
    if let Some(path) = &arguments.suspicious {
        write(path, &list::csv(&report)?)?;
    }
    if let Some(path) = &arguments.label_studio {
        write(path, &label_studio::tasks(&report)?)?;
    }
    if let Some(path) = &arguments.label_config {
        write(path, label_studio::configuration(&report).as_bytes())?;
    }
    let written = written(&arguments.format, &file, &report)?;
    match &arguments.output {
        Some(path) => write(path, written.as_bytes())?,
        None => print!("{written}"),
    }
    Ok(report.verdict)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn written(format: &str, file: &str, report: &DataReport) -> anyhow::Result<String> {
    Ok(match format {
        "json" => serde_json::to_string_pretty(report)? + "\n",
        "junit" => xml::junit(file, report),
        "html" => html::page(file, report),
        _ => text::text(file, report),
    })
}

fn request(arguments: &CheckDataArguments) -> anyhow::Result<DataCheckRequest> {
    let (kinds, ignored) = kinds(&arguments.kinds)?;
    Ok(DataCheckRequest {
        label: arguments.label.clone(),
        id: arguments.id.clone(),
        texts: arguments.texts.iter().cloned().collect(),
        kinds,
        ignored,
        ranges: ranges(&arguments.ranges)?,
        shapes: shapes(&arguments.shapes)?,
        probabilities: arguments.probabilities.clone(),
        reference: arguments.reference.clone(),
        control: arguments.control.clone(),
        previous: arguments.previous.clone(),
        new_share: new_share(&arguments.new_share)?,
        limits: Limits {
            missing: arguments.max_missing,
            duplicates: arguments.max_duplicates,
            conflicts: arguments.max_conflicts,
            label_noise: arguments.max_label_noise,
            out_of_range: arguments.max_out_of_range,
            unknown_categories: arguments.max_unknown,
            leakage: arguments.max_leakage,
        },
        seed: arguments.seed,
    })
}

fn kinds(said: &[String]) -> anyhow::Result<(CellKinds, BTreeSet<String>)> {
    let (mut kinds, mut ignored) = (CellKinds::new(), BTreeSet::new());
    for kind in said {
        let (name, kind) = kind
            .rsplit_once('=')
            .with_context(|| format!("--kind {kind} has to be COLUMN=numeric, COLUMN=categorical or COLUMN=ignore"))?;
        let is_new = match kind {
            "numeric" => kinds.insert(name.to_owned(), CellKind::Numeric).is_none(),
            "categorical" => kinds.insert(name.to_owned(), CellKind::Categorical).is_none(),
            "ignore" => ignored.insert(name.to_owned()),
            other => bail!("--kind {name}={other}: a column is numeric, categorical or ignored (ignore)"),
        };
        if !is_new || kinds.contains_key(name) && ignored.contains(name) {
            bail!("--kind says twice what {name} is");
        }
    }
    Ok((kinds, ignored))
}

fn ranges(said: &[String]) -> anyhow::Result<BTreeMap<String, (f64, f64)>> {
    let mut ranges = BTreeMap::new();
    for text in said {
        let range = text.rsplit_once('=').and_then(|(name, range)| Some((name, range_of(range)?)));
        let (name, range) = range.with_context(|| format!("--range {text} has to be COLUMN=LEAST..MOST, such as image=0..1"))?;
        if ranges.insert(name.to_owned(), range).is_some() {
            bail!("--range says twice what {name} may hold");
        }
    }
    Ok(ranges)
}

/// `0..1`; both ends are numbers, the first not the larger one.
fn range_of(text: &str) -> Option<(f64, f64)> {
    let (least, most) = text.split_once("..")?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let (least, most) = (number(least)?, number(most)?);
    (least <= most).then_some((least, most))
}

fn shapes(said: &[String]) -> anyhow::Result<BTreeMap<String, Vec<usize>>> {
    let mut shapes = BTreeMap::new();
    for text in said {
        let shape = text.rsplit_once('=').and_then(|(name, shape)| {
            let shape: Vec<usize> = shape.split('x').map(|length| length.trim().parse().ok()).collect::<Option<_>>()?;
            (shape.len() <= MAX_DIMENSIONS).then_some((name, shape))
        });
        let (name, shape) = shape.with_context(|| format!("--shape {text} has to be COLUMN=LENGTHxLENGTH, such as image=3x224x224"))?;
        if shapes.insert(name.to_owned(), shape).is_some() {
            bail!("--shape says twice what shape {name} has");
        }
    }
    Ok(shapes)
}

fn new_share(text: &str) -> anyhow::Result<(f64, f64)> {
    range_of(text)
        .filter(|(least, most)| *least >= 0.0 && *most <= 1.0)
        .with_context(|| format!("--new-share {text} has to be two shares from 0 to 1, such as 0.10..0.15"))
}

#[cfg(test)]
mod tests;
