//! `profiles_minute`: what every minute holds per feature, written whole and read as windows.

use std::collections::BTreeMap;

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::generations::{Computed, write_generations};
use super::minutes::{self, SERVES, dirty_inferences};
use super::positive::{self, Positive};
pub use super::profile_sources::Sources;
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;
use crate::embedding::BUCKETS;
use crate::records::{DecidedScores, Embeddings, FeatureCounts, MAX_CATEGORIES, OTHER_CATEGORIES, pseudo};

/// Distinct (feature, value) pairs that one read holds at most: bounds the engine's memory to some hundred
/// megabytes where somebody sends unique ids as categories. What is beyond is "other".
const MAX_GROUPS: usize = 1_000_000;

/// Kinds of embeddings whose directions a minute of a series holds, the most frequent: each is a row of 64 × 32 numbers at most. One
/// encoder gives way to another; more at once is a sender who names every vector differently.
const MAX_KINDS: usize = 4;

/// What a row of `profiles_minute` holds beside its model and generation.
const PROFILE_COLUMNS: &str = "minute, environment, version, segment, arm, feature, inferences, absent, `nan`, positive_infinity, \
    negative_infinity, bucket_keys, bucket_counts, values, value_counts";

/// Which profiles to read.
#[derive(Debug, Clone, Copy)]
pub struct ProfileQuery<'a> {
    /// The model.
    pub model: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// One version; `None`: all of them.
    pub version: Option<&'a str>,
    /// One segment; `None`: all traffic together.
    pub segment: Option<&'a str>,
    /// First minute.
    pub from: UnixNanos,
    /// Exclusive end.
    pub until: UnixNanos,
    /// Minutes that are left out, as Unix seconds of their starts.
    pub without: &'a [i64],
}

/// The profile of a stretch of time: counts by feature.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Inferences, whatever their features.
    pub inferences: u64,
    /// Counts by feature and pseudo-feature, each with the same number of inferences.
    pub features: BTreeMap<String, FeatureCounts>,
    /// Scores of the positive class by what was decided.
    pub scores: DecidedScores,
    /// What there is of embeddings.
    pub embeddings: Embeddings,
}

impl Profile {
    /// The counts of a feature; those of one that nobody sent where it is unknown.
    pub fn feature(&self, name: &str) -> FeatureCounts {
        self.features.get(name).cloned().unwrap_or_else(|| {
            let mut counts = FeatureCounts::default();
            counts.complete_to(self.inferences);
            counts
        })
    }

    /// Adds the counts of another stretch.
    pub fn merge(&mut self, other: &Self) {
        self.inferences += other.inferences;
        self.scores.merge(&other.scores);
        self.embeddings.merge(&other.embeddings);
        for (name, counts) in &other.features {
            self.features.entry(name.clone()).or_default().merge(counts);
        }
        for counts in self.features.values_mut() {
            counts.complete_to(self.inferences);
        }
    }
}

