//! Errors as they come, for whoever follows a search.
//!
//! The writer hands what it has committed to a channel of a few batches; each follower picks what its query means. One that is
//! too slow, or a burst that nobody could read, costs errors that are counted and told of, never memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::place::HitKey;
use super::query::{Expression, Text, matches, parse};
use super::search::{Hit, SearchError, write_id};
use super::{ErrorIndex, IndexError};
use crate::records::ErrorDocument;

/// Most errors of one batch; a commit comes every half second.
const MAX_BATCH: usize = 5_000;
/// Most bytes of their texts: messages may be long.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Batches that wait for a slow follower.
const QUEUE_BATCHES: usize = 8;
/// Most errors that a follower is shown of one batch: more than anybody reads in half a second.
const MAX_SHOWN: usize = 100;

/// What one commit made visible.
#[derive(Debug, Default)]
pub(super) struct Batch {
    errors: Vec<(HitKey, ErrorDocument)>,
    bytes: usize,
    left_out: u64,
    /// Errors of all batches before this one.
    before: u64,
}

/// Where batches go.
#[derive(Clone)]
pub(super) struct Followers {
    batches: broadcast::Sender<Arc<Batch>>,
    told: Arc<AtomicU64>,
}

impl Default for Followers {
    fn default() -> Self {
        Self {
            batches: broadcast::Sender::new(QUEUE_BATCHES),
            told: Arc::default(),
        }
    }
}

impl Followers {
    /// Whether anybody follows; else nothing has to be kept for them.
    pub fn are_any(&self) -> bool {
        self.batches.receiver_count() > 0
    }

    /// Tells them of what is visible now.
    pub fn tell(&self, mut batch: Batch) {
        if batch.len() > 0 {
            batch.before = self.told.fetch_add(batch.len(), Ordering::Relaxed);
            // The last one may have gone meanwhile.
            let _followers = self.batches.send(Arc::new(batch));
        }
    }
}

impl Batch {
    /// Takes an error that is about to be committed.
    pub fn add(&mut self, key: HitKey, error: &ErrorDocument) {
        let bytes = error.text_bytes();
        if self.errors.len() < MAX_BATCH && self.bytes + bytes <= MAX_BATCH_BYTES {
            self.bytes += bytes;
            self.errors.push((key, error.clone()));
        } else {
            self.left_out += 1;
        }
    }

    fn len(&self) -> u64 {
        self.errors.len() as u64 + self.left_out
    }
}

/// Errors that came, and how many more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Followed {
    /// In the order in which they were stored, without highlights.
    pub hits: Vec<Hit>,
    /// Errors that match and are not among them.
    pub matching_left_out: u64,
    /// Errors that nobody looked at, because too many came or the follower was too slow.
    pub unseen: u64,
}

/// A search that is followed.
pub struct Tail {
    expression: Arc<Expression>,
    environments: Vec<String>,
    batches: broadcast::Receiver<Arc<Batch>>,
    /// Errors of all batches up to the last one that was received; `None` before the first.
    received: Option<u64>,
}

impl ErrorIndex {
    /// Follows a search: errors that become visible from now on.
    ///
    /// # Errors
    /// The query is not one.
    pub fn tail(&self, query: &str, environments: Vec<String>) -> Result<Tail, SearchError> {
        let expression = parse(query, self.clock.now())?;
        Ok(Tail {
            expression: Arc::new(expression),
            environments,
            batches: self.followers.batches.subscribe(),
            received: None,
        })
    }
}

