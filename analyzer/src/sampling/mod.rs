//! Inferences of a window and of its reference, by chance: for what can only be seen in inferences one by one.

pub(crate) mod columns;

use std::collections::BTreeMap;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::positive::Positive;
use driftlead_store::clickhouse::query::samples::{Contents, MAX_LOOKED_THROUGH, Rhythm, SampleOf, SampledInference, sample_inferences};
use driftlead_store::clock::UnixNanos;

use crate::error::AnalyzerError;
use crate::reference::ReferenceInfo;
use crate::seed::seed_of;

/// The sampled rows of reference and window, or why there are none.
pub(crate) type Rows = Result<[Vec<SampledInference>; 2], String>;

/// A window and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub model: &'a str,
    pub environment: &'a str,
    pub version: &'a str,
    /// Empty for all traffic together.
    pub segment: &'a str,
    pub from: UnixNanos,
    pub to: UnixNanos,
    /// Inferences of the window, as its profile says.
    pub inferences: u64,
    pub reference: Option<&'a ReferenceInfo>,
    pub positive: Option<Positive<'a>>,
}

/// How much is sampled of each side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub rows: u64,
    /// Rows of the table that are looked through for them at most.
    pub looked_through: u64,
    /// What is read beside their features.
    pub contents: Contents,
}

impl Wanted {
    /// So many rows without their embeddings, from all that one sample may look through.
    pub fn rows(rows: u64) -> Self {
        Self {
            rows,
            looked_through: MAX_LOOKED_THROUGH,
            contents: Contents::default(),
        }
    }
}

impl Sides<'_> {
    fn of_window(&self, wanted: Wanted) -> SampleOf<'_> {
        SampleOf {
            model: self.model,
            environment: self.environment,
            version: Some(self.version),
            segment: Some(self.segment).filter(|segment| !segment.is_empty()),
            from: self.from,
            until: self.to,
            like: None,
            inferences: self.inferences,
            looked_through: wanted.looked_through,
            positive: self.positive,
        }
    }

    fn seed(&self) -> u64 {
        seed_of(&[self.model, "sample", &self.to.to_string()])
    }

    /// A sample of the window alone.
    pub async fn sample_of_window(&self, clickhouse: &ClickHouse, wanted: Wanted) -> Result<Vec<SampledInference>, AnalyzerError> {
        Ok(sample_inferences(clickhouse, self.of_window(wanted), wanted.rows, self.seed(), wanted.contents).await?)
    }

    /// A sample of both sides, the same one for the same window. None where the reference is no telemetry, or is no longer kept.
    pub async fn sample(&self, clickhouse: &ClickHouse, wanted: Wanted) -> Result<Rows, AnalyzerError> {
        let Some(reference) = self.reference else {
            return Ok(Err("there is no reference".to_owned()));
        };
        let (Some(from), Some(until)) = (reference.from, reference.to) else {
            return Ok(Err(format!(
                "the reference {:?} is no telemetry: its rows are not kept, only their profile",
                reference.name
            )));
        };
        let window_seconds = u32::try_from(self.to.seconds() - self.from.seconds()).unwrap_or(u32::MAX);
        let of_reference = SampleOf {
            version: reference.version.as_deref(),
            from,
            until,
            like: reference.matching.map(|matching| Rhythm {
                start: self.from,
                seconds: window_seconds,
                period_seconds: matching.period_seconds(),
            }),
            inferences: reference.rows,
            ..self.of_window(wanted)
        };
        let before = sample_inferences(clickhouse, of_reference, wanted.rows, self.seed(), wanted.contents).await?;
        let now = self.sample_of_window(clickhouse, wanted).await?;
        Ok(if before.is_empty() {
            Err("the inferences of the reference are no longer kept".to_owned())
        } else {
            Ok([before, now])
        })
    }
}

/// The most frequent length and encoder of the embeddings of some inferences.
pub(crate) fn usual_kind(rows: &[SampledInference]) -> Option<(usize, &str)> {
    let mut kinds: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.embedding.is_empty()) {
        *kinds.entry((row.embedding.len(), &row.embedding_model)).or_default() += 1;
    }
    kinds.into_iter().max_by_key(|(_, count)| *count).map(|(kind, _)| kind)
}
