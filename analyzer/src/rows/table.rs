//! All rows of a file, held in their order: what checks of the rows themselves need.
//!
//! A cell takes eight bytes; a text is kept once for each column, an array as what is said of it ([`Array`]). Of CSV a column
//! is numeric where at least 19 of 20 present fields parse as numbers (what does not is then a cell of text, and can be found),
//! and holds arrays where so many are JSON lists; of lines of JSON by their values in the same way; of Parquet by its type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::array::Array;
use super::packed::{Packed, Unpacked};
use super::parquet_file::ParquetFile;
use super::{Format, RowsFileError, content, csv_file, format_of, json_lines, reader};

/// Columns of a table; more is a matrix, not rows of features.
pub const MAX_COLUMNS: usize = 10_000;
/// The share of present values that makes a column what they are.
pub(super) const USUAL_SHARE: f64 = 0.95;
/// How a missing number is written where it is not left empty, as pandas reads them.
const WORDS_FOR_MISSING: [&str; 17] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "n/a",
    "nan", "null",
];

/// What the values of a column of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Numbers.
    Numeric,
    /// Categories or texts.
    Categorical,
    /// Lists of numbers.
    Array,
}

impl CellKind {
    /// As a word in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Numeric => "numbers",
            Self::Categorical => "categories",
            Self::Array => "arrays",
        }
    }
}

/// Kinds that somebody says, whatever the columns look like.
pub type CellKinds = BTreeMap<String, CellKind>;

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Empty, null or missing.
    Absent,
    /// A number, perhaps not a finite one.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// An array.
    Array(&'a Array),
}

impl Cell<'_> {
    /// Whether it has no value: absent, or NaN, as pandas counts it.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Number(number) => number.is_nan(),
            _ => false,
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct TableColumn {
    kind: CellKind,
    cells: Vec<Packed>,
    /// All texts, one after the other, and where each ends.
    texts: String,
    ends: Vec<usize>,
    arrays: Vec<Array>,
    words_for_missing: u64,
}

impl TableColumn {
    /// What its values are.
    pub fn kind(&self) -> CellKind {
        self.kind
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.cells.len()
    }

    /// The cell of a row.
    pub fn cell(&self, row: usize) -> Cell<'_> {
        match self.cells[row].unpacked() {
            Unpacked::Absent => Cell::Absent,
            Unpacked::Number(number) => Cell::Number(number),
            Unpacked::Text(index) => Cell::Text(self.text(index)),
            Unpacked::Array(index) => Cell::Array(&self.arrays[index]),
        }
    }

    /// All cells in the order of the rows.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        (0..self.rows()).map(|row| self.cell(row))
    }

    /// Which of the column's different texts a row holds, so that texts are compared by a number.
    pub fn text_index(&self, row: usize) -> Option<usize> {
        match self.cells[row].unpacked() {
            Unpacked::Text(index) => Some(index),
            _ => None,
        }
    }

    /// How many different texts it has.
    pub fn texts(&self) -> usize {
        self.ends.len()
    }

    /// One of the different texts.
    pub fn text(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start..self.ends[index]]
    }

    /// Fields of a column of numbers that are written as `NA`, `null` and the like; they are absent.
    pub fn words_for_missing(&self) -> u64 {
        self.words_for_missing
    }
}

/// A file's rows.
#[derive(Debug, Clone)]
pub struct Table {
    rows: usize,
    columns: Vec<(String, TableColumn)>,
    left_out: BTreeMap<String, String>,
}

impl Table {
    /// Reads a file. `kinds` goes before what columns look like; those of `ignored` are not read.
    ///
    /// # Errors
    /// The file does not read, has no rows or no columns, or more than [`MAX_COLUMNS`].
    pub fn read(path: &Path, kinds: &CellKinds, ignored: &BTreeSet<String>) -> Result<Self, RowsFileError> {
        let wrong = |problem| content(path, problem);
        let table = match format_of(path)? {
            Format::Csv { is_gzipped } => {
                let looks = csv_file::looks(reader(path, is_gzipped)?).map_err(wrong)?;
                let kinds: Vec<(String, Option<CellKind>)> = looks
                    .into_iter()
                    .map(|(name, looks)| {
                        let kind = (!ignored.contains(&name)).then(|| kinds.get(&name).copied().unwrap_or(looks.kind()));
                        (name, kind)
                    })
                    .collect();
                check_count(kinds.iter().flat_map(|(_, kind)| kind).count()).map_err(wrong)?;
                csv_file::table(reader(path, is_gzipped)?, kinds).map_err(wrong)?
            }
            Format::JsonLines { is_gzipped } => json_lines::table(reader(path, is_gzipped)?, kinds, ignored).map_err(wrong)?,
            Format::Parquet => ParquetFile::open(path)?.table(kinds, ignored).map_err(wrong)?,
        };
        if table.columns.is_empty() {
            return Err(wrong("there are no columns that can be read".to_owned()));
        }
        if table.rows == 0 {
            return Err(wrong("there are no rows".to_owned()));
        }
        Ok(table)
    }