/// The profiles of minutes, computed from the deduplicated inferences, as a query; [`minutes::bind_dirty`] and `other`
/// are its parameters, with those of [`bind_names`]. Scores of the positive class are profiled like features.
///
/// Each series of a minute has a row of the feature "" with its number of inferences, so that a feature
/// that nobody sent is known to be absent. Keys are those of [`crate::bucket`].
///
/// Embeddings are profiled as pseudo-features ([`Embeddings`]). What the drain said of their directions is counted beside the
/// values: one row of an inference that names the kind, and the buckets of all projections in one aggregate.
fn profiles_of_minutes(positive: Option<Positive<'_>>) -> String {
    let scores = if positive.is_some() { ", scores" } else { "" };
    format!(
        "SELECT minute, environment, version, segment, arm, feature, \
           max(whole) OVER (PARTITION BY minute, environment, version, segment, arm) AS inferences, \
           if(feature = '', 0, inferences - present) AS absent, nans AS `nan`, positive_infinities AS positive_infinity, \
           negative_infinities AS negative_infinity, \
           if(empty(directions), CAST(buckets.1, 'Array(Int32)'), arrayMap(x -> x.1, counted)) AS bucket_keys, \
           if(empty(directions), CAST(buckets.2, 'Array(UInt64)'), arrayMap(x -> x.2, counted)) AS bucket_counts, \
           if(categories_n > {MAX_CATEGORIES}, arrayPushBack(kept.1, {{other:String}}), kept.1) AS values, \
           if(categories_n > {MAX_CATEGORIES}, arrayPushBack(kept.2, toUInt64(category_total - arraySum(kept.2))), kept.2) AS value_counts \
         FROM (\
           SELECT minute, environment, version, segment, arm, feature, \
             anyIf(directions, kind = 6) AS directions, \
             arrayFilter(x -> x.2 > 0, arrayZip(CAST(range(length(directions)), 'Array(Int32)'), directions)) AS counted, \
             sumIf(n, kind = 5) AS whole, sumIf(n, kind != 5) AS present, sumIf(n, kind = 1) AS category_total, \
             sumIf(n, kind = 2) AS nans, sumIf(n, kind = 3) AS positive_infinities, sumIf(n, kind = 4) AS negative_infinities, \
             arraySort(groupArrayIf((key, n), kind = 0)) AS buckets, countIf(kind = 1) AS categories_n, \
             arraySlice(arraySort(x -> (-toInt64(x.2), x.1), groupArrayIf((value, n), kind = 1)), 1, {MAX_CATEGORIES}) AS kept \
           FROM (\
             SELECT minute, environment, version, segment, arm, feature, kind, key, value, count() AS n, \
               arrayFlatten(countResampleForEachIf(0, {BUCKETS}, 1)(embedding_projections, kind = 6)) AS directions \
             FROM (\
               SELECT toStartOfMinute(event_time) AS minute, \
                 ifNull(environment, '') AS environment, ifNull(version, '') AS version, \
                 ifNull(segment, '') AS segment, ifNull(arm, '') AS arm, \
                 {positive_score} AS positive_score, \
                 arrayConcat(mapKeys(numeric_features), \
                   if(isNull(prediction_score), [], ['{score}']), if(isNull(prediction_value), [], ['{value}']), \
                   if(isNull(embedding_created_at), [], [{{embedding_age:String}}]), \
                   if(isNull(positive_score), [], [if(ifNull(prediction_label = {{positive:String}}, positive_score >= 0.5), \
                     {{decided:String}}, {{others:String}})])) AS number_names, \
                 arrayConcat(mapValues(numeric_features), \
                   if(isNull(prediction_score), [], [assumeNotNull(prediction_score)]), \
                   if(isNull(prediction_value), [], [assumeNotNull(prediction_value)]), \
                   if(isNull(embedding_created_at), [], \
                     [(toUnixTimestamp64Nano(event_time) - toUnixTimestamp64Nano(assumeNotNull(embedding_created_at))) / 86400e9]), \
                   if(isNull(positive_score), [], [assumeNotNull(positive_score)])) AS numbers, \
                 concat(toString(embedding_dimensions), ':', ifNull(embedding_model, '')) AS embedding_kind, \
                 arrayConcat(mapKeys(categorical_features), if(isNull(prediction_label), [], ['{label}']), \
                   if(embedding_dimensions = 0, [], [{{embedding_kind:String}}])) AS category_names, \
                 arrayConcat(mapValues(categorical_features), \
                   if(isNull(prediction_label), [], [toString(assumeNotNull(prediction_label))]), \
                   if(embedding_dimensions = 0, [], [embedding_kind])) AS categories, \
                 if(empty(embedding_projections), [], [concat({{embedding_directions:String}}, embedding_kind)]) AS directed, \
                 arrayConcat(number_names, category_names, directed, ['']) AS features, \
                 arrayConcat(arrayMap(x -> multiIf(isFinite(x), 0, isNaN(x), 2, x > 0, 3, 4), numbers), \
                   arrayMap(x -> 1, categories), arrayMap(x -> 6, directed), [5]) AS kinds, \
                 arrayConcat(arrayMap(x -> {key}, numbers), arrayMap(x -> 0, categories), arrayMap(x -> 0, directed), [0]) AS keys, \
                 arrayConcat(arrayMap(x -> '', numbers), categories, arrayMap(x -> '', directed), ['']) AS texts, \
                 embedding_projections \
               FROM {whole}) \
             ARRAY JOIN features AS feature, kinds AS kind, keys AS key, texts AS value \
             GROUP BY minute, environment, version, segment, arm, feature, kind, key, value) \
           GROUP BY minute, environment, version, segment, arm, feature) \
         QUALIFY empty(directions) OR \
           row_number() OVER (PARTITION BY minute, environment, version, segment, arm, empty(directions) ORDER BY present DESC, feature) \
             <= {MAX_KINDS}",
        score = pseudo::PREDICTION_SCORE,
        value = pseudo::PREDICTION_VALUE,
        label = pseudo::PREDICTION_LABEL,
        key = minutes::bucket_key("x"),
        positive_score = positive::score(positive),
        whole = dirty_inferences(&format!(
            "event_time, environment, version, segment, arm, prediction_label, prediction_score, prediction_value, \
             numeric_features, categorical_features, embedding_model, embedding_created_at, embedding_dimensions, \
             embedding_projections{scores}"
        )),
    )
}

