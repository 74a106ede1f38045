//! Profiles of embeddings as the engine makes them: late halves, rows of before, vectors of zeros, more kinds than are kept.

use driftlead_store::clickhouse::insert::{Attempt, insert_batch};
use driftlead_store::clickhouse::query::profiles::{ProfileQuery, known_features, profiles_now, read_profile, write_profiles};
use driftlead_store::clickhouse::{ClickHouse, TableRows, migrate};
use driftlead_store::clock::UnixNanos;
use driftlead_store::embedding::buckets_of;
use driftlead_store::records::{Directions, EmbeddingKind, Half, InferenceHalf, JoinedInference, MetricPoints};

use crate::support::engine::StandaloneEngine;
use crate::support::otlp::now_ns;
use crate::support::product::engine_is_there;

const MODEL: &str = "rag";
/// Encoders that take part in one minute, each with fewer vectors than the one before it.
const ENCODERS: u64 = 6;
const MOST: u64 = 20;
/// Kinds whose directions are kept.
const KEPT: u64 = 4;

fn half(of: Half, request: &str, at: UnixNanos, vector: &[f32], encoder: &str) -> InferenceHalf {
    let mut half = InferenceHalf::new(of, MODEL, request, at, at);
    half.embedding = vector.to_vec();
    half.embedding_model = (!encoder.is_empty()).then(|| encoder.to_owned());
    half
}

async fn insert(clickhouse: &ClickHouse, token: &str, key_hour: i64, halves: Vec<InferenceHalf>) {
    let inferences = halves.into_iter().map(|half| {
        let (log, span) = match half.half {
            Half::Log => (Some(half), None),
            Half::Span => (None, Some(half)),
        };
        JoinedInference {
            key_hour,
            partial: false,
            superseded: false,
            log,
            span,
        }
    });
    let rows = TableRows {
        logs: Vec::new(),
        spans: Vec::new(),
        metrics: MetricPoints::default(),
        inferences: inferences.collect(),
        outcomes: Vec::new(),
    };
    insert_batch(clickhouse, &rows, token, Attempt::First).await.unwrap();
}

#[tokio::test]
async fn a_minute_counts_embeddings_by_kind_and_directions_of_the_most_frequent() {
    if !engine_is_there() {
        return;
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let engine = StandaloneEngine::start();
    let clickhouse = engine.connect();
    migrate::migrate(&clickhouse).await.unwrap();
    let minute = UnixNanos(now_ns() as i64).floor_to(3_600);
    let (hour, at) = (minute.seconds(), minute.plus_seconds(7));
    let vector = |i: u64| [i as f32 - 9.5, 1.0, -2.0];

    let mut halves = Vec::new();
    let mut expected: Vec<Directions> = Vec::new();
    for encoder in 0..ENCODERS {
        let mut directions = Directions::default();
        for i in 0..MOST - encoder {
            halves.push(half(Half::Log, &format!("{encoder}-{i}"), at, &vector(i), &format!("e{encoder}")));
            directions.add(buckets_of(&vector(i)).unwrap());
        }
        expected.push(directions);
    }
    halves.push(half(Half::Log, "zeros", at, &[0.0; 3], "e0"));
    halves.push(half(Half::Log, "none", at, &[], ""));
    let mut aged = half(Half::Log, "aged", at, &[], "");
    aged.embedding_created_at = Some(at.plus_seconds(-36 * 3_600));
    halves.push(aged);
    let inferences = halves.len() as u64 + 1;
    insert(&clickhouse, "first", hour, halves).await;
    // The other half of one of them comes in a later batch, and tells no embedding.
    insert(&clickhouse, "later", hour, vec![half(Half::Span, "0-0", at, &[], "")]).await;
    // A row of before has a vector and none of its projections.
    let old = format!(
        "INSERT INTO inferences (model, key_hour, request_id, event_time, received_time, partial, has_log, embedding, embedding_model) \
         VALUES ('{MODEL}', {hour}, 'old', toDateTime64({hour}, 9), toDateTime64({hour}, 9), 0, 1, [1, 2, 3], 'e0')"
    );
    clickhouse.writer().query(&old).execute().await.unwrap();

    write_profiles(&clickhouse, MODEL, None, &[hour], 1).await.unwrap();
    let query = ProfileQuery {
        model: MODEL,
        environment: "",
        version: None,
        segment: None,
        from: minute,
        until: minute.plus_seconds(60),
        without: &[],
    };
    let profile = read_profile(&clickhouse, query).await.unwrap();
    let kind = |encoder: u64| EmbeddingKind {
        dimensions: 3,
        encoder: format!("e{encoder}"),
    };
    assert_eq!(profile.inferences, inferences);
    let embeddings = &profile.embeddings;
    for encoder in 0..ENCODERS {
        // Zeros are of a kind, but point nowhere.
        let zeros = u64::from(encoder == 0);
        assert_eq!(embeddings.kinds[&kind(encoder)], MOST - encoder + zeros, "e{encoder}");
        let directions = embeddings.directions.get(&kind(encoder));
        let is_kept = encoder < KEPT;
        assert_eq!(directions, is_kept.then(|| &expected[encoder as usize]), "e{encoder}");
    }
    assert_eq!(embeddings.kinds.len() as u64, ENCODERS);
    assert_eq!(embeddings.age_days.buckets.values().sum::<u64>(), 1);
    assert_eq!(
        embeddings.age_days.buckets.keys().next().copied(),
        driftlead_store::bucket::key_of(1.5)
    );

    assert!(profile.features.is_empty(), "{:?}", profile.features.keys());
    assert_eq!(known_features(&clickhouse, query).await.unwrap(), Vec::<String>::new());
    let now = profiles_now(&clickhouse, MODEL, None, None, &[hour]).await.unwrap();
    assert_eq!(now[&(String::new(), String::new())], profile);
}
