//! The server: every part opened, wired and started; and stopped upstream first.
//!
//! The log takes requests before the engine is up. What needs tables (drain, analyzer, control, alerting) begins when
//! the migrations are done; nothing is lost meanwhile.

mod keys;
mod own_signals;
mod parts;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use driftlead_alerting::RuleSet;
use driftlead_alerting::commands::Commands;
use driftlead_alerting::config::AlertingConfig;
use driftlead_analyzer::clusters::ClusterKeeper;
use driftlead_analyzer::control::ControlConfig;
use driftlead_analyzer::{References, WatchedSearches};
use driftlead_collector::{CollectorStatus, Decoder, DecoderConfig, Listeners};
use driftlead_store::clickhouse::engine::{EngineConfig, Supervisor};
use driftlead_store::clickhouse::migrate::{self, MigrateError};
use driftlead_store::clickhouse::query::records::RecordSearch;
use driftlead_store::clickhouse::{ClickHouse, ClickHouseConfig, TelemetryError, text_index};
use driftlead_store::clock::Clock;
use driftlead_store::clusters::{Assigning, Clusterings};
use driftlead_store::drain::{self, Decode, DrainConfig};
use driftlead_store::index::{self, ErrorIndex, IndexConfig};
use driftlead_store::state::State;
use driftlead_store::state::keys::KeyRing;
use driftlead_store::upkeep;
use driftlead_store::wal::{Log, LogConfig};
use driftlead_web::parts::Encryption;
use driftlead_web::{PartsSource, WebState};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::ServeArguments;
use crate::config::Config;
use crate::shutdown::{self, Shutdown};
use crate::telemetry;
use keys::Keys;
pub(crate) use parts::Database;
use parts::Sources;

/// Batches of signals on their way to alerting: a few windows of many models.
const SIGNAL_BATCHES: usize = 64;
/// How long parts may take to end what they are at: an insert of the largest batch takes a second or two. What a database that
/// hangs keeps longer is dropped, and done again after the next start.
const WORKERS_PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two attempts to migrate while the database is not there.
const MIGRATE_INTERVAL: Duration = Duration::from_millis(300);

