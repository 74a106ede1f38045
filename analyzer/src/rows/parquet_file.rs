//! Parquet, column by column.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, List};
use parquet::schema::types::{ColumnDescriptor, Type as SchemaType};

use super::array::{Builder, Shape, common};
use super::positioned::Positioned;
use super::table::{ColumnBuilder, TableColumn, check_count};
use super::{Array, CellKind, CellKinds, Column, Fields, Kind, Layout, RowsFileError, Table, content};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8_192;
/// Rows for which room is made before they are read: a file can say anything of itself.
const MAX_RESERVED_ROWS: usize = 16_000_000;

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
        let mut column = Column::new(kind);
        column.reserve(usize::try_from(self.rows()).unwrap_or(0).min(MAX_RESERVED_ROWS));
        let mut column = self.read(name, column)?;
        column.sort();
        Ok(column)
    }

    /// Reads a column row by row.
    ///
    /// # Errors
    /// As [`Self::column`].
    pub fn fields(&self, name: &str) -> Result<Fields, String> {
        self.read(name, Fields::default())
    }

    /// Reads all rows of the columns that can be read, in the order of the file.
    ///
    /// # Errors
    /// There are too many columns, or values do not read.
    pub fn table(&self, kinds: &CellKinds, ignored: &BTreeSet<String>) -> Result<Table, String> {
        let layout = self.layout();
        let (mut columns, mut left_out, mut lists) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        check_count(self.descriptors().count())?;
        for descriptor in self.descriptors() {
            let (name, root) = (descriptor.path().string(), &descriptor.path().parts()[0]);
            if ignored.contains(&name) || ignored.contains(root) || !lists.insert(root.clone()) && descriptor.max_rep_level() > 0 {
                continue;
            }
            let kind = |usual| kinds.get(&name).copied().unwrap_or(usual);
            match layout.kinds.get(&name) {
                Some(found) => {
                    let kind = kind(match found {
                        Kind::Numeric => CellKind::Numeric,
                        Kind::Categorical => CellKind::Categorical,
                    });
                    let column = self.read(&name, ColumnBuilder::new(kind))?;
                    columns.push((name, column.built(kind)));
                }
                None if is_list_of_numbers(self.root(root)) => columns.push((root.clone(), self.lists(root)?)),
                None => {
                    let reason = layout.left_out.get(&name).map_or("it cannot be read", String::as_str);
                    left_out.insert(name, reason.to_owned());
                }
            }
        }
        let rows = usize::try_from(self.rows()).unwrap_or(usize::MAX);
        if let Some((name, column)) = columns.iter().find(|(_, column)| column.rows() != rows) {
            return Err(format!("column {name:?} has {} rows, the file says {rows}", column.rows()));
        }
        Ok(Table::of(rows, columns, left_out))
    }

    fn root(&self, name: &str) -> Option<&SchemaType> {
        let root = self.reader.metadata().file_metadata().schema();
        root.get_fields().iter().find(|field| field.name() == name).map(AsRef::as_ref)
    }

    fn lists(&self, root: &str) -> Result<TableColumn, String> {
        let wrong = |error: ParquetError| format!("column {root:?}: {error}");
        let schema = self.reader.metadata().file_metadata().schema();
        let fields = schema.get_fields().iter().filter(|field| field.name() == root).cloned().collect();
        let projection = SchemaType::group_type_builder(schema.name())
            .with_fields(fields)
            .build()
            .map_err(wrong)?;
        let mut column = ColumnBuilder::new(CellKind::Array);
        for row in self.reader.get_row_iter(Some(projection)).map_err(wrong)? {
            match row.map_err(wrong)?.get_column_iter().next() {
                Some((_, Field::ListInternal(list))) => column.add_array(array_of(list)),
                _ => column.add_absent(1),
            }
        }
        Ok(column.built(CellKind::Array))
    }

    fn read<T: Take>(&self, name: &str, to: T) -> Result<T, String> {
        let found = self.descriptors().enumerate().find(|(_, column)| column.path().string() == name);
        let (index, descriptor) = found.ok_or_else(|| format!("there is no column {name:?}"))?;
        let mut values = Values {
            to,
            divisor: 10_f64.powi(scale(descriptor).unwrap_or(0)),
            highest_level: descriptor.max_def_level(),
        };
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).and_then(|group| group.get_column_reader(index));
            let read = group.and_then(|reader| values.read(reader));
            read.map_err(|error| format!("column {name:?}: {error}"))?;
        }
        Ok(values.to)
    }
}

