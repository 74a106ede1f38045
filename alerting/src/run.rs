//! The tasks of alerting: one judges signals, one follows actions, one delivers messages.

use std::sync::Arc;
use std::time::Duration;

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clock::Clock;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::Signal;
use driftlead_store::state::{State, StateError};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::action::worker;
use crate::config::{AlertingConfig, resolve_models, unsigned_webhooks};
use crate::evaluator::Evaluator;
use crate::notify::webhook;
use crate::outbox;
use crate::pack::{RuleChanges, RuleSet};
use crate::problem::Problems;
use crate::shared::Shared;

/// How often what is due by time is looked at: repeats, ends of silences, actions to be asked for again.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked at which versions serve.
const VERSIONS_INTERVAL: Duration = Duration::from_secs(60);

/// How often old rows are deleted.
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);

/// Signals that are judged in one transaction at most. More wait in the channel.
const MAX_SIGNALS_PER_EVALUATION: usize = 50_000;

/// Longest wait before a transaction that failed is tried again. Signals are not dropped meanwhile: the
/// channel fills, and the analyzer waits.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(5);

/// Why alerting cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// A model's webhook is not well formed.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The alerts that are kept cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no way to post webhooks.
    #[error("webhooks cannot be sent: {0}")]
    Http(#[from] reqwest::Error),
}

/// Runs until the token is cancelled; messages that are on their way are waited for.
///
/// # Errors
/// It cannot begin, which says why. What fails later is tried again and logged.
#[expect(clippy::too_many_arguments, reason = "what alerting is given is what the root wires")]
pub async fn run(
    config: AlertingConfig,
    rules: RuleSet,
    clickhouse: ClickHouse,
    state: State,
    models: Vec<ModelSettings>,
    clock: Clock,
    signals: mpsc::Receiver<Vec<Signal>>,
    token: CancellationToken,
) -> Result<(), AlertingError> {
    let client = webhook::client()?;
    let changes = rules.changes();
    let shared = Arc::new(Shared {
        config,
        models: resolve_models(&models)?,
        rules,
        clickhouse,
        state,
        clock,
    });
    let unsigned = unsigned_webhooks(&shared.config, &shared.models);
    if !unsigned.is_empty() {
        let places = unsigned.join(", ");
        tracing::warn!(
            places,
            "webhooks without a secret are not signed: add secret = \"whsec_…\" so that receivers can check who sent them"
        );
    }
    let evaluator = Evaluator::load(shared.clone()).await?;
    tokio::join!(
        judge(evaluator, signals, changes, &token),
        worker::run(&shared, &token),
        outbox::run(shared.clone(), client, &token)
    );
    Ok(())
}

async fn judge(
    mut evaluator: Evaluator,
    mut signals: mpsc::Receiver<Vec<Signal>>,
    mut rules_changed: RuleChanges,
    token: &CancellationToken,
) {
    let ticker = |interval| {
        let mut ticker = tokio::time::interval_at(Instant::now() + interval, interval);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut upkeep, mut versions, mut forget) = (ticker(UPKEEP_INTERVAL), ticker(VERSIONS_INTERVAL), ticker(FORGET_INTERVAL));
    loop {
        let mut look_at_versions = false;
        let batch = tokio::select! {
            () = token.cancelled() => return,
            batch = receive(&mut signals) => batch,
            _ = upkeep.tick() => Vec::new(),
            () = rules_changed.changed() => Vec::new(),
            _ = versions.tick() => {
                look_at_versions = true;
                Vec::new()
            }
            _ = forget.tick() => {
                if let Err(error) = evaluator.forget(evaluator.shared.clock.now()).await {
                    tracing::warn!(%error, "old alerts and messages could not be deleted; trying again later");
                }
                continue;
            }
        };
        let mut wait = Duration::from_millis(100);
        while let Err(error) = evaluate(&mut evaluator, &batch, look_at_versions).await {
            tracing::warn!(%error, signals = batch.len(), "an evaluation could not be written; trying again");
            if token.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
            wait = (wait * 2).min(MAX_RETRY_WAIT);
        }
    }
}

/// Everything that waits in the channel, in one batch. When all senders are gone time still goes on.
async fn receive(signals: &mut mpsc::Receiver<Vec<Signal>>) -> Vec<Signal> {
    let Some(mut batch) = signals.recv().await else {
        return std::future::pending().await;
    };
    while batch.len() < MAX_SIGNALS_PER_EVALUATION
        && let Ok(more) = signals.try_recv()
    {
        batch.extend(more);
    }
    batch
}

/// One evaluation: what came, and what is due by time.
#[tracing::instrument(name = "alerting.evaluate", level = "debug", skip_all)]
pub(crate) async fn evaluate(evaluator: &mut Evaluator, batch: &[Signal], look_at_versions: bool) -> Result<(), StateError> {
    let shared = evaluator.shared.clone();
    let now = shared.clock.now();
    let rules = shared.rules.current();
    let silences = shared.state.active_silences(now).await?;
    let own: Vec<Signal> = evaluator.rules_invalid(now).into_iter().collect();
    let mut changes = evaluator.judge(&rules, batch, now);
    changes.extend(evaluator.judge(&rules, &own, now));
    evaluator.add_upkeep(&rules, now, &mut changes).await?;
    if look_at_versions {
        evaluator.add_versions_gone(&rules, now, &mut changes).await;
    }
    evaluator.add_due(&silences, now, &mut changes);
    evaluator.commit(changes, &silences, now).await
}
