//! Profiles of hours and days say what their minutes say.

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::generations::{Computed, write_generations};
use driftlead_store::clickhouse::query::profiles::{
    Profile, ProfileQuery, block_sizes, known_features, read_blocks, read_profiles, read_segment_profiles,
};
use driftlead_store::clickhouse::query::rollups::{RollupLength, write_rollup};
use driftlead_store::clickhouse::query::segments::{SegmentTraffic, segments_served};
use driftlead_store::clickhouse::{ClickHouse, migrate};
use driftlead_store::clock::{Clock, UnixNanos};

use crate::support::engine::StandaloneEngine;
use crate::support::product::engine_is_there;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Minutes of two versions, two segments and two arms: numbers, categories of which some are other, what is not finite, and
/// every seventh minute nothing of the feature. The counts depend on the seed.
async fn profile_minutes(clickhouse: &ClickHouse, from: i64, minutes: i64, seed: u64, generation: u64) {
    let sql = "INSERT INTO profiles_minute (model, minute, environment, version, segment, arm, feature, generation, inferences, absent, \
                 `nan`, positive_infinity, negative_infinity, bucket_keys, bucket_counts, values, value_counts) \
               SELECT 'm', toDateTime({from:Int64} + 60 * number, 'UTC') AS minute, 'e', version, segment, arm, feature, \
                 {generation:UInt64}, 100 + roll % 7, if(feature = '', 0, 3), if(feature = 'age', roll % 3, 0), if(feature = 'age', roll % 2, 0), 0, \
                 if(feature = 'age', [toInt32(roll % 50), toInt32(100 + roll % 11), toInt32(-7)], []), \
                 if(feature = 'age', [60, 20 + roll % 5, 10], []), \
                 if(feature = 'city', [concat('c', toString(roll % 40)), 'Bonn', char(1, 111, 116, 104, 101, 114)], []), \
                 if(feature = 'city', [50, 40 + roll % 9, 2], []) \
               FROM (SELECT number, version, segment, arm, feature, cityHash64(number, version, segment, arm, {seed:UInt64}) % 1000 AS roll \
                 FROM numbers({minutes:UInt64}) \
                 ARRAY JOIN ['1', '2'] AS version ARRAY JOIN ['', 'web'] AS segment ARRAY JOIN ['', 'shadow'] AS arm \
                 ARRAY JOIN ['', 'age', 'city'] AS feature) \
               WHERE feature = '' OR number % 7 != 0";
    let query = clickhouse.writer().query(sql);
    query
        .param("from", from)
        .param("minutes", minutes)
        .param("seed", seed)
        .param("generation", generation)
        .execute()
        .await
        .unwrap();
    let all: Vec<i64> = (0..minutes).map(|minute| from + 60 * minute).collect();
    write_generations(clickhouse, Computed::Profiles, "m", &all, generation)
        .await
        .unwrap();
}

async fn roll_up(clickhouse: &ClickHouse, day: i64, generation: u64) {
    for hour in 0..24 {
        write_rollup(clickhouse, "m", RollupLength::Hour, day + hour * HOUR, generation)
            .await
            .unwrap();
    }
    write_rollup(clickhouse, "m", RollupLength::Day, day, generation).await.unwrap();
}

/// All that is read of a stretch.
#[derive(Debug, PartialEq)]
struct Reading {
    profiles: BTreeMap<String, Profile>,
    segments: BTreeMap<(String, String), Profile>,
    served: Vec<SegmentTraffic>,
    by_hour: BTreeMap<i64, Profile>,
    by_day: BTreeMap<i64, Profile>,
    features: Vec<String>,
}

async fn read(clickhouse: &ClickHouse, from: i64, until: i64, without: &[i64]) -> Reading {
    let query = ProfileQuery {
        model: "m",
        environment: "e",
        version: None,
        segment: None,
        from: UnixNanos::from_seconds(from),
        until: UnixNanos::from_seconds(until),
        without,
    };
    let blocks = async |seconds: u32| {
        let mut sizes = block_sizes(clickhouse, query, seconds).await.unwrap();
        sizes.retain(|size| size.inferences > 0);
        read_blocks(clickhouse, query, seconds, &sizes).await.unwrap()
    };
    Reading {
        profiles: read_profiles(clickhouse, query).await.unwrap(),
        segments: read_segment_profiles(clickhouse, query, &["web".to_owned()]).await.unwrap(),
        served: segments_served(clickhouse, query, 1, 10).await.unwrap(),
        by_hour: blocks(3_600).await,
        by_day: blocks(86_400).await,
        features: known_features(clickhouse, query).await.unwrap(),
    }
}

async fn count(clickhouse: &ClickHouse, table: &str) -> u64 {
    let sql = format!("SELECT count() FROM {table}");
    clickhouse.writer().query(&sql).fetch_one().await.unwrap()
}

#[tokio::test]
async fn hours_and_days_say_what_their_minutes_say_until_those_change() {
    if !engine_is_there() {
        return;
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let engine = StandaloneEngine::start();
    let clickhouse = engine.connect();
    migrate::migrate(&clickhouse).await.unwrap();
    let day = Clock::System.now().floor_to(DAY).seconds() - 2 * DAY;
    profile_minutes(&clickhouse, day, 2 * 1_440, 1, 10).await;
    // Late data: a minute that was computed again, whose first series are stale.
    profile_minutes(&clickhouse, day + 5 * HOUR + 60, 1, 2, 11).await;
    let stretches: [(i64, i64, Vec<i64>); 6] = [
        (day, day + DAY, vec![]),
        (day, day + 2 * DAY, vec![]),
        (day + 1_800, day + 37 * HOUR + 600, vec![]),
        (day + 3 * HOUR, day + 4 * HOUR, vec![]),
        (day + 3 * HOUR + 60, day + 4 * HOUR + 60, vec![]),
        (day, day + 2 * DAY, vec![day + 7 * HOUR + 120]),
    ];
    let mut before = Vec::new();
    for (from, until, without) in &stretches {
        before.push(read(&clickhouse, *from, *until, without).await);
    }
    assert_eq!(before[0].features, ["age", "city"]);
    assert!(before[0].profiles["1"].features["city"].other > 0 && before[0].profiles["1"].features["age"].nan > 0);
    assert_eq!((before[1].by_hour.len(), before[1].by_day.len()), (48, 2));

    roll_up(&clickhouse, day, 11).await;
    roll_up(&clickhouse, day + DAY, 10).await;
    assert_eq!(
        (count(&clickhouse, "profiles_day").await, count(&clickhouse, "profiles_hour").await),
        (48, 48 * 24)
    );
    for ((from, until, without), before) in stretches.iter().zip(&before) {
        assert_eq!(&read(&clickhouse, *from, *until, without).await, before, "{from} {until}");
    }

    // Late data changes an hour: it and its day are read from minutes until they are rolled up again.
    profile_minutes(&clickhouse, day + 9 * HOUR, 3, 3, 12).await;
    let changed = read(&clickhouse, day, day + 2 * DAY, &[]).await;
    assert_ne!(changed, before[1]);
    roll_up(&clickhouse, day, 12).await;
    assert_eq!(read(&clickhouse, day, day + 2 * DAY, &[]).await, changed);

    // What is read are the rollups: the minutes are not needed any more.
    clickhouse.writer().query("TRUNCATE TABLE profiles_minute").execute().await.unwrap();
    assert_eq!(read(&clickhouse, day, day + 2 * DAY, &[]).await, changed);
}
