use driftlead_store::records::names;
use driftlead_store::state::alerts::Severity;
use proptest::prelude::*;

use super::*;
use crate::catalogue;
use crate::rule::{Notify, Patterns, Threshold};

const HOUR: i64 = 3_600;
const START: UnixNanos = UnixNanos(1_000_000 * HOUR * UnixNanos::SECOND);

fn rule(signal: &str, side: Side, hold_seconds: u64, no_data: NoData) -> Rule {
    let signal = catalogue::find(signal).unwrap();
    Rule {
        name: "r".into(),
        signal,
        search: None,
        window_seconds: (signal.windows == Windows::HourOrDay).then_some(HOUR as u32),
        side,
        threshold: Threshold::Number(0.5),
        hold: Duration::from_secs(hold_seconds),
        models: Patterns::new(vec!["*".into()]),
        environments: None,
        segments: None,
        versions: None,
        severity: Severity::Warning,
        notify: Notify::Everybody,
        actions: vec![],
        no_data,
        why: "Because.".into(),
    }
}

fn signal(rule: &Rule, end: UnixNanos, value: Option<f64>) -> Signal {
    Signal {
        name: rule.signal.name.into(),
        model: "m".into(),
        version: "1".into(),
        environment: String::new(),
        segment: String::new(),
        subject: "AGE".into(),
        window_end: end,
        window_seconds: rule.window_length().unwrap_or(0),
        value,
        lower: None,
        upper: None,
        decision_lower: None,
        decision_upper: None,
        n: 7,
        reference_n: 0,
        provisional: false,
        state: if value.is_some() {
            SignalState::Ok
        } else {
            SignalState::Insufficient
        },
        details: serde_json::json!({}),
    }
}

fn at(now: UnixNanos) -> Circumstances<'static> {
    Circumstances {
        threshold: 0.5,
        label_delay: Duration::ZERO,
        evaluate_at: &[],
        now,
    }
}

/// Judges values of 5-second service windows one after another and returns the states.
fn states(rule: &Rule, values: &[Option<f64>]) -> Vec<AlertState> {
    let mut standing = Standing::new(START);
    let mut states = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let now = START.plus_seconds(5 * index as i64);
        standing = judge(rule, &standing, &signal(rule, now, *value), &at(now)).unwrap().standing;
        states.push(standing.state);
    }
    states
}

use AlertState::{Firing, Inactive, Pending, Resolved};

#[test]
fn the_condition_has_to_hold_for_as_long_as_the_rule_asks() {
    let check = |hold, values: &[f64], expected: &[AlertState]| {
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        assert_eq!(
            states(&rule(names::ERROR_RATIO, Side::Above, hold, NoData::Keep), &values),
            expected
        );
    };
    check(0, &[0.4, 0.6, 0.6, 0.4, 0.6], &[Inactive, Firing, Firing, Resolved, Firing]);
    check(10, &[0.6, 0.6, 0.6, 0.4], &[Pending, Pending, Firing, Resolved]);
    check(10, &[0.6, 0.6, 0.4, 0.6, 0.6], &[Pending, Pending, Inactive, Pending, Pending]);
    check(0, &[0.5], &[Inactive]);
}

#[test]
fn no_data_means_what_the_rule_says() {
    let check = |no_data, expected: &[AlertState]| {
        let rule = rule(names::ERROR_RATIO, Side::Above, 0, no_data);
        assert_eq!(states(&rule, &[None, Some(0.6), None, Some(0.4), None]), expected, "{no_data:?}");
    };
    check(NoData::Keep, &[Inactive, Firing, Firing, Resolved, Resolved]);
    check(NoData::Ok, &[Inactive, Firing, Resolved, Resolved, Resolved]);
    check(NoData::Alert, &[Firing, Firing, Firing, Resolved, Firing]);
}