    /// Of columns that all have so many rows.
    pub(super) fn of(rows: usize, columns: Vec<(String, TableColumn)>, left_out: BTreeMap<String, String>) -> Self {
        Self { rows, columns, left_out }
    }

    /// Of rows of JSON values, such as the inputs of a control set. Objects in a row are left out.
    ///
    /// # Errors
    /// There are more than [`MAX_COLUMNS`] columns.
    pub fn of_rows(rows: impl IntoIterator<Item = serde_json::Map<String, serde_json::Value>>) -> Result<Self, String> {
        let mut builder = json_lines::Rows::default();
        rows.into_iter().try_for_each(|row| builder.add(row))?;
        Ok(builder.table(&CellKinds::new()))
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in the order of the file.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &TableColumn)> {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column)
    }

    /// Columns that cannot be read, each with the reason.
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.left_out
    }
}

/// Whether a table may have so many columns.
pub(super) fn check_count(columns: usize) -> Result<(), String> {
    if columns > MAX_COLUMNS {
        return Err(format!(
            "it has {columns} columns, more than {MAX_COLUMNS}: leave out what is no feature"
        ));
    }
    Ok(())
}

/// What the present values of a column look like.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looks {
    present: u64,
    numbers: u64,
    arrays: u64,
    words_for_missing: u64,
}

impl Looks {
    /// Takes a field of a text file.
    pub(super) fn add_field(&mut self, field: &str) {
        if field.is_empty() {
            return;
        }
        if WORDS_FOR_MISSING.contains(&field) {
            self.words_for_missing += 1;
            return;
        }
        self.present += 1;
        if field.trim().parse::<f64>().is_ok() {
            self.numbers += 1;
        } else if field.starts_with('[') && field.ends_with(']') {
            self.arrays += 1;
        }
    }

    /// Takes one value that is present.
    pub(super) fn add(&mut self, is_number: bool, is_array: bool) {
        self.present += 1;
        self.numbers += u64::from(is_number);
        self.arrays += u64::from(is_array);
    }

    /// What the column is. A column without a value is one of categories, as it is for `driftlead drift`.
    pub(super) fn kind(&self) -> CellKind {
        let least = self.present as f64 * USUAL_SHARE;
        if self.present > 0 && self.numbers as f64 >= least {
            CellKind::Numeric
        } else if self.present > 0 && self.arrays as f64 >= least {
            CellKind::Array
        } else {
            CellKind::Categorical
        }
    }
}

/// A column while it is read.
#[derive(Debug, Clone)]
pub(super) struct ColumnBuilder {
    column: TableColumn,
    /// By the hash of a text which one it is; 128 bits of a good hash do not meet.
    ids: HashMap<u128, usize>,
}

impl ColumnBuilder {
    /// A column without rows.
    pub(super) fn new(kind: CellKind) -> Self {
        Self {
            column: TableColumn {
                kind,
                cells: Vec::new(),
                texts: String::new(),
                ends: Vec::new(),
                arrays: Vec::new(),
                words_for_missing: 0,
            },
            ids: HashMap::new(),
        }
    }

    /// Takes rows without a value.
    pub(super) fn add_absent(&mut self, count: usize) {
        let cells = &mut self.column.cells;
        cells.resize(cells.len() + count, Packed::ABSENT);
    }

    /// Takes a number.
    pub(super) fn add_number(&mut self, number: f64) {
        self.column.cells.push(Packed::number(number));
    }

    /// Takes a text.
    pub(super) fn add_text(&mut self, text: &str) {
        let column = &mut self.column;
        let index = *self.ids.entry(xxh3_128(text.as_bytes())).or_insert_with(|| {
            column.texts.push_str(text);
            column.ends.push(column.texts.len());
            column.ends.len() - 1
        });
        self.column.cells.push(Packed::text(index));
    }

    /// Takes an array.
    pub(super) fn add_array(&mut self, array: Array) {
        self.column.cells.push(Packed::array(self.column.arrays.len()));
        self.column.arrays.push(array);
    }

    /// Takes a field of a text file, as the kind of the column says.
    pub(super) fn add_field(&mut self, field: &str) {
        match self.column.kind {
            _ if field.is_empty() => self.add_absent(1),
            CellKind::Categorical => self.add_text(field),
            _ if WORDS_FOR_MISSING.contains(&field) => {
                self.column.words_for_missing += 1;
                self.add_absent(1);
            }
            CellKind::Numeric => match field.trim().parse() {
                Ok(number) => self.add_number(number),
                Err(_) => self.add_text(field),
            },
            CellKind::Array => match Array::of_text(field) {
                Some(array) => self.add_array(array),
                None => self.add_text(field),
            },
        }
    }

    /// How many rows it has so far.
    pub(super) fn rows(&self) -> usize {
        self.column.cells.len()
    }

    /// The column.
    pub(super) fn built(mut self, kind: CellKind) -> TableColumn {
        self.column.kind = kind;
        self.column.cells.shrink_to_fit();
        self.column.texts.shrink_to_fit();
        self.column
    }
}
