//! The database behind one face, and how the parts stand, for the pages and `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftlead_collector::decode::cuts::reasons;
use driftlead_collector::status::ServiceCounts;
use driftlead_collector::{CollectorStatus, Signal};
use driftlead_store::clickhouse::engine::EngineState as Running;
use driftlead_store::clock::{Clock, UnixNanos};
use driftlead_store::drain::{self, StatusHandle};
use driftlead_store::index::IndexStatus;
use driftlead_store::wal::Log;
use driftlead_web::parts::{
    Addresses, CollectorPart, Counted, DrainPart, Encryption, EngineKind, EnginePart, EngineState, Parts, PartsSource, ServicePart,
};
use tokio::sync::watch;

use super::{ClickHouse, ClickHouseConfig, Config, EngineConfig, Folder, Supervisor};

/// The embedded engine, or a server that somebody else runs.
pub enum Database {
    /// Ours.
    Embedded {
        /// Keeps it running.
        supervisor: Supervisor,
        /// How it stands.
        status: watch::Receiver<EnginePart>,
    },
    /// A server.
    Server {
        /// The connection.
        clickhouse: ClickHouse,
        /// How it stands.
        status: watch::Receiver<EnginePart>,
    },
}

impl Database {
    /// Starts the engine, or connects.
    ///
    /// # Errors
    /// The engine's library is missing.
    pub fn start(config: &Config, folder: &Folder, now: UnixNanos) -> anyhow::Result<Self> {
        let first = |kind| EnginePart {
            kind,
            state: EngineState::Starting,
            since: now,
            restarts: 0,
            message: None,
        };
        if let Some(server) = &config.clickhouse {
            if server.cluster.is_some() {
                anyhow::bail!("[clickhouse] cluster: tables on a cluster are not made yet; leave it out to use one server");
            }
            let clickhouse = ClickHouse::connect(&ClickHouseConfig {
                url: server.url.clone(),
                user: server.user.clone(),
                password: server.password.clone(),
                database: server.database.clone(),
            });
            let (sender, status) = watch::channel(first(EngineKind::Server));
            tokio::spawn(watch_server(clickhouse.clone(), sender));
            return Ok(Self::Server { clickhouse, status });
        }
        let supervisor = Supervisor::start(EngineConfig {
            library: config.engine.library.clone(),
            ..EngineConfig::new(folder.file("engine"), std::env::current_exe()?)
        })?;
        let (sender, status) = watch::channel(first(EngineKind::Embedded));
        tokio::spawn(watch_engine(supervisor.watch(), sender));
        Ok(Self::Embedded { supervisor, status })
    }

    /// The handle.
    pub fn clickhouse(&self) -> ClickHouse {
        match self {
            Self::Embedded { supervisor, .. } => supervisor.clickhouse(),
            Self::Server { clickhouse, .. } => clickhouse.clone(),
        }
    }

    /// How it stands, now and later.
    pub fn status(&self) -> watch::Receiver<EnginePart> {
        match self {
            Self::Embedded { status, .. } | Self::Server { status, .. } => status.clone(),
        }
    }

    /// Ends the engine; a server is left alone.
    pub async fn stop(self) {
        if let Self::Embedded { supervisor, .. } = self {
            supervisor.stop().await;
        }
    }
}

async fn watch_engine(mut running: watch::Receiver<driftlead_store::clickhouse::engine::EngineStatus>, part: watch::Sender<EnginePart>) {
    loop {
        let status = running.borrow_and_update().clone();
        let state = match status.state {
            Running::Starting => EngineState::Starting,
            Running::Running => EngineState::Up,
            Running::BackingOff | Running::Stopped => EngineState::Down,
        };
        part.send_modify(|part| {
            if part.state != state {
                part.since = Clock::System.now();
            }
            part.state = state;
            part.restarts = status.restarts;
            part.message = status.last_error.filter(|_| state == EngineState::Down);
        });
        if running.changed().await.is_err() {
            return;
        }
    }
}

