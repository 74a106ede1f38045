//! Hardware signals: how warm, how busy and how full each GPU is, and what its heat costs.

use driftlead_store::clickhouse::query::hardware::{GpuWindow, gpu_windows};
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
    context.emit(gpus.iter().flat_map(|gpu| signals_of(gpu, end)).collect()).await
}

fn signals_of(gpu: &GpuWindow, end: UnixNanos) -> Vec<Signal> {
    let frame = Frame {
        model: "",
        version: "",
        environment: &gpu.environment,
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
        let loss = throttle_loss(now, usual);
        let details = json!({ "usual_temperature_c": usual, "learnt": false });
        signals.push(frame.signal(names::GPU_THROTTLE_LOSS, &subject, Estimate::exact(loss), gpu.n, details));
    }
    signals
}

/// Share of its throughput that a GPU loses at this temperature against its usual one, from 0 to 1.
fn throttle_loss(temperature_c: f64, usual_temperature_c: f64) -> f64 {
    ((temperature_c - usual_temperature_c) * PRIOR_LOSS_PER_DEGREE).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_says_what_it_measures_and_nothing_else() {
        let gpu = GpuWindow {
            environment: "production".into(),
            host: "n1".into(),
            gpu: "0".into(),
            n: 12,
            temperature_c: Some(81.0),
            usual_temperature_c: Some(61.0),
            utilisation: None,
            memory_used_ratio: Some(0.5),
        };
        let signals = signals_of(&gpu, UnixNanos::from_seconds(100));
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
            assert!((throttle_loss(now, usual) - loss).abs() < 1e-12);
        }
    }
}
