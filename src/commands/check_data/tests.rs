use std::fmt::Write;
use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

fn arguments(rest: &[&str]) -> CheckDataArguments {
    let all = ["driftlead", "check-data"].iter().chain(rest);
    match Cli::try_parse_from(all).unwrap().command {
        Command::CheckData(arguments) => *arguments,
        other => panic!("{other:?}"),
    }
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Sixty texts of two topics, of which row 7 has the other's label and row 60 a label that looks like a formula.
fn report() -> DataReport {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "id,text,topic\n".to_owned();
    for row in 1..=60 {
        let (topic, words) = if row % 2 == 0 {
            ("<card>", "my card was stolen today")
        } else {
            ("loan", "rates of a new loan")
        };
        let topic = if row == 7 { "<card>" } else { topic };
        writeln!(text, "{row},{words} number {},{topic}", row * 31).unwrap();
    }
    text.push_str("61,what is this <b>about</b> then,=cmd\n");
    let path = file(&folder, "rows.csv", &text);
    let request = request(&arguments(&[path.to_str().unwrap(), "--label", "topic"])).unwrap();
    check_file(&path, &request).unwrap()
}

#[test]
fn what_is_asked_for_is_read_or_refused_in_one_line() {
    let with = |more: &[&str]| request(&arguments(&[&["a.csv"], more].concat()));
    let asked = with(&[
        "--kind",
        "a=b=numeric",
        "--kind",
        "zip=ignore",
        "--range",
        "image=-1..1e3",
        "--shape",
        "image=3x224x224",
        "--new-share",
        "0..0.5",
        "--max-missing",
        "0.2",
    ])
    .unwrap();
    assert_eq!(asked.kinds, CellKinds::from([("a=b".to_owned(), CellKind::Numeric)]));
    assert_eq!((asked.ignored.len(), asked.new_share, asked.limits.missing), (1, (0.0, 0.5), 0.2));
    assert_eq!(
        (asked.ranges["image"], &asked.shapes["image"]),
        ((-1.0, 1000.0), &vec![3, 224, 224])
    );
    assert_eq!(with(&[]).unwrap(), DataCheckRequest::default(), "defaults are stated in two places");
    for (more, part) in [
        (vec!["--kind", "zip"], "COLUMN=numeric"),
        (vec!["--kind", "zip=text"], "a column is numeric, categorical or ignored"),
        (vec!["--kind", "zip=ignore", "--kind", "zip=numeric"], "says twice what zip is"),
        (vec!["--range", "image=1..0"], "COLUMN=LEAST..MOST"),
        (vec!["--range", "image=0..NaN"], "COLUMN=LEAST..MOST"),
        (vec!["--range", "a=0..1", "--range", "a=0..2"], "says twice what a may hold"),
        (vec!["--shape", "image=3xa"], "COLUMN=LENGTHxLENGTH"),
        (vec!["--new-share", "0.1..2"], "two shares from 0 to 1"),
    ] {
        let line = format!("{:#}", with(&more).unwrap_err());
        assert!(line.contains(part) && !line.contains('\n'), "{line}");
    }
    let beyond = Cli::try_parse_from(["driftlead", "check-data", "a.csv", "--max-missing", "5"]);
    assert!(beyond.unwrap_err().to_string().contains("a share from 0 to 1"));
}

#[test]
fn every_form_says_the_same_and_holds_no_markup_of_the_data() {
    let report = report();
    assert_eq!(report.id.as_deref(), Some("id"));
    let text = written("text", "<rows>.csv", &report).unwrap();
    assert!(
        text.starts_with("nothing is beyond its limit: <rows>.csv (61 rows, 3 columns)"),
        "{text}"
    );
    assert!(
        text.contains("label: topic; id: id; texts: text") && text.contains("row 7: a model of the other rows"),
        "{text}"
    );
    let junit = written("junit", "<rows>.csv", &report).unwrap();
    assert!(junit.contains("tests=\"9\" failures=\"0\" errors=\"0\" skipped=\"2\""), "{junit}");
    assert!(
        junit.contains("classname=\"&lt;rows&gt;.csv\" name=\"leakage\"><skipped"),
        "{junit}"
    );
    let html = written("html", "<rows>.csv", &report).unwrap();
    assert!(html.contains("&lt;card&gt;") && !html.contains("<card>") && !html.contains("<script"));
    assert!(!html.contains("http://") && !html.contains("https://"), "it loads nothing");
    let json: serde_json::Value = serde_json::from_str(&written("json", "rows.csv", &report).unwrap()).unwrap();
    assert_eq!(json["verdict"], "fine");
    assert_eq!(json["checks"][3]["check"], "label_noise");
    assert_eq!(json["checks"][3]["suspicious_rows"], 1);
}

#[test]
fn rows_are_listed_with_what_they_should_be() {
    let report = report();
    let list = String::from_utf8(list::csv(&report).unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(list.as_bytes());
    assert_eq!(&reader.headers().unwrap()[0], "row");
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1, "{list}");
    assert_eq!((&rows[0][0], &rows[0][1], &rows[0][2]), ("7", "7", "label_noise"));
    assert_eq!((&rows[0][4], &rows[0][5]), ("<card>", "loan"));
    assert!(rows[0][7].parse::<f64>().unwrap() > 0.5);
}

#[test]
fn tasks_refer_to_the_tags_of_the_configuration() {
    let report = report();
    let tasks: serde_json::Value = serde_json::from_slice(&label_studio::tasks(&report).unwrap()).unwrap();
    let task = &tasks[0];
    assert_eq!(task["data"]["text"], "rates of a new loan number 217");
    assert_eq!(
        (&task["data"]["row"]["topic"], &task["data"]["given_label"]),
        (&"<card>".into(), &"<card>".into())
    );
    assert_eq!(task["meta"]["checks"], serde_json::json!(["label_noise"]));
    let result = &task["predictions"][0]["result"][0];
    assert_eq!(
        (&result["type"], &result["value"]["choices"]),
        (&"choices".into(), &serde_json::json!(["loan"]))
    );
    let configuration = label_studio::configuration(&report);
    for name in [&result["from_name"], &result["to_name"]] {
        assert!(configuration.contains(&format!("name={name}")), "{configuration}");
    }
    assert!(configuration.contains("<Choice value=\"&lt;card&gt;\"/>"), "{configuration}");
}
