//! What GPUs say of themselves: metrics of NVIDIA's DCGM exporter, of Triton, and OpenTelemetry's `hw.*`.

use clickhouse::Row;
use serde::Deserialize;

use super::RESOURCE_ENVIRONMENT as ENVIRONMENT;
use crate::clickhouse::{ClickHouse, TelemetryError};
use crate::clock::UnixNanos;

/// Most GPUs that are told apart.
const MAX_GPUS: usize = 10_000;

/// Degrees Celsius.
const TEMPERATURE: &[&str] = &["DCGM_FI_DEV_GPU_TEMP", "hw.gpu.temperature"];
/// Degrees Celsius of any component; only those of GPUs are meant.
const HARDWARE_TEMPERATURE: &str = "hw.temperature";
/// From 0 to 100.
const UTILISATION_PERCENT: &[&str] = &["DCGM_FI_DEV_GPU_UTIL"];
/// From 0 to 1.
const UTILISATION: &[&str] = &["hw.gpu.utilization", "nv_gpu_utilization"];
/// From 0 to 1.
const MEMORY_RATIO: &[&str] = &["hw.gpu.memory.utilization"];
const MEMORY_USED: &[&str] = &["DCGM_FI_DEV_FB_USED", "hw.gpu.memory.usage", "nv_gpu_memory_used_bytes"];
const MEMORY_FREE: &[&str] = &["DCGM_FI_DEV_FB_FREE"];
const MEMORY_TOTAL: &[&str] = &["hw.gpu.memory.limit", "nv_gpu_memory_total_bytes"];
/// Seconds from one output token to the next, as histograms: OpenTelemetry's name and those of vLLM.
const SECONDS_PER_TOKEN: &[&str] = &[
    "gen_ai.server.time_per_output_token",
    "vllm:inter_token_latency_seconds",
    "vllm:request_time_per_output_token_seconds",
    "vllm:time_per_output_token_seconds",
];

/// One GPU in a window.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct GpuWindow {
    /// `deployment.environment.name` of its host; empty where none is stated.
    pub environment: String,
    /// Its host, as far as it is named.
    pub host: String,
    /// Its number or id on the host.
    pub gpu: String,
    /// Measurements in the window.
    pub n: u64,
    /// Mean temperature in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Median temperature of the day before.
    pub usual_temperature_c: Option<f64>,
    /// Mean share of the time in which it computed, from 0 to 1.
    pub utilisation: Option<f64>,
    /// Mean share of its memory that was used, from 0 to 1.
    pub memory_used_ratio: Option<f64>,
}

/// Host and GPU of a point. A scraped page names its host by its address.
const HOST: &str = "coalesce(nullIf(Attributes['Hostname'], ''), nullIf(ResourceAttributes['host.name'], ''), \
    nullIf(ResourceAttributes['server.address'], ''), ResourceAttributes['service.instance.id'])";
const GPU: &str = "coalesce(nullIf(Attributes['gpu'], ''), nullIf(Attributes['hw.id'], ''), nullIf(Attributes['gpu_uuid'], ''), \
    Attributes['UUID'])";

fn is_temperature() -> String {
    format!(
        "({} OR (MetricName = '{HARDWARE_TEMPERATURE}' AND Attributes['hw.type'] = 'gpu'))",
        one_of(TEMPERATURE)
    )
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("MetricName IN ({})", quoted.join(", "))
}

