//! What people and CI jobs are told of two files.

use std::fmt::Write;
use std::path::PathBuf;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::rows::Kinds;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn request(threshold: f64) -> FileDriftRequest {
    FileDriftRequest {
        choice: Choice::default(),
        threshold,
        compatible: None,
        quality: None,
    }
}

/// Rows of a uniform number, a skewed one and a city; this share of `moved` is 9, and of the cities Ulm.
fn rows(n: usize, seed: u64, moved: f64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = String::from("calm,moved,city\n");
    for _ in 0..n {
        let calm: f64 = random.random();
        let skewed: f64 = random.random::<f64>().powi(4) * 5.0;
        let skewed = if random.random_bool(moved) { 9.0 } else { skewed };
        let city = if random.random_bool(moved) {
            "Ulm"
        } else {
            ["Bonn", "Köln"][random.random_range(0..2)]
        };
        writeln!(text, "{calm},{skewed},{city}").unwrap();
    }
    text
}

#[test]
fn what_moved_is_named_and_what_did_not_is_not() {
    let files = Files::new();
    let reference = files.write("reference.csv", &rows(50_000, 1, 0.0));
    let current = files.write("current.csv", &rows(50_000, 2, 0.06));
    let drift = compare_files(&reference, &current, &request(0.03)).unwrap();
    assert_eq!(drift.verdict, DriftVerdict::Drift);
    assert_eq!(
        BTreeSet::from_iter(&drift.drifted),
        BTreeSet::from([&"city".to_owned(), &"moved".to_owned()])
    );
    for name in ["moved", "city"] {
        let value = drift.columns[name].shift.value.unwrap();
        assert!((value - 0.06).abs() < 0.01, "{name}: {value}");
        assert!(drift.columns[name].p_adjusted.unwrap() < 1e-6);
    }
    assert!(drift.columns["calm"].shift.decision_lower.unwrap() < 0.01);
    // The same files say the same.
    assert_eq!(compare_files(&reference, &current, &request(0.03)).unwrap(), drift);
    let alike = compare_files(&reference, &files.write("alike.csv", &rows(50_000, 3, 0.0)), &request(0.03)).unwrap();
    assert_eq!((alike.verdict, alike.drifted.len()), (DriftVerdict::None, 0));
}

#[test]
fn a_few_rows_decide_nothing() {
    let files = Files::new();
    let reference = files.write("reference.csv", &rows(12, 1, 0.0));
    let drift = compare_files(&reference, &files.write("current.csv", &rows(12, 2, 0.9)), &request(0.03)).unwrap();
    assert_eq!(drift.verdict, DriftVerdict::Insufficient);
    assert!(
        drift
            .columns
            .values()
            .all(|column| column.reason.as_ref().unwrap().contains("1000 rows"))
    );
    let one = files.write("one.csv", "calm,moved,city\n1,2,Bonn\n");
    assert_eq!(
        compare_files(&one, &one, &request(0.03)).unwrap().verdict,
        DriftVerdict::Insufficient
    );
}

#[test]
fn bad_values_are_counted_and_named_and_are_never_null() {
    let files = Files::new();
    let mut before = String::from("constant,missing,number,new,gone\n");
    let mut now = String::from("constant,missing,number,new,extra\n");
    for row in 0..2_000 {
        writeln!(before, "5,,{row},a,1").unwrap();
        let number = ["NaN", "inf", "-inf", "seven", "1"][row % 5];
        writeln!(now, "5,,{number},{},1", if row < 500 { "b" } else { "a" }).unwrap();
    }
    let drift = compare_files(&files.write("before.csv", &before), &files.write("now.csv", &now), &request(0.03)).unwrap();
    let column = |name: &str| &drift.columns[name];
    assert_eq!(column("constant").shift.value, Some(0.0));
    assert_eq!(column("constant").statistics.psi, Measured::Value(0.0));
    assert_eq!(column("missing").counts.absent, [2_000, 2_000]);
    assert!(matches!(&column("missing").statistics.psi, Measured::Undefined { undefined } if undefined.contains("no values")));
    let counts = column("number").counts;
    assert_eq!((counts.nan, counts.inf, counts.type_mismatch), ([0, 400], [0, 800], [0, 400]));
    assert!(column("number").shift.value.unwrap() > 0.75);
    assert!((column("new").shift.value.unwrap() - 0.25).abs() < 0.01);
    assert_eq!((column("gone").n, column("gone").counts.absent), (2_000, [0, 2_000]));
    assert!(column("gone").shift.value.unwrap() > 0.99);
    assert_eq!(drift.only_in_current, BTreeSet::from(["extra".to_owned()]));
    assert_eq!(drift.drifted[0], "gone");
    // In JSON a number that is none would be null: only open ends of bins, and what they are not, may be.
    let mut json = serde_json::to_value(&drift).unwrap();
    for column in json["columns"].as_object_mut().unwrap().values_mut() {
        column["bins"].take();
        let text = column
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "bins")
            .map(|(_, value)| value.to_string());
        assert!(text.clone().all(|value| !value.contains("null")), "{:?}", text.collect::<Vec<_>>());
    }
}