/// Computes whole minutes (Unix seconds of their starts) from the deduplicated inferences, by one query,
/// and makes the result the current one.
///
/// # Errors
/// A query failed; the minutes keep what they had, and have to be computed again.
pub async fn write_profiles(
    clickhouse: &ClickHouse,
    model: &str,
    positive: Option<Positive<'_>>,
    minutes: &[i64],
    generation: u64,
) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO profiles_minute (model, generation, {PROFILE_COLUMNS}) \
         SELECT {{model:String}}, {{generation:UInt64}}, {PROFILE_COLUMNS} FROM ({profiles})",
        profiles = profiles_of_minutes(positive),
    );
    bind_names(minutes::bind_dirty(clickhouse.writer().query(&sql), model, minutes), positive)
        .param("generation", generation)
        .param("other", OTHER_CATEGORIES)
        .execute()
        .await?;
    write_generations(clickhouse, Computed::Profiles, model, minutes, generation).await
}

#[derive(Debug, Row, Deserialize)]
struct SeriesRow {
    environment: String,
    version: String,
    feature: String,
    inferences: u64,
    nan: u64,
    positive_infinity: u64,
    negative_infinity: u64,
    bucket_keys: Vec<i32>,
    bucket_counts: Vec<u64>,
    values: Vec<String>,
    value_counts: Vec<u64>,
}

/// The profiles of minutes (Unix seconds of their starts) by environment and version as `inferences` has them now,
/// whether they were profiled or not; nothing is written. Only traffic that was served counts, and only that of the segment
/// where one is named.
///
/// # Errors
/// The query failed.
pub async fn profiles_now(
    clickhouse: &ClickHouse,
    model: &str,
    positive: Option<Positive<'_>>,
    segment: Option<&str>,
    minutes: &[i64],
) -> Result<BTreeMap<(String, String), Profile>, Error> {
    if minutes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "SELECT environment, version, feature, inferences, `nan`, positive_infinity, negative_infinity, bucket_keys, bucket_counts, \
           values, value_counts FROM ({profiles}) WHERE {SERVES} AND ({{any_segment:Bool}} OR segment = {{segment:String}}) \
         ORDER BY minute, environment, version, segment, arm, feature",
        profiles = profiles_of_minutes(positive),
    );
    let rows: Vec<SeriesRow> = bind_names(minutes::bind_dirty(clickhouse.reader().query(&sql), model, minutes), positive)
        .param("other", OTHER_CATEGORIES)
        .param("any_segment", segment.is_none())
        .param("segment", segment.unwrap_or_default())
        .fetch_all()
        .await?;
    Ok(join_series(rows))
}