/// GPUs that told anything from `from` up to and not including `until`; their usual temperature is that since
/// `usual_from`.
///
/// # Errors
/// The query fails.
pub async fn gpu_windows(
    clickhouse: &ClickHouse,
    usual_from: UnixNanos,
    from: UnixNanos,
    until: UnixNanos,
) -> Result<Vec<GpuWindow>, TelemetryError> {
    let all: Vec<&str> = [
        TEMPERATURE,
        UTILISATION_PERCENT,
        UTILISATION,
        MEMORY_RATIO,
        MEMORY_USED,
        MEMORY_FREE,
        MEMORY_TOTAL,
    ]
    .concat()
    .into_iter()
    .chain([HARDWARE_TEMPERATURE])
    .collect();
    let is_temperature = is_temperature();
    // Used memory is a gauge to some and an up-down counter to others, which the exporter's layout keeps apart.
    let points = |table: &str| {
        format!(
            "SELECT ResourceAttributes, Attributes, MetricName, TimeUnix, Value FROM {table} \
             WHERE {} AND TimeUnix >= fromUnixTimestamp64Nano({{usual_from:Int64}}, 'UTC') \
               AND TimeUnix < fromUnixTimestamp64Nano({{until:Int64}}, 'UTC') AND isFinite(Value)",
            one_of(&all)
        )
    };
    let sql = format!(
        "SELECT environment, host, gpu, countIf(is_now) AS n, \
           if(countIf(is_now AND is_temperature) = 0, NULL, avgIf(Value, is_now AND is_temperature)) AS temperature_c, \
           if(countIf(is_temperature) = 0, NULL, quantileIf(0.5)(Value, is_temperature)) AS usual_temperature_c, \
           if(countIf(is_now AND (percent OR share)) = 0, NULL, \
              avgIf(if(percent, Value / 100, Value), is_now AND (percent OR share))) AS utilisation, \
           avgIf(Value, is_now AND used) / nullIf(if(countIf(is_now AND total) > 0, avgIf(Value, is_now AND total), \
              avgIf(Value, is_now AND used) + avgIf(Value, is_now AND free)), 0) AS of_memory, \
           if(countIf(is_now AND ratio) > 0, avgIf(Value, is_now AND ratio), if(isFinite(of_memory), of_memory, NULL)) AS memory_used_ratio \
         FROM (\
           SELECT {ENVIRONMENT} AS environment, {HOST} AS host, {GPU} AS gpu, \
             TimeUnix >= fromUnixTimestamp64Nano({{from:Int64}}, 'UTC') AS is_now, Value, \
             {is_temperature} AS is_temperature, {percent} AS percent, {share} AS share, {ratio} AS ratio, {used} AS used, \
             {free} AS free, {total} AS total \
           FROM ({gauges} UNION ALL {sums})) \
         GROUP BY environment, host, gpu HAVING n > 0 ORDER BY environment, host, gpu LIMIT {MAX_GPUS}",
        percent = one_of(UTILISATION_PERCENT),
        share = one_of(UTILISATION),
        ratio = one_of(MEMORY_RATIO),
        used = one_of(MEMORY_USED),
        free = one_of(MEMORY_FREE),
        total = one_of(MEMORY_TOTAL),
        gauges = points("otel_metrics_gauge"),
        sums = points("otel_metrics_sum"),
    );
    let sql = format!("SELECT environment, host, gpu, n, temperature_c, usual_temperature_c, utilisation, memory_used_ratio FROM ({sql})");
    clickhouse
        .reader()
        .query(&sql)
        .param("usual_from", usual_from.0)
        .param("from", from.0)
        .param("until", until.0)
        .fetch_all()
        .await
}

/// How fast the host of a GPU generates tokens, now and while the GPU is as warm as it usually is.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct GpuPace {
    /// As in [`GpuWindow`].
    pub environment: String,
    /// As in [`GpuWindow`].
    pub host: String,
    /// As in [`GpuWindow`].
    pub gpu: String,
    /// Minutes in which the GPU was as warm as usual and tokens were generated.
    pub usual_minutes: u64,
    /// Median over those minutes of the tokens a second of one request; `None` without them.
    pub usual_tokens_per_second: Option<f64>,
    /// Tokens a second of one request since `from`; `None` where none were generated.
    pub tokens_per_second: Option<f64>,
}

