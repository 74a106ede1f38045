//! ClickHouse and the dirty set as the drain sees them: tokens, refusals, and faults at each step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::pending;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::super::dirty::Dirty;
use super::super::sink::{Sink, SinkError};
use crate::clickhouse::TableRows;
use crate::clickhouse::insert::Attempt;
use crate::records::{JoinedInference, Outcome};

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is done, and the caller is told so.
    Unavailable,
    /// It is done, but the answer is lost.
    AnswerLost,
    /// The token is noted, the rows are lost, and so is the answer: the engine was killed in between.
    RowsLost,
    /// The process dies before it is done.
    CrashBefore,
    /// The process dies after it was done.
    CrashAfter,
}

#[derive(Default)]
struct Inner {
    by_token: HashMap<String, String>,
    /// Tokens that were noted without their rows.
    lost: HashSet<String>,
    logs: Vec<String>,
    inferences: Vec<JoinedInference>,
    outcomes: Vec<Outcome>,
    dirty: BTreeSet<(&'static str, i64)>,
    steps: usize,
    faults: HashMap<usize, Fault>,
}

/// The stores, which survive the drain.
#[derive(Default)]
pub(super) struct Model {
    inner: Mutex<Inner>,
    crashed: Notify,
    pub held: tokio::sync::RwLock<()>,
}

impl Model {
    /// The next steps fail.
    pub fn fail_next(&self, fault: Fault, steps: usize) {
        let mut inner = self.inner.lock().unwrap();
        let next = inner.steps;
        inner.faults.extend((next..next + steps).map(|step| (step, fault)));
    }

    /// The step that comes after so many others fails.
    pub fn crash_at(&self, after: usize, fault: Fault) {
        let mut inner = self.inner.lock().unwrap();
        let step = inner.steps + after;
        inner.faults.insert(step, fault);
    }

    /// Waits until a crash has come.
    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// Forgets faults that have not come.
    pub fn heal(&self) {
        self.inner.lock().unwrap().faults.clear();
    }

    /// Texts of the log records, in the order in which they were stored.
    pub fn logs(&self) -> Vec<String> {
        self.inner.lock().unwrap().logs.clone()
    }

    pub fn inferences(&self) -> Vec<JoinedInference> {
        self.inner.lock().unwrap().inferences.clone()
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.inner.lock().unwrap().outcomes.clone()
    }

    /// (kind, minute in Unix seconds) of all marks.
    pub fn dirty(&self) -> BTreeSet<(&'static str, i64)> {
        self.inner.lock().unwrap().dirty.clone()
    }

    async fn step(&self, effect: impl FnOnce(&mut Inner, bool)) -> Result<(), SinkError> {
        let _held = self.held.read().await;
        let fault = {
            let mut inner = self.inner.lock().unwrap();
            let step = inner.steps;
            inner.steps += 1;
            let fault = inner.faults.remove(&step);
            if !matches!(fault, Some(Fault::Unavailable | Fault::CrashBefore)) {
                effect(&mut inner, fault == Some(Fault::RowsLost));
            }
            fault
        };
        match fault {
            None => Ok(()),
            Some(Fault::Unavailable | Fault::AnswerLost | Fault::RowsLost) => Err(SinkError::Unavailable("away".to_owned())),
            Some(Fault::CrashBefore | Fault::CrashAfter) => {
                self.crashed.notify_one();
                pending().await
            }
        }
    }
}

impl Sink for std::sync::Arc<Model> {
    async fn insert(&self, rows: &TableRows, token: &str, attempt: Attempt) -> Result<u64, SinkError> {
        if rows.logs.iter().any(|log| log.body.starts_with("bad")) {
            self.step(|_, _| {}).await?;
            return Err(SinkError::Refused("code 117".to_owned()));
        }
        self.step(|inner, rows_are_lost| {
            let content = format!("{rows:?}");
            if let Some(first) = inner.by_token.insert(token.to_owned(), content.clone()) {
                assert_eq!(first, content, "a token stands for one content");
                // A first attempt that meets its token believes it; a later one looks for its rows.
                if attempt == Attempt::First || !inner.lost.remove(token) {
                    return;
                }
            } else if rows_are_lost {
                inner.lost.insert(token.to_owned());
                return;
            }
            inner.logs.extend(rows.logs.iter().map(|log| log.body.clone()));
            inner.inferences.extend(rows.inferences.iter().cloned());
            inner.outcomes.extend(rows.outcomes.iter().cloned());
        })
        .await?;
        Ok(rows.logs.iter().filter(|log| log.body.starts_with("expired")).count() as u64)
    }

    async fn mark(&self, dirty: &Dirty) -> Result<(), SinkError> {
        self.step(|inner, _| {
            inner
                .dirty
                .extend(dirty.inferences.iter().map(|(_, at)| ("inferences", at.seconds())));
            inner.dirty.extend(dirty.judged.iter().map(|(_, at)| ("judged", at.seconds())));
            inner
                .dirty
                .extend(dirty.outcomes_received.iter().map(|(_, at)| ("outcomes", at.seconds())));
        })
        .await
    }
}
