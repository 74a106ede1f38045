//! A rollback from its acceptance to its end, decided by telemetry: pure.

use driftlead_store::clickhouse::query::serving::Serving;
use driftlead_store::clock::UnixNanos;

use super::ROLLBACK_DEADLINE_SECONDS;

/// Inferences of the first seconds after the acceptance do not count: requests under way still end on the
/// version before.
pub const SETTLING_SECONDS: i64 = 5;

/// With fewer inferences nothing is said.
pub const MIN_INFERENCES: u64 = 20;

/// The inferences that count have to lie at least this far apart.
pub const MIN_SPAN_SECONDS: f64 = 15.0;

/// Share of the inferences that have to be the target's.
pub const MIN_TARGET_SHARE: f64 = 0.99;

/// The latest inferences, all of which have to be the target's.
pub const LATEST_INFERENCES: usize = 20;

/// A deployer that answers at once and moves traffic later leaves inferences of the version before that
/// would outweigh the target's for a long time. So it also counts when *all* inferences of this many
/// seconds are the target's.
pub const CLEAN_WINDOW_SECONDS: i64 = 60;

/// The inferences of a clean window have to lie at least this far apart.
pub const MIN_CLEAN_SPAN_SECONDS: f64 = 45.0;

/// How long after the deadline telemetry that cannot be read is waited for.
pub const UNREADABLE_GRACE_SECONDS: i64 = ROLLBACK_DEADLINE_SECONDS;

/// What becomes of a rollback that was accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait(String),
    /// Telemetry shows that the target serves.
    Confirm(String),
    /// Too little traffic to see it.
    Unobserved(String),
    /// It did not happen in time.
    Overdue(String),
}

/// From when on inferences count.
pub fn counts_from(accepted_at: UnixNanos) -> UnixNanos {
    accepted_at.plus_seconds(SETTLING_SECONDS)
}

/// Decides. `serving` is what telemetry shows since [`counts_from`]; `None` while it cannot be read.
pub fn decide(accepted_at: UnixNanos, target: &str, serving: Option<&Serving>, now: UnixNanos) -> Step {
    let deadline = accepted_at.plus_seconds(ROLLBACK_DEADLINE_SECONDS);
    let Some(serving) = serving else {
        return if now >= deadline.plus_seconds(UNREADABLE_GRACE_SECONDS) {
            Step::Unobserved("the telemetry could not be read".into())
        } else {
            Step::Wait("the telemetry cannot be read at present".into())
        };
    };
    if let Some(evidence) = shown_since_acceptance(serving, target).or_else(|| shown_by_clean_window(serving, target)) {
        return Step::Confirm(evidence);
    }
    let seen = in_words(serving, target);
    if now < deadline {
        Step::Wait(seen)
    } else if serving.inferences < MIN_INFERENCES {
        Step::Unobserved(seen)
    } else {
        Step::Overdue(seen)
    }
}

fn shown_since_acceptance(serving: &Serving, target: &str) -> Option<String> {
    let shown = serving.inferences >= MIN_INFERENCES
        && serving.span_seconds() >= MIN_SPAN_SECONDS
        && serving.of_target as f64 >= MIN_TARGET_SHARE * serving.inferences as f64
        && latest_are(serving, target);
    shown.then(|| in_words(serving, target))
}

fn shown_by_clean_window(serving: &Serving, target: &str) -> Option<String> {
    let window = serving.window?;
    let shown = window.inferences >= MIN_INFERENCES
        && window.of_target == window.inferences
        && window.span_seconds() >= MIN_CLEAN_SPAN_SECONDS
        && latest_are(serving, target);
    shown.then(|| {
        format!(
            "all {} inferences of the last {CLEAN_WINDOW_SECONDS} s are {target}'s, after a slow switch",
            window.inferences
        )
    })
}

fn latest_are(serving: &Serving, target: &str) -> bool {
    serving.latest_versions.len() >= LATEST_INFERENCES && serving.latest_versions.iter().all(|version| version == target)
}

fn in_words(serving: &Serving, target: &str) -> String {
    let span = serving.span_seconds().round();
    let others = serving.latest_versions.iter().filter(|version| *version != target).count();
    format!(
        "{} of {} inferences over {span} s are {target}'s, {others} of the last {} are not",
        serving.of_target,
        serving.inferences,
        serving.latest_versions.len()
    )
}

#[cfg(test)]
mod tests {
    use driftlead_store::clickhouse::query::serving::Span;

    use super::*;

    const ACCEPTED: UnixNanos = UnixNanos(1_000 * UnixNanos::SECOND);

    fn at(seconds: f64) -> UnixNanos {
        UnixNanos(ACCEPTED.0 + (seconds * 1e9) as i64)
    }

