//! Thresholds as written: a number, a number with a unit, or the name of a model's setting.

use driftlead_store::model_settings::duration;
use serde::Deserialize;

use super::Threshold;
use crate::catalogue::{SignalKind, Unit};

/// A threshold as a rule file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "a threshold is a number, a text such as \"3%\" or \"500ms\", or the name of a model's setting"
)]
pub(super) enum Written {
    Number(f64),
    Text(String),
}

/// Reads a threshold in the unit of its signal.
pub(super) fn read(written: &Written, signal: &SignalKind) -> Result<Threshold, String> {
    let number = match written {
        Written::Number(number) => *number,
        Written::Text(text) => {
            if let Some(setting) = signal.model_threshold.filter(|setting| setting.name() == text) {
                return Ok(Threshold::OfModel(setting));
            }
            with_unit(text, signal)?
        }
    };
    if !number.is_finite() {
        return Err("a threshold is a finite number".into());
    }
    if signal.unit == Unit::Ratio && !(0.0..=1.0).contains(&number) {
        return Err(format!(
            "{} is a share from 0 to 1, and {number} is not one: write 0.03 or \"3%\"",
            signal.name
        ));
    }
    Ok(Threshold::Number(number))
}

fn with_unit(text: &str, signal: &SignalKind) -> Result<f64, String> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .filter(|&split| split > 0)
        .ok_or_else(|| no_such(text, signal))?;
    let (number, unit) = (text[..split].parse::<f64>(), text[split..].trim());
    let number = number.map_err(|_| no_such(text, signal))?;
    let factor = match (signal.unit, unit) {
        (Unit::Ratio, "%") => 0.01,
        (Unit::PerSecond, "/s") | (Unit::Celsius, "°C" | "C") => 1.0,
        (Unit::Bytes, unit) => bytes(unit).ok_or_else(|| no_such(text, signal))?,
        (Unit::Milliseconds, _) => return in_milliseconds(text, signal),
        (Unit::Seconds, _) => return in_milliseconds(text, signal).map(|milliseconds| milliseconds / 1_000.0),
        (Unit::Days, _) => return in_milliseconds(text, signal).map(|milliseconds| milliseconds / 86_400_000.0),
        _ => return Err(no_such(text, signal)),
    };
    Ok(number * factor)
}

fn in_milliseconds(text: &str, signal: &SignalKind) -> Result<f64, String> {
    duration::parse(text)
        .map(|duration| duration.as_secs_f64() * 1_000.0)
        .map_err(|_| no_such(text, signal))
}

fn bytes(unit: &str) -> Option<f64> {
    Some(match unit {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1_024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    })
}

fn no_such(text: &str, signal: &SignalKind) -> String {
    let example = match signal.unit {
        Unit::Ratio => "a share such as 0.03 or \"3%\"",
        Unit::Milliseconds => "milliseconds such as 500 or \"500ms\"",
        Unit::Seconds => "seconds such as 90 or \"15m\"",
        Unit::Days => "days such as 30 or \"30d\"",
        Unit::PerSecond => "events a second such as 5 or \"5/s\"",
        Unit::Bytes => "bytes such as \"10MiB\"",
        Unit::Celsius => "degrees such as 85 or \"85°C\"",
        Unit::Count | Unit::Number => "a number",
    };
    let setting = signal
        .model_threshold
        .map(|setting| format!(", or \"{}\"", setting.name()))
        .unwrap_or_default();
    format!("{text:?} is not a threshold of {}: write {example}{setting}", signal.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{ModelThreshold, find};

    fn check(signal: &str, written: &str, expected: Option<f64>) {
        let signal = find(signal).unwrap();
        match (read(&Written::Text(written.into()), signal), expected) {
            (Ok(Threshold::Number(number)), Some(expected)) => assert!((number - expected).abs() < 1e-9, "{written}: {number}"),
            (Err(message), None) => assert!(message.contains(signal.name), "{message}"),
            (result, _) => panic!("{written}: {result:?}"),
        }
    }

    #[test]
    fn units_have_to_fit_the_signal() {
        for (signal, written, expected) in [
            ("error_ratio", "3%", Some(0.03)),
            ("error_ratio", "2.5%", Some(0.025)),
            ("error_ratio", "300%", None),
            ("error_ratio", "3ms", None),
            ("error_ratio", "f1_floor", None),
            ("error_ratio", "", None),
            ("latency_p95_ms", "500ms", Some(500.0)),
            ("latency_p95_ms", "2s", Some(2_000.0)),
            ("latency_p95_ms", "3%", None),
            ("silence_s", "15m", Some(900.0)),
            ("embedding_age_days", "30d", Some(30.0)),
            ("embedding_age_days", "12h", Some(0.5)),
            ("embedding_age_days", "3%", None),
            ("embedding_shift", "3%", Some(0.03)),
            ("request_rate", "5/s", Some(5.0)),
            ("request_rate", "5 ", None),
            ("log_backlog_bytes", "10MiB", Some(10_485_760.0)),
            ("log_backlog_bytes", "10 MB", Some(10_000_000.0)),
            ("gate_failed", "1%", None),
        ] {
            check(signal, written, expected);
        }
    }

    #[test]
    fn a_models_setting_is_named() {
        let read = |signal: &str, name: &str| read(&Written::Text(name.into()), find(signal).unwrap());
        assert_eq!(read("f1", "f1_floor"), Ok(Threshold::OfModel(ModelThreshold::F1Floor)));
        assert_eq!(
            read("latency_p95_ms", "latency_budget_ms"),
            Ok(Threshold::OfModel(ModelThreshold::LatencyBudgetMs))
        );
        assert!(read("f1", "latency_budget_ms").unwrap_err().contains("f1_floor"));
    }
}
