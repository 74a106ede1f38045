//! Files of rows, read by column or as a [`Table`]: CSV (also gzipped), lines of JSON, Parquet.
//!
//! What a column is follows from the file that is opened first, or from whoever asks: [`Kind`]. CSV and JSON are read once and
//! held, Parquet is read column by column, so that comparing two files takes the memory of one column of each.

mod array;
mod column;
mod csv_file;
mod fields;
mod json_lines;
mod packed;
mod parquet_file;
mod positioned;
mod table;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Serialize;

pub use array::{Array, MAX_KEPT_NUMBERS, shape_text};
pub use column::Column;
pub use fields::Fields;
pub use table::{Cell, CellKind, CellKinds, MAX_COLUMNS, Table, TableColumn};

use crate::profile::MAX_FEATURES;
use parquet_file::ParquetFile;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 18;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers.
    Numeric,
    /// Categories.
    Categorical,
}

/// The kinds of columns by name; a column that is not among them is not read.
pub type Kinds = BTreeMap<String, Kind>;

/// What is wrong with a file of rows.
#[derive(Debug, thiserror::Error)]
pub enum RowsFileError {
    /// It cannot be read at all.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it does not read.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
}

/// How rows are written, by the end of the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv { is_gzipped: bool },
    JsonLines { is_gzipped: bool },
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let (stem, is_gzipped) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        match stem.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv { is_gzipped }),
            "jsonl" | "ndjson" => Some(Self::JsonLines { is_gzipped }),
            "parquet" | "pq" if !is_gzipped => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// What the columns of a file look like.
#[derive(Debug, Clone, Default, PartialEq)]
struct Layout {
    kinds: Kinds,
    /// Columns that cannot be compared, each with the reason.
    left_out: BTreeMap<String, String>,
}

/// Columns that are read as what somebody says, whatever they look like.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// What they are.
    pub kinds: Kinds,
    /// Columns that are not read.
    pub ignored: BTreeSet<String>,
}

/// A file of rows.
#[derive(Debug)]
pub struct RowsFile {
    path: PathBuf,
    rows: u64,
    kinds: Kinds,
    left_out: BTreeMap<String, String>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Held(BTreeMap<String, Column>),
    Parquet(ParquetFile),
}

impl RowsFile {
    /// Opens a file whose columns are what they look like where nobody chose.
    ///
    /// # Errors
    /// The file does not read, has no rows, lacks a column that was chosen, or has more than [`MAX_FEATURES`] columns.
    pub fn open(path: &Path, choice: &Choice) -> Result<Self, RowsFileError> {
        let mut layout = layout(path)?;
        for (name, kind) in &choice.kinds {
            match layout.kinds.get_mut(name) {
                Some(known) => *known = *kind,
                None => return Err(content(path, format!("there is no column {name:?} that can be compared"))),
            }
        }
        layout.kinds.retain(|name, _| !choice.ignored.contains(name));
        let file = Self::open_as(path, layout.kinds)?;
        Ok(Self {
            left_out: layout.left_out,
            ..file
        })
    }

    /// Opens a file of which these columns are read, as what they are said to be; those that it lacks are none of its columns.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(path: &Path, mut kinds: Kinds) -> Result<Self, RowsFileError> {
        if kinds.len() > MAX_FEATURES {
            let problem = format!(
                "it has {} columns, more than {MAX_FEATURES}: leave out what is no feature",
                kinds.len()
            );
            return Err(content(path, problem));
        }
        let held = |columns: Result<BTreeMap<String, Column>, String>| columns.map_err(|problem| content(path, problem)).map(Source::Held);
        let source = match format_of(path)? {
            Format::Csv { is_gzipped } => held(csv_file::read(reader(path, is_gzipped)?, &kinds))?,
            Format::JsonLines { is_gzipped } => held(json_lines::read(reader(path, is_gzipped)?, &kinds))?,
            Format::Parquet => Source::Parquet(ParquetFile::open(path)?),
        };
        let rows = match &source {
            Source::Held(columns) => {
                kinds.retain(|name, _| columns.contains_key(name));
                columns.values().next().map_or(0, Column::rows)
            }
            Source::Parquet(file) => {
                let there = file.layout().kinds;
                kinds.retain(|name, _| there.contains_key(name));
                file.rows()
            }
        };
        if rows == 0 || kinds.is_empty() {
            return Err(content(path, "there are no rows, or no columns that can be compared".to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            rows,
            kinds,
            left_out: BTreeMap::new(),
            source,
        })
    }

