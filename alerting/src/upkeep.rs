//! What time alone changes: series that are not reported any more, versions that were rolled back or no
//! longer serve, rules that were taken out or cannot be read, and rows that are old.

use std::collections::HashMap;

use driftlead_store::clickhouse::query::live::{MIN_LIVE_INFERENCES, traffic_by_version};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{SILENCE_FORGOTTEN_SECONDS, Signal, SignalState, names};
use driftlead_store::state::actions::Action;
use driftlead_store::state::alerts::{Alert, delete_resolved_before};
use driftlead_store::state::outbox::delete_finished_before;
use driftlead_store::state::{StateError, alerts::AlertState};

use crate::book::Change;
use crate::catalogue::{RULES_INVALID, Windows};
use crate::evaluate::reason::Reason;
use crate::evaluate::{Circumstances, INSTANT_LENGTH_SECONDS, Judgement, RECENT_LENGTHS, Standing, end, judge_absence};
use crate::evaluator::{Changes, Evaluator};
use crate::pack::{RULES_INVALID_RULE, Rules};

/// A version that had no inference for this long, while others had, no longer serves.
const SERVED_WITHIN_SECONDS: i64 = 600;

/// Rollbacks that ended this long ago have ended the alerts of their version already.
const RECENT_ROLLBACK_SECONDS: i64 = 3_600;

/// How long alerts that ended are kept, in days.
const KEEP_ENDED_ALERTS_DAYS: i64 = 90;

/// How long messages that were delivered or given up are kept, in days.
const KEEP_MESSAGES_DAYS: i64 = 30;

const DAY_SECONDS: i64 = 86_400;

impl Evaluator {
    /// Adds what changes by time.
    pub async fn add_upkeep(&self, rules: &Rules, now: UnixNanos, changes: &mut Changes) -> Result<(), StateError> {
        let rollbacks = self
            .shared
            .state
            .rollbacks_finished_since(now.plus_seconds(-RECENT_ROLLBACK_SECONDS))
            .await?;
        for alert in self.book.iter() {
            let key = (alert.rule.clone(), alert.series.clone());
            if changes.contains_key(&key) {
                continue;
            }
            if let Some(judgement) = self.by_time(rules, alert, &rollbacks, now) {
                let mut change = Change::of(alert.clone());
                change.moved(&judgement, now);
                changes.insert(key, change);
            }
        }
        Ok(())
    }

    fn by_time(&self, rules: &Rules, alert: &Alert, rollbacks: &[Action], now: UnixNanos) -> Option<Judgement> {
        let standing = Standing::of(alert);
        let Some(rule) = rules.get(&alert.rule) else {
            return end(&standing, Reason::RuleRemoved, now);
        };
        if let Some(search) = rule.watched_search()
            && search.environment() != alert.series.environment
        {
            return end(&standing, Reason::CountsElsewhere, now);
        }
        // What comes in windows ends by its windows; a verdict would stand for ever.
        if rule.signal.windows == Windows::None
            && let Some(rollback) = rollbacks.iter().find(|rollback| took_out(rollback, alert))
        {
            let reason = Reason::RolledBack {
                version: alert.series.version.clone(),
                action: rollback.id.clone(),
            };
            return end(&standing, reason, now);
        }
        if is_forgotten(alert, now) {
            return end(&standing, Reason::Forgotten, now);
        }
        let model = self.shared.model_settings(&alert.series.model);
        let circumstances = Circumstances {
            threshold: rule.threshold_of(&model),
            label_delay: self.shared.config.label_delays.of(&model),
            evaluate_at: &self.shared.config.evaluate_at,
            now,
        };
        judge_absence(rule, &standing, &circumstances)
    }

    /// Ends alerts on versions that do not serve while others do.
    pub async fn add_versions_gone(&self, rules: &Rules, now: UnixNanos, changes: &mut Changes) {
        let stale: Vec<Alert> = self.active().into_iter().filter(|alert| is_stale(rules, alert, now)).collect();
        if stale.is_empty() {
            return;
        }
        let since = now.plus_seconds(-SERVED_WITHIN_SECONDS);
        let traffic = match traffic_by_version(&self.shared.clickhouse, None, since, now).await {
            Ok(traffic) => traffic,
            Err(error) => {
                tracing::debug!(%error, "what serves cannot be read; trying again");
                return;
            }
        };
        let mut totals: HashMap<(&str, &str), u64> = HashMap::new();
        for row in &traffic {
            *totals.entry((&row.model, &row.environment)).or_default() += row.inferences;
        }
        for alert in stale {
            let series = &alert.series;
            let total = totals.get(&(series.model.as_str(), series.environment.as_str()));
            let serves = traffic
                .iter()
                .any(|row| row.model == series.model && row.environment == series.environment && row.version == series.version);
            let key = (alert.rule.clone(), series.clone());
            if serves || total.is_none_or(|total| *total < MIN_LIVE_INFERENCES) || changes.contains_key(&key) {
                continue;
            }
            let reason = Reason::NoLongerServes {
                version: series.version.clone(),
            };
            if let Some(judgement) = end(&Standing::of(&alert), reason, now) {
                let mut change = Change::of(alert);
                change.moved(&judgement, now);
                changes.insert(key, change);
            }
        }
    }

