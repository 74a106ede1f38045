//! From what the state holds of two replays to a verdict.

use driftlead_store::ids::{IdKind, new_id};
use driftlead_store::state::replays::{FinishedReplay, Replay, ReplayResult, ReplayState, RequestedBy};
use driftlead_store::state::verdicts::Verdict;
use serde::Deserialize;
use serde_json::json;

use super::gate::{GateSettings, JudgedExample, JudgedReplay, judge as gate};
use super::plan;
use super::replay::{Outcomes, Reply};
use super::runner::gate_settings;
use super::set::{Example, Expected};
use super::worker::{Context, StepError};

/// Whether there can be a verdict.
pub(super) enum Judged {
    /// This one.
    Now(Box<Verdict>),
    /// Once the baseline has been replayed.
    Later,
    /// Nothing was measured, or it was only another version's baseline.
    Never,
}

/// What a replay measured, as it is kept.
pub(super) fn finished(examples: &[Example], outcomes: Outcomes, settings: &GateSettings) -> FinishedReplay {
    let judged: Vec<JudgedExample> = examples
        .iter()
        .zip(outcomes.examples)
        .map(|(example, outcome)| JudgedExample {
            id: example.id.clone(),
            expected: example.expected.clone(),
            reply: outcome.reply,
            latency_ms: outcome.latency_ms,
            segment: None,
            tags: Vec::new(),
        })
        .collect();
    let results: Vec<ReplayResult> = judged.iter().enumerate().map(result).collect();
    let no_answer = results.iter().all(|result| result.error.is_some());
    let first_error = results.iter().find_map(|result| result.error.clone());
    let alone = JudgedReplay {
        version: String::new(),
        examples: judged,
        p95_ms: outcomes.p95_ms,
        failure: None,
    };
    let details = gate(settings, &alone, None).details;
    FinishedReplay {
        state: if no_answer { ReplayState::Failed } else { ReplayState::Done },
        reason: first_error
            .filter(|_| no_answer)
            .map(|error| format!("no example was answered: {error}")),
        metrics: Some(json!({
            "f1": details.measured.f1,
            "accuracy": details.measured.accuracy,
            "average": details.average,
            "answered": details.measured.examples,
            "unanswered": details.unanswered.len(),
            "p95_ms": details.measured.p95_ms,
        })),
        results,
    }
}

fn result((position, example): (usize, &JudgedExample)) -> ReplayResult {
    let (answer, score, error) = match &example.reply {
        Ok(reply @ Reply::Label { score, .. }) => (Some(reply.to_string()), *score, None),
        Ok(reply @ Reply::Value(_)) => (Some(reply.to_string()), None, None),
        Err(error) => (None, None, Some(error.clone())),
    };
    ReplayResult {
        position: position as u64,
        answer,
        score,
        latency_ms: example.latency_ms,
        correct: example.is_correct(),
        error,
    }
}

/// The examples of a replay's set, or why they cannot be read.
pub(super) async fn examples(context: &Context, replay: &Replay) -> Result<Result<Vec<Example>, String>, StepError> {
    let stored = context.state.control_examples(&replay.model, &replay.set_id).await?;
    let read: Result<Vec<Example>, _> = stored.into_iter().map(Example::from_stored).collect();
    Ok(read.map_err(|error| format!("a stored example of its set cannot be read: {error}; upload the set again")))
}

