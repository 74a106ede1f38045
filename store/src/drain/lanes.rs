//! Where the drain reads: usually one lane at the head of the log. Behind a long backlog a second lane
//! takes the freshest frames, and the two take turns, so that the present is seen while the past is caught
//! up with.

use std::collections::VecDeque;
use std::ops::Range;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Bounds, Pace};
use crate::clock::UnixNanos;
use crate::wal::{Frame, Log, LogError, LogReader, Position, RangeSet};

/// Most lanes: with each that is opened the drain has fallen behind by another long backlog.
const MAX_LANES: usize = 8;

/// A stretch of the log that is read in order.
struct Lane {
    reader: LogReader,
    /// Frames that were read but are in no batch yet.
    waiting: VecDeque<Frame>,
    waiting_bytes: usize,
    /// Up to here frames are in batches.
    planned: Position,
    /// Where the stretch ends; `None`: it follows the head of the log.
    end: Option<Position>,
    reached_time: Option<UnixNanos>,
}

impl Lane {
    fn new(log: &Log, stretch: Range<Position>, follows_head: bool) -> Self {
        Self {
            reader: log.reader(stretch.start),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            planned: stretch.start,
            end: (!follows_head).then_some(stretch.end),
            reached_time: None,
        }
    }

    fn push(&mut self, frame: Frame) {
        self.waiting_bytes += frame.payload.len();
        self.waiting.push_back(frame);
    }

    /// Reads what is durable already, up to a batch; `true` when the batch is full.
    async fn fill(&mut self, bounds: &Bounds) -> Result<bool, LogError> {
        while bounds.admits(self.waiting.len(), self.waiting_bytes) {
            let next = self.reader.next_ready().await?;
            let Some(frame) = next.filter(|frame| self.end.is_none_or(|end| frame.position < end)) else {
                return Ok(false);
            };
            self.push(frame);
        }
        Ok(true)
    }

    fn take(&mut self) -> Vec<Frame> {
        self.waiting_bytes = 0;
        self.waiting.drain(..).collect()
    }
}

/// Frames for a batch: all that begin at or after `start`, in order.
pub(super) struct Collected {
    pub frames: Vec<Frame>,
    start: Position,
    lane: usize,
}

/// What there is to read next.
pub(super) enum Next {
    /// Frames for a batch.
    Frames(Collected),
    /// An old stretch has been read to its end; no frame begins in this last, perhaps empty, part of it.
    StretchRead(Range<Position>),
    /// The drain is to end, or the log has.
    Ended,
}

/// The lanes, oldest stretch first; the last follows the head.
pub(super) struct Lanes {
    log: Log,
    bounds: Bounds,
    pace: Pace,
    lanes: VecDeque<Lane>,
    fresh_turn: bool,
    last_collected: Option<Instant>,
}

impl Lanes {
    /// Lanes over everything in the log that is not in `done`.
    pub fn new(log: &Log, bounds: Bounds, pace: Pace, done: &RangeSet) -> Self {
        let head = log.head();
        let mut gaps = done.gaps(log.start()..head);
        let tail = gaps.pop_if(|gap| gap.end == head).unwrap_or(head..head);
        let mut lanes: VecDeque<Lane> = gaps.into_iter().map(|gap| Lane::new(log, gap, false)).collect();
        lanes.push_back(Lane::new(log, tail, true));
        Self {
            log: log.clone(),
            bounds,
            pace,
            lanes,
            fresh_turn: true,
            last_collected: None,
        }
    }

    /// Receive time of the frame that the oldest lane has reached, while there is an old one.
    pub fn backlog_reached(&self) -> Option<UnixNanos> {
        self.lanes
            .front()
            .filter(|_| !self.has_caught_up())
            .and_then(|lane| lane.reached_time)
    }

    /// Whether nothing but the freshest frames is left to read.
    fn has_caught_up(&self) -> bool {
        self.lanes.len() == 1
    }

    /// Waits for frames and collects them within the bounds of a batch.
    ///
    /// # Errors
    /// The log cannot be read; nothing is lost.
    pub async fn next(&mut self, cancel: &CancellationToken) -> Result<Next, LogError> {
        loop {
            self.open_fresh_lane();
            let lane = self.choose();
            let full = self.lanes[lane].fill(&self.bounds).await?;
            if self.has_caught_up() && !full {
                self.wait(cancel).await?;
            }
            if cancel.is_cancelled() {
                return Ok(Next::Ended);
            }
            if !self.lanes[lane].waiting.is_empty() {
                self.last_collected = Some(Instant::now());
                let start = self.lanes[lane].planned;
                return Ok(Next::Frames(Collected {
                    frames: self.lanes[lane].take(),
                    start,
                    lane,
                }));
            }
            if self.has_caught_up() {
                return Ok(Next::Ended);
            }
            if let Some(rest) = self.end_lane(lane) {
                return Ok(Next::StretchRead(rest));
            }
        }
    }

    /// Takes note of which of the collected frames went into a batch, and returns the batch's range.
    pub fn planned(&mut self, collected: &Collected, used: &[Frame], left: Vec<Frame>) -> Range<Position> {
        let lane = &mut self.lanes[collected.lane];
        lane.planned = used.last().map_or(collected.start, |frame| frame.end);
        lane.reached_time = used.last().map(|frame| frame.received_time);
        left.into_iter().for_each(|frame| lane.push(frame));
        collected.start..lane.planned
    }

    /// When the lane at the head is far behind, what it has before it becomes a stretch of its own.
    fn open_fresh_lane(&mut self) {
        let head = self.log.head();
        let room = self.lanes.len() < MAX_LANES;
        let last = self.lanes.back_mut().expect("the lane that follows the head stays");
        if room && self.log.bytes_from(last.planned) > self.bounds.fresh_first_bytes {
            last.end = Some(head);
            self.lanes.push_back(Lane::new(&self.log, head..head, true));
        }
    }

    /// The oldest and the freshest lane take turns.
    fn choose(&mut self) -> usize {
        self.fresh_turn = !self.fresh_turn;
        if self.fresh_turn { self.lanes.len() - 1 } else { 0 }
    }

    /// Waits, in the only lane, for the first frame and then a little for more.
    async fn wait(&mut self, cancel: &CancellationToken) -> Result<(), LogError> {
        let lane = &mut self.lanes[0];
        if lane.waiting.is_empty() {
            let Some(frame) = lane.reader.next(cancel).await? else {
                return Ok(());
            };
            lane.push(frame);
        }
        let soonest = Instant::now() + self.pace.linger;
        let deadline = self
            .last_collected
            .map_or(soonest, |last| soonest.max(last + self.pace.min_interval));
        while !lane.fill(&self.bounds).await? {
            tokio::select! {
                () = sleep_until(deadline) => return Ok(()),
                next = lane.reader.next(cancel) => match next? {
                    Some(frame) => lane.push(frame),
                    None => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Removes the lane of an old stretch and returns the part of it that is in no batch.
    fn end_lane(&mut self, lane: usize) -> Option<Range<Position>> {
        let end = self.lanes[lane].end?;
        let ended = self.lanes.remove(lane)?;
        Some(ended.planned..end)
    }
}
