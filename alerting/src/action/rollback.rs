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

/// What serves is read again once this share of the time since the acceptance has passed: a look reads all
/// inferences since then, so looks at a fixed pace would cost the square of the time.
const LOOK_AGAIN_SHARE: f64 = 1.0 / 30.0;

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

/// When to look again after a look at `now`; never later than the deadline.
pub fn look_again_at(accepted_at: UnixNanos, now: UnixNanos) -> UnixNanos {
    let wait_seconds = now.seconds_since(accepted_at).max(0.0) * LOOK_AGAIN_SHARE;
    let next = UnixNanos(now.0.saturating_add((wait_seconds * 1e9) as i64));
    let deadline = accepted_at.plus_seconds(ROLLBACK_DEADLINE_SECONDS);
    if now < deadline { next.min(deadline) } else { next }
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
    let seen = in_words(serving, target);
    if is_shown(serving, target) {
        return Step::Confirm(seen);
    }
    if now < deadline {
        Step::Wait(seen)
    } else if serving.inferences < MIN_INFERENCES {
        Step::Unobserved(seen)
    } else {
        Step::Overdue(seen)
    }
}

fn is_shown(serving: &Serving, target: &str) -> bool {
    serving.inferences >= MIN_INFERENCES
        && serving.span_seconds() >= MIN_SPAN_SECONDS
        && serving.of_target as f64 >= MIN_TARGET_SHARE * serving.inferences as f64
        && latest_are(serving, target)
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
    use super::*;

    const ACCEPTED: UnixNanos = UnixNanos(1_000 * UnixNanos::SECOND);

    fn at(seconds: f64) -> UnixNanos {
        UnixNanos(ACCEPTED.0 + (seconds * 1e9) as i64)
    }

    /// Inferences as (seconds after the acceptance, version), as they are seen.
    fn seen(inferences: &[(f64, &str)]) -> Serving {
        let counted: Vec<_> = inferences.iter().filter(|(second, _)| *second > SETTLING_SECONDS as f64).collect();
        Serving {
            inferences: counted.len() as u64,
            of_target: counted.iter().filter(|(_, version)| *version == "1.0").count() as u64,
            first: counted.first().map_or(UnixNanos(0), |(second, _)| at(*second)),
            last: counted.last().map_or(UnixNanos(0), |(second, _)| at(*second)),
            latest_versions: counted
                .iter()
                .rev()
                .take(LATEST_INFERENCES)
                .map(|(_, version)| (*version).to_owned())
                .collect(),
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
        let step = decide(ACCEPTED, "1.0", Some(&seen(inferences)), at(now));
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
    fn a_slow_switch_counts_what_the_version_before_still_served() {
        let switched = |second: f64| if second < 10.0 { "1.1" } else { "1.0" };
        check(&steady(50.0, 120.0, switched), 120.0, WAITS);
        check(&steady(50.0, 506.0, switched), 506.0, CONFIRMS);
        let never_clean = |second: f64| if second < 45.0 { "1.1" } else { "1.0" };
        check(&steady(50.0, 899.0, never_clean), 899.0, WAITS);
        check(&steady(50.0, 900.0, never_clean), 900.0, |step| matches!(step, Step::Overdue(_)));
    }

    #[test]
    fn looks_become_rarer_with_what_they_read_and_one_falls_on_the_deadline() {
        let next = |now: f64| look_again_at(ACCEPTED, at(now)).seconds_since(ACCEPTED).round();
        assert_eq!([10.0, 60.0, 300.0, 890.0].map(next), [10.0, 62.0, 310.0, 900.0]);
        let (mut now, mut looks) = (at(5.0), 0);
        while now < at(900.0) {
            now = look_again_at(ACCEPTED, now.plus_seconds(1));
            looks += 1;
        }
        assert!(looks < 150, "{looks}");
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
