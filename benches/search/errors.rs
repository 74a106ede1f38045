//! Made-up errors of the shape of real ones: words by Zipf's law, messages with parts that vary, stacks, attributes.

use std::collections::BTreeMap;

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::ErrorDocument;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Words that messages and stacks are made of.
const WORDS: usize = 30_000;
const TEMPLATES: usize = 400;
/// So many errors of so many have a stack: what a logging library writes of an exception, others are one line.
const WITH_STACK: (u32, u32) = (3, 5);
/// Frames of the shortest and of the longest stack: a web framework's and a model's own.
const FRAMES: std::ops::Range<usize> = 8..28;
const SERVICES: usize = 12;
const MODELS: usize = 6;

/// Makes errors; the same seed makes the same ones.
pub struct Errors {
    random: ChaCha8Rng,
    vocabulary: Vec<String>,
    /// Words of each message; `None` is a part that varies.
    templates: Vec<Vec<Option<usize>>>,
    from: UnixNanos,
    step_ns: i64,
    made: u64,
}

impl Errors {
    /// Errors from this time on, one every `step_ns`.
    pub fn new(from: UnixNanos, step_ns: i64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(20_261_126);
        let vocabulary = vocabulary(&mut random);
        let templates = (0..TEMPLATES).map(|_| template(&mut random)).collect();
        Self {
            random,
            vocabulary,
            templates,
            from,
            step_ns,
            made: 0,
        }
    }

    /// A word of this rank: 0 is the most frequent one.
    pub fn word(&self, rank: usize) -> &str {
        &self.vocabulary[rank]
    }

    /// The next errors.
    pub fn take(&mut self, count: usize) -> Vec<ErrorDocument> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> ErrorDocument {
        let time = UnixNanos(self.from.0 + self.made as i64 * self.step_ns);
        self.made += 1;
        let kind = zipf(&mut self.random, TEMPLATES);
        let message = self.message(kind);
        let stack = if self.random.random_ratio(WITH_STACK.0, WITH_STACK.1) {
            self.stack(kind)
        } else {
            String::new()
        };
        let random = &mut self.random;
        let model = random.random_range(0..MODELS);
        let route = ["/predict", "/score", "/embed", "/health"][random.random_range(0..4)];
        let status = [500, 502, 503, 504][random.random_range(0..4)];
        let attributes: BTreeMap<String, serde_json::Value> = serde_json::from_value(json!({
            "http.route": route,
            "http.response.status_code": status,
            "k8s.pod.name": format!("scorer-{:x}", random.random_range(0..200_u32)),
            "latency_ms": f64::from(random.random_range(1..2_000_u32)),
            "ml.request.id": format!("{:016x}", random.random::<u64>()),
            "thread.id": random.random_range(1..64_u32),
        }))
        .unwrap();
        ErrorDocument {
            time,
            severity: "ERROR".into(),
            service: format!("service-{}", kind % SERVICES),
            model: format!("model-{model}"),
            version: ["1.0", "1.1", "1.2"][random.random_range(0..3)].into(),
            environment: "production".into(),
            trace_id: format!("{:032x}", random.random::<u128>()),
            span_id: format!("{:016x}", random.random::<u64>()),
            error_type: format!("Error{}", kind % 40),
            message,
            stack,
            attributes,
            ..ErrorDocument::default()
        }
    }

    fn message(&mut self, kind: usize) -> String {
        let mut words = Vec::new();
        for part in &self.templates[kind] {
            words.push(match part {
                Some(word) => self.vocabulary[*word].clone(),
                None => match self.random.random_range(0..4) {
                    0 => self.random.random_range(0..100_000_u32).to_string(),
                    1 => format!("{:x}", self.random.random::<u32>()),
                    2 => format!(
                        "10.0.{}.{}",
                        self.random.random_range(0..255_u8),
                        self.random.random_range(0..255_u8)
                    ),
                    _ => self.vocabulary[zipf(&mut self.random, WORDS)].clone(),
                },
            });
        }
        words.join(" ")
    }

    fn stack(&mut self, kind: usize) -> String {
        let depth = FRAMES.start + kind % FRAMES.len();
        let mut lines = vec!["Traceback (most recent call last):".to_owned()];
        for level in 0..depth {
            let word = |of: usize| self.vocabulary[(kind * 31 + level * 7 + of) % WORDS].as_str();
            lines.push(format!(
                "  File \"/srv/app/{}/{}.py\", line {}, in {}",
                word(0),
                word(1),
                10 + (kind + level * 17) % 900,
                word(2)
            ));
            // As Python tells it, each place with its line of code.
            lines.push(format!("    return self.{}({}, {}={})", word(3), word(4), word(5), word(6)));
        }
        lines.join("\n")
    }
}

/// Bytes of what an error says.
pub fn bytes_of(error: &ErrorDocument) -> u64 {
    let attributes: usize = error
        .attributes
        .iter()
        .map(|(name, value)| name.len() + value.to_string().len())
        .sum();
    let names = [
        &error.severity,
        &error.service,
        &error.model,
        &error.version,
        &error.environment,
        &error.trace_id,
        &error.span_id,
        &error.error_type,
        &error.message,
        &error.stack,
    ];
    (names.iter().map(|text| text.len()).sum::<usize>() + attributes) as u64
}

fn vocabulary(random: &mut ChaCha8Rng) -> Vec<String> {
    const SYLLABLES: [&str; 20] = [
        "con", "nec", "tion", "time", "out", "re", "fus", "ed", "mo", "del", "val", "ue", "in", "put", "fea", "ture", "load", "sto", "ken",
        "err",
    ];
    (0..WORDS)
        .map(|rank| {
            let length = random.random_range(1..4);
            let syllables: String = (0..length).map(|_| *SYLLABLES.choose(random).unwrap()).collect();
            // Different words, and shorter ones for the frequent, as in any language.
            match rank {
                0..200 => format!("{syllables}{}", (b'a' + (rank % 26) as u8) as char),
                _ => format!("{syllables}{}", base26(rank)),
            }
        })
        .collect()
}

fn base26(mut number: usize) -> String {
    let mut text = String::new();
    while number > 0 {
        text.push((b'a' + (number % 26) as u8) as char);
        number /= 26;
    }
    text
}

fn template(random: &mut ChaCha8Rng) -> Vec<Option<usize>> {
    let length = random.random_range(5..14);
    (0..length)
        .map(|at| (at == 0 || !random.random_ratio(1, 5)).then(|| zipf(random, WORDS)))
        .collect()
}

/// A rank by Zipf's law with exponent 1: the inverse of its distribution, approximately.
fn zipf(random: &mut ChaCha8Rng, count: usize) -> usize {
    let share: f64 = random.random();
    (((count as f64 + 1.0).powf(share)) as usize - 1).min(count - 1)
}
