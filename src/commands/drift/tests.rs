use std::fmt::Write;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

fn arguments(rest: &[&str]) -> DriftArguments {
    let all = ["driftlead", "drift"].iter().chain(rest);
    match Cli::try_parse_from(all).unwrap().command {
        Command::Drift(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

fn compared(name: &str) -> (tempfile::TempDir, Files, FileDrift) {
    let folder = tempfile::tempdir().unwrap();
    let (mut before, mut now) = (format!("age,{name}\n"), format!("age,{name},new\n"));
    for row in 0..2_000 {
        writeln!(before, "{row},a").unwrap();
        writeln!(now, "{},{},1", row + 1_000, if row < 1_000 { "<i>" } else { "a" }).unwrap();
    }
    let paths = ["before.csv", "now.csv"].map(|file| folder.path().join(file));
    std::fs::write(&paths[0], before).unwrap();
    std::fs::write(&paths[1], now).unwrap();
    let request = request(&arguments(&["--reference", "a.csv", "--current", "b.csv"])).unwrap();
    let drift = compare_files(&paths[0], &paths[1], &request).unwrap();
    let files = Files {
        reference: "before.csv".to_owned(),
        current: "<now>.csv".to_owned(),
    };
    (folder, files, drift)
}

#[test]
fn what_is_asked_for_is_read_or_refused_in_one_line() {
    let with = |more: &[&str]| request(&arguments(&[&["--reference", "a.csv", "--current", "b.csv"], more].concat()));
    let chosen = with(&[
        "--kind",
        "a=b=numeric",
        "--kind",
        "zip=categorical",
        "--kind",
        "id=ignore",
        "--threshold",
        "0.1",
    ])
    .unwrap();
    assert_eq!(
        chosen.choice.kinds,
        Kinds::from([("a=b".into(), Kind::Numeric), ("zip".into(), Kind::Categorical)])
    );
    assert_eq!((chosen.choice.ignored.len(), chosen.threshold, chosen.compatible), (1, 0.1, None));
    assert_eq!(with(&["--compatible", "evidently"]).unwrap().compatible, Some(Library::Evidently));
    for (more, part) in [
        (vec!["--kind", "zip"], "COLUMN=numeric"),
        (vec!["--kind", "zip=text"], "a column is numeric, categorical or ignored"),
        (vec!["--kind", "zip=ignore", "--kind", "zip=numeric"], "says twice what zip is"),
        (vec!["--threshold", "shift=3"], "a share from 0 to 1"),
        (vec!["--label", "t"], "say with --prediction or --score"),
    ] {
        let line = format!("{:#}", with(&more).unwrap_err());
        assert!(line.contains(part) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn every_form_says_the_same_and_holds_no_markup_of_the_data() {
    let (_folder, files, drift) = compared("na<me>");
    assert_eq!(drift.drifted.len(), 2);
    let text = written("text", &files, &drift).unwrap();
    assert!(
        text.starts_with("2 of 2 columns drifted: <now>.csv (2,000 rows) against before.csv (2,000 rows)"),
        "{text}"
    );
    assert!(text.contains("! na<me>") && text.contains("new is only in <now>.csv"), "{text}");
    let junit = written("junit", &files, &drift).unwrap();
    assert!(junit.contains(r#"tests="2" failures="2" errors="0""#), "{junit}");
    assert!(junit.contains(r#"name="na&lt;me&gt;"><failure message="shift 50.0 %"#), "{junit}");
    let html = written("html", &files, &drift).unwrap();
    assert!(html.contains("<b>na&lt;me&gt;</b>") && html.contains("&lt;i&gt;") && !html.contains("<i>") && !html.contains("<script"));
    assert!(!html.contains("http://") && !html.contains("https://"), "it loads nothing");
    let json: serde_json::Value = serde_json::from_str(&written("json", &files, &drift).unwrap()).unwrap();
    assert_eq!(json["verdict"], "drift");
    assert_eq!(json["columns"]["age"]["kind"], "numeric");
    assert!(json["columns"]["age"]["statistics"]["ks"]["p"].is_number());
}

#[test]
fn numbers_are_short() {
    let found = [0.0, 1.0, 0.123_456, 1234.5, 0.000_012_3, 98_765_432.0, -2.5, 100.0].map(crate::commands::numbers::short);
    assert_eq!(found, ["0", "1", "0.123", "1234", "1.23e-5", "9.88e7", "-2.5", "100"]);
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(crate::commands::numbers::count),
        ["0", "999", "1,000", "1,234,567"]
    );
    assert_eq!(crate::commands::numbers::percent(None), "–");
}

#[test]
fn quality_is_in_every_form_that_people_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, format!("p,t\n{}", "<b>,<b>\nx,y\n".repeat(50))).unwrap();
    let asked = request(&arguments(&[
        "--reference",
        "a",
        "--current",
        "b",
        "--prediction",
        "p",
        "--label",
        "t",
    ]))
    .unwrap();
    let drift = compare_files(&path, &path, &asked).unwrap();
    let files = Files {
        reference: "rows.csv".to_owned(),
        current: "rows.csv".to_owned(),
    };
    let text = written("text", &files, &drift).unwrap();
    assert!(text.contains("accuracy") && text.contains("0.5 (0.3"), "{text}");
    assert!(text.contains("nothing can be expected of the quality: without labels"), "{text}");
    let html = written("html", &files, &drift).unwrap();
    assert!(html.contains("<table class=\"quality\">") && !html.contains("<b><b>"));
    let json: serde_json::Value = serde_json::from_str(&written("json", &files, &drift).unwrap()).unwrap();
    assert_eq!(json["quality"]["current"]["accuracy"]["value"], 0.5);
    assert_eq!(json["quality"]["reference"]["n"], 100);
    assert!(json["quality"]["estimated"]["undefined"].is_string());
}
