//! `GET /api/v1/models/{model}/segments`: how each segment of users fares.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftlead_store::clickhouse::query::generations::newest_profiled_minute;
use driftlead_store::clickhouse::query::profiles::{ProfileQuery, environments_between};
use driftlead_store::clickhouse::query::segments::{SegmentTraffic, segments_served};
use driftlead_store::clickhouse::query::signals::{SignalFilter, segment_headlines};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::state::WebState;
use crate::view::metric::Metric;

const DAY_SECONDS: i64 = 86_400;
/// How far back the latest window of a judged signal is looked for.
const LATEST_WITHIN_SECONDS: i64 = 40 * DAY_SECONDS;
/// Service signals of segments come once a minute; older ones are not of now.
const SERVICE_STALE_SECONDS: i64 = 150;
/// Segments of a version in one answer at most.
const MAX_SEGMENTS: u64 = 1_000;

/// Signals of the last minute.
const OF_THE_MINUTE: [&str; 3] = [names::REQUEST_RATE, names::ERROR_RATIO, names::LATENCY_P95_MS];
/// Signals of hours and days, and why there is none where there is none.
const OF_WINDOWS: [(&str, &str); 6] = [
    (names::FEATURE_SHIFT, "insufficient"),
    (names::PREDICTION_SHIFT, "insufficient"),
    (names::MISSING_RATIO, "insufficient"),
    (names::F1, "no_labels"),
    (names::ACCURACY, "no_labels"),
    (names::MAE, "no_labels"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(
            "/api/v1/models/{model}/segments",
            "Segments of the last day of traffic, the largest first: share, traffic, errors, latency, shift, quality.",
            list,
        )
        .query(&[
            ("environment", "unsaid: the one with the most traffic"),
            ("version", "unsaid: all versions, each for itself"),
        ]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    environment: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Segments {
    environment: String,
    /// The day that traffic is counted in; `None` where none came.
    from: Option<UnixNanos>,
    to: Option<UnixNanos>,
    segments: Vec<Segment>,
}

#[derive(Debug, Serialize)]
struct Segment {
    segment: String,
    version: String,
    /// Inferences in the day.
    inferences: u64,
    /// Of those of the version.
    share: f64,
    /// By name of the signal, the latest value of each.
    metrics: BTreeMap<&'static str, Metric>,
}

async fn list(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Path(model): Path<String>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Segments>, Problem> {
    let asked_environment = caller.environment(asked.environment)?;
    let version = asked.version.filter(|version| !version.is_empty());
    let failed = |error| app.telemetry_problem(&error);
    let newest = newest_profiled_minute(&app.clickhouse, &model).await.map_err(failed)?;
    let Some(to) = newest.map(|minute| minute.plus_seconds(60)) else {
        return Ok(Json(Segments {
            environment: asked_environment.unwrap_or_default(),
            from: None,
            to: None,
            segments: Vec::new(),
        }));
    };
    let from = to.plus_seconds(-DAY_SECONDS);
    let environments = match asked_environment {
        Some(environment) => vec![environment],
        None => environments_between(&app.clickhouse, &model, from, to).await.map_err(failed)?,
    };
    let mut busiest = (String::new(), Vec::new());
    for environment in environments {
        let query = ProfileQuery {
            model: &model,
            environment: &environment,
            version: version.as_deref(),
            segment: None,
            from,
            until: to,
            without: &[],
        };
        let served = segments_served(&app.clickhouse, query, 1, MAX_SEGMENTS).await.map_err(failed)?;
        let total = |served: &[SegmentTraffic]| served.iter().map(|of| of.inferences).sum::<u64>();
        if busiest.1.is_empty() || total(&served) > total(&busiest.1) {
            busiest = (environment, served);
        }
    }
    let (environment, served) = busiest;
    let now = app.clock.now();
    let of_the_minute: Vec<String> = OF_THE_MINUTE.map(str::to_owned).into();
    let of_windows: Vec<String> = OF_WINDOWS.map(|(name, _)| name.to_owned()).into();
    let service = SignalFilter {
        environment: Some(&environment),
        version: version.as_deref(),
        names: &of_the_minute,
        ..SignalFilter::of_model(&model, now.plus_seconds(-SERVICE_STALE_SECONDS), now.plus_seconds(1))
    };
    let judged = SignalFilter {
        names: &of_windows,
        from: now.plus_seconds(-LATEST_WITHIN_SECONDS),
        ..service
    };
    let (mut latest, judged) = tokio::try_join!(
        segment_headlines(&app.clickhouse, service),
        segment_headlines(&app.clickhouse, judged),
    )
    .map_err(failed)?;
    latest.extend(judged);
    let mut segments: Vec<Segment> = served
        .into_iter()
        .map(|of| Segment {
            metrics: metrics(&latest, &of.version, &of.segment),
            share: of.inferences as f64 / of.total.max(1) as f64,
            segment: of.segment,
            version: of.version,
            inferences: of.inferences,
        })
        .collect();
    segments.sort_by(|a, b| b.inferences.cmp(&a.inferences).then_with(|| a.segment.cmp(&b.segment)));
    Ok(Json(Segments {
        environment,
        from: Some(from),
        to: Some(to),
        segments,
    }))
}

fn metrics(latest: &[Signal], version: &str, segment: &str) -> BTreeMap<&'static str, Metric> {
    let of = |name: &'static str, absent: &'static str| {
        let signal = latest
            .iter()
            .find(|signal| signal.name == name && signal.version == version && signal.segment == segment);
        (name, Metric::from_signal(name, signal, absent))
    };
    let minute = OF_THE_MINUTE.into_iter().map(|name| of(name, "no_data"));
    let windows = OF_WINDOWS.into_iter().map(|(name, absent)| of(name, absent));
    minute.chain(windows).collect()
}
