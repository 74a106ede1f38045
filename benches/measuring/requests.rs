//! OTLP requests, encoded before anything is measured.

use std::io::Write;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use super::rows::Rows;
use super::support::otlp::{inference, logs_request, now_ns, number, text};

/// Model that a load is about.
pub const MODEL: &str = "load";

/// Bytes of all requests of a load before compression: what a machine with 4 GiB can hold beside the product.
const MAX_BYTES: usize = 512 << 20;
/// Different rows of features; each record has its own request id and time beside them.
const DIFFERENT_ROWS: usize = 10_000;

/// How a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Inferences in a request.
    pub records: usize,
    /// Whether requests are compressed.
    pub gzip: bool,
}

impl Shape {
    /// What exporters do: small batches and full ones, plain and compressed.
    pub const ALL: [Self; 4] = [
        Self::new(100, false),
        Self::new(100, true),
        Self::new(1_000, false),
        Self::new(1_000, true),
    ];

    /// A shape.
    pub const fn new(records: usize, gzip: bool) -> Self {
        Self { records, gzip }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} a request{}", self.records, if self.gzip { ", gzip" } else { "" })
    }
}

/// Requests of one shape, no two alike: a receiver may recognise one that is sent again.
pub struct Requests {
    /// Their shape.
    pub shape: Shape,
    /// As they are sent.
    pub bodies: Vec<Bytes>,
    /// Bytes of a request before compression, of the first one.
    pub plain_bytes: usize,
}

impl Requests {
    /// As many as hold `records` inferences with 16 features, a prediction and a latency each, or as many as the memory
    /// is given for.
    pub fn make(shape: Shape, records: usize) -> Self {
        let rows = Rows::made(DIFFERENT_ROWS.min(records), 1, 0.0);
        let first = body(shape, &rows, 0);
        let count = records.div_ceil(shape.records).min(MAX_BYTES / first.len()).max(1);
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = count.div_ceil(workers);
        let rows = &rows;
        let bodies = std::thread::scope(|scope| {
            let worker = |worker: usize| {
                let numbers = worker * share..((worker + 1) * share).min(count);
                scope.spawn(move || numbers.map(|number| sent(shape, body(shape, rows, number))).collect::<Vec<_>>())
            };
            let workers: Vec<_> = (0..workers).map(worker).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("requests are made"))
                .collect()
        });
        Self {
            shape,
            bodies,
            plain_bytes: first.len(),
        }
    }

    /// The first half of them, and the second.
    pub fn halves(&self) -> (Self, Self) {
        let (first, second) = self.bodies.split_at(self.bodies.len() / 2);
        let of = |bodies: &[Bytes]| Self {
            shape: self.shape,
            bodies: bodies.to_vec(),
            plain_bytes: self.plain_bytes,
        };
        (of(first), of(second))
    }
}

fn body(shape: Shape, rows: &Rows, request: usize) -> Vec<u8> {
    let now = now_ns();
    let record = |index: usize| {
        let number = request * shape.records + index;
        record(rows, number, now + index as u64)
    };
    logs_request((0..shape.records).map(record).collect()).encode_to_vec()
}

fn record(rows: &Rows, sequence: usize, time_ns: u64) -> LogRecord {
    let mut attributes = rows.attributes(sequence % rows.rows.len());
    attributes.push(text("ml.prediction.label", if sequence.is_multiple_of(3) { "1" } else { "0" }));
    attributes.push(number("ml.prediction.score", (sequence % 1_000) as f64 / 1_000.0));
    attributes.push(number("ml.latency_ms", 1.0 + (sequence % 97) as f64));
    inference(MODEL, "1.0", &format!("request-{sequence:012}"), time_ns, attributes)
}

fn sent(shape: Shape, body: Vec<u8>) -> Bytes {
    if !shape.gzip {
        return body.into();
    }
    // The level that the stock exporters use.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::default());
    encoder.write_all(&body).expect("memory takes everything");
    encoder.finish().expect("memory takes everything").into()
}
