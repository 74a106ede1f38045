//! What a window costs as traffic grows: a day of a hundred thousand to a thousand million inferences, as its profile holds it,
//! compared with a day of as many.

use std::time::Instant;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::generations::{Computed, write_generations};
use driftlead_store::clickhouse::query::rollups::{RollupLength, write_rollup};
use driftlead_store::clock::UnixNanos;

use crate::measuring::engine::Engine;
use crate::measuring::figure::{Figure, Scene};
use crate::measuring::quantile::{median, quantile};
use crate::measuring::support::otlp::now_ns;
use crate::measuring::support::product::Product;
use crate::measuring::wait;

/// Inferences of a day.
const TRAFFIC: [u64; 5] = [100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
/// Features, every second one numeric.
const FEATURES: u64 = 20;
/// Times that a window is asked for.
const REPETITIONS: usize = 30;
const DAY: i64 = 86_400;
/// What one window may take.
const LIMIT_MS: f64 = 100.0;

/// Measures a window of each size.
pub async fn measure() -> Scene {
    let mut scene = Scene::new("windows");
    let today = UnixNanos(now_ns() as i64).floor_to(DAY).seconds();
    let (reference, current) = (today - 3 * DAY, today - 2 * DAY);
    let engine = Engine::start().await;
    let clickhouse = engine.connect();
    let mut configuration = engine.configuration();
    for n in TRAFFIC {
        let at = |seconds: i64| UnixNanos::from_seconds(seconds);
        configuration += &format!(
            "\n[[models]]\nname = \"m{n}\"\nreference = {{ pinned = [\"{}\", \"{}\"] }}\n",
            at(reference),
            at(reference + DAY)
        );
        for (day, seed) in [(reference, 1), (current, 2)] {
            profile_day(&clickhouse, &format!("m{n}"), day, n, seed).await;
        }
    }
    let mut product = Product::start(&configuration).await;
    wait::until_up(&product).await;
    for n in TRAFFIC {
        let path = format!(
            "/models/m{n}/drift?from={}&to={}",
            UnixNanos::from_seconds(current),
            UnixNanos::from_seconds(current + DAY)
        );
        let report = wait::until("the day can be compared", std::time::Duration::from_secs(1), async || {
            let report = product.get(&path).await?;
            (report["reference_n"].as_u64()? > n / 2).then_some(report)
        })
        .await;
        let compared = report["features"].as_array().map_or(0, Vec::len);
        assert_eq!(compared as u64, FEATURES, "all features are compared");
        let mut milliseconds = Vec::new();
        for _ in 0..REPETITIONS {
            let began = Instant::now();
            product.get(&path).await.expect("a comparison");
            milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let count = report["n"].as_u64().unwrap_or(0);
        let figure = |what: &str, value: f64| {
            Figure::new(format!("a day of {count} inferences, {what}"), value, "ms").beside("limit", Some(LIMIT_MS))
        };
        scene.add(figure("median", median(&milliseconds)));
        scene.add(figure("p95", quantile(&milliseconds, 0.95)));
    }
    product.stop().await;
    scene.note(format!(
        "{FEATURES} features, half of them numbers in some 1,400 buckets, half categories of 1,000 values; the answer with both histograms and \
         all statistics, over HTTP; the reference is profiled once."
    ));
    scene
}

/// The hours of a day as they are profiled, and the day that is rolled up from them.
async fn profile_day(clickhouse: &ClickHouse, model: &str, day: i64, inferences: u64, seed: u64) {
    let hourly = inferences / 24;
    // Numbers of a normal distribution in buckets of a hundredth, categories by Zipf's law.
    let sql = "INSERT INTO profiles_minute (model, minute, environment, version, segment, arm, feature, generation, inferences, absent, \
                 `nan`, positive_infinity, negative_infinity, bucket_keys, bucket_counts, values, value_counts) \
               WITH arrayMap(k -> toUInt64({hourly:UInt64} * exp(-pow((k - 700 - feature_number - {seed:UInt64}) / 200, 2)) / 354), range(1400)) AS bells, \
                 arrayMap(k -> toUInt64({hourly:UInt64} / (k + 1) / 7.49), range(1000)) AS ranks, \
                 arrayFilter((k, n) -> n > 0, arrayMap(k -> toInt32(130000 + k), range(1400)), bells) AS keys, \
                 arrayFilter(n -> n > 0, bells) AS counts, \
                 arrayFilter((k, n) -> n > 0, arrayMap(k -> concat('value ', toString(k)), range(1000)), ranks) AS names, \
                 arrayFilter(n -> n > 0, ranks) AS name_counts, feature_number % 2 = 1 AS is_numeric \
               SELECT {model:String}, toDateTime({day:Int64} + 3600 * hour, 'UTC'), '', '1', '', '', \
                 if(feature_number = 0, '', concat('feature ', toString(feature_number))), 1, {hourly:UInt64}, 0, 0, 0, 0, \
                 if(feature_number > 0 AND is_numeric, keys, []), if(feature_number > 0 AND is_numeric, counts, []), \
                 if(feature_number > 0 AND NOT is_numeric, names, []), if(feature_number > 0 AND NOT is_numeric, name_counts, []) \
               FROM (SELECT number % 24 AS hour, intDiv(number, 24) AS feature_number FROM numbers(24 * ({features:UInt64} + 1)))";
    let query = clickhouse.writer().query(sql);
    query
        .param("model", model)
        .param("day", day)
        .param("hourly", hourly)
        .param("seed", seed * 10)
        .param("features", FEATURES)
        .execute()
        .await
        .expect("profiles are written");
    let minutes: Vec<i64> = (0..24).map(|hour| day + hour * 3_600).collect();
    write_generations(clickhouse, Computed::Profiles, model, &minutes, 1)
        .await
        .expect("generations are written");
    for hour in minutes {
        write_rollup(clickhouse, model, RollupLength::Hour, hour, 1)
            .await
            .expect("an hour is rolled up");
    }
    write_rollup(clickhouse, model, RollupLength::Day, day, 1)
        .await
        .expect("a day is rolled up");
}
