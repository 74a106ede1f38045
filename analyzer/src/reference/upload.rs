//! References that somebody names: uploaded rows, and stretches of telemetry.

use driftlead_store::clickhouse::query::references::{ReferenceProfile, write_reference};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::MAX_NAME_BYTES;
use driftlead_store::state::references::{ReferenceKind, ReferenceSet, ReferenceState};

use super::References;
use crate::blocking;
use crate::error::AnalyzerError;
use crate::profile;

/// How uploaded rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsFormat {
    /// With a header.
    Csv,
    /// One JSON object per line.
    JsonLines,
}

impl References {
    /// Profiles uploaded rows and keeps the profile, not the rows. A name that is known is replaced.
    ///
    /// # Errors
    /// The name or a row is not one, or telemetry or state cannot be written.
    pub async fn put_rows(
        &self,
        model: &str,
        name: &str,
        format: RowsFormat,
        bytes: &[u8],
        now: UnixNanos,
    ) -> Result<ReferenceSet, AnalyzerError> {
        check_name(name)?;
        let bytes = bytes.to_vec();
        let profile = blocking::compute(move || match format {
            RowsFormat::Csv => profile::of_csv(&bytes),
            RowsFormat::JsonLines => profile::of_json_lines(&bytes),
        })
        .await??;
        let known = self.state.reference(model, name).await?;
        let generation = now.0.unsigned_abs().max(known.map_or(0, |known| known.generation + 1));
        let rows = profile.inferences;
        let data = ReferenceProfile {
            profile,
            ..ReferenceProfile::default()
        };
        write_reference(&self.clickhouse, model, name, generation, &data).await?;
        let set = ReferenceSet {
            model: model.to_owned(),
            name: name.to_owned(),
            kind: ReferenceKind::Uploaded,
            from: None,
            to: None,
            version: None,
            rows,
            state: ReferenceState::Profiled,
            reason: None,
            generation,
            created_at: now,
            profiled_at: Some(now),
        };
        self.state.put_reference(&set).await?;
        Ok(set)
    }

    /// Names a stretch of telemetry. It is profiled when it has ended and all of it has arrived.
    ///
    /// # Errors
    /// The name or the stretch is not one, or the state cannot be written.
    pub async fn put_stretch(
        &self,
        model: &str,
        name: &str,
        from: UnixNanos,
        to: UnixNanos,
        now: UnixNanos,
    ) -> Result<ReferenceSet, AnalyzerError> {
        check_name(name)?;
        let (from, to) = (from.floor_to(60), to.floor_to(60));
        if from >= to {
            return Err(AnalyzerError::Reference(format!(
                "a reference from {from} to {to} holds no minute: `from` has to lie before `to`"
            )));
        }
        let set = ReferenceSet {
            model: model.to_owned(),
            name: name.to_owned(),
            kind: ReferenceKind::Pinned,
            from: Some(from),
            to: Some(to),
            version: None,
            rows: 0,
            state: ReferenceState::Waiting,
            reason: Some("it is profiled when it has ended and its telemetry is complete".to_owned()),
            generation: 0,
            created_at: now,
            profiled_at: None,
        };
        self.state.put_reference(&set).await?;
        Ok(set)
    }
}

fn check_name(name: &str) -> Result<(), AnalyzerError> {
    let is_reserved = name.starts_with('@') || name == ReferenceKind::Trailing.as_str() || name == ReferenceKind::PreviousVersion.as_str();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) || is_reserved {
        return Err(AnalyzerError::Reference(format!(
            "{name:?} cannot be the name of a reference: use 1 to {MAX_NAME_BYTES} bytes that do not begin with @, \
             and neither \"trailing\" nor \"previous_version\""
        )));
    }
    Ok(())
}
