//! Signals about the texts of inputs, where those are kept: whether stored embeddings are what the encoder makes of the same texts now,
//! and whether people write words that were not there before. What moves the first is the encoder or the age of the store, not the data;
//! what moves the second is the data.

use std::collections::{BTreeMap, BTreeSet};

use driftlead_store::clickhouse::query::samples::{Contents, SampledInference};
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::data_quality::ratio;
use super::frame::{Estimate, Frame};
use super::quality::Z;
use super::sampled::{LOOKED_THROUGH, is_looked_at};
use crate::blocking;
use crate::context::Context;
use crate::embedding_drift::SUBJECT;
use crate::error::AnalyzerError;
use crate::models::{address, device, text_encoder::TextEncoder};
use crate::reference::ReferenceInfo;
use crate::sampling::{Sides, Wanted};
use crate::stats::{Bounds, neighbours, normal};

/// Texts of a side whose words are read.
const WANTED_TEXTS: u64 = 2_000;
/// Texts that are embedded anew: a second or two of a core.
const MAX_EMBEDDED: usize = 200;
/// Texts below which nothing is said.
const MIN_N: usize = 50;
/// Neighbours of each embedding that are looked at.
const NEIGHBOURS: usize = 10;
/// New words that the details name, the most frequent first, and texts in which each has to be.
const MAX_NAMED: usize = 20;
const MIN_TEXTS_OF_A_WORD: usize = 3;
/// Longest word that is named, in characters.
const MAX_NAMED_CHARACTERS: usize = 40;

/// The signals of all traffic of a version in a window that has just ended. None where no texts are kept.
pub(super) async fn signals_of(
    context: &Context,
    frame: &Frame<'_>,
    reference: Option<&ReferenceInfo>,
    inferences: u64,
    decision_error: f64,
) -> Result<Vec<Signal>, AnalyzerError> {
    if !context.keeps_texts || !is_looked_at(frame, context.now()) {
        return Ok(Vec::new());
    }
    let sides = Sides {
        model: frame.model,
        environment: frame.environment,
        version: frame.version,
        segment: frame.segment,
        from: frame.window.start(),
        to: frame.window.end,
        inferences,
        reference,
        positive: None,
    };
    let encoder = context.references.settings(frame.model).encoder;
    let wanted = Wanted {
        rows: WANTED_TEXTS,
        looked_through: LOOKED_THROUGH,
        contents: Contents {
            embeddings: encoder.is_some(),
            texts: true,
        },
    };
    let now = with_text(sides.sample_of_window(&context.clickhouse, wanted).await?);
    if now.is_empty() {
        return Ok(Vec::new());
    }
    let words_alone = Wanted {
        contents: Contents {
            embeddings: false,
            texts: true,
        },
        ..wanted
    };
    let before = sides.sample(&context.clickhouse, words_alone).await?;
    let before = with_text(before.map(|[before, _]| before).unwrap_or_default());
    let version = frame.version.to_owned();
    let read = blocking::compute(move || Read::of(&before, &now, encoder.as_deref(), &version)).await?;
    Ok(read.signals(frame, decision_error))
}

fn with_text(rows: Vec<SampledInference>) -> Vec<SampledInference> {
    rows.into_iter().filter(|row| !row.input_text.trim().is_empty()).collect()
}

/// What was read of the texts of a window.
struct Read {
    n: usize,
    reference_n: usize,
    words: Words,
    /// `None` where the model names no encoder.
    embedded: Option<Result<Embedded, String>>,
}

/// Words of texts, and which of them are stale.
#[derive(Debug, Default, PartialEq)]
struct Words {
    all: u64,
    stale: u64,
    unknown: u64,
    /// The variance of the share of stale ones, texts being what is independent.
    variance: f64,
    /// The share that the words of one half of the reference have of words that the other half never had.
    of_reference: Option<f64>,
    new: Vec<(String, usize)>,
}

/// Stored embeddings beside those of now.
#[derive(Debug, PartialEq)]
struct Embedded {
    distances: Vec<f64>,
    neighbours_kept: Result<Vec<f64>, String>,
    /// What made the stored ones, and how many of them.
    encoders: BTreeMap<String, u64>,
    left_out: usize,
}

