//! What a check says.

use serde::Serialize;

use super::suspicious::Suspects;

/// The checks, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Values that are not there.
    Missing,
    /// Rows that are there more than once.
    Duplicates,
    /// The same input with different labels.
    ConflictingLabels,
    /// Labels that a model of the other rows contradicts.
    LabelNoise,
    /// Numbers outside of what they may be.
    Ranges,
    /// Arrays of another shape.
    Shapes,
    /// Columns, kinds and categories that are not those of the reference.
    Schema,
    /// Examples of the control set among the rows.
    Leakage,
    /// The share of rows that were not there the last time.
    NewExamples,
}

impl CheckName {
    /// As it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Duplicates => "duplicates",
            Self::ConflictingLabels => "conflicting_labels",
            Self::LabelNoise => "label_noise",
            Self::Ranges => "ranges",
            Self::Shapes => "shapes",
            Self::Schema => "schema",
            Self::Leakage => "leakage",
            Self::NewExamples => "new_examples",
        }
    }

    /// As people say it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Missing => "missing values",
            Self::Duplicates => "duplicates",
            Self::ConflictingLabels => "conflicting labels",
            Self::LabelNoise => "label noise",
            Self::Ranges => "ranges",
            Self::Shapes => "shapes",
            Self::Schema => "schema",
            Self::Leakage => "leakage",
            Self::NewExamples => "new examples",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Something is wrong.
    Found,
    /// There is something to know, within its limit.
    Note,
    /// Nothing is wrong.
    Fine,
    /// It was asked for and could not be told.
    Insufficient,
    /// What it needs was not given.
    NotAsked,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The column that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Whether it is beyond its limit, or only to be known.
    pub is_beyond_limit: bool,
    /// The rows that it is about.
    pub rows: u64,
    /// Their share of all, from 0 to 1.
    pub share: f64,
    /// The share from which on it is wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// In a sentence.
    pub message: String,
}

/// What a check says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Which.
    pub check: CheckName,
    /// How it ended.
    pub outcome: Outcome,
    /// In a sentence.
    pub message: String,
    /// What it found: what is beyond its limit first, then what has one.
    pub findings: Vec<Finding>,
    /// Rows that are suspicious by it, listed or not.
    pub suspicious_rows: u64,
}

/// A check while it works.
pub(super) struct Checking {
    name: CheckName,
    rows: usize,
    findings: Vec<Finding>,
    pub suspects: Suspects,
}

impl Checking {
    pub(super) fn new(name: CheckName, rows: usize) -> Self {
        Self {
            name,
            rows,
            findings: Vec::new(),
            suspects: Suspects::default(),
        }
    }

    /// So many rows; wrong when their share is above the limit.
    pub(super) fn found(&mut self, column: Option<&str>, rows: usize, limit: f64, message: String) {
        let share = rows as f64 / self.rows.max(1) as f64;
        self.findings.push(Finding {
            column: column.map(str::to_owned),
            is_beyond_limit: share > limit,
            rows: rows as u64,
            share,
            limit: Some(limit),
            message,
        });
    }

    /// Something to know, whatever its share.
    pub(super) fn note(&mut self, column: Option<&str>, rows: usize, message: String) {
        self.findings.push(Finding {
            column: column.map(str::to_owned),
            is_beyond_limit: false,
            rows: rows as u64,
            share: rows as f64 / self.rows.max(1) as f64,
            limit: None,
            message,
        });
    }

    /// What it says; `fine` is the sentence where nothing was found.
    pub(super) fn ended(mut self, fine: &str) -> (Check, Suspects) {
        self.findings
            .sort_by_key(|finding| (!finding.is_beyond_limit, finding.limit.is_none()));
        let beyond = self.findings.iter().filter(|finding| finding.is_beyond_limit).count();
        let (outcome, message) = match (beyond, self.findings.len()) {
            (0, 0) => (Outcome::Fine, fine.to_owned()),
            (0, 1) => (Outcome::Note, self.findings[0].message.clone()),
            (0, notes) => (Outcome::Note, format!("{notes} notes: {}", self.findings[0].message)),
            (1, _) => (Outcome::Found, self.findings[0].message.clone()),
            (beyond, _) => (Outcome::Found, format!("{beyond} findings: {}", self.findings[0].message)),
        };
        self.said(outcome, message)
    }

    /// Could not be told.
    pub(super) fn insufficient(self, because: String) -> (Check, Suspects) {
        self.said(Outcome::Insufficient, because)
    }

    /// Was not asked for.
    pub(super) fn not_asked(self, because: &str) -> (Check, Suspects) {
        self.said(Outcome::NotAsked, because.to_owned())
    }

    /// With this outcome and sentence.
    pub(super) fn said(self, outcome: Outcome, message: String) -> (Check, Suspects) {
        let check = Check {
            check: self.name,
            outcome,
            message,
            findings: self.findings,
            suspicious_rows: 0,
        };
        (check, self.suspects)
    }
}
