//! Signals that take inferences one by one, so a sample of them: whether a model can tell the window from the reference, and how far
//! apart their embeddings lie as vectors.

use driftlead_store::clickhouse::query::samples::{Contents, SampledInference};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use super::quality::Z;
use super::schedule::LENGTHS_LOOKED_AT;
use crate::blocking;
use crate::context::Context;
use crate::embedding_drift::SUBJECT;
use crate::error::AnalyzerError;
use crate::reference::ReferenceInfo;
use crate::sampling::columns::Columns;
use crate::sampling::{Rows, Sides, Wanted, usual_kind};
use crate::seed::seed_of;
use crate::stats::domain_classifier::{self, DomainAuc, domain_auc};
use crate::stats::maximum_mean_discrepancy::{self, MaximumMeanDiscrepancy, Vectors, maximum_mean_discrepancy};
use crate::stats::normal;

/// Inferences of a side below which neither says anything.
const MIN_N: usize = 100;
/// Rows of the table that are looked through for one sample: a fraction of a second of the engine's time, each hour.
pub(super) const LOOKED_THROUGH: u64 = 2_000_000;
/// Features that the model is given, in alphabetical order: with more it would take seconds.
const MAX_FEATURES: usize = 50;
/// Features that the details name, those that tell the sides apart best.
const MAX_NAMED: usize = 10;
/// Permutations behind a p-value.
const PERMUTATIONS: u32 = 200;

/// Whether the inferences of a window are read one by one: all traffic of a version, when the window has just ended.
pub(super) fn is_looked_at(frame: &Frame<'_>, now: UnixNanos) -> bool {
    !frame.provisional && frame.segment.is_empty() && frame.window.ended_within(LENGTHS_LOOKED_AT, now)
}

/// What of a window is looked at.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    /// Inferences of the window.
    pub inferences: u64,
    /// Its features, predictions left out.
    pub features: Vec<String>,
    /// Whether the window has embeddings.
    pub has_embeddings: bool,
    /// The error that a decision may have.
    pub decision_error: f64,
}

/// The signals of all traffic of a version in a window that has just ended; none of another one, because inferences have to be read.
pub(super) async fn signals_of(
    context: &Context,
    frame: &Frame<'_>,
    reference: &ReferenceInfo,
    looked: Looked,
) -> Result<Vec<Signal>, AnalyzerError> {
    if !is_looked_at(frame, context.now()) || reference.from.is_none() {
        return Ok(Vec::new());
    }
    let sides = Sides {
        model: frame.model,
        environment: frame.environment,
        version: frame.version,
        segment: frame.segment,
        from: frame.window.start(),
        to: frame.window.end,
        inferences: looked.inferences,
        reference: Some(reference),
        positive: None,
    };
    let wanted = |rows: usize, embeddings: bool| Wanted {
        rows: rows as u64,
        looked_through: LOOKED_THROUGH,
        contents: Contents { embeddings, texts: false },
    };
    let mut signals = Vec::new();
    if !looked.features.is_empty() {
        let rows = sides
            .sample(&context.clickhouse, wanted(domain_classifier::MAX_ROWS, false))
            .await?;
        let seed = seed_of(&[frame.model, frame.version, names::DOMAIN_AUC, &frame.window.end.to_string()]);
        let n = counts(&rows);
        let features = looked.features;
        let told = blocking::compute(move || told_apart(rows, &features, seed)).await?;
        signals.push(domain_auc_signal(frame, n, told, looked.decision_error));
    }
    if looked.has_embeddings {
        let rows = sides
            .sample(&context.clickhouse, wanted(maximum_mean_discrepancy::MAX_ROWS, true))
            .await?;
        let seed = seed_of(&[frame.model, frame.version, names::MMD, &frame.window.end.to_string()]);
        let n = counts(&rows);
        let apart = blocking::compute(move || discrepancy(rows, seed)).await?;
        signals.push(mmd_signal(frame, n, apart));
    }
    Ok(signals)
}

/// Rows of reference and window.
fn counts(rows: &Rows) -> [usize; 2] {
    rows.as_ref().map_or([0, 0], |[before, now]| [before.len(), now.len()])
}

fn enough(n: [usize; 2]) -> Result<(), String> {
    if n.iter().all(|n| *n >= MIN_N) {
        return Ok(());
    }
    let [reference_n, n] = n;
    Err(format!(
        "{n} inferences against {reference_n} of the reference: it takes {MIN_N} on either side"
    ))
}

fn told_apart(rows: Rows, features: &[String], seed: u64) -> Result<DomainAuc, String> {
    let [before, now] = rows?;
    enough([before.len(), now.len()])?;
    let columns = Columns::of([&before, &now]);
    let split = columns.split(features.iter().take(MAX_FEATURES));
    domain_auc(&Columns::features(&split), Z, seed).map_err(|undefined| undefined.to_string())
}

fn domain_auc_signal(frame: &Frame<'_>, [reference_n, n]: [usize; 2], told: Result<DomainAuc, String>, decision_error: f64) -> Signal {
    let signal = match told {
        Err(reason) => frame.insufficient(names::DOMAIN_AUC, "", n as u64, "insufficient", reason),
        Ok(told) => {
            let estimate = Estimate {
                value: told.auc.value,
                shown: Some(told.auc.bounds),
                decided: Some(told.bounds(normal::from_upper_tail(decision_error))),
            };
            let by: Vec<_> = told
                .contributions
                .iter()
                .take(MAX_NAMED)
                .map(|of| json!({ "feature": of.feature, "drop": of.drop }))
                .collect();
            frame.signal(names::DOMAIN_AUC, "", estimate, n as u64, json!({ "told_by": by }))
        }
    };
    Signal {
        reference_n: reference_n as u64,
        ..signal
    }
}

