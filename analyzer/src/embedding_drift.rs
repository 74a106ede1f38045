//! Drift of a model's embeddings between a window and its reference: what signals and the API are made from.
//!
//! Only embeddings of one kind, by one encoder and of one length, are compared: those of the window's usual kind, where the reference
//! has enough of them. Otherwise the encoder changed, which says nothing of the data.

use driftlead_store::embedding::PROJECTIONS;
use driftlead_store::records::{EmbeddingKind, Embeddings, pseudo};

use crate::drift::Compared;
use crate::reference::Reference;
use crate::seed::seed_of;
use crate::stats::shift::{DirectionsOptions, DirectionsShift, MIN_N_FOR_DECISIONS, directions_shift};

/// What signals and reports about embeddings are about.
pub const SUBJECT: &str = "embedding";

/// How far the embeddings of a window moved.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingDrift {
    /// The kind that was compared: the window's usual one.
    pub kind: EmbeddingKind,
    /// Embeddings of the window that were not: of other kinds, or without a direction.
    pub left_out: u64,
    /// The distance.
    pub shift: DirectionsShift,
}

/// Why embeddings cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCompared {
    /// For programs: `encoder_mismatch`, `shape_mismatch` or `insufficient`.
    pub code: &'static str,
    /// The same in words.
    pub reason: String,
}

impl NotCompared {
    fn insufficient(reason: impl Into<String>) -> Self {
        Self {
            code: "insufficient",
            reason: reason.into(),
        }
    }
}

/// Compares the embeddings of a window with the reference's; each decision may have this error. `None` where neither has any.
pub fn compare(
    compared: Compared<'_>,
    decision_error: f64,
    reference: &Reference,
    window: &Embeddings,
) -> Option<Result<EmbeddingDrift, NotCompared>> {
    let before = &reference.data.profile.embeddings;
    (before.n() + window.n() > 0).then(|| {
        let kind = comparable(before, window)?;
        let (of_before, of_now) = (&before.directions[kind], &window.directions[kind]);
        let options = DirectionsOptions {
            seed: seed_of(&[compared.model, compared.version, SUBJECT, &compared.window.end.to_string()]),
            decision_error,
            dispersions: dispersions(reference, compared.window.seconds),
        };
        let shift = directions_shift(of_before, of_now, &options).map_err(|why| NotCompared::insufficient(why.to_string()))?;
        Ok(EmbeddingDrift {
            kind: kind.clone(),
            left_out: window.n().saturating_sub(shift.n),
            shift,
        })
    })
}

/// The kind that both sides have; that of the reference only where it has enough of it.
fn comparable<'a>(before: &Embeddings, window: &'a Embeddings) -> Result<&'a EmbeddingKind, NotCompared> {
    let insufficient = |reason: &str| Err(NotCompared::insufficient(reason));
    let Some(kind) = window.usual_kind() else {
        return insufficient("the window has no embeddings");
    };
    let Some(usual) = before.usual_kind() else {
        return insufficient("the reference has no embeddings");
    };
    if !window.directions.contains_key(kind) {
        return insufficient("the embeddings of the window have no direction: they are zeros");
    }
    let has = before.directions.get(kind).map_or(0, driftlead_store::records::Directions::n);
    if has >= MIN_N_FOR_DECISIONS || (has > 0 && usual == kind) {
        return Ok(kind);
    }
    if usual == kind {
        return insufficient("the embeddings of the reference have no direction: they are zeros");
    }
    Err(mismatch(kind, usual))
}

fn mismatch(now: &EmbeddingKind, before: &EmbeddingKind) -> NotCompared {
    let named = |kind: &EmbeddingKind| match kind.encoder.as_str() {
        "" => "an encoder without a name".to_owned(),
        encoder => format!("{encoder:?}"),
    };
    if now.encoder == before.encoder {
        let reason = format!(
            "the vectors of the window have {} numbers, those of the reference {}: they cannot be compared",
            now.dimensions, before.dimensions
        );
        return NotCompared {
            code: "shape_mismatch",
            reason,
        };
    }
    let reason = format!(
        "the vectors of the window were made by {}, those of the reference by {}: what different encoders make cannot be compared, so \
         whether the data moved is not known until the reference has vectors of this encoder",
        named(now),
        named(before)
    );
    NotCompared {
        code: "encoder_mismatch",
        reason,
    }
}

/// The name under which a reference keeps how much a projection differs among its own windows.
pub(crate) fn projection_name(projection: usize) -> String {
    format!("{}{projection}", pseudo::EMBEDDING_PROJECTION)
}

fn dispersions(reference: &Reference, window_seconds: u32) -> [f64; PROJECTIONS] {
    std::array::from_fn(|projection| reference.dispersion(&projection_name(projection), window_seconds))
}

#[cfg(test)]
mod tests {
    use driftlead_store::embedding::buckets_of;

    use super::*;

    fn of(kinds: &[(u32, &str, u64)]) -> Embeddings {
        let mut embeddings = Embeddings::default();
        for &(dimensions, encoder, n) in kinds {
            let kind = EmbeddingKind {
                dimensions,
                encoder: encoder.to_owned(),
            };
            embeddings.kinds.insert(kind.clone(), n);
            // Of no dimensions: zeros, which have no direction.
            if let Some(buckets) = buckets_of(&vec![1.0; dimensions as usize]) {
                let directions = embeddings.directions.entry(kind).or_default();
                (0..n).for_each(|_| directions.add(buckets));
            }
        }
        embeddings
    }

    #[test]
    fn what_one_encoder_made_is_compared_and_nothing_else() {
        let check = |before: &[(u32, &str, u64)], now: &[(u32, &str, u64)], expected: Result<&str, (&str, &str)>| {
            let (before, now) = (of(before), of(now));
            let found = comparable(&before, &now);
            match (&found, expected) {
                (Ok(kind), Ok(expected)) => assert_eq!(kind.to_string(), expected),
                (Err(why), Err((code, part))) => assert!(why.code == code && why.reason.contains(part), "{why:?}"),
                _ => panic!("{found:?} {expected:?}"),
            }
        };
        check(&[(3, "a", 2_000)], &[(3, "a", 10), (3, "b", 9)], Ok("3:a"));
        // The reference knows the new encoder well enough, although it is not its usual one.
        check(&[(3, "a", 2_000), (3, "b", 1_000)], &[(3, "b", 10)], Ok("3:b"));
        check(
            &[(3, "a", 2_000), (3, "b", 999)],
            &[(3, "b", 10)],
            Err(("encoder_mismatch", "\"b\"")),
        );
        check(&[(3, "", 2_000)], &[(3, "b", 10)], Err(("encoder_mismatch", "without a name")));
        check(&[(3, "a", 2_000)], &[(4, "a", 10)], Err(("shape_mismatch", "4 numbers")));
        check(&[(3, "a", 2_000)], &[(4, "b", 10)], Err(("encoder_mismatch", "\"a\"")));
        check(&[(3, "a", 5)], &[(3, "a", 10)], Ok("3:a"));
        check(&[], &[(3, "a", 10)], Err(("insufficient", "the reference has no")));
        check(&[(3, "a", 10)], &[], Err(("insufficient", "the window has no")));
        check(&[(3, "a", 10)], &[(0, "a", 10)], Err(("insufficient", "zeros")));
        check(&[(0, "a", 10)], &[(0, "a", 10)], Err(("insufficient", "zeros")));
    }
}
