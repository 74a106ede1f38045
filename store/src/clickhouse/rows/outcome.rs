//! `outcomes`.

use clickhouse::Row;
use serde::Serialize;

use crate::records::{Outcome, OutcomeKind};

/// A label, a verdict or a conversion.
#[derive(Row, Serialize)]
pub struct OutcomeRow<'a> {
    model: &'a str,
    request_id: &'a str,
    kind: &'static str,
    id: String,
    label: Option<&'a str>,
    verdict: Option<u8>,
    conversion: Option<f64>,
    at: i64,
    received_time: i64,
}

impl<'a> From<&'a Outcome> for OutcomeRow<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let (mut label, mut verdict, mut conversion) = (None, None, None);
        match &outcome.kind {
            OutcomeKind::Label(value) => label = Some(value.as_str()),
            OutcomeKind::Verdict(value) => verdict = Some(u8::from(*value)),
            OutcomeKind::Conversion(value) => conversion = Some(*value),
        }
        Self {
            model: &outcome.model,
            request_id: &outcome.request_id,
            kind: outcome.kind.name(),
            id: outcome.id.clone(),
            label,
            verdict,
            conversion,
            at: outcome.at.0,
            received_time: outcome.received_time.0,
        }
    }
}