impl Tail {
    /// What came since the last call; waits until something did. `None` when the index has ended.
    ///
    /// # Errors
    /// The work could not be done.
    pub async fn next(&mut self) -> Result<Option<Followed>, IndexError> {
        loop {
            match self.batches.recv().await {
                Ok(batch) => {
                    let lost = self.received.map_or(0, |received| batch.before - received);
                    self.received = Some(batch.before + batch.len());
                    let (expression, environments) = (Arc::clone(&self.expression), self.environments.clone());
                    // Words of thousands of stacks take a while.
                    let picking = tokio::task::spawn_blocking(move || pick(&batch, &expression, &environments));
                    let mut followed = picking.await.map_err(std::io::Error::other)?;
                    followed.unseen += lost;
                    if followed != Followed::default() {
                        return Ok(Some(followed));
                    }
                }
                // The next one says how many errors those held.
                Err(RecvError::Lagged(_batches)) => {}
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }
}

fn pick(batch: &Batch, expression: &Expression, environments: &[String]) -> Followed {
    let is_seen = |error: &ErrorDocument| environments.is_empty() || environments.contains(&error.environment);
    let mut matching: Vec<&(HitKey, ErrorDocument)> = batch
        .errors
        .iter()
        .filter(|((_, sequence), error)| is_seen(error) && matches(expression, *sequence, error))
        .collect();
    let left_out = matching.len().saturating_sub(MAX_SHOWN);
    let hits = matching.split_off(left_out).into_iter().map(|(key, error)| hit(*key, error));
    Followed {
        hits: hits.collect(),
        matching_left_out: left_out as u64,
        unseen: batch.left_out,
    }
}

fn hit(key: HitKey, error: &ErrorDocument) -> Hit {
    let attributes = error
        .all_attributes()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    Hit {
        id: write_id(key),
        error: ErrorDocument {
            attributes,
            shared: Vec::new(),
            ..error.clone()
        },
        highlights: Vec::<(Text, _)>::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, UnixNanos};
    use crate::index::IndexConfig;

    fn batch(messages: &[String]) -> Batch {
        let mut batch = Batch::default();
        for (sequence, message) in messages.iter().enumerate() {
            let error = ErrorDocument {
                message: message.clone(),
                environment: if sequence % 2 == 0 { "production" } else { "staging" }.into(),
                ..ErrorDocument::default()
            };
            batch.add((0, sequence as u64), &error);
        }
        batch
    }

    fn index(folder: &tempfile::TempDir) -> ErrorIndex {
        ErrorIndex::open(&IndexConfig::at(folder.path()), &Clock::manual(UnixNanos::default())).unwrap()
    }

    fn messages(followed: &Followed) -> Vec<&str> {
        followed.hits.iter().map(|hit| hit.error.message.as_str()).collect()
    }

    #[tokio::test]
    async fn a_follower_is_told_of_what_matches_in_its_environments() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(&folder);
        assert!(!index.followers.are_any());
        let mut all = index.tail("out", Vec::new()).unwrap();
        let mut own = index.tail("out", vec!["staging".into()]).unwrap();
        assert!(index.followers.are_any());
        index.followers.tell(batch(&["nothing".into()]));
        index
            .followers
            .tell(batch(&["timed out".into(), "out of memory".into(), "other".into()]));
        assert_eq!(messages(&all.next().await.unwrap().unwrap()), ["timed out", "out of memory"]);
        assert_eq!(messages(&own.next().await.unwrap().unwrap()), ["out of memory"]);
        assert!(index.tail("(a", Vec::new()).is_err());
    }

    #[tokio::test]
    async fn what_is_too_much_is_counted_to_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(&folder);
        let mut tail = index.tail("", Vec::new()).unwrap();
        let many: Vec<String> = (0..MAX_BATCH + 7).map(|n| format!("number {n}")).collect();
        index.followers.tell(batch(&many));
        let followed = tail.next().await.unwrap().unwrap();
        assert_eq!(followed.hits.len(), MAX_SHOWN);
        assert_eq!((followed.matching_left_out, followed.unseen), ((MAX_BATCH - MAX_SHOWN) as u64, 7));
        assert_eq!(followed.hits.last().unwrap().error.message, format!("number {}", MAX_BATCH - 1));
        let long = "x".repeat(MAX_BATCH_BYTES / 2);
        index.followers.tell(batch(&[long.clone(), long.clone(), long]));
        let followed = tail.next().await.unwrap().unwrap();
        assert_eq!((followed.hits.len(), followed.unseen), (2, 1));
        for _ in 0..QUEUE_BATCHES + 3 {
            index.followers.tell(batch(&["a".into(), "b".into()]));
        }
        let mut unseen = 0;
        let mut shown = 0;
        for _ in 0..QUEUE_BATCHES {
            let followed = tail.next().await.unwrap().unwrap();
            unseen += followed.unseen;
            shown += followed.hits.len();
        }
        assert_eq!((unseen, shown), (6, 2 * QUEUE_BATCHES));
    }
}
