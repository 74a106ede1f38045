//! Rules about a search: more than so many errors that match, within so long.

use std::collections::BTreeSet;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::{self, Expression};
use driftlead_store::model_settings::duration;
use driftlead_store::records::names;
use driftlead_store::state::alerts::Side;
use driftlead_store::state::search_rules::SearchRule;

use super::{NoData, Notify, Patterns, Rule, RuleSearch, Threshold};
use crate::catalogue::{self, SignalKind, Windows};
use crate::config::is_name;

/// Shortest and longest time that is looked at, in seconds.
const WINDOW_SECONDS: std::ops::RangeInclusive<u64> = 60..=86_400;

/// Seconds of a window, if it may be one.
pub(super) fn window(seconds: u64) -> Result<u32, String> {
    if !WINDOW_SECONDS.contains(&seconds) {
        return Err("a search looks at 60 s to one day: write a window from \"1m\" to \"1d\"".into());
    }
    u32::try_from(seconds).map_err(|error| error.to_string())
}

/// `search` of a rule in a file. `narrowed` names what else of the rule says which models, versions or segments it is about.
pub(super) fn of_file(
    written: Option<String>,
    environments: Option<&[String]>,
    narrowed: Option<&str>,
    signal: &SignalKind,
) -> Result<Option<RuleSearch>, String> {
    let query = match (written, signal.windows) {
        (Some(query), Windows::Search) => query,
        (None, Windows::Search) => {
            return Err(format!(
                "{} needs what is searched for, such as search = \"message:timeout\"",
                signal.name
            ));
        }
        (Some(_), _) => return Err(format!("search is for {} only: leave it out", names::MATCHING_ERRORS)),
        (None, _) => return Ok(None),
    };
    if let Some(list) = narrowed {
        return Err(format!(
            "{list} has no meaning beside search: write it there, as in search = \"model:spam version:1.*\""
        ));
    }
    let environments = environments.unwrap_or_default().to_vec();
    if environments.iter().any(|environment| environment.contains('*')) {
        return Err("environments of a search are whole names, without *".into());
    }
    checked(&query)?;
    Ok(Some(RuleSearch { query, environments }))
}

/// A rule that a person made, as alerting uses it.
///
/// # Errors
/// What is wrong with it. `receivers` are the names that it may tell; those of a rule that was kept may be gone.
pub fn of_person(kept: &SearchRule, receivers: Option<&BTreeSet<String>>) -> Result<Rule, String> {
    // "." and ".." are no part of an address.
    if !is_name(&kept.name) || kept.name.bytes().all(|byte| byte == b'.') {
        return Err("a rule's name is 1 to 128 letters, digits, '-', '_' and '.'".into());
    }
    checked(&kept.query)?;
    let window_seconds = window(kept.window_seconds.into())?;
    for name in kept.notify.iter().flatten() {
        if receivers.is_some_and(|receivers| !receivers.contains(name)) {
            return Err(format!(
                "there is no receiver {name:?}: add [[receivers]] with this name, or choose another"
            ));
        }
    }
    let within = duration::format(Duration::from_secs(window_seconds.into()));
    Ok(Rule {
        name: kept.name.clone(),
        signal: catalogue::find(names::MATCHING_ERRORS).expect("the catalogue has it"),
        window_seconds: Some(window_seconds),
        search: Some(RuleSearch {
            query: kept.query.clone(),
            environments: kept.environment.iter().cloned().collect(),
        }),
        side: Side::Above,
        threshold: Threshold::Number(kept.above as f64),
        hold: Duration::ZERO,
        models: Patterns::new(vec!["*".into()]),
        environments: None,
        segments: None,
        versions: None,
        severity: kept.severity,
        notify: match &kept.notify {
            None => Notify::Everybody,
            Some(names) => Notify::Receivers(names.clone()),
        },
        actions: Vec::new(),
        // A count is always told, 0 too: where it is not, nobody knows that all is well.
        no_data: NoData::Keep,
        why: format!("More than {} errors within {within} match: {}", kept.above, kept.query),
    })
}

