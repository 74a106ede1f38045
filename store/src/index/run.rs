//! The consumer: reads the log, decodes it, writes the errors. A failure starts over from the last commit,
//! which is the path that a crash takes too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::writers::{Fed, Writers};
use super::{ErrorIndex, IndexError};
use crate::clock::Clock;
use crate::drain::Decode;
use crate::patterns::{Keep, Learner, MinerLimits, PatternNews};
use crate::records::FoundErrors;
use crate::state::{State, StateError};
use crate::wal::{Consumer, Frame, Log, LogReader, Position};

/// The consumer's name in the log.
pub const CONSUMER: &str = "error_index";

/// Commits come no closer than this, so that an error waits at most so long for one and is found within a second.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(500);
/// What is told at the same time as a first error is waited for this long, to be committed with it.
const GATHER_INTERVAL: Duration = Duration::from_millis(50);
/// How often the place in the log is kept: what lies between is read again after a crash, and skipped.
const POSITION_INTERVAL: Duration = Duration::from_secs(5);
/// How often days past the retention are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(600);
/// Decoded frames that wait for the writer: one being written, one waiting and one being decoded keep all busy.
const QUEUE_FRAMES: usize = 2;
/// Frames larger than this are decoded off the async threads.
const LARGE_PAYLOAD_BYTES: usize = 64 * 1024;
/// Pause after a first failure; doubled for each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Reason under which errors are counted whose pattern is not remembered for their version.
const UNSIGHTED: &str = "pattern_sightings_full";

