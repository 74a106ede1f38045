//! Signals about experiments: whether traffic is split as it is meant to be, and what arms convert more than the control arm.

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::experiments::{ArmUnits, arms_served, units_by_arm};
use driftlead_store::model_settings::ExperimentSettings;
use driftlead_store::records::{Signal, names};
use serde_json::{Value, json};

use super::frame::{Estimate, Frame};
use super::quality::Z;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::stats::miettinen_nurminen::Share;
use crate::stats::{Bounds, chi_square, normal, ratio_of_shares, wilson};
use crate::window::Window;

/// Arms that are taken for the control arm where none is declared, in this order.
const USUAL_CONTROLS: [&str; 5] = ["control", "baseline", "off", "a", "champion"];
/// Units of both arms together below which a lift says nothing, and of all arms below which a split does not.
const MIN_N: u64 = 100;
/// Units that each arm is expected to have at least for the chi-square test.
const MIN_EXPECTED: f64 = 5.0;
/// How often the bounds of a split may be wrong on either side, of all arms together.
const SPLIT_ERROR: f64 = 0.01;

/// The signals of all environments of a model in a window, of all its versions together: an arm is often a version.
pub(super) async fn signals_of_window(context: &Context, model: &str, window: Window) -> Result<Vec<Signal>, AnalyzerError> {
    let settings = context.references.settings(model);
    let (from, until) = (window.start(), window.end);
    let label_delay = i64::try_from(context.label_delays.of(&settings).as_secs()).unwrap_or(i64::MAX);
    let may_convert = context.now().seconds() < until.seconds().saturating_add(label_delay);
    let served = arms_served(&context.clickhouse, model, from, until).await?;
    // One arm alone is a name, not an experiment, unless it is meant to have company.
    let is_declared = settings.experiment.as_ref().is_some_and(|experiment| !experiment.shares.is_empty());
    let environments: std::collections::BTreeSet<&str> = served.iter().map(|of| of.environment.as_str()).collect();
    let arms = |environment: &str| served.iter().filter(|of| of.environment == environment).count();
    if !environments.iter().any(|environment| is_declared || arms(environment) > 1) {
        return Ok(Vec::new());
    }
    let requests = served.iter().map(|of| of.requests).sum();
    let mut by_environment: BTreeMap<String, Vec<ArmUnits>> = BTreeMap::new();
    for units in units_by_arm(&context.clickhouse, model, requests, from, until).await? {
        by_environment.entry(units.environment.clone()).or_default().push(units);
    }
    let mut signals = Vec::new();
    for (environment, arms) in &by_environment {
        let frame = Frame {
            model,
            version: "",
            environment,
            segment: "",
            window,
            provisional: may_convert,
        };
        let (in_one, in_several): (Vec<&ArmUnits>, Vec<&ArmUnits>) = arms.iter().partition(|arm| !arm.arm.is_empty());
        let in_several = in_several.iter().map(|arm| arm.units).sum();
        signals.extend(sample_ratio_mismatch(&frame, &in_one, in_several, settings.experiment.as_ref()));
        signals.extend(conversion_lifts(&frame, &in_one, settings.experiment.as_ref()));
    }
    Ok(signals)
}