/// The verdict on a replay that ends now.
pub(super) async fn judge(context: &Context, replay: &Replay, finished: &FinishedReplay) -> Result<Judged, StepError> {
    if finished.state == ReplayState::Skipped || replay.requested_by == RequestedBy::Baseline {
        return Ok(Judged::Never);
    }
    let examples = match examples(context, replay).await? {
        Ok(examples) => examples,
        Err(reason) => {
            tracing::error!(replay = replay.id, reason, "a replay cannot be judged");
            return Ok(Judged::Never);
        }
    };
    let mut baseline = None;
    let mut baseline_replay_id = None;
    if let Some(version) = &replay.baseline_version {
        let Some(of_baseline) = context
            .state
            .replay_of_version(&replay.model, version, &replay.environment, &replay.set_id)
            .await?
            .filter(|of_baseline| of_baseline.state.is_final())
        else {
            return Ok(Judged::Later);
        };
        let results = context.state.replay_results(&of_baseline.id).await?;
        baseline = Some(judged_replay(
            &of_baseline,
            of_baseline.metrics.as_ref(),
            of_baseline.reason.as_deref(),
            &examples,
            &results,
        ));
        baseline_replay_id = Some(of_baseline.id);
    }
    let version = judged_replay(
        replay,
        finished.metrics.as_ref(),
        finished.reason.as_deref(),
        &examples,
        &finished.results,
    );
    let settings = gate_settings(&context.settings(&replay.model), replay);
    // The bootstrap's draws take tens of milliseconds: not on a thread that others wait for.
    let judgement = match tokio::task::spawn_blocking(move || gate(&settings, &version, baseline.as_ref())).await {
        Ok(judgement) => judgement,
        Err(stopped) => {
            // It would break off again, at every turn.
            tracing::error!(error = %stopped, replay = replay.id, "the gate broke off: there is no verdict on this replay");
            return Ok(Judged::Never);
        }
    };
    Ok(Judged::Now(Box::new(Verdict {
        id: new_id(IdKind::Verdict),
        model: replay.model.clone(),
        version: replay.version.clone(),
        environment: replay.environment.clone(),
        baseline_version: replay.baseline_version.clone(),
        set_id: replay.set_id.clone(),
        replay_id: replay.id.clone(),
        baseline_replay_id,
        verdict: judgement.verdict,
        reasons: judgement.reasons,
        flips: judgement.flips,
        details: serde_json::to_value(&judgement.details)?,
        created_at: context.now(),
    })))
}

/// The verdict on a replay that ended before its baseline's did. A baseline that nobody has queued is queued.
pub(super) async fn judge_later(context: &Context, replay: &Replay) -> Result<(), StepError> {
    let finished = FinishedReplay {
        state: replay.state,
        reason: replay.reason.clone(),
        metrics: replay.metrics.clone(),
        results: context.state.replay_results(&replay.id).await?,
    };
    match judge(context, replay, &finished).await? {
        Judged::Now(verdict) => context.state.insert_verdict(&verdict).await?,
        Judged::Later => {
            let baseline = plan::baseline_replay(&replay.clone().into(), replay.baseline_version.as_deref());
            context.state.queue_missing_replays(baseline.as_slice(), context.now()).await?;
        }
        Judged::Never => context.state.owe_no_verdict(&replay.id).await?,
    }
    Ok(())
}

#[derive(Deserialize)]
struct Latencies {
    p95_ms: Vec<f64>,
}

/// A replay as the gate takes it; the same for one that just ended and for one from the state, so that a verdict
/// can be made again from what is kept.
fn judged_replay(
    replay: &Replay,
    metrics: Option<&serde_json::Value>,
    failure: Option<&str>,
    examples: &[Example],
    results: &[ReplayResult],
) -> JudgedReplay {
    let p95_ms = metrics
        .and_then(|metrics| Latencies::deserialize(metrics).ok())
        .map_or_else(Vec::new, |latencies| latencies.p95_ms);
    let examples = examples
        .iter()
        .zip(results)
        .map(|(example, result)| JudgedExample {
            id: example.id.clone(),
            expected: example.expected.clone(),
            reply: reply(&example.expected, result),
            latency_ms: result.latency_ms,
            segment: example.segment.clone(),
            tags: example.tags.clone(),
        })
        .collect();
    JudgedReplay {
        version: replay.version.clone(),
        examples,
        p95_ms,
        failure: failure.map(ToOwned::to_owned),
    }
}

fn reply(expected: &Expected, result: &ReplayResult) -> Result<Reply, String> {
    let Some(answer) = &result.answer else {
        return Err(result.error.clone().unwrap_or_default());
    };
    match (expected, answer.parse()) {
        (Expected::Value { .. }, Ok(value)) => Ok(Reply::Value(value)),
        _ => Ok(Reply::Label {
            label: answer.clone(),
            score: result.score,
        }),
    }
}
