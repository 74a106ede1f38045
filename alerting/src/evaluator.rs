//! Turns signals into changes of alerts and writes each evaluation in one transaction: alerts, transitions,
//! actions, messages. It alone writes alerts, so what it holds in memory is what the state holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use driftlead_store::state::StateError;
use driftlead_store::state::alerts::{self, Alert, AlertState, Series, Told};
use driftlead_store::state::silences::Silence;

use crate::book::{Book, Change, is_active, series_of};
use crate::catalogue::Windows;
use crate::commands::silenced_until;
use crate::consequence::{Pursued, Pursuits, note_for, wanted};
use crate::evaluate::{Circumstances, Standing, judge};
use crate::looked::Looked;
use crate::notify::notice::{AlertNews, AlertSaid};
use crate::notify::{email, notice};
use crate::pack::Rules;
use crate::route::{self, Mute, Telling};
use crate::rule::{NoData, Rule};
use crate::shared::{Said, Shared, StateTransaction};

/// How often an alert that fires asks again for its actions: what was refused may be allowed by then, and
/// finding out costs queries.
const ASK_AGAIN_SECONDS: f64 = 2.0;

/// Messages that an alert remembers, the latest ones.
const REMEMBERED_MESSAGES: usize = 20;

/// Changes of one evaluation by rule and series.
pub(crate) type Changes = BTreeMap<(String, Series), Change>;

/// Judges signals and keeps the book.
pub(crate) struct Evaluator {
    pub shared: Arc<Shared>,
    pub book: Book,
    pub looked: Looked,
    pursuits: Pursuits,
    asked_at: UnixNanos,
}

impl Evaluator {
    /// With what the state holds.
    pub async fn load(shared: Arc<Shared>) -> Result<Self, StateError> {
        let book = Book::new(shared.state.all_alerts().await?);
        Ok(Self {
            shared,
            book,
            looked: Looked::default(),
            pursuits: Pursuits::default(),
            asked_at: UnixNanos(0),
        })
    }

    /// Judges signals by all rules that cover them.
    pub fn judge(&mut self, rules: &Rules, signals: &[Signal], now: UnixNanos) -> Changes {
        let mut changes = Changes::new();
        for signal in signals {
            for rule in rules.on_signal(&signal.name).iter().filter(|rule| rule.covers(signal)) {
                self.judge_one(rule, signal, now, &mut changes);
            }
        }
        changes
    }

    fn judge_one(&mut self, rule: &Rule, signal: &Signal, now: UnixNanos, changes: &mut Changes) {
        let once = rule.signal.windows == Windows::HourOrDay;
        if once && !self.looked.counts(&rule.name, signal) {
            return;
        }
        let known = self.book.get(&rule.name, signal);
        let model = self.shared.model_settings(&signal.model);
        let circumstances = Circumstances {
            threshold: rule.threshold_of(&model),
            label_delay: self.shared.config.label_delays.of(&model),
            evaluate_at: &self.shared.config.evaluate_at,
            now,
        };
        let pending_change = if changes.is_empty() {
            None
        } else {
            changes.get(&(rule.name.clone(), series_of(signal)))
        };
        let previous = match (pending_change, known) {
            (Some(change), _) => change.standing(),
            (None, Some(alert)) => Standing::of(alert),
            (None, None) => Standing::new(now),
        };
        let Ok(judgement) = judge(rule, &previous, signal, &circumstances) else {
            return;
        };
        // A series that has no alert and gets none leaves no trace, unless its absence would be one.
        let traceless = known.is_none() && pending_change.is_none() && judgement.standing.state == AlertState::Inactive;
        if traceless && rule.no_data != NoData::Alert {
            // Noted before anything is written: what leaves no trace comes to the same when it is tried again.
            if once && judgement.judged {
                self.looked.note(&rule.name, signal);
            }
            return;
        }
        let change = changes
            .entry((rule.name.clone(), series_of(signal)))
            .or_insert_with(|| known.map_or_else(|| Change::new(rule, signal, now), |alert| Change::of(alert.clone())));
        change.dirty |= traceless;
        change.judged(rule, circumstances.threshold, signal, &judgement, now);
    }