/// Whether a column holds nothing else than lists, of lists, of numbers that the library reads.
fn is_list_of_numbers(root: Option<&SchemaType>) -> bool {
    let mut field = root;
    let mut is_list = false;
    while let Some(group) = field {
        is_list |= group.get_basic_info().has_repetition() && group.get_basic_info().repetition() == Repetition::REPEATED;
        if group.is_primitive() {
            let is_number = matches!(group.get_physical_type(), Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE);
            return is_list && is_number && group.get_basic_info().converted_type() != ConvertedType::DECIMAL;
        }
        field = match group.get_fields() {
            [only] => Some(only.as_ref()),
            _ => None,
        };
    }
    false
}

fn array_of(list: &List) -> Array {
    let mut builder = Builder::default();
    let shape = add_list(&mut builder, list);
    builder.built(shape)
}

fn add_list(builder: &mut Builder, list: &List) -> Shape {
    builder.open();
    let shapes = list.elements().iter().map(|element| match element {
        Field::ListInternal(inner) => add_list(builder, inner),
        other => {
            match number_of(other) {
                Some(number) => builder.add_number(number),
                None => builder.add_other("null"),
            }
            Some(Vec::new())
        }
    });
    let shape = common(shapes);
    builder.close();
    shape
}

fn number_of(field: &Field) -> Option<f64> {
    Some(match field {
        Field::Byte(number) => f64::from(*number),
        Field::Short(number) => f64::from(*number),
        Field::Int(number) | Field::Date(number) | Field::TimeMillis(number) => f64::from(*number),
        Field::Long(number) | Field::TimeMicros(number) | Field::TimestampMillis(number) | Field::TimestampMicros(number) => *number as f64,
        Field::UByte(number) => f64::from(*number),
        Field::UShort(number) => f64::from(*number),
        Field::UInt(number) => f64::from(*number),
        Field::ULong(number) => *number as f64,
        Field::Float(number) => f64::from(*number),
        Field::Double(number) => *number,
        _ => return None,
    })
}

/// Decimal places of a column of decimals.
fn scale(column: &ColumnDescriptor) -> Option<i32> {
    let is_decimal =
        matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. })) || column.converted_type() == ConvertedType::DECIMAL;
    is_decimal.then(|| column.type_scale())
}

/// What the values of a column go into.
trait Take {
    /// Whether only how many there are of each text matters, not which row has it.
    const COUNTS_TEXTS: bool = false;

    fn number(&mut self, number: f64);
    fn text(&mut self, text: &str);
    fn absent(&mut self, count: u64);

    fn texts(&mut self, text: &str, count: u64) {
        (0..count).for_each(|_| self.text(text));
    }
}

impl Take for Column {
    const COUNTS_TEXTS: bool = true;

    fn number(&mut self, number: f64) {
        match self.kind() {
            Kind::Numeric => self.add_number(number),
            Kind::Categorical => self.add_value(&number.to_string()),
        }
    }

    fn text(&mut self, text: &str) {
        match self.kind() {
            Kind::Numeric => match text.trim().parse() {
                Ok(number) => self.add_number(number),
                Err(_) => self.add_value(text),
            },
            Kind::Categorical => self.add_value(text),
        }
    }

    fn absent(&mut self, count: u64) {
        self.add_absent(count);
    }

    fn texts(&mut self, text: &str, count: u64) {
        match self.kind() {
            Kind::Numeric => (0..count).for_each(|_| self.text(text)),
            Kind::Categorical => self.add_values(text, count),
        }
    }
}

impl Take for ColumnBuilder {
    fn number(&mut self, number: f64) {
        self.add_number(number);
    }

