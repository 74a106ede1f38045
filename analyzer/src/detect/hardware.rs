//! Hardware signals: how warm, how busy and how full each GPU is, and what its heat costs.

use driftlead_store::clickhouse::query::hardware::{GpuPace, GpuWindow, gpu_paces, gpu_windows};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::frame::{Estimate, Frame};
use crate::context::Context;
use crate::error::AnalyzerError;
use crate::window::Window;

/// Length of the window in seconds: exporters of hardware metrics send every 15 to 30 s.
const WINDOW_SECONDS: u32 = 60;
/// Of this time the usual temperature is the median.
const USUAL_SECONDS: i64 = 86_400;
/// How far the window stays behind the clock: a scrape and its way into the tables.
const DELAY_SECONDS: i64 = 5;
/// Share of its throughput that a GPU loses for each degree above its usual temperature, as long as nothing is learnt
/// about it: 7 % for 10 °C.
const PRIOR_LOSS_PER_DEGREE: f64 = 0.007;
/// A GPU within so many degrees of its usual temperature is as warm as usual.
const USUAL_BAND_C: f64 = 2.0;
/// Minutes at the usual temperature after which a GPU's own throughput is known.
const LEARNT_MINUTES: u64 = 60;
/// Time over which its present throughput is taken: two intervals of an exporter that sends every minute.
const PACE_SECONDS: i64 = 120;

/// Computes and emits the signals of all GPUs.
///
/// # Errors
/// The telemetry cannot be read or written.
#[tracing::instrument(name = "analyzer.hardware_signals", level = "debug", skip_all)]
pub(crate) async fn emit_hardware_signals(context: &Context) -> Result<(), AnalyzerError> {
    let end = context.now().plus_seconds(-DELAY_SECONDS);
    let from = end.plus_seconds(-i64::from(WINDOW_SECONDS));
    let gpus = gpu_windows(&context.clickhouse, end.plus_seconds(-USUAL_SECONDS), from, end).await?;
    if gpus.is_empty() {
        return Ok(());
    }
    // Only what is warmer than usual can lose by it.
    let paces = if gpus.iter().any(is_warm) {
        let paced_from = end.plus_seconds(-PACE_SECONDS);
        gpu_paces(&context.clickhouse, end.plus_seconds(-USUAL_SECONDS), paced_from, end, USUAL_BAND_C).await?
    } else {
        Vec::new()
    };
    let pace_of = |gpu: &GpuWindow| {
        let same = |pace: &&GpuPace| (&pace.environment, &pace.host, &pace.gpu) == (&gpu.environment, &gpu.host, &gpu.gpu);
        paces.iter().find(same)
    };
    let signals = gpus.iter().flat_map(|gpu| signals_of(gpu, pace_of(gpu), end)).collect();
    context.emit(signals).await
}

fn is_warm(gpu: &GpuWindow) -> bool {
    matches!((gpu.temperature_c, gpu.usual_temperature_c), (Some(now), Some(usual)) if now > usual + USUAL_BAND_C)
}

fn signals_of(gpu: &GpuWindow, pace: Option<&GpuPace>, end: UnixNanos) -> Vec<Signal> {
    let frame = Frame {
        model: "",
        version: "",
        environment: &gpu.environment,
        segment: "",
        window: Window {
            end,
            seconds: WINDOW_SECONDS,
        },
        provisional: false,
    };
    let subject = match (gpu.host.as_str(), gpu.gpu.as_str()) {
        ("", gpu) => gpu.to_owned(),
        (host, "") => host.to_owned(),
        (host, gpu) => format!("{host}/{gpu}"),
    };
    let measured = [
        (names::GPU_TEMPERATURE_C, gpu.temperature_c),
        (names::GPU_UTILISATION, gpu.utilisation),
        (names::GPU_MEMORY_USED_RATIO, gpu.memory_used_ratio),
    ];
    let mut signals: Vec<Signal> = measured
        .into_iter()
        .filter_map(|(name, value)| Some(frame.signal(name, &subject, Estimate::exact(value?), gpu.n, json!({}))))
        .collect();
    if let (Some(now), Some(usual)) = (gpu.temperature_c, gpu.usual_temperature_c) {
        let learnt = pace.filter(|_| is_warm(gpu)).and_then(learnt_loss);
        let loss = learnt.unwrap_or_else(|| prior_loss(now, usual));
        let mut details = json!({ "usual_temperature_c": usual, "learnt": learnt.is_some() });
        if let (Some(_), Some(pace)) = (learnt, pace) {
            details["tokens_per_second"] = json!(pace.tokens_per_second);
            details["usual_tokens_per_second"] = json!(pace.usual_tokens_per_second);
            details["usual_minutes"] = json!(pace.usual_minutes);
        }
        signals.push(frame.signal(names::GPU_THROTTLE_LOSS, &subject, Estimate::exact(loss), gpu.n, details));
    }
    signals
}

