//! The demo's data: the US Census (ACS, Massachusetts, 2015 to 2018), one row a person, with the truth.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};

/// The numeric feature: age in years.
pub const NUMERIC_FEATURE: &str = "AGEP";

/// The categorical features, in the order of [`Person::categories`].
pub const CATEGORICAL_FEATURES: [&str; 15] = [
    "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
];

/// One person of one year.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Number of the row, unique over all years.
    pub id: u64,
    /// 2015 to 2018.
    pub year: u16,
    /// `AGEP`; `None` where it is absent.
    pub age: Option<f64>,
    /// Values of [`CATEGORICAL_FEATURES`]; `None` where one is absent.
    pub categories: [Option<String>; 15],
    /// The truth that the model predicts.
    pub employed: bool,
}

impl Person {
    /// The value of a categorical feature.
    pub fn category(&self, feature: &str) -> Option<&str> {
        let index = CATEGORICAL_FEATURES.iter().position(|name| *name == feature)?;
        self.categories[index].as_deref()
    }

    /// The demo's segments.
    pub fn age_group(&self) -> Option<&'static str> {
        Some(match self.age? {
            ..30.0 => "under 30",
            ..60.0 => "30 to 59",
            _ => "60 and over",
        })
    }
}

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    /// A file is not there or cannot be opened.
    #[error("cannot read {path}: {source}; `make demo-data` fetches it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not the census file that is expected: {message}; `make demo-data` fetches it again")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Reads all 277,677 rows from the folder that holds the three files, in the files' order.
///
/// # Errors
/// A file is missing or not what it should be.
pub fn read(folder: &Path) -> Result<Vec<Person>, CensusError> {
    let mut targets = HashMap::new();
    read_rows(&folder.join("employment_MA_analysis_target.pq"), |row| {
        targets.insert(integer(row, "id")?, integer(row, "employed")? == 1);
        Ok(())
    })?;
    let mut people = Vec::with_capacity(300_000);
    for file in ["employment_MA_reference.pq", "employment_MA_analysis.pq"] {
        read_rows(&folder.join(file), |row| {
            let id = integer(row, "id")?;
            let employed = match targets.get(&id) {
                Some(employed) => *employed,
                None => integer(row, "employed")? == 1,
            };
            people.push(person(row, id, employed)?);
            Ok(())
        })?;
    }
    Ok(people)
}

fn person(row: &Row, id: i64, employed: bool) -> Result<Person, String> {
    let mut categories: [Option<String>; 15] = Default::default();
    for (category, name) in categories.iter_mut().zip(CATEGORICAL_FEATURES) {
        *category = match field(row, name)? {
            Field::Str(text) => Some(text.clone()),
            Field::Null => None,
            other => return Err(format!("{name} holds {other}")),
        };
    }
    let age = match field(row, NUMERIC_FEATURE)? {
        Field::Double(age) => Some(*age),
        Field::Null => None,
        other => return Err(format!("{NUMERIC_FEATURE} holds {other}")),
    };
    let year = u16::try_from(integer(row, "year")?).map_err(|error| error.to_string())?;
    let id = u64::try_from(id).map_err(|error| error.to_string())?;
    Ok(Person {
        id,
        year,
        age,
        categories,
        employed,
    })
}

fn read_rows(path: &Path, mut take: impl FnMut(&Row) -> Result<(), String>) -> Result<(), CensusError> {
    let content = |message: String| CensusError::Content {
        path: path.to_owned(),
        message,
    };
    let parquet = |error: ParquetError| content(error.to_string());
    let file = File::open(path).map_err(|source| CensusError::Open {
        path: path.to_owned(),
        source,
    })?;
    let reader = SerializedFileReader::new(file).map_err(parquet)?;
    for row in RowIter::from_file_into(Box::new(reader)) {
        take(&row.map_err(parquet)?).map_err(content)?;
    }
    Ok(())
}

fn field<'a>(row: &'a Row, name: &str) -> Result<&'a Field, String> {
    row.get_column_iter()
        .find(|(column, _)| *column == name)
        .map(|(_, field)| field)
        .ok_or_else(|| format!("the column {name} is missing"))
}

fn integer(row: &Row, name: &str) -> Result<i64, String> {
    match field(row, name)? {
        Field::Long(value) => Ok(*value),
        other => Err(format!("{name} holds {other}")),
    }
}