/// The largest difference between the share of an arm and the one that it is meant to have; the bounds are those by which it surely
/// differs, of all arms together. `None` where no shares are declared: a canary with a tenth of the traffic is no mismatch.
fn sample_ratio_mismatch(frame: &Frame<'_>, arms: &[&ArmUnits], in_several: u64, declared: Option<&ExperimentSettings>) -> Option<Signal> {
    let shares = &declared.filter(|declared| !declared.shares.is_empty())?.shares;
    // Traffic ended: provisional is what waits for conversions.
    let frame = Frame {
        provisional: false,
        ..*frame
    };
    let units = |arm: &str| arms.iter().find(|known| known.arm == arm).map_or(0, |known| known.units);
    let unknown: Vec<&str> = arms
        .iter()
        .map(|arm| arm.arm.as_str())
        .filter(|arm| !shares.contains_key(*arm))
        .collect();
    let n: u64 = shares.keys().map(|arm| units(arm)).sum();
    let least = shares.values().copied().fold(1.0, f64::min);
    if n < MIN_N || n as f64 * least < MIN_EXPECTED {
        let reason = format!("{n} units in the declared arms: it takes {MIN_N}, and {MIN_EXPECTED} expected of each arm");
        return Some(frame.insufficient(names::SAMPLE_RATIO_MISMATCH, "", n, "insufficient", reason));
    }
    let statistic: f64 = shares
        .iter()
        .map(|(arm, share)| (units(arm) as f64 - n as f64 * share).powi(2) / (n as f64 * share))
        .sum();
    let p = chi_square::upper_tail(statistic, (shares.len() - 1).max(1) as u64);
    let z = normal::from_upper_tail(SPLIT_ERROR / (2.0 * shares.len() as f64));
    let away = |(arm, share): (&String, &f64)| {
        let observed = wilson::bounds(units(arm) as f64, n as f64, z);
        Estimate::bounded(
            (units(arm) as f64 / n as f64 - share).abs(),
            Bounds {
                lower: (share - observed.upper).max(observed.lower - share).max(0.0),
                upper: (observed.upper - share).max(share - observed.lower),
            },
        )
    };
    let farthest = shares.iter().map(away).max_by(|one, other| one.value.total_cmp(&other.value))?;
    let table: BTreeMap<&str, Value> = shares
        .iter()
        .map(|(arm, share)| {
            (
                arm.as_str(),
                json!({ "units": units(arm), "share": units(arm) as f64 / n as f64, "declared": share }),
            )
        })
        .collect();
    let details = json!({ "arms": table, "p": p, "in_several_arms": in_several, "undeclared_arms": unknown });
    Some(frame.signal(names::SAMPLE_RATIO_MISMATCH, "", farthest, n, details))
}

/// By how much more each arm converts than the control arm, relative to it. None where nobody converted: then no conversions are sent.
fn conversion_lifts(frame: &Frame<'_>, arms: &[&ArmUnits], declared: Option<&ExperimentSettings>) -> Vec<Signal> {
    if arms.iter().all(|arm| arm.converted == 0) {
        return Vec::new();
    }
    let Some(control) = control(arms, declared) else {
        return Vec::new();
    };
    let others = arms.iter().filter(|arm| arm.arm != control.arm);
    others.map(|arm| conversion_lift(frame, arm, control)).collect()
}

fn conversion_lift(frame: &Frame<'_>, arm: &ArmUnits, control: &ArmUnits) -> Signal {
    let n = arm.units + control.units;
    let share = |arm: &ArmUnits| Share {
        successes: arm.converted as f64,
        n: arm.units as f64,
    };
    let insufficient = |reason: String| Signal {
        reference_n: control.units,
        ..frame.insufficient(names::CONVERSION_LIFT, &arm.arm, arm.units, "insufficient", reason)
    };
    if n < MIN_N || arm.units == 0 || control.units == 0 {
        return insufficient(format!(
            "{} units against {} of the control arm: it takes {MIN_N}",
            arm.units, control.units
        ));
    }
    if control.converted == 0 {
        return insufficient(format!(
            "none of the {} units of the control arm {:?} converted",
            control.units, control.arm
        ));
    }
    match ratio_of_shares::bounds(share(arm), share(control), Z) {
        Err(undefined) => insufficient(undefined.to_string()),
        Ok(bounds) => {
            let lift = |ratio: f64| ratio - 1.0;
            let estimate = Estimate::bounded(
                lift(share(arm).estimate() / share(control).estimate()),
                Bounds {
                    lower: lift(bounds.lower),
                    upper: lift(bounds.upper),
                },
            );
            let of = |arm: &ArmUnits| json!({ "arm": arm.arm, "units": arm.units, "converted": arm.converted, "rate": share(arm).estimate(), "versions": arm.versions });
            let details = json!({ "of_arm": of(arm), "of_control": of(control) });
            Signal {
                reference_n: control.units,
                ..frame.signal(names::CONVERSION_LIFT, &arm.arm, estimate, arm.units, details)
            }
        }
    }
}