/// Share of its throughput that a GPU loses against its own at its usual temperature, from 0 to 1; `None` as long as that
/// is not known.
fn learnt_loss(pace: &GpuPace) -> Option<f64> {
    let (now, usual) = (pace.tokens_per_second?, pace.usual_tokens_per_second?);
    (pace.usual_minutes >= LEARNT_MINUTES && usual > 0.0).then(|| (1.0 - now / usual).clamp(0.0, 1.0))
}

/// The same by the temperature alone.
fn prior_loss(temperature_c: f64, usual_temperature_c: f64) -> f64 {
    ((temperature_c - usual_temperature_c) * PRIOR_LOSS_PER_DEGREE).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> GpuWindow {
        GpuWindow {
            environment: "production".into(),
            host: "n1".into(),
            gpu: "0".into(),
            n: 12,
            temperature_c: Some(81.0),
            usual_temperature_c: Some(61.0),
            utilisation: None,
            memory_used_ratio: Some(0.5),
        }
    }

    #[test]
    fn a_gpu_says_what_it_measures_and_nothing_else() {
        let signals = signals_of(&gpu(), None, UnixNanos::from_seconds(100));
        let found: Vec<_> = signals
            .iter()
            .map(|signal| (signal.name.as_str(), signal.subject.as_str(), signal.value.unwrap(), signal.n))
            .collect();
        assert_eq!(
            found,
            [
                (names::GPU_TEMPERATURE_C, "n1/0", 81.0, 12),
                (names::GPU_MEMORY_USED_RATIO, "n1/0", 0.5, 12),
                (names::GPU_THROTTLE_LOSS, "n1/0", 0.14, 12),
            ]
        );
    }

    #[test]
    fn heat_costs_seven_percent_for_ten_degrees_and_cold_brings_nothing() {
        for (now, usual, loss) in [(70.0, 60.0, 0.07), (60.0, 60.0, 0.0), (40.0, 60.0, 0.0), (900.0, 0.0, 1.0)] {
            assert!((prior_loss(now, usual) - loss).abs() < 1e-12);
        }
    }

    #[test]
    fn a_warm_gpu_loses_what_its_own_pace_says_once_that_is_known() {
        let pace = |usual_minutes, tokens_per_second, usual_tokens_per_second| GpuPace {
            environment: "production".into(),
            host: "n1".into(),
            gpu: "0".into(),
            usual_minutes,
            usual_tokens_per_second,
            tokens_per_second,
        };
        let loss_of = |gpu: &GpuWindow, pace: &GpuPace| {
            let signals = signals_of(gpu, Some(pace), UnixNanos::from_seconds(100));
            let loss = signals.iter().find(|signal| signal.name == names::GPU_THROTTLE_LOSS).unwrap();
            ((loss.value.unwrap() * 1e3).round() / 1e3, loss.details["learnt"] == true)
        };
        let known = pace(60, Some(40.0), Some(50.0));
        for (pace, expected) in [
            (known.clone(), (0.2, true)),
            (pace(60, Some(60.0), Some(50.0)), (0.0, true)),
            (pace(59, Some(40.0), Some(50.0)), (0.14, false)),
            (pace(60, None, Some(50.0)), (0.14, false)),
            (pace(0, Some(40.0), None), (0.14, false)),
        ] {
            assert_eq!(loss_of(&gpu(), &pace), expected, "{pace:?}");
        }
        let cool = GpuWindow {
            temperature_c: Some(62.0),
            ..gpu()
        };
        assert_eq!(
            loss_of(&cool, &known),
            (0.007, false),
            "a slow minute of a GPU that is not warm is not the heat's"
        );
    }
}
