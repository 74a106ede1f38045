//! Reads rule files.

use std::collections::BTreeSet;
use std::time::Duration;

use driftlead_store::model_settings::duration;
use driftlead_store::state::actions::ActionKind;
use driftlead_store::state::alerts::{Severity, Side};
use serde::Deserialize;
use toml::Spanned;

use super::threshold::{self, Written};
use super::{NoData, Notify, Patterns, Rule, Threshold, search};
use crate::catalogue::{self, SignalKind, Windows};
use crate::config::is_name;
use crate::problem::Problem;

const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

/// What one file holds.
#[derive(Debug, Clone, Default)]
pub struct RuleFile {
    /// Packs that it builds on: their rules are in use too, unless this file has one of the same name.
    pub include: Vec<String>,
    /// Its rules in their order.
    pub rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    rules: Vec<Spanned<toml::Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: String,
    signal: String,
    window: Option<String>,
    search: Option<String>,
    above: Option<Written>,
    below: Option<Written>,
    #[serde(default, rename = "for")]
    hold: Option<String>,
    #[serde(default = "any")]
    models: Vec<String>,
    environments: Option<Vec<String>>,
    segments: Option<Vec<String>>,
    versions: Option<Vec<String>>,
    severity: Severity,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    no_data: NoData,
    why: String,
}

fn any() -> Vec<String> {
    vec!["*".into()]
}

/// Reads one file. `receivers` are the names that `notify:` may use.
///
/// # Errors
/// Everything that is wrong, by file and rule.
pub fn parse(file: &str, text: &str, receivers: &BTreeSet<String>) -> Result<RuleFile, Vec<Problem>> {
    let written: WrittenFile =
        toml::from_str(text).map_err(|error| vec![Problem::new(file, format!("this is not a rule file: {}", one_line(&error)))])?;
    let mut parsed = RuleFile {
        include: written.include,
        rules: Vec::new(),
    };
    let mut problems = Vec::new();
    for (index, spanned) in written.rules.into_iter().enumerate() {
        let line = line_of(text, spanned.span().start);
        let table = spanned.into_inner();
        let place = match table.get("name").and_then(toml::Value::as_str) {
            Some(name) => format!("{file}:{line}: rule {name:?}"),
            None => format!("{file}:{line}: rule number {}", index + 1),
        };
        let rule = table
            .try_into::<WrittenRule>()
            .map_err(|error| one_line(&error))
            .and_then(|written| resolve(written, receivers));
        match rule {
            Ok(rule) if parsed.rules.iter().any(|other: &Rule| other.name == rule.name) => {
                problems.push(Problem::new(place, "there are two rules of this name in the file: rename one"));
            }
            Ok(rule) => parsed.rules.push(rule),
            Err(message) => problems.push(Problem::new(place, message)),
        }
    }
    if problems.is_empty() { Ok(parsed) } else { Err(problems) }
}

/// The line of a byte of the text, counted from 1.
fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().get(..byte).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

fn resolve(written: WrittenRule, receivers: &BTreeSet<String>) -> Result<Rule, String> {
    if !is_name(&written.name) {
        return Err("a rule's name is 1 to 128 letters, digits, '-', '_' and '.'".into());
    }
    let signal = catalogue::find(&written.signal).ok_or_else(|| unknown_signal(&written.signal))?;
    let (side, threshold) = condition(&written, signal)?;
    let (notify, actions) = consequences(&written.actions, signal, receivers)?;
    let lists = [
        ("models", "model", Some(&written.models)),
        ("environments", "environment", written.environments.as_ref()),
        ("segments", "segment", written.segments.as_ref()),
        ("versions", "version", written.versions.as_ref()),
    ];
    for (name, one, list) in lists {
        if list.is_some_and(Vec::is_empty) {
            return Err(format!("{name} = [] matches no {one}: leave {name} out, or name some"));
        }
    }
    let window_seconds = window(written.window.as_deref(), signal)?;
    let narrows = [
        ("models", written.models != any()),
        ("versions", written.versions.is_some()),
        ("segments", written.segments.is_some()),
    ];
    let narrowed = narrows.into_iter().find(|(_, is_written)| *is_written).map(|(list, _)| list);
    Ok(Rule {
        window_seconds,
        search: search::of_file(written.search, written.environments.as_deref(), narrowed, signal)?,
        hold: written
            .hold
            .as_deref()
            .map(duration::parse)
            .transpose()
            .map_err(|message| format!("for: {message}"))?
            .unwrap_or(Duration::ZERO),
        name: written.name,
        signal,
        side,
        threshold,
        models: Patterns::new(written.models),
        environments: written.environments.map(Patterns::new),
        segments: written.segments.map(Patterns::new),
        versions: written.versions.map(Patterns::new),
        severity: written.severity,
        notify,
        actions,
        no_data: written.no_data,
        why: written.why,
    })
}

