//! The same rows in every form are the same columns.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

const CSV: &str = "age,city,member,code\n41,Bonn,true,7\n,Bonn,false,8\n2.5,,true,7\nNaN,Köln,true,7\n";
const JSON: &str = concat!(
    "{\"age\":41,\"city\":\"Bonn\",\"member\":true,\"code\":7}\n",
    "{\"age\":null,\"city\":\"Bonn\",\"member\":false,\"code\":8}\n\n",
    "{\"age\":2.5,\"member\":true,\"code\":7}\n",
    "{\"age\":9,\"city\":\"Köln\",\"member\":true,\"code\":7,\"tags\":[1]}\n",
);

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn parquet(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("rows.parquet");
    let schema = "message rows { optional double age; optional binary city (UTF8); required boolean member; required int64 code;
        repeated int64 tags; optional int64 price (DECIMAL(9, 2)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let cities: Vec<ByteArray> = ["Bonn", "Bonn", "Köln"].map(ByteArray::from).to_vec();
    let mut next = |write: &mut dyn FnMut(&mut parquet::file::writer::SerializedColumnWriter<'_>)| {
        let mut column = group.next_column().unwrap().unwrap();
        write(&mut column);
        column.close().unwrap();
    };
    next(&mut |column| {
        let ages = [41.0, 2.5, f64::NAN];
        column.typed::<DoubleType>().write_batch(&ages, Some(&[1, 0, 1, 1]), None).unwrap();
    });
    next(&mut |column| {
        column
            .typed::<ByteArrayType>()
            .write_batch(&cities, Some(&[1, 1, 0, 1]), None)
            .unwrap();
    });
    next(&mut |column| {
        column
            .typed::<BoolType>()
            .write_batch(&[true, false, true, true], None, None)
            .unwrap();
    });
    next(&mut |column| {
        column.typed::<Int64Type>().write_batch(&[7, 8, 7, 7], None, None).unwrap();
    });
    next(&mut |column| {
        column
            .typed::<Int64Type>()
            .write_batch(&[1], Some(&[1, 0, 0, 0]), Some(&[0, 0, 0, 0]))
            .unwrap();
    });
    next(&mut |column| {
        column.typed::<Int64Type>().write_batch(&[1999], Some(&[1, 0, 0, 0]), None).unwrap();
    });
    group.close().unwrap();
    writer.close().unwrap();
    path
}

/// Rows, absent ones, those that are not finite, numbers, categories.
type Counts = (u64, u64, [u64; 3], Vec<(f64, u64)>, BTreeMap<String, u64>);

fn counts(file: &RowsFile, name: &str) -> Counts {
    let column = file.column(name).unwrap().unwrap();
    let sample = column.sample().map_or_else(|_| Vec::new(), |sample| sample.counts().to_vec());
    (column.rows(), column.absent(), column.not_finite(), sample, column.categories())
}

#[test]
fn every_form_gives_the_same_columns() {
    let folder = tempfile::tempdir().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(CSV.as_bytes()).unwrap();
    let plain = RowsFile::open(&file(&folder, "rows.csv", CSV.as_bytes()), &Choice::default()).unwrap();
    let gzipped = RowsFile::open(&file(&folder, "ROWS.CSV.gz", &gzip.finish().unwrap()), &Choice::default()).unwrap();
    let parquet = RowsFile::open(&parquet(&folder), &Choice::default()).unwrap();
    let city = BTreeMap::from([("Bonn".to_owned(), 2), ("Köln".to_owned(), 1)]);
    for rows in [&plain, &gzipped, &parquet] {
        assert_eq!(rows.rows(), 4);
        assert_eq!(counts(rows, "age"), (4, 1, [1, 0, 0], vec![(2.5, 1), (41.0, 1)], BTreeMap::new()));
        assert_eq!(counts(rows, "city"), (4, 1, [0; 3], Vec::new(), city.clone()));
        assert_eq!(counts(rows, "code").3, [(7.0, 3), (8.0, 1)]);
        assert_eq!(
            counts(rows, "member").4,
            BTreeMap::from([("false".to_owned(), 1), ("true".to_owned(), 3)])
        );
    }
    assert_eq!(counts(&parquet, "price").3, [(19.99, 1)]);
    assert_eq!(parquet.left_out().keys().collect::<Vec<_>>(), ["tags"]);
    let json = RowsFile::open(&file(&folder, "rows.jsonl", JSON.as_bytes()), &Choice::default()).unwrap();
    assert_eq!(
        counts(&json, "age"),
        (4, 1, [0; 3], vec![(2.5, 1), (9.0, 1), (41.0, 1)], BTreeMap::new())
    );
    assert_eq!(counts(&json, "city"), counts(&plain, "city"));
    assert_eq!(json.left_out()["tags"], "it holds lists or objects");
}

#[test]
fn what_somebody_chose_goes_before_what_it_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    let choice = Choice {
        kinds: Kinds::from([("code".to_owned(), Kind::Categorical), ("city".to_owned(), Kind::Numeric)]),
        ignored: BTreeSet::from(["age".to_owned()]),
    };
    for path in [
        file(&folder, "rows.csv", CSV.as_bytes()),
        parquet(&folder),
        file(&folder, "rows.jsonl", JSON.as_bytes()),
    ] {
        let rows = RowsFile::open(&path, &choice).unwrap();
        assert!(rows.column("age").unwrap().is_none());
        let code = rows.column("code").unwrap().unwrap();
        assert_eq!(
            code.categories(),
            BTreeMap::from([("7".to_owned(), 3), ("8".to_owned(), 1)]),
            "{path:?}"
        );
        let city = rows.column("city").unwrap().unwrap();
        assert_eq!((city.type_mismatches(), city.absent()), (3, 1), "{path:?}");
        assert_eq!(city.profile().categories(), 3);
    }
}

