//! The gate: two replays of the same set → a verdict with its reasons. Pure: the same replays, settings and seed
//! give the same verdict, bit for bit.
//!
//! - `fail`: the upper bound of F1 is below the floor; or F1 or accuracy fell by more than 5 % relative *and* the
//!   exact one-sided McNemar test gives p < 0.05; or the p95 of all three warm runs is over the budget, or (with at
//!   least 1,000 pairs) surely more than 5 % and 5 ms over the baseline's.
//! - `pass`: at least 50 answered examples, F1 at or above the floor, and neither F1 nor accuracy fell by more than
//!   5 % relative. A set with labels on which F1 is undefined lets nothing pass.
//! - `inconclusive`: anything else, with the smallest fall that the set can show and how many examples would tell.
//!
//! Examples that a version did not answer are no evidence of worse answers: they never fail it, and as long as
//! the baseline answered them (or there is none) they keep it from passing. Examples that the baseline did not
//! answer are left out and named. Without any answer nothing is decided.
//!
//! `strict` takes F1 and accuracy as points: below the floor or a fall of more than 5 % fails, anything else that
//! was answered passes, if F1 is defined.

use driftlead_store::state::verdicts::{Flip, VerdictKind};
use serde::Serialize;

use super::mcnemar::{self, McNemar};
use super::metrics::{Average, BOOTSTRAP_DRAWS, Bounded, Classes, Pair, bootstrap};
use super::replay::{Reply, WARM_RUNS};
use super::set::{Expected, MIN_EXAMPLES};

mod evidence;
mod explain;

use evidence::Evidence;

/// A relative fall of F1 or accuracy above this counts.
pub const MAX_RELATIVE_FALL: f64 = 0.05;

/// With fewer answered examples resampling cannot bound F1: three wrong answers of three would look certain.
pub const MIN_EXAMPLES_FOR_BOUNDS: usize = 20;

/// A change of p95 against the baseline is judged with at least this many pairs: tails need many requests.
pub const MIN_LATENCY_PAIRS: usize = 1_000;

/// A relative rise of p95 against the baseline above this counts, in each warm run.
pub const MAX_RELATIVE_P95_RISE: f64 = 0.05;

/// A rise of p95 against the baseline of less than this, in milliseconds, is the machine's: two replays of one model
/// differ by as much when other work runs beside them.
pub const MIN_P95_RISE_MS: f64 = 5.0;

/// What the gate holds a model to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateSettings {
    /// The class that F1 is about.
    pub positive_class: Option<String>,
    /// The floor of F1.
    pub f1_floor: f64,
    /// Budget of p95 in milliseconds.
    pub latency_budget_ms: f64,
    /// Compare points, not bounds.
    pub strict: bool,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// One example with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedExample {
    /// Its id.
    pub id: String,
    /// What was expected.
    pub expected: Expected,
    /// The answer, or why there is none.
    pub reply: Result<Reply, String>,
    /// Latency in milliseconds.
    pub latency_ms: Option<f64>,
    /// Its segment.
    pub segment: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl JudgedExample {
    /// Whether the answer is what was expected; no answer is not.
    pub fn is_correct(&self) -> bool {
        match (&self.expected, &self.reply) {
            (Expected::Label(expected), Ok(Reply::Label { label, .. })) => expected == label,
            (Expected::Value { value, tolerance }, Ok(Reply::Value(answer))) => (answer - value).abs() <= *tolerance,
            _ => false,
        }
    }
}

/// The replay of a version.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedReplay {
    /// The version.
    pub version: String,
    /// Every example of the set in its order; empty when the version could not be replayed.
    pub examples: Vec<JudgedExample>,
    /// p95 of each warm run, in milliseconds.
    pub p95_ms: Vec<f64>,
    /// Why it could not be replayed.
    pub failure: Option<String>,
}

/// Metrics of one replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The version.
    pub version: String,
    /// Examples that count: those with an answer from both versions where there are two.
    pub examples: usize,
    /// F1; `None` for values, and where it is undefined.
    pub f1: Option<Bounded>,
    /// Share of right answers.
    pub accuracy: Option<Bounded>,
    /// p95 of each warm run, in milliseconds.
    pub p95_ms: Vec<f64>,
}

/// What the gate says, and all that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: VerdictKind,
    /// Why, in words, the weightiest first.
    pub reasons: Vec<String>,
    /// Examples that one version answers rightly and the other wrongly.
    pub flips: Vec<Flip>,
    /// The numbers.
    pub details: Details,
}