fn unknown_signal(name: &str) -> String {
    let known: Vec<&str> = catalogue::SIGNALS.iter().map(|signal| signal.name).collect();
    format!(
        "there is no signal {name:?}; did you mean {:?}? There are {}",
        catalogue::nearest(name),
        known.join(", ")
    )
}

fn condition(written: &WrittenRule, signal: &SignalKind) -> Result<(Side, Threshold), String> {
    match (&written.above, &written.below) {
        (Some(above), None) => Ok((Side::Above, threshold::read(above, signal)?)),
        (None, Some(below)) => Ok((Side::Below, threshold::read(below, signal)?)),
        _ => Err("a rule has either above or below".into()),
    }
}

fn window(written: Option<&str>, signal: &SignalKind) -> Result<Option<u32>, String> {
    let seconds = written
        .map(duration::parse)
        .transpose()
        .map_err(|message| format!("window: {message}"))?;
    let seconds = seconds.map(|duration| duration.as_secs());
    match (signal.windows, seconds) {
        (Windows::HourOrDay, Some(3_600)) => Ok(Some(HOUR)),
        (Windows::HourOrDay, Some(86_400)) => Ok(Some(DAY)),
        (Windows::HourOrDay, _) => Err(format!(
            "{} is computed over an hour or a day: write window = \"1h\" or window = \"1d\"",
            signal.name
        )),
        (Windows::Search, Some(seconds)) => search::window(seconds).map(Some),
        (Windows::Search, None) => Err(format!("{} needs a window, such as window = \"5m\"", signal.name)),
        (Windows::Service, None | Some(60)) | (Windows::None, None) => Ok(None),
        (Windows::Service, Some(_)) => Err(format!(
            "{} is computed over the last 60 s: leave window out, and use for to wait longer",
            signal.name
        )),
        (Windows::None, Some(_)) => Err(format!("{} has no window: leave it out", signal.name)),
    }
}

fn consequences(written: &[String], signal: &SignalKind, receivers: &BTreeSet<String>) -> Result<(Notify, Vec<ActionKind>), String> {
    let mut named = BTreeSet::new();
    let mut everybody = false;
    let mut actions = Vec::new();
    for action in written {
        match action.as_str() {
            "notify" => everybody = true,
            "rollback" => actions.push(ActionKind::Rollback),
            "retrain" => actions.push(ActionKind::Retrain),
            other => match other.strip_prefix("notify:") {
                Some(name) if receivers.contains(name) => {
                    named.insert(name.to_owned());
                }
                Some(name) => return Err(missing_receiver(name, receivers)),
                None => {
                    return Err(format!(
                        "there is no action {other:?}: write \"notify\", \"notify:<receiver>\", \"rollback\" or \"retrain\""
                    ));
                }
            },
        }
    }
    if !signal.about_a_model && !actions.is_empty() {
        return Err(format!(
            "{} is about no model: it can only notify, there is nothing to roll back or to train",
            signal.name
        ));
    }
    if signal.is_estimate && actions.contains(&ActionKind::Rollback) {
        return Err(format!(
            "{} is estimated without labels, blind to a change of what is true: nothing is rolled back for it alone. \
             Write \"notify\" or \"retrain\"",
            signal.name
        ));
    }
    actions.dedup();
    let notify = if everybody {
        Notify::Everybody
    } else {
        Notify::Receivers(named.into_iter().collect())
    };
    Ok((notify, actions))
}

fn missing_receiver(name: &str, receivers: &BTreeSet<String>) -> String {
    let known = if receivers.is_empty() {
        "none are configured".to_owned()
    } else {
        format!("configured are {}", receivers.iter().cloned().collect::<Vec<_>>().join(", "))
    };
    format!("there is no receiver {name:?} ({known}): add [[receivers]] with name = {name:?}, or write \"notify\" to tell everybody")
}