#[test]
fn what_does_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, part) in [
        ("rows.txt", CSV, "has to end in .csv"),
        ("empty.csv", "a,b\n", "there are no rows"),
        ("uneven.csv", "a,b\n1,2\n3\n", "row 2"),
        ("twice.csv", "a,a\n1,2\n", "two columns are named \"a\""),
        ("broken.jsonl", "{\"a\":1}\n{", "line 2"),
        ("nothing.jsonl", "\n", "there are no rows"),
        ("broken.parquet", "PAR1 and more", "arquet"),
        ("broken.csv.gz", "a,b\n", "the header does not read"),
    ] {
        let error = RowsFile::open(&file(&folder, name, bytes.as_bytes()), &Choice::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part) && error.contains(name) && !error.contains('\n'), "{error}");
    }
    let missing = RowsFile::open(&folder.path().join("missing.csv"), &Choice::default()).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read"), "{missing}");
    let choice = Choice {
        kinds: Kinds::from([("z".to_owned(), Kind::Numeric)]),
        ..Choice::default()
    };
    let unknown = RowsFile::open(&file(&folder, "rows.csv", CSV.as_bytes()), &choice).unwrap_err();
    assert!(unknown.to_string().contains("there is no column \"z\""), "{unknown}");
}

#[test]
fn rows_stay_in_their_order_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let parquet = parquet(&folder);
    let csv = file(&folder, "rows.csv", CSV.as_bytes());
    let json = file(&folder, "rows.jsonl", JSON.replace("\"age\":9,", "\"age\":\"NaN\",").as_bytes());
    for path in [csv, json, parquet] {
        let read = read_fields(&path, &["code", "nothing", "age", "city"]).unwrap();
        assert!(read[1].is_none(), "{}", path.display());
        let [code, _, age, city] = &read[..] else { panic!() };
        let [code, age, city] = [code, age, city].map(|column| column.as_ref().unwrap());
        assert_eq!(code.rows(), 4);
        let numbers = |column: &Fields| (0..4).map(|row| column.number(row)).collect::<Vec<_>>();
        assert_eq!(numbers(age), [Some(41.0), None, Some(2.5), None], "{}", path.display());
        let classes = |column: &Fields| {
            (0..4)
                .map(|row| column.class(row).map(|class| class.into_owned()))
                .collect::<Vec<_>>()
        };
        let city_names = [Some("Bonn"), Some("Bonn"), None, Some("Köln")].map(|name| name.map(str::to_owned));
        assert_eq!(classes(city), city_names, "{}", path.display());
        assert_eq!(classes(code)[1].as_deref(), Some("8"));
        assert_eq!((code.kind(), city.kind()), (Kind::Numeric, Kind::Categorical));
    }
}

