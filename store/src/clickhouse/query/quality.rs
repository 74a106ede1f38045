//! Predictions, and the truths and verdicts that came for them.

use std::collections::BTreeMap;

use clickhouse::Row;
use clickhouse::error::Error;
use serde::Deserialize;

use super::minutes::{SERVES, bucket_key};
use super::positive::{self, Positive};
use crate::clickhouse::ClickHouse;
use crate::clock::UnixNanos;

/// What became known of the inferences of one version in a window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelledWindow {
    /// Inferences whose label has come.
    pub labelled: u64,
    /// How often one class was predicted where another (or the same) was true: predicted, true, how often.
    pub classes: Vec<(String, String, u64)>,
    /// Scores of the positive class.
    pub scores: Vec<LabelledScores>,
    /// What those scores cost.
    pub losses: Losses,
    /// What the scores of all classes cost, where the model declares no positive class.
    pub distributions: Distributions,
    /// Predicted numbers.
    pub values: Values,
    /// Inferences that a person judged.
    pub verdicts: u64,
    /// Those that were judged incorrect.
    pub incorrect: u64,
}

/// Labelled inferences whose scores lie in one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelledScores {
    /// The bucket ([`crate::bucket`]).
    pub key: i32,
    /// Whether the positive class was predicted; where no class was, whether the score is one half or more.
    pub is_decided: bool,
    /// Whether it is true.
    pub is_positive: bool,
    /// How many.
    pub n: u64,
}

/// Sums of what scores cost that are probabilities, from the scores themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// Scores from 0 to 1.
    pub n: u64,
    /// Scores that are finite, but no probabilities.
    pub no_probabilities: u64,
    /// Of the squared differences from the labels, and of the squares of those.
    pub squared: (f64, f64),
    /// Of the negative logarithms of what the true label was given, at least 2.2e-16, and of the squares of those.
    pub logarithmic: (f64, f64),
}

/// Sums of what the scores of all classes cost, brought to 1 in all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Distributions {
    /// Inferences that have a score of the true class and of another one, none of them below 0.
    pub n: u64,
    /// Of the squared differences between scores and truth, over all classes, and of the squares of those.
    pub squared: (f64, f64),
    /// Of the negative logarithms of what the true class was given, at least 2.2e-16, and of the squares of those.
    pub logarithmic: (f64, f64),
}

/// Labelled inferences whose score of a class lies in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassScores {
    /// The class.
    pub class: String,
    /// The bucket ([`crate::bucket`]).
    pub key: i32,
    /// Whether the class is the true one.
    pub is_true: bool,
    /// How many.
    pub n: u64,
}

/// Sums over predicted numbers whose label is a number. An error is prediction minus truth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Values {
    /// How many.
    pub n: u64,
    /// Of the errors.
    pub errors: f64,
    /// Of the errors without their sign.
    pub absolute_errors: f64,
    /// Of the squared errors.
    pub squared_errors: f64,
    /// Of the squares of those.
    pub fourth_powers: f64,
    /// Of the true values.
    pub truths: f64,
    /// Of the squared true values.
    pub squared_truths: f64,
}

/// Whose inferences became known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelledOf {
    /// The environment; empty where senders state none.
    pub environment: String,
    /// The version; empty where senders state none.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
}

/// A row of one of three groupings: by classes, by scores, of all; of all traffic, or of each segment.
#[derive(Debug, Row, Deserialize)]
struct LabelledRow {
    environment: String,
    version: String,
    is_of_segment: bool,
    segment: String,
    is_by_class: bool,
    is_by_score: bool,
    has_classes: bool,
    predicted: String,
    truth: String,
    has_score: bool,
    is_decided: bool,
    is_positive: bool,
    key: i32,
    n: u64,
    labelled: u64,
    probabilities: u64,
    squared_sums: (f64, f64),
    logarithmic_sums: (f64, f64),
    distributions: u64,
    distribution_squared: (f64, f64),
    distribution_logarithmic: (f64, f64),
    values: u64,
    value_sums: (f64, f64, f64, f64, f64, f64),
    verdicts: u64,
    incorrect: u64,
}