/// Runs the server until it is asked to end.
///
/// # Errors
/// Something that is needed at the start cannot be had; the error says what to do.
pub async fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    // Before anything else: a SIGHUP that nobody waits for ends the process.
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
    let config = Config::load(arguments.config.as_deref(), std::env::vars())?;
    let telemetry = telemetry::start_exporting(&config.telemetry)?;
    let collector_config = config.collector();
    collector_config.check()?;
    let clock = Clock::System;
    let started_at = clock.now();
    let folder = Folder::open(&arguments.data)?;
    let state = State::open(&folder.file("state.db")).await?;
    let keys = KeyRing::new(state.clone(), clock.clone());
    let listeners = Bound::bind(&config, keys.is_open().await?).await?;
    let loopback_only = config.listen.otlp_is_loopback();

    let alerting_settings = config.alerting_settings(&listeners.web_address())?;
    let alerting = AlertingConfig::resolve(&alerting_settings)?;
    let rules = RuleSet::load(&config.rules.paths, &alerting)?;
    let (log, index) = open_logs(&config, &folder, &clock).await?;
    let database = Database::start(&config, &folder, started_at)?;
    let clickhouse = database.clickhouse();
    let commands = Commands::new(
        alerting.clone(),
        rules.clone(),
        clickhouse.clone(),
        state.clone(),
        &config.models,
        clock.clone(),
    )?;

    commands.use_search_rules().await?;

    let collector = CollectorStatus::default();
    let drain = DrainConfig::new(folder.file("drain"));
    let sources = Sources {
        started_at,
        listen: listeners.addresses(),
        log: log.clone(),
        drain: drain.status.clone(),
        database: database.status(),
        index: index.status(),
        collector: collector.clone(),
        encryption: match &collector_config.tls {
            None => Encryption::None,
            Some(tls) if tls.client_ca.is_none() => Encryption::Tls,
            Some(_) => Encryption::MutualTls,
        },
        clock: clock.clone(),
    };
    let clusterings = Clusterings::of(state.clusterings().await?);
    let decoder = Decoder::new(DecoderConfig {
        raw_retention_days: config.retention.raw_days,
        inference_retention_days: config.retention.inferences_days,
    });
    let decoder: Arc<dyn Decode> = Arc::new(Assigning::new(Arc::new(decoder), clusterings.clone()));
    let references = References::new(clickhouse.clone(), state.clone(), config.models.clone());
    let clusters = ClusterKeeper::new(references.clone(), clusterings, config.models.clone());
    let parts = sources.into_source();
    let web = Arc::new(WebState {
        log: log.clone(),
        clickhouse: clickhouse.clone(),
        index: index.clone(),
        records: RecordSearch::new(clickhouse.clone(), clock.clone()),
        references,
        clusters: clusters.clone(),
        state: state.clone(),
        keys: keys.clone(),
        commands,
        models: Arc::new(config.models.clone()),
        label_delays: alerting.label_delays.clone(),
        false_alerts_per_month: config.drift.false_alerts_per_month,
        parts: parts.clone(),
        public_url: config.public_url.clone(),
        clock: clock.clone(),
    });

    let shutdown = Shutdown::default();
    let mut receivers = JoinSet::new();
    let mut workers = JoinSet::new();
    let addresses = listeners.addresses();
    let otlp = Listeners {
        grpc: listeners.otlp_grpc,
        http: listeners.otlp_http,
    };
    let (key_checker, token) = (Arc::new(Keys::new(keys, loopback_only)), shutdown.receivers.clone());
    let (receiver_log, receiver_clock) = (log.clone(), clock.clone());
    receivers.spawn(async move {
        driftlead_collector::run(otlp, collector_config, receiver_log, key_checker, collector, receiver_clock, token)
            .await
            .context("the collector")
    });
    if let Some(export) = &telemetry {
        let (export, app, token) = (export.clone(), web.clone(), shutdown.workers.clone());
        workers.spawn(async move {
            export.measure(app, token).await;
            Ok(())
        });
    }
    let token = shutdown.receivers.clone();
    receivers.spawn(async move { driftlead_web::serve(listeners.web, web, token).await.context("the API") });

    let (fed_index, index_log, index_state) = (index.clone(), log.clone(), state.clone());
    let (index_decoder, index_clock, token) = (decoder.clone(), clock.clone(), shutdown.workers.clone());
    workers.spawn(async move {
        index::run(fed_index, index_log, index_state, index_decoder, index_clock, token)
            .await
            .context("the error index")
    });
    let (waiting_log, waiting_status, token) = (log.clone(), drain.status.clone(), shutdown.workers.clone());
    workers.spawn(async move {
        drain::watch_waiting(waiting_log, waiting_status, token)
            .await
            .context("the drain's lag")
    });
    let tables = Tables {
        config,
        drain,
        decoder,
        log: log.clone(),
        index,
        clickhouse,
        state,
        rules,
        alerting,
        clock,
        parts,
        clusters,
        hangup,
        shutdown: shutdown.clone(),
    };
    workers.spawn(tables.run());

    if let Some(path) = &arguments.ready_file {
        write_ready_file(path, &addresses)?;
    }
    tracing::info!(
        web = addresses.web,
        otlp_grpc = addresses.otlp_grpc,
        otlp_http = addresses.otlp_http,
        "requests are accepted"
    );
    let outcome = tokio::select! {
        () = shutdown::requested() => Ok(()),
        outcome = first_end(&mut receivers) => outcome,
        outcome = first_end(&mut workers) => outcome,
    };
    shutdown.receivers.cancel();
    while receivers.join_next().await.is_some() {}
    shutdown.workers.cancel();
    let ending = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(WORKERS_PATIENCE, ending).await.is_err() {
        tracing::warn!(
            patience_s = WORKERS_PATIENCE.as_secs(),
            "some work did not end in time and is dropped; it is done again after the next start"
        );
        workers.shutdown().await;
    }
    log.close().await;
    database.stop().await;
    if let Some(export) = telemetry {
        // The exporters wait for their threads.
        let _ended = tokio::task::spawn_blocking(move || export.shutdown()).await;
    }
    outcome
}

