//! Files with faults that are known, and what each check says of them.

use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::rows::CellKind;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn labelled(label: &str) -> DataCheckRequest {
    DataCheckRequest {
        label: Some(label.to_owned()),
        ..DataCheckRequest::default()
    }
}

fn of(text: &str, request: &DataCheckRequest) -> DataReport {
    let folder = Folder::new();
    check_file(&folder.file("rows.csv", text), request).unwrap()
}

fn find(report: &DataReport, name: CheckName) -> &Check {
    report.checks.iter().find(|check| check.check == name).unwrap()
}

fn rows(report: &DataReport, name: CheckName) -> Vec<u64> {
    report
        .suspicious
        .iter()
        .filter(|row| row.check == name)
        .map(|row| row.row)
        .collect()
}

#[track_caller]
fn is(report: &DataReport, name: CheckName, outcome: Outcome, part: &str) {
    let check = find(report, name);
    let said = format!("{} {:?}", check.message, check.findings);
    assert!(check.outcome == outcome && said.contains(part), "{:?}: {said}", check.outcome);
}

#[test]
fn missing_values_are_counted_by_column_and_rows_without_a_label_are_named() {
    let text = "a,b,c,y\n1,2,x,u\n,NA,,u\n3,4,x,\n5,nan,x,u\n";
    let report = of(text, &labelled("y"));
    is(
        &report,
        CheckName::Missing,
        Outcome::Found,
        "b is missing in 50.0 % of the rows (2 written as NA, null or alike)",
    );
    is(&report, CheckName::Missing, Outcome::Found, "1 rows have no label (y)");
    assert_eq!(rows(&report, CheckName::Missing), [2, 3]);
    let lenient = DataCheckRequest {
        limits: Limits {
            missing: 0.5,
            ..Limits::default()
        },
        ..DataCheckRequest::default()
    };
    is(&of(text, &lenient), CheckName::Missing, Outcome::Note, "a is missing in 25.0 %");
    is(
        &of("a,b\n1,\n2,\n", &lenient),
        CheckName::Missing,
        Outcome::Found,
        "b has no value in any row",
    );
    is(
        &of("a,b\n1,None\n2,x\n", &lenient),
        CheckName::Missing,
        Outcome::Note,
        "they count as values",
    );
}

#[test]
fn what_the_reference_lacks_may_be_missing() {
    let folder = Folder::new();
    let reference = folder.file("reference.csv", &format!("a,b\n{}", "1,2\n1,\n".repeat(50)));
    let request = DataCheckRequest {
        reference: Some(reference),
        ..DataCheckRequest::default()
    };
    let half = folder.file("half.csv", &format!("a,b\n{}", "1,2\n1,\n".repeat(50)));
    is(
        &check_file(&half, &request).unwrap(),
        CheckName::Missing,
        Outcome::Note,
        "50.0 % in the reference",
    );
    let most = folder.file("most.csv", &format!("a,b\n{}", "1,2\n1,\n1,\n".repeat(50)));
    is(&check_file(&most, &request).unwrap(), CheckName::Missing, Outcome::Found, "66.7 %");
}

#[test]
fn copies_are_found_whatever_their_ids() {
    let report = of("id,a,b\n1,x,2\n2,x,2\n3,X ,2.0\n4,y,2\n", &DataCheckRequest::default());
    assert_eq!(report.id.as_deref(), Some("id"));
    is(
        &report,
        CheckName::Duplicates,
        Outcome::Found,
        "2 rows (50.0 %) repeat another one, 1 of them but for case",
    );
    assert_eq!(rows(&report, CheckName::Duplicates), [2, 3]);
    assert_eq!(report.suspicious[0].id.as_deref(), Some("2"));
}

