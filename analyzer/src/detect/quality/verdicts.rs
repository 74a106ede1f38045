//! What people say of answers.

use driftlead_store::clickhouse::query::quality::LabelledWindow;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::{MIN_N, Z};
use crate::detect::frame::{Estimate, Frame};
use crate::stats::wilson;

/// Share of the judged inferences that were judged incorrect. People judge what strikes them: it is no estimate of all.
/// `None` where nobody judged.
pub(super) fn signal_of_window(frame: &Frame<'_>, window: &LabelledWindow) -> Option<Signal> {
    let (n, incorrect) = (window.verdicts, window.incorrect);
    if n == 0 {
        return None;
    }
    if n < MIN_N {
        let reason = format!("{n} verdicts, fewer than {MIN_N}");
        return Some(frame.insufficient(names::INCORRECT_RATIO, "", n, "insufficient", reason));
    }
    let bounds = wilson::bounds(incorrect as f64, n as f64, Z);
    let estimate = Estimate::bounded(incorrect as f64 / n as f64, bounds);
    Some(frame.signal(names::INCORRECT_RATIO, "", estimate, n, json!({ "incorrect": incorrect })))
}