    /// Adds what is due by time: alerts whose receivers have to be told though nothing changed, and alerts
    /// whose actions are still wanted.
    pub fn add_due(&mut self, silences: &[Silence], now: UnixNanos, changes: &mut Changes) {
        let asks = now.seconds_since(self.asked_at) >= ASK_AGAIN_SECONDS;
        if asks {
            self.asked_at = now;
        }
        let rules = self.shared.rules.current();
        let silent = self.silent(changes);
        let mut due = Vec::new();
        for alert in self.book.iter() {
            let key = (alert.rule.clone(), alert.series.clone());
            if changes.contains_key(&key) {
                continue;
            }
            let telling = self.telling(alert, silences, &silent, now);
            let wants = asks && alert.state == AlertState::Firing;
            let acts = wants && rules.get(&alert.rule).is_some_and(|rule| !rule.actions.is_empty());
            if telling.news().is_some() || telling.quiet_because() != alert.memory.quiet_because || acts {
                due.push((key, Change::of(alert.clone())));
            }
        }
        changes.extend(due);
    }

    /// Alerts that say that their model is silent, as they stand after these changes.
    fn silent<'a>(&'a self, changes: &'a Changes) -> Vec<&'a Alert> {
        let says_silent = |alert: &&Alert| alert.signal == names::SILENCE_S && alert.state == AlertState::Firing;
        let unchanged = self.book.iter().filter(says_silent);
        let unchanged = unchanged.filter(|alert| !changes.contains_key(&(alert.rule.clone(), alert.series.clone())));
        let changed = changes.values().map(|change| &change.alert).filter(says_silent);
        unchanged.chain(changed).collect()
    }

    fn telling(&self, alert: &Alert, silences: &[Silence], silent: &[&Alert], now: UnixNanos) -> Telling {
        let silenced = silenced_until(alert, silences).map(|until| Mute::Silenced { until });
        let inhibited = || {
            let by = route::inhibited_by(alert, silent)?;
            Some(Mute::Inhibited { by: by.id.clone() })
        };
        route::decide(alert, silenced.or_else(inhibited), self.shared.config.repeat_interval, now)
    }

    /// Writes an evaluation: actions first, so that messages can say what was done; then messages, alerts
    /// and transitions. All of it or nothing.
    pub async fn commit(&mut self, mut changes: Changes, silences: &[Silence], now: UnixNanos) -> Result<(), StateError> {
        if changes.is_empty() {
            return Ok(());
        }
        let silent = self.silent(&changes);
        let tellings: BTreeMap<_, _> = changes
            .iter()
            .map(|(key, change)| (key.clone(), self.telling(&change.alert, silences, &silent, now)))
            .collect();
        let rules = self.shared.rules.current();
        let wanted = wanted(&self.shared, &rules, &changes);
        let mut pursued = self.pursuits.pursue(&self.shared, wanted, now).await?;
        let speaks = tellings.values().any(|telling| telling.news().is_some());
        let quiet_changes = tellings
            .iter()
            .any(|(key, telling)| changes[key].alert.memory.quiet_because != telling.quiet_because());
        let acts = pursued.iter().any(|item| item.is_proposed() || !item.is_noted(&changes));
        self.pursuits.note(&pursued, now);
        if !speaks && !quiet_changes && !acts && !changes.values().any(|change| change.dirty) {
            self.adopt(changes);
            return Ok(());
        }
        let mut transaction = self.shared.state.begin().await?;
        for item in &mut pursued {
            item.begin(&self.shared, &mut transaction, now).await?;
        }
        self.pursuits.note(&pursued, now);
        for item in &pursued {
            item.note(&mut changes);
        }
        self.tell(&mut transaction, &rules, &mut changes, &tellings, &pursued, now).await?;
        for change in changes.values_mut().filter(|change| change.dirty) {
            change.alert.updated_at = now;
            alerts::save(&mut transaction, &change.alert).await?;
            for transition in &change.transitions {
                alerts::insert_transition(&mut transaction, transition).await?;
                tracing::info!(
                    rule = %change.alert.rule, model = %change.alert.series.model, version = %change.alert.series.version,
                    from = transition.from.as_str(), to = transition.to.as_str(), reason = %transition.reason, "alert"
                );
            }
        }
        transaction.commit().await?;
        self.adopt(changes);
        Ok(())
    }

