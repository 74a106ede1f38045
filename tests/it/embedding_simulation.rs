//! Simulated coverage and power of the bounds of `embedding_shift`: vectors of topics, as sentence encoders make them, of
//! which a part gives way to a new topic.
//!
//! Two texts of one topic have a cosine of 0.6, of two topics 0.22: what all-MiniLM-L6 makes of the banking intents of banking77.
//! Seeds are fixed, and what is asserted leaves room for chance all the same.
//! `cargo test --test it embedding_simulation -- --nocapture` prints the tables.

use driftlead_analyzer::stats::shift::{DECISION_ERROR, DISPLAY_ERROR, DirectionsOptions, DirectionsShift, directions_shift};
use driftlead_store::embedding::{PROJECTIONS, buckets_of};
use driftlead_store::records::Directions;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Buckets = [u8; PROJECTIONS];

const DIMENSIONS: usize = 384;
/// Topics of the usual traffic.
const TOPICS: usize = 60;
/// Topics that come new, one at a time.
const NEW_TOPICS: usize = 6;
/// Vectors of one topic; rows are drawn from these, so that these are the distribution.
const VECTORS: usize = 150;
/// One look at one thing, and each hour for 30 days at 50 features.
const DECISIONS: [u64; 2] = [1, 36_000];

struct World {
    usual: Vec<Buckets>,
    new: Vec<Vec<Buckets>>,
}

impl World {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let common = direction(rng);
        let mut topic = |_: usize| -> Vec<Buckets> {
            let centre = direction(rng);
            let mut vector = || -> Vec<f32> {
                let noise = direction(rng);
                let parts = common.iter().zip(&centre).zip(&noise);
                parts
                    .map(|((common, centre), noise)| 0.22_f32.sqrt() * common + 0.38_f32.sqrt() * centre + 0.4_f32.sqrt() * noise)
                    .collect()
            };
            (0..VECTORS).map(|_| buckets_of(&vector()).unwrap()).collect()
        };
        let usual = (0..TOPICS).flat_map(&mut topic).collect();
        Self {
            usual,
            new: (0..NEW_TOPICS).map(topic).collect(),
        }
    }

    /// `n` rows, of which `share` are of a new topic.
    fn rows(&self, n: u64, new: usize, share: f64, rng: &mut ChaCha8Rng) -> Directions {
        let mut rows = Directions::default();
        for _ in 0..n {
            let of = if rng.random_bool(share) { &self.new[new] } else { &self.usual };
            rows.add(of[rng.random_range(0..of.len())]);
        }
        rows
    }
}

/// A direction without a preference, of length about 1.
fn direction(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let scale = (3.0 / DIMENSIONS as f32).sqrt();
    (0..DIMENSIONS).map(|_| rng.random_range(-1.0_f32..1.0) * scale).collect()
}

fn simulate(n: u64, share: f64, draws: u64, seed: u64) -> Vec<[DirectionsShift; 2]> {
    let one = |seed: u64, draws: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let world = World::new(&mut rng);
        let draw = |draw: u64| {
            let before = world.rows(n, 0, 0.0, &mut rng);
            let now = world.rows(n, draw as usize % NEW_TOPICS, share, &mut rng);
            let seed = rng.random();
            DECISIONS.map(|decisions| {
                let options = DirectionsOptions {
                    seed,
                    decision_error: DECISION_ERROR / decisions as f64,
                    dispersions: [1.0; PROJECTIONS],
                };
                directions_shift(&before, &now, &options).unwrap()
            })
        };
        (0..draws).map(draw).collect::<Vec<_>>()
    };
    let one = &one;
    std::thread::scope(|scope| {
        let threads = [seed, seed + 1].map(|seed| scope.spawn(move || one(seed, draws / 2)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn percent(found: &[[DirectionsShift; 2]], is_counted: impl Fn(&[DirectionsShift; 2]) -> bool) -> f64 {
    100.0 * found.iter().filter(|shifts| is_counted(shifts)).count() as f64 / found.len() as f64
}

fn mean(found: &[[DirectionsShift; 2]], value: impl Fn(&[DirectionsShift; 2]) -> f64) -> f64 {
    100.0 * found.iter().map(value).sum::<f64>() / found.len() as f64
}

#[test]
fn bounds_of_embeddings_hold_where_nothing_moved() {
    println!("rows each | lower above 0  p < 1 %  mean value");
    let (mut wrong, mut draws) = (0.0, 0);
    for (n, of_size) in [(1_000, 400), (5_000, 200), (20_000, 100)] {
        let found = simulate(n, 0.0, of_size, 1);
        let above = percent(&found, |shifts| shifts[0].lower > 0.0);
        println!(
            "{n:>9} | {above:>11.2} % {:>7.2} % {:>8.2} %",
            percent(&found, |shifts| shifts[0].p_value < 0.01),
            mean(&found, |shifts| shifts[0].value)
        );
        assert!(found.iter().all(|shifts| shifts[1].decision_lower == Some(0.0)));
        wrong += above / 100.0 * of_size as f64;
        draws += of_size;
    }
    println!("wrong in all: {:.2} % of {draws}", 100.0 * wrong / draws as f64);
    // What chance alone exceeds once in 3,000 runs: 1 % of 700, and 3.4 deviations.
    assert!(
        wrong <= DISPLAY_ERROR * draws as f64 + 3.4 * (DISPLAY_ERROR * draws as f64).sqrt(),
        "{wrong} of {draws}"
    );
}

#[test]
fn a_new_topic_is_found_and_never_bounded_too_high() {
    println!("rows each new topic | mean value  lower  decision_lower at 0.01  at 2.8e-7 | above half of it: at 0.01  at 2.8e-7");
    for (n, share, draws) in [(5_000, 0.06, 60), (50_000, 0.06, 36), (5_000, 0.2, 60), (20_000, 0.2, 36)] {
        let found = simulate(n, share, draws, 11);
        let decided = |level: usize| move |shifts: &[DirectionsShift; 2]| shifts[level].decision_lower.unwrap();
        let power = [0, 1].map(|level| percent(&found, |shifts| decided(level)(shifts) > share / 2.0));
        println!(
            "{n:>9} {:>7.0} % | {:>8.2} % {:>5.2} % {:>20.2} % {:>8.2} % | {:>23.0} % {:>7.0} %",
            100.0 * share,
            mean(&found, |shifts| shifts[0].value),
            mean(&found, |shifts| shifts[0].lower),
            mean(&found, decided(0)),
            mean(&found, decided(1)),
            power[0],
            power[1],
        );
        assert!(found.iter().all(|shifts| shifts[0].lower <= share), "{n} {share}");
        if n > 5_000 {
            assert!(found.iter().all(|shifts| decided(1)(shifts) > share / 5.0), "{n} {share}");
        }
    }
}