    /// The names of a file's columns that can be compared; of lines of JSON only those of the first one, so that they are not
    /// all read for it.
    ///
    /// # Errors
    /// The file does not read.
    pub fn names(path: &Path) -> Result<BTreeSet<String>, RowsFileError> {
        let wrong = |problem| content(path, problem);
        Ok(match format_of(path)? {
            Format::Csv { is_gzipped } => csv_file::names(&mut csv::Reader::from_reader(reader(path, is_gzipped)?))
                .map_err(wrong)?
                .into_iter()
                .collect(),
            Format::JsonLines { is_gzipped } => json_lines::first_names(reader(path, is_gzipped)?).map_err(wrong)?,
            Format::Parquet => ParquetFile::open(path)?.layout().kinds.into_keys().collect(),
        })
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns that are read and what they are.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Columns that cannot be compared, each with the reason.
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.left_out
    }

    /// Reads a column; `None` where the file has none of this name.
    ///
    /// # Errors
    /// Its values do not read.
    pub fn column(&self, name: &str) -> Result<Option<Cow<'_, Column>>, RowsFileError> {
        let Some(kind) = self.kinds.get(name) else { return Ok(None) };
        match &self.source {
            Source::Held(columns) => Ok(columns.get(name).map(Cow::Borrowed)),
            Source::Parquet(file) => {
                let column = file.column(name, *kind).map_err(|problem| content(&self.path, problem))?;
                Ok(Some(Cow::Owned(column)))
            }
        }
    }
}

/// Reads columns row by row; `None` for one that the file lacks.
///
/// # Errors
/// The file does not read.
pub fn read_fields(path: &Path, names: &[&str]) -> Result<Vec<Option<Fields>>, RowsFileError> {
    let wrong = |problem| content(path, problem);
    match format_of(path)? {
        Format::Csv { is_gzipped } => csv_file::fields(reader(path, is_gzipped)?, names).map_err(wrong),
        Format::JsonLines { is_gzipped } => json_lines::fields(reader(path, is_gzipped)?, names).map_err(wrong),
        Format::Parquet => {
            let file = ParquetFile::open(path)?;
            let there = file.layout().kinds;
            let read = |name: &&str| there.contains_key(*name).then(|| file.fields(name)).transpose();
            names.iter().map(read).collect::<Result<_, _>>().map_err(wrong)
        }
    }
}

fn layout(path: &Path) -> Result<Layout, RowsFileError> {
    let wrong = |problem| content(path, problem);
    match format_of(path)? {
        Format::Csv { is_gzipped } => csv_file::layout(reader(path, is_gzipped)?).map_err(wrong),
        Format::JsonLines { is_gzipped } => json_lines::layout(reader(path, is_gzipped)?).map_err(wrong),
        Format::Parquet => Ok(ParquetFile::open(path)?.layout()),
    }
}

fn format_of(path: &Path) -> Result<Format, RowsFileError> {
    Format::of(path).ok_or_else(|| {
        let problem = "its name has to end in .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet".to_owned();
        content(path, problem)
    })
}

pub(crate) fn content(path: &Path, problem: String) -> RowsFileError {
    RowsFileError::Content {
        path: path.to_owned(),
        problem,
    }
}

fn reader(path: &Path, is_gzipped: bool) -> Result<Box<dyn Read>, RowsFileError> {
    let file = File::open(path).map_err(|source| RowsFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let file = BufReader::with_capacity(READ_BYTES, file);
    Ok(if is_gzipped {
        Box::new(BufReader::with_capacity(READ_BYTES, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

#[cfg(test)]
mod tests;
