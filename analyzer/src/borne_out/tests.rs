use driftlead_store::records::SignalState;
use driftlead_store::state::alerts::{Alert, AlertMemory, AlertState, Series, Severity};
use serde_json::json;

use super::*;

const HOUR: u32 = 3_600;

fn at(hours: i64) -> UnixNanos {
    UnixNanos::from_seconds(1_000 * 3_600 + hours * 3_600)
}

/// An hour's quality that ends at `hours`, 0.02 wide on either side.
fn quality(name: &str, hours: i64, value: f64, provisional: bool) -> Signal {
    Signal {
        name: name.to_owned(),
        model: "m".into(),
        version: "1".into(),
        environment: String::new(),
        segment: String::new(),
        subject: String::new(),
        window_end: at(hours),
        window_seconds: HOUR,
        value: Some(value),
        lower: Some(value - 0.02),
        upper: Some(value + 0.02),
        decision_lower: None,
        decision_upper: None,
        n: 1_000,
        reference_n: 0,
        provisional,
        state: SignalState::Ok,
        details: json!({}),
    }
}

fn firing(subject: &str, hours: i64) -> Firing {
    Firing {
        alert: Alert {
            id: format!("alr_{subject}"),
            rule: "moved".into(),
            series: Series {
                environment: String::new(),
                model: "m".into(),
                version: "1".into(),
                segment: String::new(),
                subject: subject.into(),
            },
            signal: names::FEATURE_SHIFT.into(),
            severity: Severity::Warning,
            state: AlertState::Resolved,
            since: at(hours),
            firing_since: Some(at(hours)),
            resolved_at: None,
            last_window_end: at(hours),
            last_notified_at: None,
            value: None,
            lower: None,
            upper: None,
            threshold: None,
            why: String::new(),
            memory: AlertMemory {
                window_seconds: Some(HOUR),
                ..AlertMemory::default()
            },
            updated_at: at(hours),
        },
        // Rules look some seconds after the window's end.
        from: at(hours).plus_seconds(70),
        to: None,
        value: Some(0.1),
    }
}

/// Nine tenths are right, but in hour 20 three quarters, and of hour 22 labels still come.
fn days() -> Vec<Signal> {
    let of = |hour: i64| quality(names::ACCURACY, hour, if hour == 20 { 0.75 } else { 0.9 }, hour == 22);
    (0..23).map(of).collect()
}

#[test]
fn labels_say_of_each_firing_whether_quality_fell_in_its_window() {
    let verdict = |hours: i64| judged(&firing("age", hours), HOUR, &days()).verdict;
    assert_eq!(verdict(20), Verdict::BorneOut);
    assert_eq!(verdict(19), Verdict::NotBorneOut);
    assert_eq!(verdict(22), Verdict::AwaitingLabels);
    assert_eq!(verdict(40), Verdict::Unknown);
    // The first hour has none before it.
    assert_eq!(verdict(0), Verdict::Unknown);
    let loss = judged(&firing("age", 20), HOUR, &days()).loss.unwrap();
    assert!(
        (loss.value - 1.0 / 6.0).abs() < 1e-9 && loss.lower > 0.1 && loss.upper < 0.25,
        "{loss:?}"
    );
    assert_eq!((loss.of, loss.before_n, loss.n), ("accuracy", 20_000, 1_000));
}

#[test]
fn where_hours_always_differ_a_bad_one_proves_less() {
    let restless: Vec<Signal> = (0..21)
        .map(|hour| {
            let value = if hour == 20 {
                0.75
            } else {
                0.9 + 0.09 * f64::from(u8::from(hour % 2 == 0)) - 0.045
            };
            quality(names::ACCURACY, hour, value, false)
        })
        .collect();
    let loss = judged(&firing("age", 20), HOUR, &restless).loss.unwrap();
    assert!(loss.lower < 0.06, "{loss:?}");
}

#[test]
fn errors_are_lost_quality_when_they_grow() {
    let errors: Vec<Signal> = (0..6)
        .map(|hour| quality(names::MAE, hour, if hour == 5 { 3.0 } else { 2.0 }, false))
        .collect();
    let judged = judged(&firing("age", 5), HOUR, &errors);
    assert_eq!(judged.verdict, Verdict::BorneOut);
    assert!((judged.loss.unwrap().value - 0.5).abs() < 1e-9);
}

#[test]
fn features_are_ranked_by_what_they_cost_and_false_alerts_are_counted_by_the_month() {
    let alerts = [("noise", 10), ("noise", 12), ("age", 20), ("hours", 22)];
    let alerts = alerts.map(|(subject, hours)| judged(&firing(subject, hours), HOUR, &days()));
    let sum = summed_up(alerts.to_vec(), at(0), at(15 * 24), false);
    assert_eq!((sum.borne_out, sum.not_borne_out, sum.undecided), (1, 2, 1));
    assert!((sum.not_borne_out_per_month - 4.0).abs() < 1e-9);
    let named: Vec<(&str, usize, usize)> = sum
        .features
        .iter()
        .map(|of| (of.feature.as_str(), of.borne_out, of.not_borne_out))
        .collect();
    assert_eq!(named[0], ("age", 1, 0));
    assert!(named.contains(&("noise", 0, 2)) && sum.features[0].proven_loss > 0.1);
}