#[test]
fn somebody_else_may_say_what_drift_is_and_what_columns_are() {
    let files = Files::new();
    let reference = files.write("reference.csv", &rows(5_000, 1, 0.0));
    let current = files.write("current.csv", &rows(5_000, 2, 0.2));
    let choice = Choice {
        kinds: Kinds::new(),
        ignored: BTreeSet::from(["calm".to_owned()]),
    };
    let request = FileDriftRequest {
        choice,
        threshold: 0.03,
        compatible: Some(Library::Evidently),
        quality: None,
    };
    let drift = compare_files(&reference, &current, &request).unwrap();
    assert_eq!(drift.columns.len(), 2);
    assert!(drift.only_in_current.is_empty());
    let compatible = drift.columns["moved"].compatible.as_ref().unwrap();
    assert_eq!(
        (compatible.method, compatible.drifted, compatible.threshold),
        (Some("wasserstein"), true, Some(0.1))
    );
    assert_eq!(drift.verdict, DriftVerdict::Drift);
}

/// Rows of a classifier whose scores are probabilities, pushed to the middle by `lean`; what scores say is true as often as that.
fn scored_rows(n: usize, seed: u64, lean: f64, is_labelled: bool) -> (String, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = String::from(if is_labelled { "score,answer,truth\n" } else { "score,answer\n" });
    let mut right = 0;
    for _ in 0..n {
        let score = 0.5 + (random.random::<f64>() - 0.5) * lean;
        let (answer, truth) = (score >= 0.5, random.random_bool(score));
        right += usize::from(answer == truth);
        write!(text, "{score},{}", u8::from(answer)).unwrap();
        // The same class however it is written.
        writeln!(text, "{}", if is_labelled { [",0", ",1.0"][usize::from(truth)] } else { "" }).unwrap();
    }
    (text, right as f64 / n as f64)
}

fn asking(columns: QualityColumns) -> FileDriftRequest {
    FileDriftRequest {
        quality: Some(columns),
        ..request(0.03)
    }
}

fn columns(prediction: Option<&str>, score: Option<&str>, label: &str) -> QualityColumns {
    QualityColumns {
        prediction: prediction.map(str::to_owned),
        score: score.map(str::to_owned),
        label: label.to_owned(),
        positive_class: None,
    }
}

fn measure_of(measures: &Measures, name: &str) -> Bounded {
    match &measures.of[name] {
        Measured::Value(value) => *value,
        Measured::Undefined { undefined } => panic!("{name}: {undefined}"),
    }
}