impl Read {
    fn of(before: &[SampledInference], now: &[SampledInference], address: Option<&str>, version: &str) -> Self {
        let encoder = address.map(|address| {
            let folder = address::folder(address, version).map_err(|error| error.to_string())?;
            TextEncoder::load(&folder, &device()).map_err(|error| error.to_string())
        });
        let known = encoder.as_ref().and_then(|encoder| encoder.as_ref().ok());
        Self {
            n: now.len(),
            reference_n: before.len(),
            words: Words::of(before, now, |word| known.is_some_and(|encoder| encoder.is_unknown(word))),
            embedded: encoder.map(|encoder| encoder.and_then(|encoder| Embedded::of(&encoder, now))),
        }
    }

    fn signals(self, frame: &Frame<'_>, decision_error: f64) -> Vec<Signal> {
        let mut signals = vec![self.stale_token_ratio(frame, decision_error)];
        match self.embedded {
            None => {}
            Some(Err(reason)) => {
                for name in [names::EMBEDDING_STALENESS, names::NEIGHBOURS_KEPT] {
                    signals.push(frame.insufficient(name, SUBJECT, self.n as u64, "insufficient", reason.clone()));
                }
            }
            Some(Ok(embedded)) => signals.extend(embedded.signals(frame, decision_error)),
        }
        signals
    }

    fn stale_token_ratio(&self, frame: &Frame<'_>, decision_error: f64) -> Signal {
        let words = &self.words;
        let insufficient = |reason: String| frame.insufficient(names::STALE_TOKEN_RATIO, "", words.all, "insufficient", reason);
        if self.n < MIN_N || self.reference_n < MIN_N {
            return insufficient(format!(
                "{} texts against {} of the reference: it takes {MIN_N} on either side",
                self.n, self.reference_n
            ));
        }
        if words.all == 0 {
            return insufficient("the texts have no words".to_owned());
        }
        let named: Vec<_> = words
            .new
            .iter()
            .map(|(word, texts)| json!({ "term": word, "texts": texts }))
            .collect();
        let details = json!({ "new_terms": named, "unknown": words.unknown, "of_reference": words.of_reference, "texts": self.n });
        // As if words were independent; then no narrower than texts are.
        let signal = ratio(frame, names::STALE_TOKEN_RATIO, "", words.stale, words.all, decision_error, details);
        let value = signal.value.unwrap_or(0.0);
        let wider = |bound: Option<f64>, z: f64| bound.map(|bound| (value + z * words.variance.sqrt()).clamp(0.0, 1.0).max(bound));
        let lower = |bound: Option<f64>, z: f64| bound.map(|bound| (value - z * words.variance.sqrt()).clamp(0.0, 1.0).min(bound));
        let decided = normal::from_upper_tail(decision_error);
        Signal {
            lower: lower(signal.lower, Z),
            upper: wider(signal.upper, Z),
            decision_lower: lower(signal.decision_lower, decided),
            decision_upper: wider(signal.decision_upper, decided),
            reference_n: self.reference_n as u64,
            ..signal
        }
    }
}

/// Words in lower case. What holds a digit is a number or an id, and new each time.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty() && !word.chars().any(|character| character.is_numeric()))
        .map(str::to_lowercase)
}

fn vocabulary<'a>(rows: impl Iterator<Item = &'a SampledInference>) -> BTreeSet<String> {
    rows.flat_map(|row| words(&row.input_text).collect::<Vec<_>>()).collect()
}

impl Words {
    fn of(before: &[SampledInference], now: &[SampledInference], is_unknown: impl Fn(&str) -> bool) -> Self {
        let known = vocabulary(before.iter());
        let mut found = Self::default();
        let mut unknown_words: BTreeMap<String, bool> = BTreeMap::new();
        let mut texts_of: BTreeMap<String, usize> = BTreeMap::new();
        let mut of_texts: Vec<(f64, f64)> = Vec::with_capacity(now.len());
        for row in now {
            let (mut all, mut stale) = (0_u64, 0_u64);
            let mut new_in_text = BTreeSet::new();
            for word in words(&row.input_text) {
                let is_new = !known.contains(&word);
                let is_unknown = *unknown_words.entry(word.clone()).or_insert_with(|| is_unknown(&word));
                all += 1;
                stale += u64::from(is_new || is_unknown);
                found.unknown += u64::from(is_unknown);
                if is_new {
                    new_in_text.insert(word);
                }
            }
            found.all += all;
            found.stale += stale;
            of_texts.push((stale as f64, all as f64));
            new_in_text.into_iter().for_each(|word| *texts_of.entry(word).or_default() += 1);
        }
        found.variance = variance_of_ratio(&of_texts);
        let mut new: Vec<(String, usize)> = texts_of.into_iter().filter(|(_, texts)| *texts >= MIN_TEXTS_OF_A_WORD).collect();
        new.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        new.truncate(MAX_NAMED);
        found.new = new
            .into_iter()
            .map(|(word, texts)| (word.chars().take(MAX_NAMED_CHARACTERS).collect(), texts))
            .collect();
        found.of_reference = within_reference(before);
        found
    }
}