    fn text(&mut self, text: &str) {
        self.add_text(text);
    }

    fn absent(&mut self, count: u64) {
        self.add_absent(usize::try_from(count).unwrap_or(usize::MAX));
    }
}

impl Take for Fields {
    fn number(&mut self, number: f64) {
        self.add_number(number);
    }

    fn text(&mut self, text: &str) {
        self.add_text(text);
    }

    fn absent(&mut self, count: u64) {
        self.add_absent(count);
    }
}

/// A column while its groups are read.
struct Values<T> {
    to: T,
    divisor: f64,
    /// The definition level of a value that is present; 0 where all are.
    highest_level: i16,
}

impl<T: Take> Values<T> {
    fn read(&mut self, reader: ColumnReader) -> Result<(), ParquetError> {
        let divisor = self.divisor;
        match reader {
            ColumnReader::BoolColumnReader(reader) => self.each(reader, |to, flag| to.text(if *flag { "true" } else { "false" })),
            ColumnReader::Int32ColumnReader(reader) => self.each(reader, |to, number| to.number(f64::from(*number) / divisor)),
            ColumnReader::Int64ColumnReader(reader) => self.each(reader, |to, number| to.number(*number as f64 / divisor)),
            ColumnReader::FloatColumnReader(reader) => self.each(reader, |to, number| to.number(f64::from(*number) / divisor)),
            ColumnReader::DoubleColumnReader(reader) => self.each(reader, |to, number| to.number(*number / divisor)),
            ColumnReader::ByteArrayColumnReader(reader) if T::COUNTS_TEXTS => self.counted(reader),
            ColumnReader::ByteArrayColumnReader(reader) => self.each(reader, |to, bytes| to.text(&String::from_utf8_lossy(bytes.data()))),
            ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                Err(ParquetError::General("its type cannot be compared".to_owned()))
            }
        }
    }

    /// Takes every text once with how often it occurs. Values of a dictionary lie where the dictionary has them, so that where a value
    /// lies says which one it is: that is looked up faster than the text.
    fn counted(&mut self, mut reader: ColumnReaderImpl<ByteArrayType>) -> Result<(), ParquetError> {
        let (mut values, mut levels) = (Vec::with_capacity(BATCH_ROWS), Vec::with_capacity(BATCH_ROWS));
        let mut places: HashMap<(usize, usize), (usize, u64), RandomState> = HashMap::default();
        loop {
            values.clear();
            levels.clear();
            places.clear();
            let is_optional = self.highest_level > 0;
            let (records, present, _) = reader.read_records(BATCH_ROWS, is_optional.then_some(&mut levels), None, &mut values)?;
            if records == 0 {
                return Ok(());
            }
            self.to.absent((records - present) as u64);
            for (index, value) in values.iter().enumerate() {
                let bytes = value.data();
                places.entry((bytes.as_ptr() as usize, bytes.len())).or_insert((index, 0)).1 += 1;
            }
            for &(index, count) in places.values() {
                self.to.texts(&String::from_utf8_lossy(values[index].data()), count);
            }
        }
    }

    /// Takes every row in its turn.
    fn each<D: DataType>(&mut self, mut reader: ColumnReaderImpl<D>, take: impl Fn(&mut T, &D::T)) -> Result<(), ParquetError> {
        let (mut values, mut levels) = (Vec::with_capacity(BATCH_ROWS), Vec::with_capacity(BATCH_ROWS));
        loop {
            values.clear();
            levels.clear();
            let is_optional = self.highest_level > 0;
            let (records, present, _) = reader.read_records(BATCH_ROWS, is_optional.then_some(&mut levels), None, &mut values)?;
            if records == 0 {
                return Ok(());
            }
            if present == records {
                values.iter().for_each(|value| take(&mut self.to, value));
                continue;
            }
            let mut present = values.iter();
            for level in &levels {
                match (*level == self.highest_level).then(|| present.next()).flatten() {
                    Some(value) => take(&mut self.to, value),
                    None => self.to.absent(1),
                }
            }
        }
    }
}
