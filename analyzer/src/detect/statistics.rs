//! What libraries call drift, of each feature between a window and its reference. Only shift decides by itself; these are for
//! people who compare, and for rules that were written for them.

use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use crate::drift::{FeatureDrift, ValueKind};
use crate::statistics::{Measured, Tested};

/// Values on either side below which a statistic says little.
const MIN_N: u64 = 100;

/// The statistics of a feature that has `n` values in the window and `reference_n` in the reference.
pub(super) fn signals_of(frame: &Frame<'_>, drift: &FeatureDrift, n: u64, reference_n: u64) -> Vec<Signal> {
    let statistics = &drift.statistics;
    let plain = |measured: &Measured<f64>| known(measured, |value| (*value, None));
    let tested = |measured: &Measured<_>| known(measured, |test: &Tested| (test.statistic, Some(test.p)));
    let mut all = vec![
        (names::PSI, plain(&statistics.psi)),
        (names::JS, plain(&statistics.js)),
        (names::HELLINGER, plain(&statistics.hellinger)),
        (names::CHI2, tested(&statistics.chi2)),
    ];
    if drift.kind == ValueKind::Numeric {
        all.extend(statistics.ks.as_ref().map(|ks| (names::KS, tested(ks))));
        all.extend(statistics.wasserstein.as_ref().map(|moved| (names::WASSERSTEIN, plain(moved))));
    }
    let signals = all.into_iter().map(|(name, measured)| {
        let insufficient = |reason: String| frame.insufficient(name, &drift.feature, n, "insufficient", reason);
        match measured {
            _ if n < MIN_N || reference_n < MIN_N => insufficient(format!(
                "{n} values against {reference_n} of the reference: it takes {MIN_N} on either side"
            )),
            Ok((value, p)) => {
                let details = json!({ "kind": drift.kind, "p": p });
                frame.signal(name, &drift.feature, Estimate::exact(value), n, details)
            }
            Err(undefined) => insufficient(undefined),
        }
    });
    signals.map(|signal| Signal { reference_n, ..signal }).collect()
}

fn known<T>(measured: &Measured<T>, value: impl Fn(&T) -> (f64, Option<f64>)) -> Result<(f64, Option<f64>), String> {
    match measured {
        Measured::Value(measured) => Ok(value(measured)),
        Measured::Undefined { undefined } => Err(undefined.clone()),
    }
}
