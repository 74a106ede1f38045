//! Verdicts as signals: to ClickHouse for charts, and to alerting.
//!
//! Which verdicts were published is kept in the state, so none is lost; after a restart the verdicts on versions
//! under watch are published again, because alerting may have been stopped before it judged them. A signal that
//! comes twice has the same key and the same instant, which readers and rules know.

use driftlead_store::records::{Signal, SignalState, names};
use driftlead_store::state::verdicts::{Verdict, VerdictKind};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::gate::MIN_EXAMPLES_FOR_BOUNDS;
use super::mcnemar::SIGNIFICANCE;
use super::worker::{Context, StepError};

/// Verdicts that one turn publishes at most.
const MAX_VERDICTS_PER_TURN: u32 = 100;

/// Publishes verdicts.
pub(super) struct Publisher {
    signals: mpsc::Sender<Vec<Signal>>,
    restarted: bool,
}

impl Publisher {
    pub(super) fn new(signals: mpsc::Sender<Vec<Signal>>) -> Self {
        Self { signals, restarted: true }
    }

    /// Publishes what is new, and once what alerting may have missed.
    pub(super) async fn publish(&mut self, context: &Context) -> Result<(), StepError> {
        if self.restarted {
            for release in context.state.releases_in_watch(None, context.now()).await? {
                let verdict = context
                    .state
                    .latest_verdict(&release.model, &release.version, Some(&release.environment))
                    .await?;
                if let Some(verdict) = verdict {
                    self.send(context, &verdict).await?;
                }
            }
            self.restarted = false;
        }
        // One that is refused must not hold up those after it.
        let mut refused = Ok(());
        for verdict in context.state.unpublished_verdicts(MAX_VERDICTS_PER_TURN).await? {
            match self.send(context, &verdict).await {
                Ok(()) => context.state.verdict_published(&verdict.id, context.now()).await?,
                Err(error) => refused = refused.and(Err(error)),
            }
        }
        refused
    }

    async fn send(&self, context: &Context, verdict: &Verdict) -> Result<(), StepError> {
        let signals = signals_of(verdict);
        driftlead_store::clickhouse::signals::insert_signals(&context.clickhouse, &signals, context.now()).await?;
        tokio::select! {
            sent = self.signals.send(signals) => {
                if sent.is_err() {
                    tracing::debug!("nobody takes control signals: alerting has stopped");
                }
            }
            () = context.stop.cancelled() => {}
        }
        Ok(())
    }
}

/// The parts of a verdict's details that signals carry.
#[derive(Deserialize)]
struct Details {
    measured: Measured,
    baseline: Option<Measured>,
    f1_fall: Option<Bounds>,
    accuracy_fall: Option<Bounds>,
    mcnemar: Option<Test>,
}

#[derive(Deserialize)]
struct Measured {
    examples: u64,
    f1: Option<Bounds>,
    accuracy: Option<Bounds>,
    p95_ms: Vec<f64>,
}