#[test]
fn the_bound_that_makes_it_sure_is_compared() {
    let check = |side, value: f64, lower: Option<f64>, upper: Option<f64>, expected| {
        let rule = rule(names::CONTROL_F1, side, 0, NoData::Keep);
        let signal = Signal {
            lower,
            upper,
            decision_lower: lower,
            decision_upper: upper,
            ..signal(&rule, START, Some(value))
        };
        let judgement = judge(&rule, &Standing::new(START), &signal, &at(START)).unwrap();
        assert_eq!(judgement.standing.state == Firing, expected, "{}", judgement.reason);
        judgement.reason.to_string()
    };
    check(Side::Above, 0.6, Some(0.4), Some(0.8), false);
    check(Side::Above, 0.6, Some(0.51), Some(0.8), true);
    check(Side::Below, 0.4, Some(0.3), Some(0.6), false);
    check(Side::Below, 0.4, None, None, true);
    check(Side::Above, 0.6, Some(f64::NAN), None, false);
    let words = check(Side::Below, 0.61 - 0.2, Some(0.32), Some(0.49), true);
    assert_eq!(words, "control_f1 of AGE 0.41 (0.32–0.49), surely at most 0.49, below 0.5");
}

#[test]
fn a_window_is_judged_once_and_a_provisional_one_once_more() {
    let rule = rule(names::F1, Side::Below, 0, NoData::Keep);
    let judged = |standing: &Standing, provisional, value| {
        let signal = Signal {
            provisional,
            ..signal(&rule, START, Some(value))
        };
        judge(&rule, standing, &signal, &at(START)).map(|judgement| judgement.standing)
    };
    let first = judged(&Standing::new(START), true, 0.6).unwrap();
    assert_eq!(judged(&first, true, 0.1), Err(Skip::JudgedBefore));
    let last = judged(&first, false, 0.1).unwrap();
    assert_eq!(last.state, Firing);
    assert_eq!(judged(&last, false, 0.9), Err(Skip::JudgedBefore));
    assert_eq!(judged(&last, true, 0.9), Err(Skip::JudgedBefore));
}

#[test]
fn history_never_alerts() {
    let check = |name: &str, age_seconds: i64, label_delay: u64, expected: Option<Skip>| {
        let rule = rule(name, Side::Above, 0, NoData::Keep);
        let circumstances = Circumstances {
            label_delay: Duration::from_secs(label_delay),
            ..at(START.plus_seconds(age_seconds))
        };
        let judged = judge(&rule, &Standing::new(START), &signal(&rule, START, Some(0.9)), &circumstances);
        assert_eq!(judged.err(), expected, "{name} {age_seconds}");
    };
    check(names::FEATURE_SHIFT, 2 * HOUR, 0, None);
    check(names::FEATURE_SHIFT, 2 * HOUR + 1, 0, Some(Skip::History));
    check(names::FEATURE_SHIFT, 2 * HOUR + 1, 86_400, Some(Skip::History));
    check(names::ACCURACY, 2 * HOUR + 86_400, 86_400, None);
    check(names::ACCURACY, 2 * HOUR + 86_401, 86_400, Some(Skip::History));
    check(names::ERROR_RATIO, 120, 0, None);
    check(names::ERROR_RATIO, 121, 0, Some(Skip::History));
    check(names::GATE_FAILED, 48 * HOUR, 0, None);
    check(names::GATE_FAILED, 48 * HOUR + 1, 0, Some(Skip::History));
}

#[test]
fn rules_look_at_full_hours_and_where_they_were_asked_to() {
    let rule = rule(names::FEATURE_SHIFT, Side::Above, 0, NoData::Keep);
    let end = START.plus_seconds(60);
    let look = |evaluate_at: &[UnixNanos]| {
        let circumstances = Circumstances { evaluate_at, ..at(end) };
        judge(&rule, &Standing::new(START), &signal(&rule, end, Some(0.9)), &circumstances).err()
    };
    assert_eq!(look(&[]), Some(Skip::BetweenLooks));
    assert_eq!(look(&[end]), None);
}

