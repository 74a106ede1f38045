//! Who is told of what: pure. An alert, what its receivers know, and what mutes it give what they are told
//! now, with the reason; what is said at once is grouped by model, version and receiver.

use std::collections::BTreeMap;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::names;
use driftlead_store::state::alerts::{Alert, AlertState, Told};

use crate::notify::notice::AlertNews;

/// An alert that fired this often within [`FLAP_WINDOW_SECONDS`] flaps: receivers hear that it fires, and
/// that it is resolved only when it stays so.
pub const FLAP_FIRINGS: usize = 4;

/// The span in which firings are counted.
pub const FLAP_WINDOW_SECONDS: i64 = 30 * 60;

/// Signals that say nothing new about a model that is silent.
const MUTED_BY_SILENCE: [&str; 6] = [
    names::REQUEST_RATE,
    names::ERROR_RATIO,
    names::ERRORS_PER_SECOND,
    names::LATENCY_P50_MS,
    names::LATENCY_P95_MS,
    names::LATENCY_P99_MS,
];

/// What keeps receivers from being told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mute {
    /// Somebody silenced it.
    Silenced {
        /// Until when.
        until: UnixNanos,
    },
    /// The model is silent, which is the cause.
    Inhibited {
        /// The alert that says so.
        by: String,
    },
}

/// What receivers are told now, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// It began, or its mute ended.
    Fires,
    /// It still fires, and the repeat interval is over.
    StillFires,
    /// It ended.
    Resolved,
    /// Nothing, because of a mute.
    Muted(Mute),
    /// Nothing: it flaps, and they know that it fires.
    Flaps,
    /// Nothing: they know.
    Known,
}

impl Telling {
    /// The news in it.
    pub fn news(&self) -> Option<AlertNews> {
        match self {
            Self::Fires | Self::StillFires => Some(AlertNews::Firing),
            Self::Resolved => Some(AlertNews::Resolved),
            Self::Muted(_) | Self::Flaps | Self::Known => None,
        }
    }

    /// Why nothing is said though there would be something to say.
    pub fn quiet_because(&self) -> String {
        match self {
            Self::Muted(Mute::Silenced { until }) => format!("silenced until {until}"),
            Self::Muted(Mute::Inhibited { by }) => format!("the model is silent ({by})"),
            Self::Flaps => "it flaps: it is told as resolved when it stays so".into(),
            _ => String::new(),
        }
    }
}

/// Decides what receivers of an alert are told.
pub fn decide(alert: &Alert, mute: Option<Mute>, repeat_interval: Duration, now: UnixNanos) -> Telling {
    let firing = alert.state == AlertState::Firing;
    let telling = match (firing, alert.memory.told) {
        (true, Told::Firing) => {
            let told_at = alert.last_notified_at.unwrap_or(now);
            if now.seconds_since(told_at) < repeat_interval.as_secs_f64() {
                return Telling::Known;
            }
            Telling::StillFires
        }
        (true, _) => Telling::Fires,
        (false, Told::Firing) => Telling::Resolved,
        (false, _) => return Telling::Known,
    };
    match mute {
        Some(mute) => Telling::Muted(mute),
        None if telling == Telling::Resolved && flaps(alert, now) => Telling::Flaps,
        None => telling,
    }
}

/// Whether an alert flaps.
pub fn flaps(alert: &Alert, now: UnixNanos) -> bool {
    let since = now.plus_seconds(-FLAP_WINDOW_SECONDS);
    alert.memory.recent_firings.iter().filter(|at| **at > since).count() >= FLAP_FIRINGS
}

/// The alert among those of silent models that makes this one say nothing new: its model is silent.
pub fn inhibited_by<'a>(alert: &Alert, silent: &[&'a Alert]) -> Option<&'a Alert> {
    if !MUTED_BY_SILENCE.contains(&alert.signal.as_str()) {
        return None;
    }
    let of_the_model = |other: &&&Alert| other.series.model == alert.series.model && other.series.environment == alert.series.environment;
    silent.iter().find(of_the_model).copied()
}

/// One message: what is said to one receiver about one model and version.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// Begin before end: of what is said at once, firing is said first.
    pub news: AlertNews,
    /// The alerts' group.
    pub group_key: String,
    /// The receiver.
    pub receiver: String,
    /// What it is about.
    pub alerts: Vec<&'a Alert>,
}