fn bind_names(query: clickhouse::query::Query, positive: Option<Positive<'_>>) -> clickhouse::query::Query {
    query
        .param(positive::PARAMETER, positive.map_or("", |positive| positive.class))
        .param("decided", pseudo::SCORE_OF_DECIDED)
        .param("others", pseudo::SCORE_OF_OTHERS)
        .param("embedding_kind", pseudo::EMBEDDING_KIND)
        .param("embedding_age", pseudo::EMBEDDING_AGE_DAYS)
        .param("embedding_directions", pseudo::EMBEDDING_DIRECTIONS)
}

/// Joins the minutes, segments and arms of each version. The feature "" comes first in each series.
fn join_series(rows: Vec<SeriesRow>) -> BTreeMap<(String, String), Profile> {
    let mut profiles: BTreeMap<(String, String), Profile> = BTreeMap::new();
    for row in rows {
        let profile = profiles.entry((row.environment, row.version)).or_default();
        if row.feature.is_empty() {
            profile.inferences += row.inferences;
            continue;
        }
        let counts = profile.features.entry(row.feature).or_default();
        counts.nan += row.nan;
        counts.positive_infinity += row.positive_infinity;
        counts.negative_infinity += row.negative_infinity;
        for (key, n) in row.bucket_keys.into_iter().zip(row.bucket_counts) {
            *counts.buckets.entry(key).or_default() += n;
        }
        for (value, n) in row.values.iter().zip(row.value_counts) {
            counts.add_categories(value, n);
        }
    }
    for profile in profiles.values_mut() {
        profile.scores = DecidedScores::taken_from(&mut profile.features);
        profile.embeddings = Embeddings::taken_from(&mut profile.features);
        for counts in profile.features.values_mut() {
            counts.complete_to(profile.inferences);
        }
    }
    profiles
}

#[derive(Debug, Row, Deserialize)]
struct NumbersRow {
    block: i64,
    version: String,
    part: String,
    feature: String,
    inferences: u64,
    nan: u64,
    positive_infinity: u64,
    negative_infinity: u64,
    buckets: (Vec<i32>, Vec<u64>),
    categories: u64,
}

#[derive(Debug, Row, Deserialize)]
struct CategoryRow {
    block: i64,
    version: String,
    part: String,
    feature: String,
    value: String,
    n: u64,
}

/// The profiles by version. Only traffic that was served counts.
///
/// # Errors
/// A query failed.
pub async fn read_profiles(clickhouse: &ClickHouse, query: ProfileQuery<'_>) -> Result<BTreeMap<String, Profile>, Error> {
    let profiles = read_cut(clickhouse, query, Cut::WHOLE).await?;
    Ok(profiles.into_iter().map(|((_, version, _), profile)| (version, profile)).collect())
}

/// From which tables a stretch is read: to be asked for before its environments are known, for [`read_profiles_from`].
///
/// # Errors
/// The query failed.
pub async fn profile_sources(clickhouse: &ClickHouse, query: ProfileQuery<'_>) -> Result<Sources, Error> {
    Sources::of(clickhouse, query, Cut::WHOLE).await
}

/// [`read_profiles`] of a stretch whose sources are known.
///
/// # Errors
/// The query failed.
pub async fn read_profiles_from(
    clickhouse: &ClickHouse,
    query: ProfileQuery<'_>,
    sources: &Sources,
) -> Result<BTreeMap<String, Profile>, Error> {
    let profiles = read_sources(clickhouse, query, Cut::WHOLE, sources).await?;
    Ok(profiles.into_iter().map(|((_, version, _), profile)| (version, profile)).collect())
}

/// The profiles of these segments by version and segment. Only traffic that was served counts.
///
/// # Errors
/// A query failed.
pub async fn read_segment_profiles(
    clickhouse: &ClickHouse,
    query: ProfileQuery<'_>,
    segments: &[String],
) -> Result<BTreeMap<(String, String), Profile>, Error> {
    if segments.is_empty() {
        return Ok(BTreeMap::new());
    }
    let cut = Cut { segments, ..Cut::WHOLE };
    let profiles = read_cut(clickhouse, query, cut).await?;
    Ok(profiles
        .into_iter()
        .map(|((_, version, segment), profile)| ((version, segment), profile))
        .collect())
}