/// Parts that work on ClickHouse's tables.
struct Tables {
    config: Config,
    drain: DrainConfig,
    decoder: Arc<dyn Decode>,
    log: Log,
    index: ErrorIndex,
    clickhouse: ClickHouse,
    state: State,
    rules: RuleSet,
    alerting: AlertingConfig,
    clock: Clock,
    parts: PartsSource,
    clusters: ClusterKeeper,
    hangup: Signal,
    shutdown: Shutdown,
}

impl Tables {
    async fn run(self) -> anyhow::Result<()> {
        let token = self.shutdown.workers.clone();
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            migrated = migrate_when_up(&self.clickhouse, &self.config) => migrated?,
        }
        let (sender, signals) = mpsc::channel(SIGNAL_BATCHES);
        let models = self.config.models.clone();
        let drained = self.drain.status.clone();
        let mut parts = JoinSet::new();
        {
            let (clickhouse, state, clock, token) = (self.clickhouse.clone(), self.state.clone(), self.clock.clone(), token.clone());
            parts.spawn(async move {
                drain::run(self.drain, self.log, self.decoder, clickhouse, state, clock, token)
                    .await
                    .context("the drain")
            });
        }
        {
            let (clickhouse, state, clock, token) = (self.clickhouse.clone(), self.state.clone(), self.clock.clone(), token.clone());
            let (mut config, models, sender) = (self.config.analyzer()?, models.clone(), sender.clone());
            config.drain = drained;
            config.errors = Some(self.index);
            config.clusters = Some(self.clusters);
            config.label_delays = self.alerting.label_delays.clone();
            let rules = self.rules.clone();
            config.searches = WatchedSearches::new(move || rules.watched_searches());
            parts.spawn(async move {
                driftlead_analyzer::run(config, clickhouse, state, models, clock, sender, token)
                    .await
                    .context("the analyzer")
            });
        }
        {
            let (clickhouse, state, clock, token) = (self.clickhouse.clone(), self.state.clone(), self.clock.clone(), token.clone());
            let (models, sender) = (models.clone(), sender.clone());
            parts.spawn(async move {
                driftlead_analyzer::control::run(ControlConfig::default(), clickhouse, state, models, clock, sender, token)
                    .await
                    .context("the control replays")
            });
        }
        {
            let (clickhouse, state, clock, token) = (self.clickhouse.clone(), self.state.clone(), self.clock.clone(), token.clone());
            parts.spawn(async move {
                upkeep::run(clickhouse, state, clock, token).await;
                Ok(())
            });
        }
        parts.spawn(own_signals::run(self.parts, sender, self.clock.clone(), token.clone()));
        parts.spawn(reload_on_hangup(self.hangup, self.rules.clone(), token.clone()));
        let (alerting, rules, clickhouse, state, clock) = (self.alerting, self.rules, self.clickhouse, self.state, self.clock);
        parts.spawn(async move {
            driftlead_alerting::run(alerting, rules, clickhouse, state, models, clock, signals, token)
                .await
                .context("alerting")
        });
        let outcome = first_end(&mut parts).await;
        self.shutdown.workers.cancel();
        while parts.join_next().await.is_some() {}
        outcome
    }
}

