//! The consumer's place in the log: a file of its own, replaced whole.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::IndexError;
use crate::wal::Position;

const FILE: &str = "position";
const NEW_FILE: &str = "position.new";

/// Reads the place; the log's beginning where none was kept or it cannot be read, which costs a replay and
/// nothing else.
pub(super) fn read(folder: &Path) -> Result<Position, IndexError> {
    let text = match std::fs::read(folder.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Position::default()),
        Err(error) => return Err(error.into()),
    };
    Ok(serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, "the error index's place in the log cannot be read; it reads the log from its beginning");
        Position::default()
    }))
}

/// Keeps the place, durably.
pub(super) fn write(folder: &Path, position: Position) -> Result<(), IndexError> {
    let new = folder.join(NEW_FILE);
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&position)?)?;
    file.sync_all()?;
    std::fs::rename(new, folder.join(FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(())
}
