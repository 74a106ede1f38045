//! `driftlead check-data` as a person in CI runs it: exit codes, all that it writes, and label noise on real data.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rand::seq::{IndexedRandom, index};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// The texts of Banking77, where somebody put them (`DRIFTLEAD_BANKING77`): they are not to be copied into the project.
const BANKING77: &str = "DRIFTLEAD_BANKING77";
const CENSUS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/demo-data/nannyml/datasets/data/employment_MA_reference.pq"
);
const SEED: u64 = 77;

fn check_data(folder: &Path, arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_driftlead");
    Command::new(binary)
        .arg("check-data")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn ends_with(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn exit_codes_and_everything_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut text = "id,age,text,topic\n".to_owned();
    for row in 0..80 {
        let (words, topic) = if row % 2 == 0 {
            ("my card was stolen", "card")
        } else {
            ("a loan for a house", "loan")
        };
        writeln!(text, "{row},{},{words} {row},{topic}", 20 + row % 40).unwrap();
    }
    std::fs::write(folder.join("fine.csv"), &text).unwrap();
    let fine = ends_with(
        &check_data(
            folder,
            &["fine.csv", "--label", "topic", "--control", "fine.csv", "--max-leakage", "1"],
        ),
        0,
    );
    assert!(
        fine.starts_with("nothing is beyond its limit: fine.csv (80 rows, 4 columns)"),
        "{fine}"
    );

    // A wrong label, a label that no spreadsheet may take for a formula, a number that is none, a copy, an age of nobody.
    text = text.replace("24,44,my card was stolen 24,card", "24,44,my card was stolen 24,loan");
    text.push_str("80,20,=HYPERLINK(1),=SUM(A1)\n81,oops,a loan for a house,loan\n82,20,My card was stolen 0!,card\n83,400,a loan for the poor,loan\n");
    std::fs::write(folder.join("rows.csv"), &text).unwrap();
    let found = check_data(
        folder,
        &[
            "rows.csv",
            "--label",
            "topic",
            "--reference",
            "fine.csv",
            "--range",
            "age=0..120",
            "--previous",
            "fine.csv",
            "--format",
            "json",
            "--output",
            "report.json",
            "--suspicious",
            "rows-to-look-at.csv",
            "--label-studio",
            "tasks.json",
            "--label-config",
            "config.xml",
        ],
    );
    assert_eq!(ends_with(&found, 1), "", "what goes to a file is not printed");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(report["verdict"], "found");
    let outcome = |name: &str| {
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["check"] == name)
            .unwrap()["outcome"]
            .clone()
    };
    for (name, expected) in [
        ("ranges", "found"),
        ("schema", "found"),
        ("leakage", "not_asked"),
        ("new_examples", "note"),
        ("missing", "fine"),
    ] {
        assert_eq!(outcome(name), expected, "{name}: {report:#}");
    }
    let list = read("rows-to-look-at.csv");
    assert!(
        list.starts_with("row,id,check,reason,given_label,suggested_label,suggested_probability,score\n"),
        "{list}"
    );
    for part in [
        "25,24,label_noise,",
        "83,82,duplicates,",
        "82,81,schema,",
        "84,83,ranges,",
        ",'=SUM(A1),",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(!list.contains(",=SUM"), "{list}");
    let tasks: Value = serde_json::from_str(&read("tasks.json")).unwrap();
    let mislabelled = tasks.as_array().unwrap().iter().find(|task| task["meta"]["row"] == 25).unwrap();
    assert_eq!(
        mislabelled["predictions"][0]["result"][0]["value"]["choices"][0], "card",
        "{mislabelled}"
    );
    assert_eq!(mislabelled["data"]["row"]["age"], 44);
    assert!(read("config.xml").contains("<Choice value=\"=SUM(A1)\"/>"));

    for (format, part) in [
        ("junit", "<testsuite name=\"driftlead check-data rows.csv\" tests=\"9\""),
        ("html", "<!doctype html>"),
    ] {
        let written = ends_with(&check_data(folder, &["rows.csv", "--range", "age=0..120", "--format", format]), 1);
        assert!(written.starts_with(part) || written.contains(part), "{written}");
    }
    std::fs::write(folder.join("few.csv"), "a,y\n1,u\n2,v\n").unwrap();
    let few = ends_with(&check_data(folder, &["few.csv", "--label", "y"]), 3);
    assert!(few.contains("label noise         cannot tell"), "{few}");
    for arguments in [
        &["nothing.csv"][..],
        &["few.csv", "--label", "z"],
        &["few.csv", "--control", "nothing.json"],
        &["few.csv", "--range", "a"],
    ] {
        let output = check_data(folder, arguments);
        ends_with(&output, 2);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.starts_with("driftlead check-data: ") && error.trim_end().lines().count() == 1,
            "{error}"
        );
    }
}

