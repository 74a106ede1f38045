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