#[test]
fn different_labels_of_an_input_are_a_conflict_and_most_of_them_suggest() {
    let report = of("a,y\nx,u\nX,u\nx,v\nz,u\nz,v\n", &labelled("y"));
    is(
        &report,
        CheckName::ConflictingLabels,
        Outcome::Found,
        "2 inputs have different labels, in 5 rows",
    );
    let third = report
        .suspicious
        .iter()
        .find(|row| row.check == CheckName::ConflictingLabels && row.row == 3)
        .unwrap();
    assert_eq!(
        (
            third.given_label.as_deref(),
            third.suggested_label.as_deref(),
            third.suggested_probability
        ),
        (Some("v"), Some("u"), Some(2.0 / 3.0))
    );
    let undecided = report
        .suspicious
        .iter()
        .find(|row| row.check == CheckName::ConflictingLabels && row.row == 4)
        .unwrap();
    assert_eq!(undecided.suggested_label, None);
}

#[test]
fn declared_and_learnt_ranges_hold_and_infinity_is_in_none() {
    let request = DataCheckRequest {
        ranges: BTreeMap::from([("a".to_owned(), (0.0, 1.0))]),
        ..DataCheckRequest::default()
    };
    let report = of("a,b\n0,1\n1,inf\n1.5,2\n-0.1,3\n", &request);
    is(&report, CheckName::Ranges, Outcome::Found, "a is outside of 0..1 in 2 rows");
    is(&report, CheckName::Ranges, Outcome::Found, "b is infinite in 1 rows");
    let mut found = rows(&report, CheckName::Ranges);
    found.sort_unstable();
    assert_eq!(found, [2, 3, 4]);
    let folder = Folder::new();
    let numbers = |numbers: std::ops::Range<i32>| numbers.fold("a\n".to_owned(), |text, number| text + &format!("{number}\n"));
    let request = DataCheckRequest {
        reference: Some(folder.file("reference.csv", &numbers(0..200))),
        ..DataCheckRequest::default()
    };
    let within = folder.file("within.csv", &numbers(-1..199));
    is(
        &check_file(&within, &request).unwrap(),
        CheckName::Ranges,
        Outcome::Note,
        "outside of 0..199 of the reference",
    );
    let beyond = folder.file("beyond.csv", &numbers(-10..190));
    is(
        &check_file(&beyond, &request).unwrap(),
        CheckName::Ranges,
        Outcome::Found,
        "in 10 rows (5.0 %)",
    );
}

#[test]
fn arrays_are_in_one_shape_and_from_0_to_1() {
    let mut text = String::new();
    for row in 0..30 {
        let image = match row {
            3 => "[[0.5,255],[0,1]]",
            7 => "[[0.5,0.1,0.1]]",
            11 => "[[0.5,null],[0,1]]",
            _ => "[[0.5,0.25],[0,1]]",
        };
        writeln!(text, "{{\"image\":{image},\"n\":{row}}}").unwrap();
    }
    let folder = Folder::new();
    let path = folder.file("rows.jsonl", &text);
    let report = check_file(&path, &DataCheckRequest::default()).unwrap();
    is(
        &report,
        CheckName::Shapes,
        Outcome::Found,
        "1 rows of image do not have the shape 2x2",
    );
    assert_eq!(rows(&report, CheckName::Shapes), [8]);
    is(
        &report,
        CheckName::Ranges,
        Outcome::Found,
        "image is outside of 0..1, where most of its arrays lie, in 2 rows",
    );
    assert_eq!(rows(&report, CheckName::Ranges), [12, 4]);
    let wide = DataCheckRequest {
        ranges: BTreeMap::from([("image".to_owned(), (0.0, 255.0))]),
        shapes: BTreeMap::from([("image".to_owned(), vec![1, 3])]),
        ..DataCheckRequest::default()
    };
    let report = check_file(&path, &wide).unwrap();
    assert_eq!(rows(&report, CheckName::Ranges), [12]);
    is(
        &report,
        CheckName::Shapes,
        Outcome::Found,
        "29 rows of image do not have the shape 1x3, which was declared",
    );
    // The same as CSV.
    let csv = "image,n\n\"[0.5, 0.2]\",1\n\"[0.5, 0.2]\",2\n\"[0.5]\",3\n".replace("\"[0.5, 0.2]\",2\n", &"\"[0.5, 0.2]\",2\n".repeat(20));
    is(
        &of(&csv, &DataCheckRequest::default()),
        CheckName::Shapes,
        Outcome::Found,
        "1 rows of image do not have the shape 2",
    );
    let pixels = format!("image\n{}", "\"[0, 200]\"\n".repeat(5));
    is(
        &of(&pixels, &DataCheckRequest::default()),
        CheckName::Ranges,
        Outcome::Note,
        "--range image=LEAST..MOST",
    );
}