#[test]
fn tables_hold_the_same_cells_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let json = JSON.replace("\"age\":9,", "\"age\":\"NaN\",");
    let read = |path: &PathBuf| Table::read(path, &CellKinds::new(), &BTreeSet::new()).unwrap();
    let [csv, parquet, json] = [
        file(&folder, "rows.csv", CSV.as_bytes()),
        parquet(&folder),
        file(&folder, "rows.jsonl", json.as_bytes()),
    ]
    .map(|path| read(&path));
    for table in [&csv, &parquet, &json] {
        assert_eq!(table.rows(), 4);
        let city: Vec<Cell<'_>> = table.column("city").unwrap().cells().collect();
        assert_eq!(city, [Cell::Text("Bonn"), Cell::Text("Bonn"), Cell::Absent, Cell::Text("Köln")]);
        let member = table.column("member").unwrap();
        assert_eq!((member.cell(1), member.texts()), (Cell::Text("false"), 2));
        let code: Vec<Cell<'_>> = table.column("code").unwrap().cells().collect();
        assert_eq!(code, [7.0, 8.0, 7.0, 7.0].map(Cell::Number));
    }
    for table in [&csv, &parquet] {
        let age = table.column("age").unwrap();
        assert_eq!(
            [0, 1, 2].map(|row| age.cell(row)),
            [Cell::Number(41.0), Cell::Absent, Cell::Number(2.5)]
        );
        assert!(age.cell(3).is_missing() && age.kind() == CellKind::Numeric);
    }
    // Of CSV a word for missing is absent, of Parquet NaN is a number.
    assert_eq!(
        (csv.column("age").unwrap().cell(3), csv.column("age").unwrap().words_for_missing()),
        (Cell::Absent, 1)
    );
    for table in [&parquet, &json] {
        let tags = table.column("tags").unwrap();
        assert_eq!(tags.kind(), CellKind::Array);
        let shapes = tags.cells().filter_map(|cell| match cell {
            Cell::Array(array) => array.shape.clone(),
            _ => None,
        });
        assert!(shapes.filter(|shape| **shape == [1]).count() == 1);
    }
    let ignored = BTreeSet::from(["age".to_owned()]);
    let categories = CellKinds::from([("code".to_owned(), CellKind::Categorical)]);
    let table = Table::read(&file(&folder, "rows.csv", CSV.as_bytes()), &categories, &ignored).unwrap();
    assert!(table.column("age").is_none());
    assert_eq!(table.column("code").unwrap().cell(0), Cell::Text("7"));
}

#[test]
fn lists_of_parquet_are_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.parquet");
    let schema = "message rows {
        optional group image (LIST) { repeated group list { optional float element; } }
        optional group boxes (LIST) { repeated group list { optional group element (LIST) { repeated group list { optional float element; } } } }
        optional group person { optional float age; } }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (values, present, repeated) in [
        // [0.5, 1], absent, [], [0.25, null].
        (vec![0.5, 1.0, 0.25], vec![3, 3, 0, 1, 3, 2], vec![0, 1, 0, 0, 0, 1]),
        // [[1, 2], [3, 4]], [[1], [2, 3]], absent, absent.
        (
            vec![1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0],
            vec![5, 5, 5, 5, 5, 5, 5, 0, 0],
            vec![0, 2, 1, 2, 0, 1, 2, 0, 0],
        ),
        (vec![30.0], vec![2, 0, 0, 0], vec![0, 0, 0, 0]),
    ] {
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<FloatType>()
            .write_batch(&values, Some(&present), Some(&repeated))
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let table = Table::read(&path, &CellKinds::new(), &BTreeSet::new()).unwrap();
    let shapes = |name: &str| {
        let cells = table.column(name).unwrap().cells();
        cells
            .map(|cell| match cell {
                Cell::Array(array) => array.shape_text(),
                other => format!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(shapes("image"), ["2", "Absent", "0", "2"]);
    assert_eq!(shapes("boxes"), ["2x2", "uneven", "Absent", "Absent"]);
    let Cell::Array(last) = table.column("image").unwrap().cell(3) else {
        panic!()
    };
    assert_eq!((last.least, last.most, last.not_numbers), (Some(0.25), Some(0.25), 1));
    assert_eq!(table.column("person.age").unwrap().cell(0), Cell::Number(30.0));
}
