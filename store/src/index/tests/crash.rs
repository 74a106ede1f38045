//! Nothing is lost and nothing doubled, wherever the process dies.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::index::day::Day;

/// Errors of three days per frame, more than one per day.
fn frames() -> Vec<Vec<ErrorDocument>> {
    (0..4)
        .map(|number| {
            (0..6)
                .map(|n| error(&format!("2026-10-{}T10:00:00Z", 17 + n % 3), &format!("frame {number} error {n}")))
                .collect()
        })
        .collect()
}

fn feed(writers: &mut Writers, frames: &[Vec<ErrorDocument>], range: std::ops::Range<usize>) {
    for number in range {
        writers.feed(frame(number as u64, frames[number].clone()), now()).unwrap();
    }
}

/// Opens the folder after a crash, reads the rest of the log, and looks whether every error is there once.
async fn recover_and_check(folder: &Path, frames: &[Vec<ErrorDocument>], what: &str) {
    let index = open(folder);
    let mut writers = writers(&index);
    let next = writers.position().offset.div_ceil(100) as usize;
    feed(&mut writers, frames, next..frames.len());
    writers.commit(now()).unwrap();
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for message in messages(&index, "").await {
        *found.entry(message).or_default() += 1;
    }
    let expected: BTreeMap<String, u32> = frames.iter().flatten().map(|error| (error.message.clone(), 1)).collect();
    assert_eq!(found, expected, "{what}");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_at_any_point_of_a_commit() {
    let frames = frames();
    for days_committed in 0..=3 {
        for keep_position in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let index = open(folder.path());
            let mut writers = writers(&index);
            feed(&mut writers, &frames, 0..2);
            writers.commit(now()).unwrap();
            writers.keep_position().unwrap();
            feed(&mut writers, &frames, 2..3);
            for day in 0..days_committed {
                let day = Day::of(at(&format!("2026-10-{}", 17 + day)));
                writers.commit_day(day).unwrap();
            }
            if keep_position && days_committed == 3 {
                writers.keep_position().unwrap();
            }
            // A crash: what was not committed is gone.
            drop((writers, index));
            recover_and_check(folder.path(), &frames, &format!("{days_committed} days, position {keep_position}")).await;
        }
    }
}

#[tokio::test]
async fn a_lost_position_file_costs_a_replay_and_nothing_else() {
    let frames = frames();
    for damage in ["remove", "garbage"] {
        let folder = tempfile::tempdir().unwrap();
        let index = open(folder.path());
        let mut writers = writers(&index);
        feed(&mut writers, &frames, 0..3);
        writers.commit(now()).unwrap();
        writers.keep_position().unwrap();
        drop((writers, index));
        let file = folder.path().join("position");
        match damage {
            "remove" => std::fs::remove_file(file).unwrap(),
            _ => std::fs::write(file, b"\0\0\0").unwrap(),
        }
        recover_and_check(folder.path(), &frames, damage).await;
    }
}

#[tokio::test]
async fn more_days_than_writers_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let frames: Vec<Vec<ErrorDocument>> = (0..2)
        .map(|number| {
            (0..9)
                .map(|n| error(&format!("2026-10-{}", 10 + n), &format!("frame {number} error {n}")))
                .collect()
        })
        .collect();
    let index = open(folder.path());
    let mut writers = writers(&index);
    feed(&mut writers, &frames, 0..2);
    drop((writers, index));
    recover_and_check(folder.path(), &frames, "crash while days took turns").await;
}

#[tokio::test]
async fn another_log_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut first = writers(&index);
    first.feed(frame(7, vec![error("2026-10-19", "of the old log")]), now()).unwrap();
    first.commit(now()).unwrap();
    first.keep_position().unwrap();
    drop(first);
    let mut second = Writers::open(index.shelf.clone(), place(0), learner(), index.followers.clone()).unwrap();
    assert_eq!(second.position(), Position::default());
    second.feed(frame(0, vec![error("2026-10-19", "of the new log")]), now()).unwrap();
    second.commit(now()).unwrap();
    assert_eq!(search(&index, "").await.total, 2);
}

#[test]
fn merges_keep_what_a_day_covers() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writers = writers(&index);
    // Enough commits for tantivy to merge.
    for number in 0..20 {
        writers.feed(frame(number, vec![error("2026-10-19", "x")]), now()).unwrap();
        writers.commit(now()).unwrap();
    }
    writers.close_all().unwrap();
    drop((writers, index));
    let day = shelf(folder.path()).get(Day::of(at("2026-10-19"))).unwrap();
    assert!(day.reader.searcher().segment_readers().len() < 20, "tantivy has merged");
    let covers: Position = serde_json::from_str(&day.index.load_metas().unwrap().payload.unwrap()).unwrap();
    assert_eq!(covers, place(20 * 100));
}

#[derive(Debug, Clone)]
enum Step {
    Feed,
    Commit,
    CommitDay(u8),
    Keep,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Feed),
        2 => Just(Step::Commit),
        2 => (0_u8..3).prop_map(Step::CommitDay),
        1 => Just(Step::Keep),
        2 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn any_history_ends_with_every_error_once(steps in prop::collection::vec(step(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let frames: Vec<Vec<ErrorDocument>> = frames().into_iter().cycle().take(25).enumerate().map(|(number, errors)| {
            errors.into_iter().map(|mut error| { error.message = format!("{number} {}", error.message); error }).collect()
        }).collect();
        let mut open_now = None;
        let mut fed = 0;
        for step in &steps {
            let (_, writers) = open_now.get_or_insert_with(|| {
                let index = open(folder.path());
                let writers = writers(&index);
                (index, writers)
            });
            match step {
                Step::Feed => {
                    let next = writers.position().offset.div_ceil(100) as usize;
                    feed(writers, &frames, next..next + 1);
                    fed = fed.max(next + 1);
                }
                Step::Commit => { writers.commit(now()).unwrap(); }
                Step::CommitDay(day) => writers.commit_day(Day::of(at(&format!("2026-10-{}", 17 + day)))).unwrap(),
                Step::Keep => {
                    writers.commit(now()).unwrap();
                    writers.keep_position().unwrap();
                }
                Step::Crash => open_now = None,
            }
        }
        drop(open_now);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(recover_and_check(folder.path(), &frames[..fed], "random history"));
    }
}
