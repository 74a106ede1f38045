//! Drift between two files of rows, column by column: what `driftlead drift` prints.
//!
//! Rows of a file are taken as drawn independently: nothing in a file says how its windows differ among themselves, as a
//! reference's telemetry does.

mod quality;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

pub use crate::statistics::{Measured, Statistics, Tested};
pub use quality::{Bounded, Measures, Quality, QualityColumns, Task};

use crate::budget::Budget;
use crate::parallel;
use crate::report::ShiftReport;
use crate::rows::{Choice, Column, Kind, RowsFile, RowsFileError};
use crate::seed::seed_of;
use crate::stats::compatible::{Drift, Library};
use crate::stats::shift::{Bin, MIN_N_FOR_DECISIONS, Shift, ShiftOptions, shift};
use crate::stats::{Undefined, benjamini_hochberg};

/// What is compared, and what counts as drift.
#[derive(Debug, Clone, PartialEq)]
pub struct FileDriftRequest {
    /// Columns that are read as what somebody says.
    pub choice: Choice,
    /// The share of rows that may have moved, from 0 to 1.
    pub threshold: f64,
    /// Whose definition of drift decides; unset: shift's.
    pub compatible: Option<Library>,
    /// The columns by which the predictions are measured.
    pub quality: Option<QualityColumns>,
}

/// What the comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftVerdict {
    /// A column drifted.
    Drift,
    /// None did.
    None,
    /// No column has enough rows for a decision.
    Insufficient,
}

/// How far a file's columns moved from a reference's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileDrift {
    /// What it says.
    pub verdict: DriftVerdict,
    /// Names of the columns that drifted, the one that moved most first.
    pub drifted: Vec<String>,
    /// The share of rows that may have moved.
    pub threshold: f64,
    /// Rows of the reference.
    pub reference_n: u64,
    /// Rows of the file.
    pub n: u64,
    /// By name, those of the reference.
    pub columns: BTreeMap<String, ColumnDrift>,
    /// Columns that only the file has: there is nothing to compare them with.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub only_in_current: BTreeSet<String>,
    /// Columns of the reference that cannot be compared, each with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
    /// How good the predictions are, where it was asked for. It decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// Values that are counted apart, in the reference and in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CountedApart {
    /// Without a value.
    pub absent: [u64; 2],
    /// NaN.
    pub nan: [u64; 2],
    /// +∞ and −∞.
    pub inf: [u64; 2],
    /// No numbers, in a column of numbers.
    pub type_mismatch: [u64; 2],
}

/// How far one column moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDrift {
    /// Numbers or categories.
    pub kind: Kind,
    /// Rows of the reference.
    pub reference_n: u64,
    /// Rows of the file; none where it lacks the column.
    pub n: u64,
    /// What is in no statistic but shift.
    pub counts: CountedApart,
    /// The share of rows that moved.
    pub shift: ShiftReport,
    /// Why that is unknown, or not fit for a decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// p-value of "nothing moved", adjusted for all columns.
    pub p_adjusted: Option<f64>,
    /// Statistics as libraries define them.
    pub statistics: Statistics,
    /// What another library says, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatible: Option<Compatible>,
    /// Both distributions.
    pub bins: Vec<Bin>,
}

/// What a library says of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compatible {
    /// What it measures, by the name that it has there.
    pub method: Option<&'static str>,
    /// The p-value or the distance.
    pub score: Measured<f64>,
    /// Where it draws the line.
    pub threshold: Option<f64>,
    /// Its verdict.
    pub drifted: bool,
}

/// Compares a file with a reference.
///
/// # Errors
/// One of the two does not read, or lacks a column by which predictions are to be measured.
pub fn compare_files(reference: &Path, current: &Path, request: &FileDriftRequest) -> Result<FileDrift, RowsFileError> {
    let columns = request.quality.as_ref();
    let quality = columns
        .map(|columns| quality::measure(reference, current, columns, &request.choice.kinds))
        .transpose()?;
    let reference = RowsFile::open(reference, &request.choice)?;
    let all_of_current = RowsFile::names(current)?;
    let current = RowsFile::open_as(current, reference.kinds().clone())?;
    // Labels that have not come yet are no drift.
    let is_awaited = |name: &&String| columns.is_some_and(|columns| columns.label == **name) && !all_of_current.contains(*name);
    let names: Vec<&String> = reference.kinds().keys().filter(|name| !is_awaited(name)).collect();
    let decision_error = Budget::ONE_LOOK.decision_error(names.len());
    let compared = parallel::map(&names, |name| compare_column(name, &reference, &current, request, decision_error));
    let compared = compared.into_iter().collect::<Result<Vec<Compared>, _>>()?;
    let p: Vec<f64> = compared.iter().filter_map(|(_, p)| *p).collect();
    let mut adjusted = benjamini_hochberg::adjust(&p).into_iter();
    let mut columns = BTreeMap::new();
    for (name, (mut column, p)) in names.iter().zip(compared) {
        column.p_adjusted = p.and_then(|_| adjusted.next());
        columns.insert((*name).clone(), column);
    }
    let ignored = |name: &String| !request.choice.ignored.contains(name) && !reference.left_out().contains_key(name);
    let only_in_current = all_of_current
        .into_iter()
        .filter(|name| !columns.contains_key(name) && ignored(name))
        .collect();
    let drifted = drifted(&columns, request.threshold);
    Ok(FileDrift {
        verdict: verdict(&columns, &drifted),
        drifted,
        threshold: request.threshold,
        reference_n: reference.rows(),
        n: current.rows(),
        columns,
        only_in_current,
        left_out: reference.left_out().clone(),
        quality,
    })
}