/// Tries until the database is there. Only what waiting cannot mend is an error.
pub(crate) async fn migrate_when_up(clickhouse: &ClickHouse, config: &Config) -> anyhow::Result<()> {
    let mut told = false;
    loop {
        let outcome = migrate::migrate(clickhouse).await;
        let waiting_for = match outcome {
            Ok(()) => match apply_settings(clickhouse, config).await {
                Ok(()) => return Ok(()),
                Err(error) => error.to_string(),
            },
            Err(error @ (MigrateError::Newer(_) | MigrateError::Changed(_))) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        if !told {
            tracing::info!(waiting_for, "waiting for the database; requests are kept in the log");
            told = true;
        }
        tokio::time::sleep(MIGRATE_INTERVAL).await;
    }
}

/// What of the tables the configuration decides.
async fn apply_settings(clickhouse: &ClickHouse, config: &Config) -> Result<(), TelemetryError> {
    migrate::apply_retention(clickhouse, config.retention()).await?;
    text_index::apply(clickhouse, config.search.text_index).await
}

/// SIGHUP reads the rule files again.
async fn reload_on_hangup(mut hangup: Signal, rules: RuleSet, token: tokio_util::sync::CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            _ = hangup.recv() => match rules.reload() {
                Ok(count) => tracing::info!(count, "the rules were read again"),
                Err(problems) => tracing::error!(%problems, "the rule files are wrong; the rules from before stay in use"),
            },
        }
    }
}

/// The first part that ends: while the server runs none should.
async fn first_end(parts: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    match parts.join_next().await {
        Some(joined) => joined?,
        None => std::future::pending().await,
    }
}

pub(crate) async fn open_logs(config: &Config, folder: &Folder, clock: &Clock) -> anyhow::Result<(Log, ErrorIndex)> {
    let defaults = LogConfig::new(folder.file("log"));
    let log_config = LogConfig {
        max_bytes: config.log.max_bytes,
        segment_bytes: config.log.segment_bytes.unwrap_or(defaults.segment_bytes),
        consumers: vec![drain::CONSUMER, index::CONSUMER],
        ..defaults
    };
    let index_config = IndexConfig {
        retention_days: config.retention.errors_days,
        ..IndexConfig::at(folder.file("index"))
    };
    let clock = clock.clone();
    tokio::task::spawn_blocking(move || Ok((Log::open(log_config, clock.clone())?, ErrorIndex::open(&index_config, &clock)?))).await?
}

/// The sockets, bound before anything else so that a taken port is the first thing that is said.
struct Bound {
    web: TcpListener,
    otlp_grpc: TcpListener,
    otlp_http: TcpListener,
}

impl Bound {
    async fn bind(config: &Config, open: bool) -> anyhow::Result<Self> {
        let listen = &config.listen;
        for (name, address) in [
            ("web", listen.web),
            ("otlp_grpc", listen.otlp_grpc),
            ("otlp_http", listen.otlp_http),
        ] {
            if open && !address.ip().is_loopback() {
                bail!(
                    "listen.{name} = {address} is open to others and there are no keys: make one with `driftlead key new --scope admin`, or listen on 127.0.0.1"
                );
            }
        }
        let bind = async |name: &str, address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listen.{name} = {address} cannot be listened on; port 0 takes a free one"))
        };
        Ok(Self {
            web: bind("web", listen.web).await?,
            otlp_grpc: bind("otlp_grpc", listen.otlp_grpc).await?,
            otlp_http: bind("otlp_http", listen.otlp_http).await?,
        })
    }

    fn web_address(&self) -> String {
        address_of(&self.web)
    }

    fn addresses(&self) -> driftlead_web::parts::Addresses {
        driftlead_web::parts::Addresses {
            web: address_of(&self.web),
            otlp_grpc: address_of(&self.otlp_grpc),
            otlp_http: address_of(&self.otlp_http),
        }
    }
}

fn address_of(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string())
}

/// Written whole under another name and then renamed: whoever waits for it never reads half of it.
fn write_ready_file(path: &Path, addresses: &driftlead_web::parts::Addresses) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, serde_json::to_vec(addresses)?).with_context(|| format!("cannot write {}", path.display()))?;
    std::fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}

/// The data folder.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("cannot make the data folder {}", path.display()))?;
        // Said once and clearly, and not by whichever part writes first.
        let probe = path.join(".writable");
        std::fs::write(&probe, b"")
            .and_then(|()| std::fs::remove_file(&probe))
            .with_context(|| format!("cannot write to the data folder {}", path.display()))?;
        Ok(Self(path.canonicalize()?))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
