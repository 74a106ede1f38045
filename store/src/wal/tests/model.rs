//! The log against a list: append, repeat, commit, crash, open again, in any order.

use std::collections::HashSet;
use std::fs::OpenOptions;

use proptest::prelude::*;

use super::*;
use crate::wal::segment::segment_path;

const CONSUMERS: [&str; 2] = ["drain", "index"];

#[derive(Debug, Clone)]
enum Step {
    Append {
        hash: u128,
        length: usize,
        outcomes: bool,
    },
    /// A consumer commits the frames from the first share of the log to the second.
    Commit {
        consumer: usize,
        from: f64,
        to: f64,
    },
    /// The process dies and the disk has lost the end of the last segment.
    Crash {
        kept: f64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append =
        (0u128..40, 0usize..1500, prop::bool::weighted(0.1)).prop_map(|(hash, length, outcomes)| Step::Append { hash, length, outcomes });
    let commit = (0usize..2, 0.0..1.0, 0.0..1.1).prop_map(|(consumer, from, to)| Step::Commit {
        consumer,
        from: f64::max(from - 0.3, 0.0),
        to,
    });
    let crash = prop_oneof![3 => Just(1.0), 1 => 0.0..1.0].prop_map(|kept| Step::Crash { kept });
    prop::collection::vec(prop_oneof![12 => append, 4 => commit, 1 => crash], 1..60)
}

#[derive(Default)]
struct Model {
    /// What the log should hold, oldest first.
    frames: Vec<(Position, Position, Bytes)>,
    /// Starts of the frames that each consumer has committed.
    committed: [HashSet<Position>; 2],
    recognised: HashSet<u128>,
    /// The hashes of frames, for those that a crash takes away.
    hash_of: std::collections::HashMap<Position, u128>,
}

impl Model {
    /// Frames of sealed segments that both have committed are gone.
    fn forget_committed(&mut self, active: u64) {
        let needed: HashSet<u64> = self
            .frames
            .iter()
            .filter(|(start, ..)| !self.committed.iter().all(|c| c.contains(start)))
            .map(|(start, ..)| start.segment)
            .collect();
        self.frames
            .retain(|(start, ..)| start.segment >= active || needed.contains(&start.segment));
    }

    fn lose_after(&mut self, segment: u64, length: u64) {
        let lost = |end: &Position| end.segment == segment && end.offset > length;
        for (start, ..) in self.frames.iter().filter(|(_, end, _)| lost(end)) {
            if let Some(hash) = self.hash_of.remove(start) {
                self.recognised.remove(&hash);
            }
            self.committed.iter_mut().for_each(|committed| {
                committed.remove(start);
            });
        }
        self.frames.retain(|(_, end, _)| !lost(end));
    }
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let small = LogConfig {
        segment_bytes: 4 << 10,
        ..config(folder.path())
    };
    let mut log = Log::open(small.clone(), clock()).unwrap();
    let mut consumers = CONSUMERS.map(|name| log.register_consumer(name).unwrap());
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append { hash, length, outcomes } => {
                let payload = Bytes::from(vec![hash as u8; length]);
                let kind = if outcomes { FrameKind::Outcomes } else { FrameKind::Logs };
                match log
                    .append(NewFrame {
                        kind,
                        ..request(hash, payload.clone())
                    })
                    .await
                    .unwrap()
                {
                    Appended::Repeated => prop_assert!(!outcomes && model.recognised.contains(&hash)),
                    Appended::New(start) => {
                        prop_assert!(outcomes || model.recognised.insert(hash), "a repeat was stored");
                        let end = Position {
                            offset: start.offset + frame::frame_bytes(5, length),
                            ..start
                        };
                        model.frames.push((start, end, payload));
                        if !outcomes {
                            model.hash_of.insert(start, hash);
                        }
                    }
                }
            }
            Step::Commit { consumer, from, to } => {
                let at = |share: f64| ((share * model.frames.len() as f64) as usize).min(model.frames.len());
                if at(from) < at(to) {
                    let frames = &model.frames[at(from)..at(to)];
                    consumers[consumer].commit(frames[0].0..frames[frames.len() - 1].1).await.unwrap();
                    model.committed[consumer].extend(frames.iter().map(|(start, ..)| *start));
                }
            }
            Step::Crash { kept } => {
                drop(consumers);
                log.close().await;
                let head = log.head();
                let length = (kept * head.offset as f64).round() as u64;
                OpenOptions::new()
                    .write(true)
                    .open(segment_path(folder.path(), head.segment))
                    .unwrap()
                    .set_len(length)
                    .unwrap();
                model.lose_after(head.segment, length);
                log = Log::open(small.clone(), clock()).unwrap();
                consumers = CONSUMERS.map(|name| log.register_consumer(name).unwrap());
            }
        }
        model.forget_committed(log.head().segment);
        let read: Vec<_> = read_all(&log)
            .await
            .into_iter()
            .map(|frame| (frame.position, frame.end, frame.payload))
            .collect();
        prop_assert_eq!(&read, &model.frames);
        for (consumer, committed) in consumers.iter().zip(&model.committed) {
            let uncommitted = model.frames.iter().filter(|(start, ..)| !committed.contains(start));
            prop_assert_eq!(
                consumer.backlog_bytes(),
                uncommitted.map(|(start, end, _)| end.offset - start.offset).sum::<u64>()
            );
        }
    }
    prop_assert_eq!(log.status().bad_frames, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_a_list_that_survives(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps))?;
    }
}