/// The numbers behind a verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Details {
    /// The version's metrics.
    pub measured: Measured,
    /// The baseline's, on the same examples.
    pub baseline: Option<Measured>,
    /// How F1 is taken.
    pub average: Option<Average>,
    /// Relative fall of F1 against the baseline, with the bounds of a paired bootstrap.
    pub f1_fall: Option<Bounded>,
    /// Relative fall of accuracy.
    pub accuracy_fall: Option<Bounded>,
    /// Lost and gained examples.
    pub mcnemar: Option<McNemar>,
    /// Ids of examples that the version did not answer although the baseline did, or there is none.
    pub unanswered: Vec<String>,
    /// Ids of examples that the baseline did not answer: nothing to compare with.
    pub left_out: Vec<String>,
    /// The smallest net fall of accuracy, as a share, that the set shows four times in five.
    pub smallest_detectable_fall: Option<f64>,
    /// How many examples would tell, when the verdict is inconclusive.
    pub examples_needed: Option<u64>,
    /// What the version was held to.
    pub settings: GateSettings,
    /// Draws of the bootstrap.
    pub draws: usize,
}

/// Judges a version by its replay and that of its baseline on the same set. Without a baseline only the floor
/// counts.
pub fn judge(settings: &GateSettings, version: &JudgedReplay, baseline: Option<&JudgedReplay>) -> Judgement {
    let evidence = Evidence::weigh(settings, version, baseline);
    let (verdict, reasons) = explain::decide(settings, &evidence, version, baseline);
    let flips = evidence.flips(version, baseline);
    let examples_needed = (verdict == VerdictKind::Inconclusive)
        .then(|| evidence.examples_needed(settings))
        .flatten();
    Judgement {
        verdict,
        reasons,
        flips,
        details: Details {
            measured: evidence.measured,
            baseline: evidence.baseline,
            average: evidence.average,
            f1_fall: evidence.f1_fall,
            accuracy_fall: evidence.accuracy_fall,
            mcnemar: evidence.mcnemar,
            unanswered: evidence.unanswered,
            left_out: evidence.left_out,
            smallest_detectable_fall: evidence.smallest_detectable_fall,
            examples_needed,
            settings: settings.clone(),
            draws: BOOTSTRAP_DRAWS,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(index: usize, expected: &str, answer: &str, latency_ms: f64) -> JudgedExample {
        JudgedExample {
            id: index.to_string(),
            expected: Expected::Label(expected.to_owned()),
            reply: Ok(Reply::Label {
                label: answer.to_owned(),
                score: None,
            }),
            latency_ms: Some(latency_ms),
            segment: None,
            tags: Vec::new(),
        }
    }

    fn replay(version: &str, p95_ms: f64, examples: Vec<JudgedExample>) -> JudgedReplay {
        JudgedReplay {
            version: version.to_owned(),
            examples,
            p95_ms: vec![p95_ms; WARM_RUNS],
            failure: None,
        }
    }

    fn settings(positive_class: Option<&str>, strict: bool) -> GateSettings {
        GateSettings {
            positive_class: positive_class.map(ToOwned::to_owned),
            f1_floor: 0.8,
            latency_budget_ms: 500.0,
            strict,
            seed: 7,
        }
    }

    #[test]
    fn a_set_on_which_f1_is_undefined_lets_nothing_pass() {
        let examples: Vec<_> = (0..60).map(|i| example(i, ["a", "b"][i % 2], ["a", "b"][i % 2], 1.0)).collect();
        let version = replay("2", 1.0, examples.clone());
        let baseline = replay("1", 1.0, examples);
        for (positive, strict, expected) in [
            (None, false, VerdictKind::Pass),
            (Some("a"), false, VerdictKind::Pass),
            (Some("yes"), false, VerdictKind::Inconclusive),
            (Some("yes"), true, VerdictKind::Inconclusive),
        ] {
            for baseline in [None, Some(&baseline)] {
                let judgement = judge(&settings(positive, strict), &version, baseline);
                assert_eq!(judgement.verdict, expected, "{positive:?} {strict}: {:?}", judgement.reasons);
            }
        }
    }

    #[test]
    fn a_rise_of_latency_that_machines_make_does_not_fail() {
        let set = |latency_ms: f64| -> Vec<_> {
            (0..MIN_LATENCY_PAIRS)
                .map(|i| example(i, ["a", "b"][i % 2], ["a", "b"][i % 2], latency_ms))
                .collect()
        };
        let baseline = replay("1", 0.2, set(0.2));
        for (now_ms, expected) in [
            (0.6, VerdictKind::Pass),
            (0.2 + MIN_P95_RISE_MS - 0.1, VerdictKind::Pass),
            (0.3 + MIN_P95_RISE_MS, VerdictKind::Fail),
        ] {
            let judgement = judge(&settings(None, false), &replay("2", now_ms, set(now_ms)), Some(&baseline));
            assert_eq!(judgement.verdict, expected, "{now_ms} ms: {:?}", judgement.reasons);
        }
    }
}
