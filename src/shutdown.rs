//! The end: asked for by SIGINT or SIGTERM, upstream first, so that what was received is also finished.

use tokio_util::sync::CancellationToken;

/// Two tokens, cancelled in turn.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Whatever takes requests ends at once.
    pub receivers: CancellationToken,
    /// Whatever works on what was received ends after the receivers have.
    pub workers: CancellationToken,
}

/// Returns when the process is asked to end.
pub async fn requested() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be waited for; Ctrl-C ends the server");
                let _ = interrupt.await;
            }
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}
