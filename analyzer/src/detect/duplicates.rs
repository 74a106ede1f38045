//! How many inferences repeat the input of another one.

use driftlead_store::clickhouse::query::duplicates::{Compared, Duplicates, duplicates};
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::data_quality::ratio;
use super::frame::Frame;
use super::schedule::LENGTHS_LOOKED_AT;
use crate::budget::Budget;
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::window::Window;

/// The signals of all versions and environments of a model in a window that has just ended; none of another one, because inferences
/// have to be read. `inferences` are those of the window.
pub(super) async fn signals_of_window(
    context: &Context,
    model: &str,
    window: Window,
    inferences: u64,
    budget: Budget,
) -> Result<Vec<Signal>, AnalyzerError> {
    if !window.ended_within(LENGTHS_LOOKED_AT, context.now()) {
        return Ok(Vec::new());
    }
    let stretch = Compared::newest(window.start(), window.end, inferences);
    let found = duplicates(&context.clickhouse, model, inferences, stretch).await?;
    let decision_error = budget.shared_by(found.len()).decision_error(1);
    let signal = |of: &Duplicates| {
        let frame = Frame {
            model,
            version: &of.version,
            environment: &of.environment,
            segment: "",
            window,
            provisional: false,
        };
        let details = json!({ "most_frequent": of.most, "example": of.example, "since": stretch.from.to_string() });
        let repeated = of.inferences.saturating_sub(of.inputs);
        ratio(&frame, names::DUPLICATE_RATIO, "", repeated, of.inferences, decision_error, details)
    };
    Ok(found.iter().map(signal).collect())
}