/// The first line says where, the last one what; the lines between draw the place.
fn one_line(error: &toml::de::Error) -> String {
    let shown = error.to_string();
    let lines: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [first, .., last] if first.starts_with("TOML parse error") => format!("{first}: {last}"),
        _ => lines.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"
        [[rules]]
        name = "feature-shift-above-3-percent"
        signal = "feature_shift"
        window = "1d"
        above = 0.03
        for = "0s"
        models = ["*"]
        severity = "warning"
        actions = ["notify:oncall", "retrain"]
        no_data = "keep"
        why = "More than 3 % of the traffic moved since the reference: retrain on recent data."
    "#;

    fn receivers() -> BTreeSet<String> {
        BTreeSet::from(["oncall".to_owned()])
    }

    #[test]
    fn the_rule_of_the_design_is_read() {
        let file = parse("rules.toml", RULE, &receivers()).unwrap();
        let rule = &file.rules[0];
        assert_eq!(rule.threshold, Threshold::Number(0.03));
        assert_eq!(
            (rule.side, rule.window_seconds, rule.severity),
            (Side::Above, Some(DAY), Severity::Warning)
        );
        assert_eq!(rule.notify, Notify::Receivers(vec!["oncall".into()]));
        assert_eq!(rule.actions, [ActionKind::Retrain]);
        assert_eq!(rule.no_data, NoData::Keep);
        assert!(rule.is_about("production", "employment", "1.0", ""));
        assert!(!rule.is_about("production", "employment", "1.0", "men"));
    }

    #[test]
    fn what_is_wrong_names_file_and_rule_and_what_to_do() {
        let check = |from: &str, to: &str, hint: &str| {
            assert!(RULE.contains(from), "{from}");
            let problems = parse("mine.toml", &RULE.replacen(from, to, 1), &receivers()).unwrap_err();
            let shown = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert!(shown.contains("mine.toml") && shown.contains(hint), "{from} → {to}: {shown}");
        };
        check("\"feature_shift\"", "\"feature_shifts\"", "did you mean \"feature_shift\"?");
        check("window = \"1d\"", "", "window = \"1h\" or window = \"1d\"");
        check("window = \"1d\"", "window = \"7d\"", "window = \"1h\" or window = \"1d\"");
        check("window = \"1d\"", "window = \"day\"", "is not a duration");
        check("above = 0.03", "above = 3.0", "write 0.03 or \"3%\"");
        check("above = 0.03", "above = \"3s\"", "a share such as");
        check("above = 0.03", "above = nan", "finite");
        check("above = 0.03", "", "either above or below");
        check("above = 0.03", "above = 0.03\nbelow = 0.1", "either above or below");
        check("above = 0.03", "above = true", "a threshold is a number");
        check("for = \"0s\"", "for = \"soon\"", "for: \"soon\" is not a duration");
        check("notify:oncall", "notify:nobody", "configured are oncall");
        check("\"retrain\"", "\"reboot\"", "there is no action \"reboot\"");
        check("severity = \"warning\"", "severity = \"bad\"", "unknown variant `bad`");
        check("severity = \"warning\"", "", "missing field `severity`");
        check("models = [\"*\"]", "models = []", "matches no model");
        for (list, one) in [("environments", "environment"), ("segments", "segment"), ("versions", "version")] {
            let empty = format!("models = [\"*\"]\n{list} = []");
            check("models = [\"*\"]", &empty, &format!("matches no {one}: leave {list} out"));
        }
        check("models", "modles", "unknown field `modles`");
        check("name = \"feature-shift-above-3-percent\"", "name = \"a b\"", "a rule's name");
        check("name = \"feature-shift-above-3-percent\"", "", "rule number 1");
        check("[[rules]]", "[[rules]", "line 2");
    }

    #[test]
    fn rules_about_driftlead_itself_only_notify() {
        let text = "[[rules]]\nname = \"lag\"\nsignal = \"ingest_lag_s\"\nabove = 60\nseverity = \"warning\"\nactions = [\"rollback\"]\nwhy = \"\"";
        let problems = parse("a.toml", text, &receivers()).unwrap_err();
        assert!(problems[0].message.contains("only notify"), "{problems:?}");
    }

    #[test]
    fn nothing_is_rolled_back_for_an_estimate() {
        let text = "[[rules]]\nname = \"e\"\nsignal = \"estimated_f1\"\nwindow = \"1h\"\nbelow = \"f1_floor\"\nseverity = \"warning\"\n\
                    actions = [\"notify\", \"rollback\"]\nwhy = \"\"";
        let problems = parse("a.toml", text, &receivers()).unwrap_err();
        assert!(problems[0].message.contains("without labels"), "{problems:?}");
        assert!(parse("a.toml", &text.replace("rollback", "retrain"), &receivers()).is_ok());
    }

    #[test]
    fn all_problems_of_a_file_are_named_at_once() {
        let wrong = RULE.replace("0.03", "3.0");
        let problems = parse("a.toml", &format!("{wrong}{wrong}"), &receivers()).unwrap_err();
        assert_eq!(problems.len(), 2);
        // The text begins with an empty line, so the second copy's header is on line 14.
        let lines: Vec<bool> = [":2: rule", ":14: rule"]
            .iter()
            .zip(&problems)
            .map(|(line, problem)| problem.place.contains(line))
            .collect();
        assert_eq!(lines, [true, true], "{problems:?}");
        let twice = parse("a.toml", &format!("{RULE}{RULE}"), &receivers()).unwrap_err();
        assert!(twice[0].message.contains("two rules of this name"), "{twice:?}");
    }
}