/// The declared control arm, else one of a usual name; `None` where there is neither, because which arm is the old one is not guessed.
fn control<'a>(arms: &[&'a ArmUnits], declared: Option<&ExperimentSettings>) -> Option<&'a ArmUnits> {
    let named = |name: &str| arms.iter().find(|arm| arm.arm.eq_ignore_ascii_case(name)).copied();
    match declared {
        Some(declared) => arms.iter().find(|arm| arm.arm == declared.control).copied(),
        None => USUAL_CONTROLS.iter().find_map(|name| named(name)),
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::SignalState;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    fn arm(name: &str, units: u64, converted: u64) -> ArmUnits {
        ArmUnits {
            environment: String::new(),
            arm: name.to_owned(),
            inferences: units,
            units,
            converted,
            versions: vec![name.to_owned()],
        }
    }

    fn declared(shares: &[(&str, f64)]) -> ExperimentSettings {
        ExperimentSettings {
            control: shares[0].0.to_owned(),
            shares: shares.iter().map(|&(arm, share)| (arm.to_owned(), share)).collect(),
        }
    }

    #[test]
    fn a_split_that_is_not_the_declared_one_is_sure_only_with_enough_units() {
        let check = |units: [u64; 2], shares: [f64; 2]| {
            let arms = [arm("old", units[0], 0), arm("new", units[1], 0)];
            let declared = declared(&[("old", shares[0]), ("new", shares[1])]);
            sample_ratio_mismatch(&FRAME, &[&arms[0], &arms[1]], 3, Some(&declared)).unwrap()
        };
        let right = check([9_010, 990], [0.9, 0.1]);
        assert!(
            (right.value.unwrap() - 0.001).abs() < 1e-12 && right.decision_lower == Some(0.0),
            "{right:?}"
        );
        let wrong = check([9_300, 700], [0.9, 0.1]);
        assert!(wrong.decision_lower.unwrap() > 0.02 && wrong.upper.unwrap() < 0.04, "{wrong:?}");
        assert!(wrong.details["p"].as_f64().unwrap() < 1e-20 && wrong.details["in_several_arms"] == 3);
        // SciPy: chisquare([9300, 700], [9000, 1000]).pvalue is 1.5e-23.
        assert_eq!(check([80, 19], [0.9, 0.1]).state, SignalState::Insufficient);
        assert_eq!(check([999, 1], [0.999, 0.001]).state, SignalState::Insufficient);
        assert_eq!(sample_ratio_mismatch(&FRAME, &[&arm("old", 500, 0)], 0, None), None);
    }

    #[test]
    fn an_arm_is_compared_with_the_control_arm() {
        let arms = [arm("Control", 10_000, 1_000), arm("red", 10_000, 1_300), arm("blue", 10_000, 1_010)];
        let arms: Vec<&ArmUnits> = arms.iter().collect();
        let lifts = conversion_lifts(&FRAME, &arms, None);
        assert_eq!(lifts.iter().map(|lift| lift.subject.as_str()).collect::<Vec<_>>(), ["red", "blue"]);
        assert!((lifts[0].value.unwrap() - 0.3).abs() < 1e-12 && lifts[0].lower.unwrap() > 0.15 && lifts[0].upper.unwrap() < 0.45);
        assert!(lifts[1].lower.unwrap() < 0.0 && lifts[1].upper.unwrap() > 0.01);
        let against_blue = conversion_lifts(&FRAME, &arms, Some(&declared(&[("blue", 0.5), ("red", 0.5)])));
        assert_eq!(against_blue[0].subject, "Control");
        assert!(against_blue[0].value.unwrap() < 0.0);
    }

    #[test]
    fn what_cannot_be_compared_says_why_or_nothing() {
        let nobody = [arm("control", 500, 0), arm("new", 500, 0)];
        assert_eq!(conversion_lifts(&FRAME, &[&nobody[0], &nobody[1]], None), []);
        let unnamed = [arm("x", 500, 5), arm("y", 500, 5)];
        assert_eq!(conversion_lifts(&FRAME, &[&unnamed[0], &unnamed[1]], None), []);
        let of_control = [arm("control", 500, 0), arm("new", 500, 9)];
        let lift = &conversion_lifts(&FRAME, &[&of_control[0], &of_control[1]], None)[0];
        assert_eq!((lift.state, lift.value), (SignalState::Insufficient, None));
        let few = [arm("control", 40, 3), arm("new", 40, 3)];
        assert_eq!(
            conversion_lifts(&FRAME, &[&few[0], &few[1]], None)[0].state,
            SignalState::Insufficient
        );
    }
}