/// By environment and version, what became known of the inferences with event times from `from` up to and not including
/// `until`, of all traffic together and of each of `segments`. Of several labels, or verdicts, for one inference the one that
/// became known last counts. Without a positive class there are no scores.
///
/// # Errors
/// The query failed.
pub async fn labelled_windows(
    clickhouse: &ClickHouse,
    model: &str,
    positive: Option<Positive<'_>>,
    segments: &[String],
    from: UnixNanos,
    until: UnixNanos,
) -> Result<BTreeMap<LabelledOf, LabelledWindow>, Error> {
    // One pass over the inferences, counted in three ways, and in the same three by segment.
    let (of_segment, by_segment) = if segments.is_empty() {
        ("false::Bool AS is_of_segment, '' AS segment", "")
    } else {
        (
            "(grouping(known_segment) = 0)::Bool AS is_of_segment, known_segment AS segment",
            ", (environment, version, known_segment, has_classes, predicted, truth_of), \
             (environment, version, known_segment, has_score, is_decided, is_positive, key), (environment, version, known_segment)",
        )
    };
    let sql = format!(
        "WITH predictions AS ({predictions}), \
         known AS (\
           SELECT environment, version, if(has({{segments:Array(String)}}, segment), segment, '') AS known_segment, \
             (isNotNull(truth) AND isNotNull(label))::Bool AS has_classes, \
             if(has_classes, assumeNotNull(label), '') AS predicted, if(has_classes, assumeNotNull(truth), '') AS truth_of, \
             (isNotNull(truth) AND isFinite(ifNull(score, nan)))::Bool AS has_score, if(has_score, assumeNotNull(score), 0) AS score_of, \
             isNotNull(truth) AS has_label, (has_score AND ifNull(label = {{positive:String}}, score_of >= 0.5))::Bool AS is_decided, \
             (has_score AND ifNull(truth = {{positive:String}}, false))::Bool AS is_positive, toInt32({key}) AS key, \
             has_score AND score_of >= 0 AND score_of <= 1 AS is_probability, \
             pow(score_of - is_positive, 2) AS squared, \
             -log(greatest(least(if(is_positive, score_of, 1 - score_of), 1 - 2.220446049250313e-16), 2.220446049250313e-16)) AS logarithmic, \
             mapValues(scores_of_classes) AS all_scores, arraySum(all_scores) AS total, \
             length(all_scores) > 1 AND isFinite(total) AND total > 0 AND arrayMin(all_scores) >= 0 \
               AND ifNull(mapContains(scores_of_classes, truth), false) AS has_distribution, \
             if(has_distribution, scores_of_classes[assumeNotNull(truth)] / total, 1) AS given, \
             if(has_distribution, arraySum(one -> pow(one / total, 2), all_scores) - 2 * given + 1, 0) AS distribution_cost, \
             -log(greatest(least(given, 1), 2.220446049250313e-16)) AS distribution_log, \
             ifNull(isFinite(value) AND isFinite(toFloat64OrNull(truth)), false) AS has_values, \
             if(has_values, assumeNotNull(value), 0) AS predicted_value, \
             if(has_values, assumeNotNull(toFloat64OrNull(truth)), 0) AS true_value, predicted_value - true_value AS error, verdict \
           FROM predictions INNER JOIN (\
             SELECT request_id, argMaxOrNullIf(assumeNotNull(label), (at, received_time), kind = 'label' AND isNotNull(label)) AS truth, \
               argMaxOrNullIf(assumeNotNull(verdict), (at, received_time), kind = 'verdict' AND isNotNull(verdict)) AS verdict \
             FROM outcomes FINAL \
             WHERE model = {{model:String}} AND kind IN ('label', 'verdict') AND request_id IN (SELECT request_id FROM predictions) \
             GROUP BY request_id) AS outcomes USING (request_id)) \
         SELECT environment, version, {of_segment}, (grouping(truth_of) = 0)::Bool AS is_by_class, (grouping(key) = 0)::Bool AS is_by_score, \
           has_classes, predicted, truth_of AS truth, has_score, is_decided, is_positive, key, count() AS n, \
           countIf(has_label) AS labelled, countIf(is_probability) AS probabilities, \
           (sumIf(squared, is_probability), sumIf(squared * squared, is_probability)) AS squared_sums, \
           (sumIf(logarithmic, is_probability), sumIf(logarithmic * logarithmic, is_probability)) AS logarithmic_sums, \
           countIf(has_distribution) AS distributions, \
           (sumIf(distribution_cost, has_distribution), sumIf(pow(distribution_cost, 2), has_distribution)) AS distribution_squared, \
           (sumIf(distribution_log, has_distribution), sumIf(pow(distribution_log, 2), has_distribution)) AS distribution_logarithmic, \
           countIf(has_values) AS values, \
           (sum(error), sum(abs(error)), sum(error * error), sum(pow(error, 4)), sum(true_value), sum(true_value * true_value)) AS value_sums, \
           countIf(isNotNull(verdict)) AS verdicts, countIf(ifNull(verdict = 0, false)) AS incorrect \
         FROM known \
         GROUP BY GROUPING SETS ((environment, version, has_classes, predicted, truth_of), \
           (environment, version, has_score, is_decided, is_positive, key), (environment, version){by_segment}) \
         ORDER BY environment, version, segment, predicted, truth, key",
        predictions = predictions(positive::score(positive), if positive.is_some() { NO_SCORES } else { "scores" }),
        key = bucket_key("score_of"),
    );
    let rows: Vec<LabelledRow> = clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param(positive::PARAMETER, positive.map_or("", |positive| positive.class))
        .param("from", from.seconds().max(0))
        .param("segments", segments)
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await?;
    let mut windows: BTreeMap<LabelledOf, LabelledWindow> = BTreeMap::new();
    for row in rows {
        // What belongs to none of the segments is in the counts of all traffic.
        if row.is_of_segment && row.segment.is_empty() {
            continue;
        }
        let of = LabelledOf {
            environment: row.environment.clone(),
            version: row.version.clone(),
            segment: row.segment.clone(),
        };
        windows.entry(of).or_default().take(row);
    }
    Ok(windows)
}