/// Paces of all GPUs whose host tells one, from the histograms of the time for a token. Of cumulative ones the growth from
/// point to point counts, and a count that falls was started again. A minute is as warm as usual where its mean temperature
/// is within `band_c` degrees Celsius of the median since `usual_from`.
///
/// # Errors
/// The query fails.
pub async fn gpu_paces(
    clickhouse: &ClickHouse,
    usual_from: UnixNanos,
    from: UnixNanos,
    until: UnixNanos,
    band_c: f64,
) -> Result<Vec<GpuPace>, TelemetryError> {
    const PERIOD: &str =
        "TimeUnix >= fromUnixTimestamp64Nano({usual_from:Int64}, 'UTC') AND TimeUnix < fromUnixTimestamp64Nano({until:Int64}, 'UTC')";
    let histograms = |table: &str| {
        format!(
            "SELECT {HOST} AS host, cityHash64(MetricName, toString(ResourceAttributes), toString(Attributes)) AS series, \
               TimeUnix, AggregationTemporality = 1 AS is_delta, Sum AS seconds, toFloat64(Count) AS tokens \
             FROM {table} WHERE {} AND {PERIOD} AND isFinite(Sum)",
            one_of(SECONDS_PER_TOKEN)
        )
    };
    let temperatures = |table: &str| {
        format!(
            "SELECT ResourceAttributes, Attributes, TimeUnix, Value FROM {table} WHERE {} AND {PERIOD} AND isFinite(Value)",
            is_temperature()
        )
    };
    let sql = format!(
        "SELECT environment, host, gpu, countIf(is_usual) AS usual_minutes, \
           if(usual_minutes = 0, NULL, quantileIf(0.5)(tokens / seconds, is_usual)) AS usual_tokens_per_second, \
           sumIf(tokens, is_now) / nullIf(sumIf(seconds, is_now), 0) AS tokens_per_second \
         FROM (\
           SELECT environment, host, gpu, seconds, tokens, \
             minute >= toStartOfMinute(fromUnixTimestamp64Nano({{from:Int64}}, 'UTC')) AS is_now, \
             NOT is_now AND abs(warm.temperature - warm.usual) <= {{band:Float64}} AS is_usual \
           FROM (\
             SELECT environment, host, gpu, toStartOfMinute(TimeUnix) AS minute, avg(Value) AS temperature, \
               median(temperature) OVER (PARTITION BY environment, host, gpu) AS usual \
             FROM (SELECT {ENVIRONMENT} AS environment, {HOST} AS host, {GPU} AS gpu, TimeUnix, Value \
               FROM ({gauges} UNION ALL {sums})) \
             GROUP BY environment, host, gpu, minute) AS warm \
           INNER JOIN (\
             SELECT host, toStartOfMinute(TimeUnix) AS minute, sum(grown_seconds) AS seconds, sum(grown_tokens) AS tokens \
             FROM (\
               SELECT host, TimeUnix, multiIf(is_delta, tokens, is_first, 0, tokens >= before_tokens, tokens - before_tokens, tokens) AS grown_tokens, \
                 multiIf(is_delta, seconds, is_first, 0, tokens >= before_tokens, seconds - before_seconds, seconds) AS grown_seconds \
               FROM (\
                 SELECT host, TimeUnix, is_delta, seconds, tokens, row_number() OVER w = 1 AS is_first, \
                   lagInFrame(tokens) OVER w AS before_tokens, lagInFrame(seconds) OVER w AS before_seconds \
                 FROM ({explicit} UNION ALL {exponential}) \
                 WINDOW w AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))) \
             GROUP BY host, minute HAVING tokens > 0 AND seconds > 0) AS paces USING (host, minute)) \
         GROUP BY environment, host, gpu ORDER BY environment, host, gpu LIMIT {MAX_GPUS}",
        gauges = temperatures("otel_metrics_gauge"),
        sums = temperatures("otel_metrics_sum"),
        explicit = histograms("otel_metrics_histogram"),
        exponential = histograms("otel_metrics_exponential_histogram"),
    );
    clickhouse
        .reader()
        .query(&sql)
        .param("usual_from", usual_from.0)
        .param("from", from.0)
        .param("until", until.0)
        .param("band", band_c)
        .fetch_all()
        .await
}