/// The vectors of one encoder and length, one after the other.
#[derive(Debug, Default, PartialEq)]
struct OneKind {
    values: Vec<f32>,
    n: usize,
}

impl OneKind {
    fn of(rows: &[SampledInference], (dimensions, encoder): (usize, &str)) -> Self {
        let mut all = Self::default();
        for row in rows
            .iter()
            .filter(|row| row.embedding.len() == dimensions && row.embedding_model == encoder)
        {
            all.values.extend(&row.embedding);
            all.n += 1;
        }
        all
    }
}

fn discrepancy(rows: Rows, seed: u64) -> Result<MaximumMeanDiscrepancy, String> {
    let [before, now] = rows?;
    let kind = usual_kind(&now).ok_or("the window has no embeddings")?;
    let (before, now) = (OneKind::of(&before, kind), OneKind::of(&now, kind));
    enough([before.n, now.n])?;
    let vectors = |side| Vectors::of(side, kind.0);
    let apart = vectors(&before.values)
        .and_then(|before| Ok((before, vectors(&now.values)?)))
        .and_then(|(before, now)| maximum_mean_discrepancy(before, now, PERMUTATIONS, seed));
    apart.map_err(|undefined| undefined.to_string())
}

fn mmd_signal(frame: &Frame<'_>, [reference_n, n]: [usize; 2], apart: Result<MaximumMeanDiscrepancy, String>) -> Signal {
    let (signal, reference_n) = match apart {
        Err(reason) => (
            frame.insufficient(names::MMD, SUBJECT, n as u64, "insufficient", reason),
            reference_n,
        ),
        Ok(apart) => {
            let details = json!({ "p": apart.p_value, "bandwidth": apart.bandwidth, "permutations": PERMUTATIONS });
            let signal = frame.signal(names::MMD, SUBJECT, Estimate::exact(apart.squared), apart.n as u64, details);
            (signal, apart.reference_n)
        }
    };
    Signal {
        reference_n: reference_n as u64,
        ..signal
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::SignalState;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    fn rows(n: usize, seed: u64, moved: f64, encoder: &str) -> Vec<SampledInference> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..n)
            .map(|_| SampledInference {
                numeric_features: vec![
                    ("age".to_owned(), random.random::<f64>() + moved),
                    ("other".to_owned(), random.random()),
                ],
                embedding: (0..4).map(|_| random.random::<f32>() + moved as f32).collect(),
                embedding_model: encoder.to_owned(),
                ..SampledInference::default()
            })
            .collect()
    }

    #[test]
    fn a_window_that_moved_is_told_from_the_reference_and_one_that_did_not_is_not() {
        let features = ["age".to_owned(), "other".to_owned()];
        let signal = |moved: f64| {
            let sides = Ok([rows(800, 1, 0.0, "e"), rows(800, 2, moved, "e")]);
            domain_auc_signal(&FRAME, [800, 800], told_apart(sides, &features, 3), 1e-4)
        };
        let still = signal(0.0);
        assert!(
            still.decision_lower.unwrap() < 0.5 && still.lower > still.decision_lower,
            "{still:?}"
        );
        let moved = signal(0.3);
        assert!(
            moved.decision_lower.unwrap() > 0.5 && moved.details["told_by"][0]["feature"] == "age",
            "{moved:?}"
        );
        assert_eq!((moved.n, moved.reference_n), (800, 800));
    }

    #[test]
    fn vectors_of_one_encoder_are_compared() {
        let signal = |now: Vec<SampledInference>| {
            let sides: Rows = Ok([rows(300, 1, 0.0, "e"), now]);
            mmd_signal(&FRAME, counts(&sides), discrepancy(sides, 3))
        };
        let still = signal(rows(300, 2, 0.0, "e"));
        assert!(
            still.value.unwrap().abs() < 0.01 && still.details["p"].as_f64().unwrap() > 0.05,
            "{still:?}"
        );
        let moved = signal(rows(300, 2, 0.3, "e"));
        assert!(
            moved.value.unwrap() > 0.1 && moved.details["p"].as_f64().unwrap() < 0.01,
            "{moved:?}"
        );
        let mixed: Vec<_> = rows(200, 2, 0.0, "e").into_iter().chain(rows(100, 4, 9.0, "other")).collect();
        assert!(signal(mixed).value.unwrap() < 0.01);
        let other = signal(rows(300, 2, 0.0, "other"));
        assert!(other.state == SignalState::Insufficient && other.details["reason"].as_str().unwrap().contains("against 0"));
    }

    #[test]
    fn where_there_is_no_reference_to_sample_it_is_said_why() {
        let gone: Rows = Err("gone".to_owned());
        let signal = domain_auc_signal(&FRAME, counts(&gone), told_apart(gone, &["age".to_owned()], 1), 0.01);
        assert_eq!((signal.value, &signal.details["reason"]), (None, &json!("gone")));
        let few = told_apart(Ok([rows(99, 1, 0.0, "e"), rows(500, 2, 0.0, "e")]), &["age".to_owned()], 1);
        assert!(few.unwrap_err().contains("against 99"));
    }
}
