//! Running a set against something that answers: answers first, then warm runs for latency.
//!
//! Synchronous and without a clock of its own: the caller gives a stopwatch and runs it off the async threads.
//! A call that is slow is not cut off, it counts as a timeout when it comes back: what runs in this process is
//! bounded by the limits on models.

use std::time::Duration;

use serde::Serialize;

use super::metrics::quantile;
use super::set::Input;
use crate::models::{AnswerError, LoadedModel};

/// How often the set is run again for latency, after the run whose answers count.
pub const WARM_RUNS: usize = 3;

/// Longest time for one answer.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an answer is asked for again after a passing error.
pub const DEFAULT_RETRIES: u32 = 2;

/// Longest time for a whole replay: the release waits for its verdict.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);

/// What something answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A class and its score.
    Label {
        /// The class.
        label: String,
        /// Its score.
        score: Option<f64>,
    },
    /// A number.
    Value(f64),
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Label { label, .. } => f.write_str(label),
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// Asking again may help.
    #[error("{0}")]
    Passing(String),
    /// Asking again gives the same.
    #[error("{0}")]
    Lasting(String),
}

/// Something that answers control examples.
pub trait Answers {
    /// The answer to one example.
    ///
    /// # Errors
    /// There is none.
    fn answer(&self, input: &Input) -> Result<Reply, NoReply>;
}

impl Answers for LoadedModel {
    fn answer(&self, input: &Input) -> Result<Reply, NoReply> {
        if input.features.is_empty() {
            return Err(NoReply::Lasting("this model needs features, the example has none".to_owned()));
        }
        let answer = self
            .predict(std::slice::from_ref(&input.features))
            .pop()
            .unwrap_or(Err(AnswerError::NotFinite))
            .map_err(|error| NoReply::Lasting(error.to_string()))?;
        Ok(Reply::Label {
            label: answer.label.to_string(),
            score: Some(answer.score),
        })
    }
}

/// Bounds of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Longest time for one answer.
    pub timeout: Duration,
    /// How often an answer is asked for again after a passing error.
    pub retries: u32,
    /// Longest time for all of it.
    pub deadline: Duration,
    /// Runs for latency.
    pub warm_runs: usize,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            deadline: DEFAULT_DEADLINE,
            warm_runs: WARM_RUNS,
        }
    }
}

/// What came of one example.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The answer of the first run, or why there is none.
    pub reply: Result<Reply, String>,
    /// Median over the warm runs that answered, in milliseconds.
    pub latency_ms: Option<f64>,
}

/// What came of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    /// One per example, in their order.
    pub examples: Vec<Outcome>,
    /// 95th percentile of latency of each warm run that was completed, in milliseconds.
    pub p95_ms: Vec<f64>,
}

/// Runs the set. `stopwatch` gives the time since some fixed instant and never goes back; `cancelled` is asked
/// before each example, and a replay that was cancelled gives `None`.
pub fn run(
    model: &dyn Answers,
    inputs: &[Input],
    options: &ReplayOptions,
    stopwatch: &dyn Fn() -> Duration,
    cancelled: &dyn Fn() -> bool,
) -> Option<Outcomes> {
    let started = stopwatch();
    let over = || stopwatch().saturating_sub(started) > options.deadline;
    let mut replies = Vec::with_capacity(inputs.len());
    for input in inputs {
        if cancelled() {
            return None;
        }
        replies.push(if over() {
            Err(format!("the replay took longer than {} s", options.deadline.as_secs()))
        } else {
            ask(model, input, options, stopwatch).map(|(reply, _)| reply)
        });
    }
    let mut latencies: Vec<Vec<f64>> = vec![Vec::new(); inputs.len()];
    let mut p95_ms = Vec::new();
    for _ in 0..options.warm_runs {
        let mut of_run = Vec::with_capacity(inputs.len());
        for ((input, reply), latencies) in inputs.iter().zip(&replies).zip(&mut latencies) {
            if cancelled() {
                return None;
            }
            if reply.is_err() || over() {
                continue;
            }
            if let Ok((_, latency_ms)) = ask(model, input, options, stopwatch) {
                of_run.push(latency_ms);
                latencies.push(latency_ms);
            }
        }
        if over() {
            break;
        }
        of_run.sort_unstable_by(f64::total_cmp);
        p95_ms.extend(quantile(&of_run, 0.95));
    }
    let examples = replies
        .into_iter()
        .zip(latencies)
        .map(|(reply, mut latencies)| {
            latencies.sort_unstable_by(f64::total_cmp);
            Outcome {
                reply,
                latency_ms: quantile(&latencies, 0.5),
            }
        })
        .collect();
    Some(Outcomes { examples, p95_ms })
}

/// One answer with the milliseconds of the attempt that gave it.
fn ask(model: &dyn Answers, input: &Input, options: &ReplayOptions, stopwatch: &dyn Fn() -> Duration) -> Result<(Reply, f64), String> {
    let mut attempts_left = options.retries;
    loop {
        let began = stopwatch();
        let reply = model.answer(input);
        let took = stopwatch().saturating_sub(began);
        let problem = match reply {
            Ok(_) if took > options.timeout => format!("the answer took longer than {} ms", options.timeout.as_millis()),
            Ok(Reply::Value(value)) if !value.is_finite() => return Err("the answer is not a finite number".to_owned()),
            Ok(reply) => return Ok((reply, took.as_secs_f64() * 1_000.0)),
            Err(NoReply::Lasting(problem)) => return Err(problem),
            Err(NoReply::Passing(problem)) => problem,
        };
        if attempts_left == 0 {
            return Err(problem);
        }
        attempts_left -= 1;
    }
}