#[test]
fn the_schema_is_that_of_the_reference() {
    let folder = Folder::new();
    let row = |row: usize| format!("{row},{},{}\n", ["x", "y"][row % 2], ["u", "v", "w"][row % 3]);
    let reference = (0..300).fold("a,b,y\n".to_owned(), |text, index| text + &row(index));
    let request = DataCheckRequest {
        reference: Some(folder.file("reference.csv", &reference)),
        ..labelled("y")
    };
    let same = check_file(&folder.file("same.csv", &reference), &request).unwrap();
    is(&same, CheckName::Schema, Outcome::Fine, "are those of the reference");
    let mut now = "a,c,y\n".to_owned();
    (0..100).for_each(|row| writeln!(now, "word{row},1,{}", ["u", "new"][row % 2]).unwrap());
    let report = check_file(&folder.file("now.csv", &now), &request).unwrap();
    for part in [
        "the reference has a column b, which is not there",
        "c is new",
        "a holds categories, in the reference numbers",
        "1 classes are new: new",
        "2 classes of the reference have no rows any more: v, w",
        "c is the same in every row",
    ] {
        is(&report, CheckName::Schema, Outcome::Found, part);
    }
    let other = reference.replace(",x,", ",z,");
    let report = check_file(&folder.file("other.csv", &other), &request).unwrap();
    is(
        &report,
        CheckName::Schema,
        Outcome::Found,
        "b is in 150 rows (50.0 %) what the reference does not have: z",
    );
}

#[test]
fn what_is_no_number_among_numbers_is_named() {
    let report = of(&format!("a\n{}oops\n", "1\n".repeat(40)), &DataCheckRequest::default());
    is(&report, CheckName::Schema, Outcome::Found, "a is no number in 1 rows");
    assert_eq!(rows(&report, CheckName::Schema), [41]);
}

#[test]
fn control_examples_among_the_rows_are_leakage_in_every_form() {
    let folder = Folder::new();
    let path = folder.file(
        "rows.csv",
        "question,topic\nWhere is my CARD?,card\nwhat is a loan for,loan\nwhy so slow today,speed\n",
    );
    let json = r#"[{"id":"c1","text":"where is  my card","label":"card"},{"id":"c2","text":"something else here","label":"x"}]"#;
    let lines = "{\"id\":\"c1\",\"input\":{\"text\":\"where is my card\"},\"expected\":{\"label\":\"card\"}}\n{\"id\":\"c2\",\"text\":\"no\",\"label\":\"x\"}\n";
    let csv = "id,text,label\nc1,where is my card,card\nc2,no,x\n";
    let rows_of_same_form = "question,topic\nwhere is my card,card\nno,x\n";
    for (name, text, example) in [
        ("set.json", json, "\"c1\""),
        ("set.jsonl", lines, "\"c1\""),
        ("set.csv", csv, "\"c1\""),
        ("held-out.csv", rows_of_same_form, "in row 1"),
    ] {
        let request = DataCheckRequest {
            control: Some(folder.file(name, text)),
            ..labelled("topic")
        };
        let report = check_file(&path, &request).unwrap();
        is(
            &report,
            CheckName::Leakage,
            Outcome::Found,
            "1 of 2 control examples (50.0 %) are among the rows",
        );
        assert_eq!(rows(&report, CheckName::Leakage), [1], "{name}");
        assert!(
            report.suspicious.iter().any(|row| row.reason.ends_with(example)),
            "{name}: {:?}",
            report.suspicious
        );
    }
    let request = DataCheckRequest {
        control: Some(folder.file("other.csv", "z\n1\n2\n")),
        ..labelled("topic")
    };
    is(
        &check_file(&path, &request).unwrap(),
        CheckName::Leakage,
        Outcome::Insufficient,
        "it has z",
    );
    let request = DataCheckRequest {
        control: Some(folder.file("broken.json", "[{")),
        ..labelled("topic")
    };
    assert!(
        check_file(&path, &request)
            .unwrap_err()
            .to_string()
            .contains("the control set cannot be read as JSON")
    );
}

