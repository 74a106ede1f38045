//! Parquet, column by column.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::positioned::Positioned;
use super::{Column, Kind, Layout, RowsFileError, content};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// An open file.
pub(super) struct ParquetFile {
    path: PathBuf,
    reader: SerializedFileReader<Positioned>,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ParquetFile").field(&self.path).finish()
    }
}

impl ParquetFile {
    /// Reads what the file says of itself.
    ///
    /// # Errors
    /// It does not read.
    pub fn open(path: &Path) -> Result<Self, RowsFileError> {
        let file = File::open(path).and_then(Positioned::new).map_err(|source| RowsFileError::Read {
            path: path.to_owned(),
            source,
        })?;
        let reader = SerializedFileReader::new(file).map_err(|error| content(path, error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// What its columns are. Instants and dates are numbers of the unit that the file keeps.
    pub fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        for column in self.descriptors() {
            let name = column.path().string();
            if column.max_rep_level() > 0 {
                layout.left_out.insert(name, "it holds lists".to_owned());
                continue;
            }
            match column.physical_type() {
                Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE => {
                    layout.kinds.insert(name, Kind::Numeric);
                }
                Type::BOOLEAN | Type::BYTE_ARRAY if scale(column).is_none() => {
                    layout.kinds.insert(name, Kind::Categorical);
                }
                other => {
                    layout.left_out.insert(name, format!("its type {other} cannot be compared"));
                }
            }
        }
        layout
    }

    fn descriptors(&self) -> impl Iterator<Item = &ColumnDescriptor> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema.columns().iter().map(AsRef::as_ref)
    }

    /// Reads a column.
    ///
    /// # Errors
    /// There is none of this name, or its values do not read.
    pub fn column(&self, name: &str, kind: Kind) -> Result<Column, String> {
        let found = self.descriptors().enumerate().find(|(_, column)| column.path().string() == name);
        let (index, descriptor) = found.ok_or_else(|| format!("there is no column {name:?}"))?;
        let mut values = Values {
            column: Column::new(kind),
            divisor: 10_f64.powi(scale(descriptor).unwrap_or(0)),
            is_optional: descriptor.max_def_level() > 0,
        };
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).and_then(|group| group.get_column_reader(index));
            let read = group.and_then(|reader| values.read(reader));
            read.map_err(|error| format!("column {name:?}: {error}"))?;
        }
        Ok(values.column)
    }
}

/// Decimal places of a column of decimals.
fn scale(column: &ColumnDescriptor) -> Option<i32> {
    let is_decimal =
        matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. })) || column.converted_type() == ConvertedType::DECIMAL;
    is_decimal.then(|| column.type_scale())
}

/// A column while its groups are read.
struct Values {
    column: Column,
    divisor: f64,
    is_optional: bool,
}

impl Values {
    fn read(&mut self, reader: ColumnReader) -> Result<(), ParquetError> {
        match reader {
            ColumnReader::BoolColumnReader(reader) => self.each(reader, |values, flag| values.text(if *flag { "true" } else { "false" })),
            ColumnReader::Int32ColumnReader(reader) => self.each(reader, |values, number| values.number(f64::from(*number))),
            ColumnReader::Int64ColumnReader(reader) => self.each(reader, |values, number| values.number(*number as f64)),
            ColumnReader::FloatColumnReader(reader) => self.each(reader, |values, number| values.number(f64::from(*number))),
            ColumnReader::DoubleColumnReader(reader) => self.each(reader, |values, number| values.number(*number)),
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.each(reader, |values, bytes| values.text(&String::from_utf8_lossy(bytes.data())))
            }
            ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                Err(ParquetError::General("its type cannot be compared".to_owned()))
            }
        }
    }

    fn each<T: DataType>(&mut self, mut reader: ColumnReaderImpl<T>, mut take: impl FnMut(&mut Self, &T::T)) -> Result<(), ParquetError> {
        let (mut values, mut levels) = (Vec::with_capacity(BATCH_ROWS), Vec::with_capacity(BATCH_ROWS));
        loop {
            values.clear();
            levels.clear();
            let levels = self.is_optional.then_some(&mut levels);
            let (records, present, _) = reader.read_records(BATCH_ROWS, levels, None, &mut values)?;
            if records == 0 {
                return Ok(());
            }
            values.iter().for_each(|value| take(self, value));
            self.column.add_absent((records - present) as u64);
        }
    }

    fn number(&mut self, number: f64) {
        match self.column.kind() {
            Kind::Numeric => self.column.add_number(number / self.divisor),
            Kind::Categorical => self.column.add_value(&(number / self.divisor).to_string()),
        }
    }

    fn text(&mut self, text: &str) {
        match (self.column.kind(), text.trim().parse()) {
            (Kind::Numeric, Ok(number)) => self.column.add_number(number),
            _ => self.column.add_value(text),
        }
    }
}
