//! What Driftlead says about itself: structured lines on standard error, levels by `RUST_LOG`; and, where an address is
//! given, its own spans, logs and metrics by OTLP ([`export`]).

mod export;
mod meters;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

pub use export::{Export, TelemetryConfig};

/// Levels where `RUST_LOG` says nothing: our own lines, and warnings of the libraries.
const DEFAULT_FILTER: &str =
    "warn,driftlead=info,driftlead_store=info,driftlead_collector=info,driftlead_analyzer=info,driftlead_alerting=info,driftlead_web=info";

fn lines() -> impl Layer<Registry> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(filter)
}

/// Starts the lines. To be called once, before anything that logs; either this or [`start_exporting`].
pub fn start() {
    tracing_subscriber::registry().with(lines()).init();
}

/// Starts the lines and, where the configuration names an address, the export beside them. To be called inside the
/// runtime, which the exporters use.
///
/// # Errors
/// The address cannot be used.
pub fn start_exporting(config: &TelemetryConfig) -> anyhow::Result<Option<Export>> {
    if config.endpoint.is_none() {
        start();
        return Ok(None);
    }
    let export = Export::new(config)?;
    tracing_subscriber::registry().with(lines()).with(export.layer()).init();
    Ok(Some(export))
}