#[test]
fn features_of_a_control_set_are_compared_by_value() {
    let folder = Folder::new();
    let path = folder.file("rows.csv", "age,sex,y\n39,f,1\n40,m,0\n");
    let set = folder.file(
        "set.json",
        r#"[{"id":1,"features":{"age":39.0,"sex":"F"},"label":"1"},{"id":2,"features":{"age":41,"sex":"m"},"label":"0"}]"#,
    );
    let request = DataCheckRequest {
        control: Some(set),
        ..labelled("y")
    };
    let report = check_file(&path, &request).unwrap();
    is(&report, CheckName::Leakage, Outcome::Found, "the same in 2 columns");
    assert_eq!(rows(&report, CheckName::Leakage), [1]);
}

#[test]
fn the_share_of_new_rows_is_told_and_decides_nothing() {
    let folder = Folder::new();
    let numbers = |from: u32| (from..from + 100).fold("a,b\n".to_owned(), |text, row| text + &format!("{row},x\n"));
    let previous = folder.file("previous.csv", &numbers(0));
    let request = DataCheckRequest {
        previous: Some(previous),
        ..DataCheckRequest::default()
    };
    for (from, outcome, part) in [
        (
            12,
            Outcome::Fine,
            "12.0 % of the rows (12) were not there before, within the expected 10.0 % to 15.0 %; 12 different",
        ),
        (0, Outcome::Note, "fewer than the expected"),
        (100, Outcome::Note, "more than the expected"),
    ] {
        let report = check_file(&folder.file("now.csv", &numbers(from)), &request).unwrap();
        is(&report, CheckName::NewExamples, outcome, part);
        assert_eq!(report.verdict, DataVerdict::Fine);
    }
}

/// Rows of three classes that two columns tell apart, of which `wrong` have another label; by index.
fn noisy(rows: usize, share: f64, seed: u64) -> (String, BTreeSet<u64>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut text, mut wrong) = ("size,colour,y\n".to_owned(), BTreeSet::new());
    for row in 0..rows {
        let truth = random.random_range(0..3);
        let size = f64::from(truth) * 2.0 + random.random::<f64>();
        let colour = if random.random_bool(0.8) {
            ["red", "green", "blue"][truth as usize]
        } else {
            "grey"
        };
        let label = if random.random_bool(share) {
            wrong.insert(row as u64 + 1);
            (truth + random.random_range(1..3)) % 3
        } else {
            truth
        };
        writeln!(text, "{size},{colour},class{label}").unwrap();
    }
    (text, wrong)
}

#[test]
fn wrong_labels_are_found_and_right_ones_suggested() {
    let (text, wrong) = noisy(1_500, 0.1, 5);
    let report = of(&text, &labelled("y"));
    let found: BTreeSet<u64> = rows(&report, CheckName::LabelNoise).into_iter().collect();
    let right = found.intersection(&wrong).count() as f64;
    assert!(
        right / found.len() as f64 > 0.95 && right / wrong.len() as f64 > 0.9,
        "{} of {}, {}",
        right,
        found.len(),
        wrong.len()
    );
    assert!(
        report
            .suspicious
            .iter()
            .all(|row| row.check != CheckName::LabelNoise || row.suggested_label != row.given_label)
    );
    assert_eq!(report, of(&text, &labelled("y")), "the same file gives the same report");
    let clean = of(&noisy(1_500, 0.0, 5).0, &labelled("y"));
    assert!(
        rows(&clean, CheckName::LabelNoise).len() < 5,
        "{:?}",
        find(&clean, CheckName::LabelNoise)
    );
}