/// Feeds the index from the log until `token` fires; then commits what was read. Failures are tried again for
/// ever, with pauses.
///
/// # Errors
/// The consumer cannot be registered, or the last commit failed; nothing is lost then either.
pub async fn run(
    index: ErrorIndex,
    log: Log,
    state: State,
    decode: Arc<dyn Decode>,
    clock: Clock,
    token: CancellationToken,
) -> Result<(), IndexError> {
    let consumer = log.register_consumer(CONSUMER)?;
    let mut pause = FIRST_PAUSE;
    loop {
        let commits_before = index.status.borrow().commits;
        let outcome = attempt(&index, &log, &state, &decode, &clock, &consumer, &token).await;
        let Err(error) = outcome else { return Ok(()) };
        if token.is_cancelled() {
            return Err(error);
        }
        tracing::error!(%error, pause_ms = pause.as_millis() as u64, "the error index failed; trying again from its last commit");
        index.status.send_modify(|status| {
            status.failures += 1;
            status.failing = Some(error.to_string());
        });
        if index.status.borrow().commits > commits_before {
            pause = FIRST_PAUSE;
        }
        let _cancelled_meanwhile = token.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(
    index: &ErrorIndex,
    log: &Log,
    state: &State,
    decode: &Arc<dyn Decode>,
    clock: &Clock,
    consumer: &Consumer,
    token: &CancellationToken,
) -> Result<(), IndexError> {
    let (shelf, head, followers) = (index.shelf.clone(), log.head(), index.followers.clone());
    let learner = learner(state).await?;
    let writers = blocking(move || Writers::open(shelf, head, learner, followers)).await?;
    let reader = log.reader(writers.position());
    let (sender, receiver) = mpsc::channel(QUEUE_FRAMES);
    let writing = Writing {
        writers,
        receiver,
        index: index.clone(),
        clock: clock.clone(),
        consumer: consumer.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let writing = tokio::spawn(blocking(move || writing.run()));
    let read = read(reader, decode, sender, token).await;
    let written = writing.await.map_err(std::io::Error::other)?;
    written.and(read)
}

/// What is known of patterns, to be used off the async threads.
pub(super) async fn learner(state: &State) -> Result<Learner, IndexError> {
    let limits = MinerLimits::default();
    let known = state.known_patterns(limits.max_patterns).await?;
    let store = KeepInState {
        state: state.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    Ok(Learner::new(known, limits, Box::new(store)))
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, IndexError> + Send + 'static) -> Result<T, IndexError> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// A frame's errors on their way to the writer.
struct Decoded {
    fed: Fed,
    cut: Vec<(&'static str, u64)>,
    received_time: crate::clock::UnixNanos,
}

/// Reads and decodes until the token fires or the writer has ended.
async fn read(
    mut reader: LogReader,
    decode: &Arc<dyn Decode>,
    sender: mpsc::Sender<Decoded>,
    token: &CancellationToken,
) -> Result<(), IndexError> {
    while let Some(frame) = reader.next(token).await? {
        let (frame_position, end, received_time) = (frame.position, frame.end, frame.received_time);
        let found = errors_of(decode, frame).await?;
        let decoded = Decoded {
            fed: Fed {
                frame: frame_position,
                end,
                errors: found.documents,
            },
            cut: found.cut,
            received_time,
        };
        if sender.send(decoded).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn errors_of(decode: &Arc<dyn Decode>, frame: Frame) -> Result<FoundErrors, IndexError> {
    if frame.payload.len() < LARGE_PAYLOAD_BYTES {
        return Ok(decode.errors(&frame));
    }
    let decode = decode.clone();
    blocking(move || Ok(decode.errors(&frame))).await
}

/// Keeps patterns in the state, from the writer's thread.
struct KeepInState {
    state: State,
    runtime: tokio::runtime::Handle,
}

impl Keep for KeepInState {
    fn keep(&mut self, news: &PatternNews) -> Result<(), StateError> {
        self.runtime.block_on(self.state.keep_patterns(news))
    }
}

/// The writer's thread.
struct Writing {
    writers: Writers,
    receiver: mpsc::Receiver<Decoded>,
    index: ErrorIndex,
    clock: Clock,
    consumer: Consumer,
    runtime: tokio::runtime::Handle,
}

/// When the writer has to do something by itself.
struct Deadlines {
    committed: Option<Instant>,
    commit: Option<Instant>,
    position: Option<Instant>,
    expiry: Instant,
}

impl Deadlines {
    /// When what is written now is committed: soon after a while without commits, else in its turn.
    fn next_commit(&self) -> Instant {
        let soon = Instant::now() + GATHER_INTERVAL;
        self.committed.map_or(soon, |last| soon.max(last + COMMIT_INTERVAL))
    }

    fn next(&self) -> Instant {
        [self.commit, self.position].into_iter().flatten().fold(self.expiry, Instant::min)
    }
}

fn is_due(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

impl Writing {
    fn run(mut self) -> Result<(), IndexError> {
        let mut deadlines = Deadlines {
            committed: None,
            commit: None,
            position: None,
            expiry: Instant::now() + EXPIRY_INTERVAL,
        };
        loop {
            if is_due(deadlines.commit) {
                self.commit()?;
                deadlines.committed = Some(Instant::now());
                deadlines.commit = None;
            }
            if is_due(deadlines.position) {
                self.keep_position()?;
                deadlines.commit = None;
                deadlines.position = None;
            }
            if is_due(Some(deadlines.expiry)) {
                self.writers.delete_expired(self.clock.now())?;
                self.index.points.close_overdue(self.clock.now());
                deadlines.expiry = Instant::now() + EXPIRY_INTERVAL;
            }
            let next = self.receiver.recv();
            match self
                .runtime
                .block_on(async { tokio::time::timeout_at(deadlines.next(), next).await })
            {
                Ok(Some(decoded)) => self.feed(decoded, &mut deadlines)?,
                Ok(None) => return self.keep_position(),
                Err(_deadline) => {}
            }
        }
    }

    fn feed(&mut self, decoded: Decoded, deadlines: &mut Deadlines) -> Result<(), IndexError> {
        self.writers.feed(decoded.fed, self.clock.now())?;
        let mut cut = decoded.cut;
        cut.extend(Some((UNSIGHTED, self.writers.take_unsighted())).filter(|(_, count)| *count > 0));
        if !cut.is_empty() {
            self.index.status.send_modify(|status| {
                for (reason, count) in cut {
                    *status.cut.entry(reason).or_default() += count;
                }
            });
        }
        deadlines.position.get_or_insert_with(|| Instant::now() + POSITION_INTERVAL);
        if self.writers.is_dirty() && deadlines.commit.is_none() {
            deadlines.commit = Some(deadlines.next_commit());
            self.index
                .status
                .send_modify(|status| status.oldest_waiting = Some(decoded.received_time));
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<Position, IndexError> {
        let is_dirty = self.writers.is_dirty();
        let position = self.writers.commit(self.clock.now())?;
        let (documents, bytes) = (self.index.shelf.documents(), self.index.shelf.bytes()?);
        self.index.status.send_modify(|status| {
            status.documents = documents;
            status.bytes = bytes;
            status.oldest_waiting = None;
            status.failing = None;
            status.commits += u64::from(is_dirty);
        });
        Ok(position)
    }

    fn keep_position(&mut self) -> Result<(), IndexError> {
        if !self.writers.is_ahead() {
            return Ok(());
        }
        let position = self.commit()?;
        self.writers.keep_position()?;
        self.runtime.block_on(self.consumer.commit_up_to(position))?;
        Ok(())
    }
}
