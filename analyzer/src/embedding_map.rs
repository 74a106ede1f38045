//! A map of the embeddings of a window and of its reference: a sample of both along the two directions in which they differ most.

use driftlead_store::clickhouse::query::samples::{Contents, SampledInference};
use driftlead_store::clock::UnixNanos;
use serde::Serialize;

use crate::blocking;
use crate::error::AnalyzerError;
use crate::reference::{ReferenceInfo, References};
use crate::report::{DriftReport, DriftRequest, drift_between};
use crate::sampling::{Rows, Sides, Wanted, usual_kind};
use crate::stats::principal_components::first_two;

/// Points of a side.
const WANTED_ROWS: u64 = 1_000;
/// Rows of the table that are looked through for a side.
const LOOKED_THROUGH: u64 = 5_000_000;

/// Where embeddings lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddingMap {
    /// The model.
    pub model: String,
    /// Where it runs.
    pub environment: String,
    /// The version.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// Start of the window.
    pub from: UnixNanos,
    /// Exclusive end of the window.
    pub to: UnixNanos,
    /// What it is compared with.
    pub reference: Option<ReferenceInfo>,
    /// Why there is no map, or no reference on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What made the embeddings; empty where senders do not say.
    pub encoder: String,
    /// How many numbers each has.
    pub dimensions: usize,
    /// The share of all variance along either axis.
    pub explained_variance: [f64; 2],
    /// Points of the reference.
    pub reference_n: usize,
    /// Points of the window.
    pub n: usize,
    /// All points.
    pub points: Vec<MapPoint>,
}

/// Which side a point belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The reference.
    Reference,
    /// The window.
    Window,
}

/// One inference on the map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapPoint {
    /// Which side it belongs to.
    pub side: Side,
    /// Along the first direction.
    pub x: f64,
    /// Along the second.
    pub y: f64,
    /// Its id.
    pub request_id: String,
    /// When it happened.
    pub event_time: UnixNanos,
    /// The predicted class.
    pub label: Option<String>,
    /// The segment, or empty.
    pub segment: String,
}

/// Draws the map of a window of a model.
///
/// # Errors
/// Telemetry or state cannot be read, or `from` does not lie before `to`.
pub async fn embedding_map(references: &References, request: &DriftRequest, now: UnixNanos) -> Result<EmbeddingMap, AnalyzerError> {
    let report = drift_between(references, request, now).await?;
    let sides = Sides {
        model: &report.model,
        environment: &report.environment,
        version: &report.version,
        segment: &report.segment,
        from: report.from,
        to: report.to,
        inferences: report.n,
        reference: report.reference.as_ref(),
        positive: None,
    };
    let wanted = Wanted {
        rows: WANTED_ROWS,
        looked_through: LOOKED_THROUGH,
        contents: Contents {
            embeddings: true,
            texts: false,
        },
    };
    let rows = sides.sample(references.clickhouse(), wanted).await?;
    blocking::compute(move || drawn(report, rows)).await
}

fn drawn(report: DriftReport, rows: Rows) -> EmbeddingMap {
    let mut map = EmbeddingMap {
        model: report.model,
        environment: report.environment,
        version: report.version,
        segment: report.segment,
        from: report.from,
        to: report.to,
        reference: report.reference,
        unknown: report.unknown,
        reason: report.reason,
        encoder: String::new(),
        dimensions: 0,
        explained_variance: [0.0; 2],
        reference_n: 0,
        n: 0,
        points: Vec::new(),
    };
    let mut fail = |code: &'static str, reason: String| {
        map.unknown.get_or_insert(code);
        map.reason.get_or_insert(reason);
    };
    let [before, now] = match rows {
        Ok(rows) => rows,
        Err(reason) => {
            fail("no_reference", reason);
            return map;
        }
    };
    let Some((dimensions, encoder)) = usual_kind(&now) else {
        fail("no_embeddings", "the inferences of the window have no embeddings".to_owned());
        return map;
    };
    let encoder = encoder.to_owned();
    let is_of_kind = |row: &SampledInference| row.embedding.len() == dimensions && row.embedding_model == encoder;
    let of_side = |side: Side, rows: Vec<SampledInference>| rows.into_iter().filter(is_of_kind).map(move |row| (side, row));
    let placed: Vec<(Side, SampledInference)> = of_side(Side::Reference, before).chain(of_side(Side::Window, now)).collect();
    let vectors: Vec<&[f32]> = placed.iter().map(|(_, row)| row.embedding.as_slice()).collect();
    let seen = match first_two(&vectors) {
        Ok(seen) => seen,
        Err(undefined) => {
            fail("insufficient", undefined.to_string());
            return map;
        }
    };
    map.explained_variance = seen.explained_variance;
    map.points = placed
        .into_iter()
        .zip(seen.points)
        .map(|((side, row), [x, y])| MapPoint {
            side,
            x,
            y,
            request_id: row.request_id,
            event_time: UnixNanos(row.event_time),
            label: row.prediction_label,
            segment: row.segment,
        })
        .collect();
    map.reference_n = map.points.iter().filter(|point| point.side == Side::Reference).count();
    map.n = map.points.len() - map.reference_n;
    if map.reference_n == 0 {
        map.unknown.get_or_insert("encoder_mismatch");
        map.reason
            .get_or_insert_with(|| "the reference has no embeddings of this encoder and length".to_owned());
    }
    (map.encoder, map.dimensions) = (encoder, dimensions);
    map
}