#[test]
fn given_probabilities_are_taken_instead_of_a_model() {
    let mut text = "x,p_a,p_b,y\n".to_owned();
    for row in 0..60 {
        let (a, label) = match row {
            9 => (0.02, "a"),
            row if row % 2 == 0 => (0.1, "b"),
            _ => (0.9, "a"),
        };
        writeln!(text, "{row},{a},{},{label}", 1.0 - a).unwrap();
    }
    let request = DataCheckRequest {
        probabilities: Some("p_".to_owned()),
        ..labelled("y")
    };
    let report = of(&text, &request);
    assert_eq!(rows(&report, CheckName::LabelNoise), [10]);
    let broken = text.replace("0.02,", "1.02,");
    is(
        &of(&broken, &request),
        CheckName::LabelNoise,
        Outcome::Insufficient,
        "row 10 has no probability from 0 to 1",
    );
    is(&of(&broken, &request), CheckName::Ranges, Outcome::Found, "of a probability");
}

#[test]
fn what_cannot_be_told_is_insufficient_and_says_why() {
    let noise = |text: &str| {
        let report = of(text, &labelled("y"));
        let check = find(&report, CheckName::LabelNoise);
        (check.outcome, check.message.clone(), report.verdict)
    };
    let many = (0..12_000).fold("a,y\n".to_owned(), |text, row| text + &format!("{row},c{}\n", row / 5));
    let chance: String = {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        (0..400).fold("a,y\n".to_owned(), |text, _| {
            text + &format!("{},{}\n", random.random::<f64>(), ["u", "v"][random.random_range(0..2)])
        })
    };
    for (text, part) in [
        ("a,y\n1,u\n".to_owned(), "none of 1 classes has 5 rows"),
        (format!("a,y\n{}", "1,u\n".repeat(60)), "all labels are the same"),
        (format!("a,y\n{}", "1,u\n2,v\n".repeat(6)), "12 labelled rows are fewer than 50"),
        (format!("a,y\n{}", "1,\n".repeat(60)), "no row has a label"),
        (
            format!("a,y\n{}", "1,u\n1,v\n".repeat(60)),
            "a model of the other columns tells the labels no better",
        ),
        (many, "2400 classes are more than 2000"),
        (chance, "no better than how frequent they are"),
        (format!("y\n{}", "u\nv\n".repeat(60)), "there is no column but the label's"),
    ] {
        let (outcome, message, _) = noise(&text);
        assert!(outcome == Outcome::Insufficient && message.contains(part), "{outcome:?} {message}");
    }
    assert_eq!(noise("a,y\n1,u\n").2, DataVerdict::Insufficient);
    let numbers = (0..60).fold("a,y\n".to_owned(), |text, row| text + &format!("{row},{}.5\n", row * 7));
    assert_eq!(noise(&numbers).0, Outcome::NotAsked);
}

#[test]
fn what_does_not_read_is_one_line_and_names_the_file() {
    let folder = Folder::new();
    let unknown = labelled("nothing");
    let error = |name: &str, bytes: &[u8], request: &DataCheckRequest| {
        let path = folder.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        check_file(&path, request).unwrap_err().to_string()
    };
    let plain = DataCheckRequest::default();
    let named = |request: DataCheckRequest| request;
    for (name, bytes, request, part) in [
        ("empty.csv", &b""[..], &plain, "there are no columns"),
        ("header.csv", b"a,b\n", &plain, "there are no rows"),
        ("empty.jsonl", b"\n", &plain, "there are no columns"),
        ("utf8.csv", b"a,b\n1,\xff\xfe\n", &plain, "row 1: "),
        ("uneven.csv", b"a,b\n1,2\n3\n", &plain, "row 2"),
        (
            "label.csv",
            b"a,b\n1,2\n",
            &unknown,
            "there is no column \"nothing\"; there are a, b",
        ),
        (
            "range.csv",
            b"a,b\n1,2\n",
            &named(DataCheckRequest {
                ranges: BTreeMap::from([("z".to_owned(), (0.0, 1.0))]),
                ..plain.clone()
            }),
            "there is no column \"z\", which --range names",
        ),
        (
            "text.csv",
            b"a,b\n1,2\n",
            &named(DataCheckRequest {
                texts: BTreeSet::from(["a".to_owned()]),
                ..plain.clone()
            }),
            "column \"a\" holds numbers, no texts",
        ),
        (
            "probabilities.csv",
            b"a,y\n1,2\n",
            &named(DataCheckRequest {
                probabilities: Some("p_".to_owned()),
                ..labelled("y")
            }),
            "no column whose name begins with \"p_\"",
        ),
    ] {
        let said = error(name, bytes, request);
        assert!(said.contains(part) && said.contains(name) && !said.contains('\n'), "{said}");
    }
}