/// A tenth of the labels of real texts is changed by lot: most of these rows are listed, and most listed rows are these.
#[test]
fn wrong_labels_of_real_texts_are_found() {
    let Some(path) = std::env::var_os(BANKING77).map(PathBuf::from).filter(|path| path.exists()) else {
        eprintln!("SKIPPED: {BANKING77} does not say where the training file of Banking77 (text,category) lies");
        return;
    };
    let mut reader = csv_rows(&std::fs::read_to_string(path).unwrap());
    let classes: Vec<String> = reader
        .iter()
        .map(|row| row[1].clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let wrong: BTreeSet<usize> = index::sample(&mut random, reader.len(), reader.len() / 10).into_iter().collect();
    for row in &wrong {
        let others: Vec<&String> = classes.iter().filter(|class| **class != reader[*row][1]).collect();
        reader[*row][1] = (*others.choose(&mut random).unwrap()).clone();
    }
    let rows: Vec<Value> = reader
        .iter()
        .map(|row| serde_json::json!({"text": row[0], "category": row[1]}))
        .collect();
    let (precision, recall) = precision_and_recall(&rows, &wrong, &["--label", "category"]);
    println!(
        "Banking77, {} rows, {} labels changed: precision {precision:.3}, recall {recall:.3}",
        rows.len(),
        wrong.len()
    );
    assert!(precision > 0.8 && recall > 0.7, "precision {precision}, recall {recall}");
}

/// The same with the US Census, whose own labels overlap: a model agrees with 82 % of them.
#[test]
fn wrong_labels_of_the_census_are_found_more_often_than_by_chance() {
    if !Path::new(CENSUS).exists() {
        eprintln!("SKIPPED: there is no census data; `make demo-data` fetches it");
        return;
    }
    let mut rows = census(20_000);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let wrong: BTreeSet<usize> = (0..rows.len()).filter(|_| random.random_bool(0.1)).collect();
    for row in &wrong {
        let changed = 1 - rows[*row]["employed"].as_i64().unwrap();
        rows[*row]["employed"] = changed.into();
    }
    let arguments = [
        "--label",
        "employed",
        "--kind",
        "prediction=ignore",
        "--kind",
        "predicted_probability=ignore",
    ];
    let (precision, recall) = precision_and_recall(&rows, &wrong, &arguments);
    println!(
        "census, {} rows, {} labels changed: precision {precision:.3}, recall {recall:.3}",
        rows.len(),
        wrong.len()
    );
    // By chance a tenth of the listed rows would be these.
    assert!(precision > 0.3 && recall > 0.6, "precision {precision}, recall {recall}");
}

fn precision_and_recall(rows: &[Value], wrong: &BTreeSet<usize>, arguments: &[&str]) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = rows.iter().map(|row| row.to_string() + "\n").collect();
    std::fs::write(folder.path().join("rows.jsonl"), lines).unwrap();
    let output = check_data(folder.path(), &[&["rows.jsonl", "--suspicious", "list.csv"], arguments].concat());
    assert!(output.status.code().is_some_and(|code| code <= 1), "{output:?}");
    let list = csv_rows(&std::fs::read_to_string(folder.path().join("list.csv")).unwrap());
    let listed = list.iter().filter(|row| row[2] == "label_noise");
    let listed: BTreeSet<usize> = listed.map(|row| row[0].parse::<usize>().unwrap() - 1).collect();
    let right = listed.intersection(wrong).count() as f64;
    (right / listed.len() as f64, right / wrong.len() as f64)
}

/// Every so many-th row of the census, so that there are about so many.
fn census(wanted: usize) -> Vec<Value> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let reader = SerializedFileReader::new(std::fs::File::open(CENSUS).unwrap()).unwrap();
    let all = reader.metadata().file_metadata().num_rows() as usize;
    let rows = reader.get_row_iter(None).unwrap().step_by(all.div_ceil(wanted));
    rows.map(|row| {
        let row = row.unwrap();
        let cells = row.get_column_iter().map(|(name, field)| {
            let text = field.to_string();
            let text = text.trim_matches('"');
            let value = text.parse::<f64>().map_or_else(
                |_| Value::from(text),
                |number| {
                    if number.fract() == 0.0 {
                        Value::from(number as i64)
                    } else {
                        Value::from(number)
                    }
                },
            );
            (name.clone(), value)
        });
        Value::Object(cells.collect())
    })
    .collect()
}

/// The rows of a CSV file but its header.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}