/// The query can be read, and says what is searched for.
fn checked(query: &str) -> Result<(), String> {
    match query::parse(query, UnixNanos::default()) {
        Ok(Expression::All) if query.trim().is_empty() => Err("say what is searched for; * is every error".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the search cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::alerts::Severity;

    use super::*;
    use crate::rule::parse;

    fn kept() -> SearchRule {
        SearchRule {
            name: "gpu-errors".into(),
            query: "message:cuda".into(),
            environment: Some("production".into()),
            above: 10,
            window_seconds: 300,
            severity: Severity::Critical,
            notify: Some(vec!["oncall".into()]),
            created_by: "ann".into(),
            created_time: UnixNanos(5),
        }
    }

    #[test]
    fn a_rule_of_a_person_is_the_rule_that_a_file_would_have() {
        let receivers = BTreeSet::from(["oncall".to_owned()]);
        let of_person = of_person(&kept(), Some(&receivers)).unwrap();
        let text = "[[rules]]\nname = \"gpu-errors\"\nsignal = \"matching_errors\"\nsearch = \"message:cuda\"\nwindow = \"5m\"\nabove = 10\n\
                    environments = [\"production\"]\nseverity = \"critical\"\nactions = [\"notify:oncall\"]\nwhy = \"\"";
        let of_file = parse::parse("a.toml", text, &receivers).unwrap().rules.remove(0);
        assert_eq!(of_person.why, "More than 10 errors within 5m match: message:cuda");
        let same = Rule {
            why: of_file.why.clone(),
            environments: of_file.environments.clone(),
            ..of_person.clone()
        };
        assert_eq!(same, of_file);
        assert_eq!(of_person.watched_search(), of_file.watched_search());
        assert_eq!(of_person.watched_search().unwrap().environments, ["production"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |change: fn(&mut SearchRule), hint: &str| {
            let mut rule = kept();
            change(&mut rule);
            let message = of_person(&rule, Some(&BTreeSet::from(["oncall".to_owned()]))).unwrap_err();
            assert!(message.contains(hint), "{hint}: {message}");
        };
        check(|rule| rule.name = "a b".into(), "a rule's name");
        check(|rule| rule.name = "..".into(), "a rule's name");
        check(|rule| rule.query = " ".into(), "say what is searched for");
        check(|rule| rule.query = "a (".into(), "cannot be read");
        check(|rule| rule.window_seconds = 59, "from \"1m\" to \"1d\"");
        check(|rule| rule.window_seconds = 86_401, "from \"1m\" to \"1d\"");
        check(|rule| rule.notify = Some(vec!["nobody".into()]), "no receiver \"nobody\"");
    }

    #[test]
    fn a_file_says_both_what_is_searched_for_and_for_how_long() {
        let check = |line: &str, hint: &str| {
            let text = format!("[[rules]]\nname = \"a\"\n{line}\nabove = 10\nseverity = \"info\"\nwhy = \"\"");
            let problems = parse::parse("a.toml", &text, &BTreeSet::new()).unwrap_err();
            assert!(problems[0].message.contains(hint), "{line}: {problems:?}");
        };
        check("signal = \"matching_errors\"\nwindow = \"5m\"", "search = \"message:timeout\"");
        check("signal = \"matching_errors\"\nsearch = \"a\"", "needs a window");
        check(
            "signal = \"matching_errors\"\nsearch = \"a\"\nwindow = \"7d\"",
            "from \"1m\" to \"1d\"",
        );
        check("signal = \"matching_errors\"\nsearch = \"a (\"\nwindow = \"5m\"", "cannot be read");
        check("signal = \"request_rate\"\nsearch = \"a\"", "leave it out");
        check(
            "signal = \"matching_errors\"\nsearch = \"a\"\nwindow = \"5m\"\nmodels = [\"spam\"]",
            "models has no meaning beside search",
        );
        check(
            "signal = \"matching_errors\"\nsearch = \"a\"\nwindow = \"5m\"\nenvironments = [\"p*\"]",
            "without *",
        );
    }
}
