//! `driftlead reindex`: makes the error index again from ClickHouse, day by day, while the server is stopped.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use driftlead_collector::{Decoder, DecoderConfig, FAILURES, log_frame, span_frame};
use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::query::raw::{raw_logs, raw_spans};
use driftlead_store::clock::Clock;
use driftlead_store::drain::{self, Decode};
use driftlead_store::index::{Batch, Day, ErrorIndex};
use driftlead_store::records::ErrorDocument;
use driftlead_store::state::State;
use driftlead_store::wal::{Frame, Position};
use tokio::sync::mpsc;

use crate::app::{Database, Folder, migrate_when_up, open_logs};
use crate::cli::ReindexArguments;
use crate::config::Config;

/// Batches of errors that wait for the index.
const QUEUE: usize = 4;
/// Errors of one batch.
const BATCH: usize = 1_000;

/// Makes the days again that are named, or all that are kept.
///
/// # Errors
/// The server runs, not all of the log is stored yet, or something cannot be read or written. Days that were not reached are as they
/// were.
pub async fn run(arguments: ReindexArguments) -> anyhow::Result<()> {
    let config = Config::load(arguments.config.as_deref(), std::env::vars())?;
    let clock = Clock::System;
    let folder = Folder::open(&arguments.data)?;
    let (log, index) = open_logs(&config, &folder, &clock)
        .await
        .context("the log cannot be opened; if the server runs on this folder, stop it first")?;
    let backlog_bytes = log.register_consumer(drain::CONSUMER)?.backlog_bytes();
    if backlog_bytes > 0 {
        bail!(
            "{backlog_bytes} bytes of the log are not stored yet: start the server, wait until its backlog is 0, stop it, and run this again"
        );
    }
    let state = State::open(&folder.file("state.db")).await?;
    let database = Database::start(&config, &folder, clock.now())?;
    let clickhouse = database.clickhouse();
    let decoder = Decoder::new(DecoderConfig {
        raw_retention_days: config.retention.raw_days,
        inference_retention_days: config.retention.inferences_days,
    });
    let rebuilding = Rebuilding {
        decoder: Arc::new(decoder),
        covers: log.head(),
        index,
        state,
        clickhouse,
    };
    let outcome = async {
        migrate_when_up(&rebuilding.clickhouse, &config).await?;
        let today = Day::of(clock.now());
        let days: BTreeSet<Day> = match arguments.days.is_empty() {
            true => (0..=config.retention.errors_days).map(|ago| today.minus(ago)).collect(),
            false => arguments.days.into_iter().collect(),
        };
        for day in days {
            rebuilding.day(day).await.with_context(|| format!("the day {day}"))?;
        }
        anyhow::Ok(())
    }
    .await;
    log.close().await;
    database.stop().await;
    outcome
}

struct Rebuilding {
    decoder: Arc<Decoder>,
    covers: Position,
    index: ErrorIndex,
    state: State,
    clickhouse: ClickHouse,
}

impl Rebuilding {
    async fn day(&self, day: Day) -> anyhow::Result<()> {
        let before = self.index.days().await?.into_iter().find(|status| status.day == day);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let found = Batches {
            day,
            batch: Vec::new(),
            sender,
        };
        let (read, written) = tokio::join!(self.read(day, found), self.write(day, before.is_some(), receiver));
        read?;
        if let Some(count) = written? {
            let before = before.map_or(0, |status| status.documents);
            println!("{day}: {count} errors, {before} before");
        }
        Ok(())
    }

    /// `None`: there is no error, and there was no index. Known before anything is made.
    async fn write(&self, day: Day, is_there: bool, mut found: mpsc::Receiver<Batch>) -> anyhow::Result<Option<u64>> {
        let first = match found.recv().await {
            None => return Ok(None),
            Some(Batch::End) if !is_there => return Ok(None),
            Some(first) => first,
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let feeding = async move {
            let mut next = Some(first);
            while let Some(batch) = next {
                if sender.send(batch).await.is_err() {
                    break;
                }
                next = found.recv().await;
            }
        };
        let ((), count) = tokio::join!(feeding, self.index.rebuild(day, self.covers, &self.state, receiver));
        Ok(Some(count?))
    }

    async fn read(&self, day: Day, mut found: Batches) -> anyhow::Result<()> {
        let mut logs = raw_logs(&self.clickhouse, day.start(), day.end(), &FAILURES)?;
        while let Some(stored) = logs.next().await? {
            found.add(self.errors(&log_frame(stored))).await;
        }
        // What happened in a span may have happened on the day after it began.
        let mut spans = raw_spans(&self.clickhouse, day.minus(1).start(), day.end(), &FAILURES)?;
        while let Some(stored) = spans.next().await? {
            found.add(self.errors(&span_frame(stored))).await;
        }
        found.end().await;
        Ok(())
    }

    fn errors(&self, frame: &Frame) -> Vec<ErrorDocument> {
        self.decoder.errors(frame).documents
    }
}

/// Errors of one day on their way to the index.
struct Batches {
    day: Day,
    batch: Vec<ErrorDocument>,
    sender: mpsc::Sender<Batch>,
}

impl Batches {
    async fn add(&mut self, errors: Vec<ErrorDocument>) {
        self.batch
            .extend(errors.into_iter().filter(|error| Day::of(error.time) == self.day));
        if self.batch.len() >= BATCH {
            self.send().await;
        }
    }

    /// Where nobody takes them any more, whoever wrote them says why.
    async fn send(&mut self) {
        if !self.batch.is_empty() {
            let _taken = self.sender.send(Batch::Errors(std::mem::take(&mut self.batch))).await;
        }
    }

    async fn end(mut self) {
        self.send().await;
        let _taken = self.sender.send(Batch::End).await;
    }
}