impl LabelledWindow {
    fn take(&mut self, row: LabelledRow) {
        if row.is_by_class {
            if row.has_classes {
                self.classes.push((row.predicted, row.truth, row.n));
            }
        } else if row.is_by_score {
            if row.has_score {
                self.scores.push(LabelledScores {
                    key: row.key,
                    is_decided: row.is_decided,
                    is_positive: row.is_positive,
                    n: row.n,
                });
                self.losses.no_probabilities += row.n - row.probabilities;
            }
        } else {
            self.labelled = row.labelled;
            self.losses.n = row.probabilities;
            self.losses.squared = row.squared_sums;
            self.losses.logarithmic = row.logarithmic_sums;
            self.distributions = Distributions {
                n: row.distributions,
                squared: row.distribution_squared,
                logarithmic: row.distribution_logarithmic,
            };
            let (errors, absolute_errors, squared_errors, fourth_powers, truths, squared_truths) = row.value_sums;
            self.values = Values {
                n: row.values,
                errors,
                absolute_errors,
                squared_errors,
                fourth_powers,
                truths,
                squared_truths,
            };
            self.verdicts = row.verdicts;
            self.incorrect = row.incorrect;
        }
    }
}

/// Rows of scores of classes that are read at most; what has more is not ranked.
const MAX_CLASS_ROWS: usize = 200_000;