    /// The signal that says whether the rule files can be used; `None` while nothing has to be said.
    pub fn rules_invalid(&self, now: UnixNanos) -> Option<Signal> {
        let rejected = self.shared.rules.rejected();
        let raised = self
            .book
            .iter()
            .any(|alert| alert.rule == RULES_INVALID_RULE && alert.state == AlertState::Firing);
        if rejected.is_some() == raised {
            return None;
        }
        let reasons: Vec<&str> = rejected.iter().map(|rejected| &**rejected).collect();
        Some(Signal {
            name: RULES_INVALID.into(),
            model: String::new(),
            version: String::new(),
            environment: String::new(),
            segment: String::new(),
            subject: String::new(),
            window_end: now,
            window_seconds: 0,
            value: Some(if rejected.is_some() { 1.0 } else { 0.0 }),
            lower: None,
            upper: None,
            decision_lower: None,
            decision_upper: None,
            n: 1,
            reference_n: 0,
            provisional: false,
            state: SignalState::Ok,
            details: serde_json::json!({ "reasons": reasons }),
        })
    }

    /// Deletes what is old.
    pub async fn forget(&mut self, now: UnixNanos) -> Result<(), StateError> {
        let ended_before = now.plus_seconds(-KEEP_ENDED_ALERTS_DAYS * DAY_SECONDS);
        let mut transaction = self.shared.state.begin().await?;
        delete_resolved_before(&mut transaction, ended_before).await?;
        delete_finished_before(&mut transaction, now.plus_seconds(-KEEP_MESSAGES_DAYS * DAY_SECONDS)).await?;
        transaction.commit().await?;
        self.book.forget_ended_before(ended_before);
        let declared = self.shared.models.values().map(|model| &model.settings);
        let longest = self.shared.config.label_delays.longest(declared);
        let reach = RECENT_LENGTHS * DAY_SECONDS + i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        self.looked.forget_before(now.plus_seconds(-reach));
        Ok(())
    }
}

fn took_out(rollback: &Action, alert: &Alert) -> bool {
    rollback.model == alert.series.model
        && rollback.environment == alert.series.environment
        && rollback.from_version.as_deref() == Some(&alert.series.version)
        && rollback.finished_at >= alert.firing_since
        && alert.state == AlertState::Firing
}

/// A model that nobody misses any more: its silence is no longer reported, so nothing else ends the alert.
fn is_forgotten(alert: &Alert, now: UnixNanos) -> bool {
    let silent_then = alert.value.unwrap_or_default().max(0.0) as i64;
    let last_seen = alert.last_window_end.plus_seconds(-silent_then);
    alert.signal == names::SILENCE_S && now.seconds_since(last_seen) > (SILENCE_FORGOTTEN_SECONDS + SERVED_WITHIN_SECONDS) as f64
}

/// An alert on a version, of which nothing was heard for longer than a window takes. A verdict stands for as
/// long as it counts: a candidate that failed has no traffic, and may be put into service any hour.
fn is_stale(rules: &Rules, alert: &Alert, now: UnixNanos) -> bool {
    let Some(rule) = rules.get(&alert.rule) else { return false };
    let length = rule.window_length().map_or(RECENT_LENGTHS * INSTANT_LENGTH_SECONDS, i64::from);
    let quiet = now.seconds_since(alert.last_window_end) > (length + SERVED_WITHIN_SECONDS) as f64;
    !alert.series.version.is_empty() && quiet && now.seconds_since(alert.since) > SERVED_WITHIN_SECONDS as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AlertingConfig;
    use crate::pack::RuleSet;
    use crate::testing::alert;

    #[test]
    fn a_verdict_stands_as_long_as_a_release_is_watched_whatever_serves() {
        let rules = RuleSet::load(&[], &AlertingConfig::default()).unwrap().current();
        let check = |rule: &str, signal: &str, hours: i64, expected: bool| {
            let mut alert = alert(signal, AlertState::Firing);
            alert.rule = rule.into();
            let now = alert.since.plus_seconds(hours * 3_600);
            assert_eq!(is_stale(&rules, &alert, now), expected, "{rule} after {hours} h");
        };
        check("errors-above-2-percent", names::ERROR_RATIO, 1, true);
        check("gate-failed", names::GATE_FAILED, 1, false);
        check("gate-failed", names::GATE_FAILED, 48, false);
        check("gate-failed", names::GATE_FAILED, 49, true);
        check("taken-out", names::GATE_FAILED, 49, false);
    }

    #[test]
    fn a_model_that_nobody_misses_is_silent_no_longer() {
        let mut alert = alert(names::SILENCE_S, AlertState::Firing);
        alert.value = Some(3_600.0);
        let week = SILENCE_FORGOTTEN_SECONDS - 3_600;
        assert!(!is_forgotten(&alert, alert.last_window_end.plus_seconds(week)));
        assert!(is_forgotten(
            &alert,
            alert.last_window_end.plus_seconds(week + SERVED_WITHIN_SECONDS + 1)
        ));
        alert.signal = names::ERROR_RATIO.into();
        assert!(!is_forgotten(&alert, alert.last_window_end.plus_seconds(10 * week)));
    }
}