#[derive(Deserialize, Clone, Copy)]
struct Bounds {
    value: f64,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct Test {
    p: f64,
}

/// The signals that a verdict gives; the instant of the verdict is the end of their windows, which have no length.
pub(super) fn signals_of(verdict: &Verdict) -> Vec<Signal> {
    let Ok(details) = Details::deserialize(&verdict.details) else {
        return Vec::new();
    };
    let n = details.measured.examples;
    let reference_n = details.baseline.as_ref().map_or(0, |baseline| baseline.examples);
    let signal = |name: &str| Signal {
        name: name.to_owned(),
        model: verdict.model.clone(),
        version: verdict.version.clone(),
        environment: verdict.environment.clone(),
        segment: String::new(),
        subject: String::new(),
        window_end: verdict.created_at,
        window_seconds: 0,
        value: None,
        lower: None,
        upper: None,
        decision_lower: None,
        decision_upper: None,
        n,
        reference_n,
        provisional: false,
        state: SignalState::Insufficient,
        details: json!({"set": verdict.set_id, "verdict": verdict.id, "baseline": verdict.baseline_version}),
    };
    let bounded = |name: &str, bounds: Option<Bounds>| match bounds {
        Some(bounds) => Signal {
            value: Some(bounds.value),
            lower: Some(bounds.lower),
            upper: Some(bounds.upper),
            decision_lower: Some(bounds.lower),
            decision_upper: Some(bounds.upper),
            state: SignalState::Ok,
            ..signal(name)
        },
        None => signal(name),
    };
    // Resampling cannot bound what fewer examples show, and rules compare the bounds.
    let has_bounds = n >= MIN_EXAMPLES_FOR_BOUNDS as u64;
    let mut signals = vec![
        gate_failed(verdict, n, signal(names::GATE_FAILED)),
        bounded(names::CONTROL_F1, details.measured.f1.filter(|_| has_bounds)),
        bounded(names::CONTROL_ACCURACY, details.measured.accuracy.filter(|_| has_bounds)),
    ];
    let mut p95_ms = details.measured.p95_ms;
    p95_ms.sort_unstable_by(f64::total_cmp);
    signals.push(Signal {
        value: super::metrics::quantile(&p95_ms, 0.5),
        lower: p95_ms.first().copied(),
        upper: p95_ms.last().copied(),
        decision_lower: p95_ms.first().copied(),
        decision_upper: p95_ms.last().copied(),
        state: if p95_ms.is_empty() {
            SignalState::Insufficient
        } else {
            SignalState::Ok
        },
        ..signal(names::CONTROL_LATENCY_P95_MS)
    });
    if verdict.baseline_version.is_some() {
        let falls = [details.f1_fall, details.accuracy_fall].into_iter().flatten();
        let fall = falls.max_by(|a, b| a.value.total_cmp(&b.value));
        let significant = details.mcnemar.is_some_and(|test| test.p < SIGNIFICANCE);
        signals.push(Signal {
            // What the gate calls sure: a rule on the fall and the gate never disagree.
            decision_lower: fall.map(|fall| if significant { fall.value } else { fall.value.min(0.0) }),
            ..bounded(names::CONTROL_DROP, fall)
        });
    }
    signals
}

/// 1 when the verdict is `fail`, else 0; without any answer there is none. Its details say why and which examples
/// flipped.
fn gate_failed(verdict: &Verdict, n: u64, signal: Signal) -> Signal {
    let harmed: Vec<&str> = verdict
        .flips
        .iter()
        .filter(|flip| flip.harmed)
        .map(|flip| flip.example.as_str())
        .collect();
    let failed = verdict.verdict == VerdictKind::Fail;
    let mut details = signal.details.clone();
    if let Value::Object(details) = &mut details {
        details.insert("outcome".to_owned(), json!(verdict.verdict));
        details.insert("reasons".to_owned(), json!(verdict.reasons));
        details.insert("harmed".to_owned(), json!(harmed));
    }
    Signal {
        value: (n > 0).then_some(if failed { 1.0 } else { 0.0 }),
        state: if n > 0 { SignalState::Ok } else { SignalState::Insufficient },
        details,
        ..signal
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::clock::UnixNanos;

    use super::*;

    fn verdict(examples: u64, f1_fall: f64, accuracy_fall: f64, p: f64) -> Verdict {
        let bounds = |value: f64| json!({"value": value, "lower": value - 0.1, "upper": value + 0.1});
        let measured = json!({"examples": examples, "f1": bounds(0.5), "accuracy": bounds(0.6), "p95_ms": [3.0, 1.0, 2.0]});
        Verdict {
            id: "ver_1".into(),
            model: "m".into(),
            version: "2".into(),
            environment: String::new(),
            baseline_version: Some("1".into()),
            set_id: "s".into(),
            replay_id: "rpl_1".into(),
            baseline_replay_id: Some("rpl_0".into()),
            verdict: VerdictKind::Fail,
            reasons: Vec::new(),
            flips: Vec::new(),
            details: json!({
                "measured": measured, "baseline": measured, "mcnemar": {"p": p},
                "f1_fall": bounds(f1_fall), "accuracy_fall": bounds(accuracy_fall),
            }),
            created_at: UnixNanos(1),
        }
    }

    fn find(verdict: &Verdict, name: &str) -> Signal {
        signals_of(verdict).into_iter().find(|signal| signal.name == name).unwrap()
    }

    #[test]
    fn a_handful_of_examples_has_no_bounds_for_rules_to_compare() {
        for (examples, expected) in [
            (MIN_EXAMPLES_FOR_BOUNDS as u64 - 1, SignalState::Insufficient),
            (MIN_EXAMPLES_FOR_BOUNDS as u64, SignalState::Ok),
        ] {
            for name in [names::CONTROL_F1, names::CONTROL_ACCURACY] {
                let signal = find(&verdict(examples, 0.0, 0.0, 1.0), name);
                assert_eq!(
                    (signal.state, signal.value.is_some()),
                    (expected, expected == SignalState::Ok),
                    "{examples} {name}"
                );
            }
        }
    }

    #[test]
    fn the_drop_is_the_larger_fall_and_sure_when_the_gate_is() {
        for (f1, accuracy, p, value, decided) in [(0.1, 0.3, 0.01, 0.3, 0.3), (0.3, 0.1, 0.01, 0.3, 0.3), (0.1, 0.3, 0.5, 0.3, 0.0)] {
            let signal = find(&verdict(60, f1, accuracy, p), names::CONTROL_DROP);
            assert_eq!(
                (signal.value, signal.decision_lower),
                (Some(value), Some(decided)),
                "{f1} {accuracy} {p}"
            );
        }
    }
}