/// A stretch that is cut into blocks, and which of them are read; or into segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut<'a> {
    /// Length of a block in seconds.
    pub seconds: i64,
    /// Numbers of blocks, from 0; empty: all.
    pub only: &'a [i64],
    /// Segments that are told apart, without all others; empty: all traffic together.
    pub segments: &'a [String],
}

/// Number of a block, version, segment (empty where segments are not told apart).
type Part = (i64, String, String);

impl Cut<'_> {
    pub const WHOLE: Cut<'static> = Cut {
        seconds: i64::MAX,
        only: &[],
        segments: &[],
    };

    pub fn is_whole(self) -> bool {
        self.seconds == i64::MAX
    }
}

async fn read_cut(clickhouse: &ClickHouse, query: ProfileQuery<'_>, cut: Cut<'_>) -> Result<BTreeMap<Part, Profile>, Error> {
    let sources = Sources::of(clickhouse, query, cut).await?;
    read_sources(clickhouse, query, cut, &sources).await
}

async fn read_sources(
    clickhouse: &ClickHouse,
    query: ProfileQuery<'_>,
    cut: Cut<'_>,
    sources: &Sources,
) -> Result<BTreeMap<Part, Profile>, Error> {
    let numbers = sources.bind(bind_query(clickhouse, &numbers_sql(sources), query, cut));
    let categories = sources
        .bind(bind_query(clickhouse, &categories_sql(sources), query, cut))
        .with_setting("max_rows_to_group_by", MAX_GROUPS.to_string())
        .with_setting("group_by_overflow_mode", "any");
    let (numbers, categories) = tokio::try_join!(numbers.fetch_all(), categories.fetch_all())?;
    Ok(assemble(numbers, categories))
}

/// The profile of a stretch of time as one.
///
/// # Errors
/// A query failed.
pub async fn read_profile(clickhouse: &ClickHouse, query: ProfileQuery<'_>) -> Result<Profile, Error> {
    let mut whole = Profile::default();
    read_profiles(clickhouse, query)
        .await?
        .values()
        .for_each(|profile| whole.merge(profile));
    Ok(whole)
}

/// Names of all features (and pseudo-features) that a model sent in a stretch.
///
/// # Errors
/// The query failed.
pub async fn known_features(clickhouse: &ClickHouse, query: ProfileQuery<'_>) -> Result<Vec<String>, Error> {
    let sources = Sources::of(clickhouse, query, Cut::WHOLE).await?;
    let sql = format!(
        "SELECT DISTINCT feature FROM (SELECT feature FROM {rows}) \
         WHERE feature != '' AND NOT startsWith(feature, {{hidden:String}}) ORDER BY feature",
        rows = sources.current_profiles("1 AS one"),
    );
    sources
        .bind(bind_query(clickhouse, &sql, query, Cut::WHOLE))
        .param("hidden", pseudo::HIDDEN)
        .fetch_all()
        .await
}

/// Environments in which a model served between two instants.
///
/// # Errors
/// The query failed.
pub async fn environments_between(clickhouse: &ClickHouse, model: &str, from: UnixNanos, until: UnixNanos) -> Result<Vec<String>, Error> {
    let sql = format!(
        "SELECT DISTINCT environment FROM profiles_minute WHERE model = {{model:String}} \
           AND minute >= toDateTime({{from:Int64}}, 'UTC') AND minute < toDateTime({{until:Int64}}, 'UTC') AND {SERVES} ORDER BY environment"
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await
}

/// How much a block of a stretch holds.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct BlockSize {
    /// Number of the block, from 0 at the query's start.
    pub block: i64,
    /// Inferences that were served.
    pub inferences: u64,
    /// At least as many as it has distinct values of categories.
    pub values: u64,
}