#[test]
fn a_window_that_still_runs_is_not_judged() {
    let rule = rule(names::FEATURE_SHIFT, Side::Above, 0, NoData::Keep);
    let running = Signal {
        provisional: true,
        ..signal(&rule, START, Some(0.9))
    };
    let judged = |now| judge(&rule, &Standing::new(now), &running, &at(now)).err();
    assert_eq!(judged(START.plus_seconds(-1)), Some(Skip::StillRuns));
    assert_eq!(judged(START), None);
}

#[test]
fn a_series_that_is_not_reported_any_more_is_no_data() {
    let check = |no_data, expected| {
        let rule = rule(names::ERROR_RATIO, Side::Above, 0, no_data);
        let firing = judge(&rule, &Standing::new(START), &signal(&rule, START, Some(0.9)), &at(START))
            .unwrap()
            .standing;
        assert_eq!(judge_absence(&rule, &firing, &at(START.plus_seconds(120))), None);
        let later = judge_absence(&rule, &firing, &at(START.plus_seconds(121)));
        assert_eq!(later.map(|judgement| judgement.standing.state), expected);
    };
    check(NoData::Keep, None);
    check(NoData::Ok, Some(Resolved));
    check(NoData::Alert, None);
}

/// The state machine said another way: replays the whole history of values for every answer.
fn model(hold: usize, no_data: NoData, values: &[Option<bool>]) -> AlertState {
    let mut fired = false;
    let mut state = Inactive;
    let mut run: Option<usize> = None;
    for (index, value) in values.iter().enumerate() {
        let holds = match (value, no_data) {
            (Some(holds), _) => *holds,
            (None, NoData::Keep) => continue,
            (None, NoData::Ok) => false,
            (None, NoData::Alert) => true,
        };
        state = if holds {
            let begin = *run.get_or_insert(index);
            if state == Firing || index - begin >= hold {
                Firing
            } else {
                Pending
            }
        } else {
            run = None;
            match state {
                Firing => Resolved,
                Pending => Inactive,
                other => other,
            }
        };
        fired |= state == Firing;
    }
    assert!(fired || !matches!(state, Firing | Resolved));
    state
}

proptest! {
    #[test]
    fn the_state_machine_agrees_with_its_model(
        hold in 0usize..4,
        no_data in prop_oneof![Just(NoData::Keep), Just(NoData::Ok), Just(NoData::Alert)],
        values in proptest::collection::vec(proptest::option::of(any::<bool>()), 0..40),
    ) {
        let rule = rule(names::ERROR_RATIO, Side::Above, 5 * hold as u64, no_data);
        let numbers: Vec<_> = values.iter().map(|value| value.map(|holds| if holds { 0.9 } else { 0.1 })).collect();
        let states = states(&rule, &numbers);
        for (index, state) in states.iter().enumerate() {
            prop_assert_eq!(*state, model(hold, no_data, &values[..=index]));
        }
    }

    #[test]
    fn judging_again_in_any_order_changes_nothing(values in proptest::collection::vec(0.0f64..1.0, 1..20), again in proptest::collection::vec(0usize..20, 0..40)) {
        let rule = rule(names::ERROR_RATIO, Side::Above, 10, NoData::Keep);
        let now = START.plus_seconds(100);
        let signals: Vec<_> = values.iter().enumerate().map(|(i, value)| signal(&rule, START.plus_seconds(5 * i as i64), Some(*value))).collect();
        let mut standing = Standing::new(START);
        for signal in &signals {
            standing = judge(&rule, &standing, signal, &at(now)).unwrap().standing;
        }
        for index in again {
            prop_assert_eq!(judge(&rule, &standing, &signals[index % signals.len()], &at(now)), Err(Skip::JudgedBefore));
        }
    }
}