    fn adopt(&mut self, changes: Changes) {
        for change in changes.into_values() {
            self.book.put(change.alert);
        }
    }

    async fn tell(
        &self,
        transaction: &mut StateTransaction,
        rules: &Rules,
        changes: &mut Changes,
        tellings: &BTreeMap<(String, Series), Telling>,
        pursued: &[Pursued],
        now: UnixNanos,
    ) -> Result<(), StateError> {
        for (key, telling) in tellings {
            let Some(change) = changes.get_mut(key) else { continue };
            let quiet_because = telling.quiet_because();
            change.dirty |= change.alert.memory.quiet_because != quiet_because;
            change.alert.memory.quiet_because = quiet_because;
        }
        let news: Vec<((String, Series), AlertNews, Vec<String>)> = tellings
            .iter()
            .filter_map(|(key, telling)| {
                let (news, alert) = (telling.news()?, &changes.get(key)?.alert);
                Some((key.clone(), news, self.receivers_of(rules, alert, news)))
            })
            .collect();
        let mut told: BTreeMap<(String, Series), Vec<String>> = BTreeMap::new();
        {
            let said = news
                .iter()
                .map(|(key, news, receivers)| (&changes[key].alert, *news, receivers.clone()));
            for group in route::group(said) {
                let said = self.said(&group, pursued, now);
                let ids = self
                    .shared
                    .tell(transaction, std::slice::from_ref(&group.receiver), &said, now)
                    .await?;
                for alert in &group.alerts {
                    told.entry((alert.rule.clone(), alert.series.clone()))
                        .or_default()
                        .extend(ids.iter().cloned());
                }
            }
        }
        for (key, news, receivers) in news {
            let Some(change) = changes.get_mut(&key) else { continue };
            let memory = &mut change.alert.memory;
            memory.told = match news {
                AlertNews::Firing => Told::Firing,
                AlertNews::Resolved => Told::Resolved,
            };
            memory.told_receivers = receivers;
            memory.messages.extend(told.remove(&key).unwrap_or_default());
            let surplus = memory.messages.len().saturating_sub(REMEMBERED_MESSAGES);
            memory.messages.drain(..surplus);
            change.alert.last_notified_at = Some(now);
            change.dirty = true;
        }
        Ok(())
    }

    /// Who hears of the end is who heard of the beginning, whatever the rule says by then.
    fn receivers_of(&self, rules: &Rules, alert: &Alert, news: AlertNews) -> Vec<String> {
        match (news, rules.get(&alert.rule)) {
            (AlertNews::Firing, Some(rule)) => self.shared.receivers(&rule.notify),
            _ => alert.memory.told_receivers.clone(),
        }
    }

    fn said(&self, group: &route::Group<'_>, pursued: &[Pursued], now: UnixNanos) -> Said {
        let url = &self.shared.config.public_url;
        let alerts: Vec<AlertSaid<'_>> = group
            .alerts
            .iter()
            .map(|alert| AlertSaid {
                alert,
                actions: note_for(alert, pursued, group.news),
            })
            .collect();
        Said::new(
            notice::about_alerts(group.news, &alerts, url, now).to_json(),
            &email::about_alerts(group.news, &alerts, url),
            None,
            group.group_key.clone(),
        )
    }

    /// Alerts that pend or fire.
    pub fn active(&self) -> Vec<Alert> {
        self.book.iter().filter(|alert| is_active(alert)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