    /// Inferences as (seconds after the acceptance, version), seen at `now`.
    fn seen(inferences: &[(f64, &str)], now: f64) -> Serving {
        let counted: Vec<_> = inferences.iter().filter(|(second, _)| *second > SETTLING_SECONDS as f64).collect();
        let span = |from: f64| {
            let of: Vec<_> = counted.iter().filter(|(second, _)| *second > from).collect();
            Span {
                inferences: of.len() as u64,
                of_target: of.iter().filter(|(_, version)| *version == "1.0").count() as u64,
                first: of.first().map_or(UnixNanos(0), |(second, _)| at(*second)),
                last: of.last().map_or(UnixNanos(0), |(second, _)| at(*second)),
            }
        };
        let all = span(0.0);
        let window_from = now - CLEAN_WINDOW_SECONDS as f64;
        Serving {
            inferences: all.inferences,
            of_target: all.of_target,
            first: all.first,
            last: all.last,
            latest_versions: counted
                .iter()
                .rev()
                .take(LATEST_INFERENCES)
                .map(|(_, version)| (*version).to_owned())
                .collect(),
            window: (window_from >= SETTLING_SECONDS as f64).then(|| span(window_from)),
        }
    }

    /// `rate` inferences a second of the version that `version_at` tells, from the acceptance until `until`.
    fn steady(rate: f64, until: f64, version_at: impl Fn(f64) -> &'static str) -> Vec<(f64, &'static str)> {
        (0..(until * rate) as usize)
            .map(|i| i as f64 / rate)
            .map(|second| (second, version_at(second)))
            .collect()
    }

    fn check(inferences: &[(f64, &str)], now: f64, expected: fn(&Step) -> bool) {
        let step = decide(ACCEPTED, "1.0", Some(&seen(inferences, now)), at(now));
        assert!(expected(&step), "{step:?}");
    }

    const WAITS: fn(&Step) -> bool = |step| matches!(step, Step::Wait(_));
    const CONFIRMS: fn(&Step) -> bool = |step| matches!(step, Step::Confirm(_));

    #[test]
    fn a_switch_within_the_settling_time_is_confirmed_after_twenty_seconds() {
        let switched = |second: f64| if second < 3.0 { "1.1" } else { "1.0" };
        check(&steady(50.0, 19.9, switched), 19.9, WAITS);
        check(&steady(50.0, 20.2, switched), 20.2, CONFIRMS);
    }

    #[test]
    fn twenty_inferences_over_fifteen_seconds_are_needed() {
        let slow = |until: f64| steady(1.0, until, |_| "1.0");
        check(&slow(25.0), 25.0, WAITS);
        check(&slow(26.0), 26.0, CONFIRMS);
        let burst: Vec<_> = (0..1_000).map(|i| (6.0 + f64::from(i) / 1_000.0, "1.0")).collect();
        check(&burst, 30.0, WAITS);
    }

    #[test]
    fn ninety_nine_percent_and_all_of_the_last_are_needed() {
        let strays = |second: f64| if (second * 50.0).round() as i64 % 60 == 7 { "1.1" } else { "1.0" };
        check(&steady(50.0, 40.0, strays), 40.0, WAITS);
        let late_stray = |second: f64| if second > 39.9 { "1.1" } else { "1.0" };
        check(&steady(50.0, 40.0, late_stray), 40.0, WAITS);
        let early_stray = |second: f64| if (6.0..6.05).contains(&second) { "1.1" } else { "1.0" };
        check(&steady(50.0, 40.0, early_stray), 40.0, CONFIRMS);
    }

    #[test]
    fn a_slow_switch_is_confirmed_by_a_clean_minute() {
        let switched = |second: f64| if second < 45.0 { "1.1" } else { "1.0" };
        check(&steady(50.0, 90.0, switched), 90.0, WAITS);
        check(&steady(50.0, 105.5, switched), 105.5, CONFIRMS);
        let with_strays = |second: f64| {
            if second < 45.0 || (second * 50.0) as i64 % 500 == 3 {
                "1.1"
            } else {
                "1.0"
            }
        };
        check(&steady(50.0, 200.0, with_strays), 200.0, WAITS);
    }

    #[test]
    fn what_is_not_confirmed_in_time_is_unobserved_or_overdue() {
        let few: Vec<_> = (0..19).map(|i| (10.0 + f64::from(i), "1.0")).collect();
        check(&few, 899.0, WAITS);
        check(&few, 900.0, |step| matches!(step, Step::Unobserved(_)));
        check(&[], 900.0, |step| matches!(step, Step::Unobserved(_)));
        check(&steady(1.0, 900.0, |_| "1.1"), 900.0, |step| matches!(step, Step::Overdue(_)));
    }

    #[test]
    fn telemetry_that_cannot_be_read_decides_nothing_before_its_grace_is_over() {
        assert!(WAITS(&decide(ACCEPTED, "1.0", None, at(900.0))));
        assert!(matches!(decide(ACCEPTED, "1.0", None, at(1_800.0)), Step::Unobserved(_)));
    }
}