/// Asks the server now and then.
async fn watch_server(clickhouse: ClickHouse, part: watch::Sender<EnginePart>) {
    const INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);
    while !part.is_closed() {
        let (state, message) = match clickhouse.ping().await {
            Ok(()) => (EngineState::Up, None),
            Err(error) => (EngineState::Down, Some(error.to_string())),
        };
        part.send_modify(|part| {
            if part.state != state {
                part.since = Clock::System.now();
            }
            part.state = state;
            part.message = message;
        });
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Where the parts' standing is read.
pub struct Sources {
    /// When this process started.
    pub started_at: UnixNanos,
    /// Where it listens.
    pub listen: Addresses,
    /// The log.
    pub log: Log,
    /// The drain.
    pub drain: StatusHandle,
    /// The database.
    pub database: watch::Receiver<EnginePart>,
    /// The error index.
    pub index: watch::Receiver<IndexStatus>,
    /// The collector.
    pub collector: CollectorStatus,
    /// How its listeners are encrypted.
    pub encryption: Encryption,
    /// The time.
    pub clock: Clock,
}

impl Sources {
    /// As the web asks for it.
    pub fn into_source(self) -> PartsSource {
        Arc::new(move || self.read())
    }

    fn read(&self) -> Parts {
        let now = self.clock.now();
        let drained = self.drain.get();
        let collected = self.collector.counts();
        let backlog = self.log.status().backlog_bytes;
        let services = collected.services.values();
        let records = services
            .clone()
            .map(|service| service.log_records + service.spans + service.data_points)
            .sum();
        // What was refused when it was received is left out again when it is decoded: it is told once.
        let refused_records = sum(services.map(|service| &service.refused));
        let mut cut = sum([&drained.cut, &self.index.borrow().cut]);
        cut.retain(|counted| counted.reason != reasons::INVALID_IDS);
        Parts {
            started_at: self.started_at,
            listen: self.listen.clone(),
            drain: DrainPart {
                lag_s: drained.lag_seconds(now),
                backlog_bytes: backlog.get(drain::CONSUMER).copied().unwrap_or(0),
                set_aside: drained.set_aside.values().sum(),
                retries: drained.retries,
                quarantined: drained.quarantined,
                missing_rows: drained.missing_rows,
                partial_inferences: drained.partial_inferences,
                rows: drained.rows.values().sum(),
                last_error: drained.last_error,
            },
            engine: self.database.borrow().clone(),
            collector: CollectorPart {
                requests: collected.requests_accepted,
                records,
                refused: counted(&collected.requests_refused),
                refused_records,
                cut,
                repeated: collected.requests_repeated,
                redacted: collected.requests_redacted,
                bytes: collected.bytes_accepted,
                connections: collected.connections,
                bytes_in_flight: collected.bytes_in_flight,
                services: collected
                    .services
                    .iter()
                    .map(|(name, counts)| service_part(name, counts, now))
                    .collect(),
                encryption: self.encryption,
            },
        }
    }
}

type ByReason = BTreeMap<&'static str, u64>;

fn counted(counts: &ByReason) -> Vec<Counted> {
    let counted = counts.iter().map(|(reason, count)| Counted {
        reason: (*reason).to_owned(),
        count: *count,
    });
    counted.collect()
}

fn sum<'a>(counts: impl IntoIterator<Item = &'a ByReason>) -> Vec<Counted> {
    let mut total = ByReason::new();
    for (reason, count) in counts.into_iter().flatten() {
        *total.entry(reason).or_default() += count;
    }
    counted(&total)
}

fn service_part(name: &str, counts: &ServiceCounts, now: UnixNanos) -> ServicePart {
    ServicePart {
        service: name.to_owned(),
        last_seen: counts.last_seen,
        last_minute: counts.last_minute(now),
        records: Signal::ALL.map(|signal| {
            let count = match signal {
                Signal::Logs => counts.log_records,
                Signal::Traces => counts.spans,
                Signal::Metrics => counts.data_points,
            };
            (signal.name(), count)
        }),
        refused: counted(&counts.refused),
        cut: counted(&counts.cut),
    }
}