fn verdict(columns: &BTreeMap<String, ColumnDrift>, drifted: &[String]) -> DriftVerdict {
    let is_decided = |column: &ColumnDrift| match &column.compatible {
        Some(compatible) => matches!(compatible.score, Measured::Value(_)),
        None => column.shift.decision_lower.is_some(),
    };
    if !drifted.is_empty() {
        DriftVerdict::Drift
    } else if columns.values().any(is_decided) {
        DriftVerdict::None
    } else {
        DriftVerdict::Insufficient
    }
}

fn drifted(columns: &BTreeMap<String, ColumnDrift>, threshold: f64) -> Vec<String> {
    let is_drifted = |column: &ColumnDrift| match &column.compatible {
        Some(compatible) => compatible.drifted,
        None => column.shift.decision_lower.is_some_and(|lower| lower > threshold),
    };
    let mut drifted: Vec<(&String, f64)> = columns
        .iter()
        .filter(|(_, column)| is_drifted(column))
        .map(|(name, column)| (name, column.shift.value.unwrap_or(0.0)))
        .collect();
    drifted.sort_by(|a, b| b.1.total_cmp(&a.1));
    drifted.into_iter().map(|(name, _)| name.clone()).collect()
}

type Compared = (ColumnDrift, Option<f64>);

fn compare_column(
    name: &str,
    reference: &RowsFile,
    current: &RowsFile,
    request: &FileDriftRequest,
    decision_error: f64,
) -> Result<Compared, RowsFileError> {
    // What the caller names is among the reference's columns.
    let kind = reference.kinds()[name];
    let before = reference
        .column(name)?
        .unwrap_or_else(|| std::borrow::Cow::Owned(Column::without_values(kind, 0)));
    let now = current.column(name)?;
    // A column that does not come any more is absent in every row.
    let now = now.unwrap_or_else(|| std::borrow::Cow::Owned(Column::without_values(kind, current.rows())));
    let options = ShiftOptions {
        seed: seed_of(&[name]),
        decision_error,
        dispersion: 1.0,
    };
    let moved = shift(&before.profile(), &now.profile(), options);
    let p = moved.as_ref().ok().map(|shift| shift.p_value);
    let statistics = Statistics::of_columns(&before, &now);
    let compatible = request.compatible.map(|library| compatible(library, &before, &now));
    let [before_apart, now_apart] = [before.not_finite(), now.not_finite()];
    let counts = CountedApart {
        absent: [before.absent(), now.absent()],
        nan: [before_apart[0], now_apart[0]],
        inf: [before_apart[1] + before_apart[2], now_apart[1] + now_apart[2]],
        type_mismatch: [before.type_mismatches(), now.type_mismatches()],
    };
    let (shift, reason, bins) = described(moved);
    let column = ColumnDrift {
        kind,
        reference_n: before.rows(),
        n: now.rows(),
        counts,
        shift,
        reason,
        p_adjusted: None,
        statistics,
        compatible,
        bins,
    };
    Ok((column, p))
}

fn described(moved: Result<Shift, Undefined>) -> (ShiftReport, Option<String>, Vec<Bin>) {
    match moved {
        Ok(shift) => {
            let reason = shift
                .decision_lower
                .is_none()
                .then(|| format!("a decision takes {MIN_N_FOR_DECISIONS} rows on either side"));
            let report = ShiftReport {
                value: Some(shift.value),
                lower: Some(shift.lower),
                upper: Some(shift.upper),
                decision_lower: shift.decision_lower,
            };
            (report, reason, shift.bins)
        }
        Err(undefined) => (ShiftReport::default(), Some(undefined.to_string()), Vec::new()),
    }
}

fn compatible(library: Library, reference: &Column, current: &Column) -> Compatible {
    let drift = match reference.kind() {
        Kind::Numeric => reference
            .sample()
            .and_then(|before| Ok((before, current.sample()?)))
            .and_then(|(before, now)| library.of_numbers(&before, &[], &now)),
        Kind::Categorical => library.of_categories(&reference.categories(), &[], &current.categories()),
    };
    let known: Option<Drift> = drift.as_ref().ok().copied();
    Compatible {
        method: known.map(|drift| drift.method.name()),
        score: drift.map(|drift| drift.score).into(),
        threshold: known.map(|drift| drift.threshold),
        drifted: known.is_some_and(|drift| drift.is_drift),
    }
}

#[cfg(test)]
mod tests;
