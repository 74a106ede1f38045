//! Writing errors and finding them again.

use std::path::Path;
use std::process::id;
use std::time::Instant;

use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::index::{Batch, Day, ErrorIndex, IndexConfig, SearchRequest};
use driftlead_store::records::ErrorDocument;
use driftlead_store::state::State;
use driftlead_store::wal::Position;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

use crate::errors::{Errors, bytes_of};
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::process::cpu_seconds;
use crate::measuring::quantile::{median, quantile};
use crate::measuring::settings::Settings;
use crate::plain::{Plain, Reader, Wanted};

/// Days that errors are spread over.
pub const DAYS: i64 = 5;
/// Length of a day.
pub const DAY_NS: i64 = 86_400 * 1_000_000_000;
const BATCH: usize = 2_000;
/// Searches that are timed, and those before them that are not.
pub const QUERIES: usize = 200;
pub const WARM_UP: usize = 20;
/// Ranks of the words that are searched for: neither in every message nor in none.
const RANKS: std::ops::Range<usize> = 5..3_000;

/// Measures.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("index");
    let folder = tempfile::tempdir().unwrap();
    let records = settings.records - settings.records % DAYS as usize;
    let clock = Clock::System;
    let first = Day::of(clock.now()).minus(DAYS as u32);
    let step_ns = DAY_NS / (records as i64 / DAYS) - 1;
    let errors = || Errors::new(first.start(), step_ns.max(1));

    let config = IndexConfig::at(folder.path().join("index"));
    let index = ErrorIndex::open(&config, &clock).unwrap();
    let state = State::open(&folder.path().join("state.db")).await.unwrap();
    let (mut ours, mut plain, mut bytes) = (Cost::default(), Cost::default(), 0);
    let mut made = errors();
    for day in 0..DAYS {
        // Made before: what making them costs is no part of what writing them costs, and nothing else is done meanwhile.
        let batches = batches(&mut made, records / DAYS as usize);
        bytes += batches.iter().flatten().map(bytes_of).sum::<u64>();
        let writing = Cost::begin();
        let mut writer = Plain::create(&folder.path().join(format!("plain-{day}")));
        batches.iter().flatten().for_each(|error| writer.add(error));
        writer.finish();
        plain.add(writing);
        let writing = Cost::begin();
        write(&index, &state, Day::of(UnixNanos(first.start().0 + day * DAY_NS)), batches).await;
        ours.add(writing);
    }
    let megabytes = bytes as f64 / 1e6;
    scene.add(
        Figure::new("written per second of CPU, patterns learnt too", megabytes / ours.cpu_s, "MB/s")
            .beside("plain tantivy, without patterns", megabytes / plain.cpu_s)
            .beside("held to", 20.0),
    );
    scene.add(Figure::new("written, by the clock", megabytes / ours.wall_s, "MB/s").beside("plain tantivy", megabytes / plain.wall_s));
    let stored: u64 = index.days().await.unwrap().iter().map(|day| day.bytes).sum();
    let plain_stored: u64 = (0..DAYS).map(|day| size(&folder.path().join(format!("plain-{day}")))).sum();
    scene.add(
        Figure::new("bytes on disk for each byte of errors", stored as f64 / bytes as f64, "")
            .beside("plain tantivy", plain_stored as f64 / bytes as f64),
    );

    let reader = Reader::open(&config.directory);
    let names = errors();
    for (name, words, is_ranged, limit_ms) in [("one word", 1, false, 50.0), ("two words and half of the time", 2, true, 150.0)] {
        let (mut ours, mut plain, mut found) = (Vec::new(), Vec::new(), 0);
        for (number, (words, range)) in searches(&names, first, words, is_ranged).enumerate().take(WARM_UP + QUERIES) {
            let request = SearchRequest {
                query: words.join(" "),
                from: range.map(|(from, _)| UnixNanos(from)),
                to: range.map(|(_, to)| UnixNanos(to)),
                limit: 20,
                ..SearchRequest::default()
            };
            let began = Instant::now();
            let answer = index.search(&request).await.unwrap();
            let our_ms = began.elapsed().as_secs_f64() * 1e3;
            let began = Instant::now();
            let total = reader.search(&Wanted { words, range }, answer.histogram.step_seconds);
            let plain_ms = began.elapsed().as_secs_f64() * 1e3;
            assert_eq!(answer.total, total as u64, "both find the same: {request:?}");
            if number >= WARM_UP {
                ours.push(our_ms);
                plain.push(plain_ms);
                found += usize::from(total > 0);
            }
        }
        scene.add(Figure::new(format!("{name}, p50"), median(&ours), "ms").beside("plain tantivy", median(&plain)));
        scene.add(
            Figure::new(format!("{name}, p95"), quantile(&ours, 0.95), "ms")
                .beside("plain tantivy", quantile(&plain, 0.95))
                .beside("held to", limit_ms),
        );
        scene.note(format!("{name}: {found} of {QUERIES} searches found something."));
    }
    scene.note(format!(
        "{records} errors of {:.0} bytes in the mean over {DAYS} days, an index each; top 20 with their documents, seven facets and a histogram. \
         The peer reads the same files with tantivy's own collectors and aggregations.",
        bytes as f64 / records as f64
    ));
    scene
}

/// Searches without end, the same on every run: words, and half of the time where it is limited.
pub fn searches(names: &Errors, first: Day, words: usize, is_ranged: bool) -> impl Iterator<Item = (Vec<&str>, Option<(i64, i64)>)> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    std::iter::repeat_with(move || {
        let words = (0..words).map(|_| names.word(rank(&mut random))).collect();
        let range = is_ranged.then(|| {
            let from = first.start().0 + random.random_range(0..DAYS * DAY_NS / 2);
            (from, from + DAYS * DAY_NS / 2)
        });
        (words, range)
    })
}

/// A rank by Zipf's law, as whoever searches for what they read.
fn rank(random: &mut ChaCha8Rng) -> usize {
    let (low, high) = (RANKS.start as f64, RANKS.end as f64);
    (low * (high / low).powf(random.random::<f64>())) as usize
}

fn batches(errors: &mut Errors, count: usize) -> Vec<Vec<ErrorDocument>> {
    (0..count.div_ceil(BATCH))
        .map(|at| errors.take(BATCH.min(count - at * BATCH)))
        .collect()
}

async fn write(index: &ErrorIndex, state: &State, day: Day, batches: Vec<Vec<ErrorDocument>>) {
    let count: usize = batches.iter().map(Vec::len).sum();
    let (sender, receiver) = mpsc::channel(2);
    let feeding = async {
        for batch in batches {
            sender.send(Batch::Errors(batch)).await.unwrap();
        }
        sender.send(Batch::End).await.unwrap();
    };
    let ((), written) = tokio::join!(feeding, index.rebuild(day, Position::default(), state, receiver));
    assert_eq!(written.unwrap(), count as u64);
}

/// What work costs, in seconds.
#[derive(Default)]
struct Cost {
    wall_s: f64,
    cpu_s: f64,
}

impl Cost {
    fn begin() -> (Instant, f64) {
        (Instant::now(), cpu_seconds(id()))
    }

    fn add(&mut self, (began, before): (Instant, f64)) {
        self.wall_s += began.elapsed().as_secs_f64();
        self.cpu_s += cpu_seconds(id()) - before;
    }
}

fn size(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}
