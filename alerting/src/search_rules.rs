//! Rules that people make from a search: what the API does with them.

use std::collections::BTreeSet;

use driftlead_store::records::names;
use driftlead_store::state::StateError;
use driftlead_store::state::alerts::{Alert, AlertState};
use driftlead_store::state::search_rules::{KeptRule, MAX_SEARCH_RULES, SearchRule};

use crate::commands::Commands;
use crate::pack::RuleSet;
use crate::rule::Rule;
use crate::rule::search::of_person;

/// A rule that was made from a search, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeRule {
    /// The rule.
    pub rule: SearchRule,
    /// How its alert stands; `None`: it is not in use, because a rule of the files has its name or it cannot be read any more.
    pub state: Option<AlertState>,
}

/// An alert of a rule that had the name before is another one's.
fn is_of(alert: &Alert, rule: &SearchRule) -> bool {
    alert.rule == rule.name
        && alert.signal == names::MATCHING_ERRORS
        && alert.series.environment == rule.environment.as_deref().unwrap_or_default()
        && alert.updated_at >= rule.created_time
}

fn is_used_as(used: &Rule, rule: &SearchRule) -> bool {
    used.search.as_ref().is_some_and(|search| search.query == rule.query)
}

/// Why a rule was not made.
#[derive(Debug, thiserror::Error)]
pub enum SearchRuleError {
    /// There is one of this name.
    #[error("{0}")]
    NameTaken(String),
    /// It is no rule; the words say what to do.
    #[error("{0}")]
    Wrong(String),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Commands {
    /// Names of the receivers that can be told.
    pub fn receivers(&self) -> Vec<String> {
        self.shared.config.receivers.keys().cloned().collect()
    }

    /// The rules that people made, by name.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn search_rules(&self) -> Result<Vec<MadeRule>, StateError> {
        let rules = self.shared.state.search_rules().await?;
        if rules.is_empty() {
            return Ok(Vec::new());
        }
        let alerts = self.shared.state.all_alerts().await?;
        let in_use = self.rules();
        let made = |rule: SearchRule| {
            let alert = alerts.iter().find(|alert| is_of(alert, &rule));
            // One that never had anything to say has no alert.
            let state = alert.map_or(AlertState::Inactive, |alert| alert.state);
            let is_in_use = in_use.get(&rule.name).is_some_and(|used| is_used_as(used, &rule));
            MadeRule {
                state: is_in_use.then_some(state),
                rule,
            }
        };
        Ok(rules.into_iter().map(made).collect())
    }

    /// Keeps a rule and puts it in use.
    ///
    /// # Errors
    /// It is no rule, its name is taken, or the state cannot be written.
    pub async fn make_search_rule(&self, rule: SearchRule) -> Result<MadeRule, SearchRuleError> {
        let receivers: BTreeSet<String> = self.receivers().into_iter().collect();
        of_person(&rule, Some(&receivers)).map_err(SearchRuleError::Wrong)?;
        let taken = || SearchRuleError::NameTaken(format!("There is a rule called {} already: choose another name.", rule.name));
        if self.rules().get(&rule.name).is_some() {
            return Err(taken());
        }
        match self.shared.state.keep_search_rule(&rule).await? {
            KeptRule::Yes => {}
            KeptRule::NameTaken => return Err(taken()),
            KeptRule::Full => {
                return Err(SearchRuleError::Wrong(format!(
                    "There are {MAX_SEARCH_RULES} rules that were made from searches, which is the most: take some away first."
                )));
            }
        }
        self.use_search_rules().await?;
        Ok(MadeRule {
            rule,
            state: Some(AlertState::Inactive),
        })
    }

    /// Takes a rule out of use and forgets it; whether there was one. Its alert ends.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn forget_search_rule(&self, name: &str, actor: &str) -> Result<bool, StateError> {
        let forgotten = self.shared.state.forget_search_rule(name, actor, self.shared.clock.now()).await?;
        self.use_search_rules().await?;
        Ok(forgotten)
    }

    /// Puts the rules that are kept in use: once at the start, and whenever they changed.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn use_search_rules(&self) -> Result<(), StateError> {
        let _turn = self.reading_rules.lock().await;
        use_kept(&self.shared.rules, &self.shared.state.search_rules().await?);
        Ok(())
    }
}

/// A rule that cannot be used any more is left out and said: the others are.
fn use_kept(rules: &RuleSet, kept: &[SearchRule]) {
    let mut usable = Vec::with_capacity(kept.len());
    for rule in kept {
        match of_person(rule, None) {
            Ok(rule) => usable.push(rule),
            Err(why) => tracing::warn!(rule = rule.name, why, "a rule that was made from a search cannot be used"),
        }
    }
    rules.set_of_people(usable);
}