/// How much each block of `seconds` holds; blocks without inferences are left out.
///
/// # Errors
/// The query failed.
pub async fn block_sizes(clickhouse: &ClickHouse, query: ProfileQuery<'_>, seconds: u32) -> Result<Vec<BlockSize>, Error> {
    let cut = Cut {
        seconds: seconds.into(),
        ..Cut::WHOLE
    };
    let sources = Sources::of(clickhouse, query, cut).await?;
    let sql = format!(
        "SELECT block, sumIf(n, feature = '') AS inferences, sum(categories) AS values \
         FROM (SELECT block, feature, n, categories FROM {rows}) GROUP BY block HAVING inferences > 0 ORDER BY block",
        rows = sources.current_profiles("inferences AS n, length(values) AS categories"),
    );
    sources.bind(bind_query(clickhouse, &sql, query, cut)).fetch_all().await
}

/// The profiles of some blocks, all versions together, by the block's number. Blocks are read together as long as their
/// categories surely fit one query: what does not fit would be cut short.
///
/// # Errors
/// A query failed.
pub async fn read_blocks(
    clickhouse: &ClickHouse,
    query: ProfileQuery<'_>,
    seconds: u32,
    blocks: &[BlockSize],
) -> Result<BTreeMap<i64, Profile>, Error> {
    let mut profiles: BTreeMap<i64, Profile> = BTreeMap::new();
    for only in fitting(blocks) {
        let cut = Cut {
            seconds: seconds.into(),
            only: &only,
            ..Cut::WHOLE
        };
        for ((block, ..), profile) in read_cut(clickhouse, query, cut).await? {
            profiles.entry(block).or_default().merge(&profile);
        }
    }
    Ok(profiles)
}

/// Groups of blocks whose values fit one query; a block that does not fit stands alone.
fn fitting(blocks: &[BlockSize]) -> Vec<Vec<i64>> {
    let mut groups: Vec<Vec<i64>> = Vec::new();
    let mut values = 0;
    for block in blocks {
        values += block.values;
        match groups.last_mut() {
            Some(group) if values <= MAX_GROUPS as u64 => group.push(block.block),
            _ => {
                values = block.values;
                groups.push(vec![block.block]);
            }
        }
    }
    groups
}

fn numbers_sql(sources: &Sources) -> String {
    let rows = sources.current_profiles(
        "inferences, `nan` AS nans, positive_infinity AS positives, negative_infinity AS negatives, bucket_keys, bucket_counts, \
         arraySum(value_counts) AS category_n",
    );
    format!(
        "SELECT block, version, part, feature, sum(inferences) AS inferences, sum(nans) AS `nan`, sum(positives) AS positive_infinity, \
           sum(negatives) AS negative_infinity, sumMap(bucket_keys, bucket_counts) AS buckets, sum(category_n) AS categories \
         FROM {rows} GROUP BY block, version, part, feature"
    )
}

fn categories_sql(sources: &Sources) -> String {
    let rows = sources.current_profiles("values, value_counts");
    format!(
        "SELECT block, version, part, feature, value, sum(value_n) AS n \
         FROM (SELECT block, version, part, feature, values, value_counts FROM {rows}) \
         ARRAY JOIN values AS value, value_counts AS value_n \
         GROUP BY block, version, part, feature, value \
         ORDER BY block, version, part, feature, n DESC, value LIMIT {MAX_CATEGORIES} BY block, version, part, feature"
    )
}

pub(super) fn bind_query(clickhouse: &ClickHouse, sql: &str, query: ProfileQuery<'_>, cut: Cut<'_>) -> clickhouse::query::Query {
    let without: Vec<u32> = query.without.iter().filter_map(|&minute| u32::try_from(minute).ok()).collect();
    clickhouse
        .reader()
        .query(sql)
        .param("model", query.model)
        .param("environment", query.environment)
        .param("any_version", query.version.is_none())
        .param("version", query.version.unwrap_or_default())
        .param("any_segment", query.segment.is_none())
        .param("segment", query.segment.unwrap_or_default())
        .param("segments", cut.segments)
        .param("from", query.from.seconds().max(0))
        .param("until", query.until.seconds().max(0))
        .param("without", without)
        .param("block", cut.seconds)
        .param("blocks", cut.only)
}