/// The share of the words of every second text of the reference that the others never had: what is stale by chance, with half of its texts.
fn within_reference(before: &[SampledInference]) -> Option<f64> {
    let known = vocabulary(before.iter().step_by(2));
    let (mut all, mut new) = (0_u64, 0_u64);
    for word in before
        .iter()
        .skip(1)
        .step_by(2)
        .flat_map(|row| words(&row.input_text).collect::<Vec<_>>())
    {
        all += 1;
        new += u64::from(!known.contains(&word));
    }
    (all > 0).then(|| new as f64 / all as f64)
}

/// The variance of Σa / Σb over independent pairs (a, b), linearised (Cochran 1977, 6.4).
fn variance_of_ratio(pairs: &[(f64, f64)]) -> f64 {
    let (n, total) = (pairs.len() as f64, pairs.iter().map(|(_, b)| b).sum::<f64>());
    if n < 2.0 || total <= 0.0 {
        return 0.0;
    }
    let ratio = pairs.iter().map(|(a, _)| a).sum::<f64>() / total;
    let squares: f64 = pairs.iter().map(|(a, b)| (a - ratio * b).powi(2)).sum();
    squares / (total * total) * n / (n - 1.0)
}

impl Embedded {
    fn of(encoder: &TextEncoder, now: &[SampledInference]) -> Result<Self, String> {
        let stored: Vec<&SampledInference> = now.iter().filter(|row| !row.embedding.is_empty()).take(MAX_EMBEDDED).collect();
        if stored.len() < MIN_N {
            return Err(format!(
                "{} inferences with a text and an embedding: it takes {MIN_N}",
                stored.len()
            ));
        }
        let mut encoders: BTreeMap<String, u64> = BTreeMap::new();
        stored
            .iter()
            .for_each(|row| *encoders.entry(row.embedding_model.clone()).or_default() += 1);
        let texts: Vec<&str> = stored.iter().map(|row| row.input_text.as_str()).collect();
        let made = encoder.encode(&texts);
        let pairs: Vec<(&[f32], &[f32])> = stored
            .iter()
            .zip(&made)
            .filter_map(|(row, made)| Some((row.embedding.as_slice(), made.as_ref().ok()?.as_slice())))
            .filter(|(stored, made)| stored.len() == made.len() && cosine_distance(stored, made).is_some())
            .collect();
        if pairs.len() < MIN_N {
            let lengths: BTreeSet<usize> = stored.iter().map(|row| row.embedding.len()).collect();
            return Err(format!(
                "the encoder makes vectors of {} numbers, the stored ones have {lengths:?}: {} of {} can be compared, it takes {MIN_N}",
                encoder.dimensions(),
                pairs.len(),
                stored.len()
            ));
        }
        let (before, after): (Vec<&[f32]>, Vec<&[f32]>) = pairs.iter().copied().unzip();
        Ok(Self {
            distances: pairs.iter().filter_map(|(stored, made)| cosine_distance(stored, made)).collect(),
            neighbours_kept: neighbours::kept(&before, &after, NEIGHBOURS).map_err(|undefined| undefined.to_string()),
            encoders,
            left_out: stored.len() - pairs.len(),
        })
    }

    fn signals(self, frame: &Frame<'_>, decision_error: f64) -> Vec<Signal> {
        let n = self.distances.len() as u64;
        let mut ordered = self.distances.clone();
        ordered.sort_by(f64::total_cmp);
        let at = |share: f64| ordered[((ordered.len() - 1) as f64 * share) as usize];
        let details = json!({ "median": at(0.5), "p95": at(0.95), "encoders": self.encoders, "left_out": self.left_out });
        let staleness = frame.signal(
            names::EMBEDDING_STALENESS,
            SUBJECT,
            mean(&self.distances, [0.0, 2.0], decision_error),
            n,
            details,
        );
        let kept = match self.neighbours_kept {
            Ok(shares) => {
                let details = json!({ "neighbours": NEIGHBOURS });
                frame.signal(
                    names::NEIGHBOURS_KEPT,
                    SUBJECT,
                    mean(&shares, [0.0, 1.0], decision_error),
                    n,
                    details,
                )
            }
            Err(reason) => frame.insufficient(names::NEIGHBOURS_KEPT, SUBJECT, n, "insufficient", reason),
        };
        vec![staleness, kept]
    }
}