#[derive(Debug, Row, Deserialize)]
struct ClassRow {
    environment: String,
    version: String,
    class: String,
    key: i32,
    is_true: bool,
    n: u64,
}

/// By environment and version, the scores of every class, brought to 1 in all, of the labelled inferences with event times from `from` up to and not including
/// `until`. `None` where there are more of them than can be held.
///
/// # Errors
/// The query failed.
pub async fn class_scores(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Option<BTreeMap<(String, String), Vec<ClassScores>>>, Error> {
    let sql = format!(
        "WITH predictions AS ({predictions}), \
         known AS (\
           SELECT environment, version, scores_of_classes, truth FROM predictions INNER JOIN (\
             SELECT request_id, argMaxOrNullIf(assumeNotNull(label), (at, received_time), isNotNull(label)) AS truth FROM outcomes FINAL \
             WHERE model = {{model:String}} AND kind = 'label' AND request_id IN (SELECT request_id FROM predictions) \
             GROUP BY request_id) AS outcomes USING (request_id) \
           WHERE length(scores_of_classes) > 1 AND ifNull(mapContains(scores_of_classes, truth), false)) \
         SELECT environment, version, class, toInt32({key}) AS key, (class = assumeNotNull(truth))::Bool AS is_true, count() AS n \
         FROM known ARRAY JOIN mapKeys(scores_of_classes) AS class, \
           arrayMap(one -> one / arraySum(mapValues(scores_of_classes)), mapValues(scores_of_classes)) AS score_of \
         WHERE isFinite(score_of) \
         GROUP BY environment, version, class, key, is_true ORDER BY environment, version, class, key, is_true LIMIT {limit}",
        predictions = predictions("NULL", "scores"),
        key = bucket_key("score_of"),
        limit = MAX_CLASS_ROWS + 1,
    );
    let rows: Vec<ClassRow> = clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .fetch_all()
        .await?;
    if rows.len() > MAX_CLASS_ROWS {
        return Ok(None);
    }
    let mut windows: BTreeMap<(String, String), Vec<ClassScores>> = BTreeMap::new();
    for row in rows {
        windows.entry((row.environment, row.version)).or_default().push(ClassScores {
            class: row.class,
            key: row.key,
            is_true: row.is_true,
            n: row.n,
        });
    }
    Ok(Some(windows))
}

#[derive(Debug, Row, Deserialize)]
struct SegmentRow {
    environment: String,
    version: String,
    segment: String,
    inferences: u64,
}

/// The segments that served at least `min_inferences` in a window, by environment and version at most `limit` of them, those with
/// the most traffic, and how many inferences each served. From the inferences, because labels may come before profiles.
///
/// # Errors
/// The query failed.
pub async fn segments_in_window(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
    min_inferences: u64,
    limit: u64,
) -> Result<BTreeMap<LabelledOf, u64>, Error> {
    let sql = format!(
        "SELECT environment, version, segment, count() AS inferences FROM ({predictions}) WHERE segment != '' \
         GROUP BY environment, version, segment HAVING inferences >= {{min_inferences:UInt64}} \
         ORDER BY environment, version, inferences DESC, segment LIMIT {{most:UInt64}} BY environment, version",
        predictions = predictions("NULL", NO_SCORES),
    );
    let rows: Vec<SegmentRow> = clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .param("min_inferences", min_inferences)
        .param("most", limit)
        .fetch_all()
        .await?;
    let of = |row: SegmentRow| {
        let of = LabelledOf {
            environment: row.environment,
            version: row.version,
            segment: row.segment,
        };
        (of, row.inferences)
    };
    Ok(rows.into_iter().map(of).collect())
}

/// No scores of classes: where the column need not be read.
const NO_SCORES: &str = "CAST(map(), 'Map(String, Float64)')";

/// The predictions of a window with the score of the positive class and those of all; `{from}`, `{until}`, `{model}` and `{positive}` are
/// parameters.
fn predictions(score: &str, scores: &str) -> String {
    format!(
        "SELECT request_id, ifNull(environment, '') AS environment, ifNull(version, '') AS version, \
           ifNull(segment, '') AS segment, toNullable(toString(prediction_label)) AS label, prediction_value AS value, {score} AS score, {scores} AS scores_of_classes \
         FROM whole_inferences \
         WHERE model = {{model:String}} AND partial = 0 AND {serves} \
           AND key_hour >= toStartOfHour(toDateTime({{from:Int64}}, 'UTC')) \
           AND key_hour <= toStartOfHour(toDateTime({{until:Int64}}, 'UTC')) + INTERVAL 1 HOUR \
           AND event_time >= toDateTime({{from:Int64}}, 'UTC') AND event_time < toDateTime({{until:Int64}}, 'UTC')",
        serves = SERVES.replace("arm", "ifNull(arm, '')"),
    )
}

/// The hours (Unix seconds of their starts, by event time) of the inferences whose labels, verdicts or conversions were received
/// from `from` up to and not including `until`; only inferences since `oldest` are looked at. An inference that comes
/// after its label is not found here: it is a mark of its own.
///
/// Cheap at any history: what was received just now lies in the newest parts of `outcomes`, and the request ids have
/// an index.
///
/// # Errors
/// The query failed.
pub async fn hours_of_labels_received(
    clickhouse: &ClickHouse,
    model: &str,
    from: UnixNanos,
    until: UnixNanos,
    oldest: UnixNanos,
) -> Result<Vec<i64>, Error> {
    let sql = "SELECT DISTINCT toInt64(toUnixTimestamp(toStartOfHour(event_time))) AS hour FROM inferences \
               WHERE model = {model:String} AND key_hour >= toStartOfHour(toDateTime({oldest:Int64}, 'UTC')) \
                 AND key_hour <= toStartOfHour(toDateTime({until:Int64}, 'UTC')) + INTERVAL 1 HOUR AND request_id IN (\
                 SELECT request_id FROM outcomes WHERE model = {model:String} \
                   AND received_time >= toDateTime({from:Int64}, 'UTC') AND received_time < toDateTime({until:Int64}, 'UTC')) \
               ORDER BY hour";
    clickhouse
        .reader()
        .query(sql)
        .param("model", model)
        .param("from", from.seconds().max(0))
        .param("until", until.seconds().max(0))
        .param("oldest", oldest.seconds().max(0))
        .fetch_all()
        .await
}

/// How long labels took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Row, Deserialize)]
pub struct LabelDelay {
    /// Labels that were looked at.
    pub labels: u64,
    /// Seconds from the event of the inference until the label was received, within which 95 % of them came.
    pub seconds: f64,
}

/// Labels of a sample.
const SAMPLE: usize = 1_000;

/// How long the labels took that were received since `since`, from a sample of them that is the same every time.
///
/// # Errors
/// The query failed.
pub async fn label_delay(clickhouse: &ClickHouse, model: &str, since: UnixNanos) -> Result<LabelDelay, Error> {
    let sql = format!(
        "WITH labels AS (\
           SELECT request_id, min(received_time) AS received FROM outcomes \
           WHERE model = {{model:String}} AND kind = 'label' AND received_time >= toDateTime({{since:Int64}}, 'UTC') \
           GROUP BY request_id ORDER BY cityHash64(request_id), request_id LIMIT {SAMPLE}) \
         SELECT count() AS labels, \
           ifNotFinite(quantileExact(0.95)((toUnixTimestamp64Milli(received) - toUnixTimestamp64Milli(served)) / 1000), 0) AS seconds \
         FROM labels INNER JOIN (\
           SELECT request_id, min(event_time) AS served FROM inferences \
           WHERE model = {{model:String}} AND request_id IN (SELECT request_id FROM labels) GROUP BY request_id) AS inferences \
         USING (request_id)"
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("model", model)
        .param("since", since.seconds().max(0))
        .fetch_one()
        .await
}