#[test]
fn a_classifiers_quality_is_measured_and_expected_where_labels_lack() {
    let files = Files::new();
    let (before, accuracy_before) = scored_rows(20_000, 1, 1.0, true);
    let (labelled, accuracy) = scored_rows(20_000, 2, 0.5, true);
    let (unlabelled, _) = scored_rows(20_000, 2, 0.5, false);
    let reference = files.write("reference.csv", &before);
    let current = files.write("labelled.csv", &labelled);
    let request = asking(columns(Some("answer"), Some("score"), "truth"));
    let quality = compare_files(&reference, &current, &request).unwrap().quality.unwrap();
    assert_eq!((quality.task, quality.positive_class.as_deref()), (Task::Classification, Some("1")));
    assert_eq!(measure_of(&quality.reference, "accuracy").value, accuracy_before);
    let measured = quality.current.as_ref().unwrap();
    assert_eq!(
        (measured.n, measured.left_out, measure_of(measured, "accuracy").value),
        (20_000, 0, accuracy)
    );
    for name in [
        "precision",
        "recall",
        "f1",
        "false_positive_ratio",
        "roc_auc",
        "pr_auc",
        "brier",
        "log_loss",
        "ece",
    ] {
        measure_of(measured, name);
    }
    let Measured::Value(expected) = &quality.estimated else {
        panic!("{quality:?}")
    };
    for name in ["accuracy", "precision", "recall", "f1", "roc_auc"] {
        let (truth, expected) = (measure_of(measured, name).value, measure_of(expected, name));
        assert!(
            expected.lower.unwrap() <= truth && truth <= expected.upper.unwrap(),
            "{name}: {truth}, {expected:?}"
        );
    }
    // Without labels, and with the decisions left to the scores, the same is expected.
    let scores = asking(columns(None, Some("score"), "truth"));
    let without = compare_files(&reference, &files.write("unlabelled.csv", &unlabelled), &scores).unwrap();
    // What is not known yet has not drifted.
    assert!(!without.columns.contains_key("truth"));
    let without = without.quality.unwrap();
    assert!(without.current.is_none());
    assert_eq!(without.estimated, quality.estimated);
    assert_eq!(without.reference.of["accuracy"], quality.reference.of["accuracy"]);
}

#[test]
fn many_classes_and_numbers_are_measured_as_what_they_are() {
    let files = Files::new();
    let classes = files.write("classes.csv", &format!("p,t\n{}", "a,a\nb,b\nc,a\n".repeat(100)));
    let quality = compare_files(&classes, &classes, &asking(columns(Some("p"), None, "t")))
        .unwrap()
        .quality
        .unwrap();
    assert_eq!((quality.task, &quality.positive_class), (Task::Classification, &None));
    assert!((measure_of(&quality.reference, "accuracy").value - 2.0 / 3.0).abs() < 1e-12);
    // Class a: precision 1, recall a half; b: 1.
    assert!((measure_of(&quality.reference, "f1").value - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12);
    assert!(matches!(&quality.estimated, Measured::Undefined { undefined } if undefined.contains("--score")));
    let mut numbers = String::from("p,t\n");
    for row in 0..1_000 {
        writeln!(numbers, "{},{}", row, f64::from(row) + if row % 2 == 0 { 2.0 } else { -4.0 }).unwrap();
    }
    numbers.push_str(",7\n8,\nNaN,7\n");
    let numbers = files.write("numbers.csv", &numbers);
    let quality = compare_files(&numbers, &numbers, &asking(columns(Some("p"), None, "t")))
        .unwrap()
        .quality
        .unwrap();
    let measured = quality.current.unwrap();
    assert_eq!((quality.task, measured.n, measured.left_out), (Task::Regression, 1_000, 3));
    let mae = measure_of(&measured, "mae");
    assert!((mae.value - 3.0).abs() < 1e-12 && mae.lower.unwrap() < 3.0 && mae.upper.unwrap() > 3.0);
    assert!((measure_of(&measured, "rmse").value - 10.0_f64.sqrt()).abs() < 1e-12);
    let Measured::Value(expected) = quality.estimated else { panic!() };
    assert!((measure_of(&expected, "mae").value - 3.0).abs() < 0.1);
}

#[test]
fn what_quality_cannot_be_measured_by_is_named() {
    let files = Files::new();
    let rows = files.write("rows.csv", "p,s,t\na,0.5,x\nb,0.5,y\n");
    let unlabelled = files.write("unlabelled.csv", "p,s\na,0.5\n");
    let why = |reference: &PathBuf, asked: QualityColumns| compare_files(reference, &rows, &asking(asked)).unwrap_err().to_string();
    assert!(why(&rows, columns(Some("q"), None, "t")).contains("no column \"q\" that quality"));
    assert!(why(&unlabelled, columns(Some("p"), None, "t")).contains("no column \"t\" that quality"));
    assert!(why(&rows, columns(Some("p"), Some("s"), "t")).contains("--positive-class"));
}
