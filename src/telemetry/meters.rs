//! The numbers of `/metrics` as OpenTelemetry instruments.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use driftlead_web::measured::{Families, Family, Kind};
use driftlead_web::{WebState, measured};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

type Latest = Arc<Mutex<Families>>;

/// Measures at this interval until the token fires; the provider reads what was measured last.
pub(super) async fn run(provider: &SdkMeterProvider, every: Duration, app: Arc<WebState>, token: CancellationToken) {
    let latest = Latest::default();
    let mut is_registered = false;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while token.run_until_cancelled(ticks.tick()).await.is_some() {
        match measured(&app).await {
            Ok(families) => {
                if !is_registered {
                    register(&provider.meter("driftlead"), &families, &latest);
                    is_registered = true;
                }
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = families;
            }
            Err(error) => tracing::warn!(%error, "Driftlead's own numbers cannot be read"),
        }
    }
}

/// One instrument for each name; names do not change while the server runs.
fn register(meter: &Meter, families: &Families, latest: &Latest) {
    for family in families.iter() {
        let (name, unit, help) = (name_of(family.name), unit_of(family.name), family.help);
        let (latest, family_name) = (Arc::clone(latest), family.name);
        let observe = move |instrument: &dyn AsyncInstrument<f64>| observe(&latest, family_name, instrument);
        match family.kind {
            Kind::Counter => {
                let builder = meter.f64_observable_counter(name).with_unit(unit).with_description(help);
                let _kept_by_the_provider = builder.with_callback(observe).build();
            }
            Kind::Gauge => {
                let builder = meter.f64_observable_gauge(name).with_unit(unit).with_description(help);
                let _kept_by_the_provider = builder.with_callback(observe).build();
            }
        }
    }
}

fn observe(latest: &Latest, name: &str, instrument: &dyn AsyncInstrument<f64>) {
    let families = latest.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Family { points, .. }) = families.iter().find(|family| family.name == name) {
        for (labels, value) in points {
            let attributes: Vec<KeyValue> = labels.iter().map(|(label, value)| KeyValue::new(*label, value.clone())).collect();
            instrument.observe(*value, &attributes);
        }
    }
}

/// `driftlead_log_frames_total` is `driftlead.log_frames`: dots for the namespace, and no suffix, which receivers add.
fn name_of(prometheus: &str) -> String {
    let name = prometheus.strip_suffix("_total").unwrap_or(prometheus);
    match name.strip_prefix("driftlead_") {
        Some(rest) => format!("driftlead.{rest}"),
        None => name.to_owned(),
    }
}

/// As UCUM writes it.
fn unit_of(prometheus: &str) -> &'static str {
    let name = prometheus.strip_suffix("_total").unwrap_or(prometheus);
    match name.rsplit('_').next() {
        Some("bytes") => "By",
        Some("seconds") => "s",
        _ => "1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_opentelemetry_s() {
        for (prometheus, name, unit) in [
            ("driftlead_log_bytes", "driftlead.log_bytes", "By"),
            ("driftlead_collector_bytes_total", "driftlead.collector_bytes", "By"),
            ("driftlead_drain_lag_seconds", "driftlead.drain_lag_seconds", "s"),
            ("driftlead_log_frames_total", "driftlead.log_frames", "1"),
            ("driftlead_engine_up", "driftlead.engine_up", "1"),
        ] {
            assert_eq!((name_of(prometheus).as_str(), unit_of(prometheus)), (name, unit));
        }
    }
}
