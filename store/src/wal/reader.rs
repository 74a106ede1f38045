//! Reading the log: frame by frame from a position, only what is durable, waiting for what comes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::segment::{SEGMENT_HEADER_BYTES, SegmentReader, Step, segment_path};
use super::shared::{Segment, Shared};
use super::{Frame, LogError, Position};

/// Streams frames. Dropping a pending [`LogReader::next`] loses nothing.
pub struct LogReader {
    shared: Arc<Shared>,
    head: watch::Receiver<Position>,
    at: Position,
    segment: Option<SegmentReader>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        let head = shared.head.clone();
        Self {
            shared,
            head,
            at: from,
            segment: None,
        }
    }

    /// Where reading goes on: the end of the last frame, or of what was skipped.
    pub fn position(&self) -> Position {
        self.at
    }

    /// The next frame; waits for one. `None` when `cancel` fires, or when the log is closed and everything
    /// is read. Bad bytes are skipped and counted in the log's status.
    ///
    /// # Errors
    /// The file system refused; the next call tries again.
    pub async fn next(&mut self, cancel: &CancellationToken) -> Result<Option<Frame>, LogError> {
        loop {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            self.head.borrow_and_update();
            if let Some(frame) = self.next_ready().await? {
                return Ok(Some(frame));
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                changed = self.head.changed() => if changed.is_err() {
                    return self.next_ready().await;
                }
            }
        }
    }

    /// The next frame if it is durable already.
    ///
    /// # Errors
    /// As [`LogReader::next`].
    pub async fn next_ready(&mut self) -> Result<Option<Frame>, LogError> {
        while let Some((number, segment)) = self.place() {
            let offset = self.at.offset;
            let Some(reader) = self.open(number).await? else { continue };
            match reader.step(offset, segment.bytes) {
                Step::Frame(frame, _) => {
                    self.at = frame.end;
                    return Ok(Some(*frame));
                }
                Step::Bad { from, to } => {
                    self.shared.report_bad(
                        Position {
                            segment: number,
                            offset: from,
                        },
                        to - from,
                    );
                    self.at.offset = to;
                }
                Step::End => {}
                Step::Missing { from, len } => {
                    let reader = reader.clone();
                    self.segment = Some(fill(reader, from, len, segment.bytes, &self.shared).await?);
                }
            }
        }
        Ok(None)
    }

    /// Moves to the segment that holds what comes next; `None` when nothing has come yet.
    fn place(&mut self) -> Option<(u64, Segment)> {
        loop {
            let (number, segment) = self.shared.segment_at_or_after(self.at.segment)?;
            if number != self.at.segment {
                self.at = Position {
                    segment: number,
                    offset: SEGMENT_HEADER_BYTES,
                };
            }
            self.at.offset = self.at.offset.max(SEGMENT_HEADER_BYTES);
            if self.at.offset < segment.bytes {
                return Some((number, segment));
            }
            if !segment.sealed {
                return None;
            }
            let (next, _) = self.shared.segment_at_or_after(number + 1)?;
            self.at = Position {
                segment: next,
                offset: SEGMENT_HEADER_BYTES,
            };
        }
    }

    /// The reader of this segment; `None` when it has been deleted meanwhile.
    async fn open(&mut self, number: u64) -> Result<Option<&mut SegmentReader>, LogError> {
        if self.segment.as_ref().is_none_or(|segment| segment.number() != number) {
            let path = segment_path(&self.shared.directory, number);
            let opening = tokio::task::spawn_blocking(move || SegmentReader::open(&path, number));
            match opening.await.expect("opening does not panic and is not aborted") {
                Ok(reader) => self.segment = Some(reader),
                Err(error) if self.shared.segment_at_or_after(number).is_some_and(|(found, _)| found == number) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
        Ok(self.segment.as_mut())
    }
}

async fn fill(mut reader: SegmentReader, from: u64, len: u64, end: u64, shared: &Shared) -> Result<SegmentReader, LogError> {
    let path = segment_path(&shared.directory, reader.number());
    let reading = tokio::task::spawn_blocking(move || {
        reader.fill(from, len, end).map_err(LogError::io("read", &path))?;
        Ok(reader)
    });
    reading.await.expect("reading does not panic and is not aborted")
}
