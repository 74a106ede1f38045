//! Labels that are probably wrong agree with cleanlab.

use std::collections::BTreeMap;

use driftlead_analyzer::stats::confident_learning::{ConfidentLearning, Probabilities, Pruning};
use serde::Deserialize;

use super::{cases, check};

#[derive(Debug, Deserialize)]
struct Case {
    labels: Vec<usize>,
    probabilities: Vec<Vec<f32>>,
    thresholds: Vec<f64>,
    counted: Vec<Vec<u64>>,
    joint: Vec<Vec<u64>>,
    issues: BTreeMap<String, Vec<usize>>,
    normalized_margin: Vec<f64>,
}

#[test]
fn label_issues_agree_with_cleanlab() {
    for case in cases::<Case>(include_str!("../../oracle/confident_learning.json")) {
        let values: Vec<f32> = case.probabilities.concat();
        let probabilities = Probabilities::of(&values, case.probabilities[0].len()).unwrap();
        let learnt = ConfidentLearning::of(&case.labels, probabilities).unwrap();
        for (found, expected) in learnt.thresholds.iter().zip(&case.thresholds) {
            check("threshold", found.unwrap(), *expected, 1e-9);
        }
        assert_eq!(learnt.counted, case.counted);
        assert_eq!(learnt.joint, case.joint);
        for (pruning, name) in [
            (Pruning::NoiseRate, "prune_by_noise_rate"),
            (Pruning::Class, "prune_by_class"),
            (Pruning::Both, "both"),
        ] {
            let issues = learnt.issues(&case.labels, probabilities, pruning);
            let found: Vec<usize> = (0..issues.len()).filter(|row| issues[*row]).collect();
            assert_eq!(found, case.issues[name], "{name}");
        }
        for (row, expected) in case.normalized_margin.iter().enumerate() {
            check("margin", probabilities.normalized_margin(row, case.labels[row]), *expected, 1e-7);
        }
    }
}