#[test]
fn odd_tables_are_read_to_their_end() {
    let wide = {
        let names: Vec<String> = (0..1_000).map(|index| format!("c{index}")).collect();
        let row = |from: usize| (0..1_000).map(|index| (from + index % 7).to_string()).collect::<Vec<_>>().join(",");
        format!(
            "{}\n{}",
            names.join(","),
            (0..60).fold(String::new(), |text, index| text + &row(index) + "\n")
        )
    };
    let report = of(&wide, &labelled("c0"));
    assert_eq!((report.columns, report.rows), (1_000, 60));
    let nothing = of(&format!("a,b,y\n{}", ",,u\n,,v\n".repeat(40)), &labelled("y"));
    is(
        &nothing,
        CheckName::Missing,
        Outcome::Found,
        "3 findings: a has no value in any row",
    );
    is(&nothing, CheckName::LabelNoise, Outcome::Insufficient, "");
    let one = of("a,b\n1,x\n", &DataCheckRequest::default());
    assert_eq!(one.verdict, DataVerdict::Fine);
    let with_mark = of(
        "\u{feff}a,b\n1,x\n2,y\n",
        &DataCheckRequest {
            kinds: CellKinds::from([("a".to_owned(), CellKind::Categorical)]),
            ..DataCheckRequest::default()
        },
    );
    assert_eq!(with_mark.columns, 2, "a byte order mark is no part of a name");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_rows_make_it_panic_and_suspects_are_rows_of_the_file(
        cells in proptest::collection::vec(proptest::collection::vec("[a-c]{0,2}|-?[0-9]{1,3}|NaN|inf|\\[1\\]|=x", 3), 1..80),
    ) {
        let text = cells.iter().fold("a,b,y\n".to_owned(), |text, row| text + &row.join(",") + "\n");
        let folder = Folder::new();
        let path = folder.file("rows.csv", &text);
        let request = DataCheckRequest { reference: Some(path.clone()), control: Some(path.clone()), previous: Some(path.clone()), ..labelled("y") };
        let report = check_file(&path, &request).unwrap();
        prop_assert_eq!(report.checks.len(), 9);
        for row in &report.suspicious {
            prop_assert!(row.row >= 1 && row.row <= report.rows && (0.0..=1.0).contains(&row.score), "{:?}", row);
        }
        // A file against itself: the same columns, nothing new.
        let schema = report.checks.iter().find(|check| check.check == CheckName::Schema).unwrap();
        prop_assert!(schema.findings.iter().all(|finding| !finding.message.contains("reference")), "{:?}", schema);
        let new = report.checks.iter().find(|check| check.check == CheckName::NewExamples).unwrap();
        prop_assert_eq!(new.findings[0].rows, 0);
        // Every second copy is a duplicate of the first.
        let twice = folder.file("twice.csv", &(text.clone() + &text["a,b,y\n".len()..]));
        let doubled = check_file(&twice, &DataCheckRequest::default()).unwrap();
        let copies = doubled.checks.iter().find(|check| check.check == CheckName::Duplicates).unwrap();
        prop_assert!(copies.suspicious_rows >= report.rows);
    }
}
