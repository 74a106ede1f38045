//! `outcomes`: labels, verdicts and conversions.

use clickhouse::native::Block;

use super::values::Instant;
use super::{Columns, Tabled};
use crate::clickhouse::TelemetryError;
use crate::records::{Outcome, OutcomeKind};

impl Tabled for Outcome {
    const TABLE: &'static str = "outcomes";

    fn block(records: &[Self], _batch: u64) -> Result<Block, TelemetryError> {
        Columns::of(records)
            .with("model", |outcome| outcome.model.as_str())?
            .with("request_id", |outcome| outcome.request_id.as_str())?
            .with("kind", |outcome| outcome.kind.name())?
            .with("id", |outcome| outcome.id.as_str())?
            .with("label", |outcome| match &outcome.kind {
                OutcomeKind::Label(label) => Some(label.as_str()),
                _ => None,
            })?
            .with("verdict", |outcome| match &outcome.kind {
                OutcomeKind::Verdict(verdict) => Some(u8::from(*verdict)),
                _ => None,
            })?
            .with("conversion", |outcome| match &outcome.kind {
                OutcomeKind::Conversion(conversion) => Some(*conversion),
                _ => None,
            })?
            .with("at", |outcome| Instant(outcome.at))?
            .with("received_time", |outcome| Instant(outcome.received_time))?
            .build()
    }
}