fn assemble(numbers: Vec<NumbersRow>, categories: Vec<CategoryRow>) -> BTreeMap<Part, Profile> {
    let mut profiles: BTreeMap<Part, Profile> = BTreeMap::new();
    for row in numbers {
        let profile = profiles.entry((row.block, row.version, row.part)).or_default();
        if row.feature.is_empty() {
            profile.inferences = row.inferences;
            continue;
        }
        let counts = profile.features.entry(row.feature).or_default();
        counts.nan = row.nan;
        counts.positive_infinity = row.positive_infinity;
        counts.negative_infinity = row.negative_infinity;
        counts.buckets = row.buckets.0.into_iter().zip(row.buckets.1).collect();
        // All categories are other until the next loop names them.
        counts.other = row.categories;
    }
    for row in categories {
        let Some(counts) = profiles
            .get_mut(&(row.block, row.version, row.part))
            .and_then(|profile| profile.features.get_mut(&row.feature))
        else {
            continue;
        };
        if row.value != OTHER_CATEGORIES {
            counts.other = counts.other.saturating_sub(row.n);
            counts.values.insert(row.value, row.n);
        }
    }
    for profile in profiles.values_mut() {
        profile.scores = DecidedScores::taken_from(&mut profile.features);
        profile.embeddings = Embeddings::taken_from(&mut profile.features);
        for counts in profile.features.values_mut() {
            counts.complete_to(profile.inferences);
        }
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: &str, feature: &str, inferences: u64, buckets: &[(i32, u64)], values: &[(&str, u64)]) -> SeriesRow {
        SeriesRow {
            environment: "e".into(),
            version: version.into(),
            feature: feature.into(),
            inferences,
            nan: 0,
            positive_infinity: 0,
            negative_infinity: 0,
            bucket_keys: buckets.iter().map(|(key, _)| *key).collect(),
            bucket_counts: buckets.iter().map(|(_, n)| *n).collect(),
            values: values.iter().map(|(value, _)| (*value).into()).collect(),
            value_counts: values.iter().map(|(_, n)| *n).collect(),
        }
    }

    #[test]
    fn the_minutes_of_a_version_are_joined_and_what_nobody_sent_is_absent() {
        let joined = join_series(vec![
            row("1", "", 10, &[], &[]),
            row("1", "age", 10, &[(5, 4), (6, 6)], &[]),
            row("1", "", 5, &[], &[]),
            row("1", "age", 5, &[(6, 3)], &[]),
            row("1", "city", 5, &[], &[("Bonn", 4), (OTHER_CATEGORIES, 1)]),
            row("2", "", 1, &[], &[]),
        ]);
        let first = &joined[&("e".to_owned(), "1".to_owned())];
        assert_eq!(first.inferences, 15);
        assert_eq!(first.features["age"].buckets, BTreeMap::from([(5, 4), (6, 9)]));
        assert_eq!((first.features["age"].inferences, first.features["age"].absent), (15, 2));
        assert_eq!((first.features["city"].other, first.features["city"].absent), (1, 10));
        assert_eq!(joined[&("e".to_owned(), "2".to_owned())].inferences, 1);
    }

    #[test]
    fn blocks_are_read_together_as_far_as_their_values_fit() {
        let check = |values: &[u64], expected: &[&[i64]]| {
            let blocks: Vec<BlockSize> = (0..)
                .zip(values)
                .map(|(block, &values)| BlockSize {
                    block,
                    inferences: 100,
                    values,
                })
                .collect();
            assert_eq!(fitting(&blocks), expected);
        };
        const ALL: u64 = MAX_GROUPS as u64;
        check(&[], &[]);
        check(&[10, 10, 10], &[&[0, 1, 2]]);
        check(&[ALL / 2, ALL / 2, 1, ALL + 1, 1], &[&[0, 1], &[2], &[3], &[4]]);
    }
}