/// Groups what is said at once. Each item is an alert, its news and its receivers.
pub fn group<'a>(said: impl IntoIterator<Item = (&'a Alert, AlertNews, Vec<String>)>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(AlertNews, String, String), Vec<&Alert>> = BTreeMap::new();
    for (alert, news, receivers) in said {
        for receiver in receivers {
            groups.entry((news, alert.series.group_key(), receiver)).or_default().push(alert);
        }
    }
    let groups = groups.into_iter();
    groups
        .map(|((news, group_key, receiver), alerts)| Group {
            news,
            group_key,
            receiver,
            alerts,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::alert;

    const NOW: UnixNanos = UnixNanos(1_000_000 * UnixNanos::SECOND);
    const REPEAT: Duration = Duration::from_secs(3_600);

    fn check(state: AlertState, told: Told, told_seconds_ago: i64, mute: Option<Mute>, firings: usize, expected: Telling) {
        let mut alert = alert("error_ratio", state);
        alert.memory.told = told;
        alert.last_notified_at = Some(NOW.plus_seconds(-told_seconds_ago));
        alert.memory.recent_firings = vec![NOW.plus_seconds(-60); firings];
        assert_eq!(decide(&alert, mute, REPEAT, NOW), expected, "{state:?} {told:?}");
    }

    #[test]
    fn receivers_are_told_once_and_again_after_the_repeat_interval() {
        use AlertState::{Firing, Inactive, Pending, Resolved};
        check(Firing, Told::Nothing, 0, None, 1, Telling::Fires);
        check(Firing, Told::Firing, 3_599, None, 1, Telling::Known);
        check(Firing, Told::Firing, 3_600, None, 1, Telling::StillFires);
        check(Resolved, Told::Firing, 10, None, 1, Telling::Resolved);
        check(Inactive, Told::Firing, 10, None, 1, Telling::Resolved);
        check(Resolved, Told::Resolved, 10, None, 1, Telling::Known);
        check(Resolved, Told::Nothing, 10, None, 1, Telling::Known);
        check(Pending, Told::Nothing, 10, None, 1, Telling::Known);
    }

    #[test]
    fn a_mute_holds_back_what_is_told_when_it_ends() {
        let silenced = Mute::Silenced {
            until: NOW.plus_seconds(60),
        };
        let muted = Telling::Muted(silenced.clone());
        check(AlertState::Firing, Told::Nothing, 0, Some(silenced.clone()), 1, muted.clone());
        check(AlertState::Resolved, Told::Firing, 0, Some(silenced.clone()), 1, muted);
        check(AlertState::Resolved, Told::Nothing, 0, Some(silenced), 1, Telling::Known);
    }

    #[test]
    fn what_flaps_is_told_as_firing_but_not_as_resolved() {
        check(AlertState::Firing, Told::Resolved, 0, None, FLAP_FIRINGS, Telling::Fires);
        check(AlertState::Resolved, Told::Firing, 0, None, FLAP_FIRINGS, Telling::Flaps);
        check(AlertState::Resolved, Told::Firing, 0, None, FLAP_FIRINGS - 1, Telling::Resolved);
    }

    #[test]
    fn a_silent_model_mutes_its_latency_and_nothing_else() {
        let silence = alert(names::SILENCE_S, AlertState::Firing);
        let by = |signal, silence: &Alert| inhibited_by(&alert(signal, AlertState::Firing), &[silence]).is_some();
        assert!(by(names::LATENCY_P95_MS, &silence));
        assert!(!by(names::FEATURE_SHIFT, &silence));
        let mut elsewhere = silence;
        elsewhere.series.environment = "staging".into();
        assert!(!by(names::LATENCY_P95_MS, &elsewhere));
    }

    #[test]
    fn one_message_a_receiver_model_and_version() {
        let (one, two) = (
            alert("error_ratio", AlertState::Firing),
            alert("latency_p95_ms", AlertState::Firing),
        );
        let mut other = alert("error_ratio", AlertState::Firing);
        other.series.version = "2.0".into();
        let both = || vec!["mail".to_owned(), "oncall".to_owned()];
        let groups = group([
            (&one, AlertNews::Firing, both()),
            (&two, AlertNews::Firing, vec!["oncall".to_owned()]),
            (&other, AlertNews::Resolved, both()),
        ]);
        let sizes: Vec<_> = groups
            .iter()
            .map(|group| (group.news, group.receiver.as_str(), group.alerts.len()))
            .collect();
        assert_eq!(
            sizes,
            [
                (AlertNews::Firing, "mail", 1),
                (AlertNews::Firing, "oncall", 2),
                (AlertNews::Resolved, "mail", 1),
                (AlertNews::Resolved, "oncall", 1),
            ]
        );
    }
}