/// One minus the cosine; `None` where a vector has no direction.
fn cosine_distance(one: &[f32], other: &[f32]) -> Option<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let length = (dot(one, one) * dot(other, other)).sqrt();
    (length > 0.0 && length.is_finite()).then(|| 1.0 - dot(one, other) / length)
}

/// The mean with bounds by the normal law, which holds for the 50 values and more that there are, within what values can be.
fn mean(values: &[f64], [least, most]: [f64; 2], decision_error: f64) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let error = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n).sqrt();
    let bounds = |z: f64| Bounds {
        lower: (mean - z * error).clamp(least, most),
        upper: (mean + z * error).clamp(least, most),
    };
    Estimate {
        value: mean,
        shown: Some(bounds(Z)),
        decided: Some(bounds(normal::from_upper_tail(decision_error))),
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::records::SignalState;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    fn rows(texts: impl Iterator<Item = String>) -> Vec<SampledInference> {
        texts
            .map(|input_text| SampledInference {
                input_text,
                ..SampledInference::default()
            })
            .collect()
    }

    fn read(before: &[SampledInference], now: &[SampledInference]) -> Read {
        Read::of(before, now, None, "1")
    }

    #[test]
    fn words_that_the_reference_never_had_are_counted_and_named() {
        let before = rows((0..100).map(|i| format!("My card {i} is lost, again")));
        let usual = read(&before, &rows((0..100).map(|i| format!("my CARD is lost {i}"))));
        let signal = &usual.signals(&FRAME, 1e-4)[0];
        assert_eq!(
            (signal.value, signal.lower, signal.n, signal.reference_n),
            (Some(0.0), Some(0.0), 400, 100)
        );

        let moved = rows((0..100).map(|i| {
            if i % 4 == 0 {
                "my airdrop is lost".to_owned()
            } else {
                "my card is lost".to_owned()
            }
        }));
        let signal = read(&before, &moved).signals(&FRAME, 1e-4).pop().unwrap();
        assert_eq!(signal.value, Some(25.0 / 400.0));
        assert_eq!(signal.details["new_terms"], json!([{ "term": "airdrop", "texts": 25 }]));
        assert!(
            signal.decision_lower < signal.lower && signal.lower > Some(0.03) && signal.upper < Some(0.12),
            "{signal:?}"
        );
    }

    #[test]
    fn words_of_one_text_are_no_independent_ones() {
        let before = rows((0..100).map(|_| "usual words here".to_owned()));
        // The same share of new words, of one text in ten or of each text one word in ten.
        let together = rows((0..100).map(|i| if i % 10 == 0 { "x ".repeat(10) } else { "usual ".repeat(10) }));
        let apart = rows((0..100).map(|_| format!("x {}", "usual ".repeat(9))));
        let width = |now: &[SampledInference]| {
            let signal = read(&before, now).signals(&FRAME, 1e-4).pop().unwrap();
            assert_eq!(signal.value, Some(0.1));
            signal.upper.unwrap() - signal.lower.unwrap()
        };
        assert!(width(&together) > 2.0 * width(&apart));
    }

    #[test]
    fn too_few_texts_and_an_encoder_that_cannot_be_loaded_say_why() {
        let few = rows((0..10).map(|_| "word".to_owned()));
        let many = rows((0..60).map(|_| "word".to_owned()));
        let signal = &read(&few, &many).signals(&FRAME, 0.01)[0];
        assert_eq!((signal.state, signal.value), (SignalState::Insufficient, None));
        let signals = Read::of(&many, &many, Some("file:///nowhere/at/all"), "1").signals(&FRAME, 0.01);
        assert_eq!(signals.len(), 3);
        assert!(signals[1].details["reason"].as_str().unwrap().contains("no folder"), "{signals:?}");
    }

    #[test]
    fn means_have_bounds_within_what_values_can_be() {
        let estimate = mean(&[0.0, 0.1].repeat(30), [0.0, 2.0], 1e-6);
        let (shown, decided) = (estimate.shown.unwrap(), estimate.decided.unwrap());
        assert!((estimate.value - 0.05).abs() < 1e-12 && shown.lower > 0.03 && decided.lower < shown.lower && decided.lower >= 0.0);
        assert_eq!(cosine_distance(&[1.0, 0.0], &[0.0, 2.0]), Some(1.0));
        assert_eq!(cosine_distance(&[0.0, 0.0], &[0.0, 2.0]), None);
    }
}
