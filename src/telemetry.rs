//! What Driftlead says about itself: structured lines on standard error, levels by `RUST_LOG`.

use tracing_subscriber::EnvFilter;

/// Levels where `RUST_LOG` says nothing: our own lines, and warnings of the libraries.
const DEFAULT_FILTER: &str =
    "warn,driftlead=info,driftlead_store=info,driftlead_collector=info,driftlead_analyzer=info,driftlead_alerting=info,driftlead_web=info";

/// Starts the output. To be called once, before anything that logs.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
