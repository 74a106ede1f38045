//! Makes a day's index again, beside the one that is there, and puts it in its place when it is whole.

use std::path::Path;

use tantivy::Executor;
use tantivy::indexer::UserOperation;
use tokio::sync::mpsc;

use super::day::Day;
use super::document::IndexedError;
use super::run::{blocking, learner};
use super::schema::sequence_of;
use super::shelf::{REBUILDING_SUFFIX, open_folder};
use super::writers::writer_options;
use super::{ErrorIndex, IndexError};
use crate::records::ErrorDocument;
use crate::state::State;
use crate::wal::Position;

/// The segment that errors count as lying in when they come from elsewhere: no log has so many.
const NO_SEGMENT: u64 = u64::MAX;

/// Most memory of the writer before it goes to disk. With more a word of it takes longer to find: 400 MB cost a quarter more
/// time in all, and with 128 MB a day has so many parts that they are merged.
const MEMORY_BYTES: usize = 200_000_000;
/// Bytes of errors that are handed to the writer before it has to be done with them: it takes any number, however long they are.
const MAX_WAITING_BYTES: usize = 2 * MEMORY_BYTES;

/// A part of a day's errors.
#[derive(Debug)]
pub enum Batch {
    /// Some of them.
    Errors(Vec<ErrorDocument>),
    /// Those before were all. Where this does not come the day stays as it is.
    End,
}

impl ErrorIndex {
    /// Makes the index of a day from all of its errors, in an order that is always the same, and says how many there are.
    /// What lies before `covers` in the log counts as taken. Nothing else may write the index meanwhile.
    ///
    /// # Errors
    /// The index that was there is still there.
    pub async fn rebuild(&self, day: Day, covers: Position, state: &State, mut errors: mpsc::Receiver<Batch>) -> Result<u64, IndexError> {
        let mut learner = learner(state).await?;
        let shelf = self.shelf.clone();
        blocking(move || {
            let folder = shelf.folder().join(format!("{day}{REBUILDING_SUFFIX}"));
            remove(&folder)?;
            let index = open_folder(&folder, &Executor::SingleThread)?;
            let mut writer = index.index.writer_with_options(writer_options(MEMORY_BYTES))?;
            let (mut count, mut waiting_bytes) = (0, 0);
            loop {
                let batch = match errors.blocking_recv() {
                    Some(Batch::Errors(batch)) => batch,
                    Some(Batch::End) => break,
                    None => return Err(std::io::Error::other("the errors of the day did not all come").into()),
                };
                let mut documents = Vec::with_capacity(batch.len());
                for mut error in batch {
                    learner.take(&mut error);
                    let place = Position {
                        segment: NO_SEGMENT,
                        offset: count,
                    };
                    waiting_bytes += error.text_bytes();
                    documents.push(UserOperation::Add(IndexedError::new(&shelf.fields, sequence_of(place, 0), error)?));
                    count += 1;
                }
                writer.run(documents)?;
                if waiting_bytes > MAX_WAITING_BYTES {
                    writer.commit()?;
                    waiting_bytes = 0;
                }
            }
            learner.keep()?;
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&serde_json::to_string(&covers)?);
            commit.commit()?;
            writer.wait_merging_threads()?;
            drop(index);
            shelf.replace(day, &folder)?;
            Ok(count)
        })
        .await
    }
}

fn remove(folder: &Path) -> Result<(), IndexError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
