//! Signals that stand beside those of drift: where they cannot be computed, the others are told all the same.

use std::time::Duration;

use driftlead_store::records::Signal;

use super::frame::Frame;
use crate::error::AnalyzerError;

/// How long the signals of a window wait for one kind of others.
const PATIENCE: Duration = Duration::from_secs(30);

/// The signals that the work gives; none, and a warning, where it fails or takes too long. It reads inferences one by one, which may be too
/// much where profiles are not; a database that is away fails what is computed from profiles too.
pub(super) async fn beside(
    frame: &Frame<'_>,
    what: &'static str,
    work: impl Future<Output = Result<Vec<Signal>, AnalyzerError>>,
) -> Vec<Signal> {
    within(PATIENCE, frame, what, work).await
}

async fn within(
    patience: Duration,
    frame: &Frame<'_>,
    what: &'static str,
    work: impl Future<Output = Result<Vec<Signal>, AnalyzerError>>,
) -> Vec<Signal> {
    let why = match tokio::time::timeout(patience, work).await {
        Ok(Ok(signals)) => return signals,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took longer than {} s", patience.as_secs()),
    };
    tracing::warn!(model = frame.model, version = frame.version, end = %frame.window.end, what, why, "signals of a window are left out");
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_or_takes_too_long_leaves_the_others_alone() {
        let frame = Frame::EXAMPLE;
        let signal = frame.insufficient("psi", "age", 1, "insufficient", "few");
        let given = beside(&frame, "samples", async { Ok(vec![signal.clone()]) }).await;
        assert_eq!(given, [signal]);
        let failed = beside(&frame, "samples", async { Err(AnalyzerError::BrokeOff("gone".to_owned())) }).await;
        assert_eq!(failed, []);
        let never = std::future::pending();
        assert_eq!(within(Duration::from_millis(5), &frame, "samples", never).await, []);
    }
}
