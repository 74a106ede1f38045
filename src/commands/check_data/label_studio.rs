//! Suspicious rows as tasks for Label Studio (its basic JSON format), and the labelling configuration that shows them.
//!
//! A row is one task, whatever many checks found it. What a row holds is in `data.row`, so that no column's name can be taken
//! for one of ours; a text column is in `data.text`, too. The suggested label is a prediction of the choices `label`.

use std::collections::BTreeMap;
use std::fmt::Write;

use driftlead_analyzer::data_check::{DataReport, SuspiciousRow};
use serde_json::{Map, Value, json};

use crate::commands::markup::escaped;

/// What a person can decide on, beside the label.
const DECISIONS: [&str; 3] = ["keep", "mend", "remove"];
/// The names of the tags that results refer to.
const LABEL: &str = "label";
const INPUT: &str = "input";

/// The tasks, the most suspicious row first.
///
/// # Errors
/// There are none but of memory.
pub(super) fn tasks(report: &DataReport) -> Result<Vec<u8>, serde_json::Error> {
    let mut reasons: BTreeMap<u64, Vec<&SuspiciousRow>> = BTreeMap::new();
    for row in &report.suspicious {
        reasons.entry(row.row).or_default().push(row);
    }
    let mut rows: Vec<Vec<&SuspiciousRow>> = reasons.into_values().collect();
    let score = |reasons: &[&SuspiciousRow]| reasons.iter().map(|row| row.score).fold(0.0, f64::max);
    rows.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a[0].row.cmp(&b[0].row)));
    let tasks: Vec<Value> = rows.iter().map(|reasons| task(report, reasons, score(reasons))).collect();
    serde_json::to_vec_pretty(&tasks)
}

fn task(report: &DataReport, reasons: &[&SuspiciousRow], score: f64) -> Value {
    let row = reasons[0];
    let mut data = Map::new();
    let cells = report.cells.get(&row.row).cloned().unwrap_or_default();
    if let Some(text) = text_column(report) {
        let shown = cells.get(text).and_then(Value::as_str).unwrap_or_default();
        data.insert("text".to_owned(), shown.into());
    }
    data.insert("row".to_owned(), cells.into());
    data.insert("row_number".to_owned(), row.row.into());
    let said: Vec<&str> = reasons.iter().map(|row| row.reason.as_str()).collect();
    data.insert("reason".to_owned(), said.join("; ").into());
    data.insert("given_label".to_owned(), row.given_label.clone().unwrap_or_default().into());
    let suggestion = reasons
        .iter()
        .filter_map(|row| Some((row.suggested_label.as_deref()?, row.suggested_probability?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let predictions: Vec<Value> = suggestion
        .iter()
        .map(|(label, probability)| prediction(row.row, label, *probability))
        .collect();
    let checks: Vec<&str> = reasons.iter().map(|row| row.check.as_str()).collect();
    json!({
        "data": data,
        "meta": {"row": row.row, "id": row.id, "checks": checks, "score": score},
        "predictions": predictions,
    })
}

fn prediction(row: u64, label: &str, probability: f64) -> Value {
    json!({
        "model_version": concat!("driftlead check-data ", env!("CARGO_PKG_VERSION")),
        "score": probability,
        "result": [{
            "id": format!("row-{row}"),
            "from_name": LABEL,
            "to_name": INPUT,
            "type": "choices",
            "value": {"choices": [choice(label)]},
        }],
    })
}

/// The labelling configuration that the tasks are shown by.
pub(super) fn configuration(report: &DataReport) -> String {
    let mut xml = "<View>\n  <Header value=\"$reason\" size=\"5\"/>\n".to_owned();
    match text_column(report) {
        Some(_) => {
            let _ = writeln!(
                xml,
                "  <Text name=\"{INPUT}\" value=\"$text\"/>\n  <Table name=\"row\" value=\"$row\"/>"
            );
        }
        None => {
            let _ = writeln!(xml, "  <Table name=\"{INPUT}\" value=\"$row\"/>");
        }
    }
    if !report.classes.is_empty() {
        xml.push_str("  <Header value=\"Label\" size=\"6\"/>\n");
        write_choices(&mut xml, LABEL, report.classes.iter().map(String::as_str));
    }
    xml.push_str("  <Header value=\"Row\" size=\"6\"/>\n");
    write_choices(&mut xml, "decision", DECISIONS.into_iter());
    xml.push_str("</View>\n");
    xml
}

fn write_choices<'a>(xml: &mut String, name: &str, values: impl Iterator<Item = &'a str>) {
    let _ = writeln!(xml, "  <Choices name=\"{name}\" toName=\"{INPUT}\" choice=\"single\">");
    for value in values {
        let _ = writeln!(xml, "    <Choice value=\"{}\"/>", escaped(&choice(value)));
    }
    xml.push_str("  </Choices>\n");
}

/// A label as a choice: what XML cannot hold is a space, in the configuration and in predictions alike.
fn choice(label: &str) -> String {
    label
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

/// The column that is read first.
fn text_column(report: &DataReport) -> Option<&str> {
    report.texts.first().map(String::as_str)
}
